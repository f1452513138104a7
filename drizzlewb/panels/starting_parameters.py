"""Page of the exposures panel: presets and rows of MDRIZTAB, with what each would change."""

from pathlib import Path

import ipywidgets as W

from drizzlewb.errors import DataError
from drizzlewb.panels.base import Panel
from drizzlewb.parameters.mdriztab import mdriztab_presets
from drizzlewb.parameters.presets import Preset
from drizzlewb.views.style import escape
from drizzlewb.views.tables import help_line, html_table

__all__ = ["StartingParameters"]


class StartingParameters(W.VBox):
    """Choose a preset, see the differences, apply it.

    Parameters
    ----------
    panel : Panel
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._rows: dict[str, Preset] = {}
        self._known: dict[str, Preset] = {}
        self._table_path = self._suited = ""
        self._shown: object = None
        self.path = W.Text(
            description="MDRIZTAB",
            placeholder="path of the table, *_mdz.fits",
            layout=W.Layout(width="480px"),
        )
        self.read = panel.action(
            "Parameters from MDRIZTAB", self._read, lambda: f"mdriztab_presets({self.path.value!r})",
            tooltip="read the rows of an MDRIZTAB reference table; nothing is applied yet",
        )  # fmt: skip
        self.choice = W.Dropdown(description="Preset", layout=W.Layout(width="480px"))
        self.choice.observe(lambda _: self._show_differences(), "value")
        self.apply = panel.action("Apply to the product", self._apply, self._code)
        self.table = W.HTML()
        help_ = help_line(
            "The pipeline uses one set of values for few exposures and another for many: minmed and generous "
            "cosmic-ray scales for 2 to 5, a median and tighter ones from 6 on. A preset is a start; every "
            "value can be changed afterwards, and Undo takes it back."
        )
        super().__init__(
            [
                W.HBox([self.path, self.read], layout=W.Layout(flex_flow="row wrap", grid_gap="8px")),
                W.HBox([self.choice, self.apply], layout=W.Layout(flex_flow="row wrap", grid_gap="8px")),
                self.table,
                help_,
            ],
            layout=W.Layout(width="100%"),
        )

    def show(self) -> None:
        """Bring the page up to date with the session."""
        session, product = self._panel.session, self._panel.product
        if not product:
            self.choice.options = ()
            for action in (self.apply, self.read):
                action.disable("load exposures first")
            return
        plan = session.state.product(product)
        if (product, plan) == self._shown:
            return
        self._shown = (product, plan)
        self.read.disable("")
        self._known = {p.name: p for p in session.presets(product)} | self._rows
        names = list(self._known)
        if list(self.choice.options) != names:
            kept = self.choice.value
            self.choice.options = names
            self.choice.value = kept if kept in names else names[0]
        self._show_differences()

    def _read(self) -> None:
        session, product = self._panel.session, self._panel.product
        plan = session.state.product(product)
        first = session.derived.exposure(plan.members[0])
        path = Path(self.path.value.strip()).expanduser()
        presets, left_out = mdriztab_presets(path, first.detector)
        self._table_path = str(path)
        self._rows = {p.name: p for p in presets}
        self._shown = None
        self.show()
        try:
            self._suited = session.presets(product, mdriztab=path)[-1].name
            self.choice.value = self._suited
        except DataError:
            self._suited = ""  # no row for this filter and number; all rows can be chosen
        told = f"{path.name} holds {len(presets)} rows; choose one below to see what it would change."
        if left_out:
            told += f" Columns that are no parameters today: {', '.join(left_out)}."
        self._panel.messages.say(told)

    def _chosen(self) -> Preset | None:
        return self._known.get(str(self.choice.value))

    def _show_differences(self) -> None:
        preset, product = self._chosen(), self._panel.product
        if preset is None or not product:
            self.table.value = ""
            return
        changes = preset.differences(self._panel.session.parameters(product))
        self.apply.disable("" if changes else "it would change nothing")
        head = f'<p class="dwb-soft">{escape(preset.source)}. It would change {len(changes)} values.</p>'
        rows = [(name, _shown(now), _shown(then)) for name, (now, then) in changes.items()]
        self.table.value = head + (html_table(("parameter", "now", "then"), rows, 320) if rows else "")

    def _code(self) -> str:
        preset = self._chosen()
        if preset is None:
            return ""
        product = self._panel.product_code()
        if preset.name == self._suited:
            rows = f"session.presets({product}, mdriztab={self._table_path!r})"
            return f"session.use_preset({rows}[-1], {product})"
        if preset.name in self._rows:
            number = list(self._rows).index(preset.name)
            return f"session.use_preset(mdriztab_presets({self._table_path!r})[0][{number}], {product})"
        return f"session.use_preset({preset.name!r}, {product})"

    def _apply(self) -> None:
        preset = self._chosen()
        if preset is not None:
            self._panel.session.use_preset(preset, self._panel.product)


def _shown(value: object) -> str:
    return "empty (None)" if value is None or value == "" else str(value)

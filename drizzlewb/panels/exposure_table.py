"""The table of exposures: ticked by the user, one of them looked at."""

from collections.abc import Callable, Mapping, Sequence

import ipywidgets as W

from drizzlewb.exposure import Exposure
from drizzlewb.views.style import escape

__all__ = ["ExposureTable"]

_COLUMNS = (
    ("target", "110px"),
    ("date", "90px"),
    ("filter", "120px"),
    ("exposure (s)", "90px"),
    ("visit", "44px"),
    ("WCS name", "minmax(160px, 1fr)"),
    ("products", "minmax(90px, 1fr)"),
)
_GRID = "display:grid;column-gap:10px;line-height:28px;grid-template-columns:" + " ".join(
    w for _, w in _COLUMNS
)
_CELL = "overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
_LONGEST = 200


class ExposureTable(W.VBox):
    """Rows of exposures with a tick and a button each.

    Parameters
    ----------
    on_look : callable
        Called with the root name whose button was clicked.
    on_tick : callable
        Called without arguments when the ticks have changed.
    """

    def __init__(self, on_look: Callable[[str], None], on_tick: Callable[[], None]) -> None:
        self._on_look, self._on_tick = on_look, on_tick
        self.ticks: dict[str, W.Checkbox] = {}
        self.buttons: dict[str, W.Button] = {}
        self._texts: dict[str, W.HTML] = {}
        self._quiet = False
        names = "".join(f'<b style="{_CELL}">{escape(n)}</b>' for n, _ in _COLUMNS)
        head = W.HBox(
            [
                W.HTML("", layout=W.Layout(width="26px", flex="0 0 auto")),
                W.HTML("<b>root name</b>", layout=W.Layout(width="120px", flex="0 0 auto")),
                W.HTML(f'<div style="{_GRID}">{names}</div>', layout=W.Layout(flex="1 1 auto")),
            ]
        )
        self._rows = W.VBox(layout=W.Layout(max_height="400px", overflow="auto", width="100%"))
        super().__init__([head, self._rows], layout=W.Layout(width="100%"))

    def show(
        self, exposures: Sequence[Exposure], products: Mapping[str, Sequence[str]], looked_at: str
    ) -> None:
        """Show these exposures.

        Parameters
        ----------
        exposures : sequence of Exposure
        products : mapping
            Root name to the names of the products that it belongs to.
        looked_at : str
            Root name whose button is marked.
        """
        names = [e.rootname for e in exposures]
        if names != list(self.buttons):
            self._make(names)
        for exposure in exposures:
            name = exposure.rootname
            text = self._row(exposure, products.get(name, ()))
            if self._texts[name].value != text:
                self._texts[name].value = text
            self.buttons[name].button_style = "info" if name == looked_at else ""

    @property
    def ticked(self) -> list[str]:
        """Root names that are ticked, in the order of the table."""
        return [name for name, tick in self.ticks.items() if tick.value]

    def tick(self, names: Sequence[str]) -> None:
        """Tick these and no others."""
        self._quiet = True
        try:
            for name, box in self.ticks.items():
                box.value = name in names
        finally:
            self._quiet = False

    def _make(self, names: Sequence[str]) -> None:
        was = self.ticked
        self.ticks, self.buttons, self._texts = {}, {}, {}
        rows = []
        for name in names:
            tick = W.Checkbox(
                value=name in was, indent=False, layout=W.Layout(width="26px", flex="0 0 auto"),
                tooltip=f"tick {name}",
            )  # fmt: skip
            tick.observe(lambda _: None if self._quiet else self._on_tick(), "value")
            button = W.Button(
                description=name, tooltip=f"look at {name}", layout=W.Layout(width="120px", flex="0 0 auto")
            )
            button.on_click(lambda _, name=name: self._on_look(name))
            text = W.HTML(layout=W.Layout(flex="1 1 auto", min_width="0"))
            self.ticks[name], self.buttons[name], self._texts[name] = tick, button, text
            rows.append(W.HBox([tick, button, text], layout=W.Layout(min_height="32px")))
        self._rows.children = rows

    @staticmethod
    def _row(exposure: Exposure, products: Sequence[str]) -> str:
        values = (
            exposure.target,
            exposure.date_obs,
            exposure.filters,
            f"{exposure.exptime:.1f}",
            exposure.visit,
            exposure.wcsname,
            ", ".join(products) or "–",
        )
        cells = "".join(
            f'<span style="{_CELL}" title="{escape(v[:_LONGEST])}">{escape(v[:_LONGEST])}</span>'
            for v in values
        )
        return f'<div style="{_GRID}">{cells}</div>'

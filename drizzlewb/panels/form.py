"""A form for declared parameters: the few that matter first, the rest folded.

Every field is made from its declaration (`drizzlewb.parameters.declare.Parameter`): kind, choices, range,
unit, meaning and advice are said once, there. What is typed goes to the session, which accepts it or says
why not; what the session holds comes back to the field.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as W

from drizzlewb.errors import DrizzlewbError, ParameterError
from drizzlewb.parameters.composite import Composite
from drizzlewb.parameters.declare import Parameter, bits_text
from drizzlewb.views.style import escape

__all__ = ["Field", "Form", "Slider"]

Slider = tuple[float, float, float]
"""Lowest, highest value and step of a slider."""


def text_of(parameter: Parameter, value: Any) -> str:
    """Value of a parameter as it is typed into a field."""
    if value is None:
        return ""
    if parameter.kind == "bits":
        return bits_text(value)
    if parameter.kind == "pair":
        return " ".join(f"{v:.10g}" for v in value)
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)


class Field(W.VBox):
    """One parameter: its control, its unit, the way back to the default, and what is wrong with it.

    Parameters
    ----------
    parameter : Parameter
    name : str
        Under which the session knows it; 'refimagefind.threshold' where two sections share a name.
    default : object
        Value that the button on the right brings back.
    send : callable
        (name, value, live) -> None; raises DrizzlewbError if the value is refused.
    slider : Slider, optional
        Makes a number a slider that acts while it is dragged.
    """

    def __init__(
        self,
        parameter: Parameter,
        name: str,
        default: Any,
        send: Callable[[str, Any, bool], None],
        slider: Slider | None = None,
    ) -> None:
        self.parameter, self.name, self.default = parameter, name, default
        self._deliver, self._quiet = send, False
        self.control = self._make(slider)
        label = W.Label(
            value=name.rpartition(".")[2],
            tooltip=self._tip(),
            layout=W.Layout(width="136px", flex="0 0 auto"),
        )
        label.add_class("dwb-name")
        # A slider needs the room; its tooltip names the unit.
        unit = parameter.unit if parameter.unit not in ("", "1") and slider is None else ""
        self.unit = W.Label(value=unit, layout=W.Layout(width="auto", max_width="90px"))
        self.unit.add_class("dwb-soft")
        self.reset = W.Button(
            icon="undo", tooltip=f"back to {self._shown_default()}", layout=W.Layout(width="28px")
        )
        self.reset.on_click(lambda _: self._submit(self.default, False))
        self.info = W.ToggleButton(icon="info", tooltip="what it means", layout=W.Layout(width="28px"))
        self.info.observe(lambda change: self._explain(change["new"]), "value")
        self.why = W.HTML(layout=W.Layout(display="none"))
        self.why.add_class("dwb-why")
        self.about = W.HTML(layout=W.Layout(display="none"))
        self.about.add_class("dwb-help")
        row = W.HBox(
            [
                label,
                self.control,
                self.unit,
                W.HBox([self.reset, self.info], layout=W.Layout(margin="0 0 0 auto", flex="0 0 auto")),
            ],
            layout=W.Layout(align_items="center", width="100%"),
        )
        super().__init__([row, self.why, self.about], layout=W.Layout(width="100%", max_width="460px"))
        self.add_class("dwb-field")
        self.control.observe(lambda change: self._typed(change["new"]), "value")

    def _tip(self) -> str:
        p = self.parameter
        unit = f" ({p.unit})" if p.unit not in ("", "1") else ""
        return f"{p.meaning}{unit}\n{p.allowed}\ndefault: {self._shown_default()}"

    def _shown_default(self) -> str:
        return text_of(self.parameter, self.default) or "empty (None)"

    def _make(self, slider: Slider | None) -> W.Widget:
        p = self.parameter
        fill = W.Layout(flex="1 1 80px", min_width="60px", width="auto")
        tip = self._tip()
        if slider is not None:
            low, high, step = slider
            return W.FloatSlider(
                min=low,
                max=high,
                step=step,
                readout_format=".2f",
                continuous_update=True,
                layout=fill,
                tooltip=tip,
            )
        if p.kind == "switch":
            return W.Checkbox(indent=False, layout=fill, tooltip=tip)
        if p.kind == "choice":
            options: list[tuple[str, Any]] = [(c, c) for c in p.choices]
            if p.optional:
                options = [("", None), *options]
            return W.Dropdown(options=options, layout=fill, tooltip=tip)
        if p.kind == "weight":
            return W.Combobox(options=["exptime", "expsq"], ensure_option=False, layout=fill, tooltip=tip)
        return W.Text(
            continuous_update=False, layout=fill, placeholder="None" if p.optional else "", tooltip=tip
        )

    # ---------------------------------------------------------------- from the user
    def _typed(self, shown: Any) -> None:
        if self._quiet:
            return
        p = self.parameter
        value = shown
        if isinstance(self.control, W.Text | W.Combobox):
            text = str(shown).strip()
            value = None if text == "" and p.optional else text
        self._submit(value, isinstance(self.control, W.FloatSlider))

    def _submit(self, value: Any, live: bool) -> None:
        try:
            self._deliver(self.name, value, live)
        except DrizzlewbError as error:
            self.refuse(str(error))
        else:
            self.refuse("")

    def refuse(self, why: str) -> None:
        """Say beside the field why its value did not reach the session; '' takes it back."""
        self.why.value = escape(why)
        self.why.layout.display = "" if why else "none"
        (self.add_class if why else self.remove_class)("dwb-wrong")

    def _explain(self, on: bool) -> None:
        p = self.parameter
        sentences = [f"{p.meaning[0].upper()}{p.meaning[1:]}.", f"Allowed: {p.allowed}.", p.advice]
        if p.status != "honoured":
            sentences.append(f"{p.status.capitalize()}: {p.reason}.")
        sentences.append(f"Default {self._shown_default()}. Source: {p.source}.")
        self.about.value = escape(" ".join(s for s in sentences if s))
        self.about.layout.display = "" if on else "none"

    # ---------------------------------------------------------------- from the session
    def show(self, value: Any) -> None:
        """Show the session's value; a refused text that is still there gives way to a new value only."""
        p = self.parameter
        shown: Any = text_of(p, value) if isinstance(self.control, W.Text | W.Combobox) else value
        if isinstance(self.control, W.FloatSlider):
            shown = float(value) if value is not None else self.control.min
        self._quiet = True
        try:
            if self.control.value != shown and not (
                self.why.value and value == getattr(self, "_held", value)
            ):
                self.control.value = shown
                self.refuse("")
        finally:
            self._quiet = False
        self._held = value
        changed = value != self.default
        self.add_class("dwb-changed" if changed else "dwb-unchanged")
        self.remove_class("dwb-unchanged" if changed else "dwb-changed")
        self.reset.disabled = not changed


class Form(W.VBox):
    """Fields of some parameters of one task.

    Parameters
    ----------
    task : type
        `ReduceParameters` or `AlignParameters`.
    first : sequence of str
        Names that are always seen, in order.
    folded : sequence of str or mapping
        The rest: names, or titles of folds to names.
    send : callable
        (name, value, live) -> None; see `Field`.
    defaults : Composite, optional
        Values that 'back to the default' brings; DrizzlePac's by default.
    sliders : mapping, optional
        Name to (lowest, highest, step).
    """

    def __init__(
        self,
        task: type[Composite],
        first: Sequence[str],
        folded: Sequence[str] | Mapping[str, Sequence[str]] = (),
        *,
        send: Callable[[str, Any, bool], None],
        defaults: Composite | None = None,
        sliders: Mapping[str, Slider] | None = None,
    ) -> None:
        self.task = task
        self._defaults = defaults if defaults is not None else task()
        self._deliver, self._sliders = send, dict(sliders or {})
        self._parameters: Composite | None = None
        self.made: dict[str, Field] = {}
        folds = folded if isinstance(folded, Mapping) else ({"More parameters": folded} if folded else {})
        self._folds: dict[str, tuple[tuple[str, ...], W.Accordion]] = {}
        children: list[W.Widget] = [*self._column(first)]
        for title, names in folds.items():
            fold = W.Accordion([W.VBox()], titles=(title,), selected_index=None)
            fold.layout = W.Layout(width="auto", margin="2px 2px 2px 0")
            fold.observe(lambda _, title=title: self._unfold(title), "selected_index")
            self._folds[title] = (tuple(names), fold)
            children.append(fold)
        super().__init__(children, layout=W.Layout(width="100%", max_width="480px"))

    def _column(self, names: Sequence[str]) -> list[Field]:
        column = []
        for name in names:
            parameter = self.task.declaration(name)
            field = Field(parameter, name, self._defaults[name], self._deliver, self._sliders.get(name))
            self.made[name] = field
            if self._parameters is not None:
                field.show(self._parameters[name])
            column.append(field)
        return column

    def _unfold(self, title: str) -> None:
        """Make the fields of a fold when it is first opened: each has two dozen widgets."""
        names, fold = self._folds[title]
        if not fold.children[0].children:
            fold.children[0].children = self._column(names)

    @property
    def fields(self) -> dict[str, Field]:
        """All fields, those of closed folds made now."""
        for title in self._folds:
            self._unfold(title)
        return self.made

    def show(self, parameters: Composite) -> None:
        """Show values; fields differ from their defaults in weight and by a line at their left.

        The title of a fold tells how many of its values have been changed.
        """
        self._parameters = parameters
        for name, field in self.made.items():
            field.show(parameters[name])
        for title, (names, fold) in self._folds.items():
            changed = sum(parameters[name] != self._defaults[name] for name in names)
            shown = f"{title} ({changed} changed)" if changed else title
            if fold.titles != (shown,):
                fold.titles = (shown,)

    def __getitem__(self, name: str) -> Field:
        """Field of a parameter; that of a closed fold is made now."""
        for title, (names, _) in self._folds.items():
            if name in names:
                self._unfold(title)
        if name not in self.made:
            known = [*self.made, *(n for names, _ in self._folds.values() for n in names)]
            msg = f"This form has no parameter {name!r}; it has {', '.join(dict.fromkeys(known))}."
            raise ParameterError(msg)
        return self.made[name]

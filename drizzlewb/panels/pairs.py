"""Two sliders for a parameter that is a pair, such as the thresholds of the two passes of driz_cr."""

from collections.abc import Callable
from typing import Any

import ipywidgets as W

from drizzlewb.errors import DrizzlewbError
from drizzlewb.panels.form import Slider
from drizzlewb.parameters.declare import Parameter
from drizzlewb.views.style import escape

__all__ = ["PairField"]


class PairField(W.VBox):
    """A pair of numbers, each on a slider that acts while it is dragged.

    Parameters
    ----------
    parameter : Parameter
        Its declaration; meaning, advice and allowed values are said there.
    default : (float, float)
        What the button on the right brings back.
    send : callable
        (name, value, live) -> None; raises DrizzlewbError if the value is refused.
    slider : Slider
        Lowest, highest value and step.
    words : (str, str)
        What the two numbers are.
    """

    def __init__(
        self,
        parameter: Parameter,
        default: tuple[float, float],
        send: Callable[[str, Any, bool], None],
        slider: Slider,
        words: tuple[str, str] = ("first pass", "beside rays"),
    ) -> None:
        self.parameter, self.default = parameter, default
        self._deliver, self._quiet = send, False
        low, high, step = slider
        self.sliders = tuple(
            W.FloatSlider(
                value=value,
                min=low,
                max=high,
                step=step,
                description=word,
                readout_format=".2f",
                continuous_update=True,
                style={"description_width": "84px"},
                layout=W.Layout(width="auto", max_width="440px"),
                tooltip=f"{parameter.meaning}\n{parameter.allowed}",
            )  # fmt: skip
            for value, word in zip(default, words, strict=True)
        )
        label = W.Label(value=parameter.name, layout=W.Layout(width="auto"))
        label.add_class("dwb-name")
        unit = W.Label(value=parameter.unit if parameter.unit not in ("", "1") else "")
        unit.add_class("dwb-soft")
        self.reset = W.Button(
            icon="undo", tooltip=f"back to {default[0]:g} {default[1]:g}", layout=W.Layout(width="28px")
        )
        self.reset.on_click(lambda _: self._submit(self.default, False))
        self.info = W.ToggleButton(icon="info", tooltip="what it means", layout=W.Layout(width="28px"))
        self.about = W.HTML(layout=W.Layout(display="none"))
        self.about.add_class("dwb-help")
        self.info.observe(lambda change: self._explain(change["new"]), "value")
        self.why = W.HTML(layout=W.Layout(display="none"))
        self.why.add_class("dwb-why")
        head = W.HBox(
            [label, unit, W.HBox([self.reset, self.info], layout=W.Layout(margin="0 0 0 auto"))],
            layout=W.Layout(align_items="center", width="100%"),
        )
        super().__init__(
            [head, *self.sliders, self.why, self.about], layout=W.Layout(width="100%", max_width="460px")
        )
        self.add_class("dwb-field")
        for slider_ in self.sliders:
            slider_.observe(lambda _: self._moved(), "value")

    def _moved(self) -> None:
        if not self._quiet:
            first, second = (s.value for s in self.sliders)
            self._submit((first, second), True)

    def _submit(self, value: tuple[float, float], live: bool) -> None:
        try:
            self._deliver(self.parameter.name, value, live)
        except DrizzlewbError as error:
            self._refuse(str(error))
        else:
            self._refuse("")

    def _refuse(self, why: str) -> None:
        self.why.value = escape(why)
        self.why.layout.display = "" if why else "none"

    def _explain(self, on: bool) -> None:
        p = self.parameter
        default = " ".join(f"{v:g}" for v in self.default)
        words = f"{p.meaning[0].upper()}{p.meaning[1:]}. {p.advice} Default {default}. Source: {p.source}."
        self.about.value = escape(words)
        self.about.layout.display = "" if on else "none"

    def show(self, value: tuple[float, float]) -> None:
        """Show the session's value; a slider that cannot hold it is widened."""
        self._quiet = True
        try:
            for slider, number in zip(self.sliders, value, strict=True):
                slider.min, slider.max = min(slider.min, number), max(slider.max, number)
                if slider.value != number:
                    slider.value = number
        finally:
            self._quiet = False
        changed = tuple(value) != tuple(self.default)
        self.add_class("dwb-changed" if changed else "dwb-unchanged")
        self.remove_class("dwb-unchanged" if changed else "dwb-changed")
        self.reset.disabled = not changed

"""Controls of the comparison: mode, match, and what each mode needs."""

from collections.abc import Sequence
from typing import Any

import ipywidgets as W
import traitlets as tr

from drizzlewb.views.blendview import MODES, BlendView
from drizzlewb.views.matched import MATCHES

__all__ = ["CLICKS", "Controls"]

CLICKS = ("read", "star", "line")
"""What a click does: read values, cut through a star, cut along a line between two clicks."""

_NEEDS = {
    "blink": ("steps",),
    "fade": ("pair", "share"),
    "swipe": ("pair", "share"),
    "red/cyan": ("pair",),
    "RGB": ("channels",),
    "difference": ("pair", "factor"),
}
_HELP = {
    "tile": "Side by side; zoom and pan move all.",
    "blink": "What moves, or is there in one frame only, jumps to the eye. Click the slider, then use ← →.",
    "fade": "From the first to the second.",
    "swipe": "The second at the left of the line, the first at its right.",
    "red/cyan": "Stars that lie on each other are white; shifted ones have a red and a cyan edge.",
    "RGB": "Red for the longer wavelength; each channel is balanced by its own limits unless locked.",
    "difference": "White is zero. A star that is a pair of red and blue is misaligned.",
}
_NONE = [("–", 0), ("– ", 1)]


class Controls(W.VBox):
    """Rows of controls; those that the mode does not need are hidden.

    Parameters
    ----------
    view : HasTraits
        Has mode, match, click, reference, part, playing, rate, and ``step(by)``.
    blend : BlendView
    """

    def __init__(self, view: Any, blend: BlendView) -> None:
        self.blend = blend
        self._number = 0
        self._several = False
        self.modes = W.ToggleButtons(
            options=MODES, tooltips=[_HELP[m] for m in MODES], style={"button_width": "auto"}
        )
        tr.link((view, "mode"), (self.modes, "value"))
        self.matching = _menu(view, "match", MATCHES, "match by", "lay frames onto each other, by what")
        self.referring = _menu(view, "reference", _NONE, "grid of", "frame whose grid and limits others take")
        self.matching.observe(lambda _: self.show_chips(self._several), "value")
        chips = [("chip 1", 0), ("chip 2", 1)]
        self.parting = _menu(view, "part", chips, "", "chip shown when matched by pixel")
        words = [("reads values", "read"), ("cuts a star", "star"), ("cuts between two clicks", "line")]
        self.clicking = _menu(view, "click", words, "a click", "what a click on the image does")
        self.lock = _check(blend, "locked", "same limits", "black and white of the reference for all frames")
        top = _row([self.matching, self.referring, self.parting, self.clicking, self.lock])
        self.rows = {
            "steps": self._steps(view),
            "pair": self._pair(),
            "share": self._share(),
            "factor": self._factor(),
            "channels": self._channels(),
        }
        self.help = W.HTML()
        self.help.add_class("dwb-soft")
        super().__init__([self.modes, top, _row(list(self.rows.values())), self.help])

    def show_rows(self, mode: str) -> None:
        """Show what a mode needs."""
        for name, row in self.rows.items():
            row.layout.display = "" if name in _NEEDS.get(mode, ()) else "none"
        self.help.value = _HELP[mode]

    def show_chips(self, several: bool) -> None:
        """Let a chip be chosen, where frames are matched by pixel and have several."""
        self._several = several
        self.parting.layout.display = "" if several and self.matching.value == "pixel" else "none"

    def offer(self, names: list[tuple[str, int]], parts: int) -> None:
        """Offer these frames in all menus, and as many chips; what was chosen stays if it can."""
        blend = self.blend
        pad = names if len(names) > 1 else [*(names or _NONE[:1]), _NONE[1]]
        last = len(pad) - 1
        reference, part = self.referring.value or 0, self.parting.value or 0
        first = min(blend.first, last)
        second = min(blend.second, last)
        second = second if second != first else int(first == 0)
        # The list is mostly in order of filters: the last in red, the first in blue.
        new = len(names) != self._number
        self._number = len(names)
        middle = 1 if len(names) == 3 else -1
        channels = (last, middle, 0) if new else tuple(min(c, last) for c in blend.channels)
        pairs = (
            (self.referring, min(reference, last)),
            (self.choices["first"], first),
            (self.choices["second"], second),
        )
        for widget, value in pairs:
            widget.options = pad
            widget.value = value
        for widget in self.channels:
            widget.options = [*pad, ("mean of the others", -1)]
        blend.channels = channels
        self._show_channels()
        self.slider.max = max(len(names) - 1, 1)
        self.parting.options = [(f"chip {k + 1}", k) for k in range(max(parts, 2))]
        self.parting.value = min(part, max(parts, 2) - 1)
        self.show_chips(parts > 1)

    # ---------------------------------------------------------------- rows
    def _steps(self, view: Any) -> W.HBox:
        self.slider = W.IntSlider(
            min=0, max=1, readout=False, layout=W.Layout(width="160px"),
            tooltip="click it, then the arrow keys step through the frames",
        )  # fmt: skip
        tr.link((self.blend, "index"), (self.slider, "value"))
        self.back, self.forth = (
            W.Button(icon=f"step-{word}ward", tooltip=tip, layout=W.Layout(width="38px"))
            for word, tip in (("back", "frame before"), ("for", "next frame"))
        )
        self.back.on_click(lambda _: view.step(-1))
        self.forth.on_click(lambda _: view.step(1))
        self.play = W.ToggleButton(
            description="Blink", icon="play", tooltip="blink by itself", layout=W.Layout(width="84px")
        )
        tr.link((view, "playing"), (self.play, "value"))
        rate = W.FloatSlider(
            min=0.5, max=8, step=0.5, description="per second", readout_format=".1f",
            layout=W.Layout(width="240px"),
        )  # fmt: skip
        tr.link((view, "rate"), (rate, "value"))
        return _row([self.back, self.slider, self.forth, self.play, rate])

    def _pair(self) -> W.HBox:
        self.choices = {
            name: _menu(self.blend, name, _NONE, name, f"{name} frame") for name in ("first", "second")
        }
        return _row(list(self.choices.values()))

    def _share(self) -> W.HBox:
        self.share = W.FloatSlider(
            min=0, max=1, step=0.01, readout=False, description="first → second",
            style={"description_width": "initial"}, layout=W.Layout(width="320px"),
        )  # fmt: skip
        tr.link((self.blend, "share"), (self.share, "value"))
        return _row([self.share])

    def _factor(self) -> W.HBox:
        self.factor = W.FloatText(
            description="second ×", layout=W.Layout(width="170px"),
            tooltip="multiplies the second; at first the ratio of exposure times where both count electrons",
        )  # fmt: skip
        tr.link((self.blend, "factor"), (self.factor, "value"))
        return _row([self.factor])

    def _channels(self) -> W.HBox:
        blend = self.blend
        self.channels = [
            W.Dropdown(
                options=_NONE, description=word, tooltip=f"frame in {word}", layout=_fitting(),
                style={"description_width": "initial"},
            )
            for word in ("red", "green", "blue")
        ]  # fmt: skip
        for k, widget in enumerate(self.channels):
            widget.observe(lambda change, k=k: self._channel(k, change["new"]), "value")
        blend.observe(lambda _: self._show_channels(), "channels")
        asinh = _check(blend, "asinh", "asinh, colours kept", "stretch the intensity (Lupton et al. 2004)")
        asinh.layout.width = "160px"
        self.softening = W.FloatLogSlider(
            value=blend.softening, min=-3, max=0, step=0.1, description="softening", readout_format=".3f",
            tooltip="smaller shows fainter things", layout=W.Layout(width="260px"),
        )  # fmt: skip
        self.softening.observe(lambda change: setattr(blend, "softening", change["new"]), "value")
        return _row([*self.channels, asinh, self.softening])

    def _channel(self, which: int, number: int | None) -> None:
        if self._offered and number is not None and self.blend.channels[which] != number:
            channels = list(self.blend.channels)
            channels[which] = number
            self.blend.channels = tuple(channels)

    @property
    def _offered(self) -> bool:
        """Whether the menus have the mean, as they have once frames were offered."""
        return all(-1 in [value for _, value in widget.options] for widget in self.channels)

    def _show_channels(self) -> None:
        for widget, number in zip(self.channels, self.blend.channels, strict=True):
            if widget.value != number and number in [value for _, value in widget.options]:
                widget.value = number


def _fitting() -> W.Layout:
    return W.Layout(width="auto", min_width="120px", max_width="300px")


def _row(children: Sequence[W.Widget]) -> W.HBox:
    return W.HBox(list(children), layout=W.Layout(flex_flow="row wrap", align_items="center"))


def _menu(target: Any, trait: str, options: Sequence[Any], description: str, tip: str) -> W.Dropdown:
    widget = W.Dropdown(
        options=options, description=description, tooltip=tip, layout=_fitting(),
        style={"description_width": "initial"},
    )  # fmt: skip
    tr.link((target, trait), (widget, "value"))
    return widget


def _check(target: Any, trait: str, description: str, tip: str) -> W.Checkbox:
    widget = W.Checkbox(description=description, tooltip=tip, indent=False, layout=W.Layout(width="120px"))
    tr.link((target, trait), (widget, "value"))
    return widget

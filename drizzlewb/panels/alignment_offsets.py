"""The first offset: the 2-D histogram of all pair differences, its peak, and a guess by hand."""

from collections.abc import Callable
from typing import Any

import ipywidgets as W
import numpy as np

from drizzlewb.parameters import AlignParameters
from drizzlewb.steps.solution import Alignment
from drizzlewb.views.frames import array_frame
from drizzlewb.views.image import ImageView
from drizzlewb.views.residuals import offset_words, pairs_at
from drizzlewb.views.style import COLOURS, escape, legend

__all__ = ["OffsetView"]

_AT_PEAK_PX = 2.0


class OffsetView(W.VBox):
    """Offset histogram of the chosen exposure.

    Parameters
    ----------
    guess : callable
        (dx, dy) in px -> None: takes a clicked offset as first guess.
    use : W.Widget
        Button beside it.
    background : bool
        See `ImageView`.
    """

    def __init__(self, guess: Callable[[float, float], Any], use: W.Widget, background: bool = True) -> None:
        self._guess = guess
        self._alignment: Alignment | None = None
        self._shown: tuple[Any, ...] = ()
        self.view = ImageView(size_px=300, tools=False, rest_px=512, background=background)
        self.view.stretch, self.view.limits_by, self.view.colour_map = "sqrt", "min-max", "viridis"
        self.view.figure.axes[0].label, self.view.figure.axes[1].label = "dx (px)", "dy (px)"
        self.view.on_click(self._clicked)
        self.words = W.HTML()
        self.guessed = W.HTML()
        keys = legend(("◯", COLOURS["red"], "peak"), ("✚", COLOURS["orange"], "guess by hand"))
        super().__init__(
            [keys, self.view, self.words, W.HBox([use], layout=W.Layout(margin="4px 0")), self.guessed],
            layout=W.Layout(width="310px"),
        )

    def show(self, alignment: Alignment | None, scale_arcsec: float, parameters: AlignParameters) -> None:
        """Show the histogram of an exposure; None while there is no solution."""
        guess = (parameters.xoffset, parameters.yoffset, parameters.use2dhist)
        if (id(alignment), guess) == self._shown:
            return
        fresh = alignment is not self._alignment
        self._shown, self._alignment = (id(alignment), guess), alignment
        start = alignment.start if alignment is not None else None
        has = start is not None and start.counts.size > 0
        self.view.layout.display = "" if has else "none"
        told = (
            offset_words(alignment, scale_arcsec)
            if alignment is not None
            else ("The histogram of offsets appears here once the exposures were aligned.",)
        )
        self.words.value = "<br>".join(escape(sentence) for sentence in told)
        if has and start is not None and alignment is not None:
            if fresh:
                self._picture(alignment, start)
            self.view.points(
                "peak", *(([start.peak.dx], [start.peak.dy]) if start.peak is not None else ((), ())),
                colour=COLOURS["red"], size=260,
            )  # fmt: skip
        self._show_guess(*guess)

    def _picture(self, alignment: Alignment, start: Any) -> None:
        r = start.counts.shape[0] // 2
        name = f"Offsets from {alignment.reference}"
        frame = array_frame(name, start.counts.astype(np.float32), unit="pairs", origin=(-r, -r))
        self.view.show(frame)
        ends = [-r - 0.5, r + 0.5]
        cross = [np.column_stack([ends, [0, 0]]), np.column_stack([[0, 0], ends])]
        self.view.paths("zero", cross, colour="#ffffff", closed=False, dashed=True)

    def _show_guess(self, dx: float, dy: float, use2dhist: bool) -> None:
        given = bool(dx or dy) or not use2dhist
        self.view.points(
            "guess", *(([dx], [dy]) if given else ((), ())),
            colour=COLOURS["orange"], marker="cross", filled=True, size=90,
        )  # fmt: skip
        if not use2dhist:
            said = (
                f"All exposures start from xoffset, yoffset = ({dx:g}, {dy:g}) px; the histogram is not "
                "asked (use2dhist is off)."
            )
        elif given:
            said = (
                f"xoffset, yoffset = ({dx:g}, {dy:g}) px are set. They count only without the histogram, "
                "and then for all exposures: right for one visit, wrong for two that point differently."
            )
        else:
            said = "Click the histogram to set xoffset and yoffset by hand, where the peak is not believed."
        self.guessed.value = f'<div class="dwb-help">{escape(said)}</div>'

    def _clicked(self, x: float, y: float) -> None:
        alignment = self._alignment
        if alignment is None or alignment.start is None:
            return
        peak = alignment.peak
        if peak is not None and np.hypot(peak.dx - x, peak.dy - y) <= _AT_PEAK_PX:
            x, y = peak.dx, peak.dy
        dx, dy = round(x, 2) + 0.0, round(y, 2) + 0.0
        self._guess(dx, dy)
        number = pairs_at(alignment.start.counts, dx, dy)
        self.view.readout.value = escape(f"{number} pairs at ({dx:+.2f}, {dy:+.2f}) px (3 × 3 bins)")

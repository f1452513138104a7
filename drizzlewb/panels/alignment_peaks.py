"""Peaks of the sources of the chosen exposure, and limits that are dragged over them."""

from collections.abc import Callable
from typing import Any

import bqplot as bq
import ipywidgets as W
import numpy as np

from drizzlewb.steps.sources import Sources
from drizzlewb.views import figures
from drizzlewb.views.brush import Brush
from drizzlewb.views.residuals import peak_histogram, steps_of
from drizzlewb.views.style import COLOURS, escape, legend

__all__ = ["PeakLimits", "all_peaks"]

Limits = tuple[float | None, float | None]


def all_peaks(sources: Sources) -> np.ndarray:
    """Peaks of the sources and of those that peakmin and peakmax have dropped, in the file's unit."""
    lost = [
        r.left_out[why][:, 2] for r in sources.reports for why in ("peakmin", "peakmax") if why in r.left_out
    ]
    return np.concatenate([sources.peak, *lost])


class PeakLimits(W.VBox):
    """Histogram of peaks; what is dragged over it sets peakmin and peakmax.

    Parameters
    ----------
    send : callable
        (peakmin, peakmax, live) -> None.
    """

    def __init__(self, send: Callable[[float | None, float | None, bool], Any]) -> None:
        self._deliver = send
        self._quiet = False
        self._sources: Sources | None = None
        self._limits: Limits = (None, None)
        self._peaks = self._edges = np.empty(0)
        self.unit = ""
        self.x = bq.LogScale(min=1.0, max=10.0)
        self.y = bq.LogScale(min=0.5, max=10.0)
        self.figure = figures.figure(
            "Peaks of the sources",
            "peak",
            "sources in a bin",
            x=self.x,
            y=self.y,
            width_px=520,
            height_px=250,
        )
        self.outline = figures.lines(self.figure, colour=COLOURS["blue"], width=1.5)
        self.outline.fill, self.outline.fill_opacities = "bottom", [0.25]
        self.lines = figures.lines(self.figure, colour=COLOURS["red"], width=1.5, dashed=True)
        self.brush = Brush(self.figure, interval=True, colour=COLOURS["orange"])
        self.brush.observe(lambda _: self._dragged(), ["x", "brushing"])
        self.words = W.HTML()
        self.free = W.Button(description="no limits", tooltip="peakmin = peakmax = None")
        self.free.on_click(lambda _: self._free())
        keys = legend(
            ("▬", COLOURS["blue"], "sources found, before these limits"),
            ("- -", COLOURS["red"], "peakmin, peakmax"),
        )
        super().__init__([keys, self.figure, W.HBox([self.words]), self.free])

    def show(self, sources: Sources | None, unit: str, limits: Limits) -> None:
        """Show the peaks of an exposure's sources, and limits in the file's unit."""
        if sources is not self._sources or unit != self.unit:
            self._sources, self.unit = sources, unit
            self._peaks = all_peaks(sources) if sources is not None else np.empty(0)
            self._edges, counts = peak_histogram(self._peaks)
            x, y = steps_of(self._edges, counts)
            self.figure.axes[0].label = f"peak, sky included ({unit})" if unit else "peak"
            if len(counts):
                for scale, low, high in (
                    (self.x, self._edges[0], self._edges[-1]),
                    (self.y, 0.5, max(2.0 * counts.max(), 2.0)),
                ):
                    with scale.hold_sync():
                        scale.min, scale.max = float(low), float(high)
            with self.outline.hold_sync():
                self.outline.x, self.outline.y = x, y
        elif limits == self._limits:
            return
        self._limits = limits
        self._show_limits()

    def _show_limits(self) -> None:
        low, high = self._limits
        ends = [v for v in (low, high) if v is not None and v > 0]
        with self.lines.hold_sync():
            self.lines.x = np.repeat(np.array(ends, float), 3)
            self.lines.y = np.array([0.5, max(float(self.y.max), 1.0), np.nan] * len(ends))
        if not len(self._edges):
            self.words.value = (
                '<div class="dwb-soft">Peaks appear here once sources were found (Find and align).</div>'
            )
            return
        kept = np.ones(len(self._peaks), bool)
        if low is not None:
            kept &= self._peaks > low
        if high is not None:
            kept &= self._peaks < high
        unit = escape(self.unit)
        self.words.value = (
            f"{int(kept.sum())} of {len(self._peaks)} sources lie within the limits. "
            '<div class="dwb-help">Drag over the histogram to set peakmin and peakmax; drag the middle or '
            f"the ends to change them. They are in {unit}, as in the file. Leave out the faint ones, whose "
            "centres are poor, and saturated stars at the right.</div>"
        )
        if not self.brush.brushing:
            shown = self._range(self._limits)
            if not self.brush.x or not np.allclose(self.brush.x, shown, rtol=1e-6):
                self._quiet = True
                try:
                    self.brush.set(shown)
                finally:
                    self._quiet = False

    def _range(self, limits: Limits) -> tuple[float, float]:
        """Where the brush lies: an open end reaches the border of the plot."""
        low = self._edges[0] if limits[0] is None else np.clip(limits[0], self._edges[0], self._edges[-1])
        high = self._edges[-1] if limits[1] is None else np.clip(limits[1], self._edges[0], self._edges[-1])
        return float(low), float(high)

    def _dragged(self) -> None:
        if self._quiet or not self.brush.x or not len(self._edges):
            return
        low, high = self.brush.x
        # An end at the border of the plot is open.
        peakmin = None if low <= self._edges[0] * 1.01 else float(f"{low:.3g}")
        peakmax = None if high >= self._edges[-1] / 1.01 else float(f"{high:.3g}")
        if (peakmin, peakmax) != self._limits:
            self._deliver(peakmin, peakmax, True)

    def _free(self) -> None:
        self._deliver(None, None, False)

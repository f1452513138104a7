"""Cuts through frames: along a row and a column through a star, or along a line between two points."""

from collections.abc import Sequence

import ipywidgets as W
import numpy as np
from numpy.typing import NDArray

from drizzlewb.views import figures
from drizzlewb.views.matched import Matched
from drizzlewb.views.style import colour_of, legend

__all__ = ["HALF_PX", "CutFigures", "line_cut", "star_cuts"]

HALF_PX = 15


def star_cuts(
    frames: Sequence[Matched], x: float, y: float, half: int = HALF_PX
) -> tuple[NDArray[np.float64], list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Cut all frames along x and along y through a point.

    Parameters
    ----------
    frames : sequence of Matched
    x, y : float
        Point, px of the common grid; its nearest pixel is the middle.
    half : int
        Pixels on either side.

    Returns
    -------
    offsets : ndarray, shape (2 half + 1,)
        Pixels from the middle.
    along_x, along_y : list of ndarray, float32
        Values of each frame; NaN outside.
    """
    offsets = np.arange(-half, half + 1, dtype=float)
    x, y = float(round(x)), float(round(y))
    same = np.zeros_like(offsets)
    return (
        offsets,
        [frame.at(x + offsets, y + same) for frame in frames],
        [frame.at(x + same, y + offsets) for frame in frames],
    )


def line_cut(
    frames: Sequence[Matched], start: tuple[float, float], end: tuple[float, float]
) -> tuple[NDArray[np.float64], list[NDArray[np.float32]]]:
    """Cut all frames along a line.

    Returns
    -------
    distance : ndarray
        Pixels of the common grid from the start, about one apart.
    values : list of ndarray, float32
        Of each frame; NaN outside.
    """
    (x0, y0), (x1, y1) = start, end
    length = float(np.hypot(x1 - x0, y1 - y0))
    t = np.linspace(0.0, 1.0, max(2, int(np.ceil(length)) + 1))
    x, y = x0 + t * (x1 - x0), y0 + t * (y1 - y0)
    return t * length, [frame.at(x, y) for frame in frames]


class CutFigures(W.VBox):
    """Figures of cuts, one line for each frame; empty until something is clicked.

    Attributes
    ----------
    scaled : Checkbox
        Draw each frame from 0 (its lowest value in the cut) to 1, to compare widths where units differ.
    """

    def __init__(self) -> None:
        self.scaled = W.Checkbox(description="each scaled to its peak", indent=False)
        self.scaled.observe(lambda _: self._draw(), "value")
        self.along_x = figures.figure("Along x", "offset (px)", "value", width_px=420, height_px=240)
        self.along_y = figures.figure("Along y", "offset (px)", "value", width_px=420, height_px=240)
        self.names = W.HBox(layout=W.Layout(flex_flow="row wrap"))
        self._cuts: list[tuple[NDArray, list[NDArray]]] = []
        self._frames: list[Matched] = []
        row = W.HBox([self.along_x, self.along_y], layout=W.Layout(flex_flow="row wrap"))
        super().__init__([W.HBox([self.names, self.scaled]), row], layout=W.Layout(display="none"))

    def star(self, frames: Sequence[Matched], x: float, y: float) -> None:
        """Show cuts through a point along x and y."""
        offsets, along_x, along_y = star_cuts(frames, x, y)
        place = f"through x {round(x)}, y {round(y)}"
        self._show(
            frames, [(offsets, along_x), (offsets, along_y)], [f"Along x, {place}", f"Along y, {place}"]
        )

    def line(self, frames: Sequence[Matched], start: tuple[float, float], end: tuple[float, float]) -> None:
        """Show the cut along a line."""
        distance, values = line_cut(frames, start, end)
        told = f"From x {start[0]:.0f}, y {start[1]:.0f} to x {end[0]:.0f}, y {end[1]:.0f}"
        self._show(frames, [(distance, values)], [told])

    def clear(self) -> None:
        """Show nothing."""
        self._cuts = []
        self.layout.display = "none"

    def _show(
        self, frames: Sequence[Matched], cuts: list[tuple[NDArray, list[NDArray]]], titles: list[str]
    ) -> None:
        self._frames, self._cuts = list(frames), cuts
        for k, figure in enumerate((self.along_x, self.along_y)):
            figure.layout.display = "" if k < len(cuts) else "none"
            if k < len(cuts):
                figure.title = titles[k]
                figure.axes[0].label = "offset (px)" if len(cuts) == 2 else "distance (px)"
        self.names.children = (
            legend(*(("┅" if k >= 8 else "━", colour_of(k), f.name) for k, f in enumerate(frames))),
        )
        self.layout.display = ""
        self._draw()

    def _draw(self) -> None:
        units = {f.unit for f in self._frames}
        label = (
            "scaled value" if self.scaled.value else f"value ({units.pop()})" if len(units) == 1 else "value"
        )
        for (places, series), figure in zip(self._cuts, (self.along_x, self.along_y), strict=False):
            figure.marks = []
            figure.axes[1].label = label
            for k, values in enumerate(series):
                # Second round of colours is dashed, so that colour is never all.
                figures.lines(
                    figure, places, _scaled(values) if self.scaled.value else values,
                    colour=colour_of(k), dashed=k >= 8,
                )  # fmt: skip


def _scaled(values: NDArray) -> NDArray:
    good = values[np.isfinite(values)]
    if not good.size or good.max() == good.min():
        return values * 0.0
    return (values - good.min()) / (good.max() - good.min())

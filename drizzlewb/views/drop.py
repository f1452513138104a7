"""What pixfrac means: one input pixel, the drop it is shrunk to, and the output pixels that share it."""

import math
from typing import NamedTuple

import ipywidgets as W
import numpy as np
from numpy.typing import NDArray

from drizzlewb.views import figures
from drizzlewb.views.style import COLOURS, legend, style_sheet

__all__ = ["Drop", "DropExplorer", "DropFigure", "drop_on_grid"]

_FINE = 60  # points along a side of the drop
_PHASE = (0.18, -0.12)


class Drop(NamedTuple):
    """A drop on the output grid, whose pixels are the units.

    `pixel`, `drop` : float64[4, 2], corners (x, y); `x`, `y` : int64, centres of the cells; `share` :
    float64[ny, nx], part of the drop's weight that each cell gets, 1 in all.
    """

    pixel: NDArray[np.float64]
    drop: NDArray[np.float64]
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    share: NDArray[np.float64]


def drop_on_grid(
    scale_ratio: float, turn_deg: float, pixfrac: float, phase: tuple[float, float] = _PHASE
) -> Drop:
    """Lay one input pixel and its drop on the output grid, distortion aside.

    Parameters
    ----------
    scale_ratio : float
        Output pixel over input pixel.
    turn_deg : float
        Angle of the input's x axis on the output grid, counter-clockwise.
    pixfrac : float
        Side of the drop over that of the pixel; 0 is a point.
    phase : (float, float)
        Where the pixel's centre falls in the output pixel at the origin.
    """
    angle, side = math.radians(turn_deg), 1.0 / scale_ratio
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    square = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    centre = np.asarray(phase, float)
    pixel = centre + square @ turn * side
    drop = centre + square @ turn * side * pixfrac
    fine = (np.arange(_FINE) + 0.5) / _FINE - 0.5
    inside = np.stack(np.meshgrid(fine, fine), axis=-1).reshape(-1, 2)
    cells = np.rint(centre + inside @ turn * side * pixfrac).astype(int)
    reach = math.ceil(max(1.5, float(np.abs(pixel).max())))
    x = np.arange(-reach, reach + 1)
    share = np.zeros((x.size, x.size))
    np.add.at(share, (cells[:, 1] + reach, cells[:, 0] + reach), 1.0 / len(cells))
    return Drop(pixel, drop, x, x.copy(), share)


class DropFigure:
    """The picture of `drop_on_grid`.

    Attributes
    ----------
    figure : bqplot.Figure
    legend : ipywidgets.HTML
    shown : Drop or None
    """

    def __init__(self, size_px: int = 300) -> None:
        self.figure = figures.figure(
            "The drop on the output grid", "x (output px)", "y (output px)",
            width_px=size_px, height_px=size_px, square=True,
        )  # fmt: skip
        self.shown: Drop | None = None
        self.cells = figures.heat_map(
            self.figure, np.zeros((3, 3)), [-1, 0, 1], [-1, 0, 1], ("#ffffff00", COLOURS["sky"])
        )
        self.cells.scales["color"].min = 0.0
        self.grid = figures.lines(self.figure, colour=COLOURS["grey"], width=0.8)
        self.pixel = figures.lines(self.figure, colour=COLOURS["red"], width=2.0, dashed=True)
        self.drop = figures.lines(self.figure, colour=COLOURS["blue"], width=2.5)
        self.legend = legend(
            ("┅", COLOURS["red"], "input pixel"),
            ("━", COLOURS["blue"], "drop"),
            ("■", COLOURS["sky"], "its share in each output pixel"),
        )

    def show(self, scale_ratio: float, turn_deg: float, pixfrac: float) -> None:
        """Draw the drop of these choices."""
        made = drop_on_grid(scale_ratio, turn_deg, pixfrac)
        self.shown = made
        edges = np.append(made.x - 0.5, made.x[-1] + 0.5)
        low, high = edges[0], edges[-1]
        ends = np.tile([low, high, np.nan], edges.size)
        at = np.repeat(edges, 3)
        at[2::3] = np.nan
        for scale in (axis.scale for axis in self.figure.axes):
            scale.min, scale.max = float(low), float(high)
        with self.cells.hold_sync():
            self.cells.x, self.cells.y = made.x.astype(float), made.y.astype(float)
            self.cells.color = made.share
        with self.grid.hold_sync():
            self.grid.x, self.grid.y = np.r_[at, ends], np.r_[ends, at]
        for mark, corners in ((self.pixel, made.pixel), (self.drop, made.drop)):
            closed = np.vstack([corners, corners[:1]])
            with mark.hold_sync():
                mark.x, mark.y = closed[:, 0], closed[:, 1]


class DropExplorer(W.VBox):
    """The drop with sliders: what scale ratio, pixfrac and angle do to it.

    Attributes
    ----------
    ratio, pixfrac, turn : FloatSlider
        Scale of the output over that of the input; side of the drop over that of the pixel; degrees.
    drawn : DropFigure
    """

    def __init__(self, scale_ratio: float = 1.0, pixfrac: float = 1.0, turn_deg: float = 25.0) -> None:
        def slider(words: str, value: float, low: float, high: float, step: float) -> W.FloatSlider:
            return W.FloatSlider(
                value, min=low, max=high, step=step, description=words,
                style={"description_width": "90px"}, layout=W.Layout(width="340px"),
            )  # fmt: skip

        self.ratio = slider("scale ratio", scale_ratio, 0.3, 1.5, 0.05)
        self.pixfrac = slider("pixfrac", pixfrac, 0.0, 1.0, 0.05)
        self.turn = slider("angle (deg)", turn_deg, -45.0, 45.0, 1.0)
        self.drawn = DropFigure(360)
        sliders = W.VBox([self.ratio, self.pixfrac, self.turn, self.drawn.legend])
        for made in (self.ratio, self.pixfrac, self.turn):
            made.observe(lambda _: self._draw(), "value")
        super().__init__([style_sheet(), W.HBox([self.drawn.figure, sliders])])
        self.add_class("dwb")
        self._draw()

    def _draw(self) -> None:
        self.drawn.show(self.ratio.value, self.turn.value, self.pixfrac.value)

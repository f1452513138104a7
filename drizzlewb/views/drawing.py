"""Drawing on an image by clicks: a line, a polygon or a circle, seen while it is drawn.

The image says where it was clicked; what comes of a finished shape is for the caller to decide.
"""

import math
from collections.abc import Callable, Sequence

import ipywidgets as W
import numpy as np

from drizzlewb.views.image import ImageView
from drizzlewb.views.style import COLOURS, escape

__all__ = ["DrawTool", "outline"]

Point = tuple[float, float]

_HELP = {
    "": "",
    "line": "Click one end of the trail, then the other. Esc ends it.",
    "polygon": "Click the corners; click the first one again, Enter or Finish. Backspace takes one back.",
    "circle": "Click the centre, then a point on the rim. Esc ends it.",
}
_NEAR = 0.02  # of what is in view: a click on the first corner closes a polygon
_ROUND = np.linspace(0.0, 2.0 * np.pi, 49)


def outline(shape: str, points: Sequence[Point] | np.ndarray, size: float) -> np.ndarray:
    """Closed outline of a shape, shape (n, 2).

    Parameters
    ----------
    shape : {'line', 'polygon', 'circle'}
    points : sequence of (x, y)
    size : float
        Full width of a line, radius of a circle; in the unit of the points. A polygon's margin is not drawn.
    """
    xy = np.asarray(points, float)
    if shape == "circle":
        return xy[0] + size * np.column_stack([np.cos(_ROUND), np.sin(_ROUND)])
    if shape == "polygon" or len(xy) < 2:
        return xy
    along = np.diff(xy, axis=0)
    along /= np.maximum(np.hypot(*along.T), 1e-12)[:, None]
    side = np.column_stack([-along[:, 1], along[:, 0]]) * (size / 2.0)
    sides = np.vstack([side, side[-1:]])  # of each point: that of the piece that begins there
    return np.vstack([xy + sides, (xy - sides)[::-1]])


class DrawTool(W.VBox):
    """Buttons and fields that draw on an image.

    Parameters
    ----------
    view : ImageView
    finished : callable
        (shape, points, size) -> None, when a shape is complete: points in px of the image; size is the
        full width of a line, the radius of a circle or the margin of a polygon, px, dilated as asked.
    width_px, grow_px : float
        First values of the two fields.

    Attributes
    ----------
    shapes : ToggleButtons
        Its value is '' (look), 'line', 'polygon' or 'circle'.
    points : list of (float, float)
        Clicked so far.
    """

    def __init__(
        self,
        view: ImageView,
        finished: Callable[[str, tuple[Point, ...], float], object],
        *,
        width_px: float = 6.0,
        grow_px: float = 4.0,
    ) -> None:
        self._view, self._finished = view, finished
        self.points: list[Point] = []
        self.shapes = W.ToggleButtons(
            options=[("Look", ""), ("Line", "line"), ("Polygon", "polygon"), ("Circle", "circle")],
            tooltips=["zoom, pan and click as usual", *list(_HELP.values())[1:]],
            style=W.ToggleButtonsStyle(button_width="auto"),
        )
        number = {"layout": W.Layout(width="150px"), "style": {"description_width": "80px"}}
        self.width = W.BoundedFloatText(
            value=width_px,
            min=0.5,
            max=500,
            description="width (px)",
            tooltip="full width of a line",
            **number,
        )
        self.grow = W.BoundedFloatText(
            value=grow_px, min=0, max=200, description="dilate (px)",
            tooltip="by how much the shape is grown on every side, to catch its faint wings", **number,
        )  # fmt: skip
        self.finish = W.Button(
            description="Finish", icon="check", disabled=True, tooltip="nothing is being drawn",
            layout=W.Layout(width="auto"),
        )  # fmt: skip
        self.cancel = W.Button(
            description="Cancel", icon="times", disabled=True, tooltip="nothing is being drawn",
            layout=W.Layout(width="auto"),
        )  # fmt: skip
        self.told = W.HTML()
        self.finish.on_click(lambda _: self._finish())
        self.cancel.on_click(lambda _: self.stop())
        self.shapes.observe(lambda _: self._begin(), "value")
        view.on_click(self._clicked)
        view.observe(lambda _: self._hover(), "cursor")
        self._fields = W.HBox(
            [self.width, self.grow, self.finish, self.cancel],
            layout=W.Layout(flex_flow="row wrap", align_items="center", display="none"),
        )
        super().__init__([self.shapes, self._fields, self.told])

    @property
    def active(self) -> bool:
        """Whether clicks draw."""
        return bool(self.shapes.value)

    def stop(self) -> None:
        """Throw away what is half drawn, and look again."""
        self.points.clear()
        self._preview()
        self.shapes.value = ""
        self._begin()

    def _begin(self) -> None:
        shape = self.shapes.value
        self.points.clear()
        self._preview()
        self._view.take_keys(self._key if shape else None)
        self._fields.layout.display = "" if shape else "none"
        self.width.layout.display = "" if shape == "line" else "none"
        self.told.value = f'<span class="dwb-help">{escape(_HELP[shape])}</span>' if shape else ""
        self._show_buttons()

    def _show_buttons(self) -> None:
        enough = self.shapes.value == "polygon" and len(self.points) >= 3
        self.finish.disabled = not enough
        self.finish.tooltip = "close the polygon" if enough else "a polygon needs three corners"
        self.finish.layout.display = "" if self.shapes.value == "polygon" else "none"
        self.cancel.disabled = not self.active
        self.cancel.tooltip = "draw nothing" if self.active else "nothing is being drawn"

    def _clicked(self, x: float, y: float) -> None:
        shape = self.shapes.value
        if not shape:
            return
        first = self.points[0] if self.points else None
        if shape == "polygon" and len(self.points) >= 3 and first is not None and self._near(first, (x, y)):
            self._finish()
            return
        if self.points and math.dist(self.points[-1], (x, y)) < 1e-9:
            return  # the second of a double click
        self.points.append((x, y))
        self._preview()
        self._show_buttons()
        if shape in ("line", "circle") and len(self.points) == 2:
            self._finish()

    def _key(self, key: str) -> None:
        if key == "Escape":
            self.stop()
        elif key == "Enter" and not self.finish.disabled:
            self._finish()
        elif key == "Backspace" and self.points:
            self.points.pop()
            self._preview()
            self._show_buttons()

    def _near(self, a: Point, b: Point) -> bool:
        return math.dist(a, b) <= _NEAR * (self._view.x.max - self._view.x.min)

    def _size(self, points: Sequence[Point]) -> float:
        shape = self.shapes.value
        if shape == "line":
            return self.width.value + 2.0 * self.grow.value
        if shape == "circle":
            return math.dist(points[0], points[1]) + self.grow.value
        return float(self.grow.value)

    def _finish(self) -> None:
        shape, points = self.shapes.value, tuple(self.points)
        size = self._size(points)
        self.stop()
        self._finished(shape, points[:1] if shape == "circle" else points, size)

    def _hover(self) -> None:
        if self.active and self.points:
            self._preview(self._view.cursor)

    def _preview(self, cursor: Sequence[float] = ()) -> None:
        shape = self.shapes.value
        points = [*self.points, *([(cursor[0], cursor[1])] if len(cursor) == 2 else [])]
        paths = []
        if shape and len(points) >= 2:
            paths = [outline(shape, points, self._size(points))]
        self._view.paths("drawing", paths, colour=COLOURS["yellow"], dashed=True)
        x, y = zip(*self.points, strict=True) if self.points else ((), ())
        self._view.points("drawing-points", x, y, colour=COLOURS["yellow"], filled=True, size=40)

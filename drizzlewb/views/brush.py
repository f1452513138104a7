"""A brush over a figure: a box, or an interval along x, dragged with the mouse or clicked at two corners.

bqplot's own brush selectors (0.13.1), and the drag events of bqplot-image-gl, send nothing to Python when
both are installed: their browser parts read another copy of d3's event than the one that is set. Clicks,
moves and `PanZoom` do arrive. So a pan of two hidden scales tells how far the mouse was dragged.
"""

import math
from typing import Any

import bqplot as bq
import numpy as np
import traitlets as tr
from bqplot_image_gl.interacts import MouseInteraction

from drizzlewb.views.style import COLOURS

__all__ = ["Brush"]

_NEAR = 0.03


class Brush(tr.HasTraits):
    """What is brushed over a figure.

    Parameters
    ----------
    figure : Figure
        Its interaction becomes the brush; the scales need limits.
    interval : bool
        Choose an interval along x instead of a box. Its ends, and the whole of it, can be dragged on.
    colour : str

    Attributes
    ----------
    x, y : tuple
        (low, high) in the units of the axes; empty where nothing is brushed. `y` stays empty for an interval.
    brushing : bool
        Whether the mouse still moves.
    """

    x: tuple = tr.Tuple()  # type: ignore[assignment]
    y: tuple = tr.Tuple()  # type: ignore[assignment]
    brushing: bool = tr.Bool(False)  # type: ignore[assignment]

    def __init__(self, figure: bq.Figure, *, interval: bool = False, colour: str = COLOURS["red"]) -> None:
        super().__init__()
        self.interval = interval
        self.scales = figure.axes[0].scale, figure.axes[1].scale
        self._from: tuple[float, float] | None = None
        self._at: tuple[float, float] | None = None
        self._dragged = self._quiet = False
        self._part = ""
        self._before: tuple[float, float] = (0.0, 0.0)
        self.outline = bq.Lines(
            x=np.empty(0), y=np.empty(0), scales={"x": self.scales[0], "y": self.scales[1]}, colors=[colour],
            stroke_width=1.5, fill="inside", fill_colors=[colour], fill_opacities=[0.12],
        )  # fmt: skip
        figure.marks = [*figure.marks, self.outline]
        self.hidden = bq.LinearScale(min=0.0, max=1.0), bq.LinearScale(min=0.0, max=1.0)
        for scale in self.hidden:
            scale.observe(lambda _: self._panned(), ["min", "max"])
        self.mouse = MouseInteraction(
            x_scale=self.scales[0], y_scale=self.scales[1], move_throttle=50, cursor="crosshair",
            events=["click", "mousemove"],
            next=bq.PanZoom(scales={"x": [self.hidden[0]], "y": [self.hidden[1]]}),
        )  # fmt: skip
        self.mouse.on_msg(self.from_mouse)
        figure.interaction = self.mouse

    def set(self, x: tuple[float, float] | tuple[()], y: tuple[float, float] | tuple[()] = ()) -> None:
        """Set what is brushed; empty tuples take the brush away."""
        with self.hold_trait_notifications():
            self.x, self.y = tuple(x), tuple(y)
        self._draw()

    def clear(self) -> None:
        """Take the brush away."""
        self.set((), ())

    def _draw(self) -> None:
        xs, ys = self.x, self.y
        if self.interval and xs:
            ys = (float(self.scales[1].min), float(self.scales[1].max))
        shape = (np.empty(0), np.empty(0))
        if xs and ys:
            shape = (
                np.array([xs[0], xs[1], xs[1], xs[0], xs[0]], float),
                np.array([ys[0], ys[0], ys[1], ys[1], ys[0]], float),
            )
        with self.outline.hold_sync():
            self.outline.x, self.outline.y = shape

    # ---------------------------------------------------------------- from the browser
    def _share(self, value: float, axis: int = 0) -> float:
        """Place along an axis, which may be logarithmic, as a share of it."""
        low, high = float(self.scales[axis].min), float(self.scales[axis].max)
        if isinstance(self.scales[axis], bq.LogScale):
            low, high, value = math.log(low), math.log(high), math.log(max(value, 1e-300))
        return (value - low) / (high - low)

    def _value(self, share: float, axis: int = 0) -> float:
        low, high = float(self.scales[axis].min), float(self.scales[axis].max)
        share = min(max(share, 0.0), 1.0)
        if isinstance(self.scales[axis], bq.LogScale):
            return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        return low + share * (high - low)

    def _shift(self) -> tuple[float, float]:
        """How far the mouse was dragged, as shares of the axes; a turned wheel is no drag."""
        x, y = self.hidden
        if abs(x.max - x.min - 1.0) > 1e-6 or abs(y.max - y.min - 1.0) > 1e-6:
            return 0.0, 0.0
        return -float(x.min), -float(y.min)

    def _reset(self) -> None:
        self._quiet = True
        try:
            for scale in self.hidden:
                with scale.hold_sync():
                    scale.min, scale.max = 0.0, 1.0
        finally:
            self._quiet = False

    def _panned(self) -> None:
        """The mouse was dragged by some more."""
        if self._quiet or self._at is None or self._shift() == (0.0, 0.0):
            return
        # While the button is down no move is told: the last one is where the drag began.
        self._dragged = True
        self._follow(self._at)

    def from_mouse(self, _: Any, content: dict[str, Any], __: Any) -> None:
        """Take a message of the browser: a move or a click."""
        place = content.get("domain") or {}
        try:
            at = float(place["x"]), float(place["y"])
        except (KeyError, TypeError, ValueError):
            return
        if not (math.isfinite(at[0]) and math.isfinite(at[1])):
            return
        if self._dragged:  # the button was let go
            self._end()
        elif content.get("event") == "mousemove" and self._from is not None:
            self._follow(at)
        elif content.get("event") == "click":
            self._clicked(at)
        self._at = at

    def _follow(self, at: tuple[float, float]) -> None:
        """Draw on to a place, from where the drag or the first click was."""
        start = self._from
        if self._dragged:
            dx, dy = self._shift()
            start, at = at, (self._value(self._share(at[0]) + dx), self._value(self._share(at[1], 1) + dy, 1))
        if start is None:
            return
        if not self.brushing:
            self._part = self._grip(start[0]) if self.interval else "new"
            self.brushing = True
        self._move(start, at)

    def _clicked(self, at: tuple[float, float]) -> None:
        """A click is the first or the second corner; two at one place take the brush away."""
        if self._from is None:
            self._from = at
            return
        self._follow(at)
        if self._from == at:
            self.clear()
        self._end()

    def _end(self) -> None:
        self._from, self._dragged = None, False
        self._reset()
        self.brushing = False

    def _grip(self, x: float) -> str:
        """What of an interval is taken hold of: an end, the whole, or nothing of it."""
        if not self.x:
            return "new"
        low, high, here = self._share(self.x[0]), self._share(self.x[1]), self._share(x)
        self._before = (low, high)
        if abs(here - low) <= _NEAR:
            return "low"
        if abs(here - high) <= _NEAR:
            return "high"
        # All of the axis is no interval that could be moved.
        return "whole" if low < here < high and high - low < 0.98 else "new"

    def _move(self, begin: tuple[float, float], at: tuple[float, float]) -> None:
        if not self.interval:
            (x0, x1), (y0, y1) = (sorted(pair) for pair in zip(begin, at, strict=True))
            if x0 < x1 and y0 < y1:
                self.set((x0, x1), (y0, y1))
            return
        start, here = self._share(begin[0]), self._share(at[0])
        low, high = self._before
        if self._part == "low":
            low = min(here, high)
        elif self._part == "high":
            high = max(here, low)
        elif self._part == "whole":
            step = min(max(here - start, -low), 1.0 - high)
            low, high = low + step, high + step
        else:
            low, high = sorted((start, here))
        if high > low:
            self.set((self._value(low), self._value(high)))

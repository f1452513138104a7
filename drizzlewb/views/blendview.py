"""One figure for several frames: blinked, or laid over each other."""

from collections.abc import Sequence
from typing import Any

import bqplot as bq
import ipywidgets as W
import numpy as np
import traitlets as tr
from numpy.typing import NDArray

from drizzlewb.grid import Region
from drizzlewb.views import blending
from drizzlewb.views import stretch as stretching
from drizzlewb.views.image import DRAG_PX, ImageView, put_picture
from drizzlewb.views.matched import Matched

__all__ = ["MODES", "BlendView"]

MODES = ("tile", "blink", "fade", "swipe", "red/cyan", "RGB", "difference")


class BlendView(ImageView):
    """Several frames in one figure.

    For blinking each frame's picture is made and sent once for the view, and then only shown or hidden.

    Attributes
    ----------
    frames : list of Matched
        On one grid.
    mode : str
        One of `MODES`; 'tile' shows the frame `index` alone.
    index : int
        Frame that is shown while blinking.
    first, second : int
        Frames that are faded, swiped, coloured, subtracted.
    channels : (int, int, int)
        Frames in red, green and blue; -1 for the mean of the other two.
    share : float
        How much of the second is seen, 0 to 1.
    locked : bool
        Black and white of the reference for all; else each its own, by `limits_by`.
    asinh : bool
    softening : float
        See `drizzlewb.views.blending.three_colours`.
    factor : float
        The second is multiplied by it before it is subtracted.
    reference : int
        Frame that gives grid and locked limits.
    """

    mode = tr.Enum(MODES, "blink")
    index = tr.Int(0)
    first = tr.Int(0)
    second = tr.Int(1)
    channels = tr.Tuple((0, -1, 1))
    share = tr.Float(0.5)
    locked = tr.Bool(True)
    asinh = tr.Bool(True)
    softening = tr.Float(0.05)
    factor = tr.Float(1.0)

    def __init__(self, **more: Any) -> None:
        self.frames: list[Matched] = []
        self.reference = 0
        self._stack: list[bq.Image] = []
        self._kept: tuple[Any, dict[int, tuple[NDArray, float]]] = (None, {})
        self._own_limits: dict[tuple[int, str], tuple[float, float]] = {}
        super().__init__(**more)
        again = ("mode", "first", "second", "channels", "share", "locked", "asinh", "softening", "factor")
        self.observe(lambda _: self._changed(), list(again))
        self.observe(lambda _: self._show_index(), "index")

    def set_frames(self, frames: Sequence[Matched], reference: int = 0, *, keep_view: bool = False) -> None:
        """Show other frames; `keep_view` leaves zoom and limits as they are."""
        for mark in self._stack:
            mark.image.close()
            mark.close()
        self.frames, self.reference = list(frames), reference
        self._kept, self._own_limits = (None, {}), {}
        self._stack = [
            bq.Image(
                image=W.Image(value=self._picture.value, format="jpeg"), x=[0, 1], y=[0, 1],
                scales={"x": self.x, "y": self.y}, visible=False,
            )
            for _ in frames
        ]  # fmt: skip
        with self.hold_trait_notifications():
            last = max(len(frames) - 1, 0)
            self.index, self.first = min(self.index, last), min(self.first, last)
            self.second = min(self.second, last) if self.second != self.first else min(1, last)
            if frames:
                self.channels = tuple(min(c, last) for c in self.channels)
        self._arrange()
        if frames:
            self.show(frames[reference], keep_view=keep_view)
        self._changed()

    # ---------------------------------------------------------------- what is shown
    def _layer(self, name: str, mark: Any) -> None:
        super()._layer(name, mark)
        self._arrange()

    def _arrange(self) -> None:
        self.figure.marks = [self._image, *self._stack, *self._marks.values()]

    def _changed(self) -> None:
        self._show_index()
        self.refresh()

    @property
    def blinks(self) -> bool:
        """Whether single frames are shown one after the other."""
        return self.mode in ("blink", "tile")

    def _show_index(self) -> None:
        """Show the frame whose turn it is; its picture is in the page already."""
        self._image.visible = not self.blinks or not self._stack
        for k, mark in enumerate(self._stack):
            if self.blinks and k == self.index:
                mark.visible = True
        for k, mark in enumerate(self._stack):
            if not self.blinks or k != self.index:
                mark.visible = False
        self.figure.title = self.caption()

    def caption(self) -> str:
        """Title: what is seen, in words."""
        if not self.frames:
            return ""
        names = [f.name for f in self.frames]
        a, b = names[self.first], names[self.second]
        return {
            "fade": f"{a} → {b}",
            "swipe": f"{b} │ {a}",
            "red/cyan": f"{a} (red), {b} (cyan)",
            "RGB": ", ".join(
                f"{word}: {names[c] if c >= 0 else 'mean'}"
                for word, c in zip("RGB", self.channels, strict=True)
            ),
            "difference": f"{a} − {'' if self.factor == 1 else f'{self.factor:.4g} × '}{b}",
        }.get(self.mode, f"{self.index + 1}: {names[self.index]}")

    # ---------------------------------------------------------------- rendering
    def show(self, frame: Any, *, keep_view: bool = False, moving: bool = False) -> None:
        """Show a frame; see `ImageView.show`."""
        super().show(frame, keep_view=keep_view, moving=moving)
        self.figure.title = self.caption()

    def limits_of(self, number: int) -> tuple[float, float]:
        """Black and white of a frame."""
        if self.locked or number == self.reference:
            return self.low, self.high
        key = (number, self.limits_by)
        if key not in self._own_limits:
            self._own_limits[key] = stretching.limits(self.frames[number].sample(), self.limits_by)
        return self._own_limits[key]

    def _pixels(self, number: int, box: Region, most: int) -> tuple[NDArray[np.float32], float]:
        """Pixels of a frame in view; made once while the view stays."""
        if self._kept[0] != (box, most):
            self._kept = ((box, most), {})
        kept = self._kept[1]
        if number not in kept:
            kept[number] = self.frames[number].binned(box, most)
        return kept[number]

    def _shades(self, number: int, box: Region, most: int, colour_map: str = "") -> tuple[NDArray, float]:
        image, step = self._pixels(number, box, most)
        return stretching.coloured(
            image, *self.limits_of(number), self.stretch, colour_map or self.colour_map
        ), step

    def picture(self, most_px: int | None = None) -> tuple[NDArray[np.uint8], Region]:
        """Colours of what is in view; see `ImageView.picture`."""
        box = self.visible
        if not self.frames or box.empty:
            return np.zeros((1, 1, 3), np.uint8), box
        most = most_px or (DRAG_PX if self.moving else self.rest_px)
        rgb, step = self._blended(box, most)
        ny, nx = round(rgb.shape[0] * step), round(rgb.shape[1] * step)
        return rgb, Region(box.y0, box.y0 + ny, box.x0, box.x0 + nx)

    def _blended(self, box: Region, most: int) -> tuple[NDArray[np.uint8], float]:
        if self.blinks:
            return self._shades(self.index, box, most)
        if self.mode == "RGB":
            return self._three_colours(box, most)
        if self.mode == "difference":
            (a, step), (b, _) = (self._pixels(k, box, most) for k in (self.first, self.second))
            values = blending.difference(a, b, self.factor)
            return blending.difference_picture(values, blending.difference_limit(values)), step
        grey = "gray" if self.mode == "red/cyan" else ""
        one, step = self._shades(self.first, box, most, grey)
        other, _ = self._shades(self.second, box, most, grey)
        if self.mode == "red/cyan":
            return blending.red_cyan(one, other), step
        return (blending.fade if self.mode == "fade" else blending.swipe)(one, other, self.share), step

    def _three_colours(self, box: Region, most: int) -> tuple[NDArray[np.uint8], float]:
        step, images = 1.0, {}
        limits: dict[int, tuple[float, float]] = {}
        for k, number in enumerate(self.channels):
            if number >= 0:
                image, step = self._pixels(number, box, most)
                # Frames in different filters are balanced by their own limits unless locked.
                low, high = limits[k] = self.limits_of(number)
                images[k] = np.asarray((image - low) / (high - low), np.float32)
        if not images:
            return np.zeros((*self._pixels(0, box, most)[0].shape, 3), np.uint8), 1.0
        mean = np.asarray(np.mean(list(images.values()), axis=0), np.float32)
        channels = [images.get(k, mean) for k in range(3)]
        return blending.three_colours(
            channels, [(0.0, 1.0)] * 3, asinh=self.asinh, softening=self.softening
        ), step

    def render(self) -> None:
        """Render what is in view, now: one picture, or for blinking one of each frame."""
        if not self.blinks or not self.frames:
            super().render()
            return
        box = self.visible
        if box.empty:
            return
        number = len(self.frames)
        for k in [(self.index + n) % number for n in range(number)]:
            if self.visible != box or number != len(self._stack):
                return  # the view has moved on: it is rendered again
            rgb, step = self._shades(k, box, DRAG_PX if self.moving else self.rest_px)
            ny, nx = (n * step for n in rgb.shape[:2])
            put_picture(self._stack[k], rgb, 90, (box.x0, box.x0 + nx), (box.y0, box.y0 + ny))

    def close(self) -> None:
        """Stop."""
        self.frames = []
        super().close()

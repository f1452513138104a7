"""The sky drawn by ourselves: offsets on a tangent plane in arcsec, north up and east to the left."""

from collections.abc import Callable, Sequence
from typing import Any

import bqplot as bq
import ipywidgets as W
import numpy as np
from astropy.coordinates import Angle
from bqplot_image_gl.interacts import MouseInteraction

from drizzlewb import distortion
from drizzlewb.views import figures
from drizzlewb.views import stretch as stretching
from drizzlewb.views.frames import Frame
from drizzlewb.views.skylayers import north_up
from drizzlewb.views.style import escape

__all__ = ["SkyPlot"]

_TICKS = 5


class SkyPlot(W.VBox):
    """Paths, points and an image on the sky, with the layers of `drizzlewb.views.aladin.AladinMap`.

    Parameters
    ----------
    on_click : callable
        Called with (ra, dec), degrees.
    size_px : int

    Attributes
    ----------
    center : (float, float)
        RA and Dec of the tangent point, degrees.
    """

    def __init__(self, on_click: Callable[[float, float], None], size_px: int = 460) -> None:
        self._on_click = on_click
        self.center = (0.0, 0.0)
        self._radius = 60.0
        self._kept: dict[str, Any] = {}
        self._marks: dict[str, Any] = {}
        # West grows to the right: a reversed axis would turn images over.
        self.x, self.y = bq.LinearScale(min=-60, max=60), bq.LinearScale(min=-60, max=60)
        self.figure = figures.figure(
            "Sky, north up, east left", "", "", width_px=size_px, height_px=size_px,
            x=self.x, y=self.y, square=True,
        )  # fmt: skip
        self.figure.padding_x = self.figure.padding_y = 0
        self.figure.fig_margin = {"top": 30, "bottom": 44, "left": 66, "right": 22}
        self.figure.axes[1].label_offset = "52px"
        for axis in self.figure.axes:
            axis.num_ticks = None  # round numbers
        self.pan_zoom = bq.PanZoom(scales={"x": [self.x], "y": [self.y]})
        self.mouse = MouseInteraction(
            x_scale=self.x, y_scale=self.y, move_throttle=60, next=self.pan_zoom,
            events=["click", "mousemove", "mouseleave"],
        )  # fmt: skip
        self.mouse.on_msg(self._from_mouse)
        self.figure.interaction = self.mouse
        self.labels = W.ToggleButton(
            description="RA/Dec labels",
            tooltip="label the axes with right ascension and declination, instead of offsets",
            layout=W.Layout(width="120px"),
        )
        self.labels.observe(lambda _: self._label(), "value")
        self.readout = W.HTML()
        self.readout.add_class("dwb-readout")
        for scale in (self.x, self.y):
            scale.observe(lambda _: self._label() if self.labels.value else None, ["min", "max"])
        super().__init__([self.figure, W.HBox([self.labels, self.readout])])
        self._label()

    # ---------------------------------------------------------------- layers
    def look_at(self, ra: float, dec: float, fov_deg: float) -> None:
        """Put the tangent point there and show `fov_deg` of the sky around it."""
        self.center = (float(ra), float(dec))
        half = fov_deg * 1800.0
        with self.x.hold_sync(), self.y.hold_sync():
            self.x.min, self.x.max, self.y.min, self.y.max = -half, half, -half, half
        for draw, args in tuple(self._kept.values()):
            draw(*args)
        self._label()

    def draw_paths(self, layer: str, paths: Sequence[Any], colour: str, *, dashed: bool = False) -> None:
        """Draw closed lines through points on the sky, each of shape (n, 2) in degrees; none clears."""
        self._kept[layer] = (self.draw_paths, (layer, paths, colour))
        parts: list[Any] = []
        for path in paths:
            corners = np.column_stack(self.offsets(*np.asarray(path, float).T))
            parts += [corners, corners[:1], [[np.nan, np.nan]]]
        mark = self._marks.get(layer)
        if mark is None and not parts:
            return  # an empty line would fill the browser's console with complaints
        xy = np.vstack(parts) if parts else np.full((1, 2), np.nan)
        if mark is None:
            mark = bq.Lines(
                x=xy[:, 0], y=xy[:, 1], scales={"x": self.x, "y": self.y}, colors=[colour],
                stroke_width=1.5, line_style="dashed" if dashed else "solid",
            )  # fmt: skip
            self._add(layer, mark)
            return
        with mark.hold_sync():
            mark.x, mark.y = xy[:, 0], xy[:, 1]

    def draw_points(self, layer: str, points: Any, colour: str) -> None:
        """Draw circles around points on the sky, shape (n, 2) in degrees; none clears."""
        self._kept[layer] = (self.draw_points, (layer, points, colour))
        x, y = self.offsets(*np.asarray(points, float).reshape(-1, 2).T)
        mark = self._marks.get(layer)
        if mark is None and not len(x):
            return
        if mark is None:
            mark = bq.Scatter(
                x=x, y=y, scales={"x": self.x, "y": self.y}, colors=[colour], fill=False,
                default_size=36, stroke_width=1.2,
            )  # fmt: skip
            self._add(layer, mark)
            return
        with mark.hold_sync():
            mark.x, mark.y = x, y

    def draw_image(self, frame: Frame, low: float, high: float, stretch: str = "asinh") -> None:
        """Show a frame under the lines, resampled with north up, in place of the one before."""
        image, center, side = north_up(frame)
        rgb = stretching.coloured(image, low, high, stretch, "gray")
        picture = W.Image(value=stretching.jpeg(rgb), format="jpeg")
        self._place(picture, center, side)
        self._kept["image"] = (self._place, (picture, center, side))

    def _place(self, picture: W.Image, center: tuple[float, float], side: float) -> None:
        x, y = (float(v) for v in self.offsets(*center))
        mark = bq.Image(
            image=picture, x=[x - side / 2, x + side / 2], y=[y - side / 2, y + side / 2],
            scales={"x": self.x, "y": self.y},
        )  # fmt: skip
        self._add("image", mark)

    def _add(self, layer: str, mark: Any) -> None:
        self._marks[layer] = mark
        first = [m for n, m in self._marks.items() if n == "image"]
        self.figure.marks = [*first, *(m for n, m in self._marks.items() if n != "image")]

    # ---------------------------------------------------------------- coordinates
    def _plane(self) -> Any:
        return distortion.tan_wcs(self.center, (0.0, 0.0), np.diag([-1.0, 1.0]) / 3600.0)

    def offsets(self, ra: Any, dec: Any) -> tuple[Any, Any]:
        """Offsets on the tangent plane from `center`, arcsec to the west and to the north."""
        return distortion.sky_to_pixel(self._plane(), ra, dec)

    def sky(self, x: Any, y: Any) -> tuple[Any, Any]:
        """RA and Dec (degrees) of offsets in arcsec."""
        return distortion.pixel_to_sky(self._plane(), x, y)

    def _label(self) -> None:
        x_axis, y_axis = self.figure.axes
        if not self.labels.value:
            x_axis.label, y_axis.label = "east  ←  offset (arcsec)  →  west", "offset to the north (arcsec)"
            for axis in (x_axis, y_axis):
                with axis.hold_sync():
                    axis.tick_values, axis.tick_labels = None, None
            return
        x_axis.label, y_axis.label = "right ascension (h:m:s)", "declination (d:m:s)"
        x = np.linspace(self.x.min, self.x.max, _TICKS)[1:-1]
        y = np.linspace(self.y.min, self.y.max, _TICKS + 1)[1:-1]
        ra, _ = self.sky(x, np.full_like(x, 0.5 * (self.y.min + self.y.max)))
        _, dec = self.sky(np.full_like(y, 0.5 * (self.x.min + self.x.max)), y)
        for axis, places, texts in (
            (x_axis, x, [_hours(v, 2) for v in ra]),
            (y_axis, y, [_degrees(v, 0) for v in dec]),
        ):
            with axis.hold_sync():
                axis.tick_values = places
                axis.tick_labels = {str(v): t for v, t in zip(places, texts, strict=True)}

    def _from_mouse(self, _: Any, content: dict[str, Any], __: Any) -> None:
        event, place = content.get("event"), content.get("domain") or {}
        if event == "mouseleave":
            self.readout.value = ""
            return
        try:
            ra, dec = (float(v) for v in self.sky(float(place["x"]), float(place["y"])))
        except (KeyError, TypeError, ValueError):
            return
        if not np.isfinite((ra, dec)).all():
            return
        self.readout.value = escape(f" {_hours(ra, 3)} {_degrees(dec, 2)}")
        if event == "click":
            self._on_click(ra, dec)


def _hours(ra: float, precision: int) -> str:
    return str(Angle(ra, "deg").to_string("hour", sep=":", precision=precision, pad=True))


def _degrees(dec: float, precision: int) -> str:
    return str(Angle(dec, "deg").to_string("deg", sep=":", precision=precision, alwayssign=True, pad=True))

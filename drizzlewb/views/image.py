"""An image in a figure: stretched, zoomed, panned, read out and drawn upon.

The browser gets a JPEG of what is in view, never the whole frame: at most `DRAG_PX` along a side while
something moves, `REST_PX` at rest. Sources, footprints and drawings are vectors above it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import bqplot as bq
import ipywidgets as W
import numpy as np
import traitlets as tr
from bqplot_image_gl.interacts import MouseInteraction
from numpy.typing import NDArray

from drizzlewb.errors import DrizzlewbError
from drizzlewb.grid import Region
from drizzlewb.session.work import Handle, Worker
from drizzlewb.views import stretch as stretching
from drizzlewb.views.frames import Frame, binned
from drizzlewb.views.style import COLOURS, escape
from drizzlewb.views.ticks import keep_ticks_round

__all__ = ["DRAG_PX", "REST_PX", "ImageView", "put_picture"]

log = logging.getLogger(__name__)

DRAG_PX = 512
REST_PX = 1024
MOST_PX = 2048
_TINT = 0.6
_MOUSE = ["click", "mousemove", "mouseleave"]


@dataclass(frozen=True)
class _Tint:
    words: Callable[[Region], NDArray[np.uint16]]
    bits: int
    colour: tuple[int, int, int]


class ImageView(W.VBox):
    """A frame in a figure with its tools.

    Parameters
    ----------
    size_px : int
        Side of the figure on the page.
    tools : bool
        Whether the row of tools (stretch, limits, colours, DQ) is shown.
    rest_px : int
        Pixels along a side that are sent at rest, at most 2048.
    background : bool
        Render in a thread of its own; False renders at once, for tests and reports.
    scales : (Scale, Scale), optional
        x and y of another view, so that both are zoomed and panned as one.

    Attributes
    ----------
    stretch, limits_by, colour_map : str
        See `drizzlewb.views.stretch`.
    low, high : float
        Values that are black and white; setting them turns `limits_by` to 'by hand'.
    dq_bits : int
        DQ bits that are tinted.
    frame : Frame or None
    cursor : tuple
        (x, y) under the pointer, zero-based px of the frame; empty outside.
    """

    stretch = tr.Enum(stretching.STRETCHES, "asinh")
    limits_by = tr.Enum(stretching.LIMITS, "99.5 %")
    colour_map = tr.Enum(stretching.COLOUR_MAPS, "gray")
    low = tr.Float(0.0)
    high = tr.Float(1.0)
    dq_bits = tr.Int(0)
    frame = tr.Any(None, allow_none=True)
    cursor = tr.Tuple()

    def __init__(
        self,
        frame: Frame | None = None,
        *,
        size_px: int = 520,
        tools: bool = True,
        rest_px: int = REST_PX,
        background: bool = True,
        scales: tuple[bq.LinearScale, bq.LinearScale] | None = None,
    ) -> None:
        self._worker = Worker("drizzlewb-view", newest_wins=True) if background else None
        self._sample: NDArray[np.float32] = np.empty(0, np.float32)
        self._tints: dict[str, _Tint] = {}
        self._marks: dict[str, Any] = {}
        self._on_click: list[Callable[[float, float], None]] = []
        self._on_key: Callable[[str], None] | None = None
        self._settling = False
        self.rest_px = min(rest_px, MOST_PX)
        self.moving = False

        self.x, self.y = scales or (bq.LinearScale(min=0.0, max=1.0), bq.LinearScale(min=0.0, max=1.0))
        self._picture = W.Image(value=_blank(), format="jpeg")
        self._image = bq.Image(image=self._picture, x=[0, 1], y=[0, 1], scales={"x": self.x, "y": self.y})
        axes = [
            bq.Axis(scale=self.x, label="x (px)", grid_lines="none", num_ticks=5, label_offset="32px"),
            bq.Axis(
                scale=self.y, label="y (px)", side="left", grid_lines="none", num_ticks=5, label_offset="46px"
            ),
        ]  # fmt: skip
        self.pan_zoom = bq.PanZoom(scales={"x": [self.x], "y": [self.y]})
        self.mouse = MouseInteraction(
            x_scale=self.x, y_scale=self.y, move_throttle=60, next=self.pan_zoom,
            events=_MOUSE,
        )  # fmt: skip
        self.mouse.on_msg(self._from_mouse)
        self.figure = bq.Figure(
            marks=[self._image], axes=axes, interaction=self.mouse, title="",
            fig_margin={"top": 30, "bottom": 44, "left": 60, "right": 14},
            min_aspect_ratio=1.0, max_aspect_ratio=1.0, padding_x=0, padding_y=0,
            layout=W.Layout(width=f"{size_px}px", height=f"{size_px}px", max_width="100%"),
        )  # fmt: skip
        keep_ticks_round(self.figure)
        self.figure.add_class("dwb-image")
        self.readout = W.HTML()
        self.readout.add_class("dwb-readout")
        self.tools = self._tools()
        self.tools.layout.display = "" if tools else "none"
        self.empty = W.HTML('<span class="dwb-soft">Nothing to show yet.</span>')
        for part in (self.tools, self.figure):
            part.add_class("dwb-unseen")  # it keeps its size: bqplot would not find it again
        super().__init__(
            [self.empty, self.tools, self.figure, self.readout],
            layout=W.Layout(width=f"{size_px}px", max_width="100%"),
        )
        for name in ("stretch", "colour_map", "low", "high", "dq_bits"):
            self.observe(lambda _: self.refresh(), name)
        self.observe(lambda _: self._limits_changed(), "limits_by")
        for scale in (self.x, self.y):
            scale.observe(lambda _: self._zoomed(), ["min", "max"])
        if frame is not None:
            self.show(frame)

    # ---------------------------------------------------------------- what is shown
    def show(self, frame: Frame, *, keep_view: bool = False, moving: bool = False) -> None:
        """Show a frame.

        Parameters
        ----------
        frame : Frame
        keep_view : bool
            Leave zoom and limits as they are, as when only the pixels have changed.
        moving : bool
            Something is being dragged: send fewer pixels until the next call without it.
        """
        keep = keep_view and self.frame is not None
        self.empty.layout.display = "none"
        for part in (self.tools, self.figure):
            part.remove_class("dwb-unseen")
        self.frame = frame
        self.moving = moving
        self.figure.title = frame.name
        if not keep:
            self._sample = frame.sample()
            self._dq_menu.options = (
                [(f"{f.name} ({f.value})", f.value) for f in frame.flags.flags] if (frame.flags) else []
            )
            self._dq_menu.layout.display = self._dq_button.layout.display = "" if frame.dq else "none"
            if not self._dq_button.value:
                self._dq_menu.layout.display = "none"
            self._take_limits()
            self.fit()
        self.refresh()

    def fit(self) -> None:
        """Show the whole frame."""
        if self.frame is not None:
            self.look_at(self.frame.region)

    def look_at(self, region: Region) -> None:
        """Zoom to a region, with square pixels around it."""
        ny, nx = region.shape
        half = max(ny, nx) / 2.0
        x, y = (region.x0 + region.x1 - 1) / 2.0, (region.y0 + region.y1 - 1) / 2.0
        self._settling = True
        try:
            with self.x.hold_sync(), self.y.hold_sync():
                self.x.min, self.x.max = x - half, x + half
                self.y.min, self.y.max = y - half, y + half
        finally:
            self._settling = False
        self.refresh()

    def center_on(self, x: float, y: float, size: float = 40.0) -> None:
        """Zoom to a square of `size` px around a point."""
        half = size / 2.0
        self.look_at(Region(round(y - half), round(y + half), round(x - half), round(x + half)))

    @property
    def visible(self) -> Region:
        """Pixels of the frame that are in view; empty without a frame."""
        if self.frame is None:
            return Region(0, 0, 0, 0)
        box = Region(
            int(np.floor(self.y.min + 0.5)), int(np.ceil(self.y.max + 0.5)),
            int(np.floor(self.x.min + 0.5)), int(np.ceil(self.x.max + 0.5)),
        )  # fmt: skip
        return box.intersect(self.frame.region)

    def tint(
        self,
        name: str,
        words: Callable[[Region], NDArray[np.uint16]] | None,
        colour: str = COLOURS["red"],
        bits: int = 0xFFFF,
    ) -> None:
        """Lay a transparent colour over pixels; None takes it away.

        Parameters
        ----------
        name : str
            By which it is replaced or taken away.
        words : callable or None
            Region -> uint16; pixels are tinted where any of `bits` is set.
        """
        if words is None:
            self._tints.pop(name, None)
        else:
            self._tints[name] = _Tint(words, bits, _rgb(colour))
        self.refresh()

    def points(
        self,
        name: str,
        x: Any = (),
        y: Any = (),
        *,
        colour: str = COLOURS["orange"],
        marker: str = "circle",
        filled: bool = False,
        size: int = 60,
        label: str = "",
    ) -> None:
        """Draw points at pixels; none takes the layer away."""
        self._layer(
            name,
            None if len(x) == 0 else bq.Scatter(
                x=np.asarray(x, float), y=np.asarray(y, float), scales={"x": self.x, "y": self.y},
                colors=[colour], fill=filled, marker=marker, default_size=size, stroke_width=1.5,
                labels=[label] if label else [], display_legend=bool(label),
            ),
        )  # fmt: skip

    def paths(
        self,
        name: str,
        paths: Sequence[Any] = (),
        *,
        colour: str = COLOURS["sky"],
        closed: bool = True,
        label: str = "",
        dashed: bool = False,
    ) -> None:
        """Draw lines through pixels, each of shape (n, 2); none takes the layer away."""
        parts: list[Any] = []
        for path in paths:
            corners = np.asarray(path, float)
            parts += [corners, corners[:1] if closed else corners[:0], [[np.nan, np.nan]]]
        line = None
        if parts:
            xy = np.vstack(parts)
            held = self._marks.get(name)
            if held is not None and not label:  # moved, as while something is drawn: no new mark
                with held.hold_sync():
                    held.x, held.y, held.colors = xy[:, 0], xy[:, 1], [colour]
                    held.line_style = "dashed" if dashed else "solid"
                return
            line = bq.Lines(
                x=xy[:, 0], y=xy[:, 1], scales={"x": self.x, "y": self.y}, colors=[colour], stroke_width=1.5,
                line_style="dashed" if dashed else "solid",
                labels=[label] if label else [], display_legend=bool(label),
            )  # fmt: skip
        self._layer(name, line)

    def _layer(self, name: str, mark: Any) -> None:
        if mark is None and name not in self._marks:
            return
        if mark is None:
            del self._marks[name]
        else:
            self._marks[name] = mark
        self.figure.marks = [self._image, *self._marks.values()]

    def on_click(self, callback: Callable[[float, float], None]) -> None:
        """Call back with (x, y), zero-based px, when the image is clicked."""
        self._on_click.append(callback)

    def take_keys(self, callback: Callable[[str], None] | None) -> None:
        """Call back with the name of each key pressed over the image ('Escape', 'a'); None ends it.

        The page gets no keys while the pointer is there, not even Tab: take them no longer than needed.
        """
        self._on_key = callback
        # mouseenter: the figure has the focus before the first click
        self.mouse.events = [*_MOUSE, "mouseenter", "keydown"] if callback else _MOUSE

    # ---------------------------------------------------------------- rendering
    def refresh(self) -> None:
        """Render what is in view again, soon."""
        if self.frame is None or self._settling:
            return
        if self._worker is None:
            self.render()
        else:
            self._worker.submit(Handle("render", "view", (), lambda _: self._render_or_say()))

    def _render_or_say(self) -> None:
        try:
            self.render()
        except (DrizzlewbError, OSError) as error:
            self.readout.value = f'<span class="dwb-why">{escape(error)}</span>'

    def picture(self, most_px: int | None = None) -> tuple[NDArray[np.uint8], Region]:
        """Colours of what is in view, shape (ny, nx, 3), the lowest row first, and where it lies."""
        box = self.visible
        if self.frame is None or box.empty:
            return np.zeros((1, 1, 3), np.uint8), box
        most = most_px or (DRAG_PX if self.moving else self.rest_px)
        image, step = self.frame.binned(box, most)
        rgb = stretching.coloured(image, self.low, self.high, self.stretch, self.colour_map)
        tints = list(self._tints.values())
        if self.dq_bits and self.frame.dq is not None:
            tints.append(_Tint(self.frame.dq, self.dq_bits, _rgb(COLOURS["red"])))
        for tint in tints:
            words, _ = binned(np.ascontiguousarray(tint.words(box), np.uint16) & np.uint16(tint.bits), most)
            where = words != 0
            rgb[where] = (rgb[where] * (1 - _TINT) + np.array(tint.colour) * _TINT).astype(np.uint8)
        ny, nx = round(rgb.shape[0] * step), round(rgb.shape[1] * step)
        return rgb, Region(box.y0, box.y0 + ny, box.x0, box.x0 + nx)

    def render(self) -> None:
        """Render what is in view, now."""
        rgb, box = self.picture()
        if box.empty:
            return
        self._picture = put_picture(
            self._image, rgb, 80 if self.moving else 92, (box.x0, box.x1), (box.y0, box.y1)
        )

    # ---------------------------------------------------------------- tools
    def _tools(self) -> W.HBox:
        def menu(trait: str, options: Sequence[str], width: str, tip: str) -> W.Dropdown:
            widget = W.Dropdown(options=options, layout=W.Layout(width=width), tooltip=tip)
            tr.link((self, trait), (widget, "value"))
            return widget

        self._low = W.FloatText(layout=W.Layout(width="84px"), tooltip="black: the lowest value shown")
        self._high = W.FloatText(layout=W.Layout(width="84px"), tooltip="white: the highest value shown")
        for widget, trait in ((self._low, "low"), (self._high, "high")):
            widget.observe(lambda change, trait=trait: self._limit_typed(trait, change["new"]), "value")
        fit = W.Button(icon="expand", tooltip="show the whole frame", layout=W.Layout(width="34px"))
        fit.on_click(lambda _: self.fit())
        self._dq_button = W.ToggleButton(
            description="DQ",
            tooltip="tint data-quality flags by name",
            layout=W.Layout(width="44px", display="none"),
        )
        self._dq_menu = W.SelectMultiple(
            rows=6, layout=W.Layout(width="190px", display="none"), tooltip="flags to tint"
        )
        self._dq_button.observe(lambda change: self._show_dq(change["new"]), "value")
        self._dq_menu.observe(
            lambda change: setattr(self, "dq_bits", int(np.bitwise_or.reduce([0, *change["new"]]))), "value"
        )
        return W.HBox(
            [
                menu("stretch", stretching.STRETCHES, "84px", "stretch: how values become shades"),
                menu("limits_by", stretching.LIMITS, "88px", "how black and white are chosen"),
                self._low, self._high,
                menu("colour_map", stretching.COLOUR_MAPS, "88px", "colours"),
                fit, self._dq_button, self._dq_menu,
            ],
            layout=W.Layout(flex_flow="row wrap"),
        )  # fmt: skip

    def _show_dq(self, on: bool) -> None:
        self._dq_menu.layout.display = "" if on else "none"
        if not on:
            self._dq_menu.value = ()

    def _limit_typed(self, trait: str, value: float) -> None:
        if self._settling or value == getattr(self, trait):
            return
        low, high = (value, self.high) if trait == "low" else (self.low, value)
        if not low < high:
            self.readout.value = (
                f'<span class="dwb-why">black ({low:g}) must lie below white ({high:g})</span>'
            )
            return
        self.set_limits(low, high)

    def set_limits(self, low: float, high: float) -> None:
        """Set black and white by hand."""
        self._settling = True
        try:
            self.limits_by = "by hand"
            self.low, self.high = float(low), float(high)
            self._low.value, self._high.value = self.low, self.high
        finally:
            self._settling = False
        self.refresh()

    def _limits_changed(self) -> None:
        if not self._settling:
            self._take_limits()
            self.refresh()

    def _take_limits(self) -> None:
        if self.limits_by == "by hand" and self.low < self.high and (self.low, self.high) != (0.0, 1.0):
            return
        low, high = stretching.limits(self._sample, self.limits_by)
        self._settling = True
        try:
            self.low, self.high = low, high
            self._low.value, self._high.value = float(f"{low:.5g}"), float(f"{high:.5g}")
        finally:
            self._settling = False

    def _zoomed(self) -> None:
        self.refresh()

    def _from_mouse(self, _: Any, content: dict[str, Any], __: Any) -> None:
        event, place = content.get("event"), content.get("domain") or {}
        if event == "mouseleave":
            self.cursor = ()
            self.readout.value = ""
            return
        if event == "keydown":
            if self._on_key is not None:
                self._on_key(str(content.get("key", "")))
            return
        try:
            x, y = float(place["x"]), float(place["y"])
        except (KeyError, TypeError, ValueError):
            return
        self.cursor = (x, y)
        self.readout.value = self.told(x, y)
        if event == "click":
            for callback in tuple(self._on_click):
                try:
                    callback(x, y)
                except DrizzlewbError as error:
                    self.readout.value = f'<span class="dwb-why">{escape(error)}</span>'

    def told(self, x: float, y: float) -> str:
        """What there is to say of a pixel: place, sky, value, DQ names; HTML."""
        frame = self.frame
        if frame is None:
            return ""
        parts = [f"x {x:.1f} y {y:.1f}"]
        if frame.to_sky is not None:
            from astropy.coordinates import Angle

            ra, dec = (float(v) for v in frame.to_sky(x, y))
            if np.isfinite(ra):
                parts.append(
                    f"{Angle(ra, 'deg').to_string('hour', sep=':', precision=3, pad=True)} "
                    f"{Angle(dec, 'deg').to_string('deg', sep=':', precision=2, alwayssign=True, pad=True)}"
                )
        try:
            value = frame.value(x, y)
            names = frame.dq_names(x, y)
        except (DrizzlewbError, OSError) as error:
            return f'<span class="dwb-why">{escape(error)}</span>'
        parts.append(f"{value:.5g} {frame.unit}".strip() if np.isfinite(value) else "no value")
        if names:
            parts.append("DQ: " + ", ".join(names))
        return "&nbsp; ".join(escape(part) for part in parts)


def put_picture(
    mark: bq.Image, rgb: NDArray[np.uint8], quality: int, x: tuple[float, float], y: tuple[float, float]
) -> W.Image:
    """Give an image mark another picture, of the pixels from ``x[0]`` to before ``x[1]``, and so for y.

    bqplot draws a picture when it is another widget; new bytes in the old one would not be seen.
    """
    old, new = mark.image, W.Image(value=stretching.jpeg(rgb, quality), format="jpeg")
    with mark.hold_sync():
        mark.image = new
        mark.x, mark.y = [x[0] - 0.5, x[1] - 0.5], [y[0] - 0.5, y[1] - 0.5]
    old.close()
    return new


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _blank() -> bytes:
    return stretching.jpeg(np.full((2, 2, 3), 128, np.uint8))

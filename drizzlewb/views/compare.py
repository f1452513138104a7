"""Frames beside each other and over each other: what is done in ds9 with match, blink and lock."""

from collections.abc import Sequence

import ipywidgets as W
import traitlets as tr

from drizzlewb.errors import DataError, DrizzlewbError
from drizzlewb.session import Session
from drizzlewb.session.work import Handle, Worker
from drizzlewb.views.blendview import MODES, BlendView
from drizzlewb.views.clock import Clock
from drizzlewb.views.compare_controls import CLICKS, Controls
from drizzlewb.views.cuts import CutFigures
from drizzlewb.views.image import ImageView
from drizzlewb.views.items import session_items
from drizzlewb.views.matched import MATCHES, Item, Matched, matched, readings
from drizzlewb.views.style import escape, style_sheet

__all__ = ["MOST_FRAMES", "CompareView", "compare"]

MOST_FRAMES = 12

_TILE_PX = {1: 520, 2: 420, 3: 290, 4: 420}


class CompareView(W.VBox):
    """Two to twelve frames compared.

    Parameters
    ----------
    items : sequence of Item
        See `drizzlewb.views.items`.
    match : {'sky', 'pixel'}
    background : bool
        Render and read in threads; False at once, for tests.

    Attributes
    ----------
    mode, match, click : str
        One of `MODES`, `MATCHES`, `CLICKS`.
    reference, part : int
        Frame that gives the grid; chip that is shown when matched by pixel.
    playing : bool
        Whether it blinks by itself, `rate` times a second.
    frames : list of Matched
    blend : BlendView
    tiles : list of ImageView
    cuts : CutFigures
    """

    mode = tr.Enum(MODES, "blink")
    match = tr.Enum(MATCHES, "sky")
    click = tr.Enum(CLICKS, "read")
    reference = tr.Int(0)
    part = tr.Int(0)
    playing = tr.Bool(False)
    rate = tr.Float(2.0)

    def __init__(
        self, items: Sequence[Item] = (), *, match: str = "sky", background: bool = True, size_px: int = 560
    ) -> None:
        self.items: list[Item] = []
        self.frames: list[Matched] = []
        self.tiles: list[ImageView] = []
        self.size_px = size_px
        self._background = background
        self._reader = Worker("drizzlewb-read", newest_wins=True) if background else None
        self._clock = Clock(lambda: self.step(1))
        self._offering = False
        self._start: tuple[float, float] | None = None
        self.blend = BlendView(size_px=size_px, background=background)
        self.blend.observe(lambda change: self._read(change["new"]), "cursor")
        self.blend.on_click(self._clicked)
        self.cuts = CutFigures()
        self.controls = Controls(self, self.blend)
        self.why = W.HTML()
        self.values = W.HTML()
        self.values.add_class("dwb-scroll")
        self.tile_box = W.HBox(layout=W.Layout(flex_flow="row wrap", display="none"))
        super().__init__(
            [
                style_sheet(), self.controls, self.why, self.blend.tools, self.blend.figure,
                self.tile_box, self.blend.readout, self.values, self.cuts,
            ],
            layout=W.Layout(width="100%"),
        )  # fmt: skip
        self.add_class("dwb")
        self.observe(lambda _: self._enter_mode(), "mode")
        self.observe(lambda _: self._lay_out(keep_view=False), ["match", "part"])
        self.observe(lambda _: self._lay_out(keep_view=False), "reference")
        self.observe(lambda _: self._run_clock(), ["playing", "rate"])
        self.blend.observe(lambda _: self._take_factor(), ["first", "second"])
        for trait in ("stretch", "colour_map", "low", "high", "limits_by", "locked"):
            self.blend.observe(lambda _: self._show_tiles(), trait)
        self.match = match
        self.show(items)

    # ---------------------------------------------------------------- what is shown
    def show(self, items: Sequence[Item], *, keep_view: bool = False) -> None:
        """Show other items, at most twelve.

        Raises
        ------
        DataError
            Too many, or one that cannot be matched by the sky.
        """
        if len(items) > MOST_FRAMES:
            msg = f"{len(items)} frames are more than the {MOST_FRAMES} that can be compared at once."
            raise DataError(msg)
        if items:
            matched(items, self.match, reference=min(self.reference, len(items) - 1), part=self.part)
        self.items = list(items)
        self._offering = True
        try:
            parts = max((len(item.parts) for item in items), default=1)
            self.controls.offer([(f"{k + 1}: {item.name}", k) for k, item in enumerate(items)], parts)
        finally:
            self._offering = False
        self.cuts.clear()
        self.values.value = ""
        self._lay_out(keep_view=keep_view)

    def _lay_out(self, *, keep_view: bool) -> None:
        if self._offering:
            return
        self.why.value = ""
        try:
            self.frames = (
                matched(self.items, self.match, reference=self.reference, part=self.part)
                if self.items
                else []
            )
        except DrizzlewbError as error:
            self.why.value = f'<span class="dwb-why">{escape(error)}</span>'
            return
        self.blend.set_frames(self.frames, self.reference, keep_view=keep_view)
        if not keep_view:
            self._take_factor()
        self._make_tiles()
        self._enter_mode()

    def _take_factor(self) -> None:
        """Suggest what the second frame is multiplied by before it is subtracted."""
        if len(self.items) > 1:
            self.blend.factor = _ratio(self.items[self.blend.first], self.items[self.blend.second])

    def _make_tiles(self) -> None:
        for tile in self.tiles:
            tile.close()
        number = len(self.frames)
        side = _TILE_PX.get(number, 290)
        self.tiles = [
            ImageView(
                size_px=side, tools=False, rest_px=512 if number > 4 else 768,
                background=self._background, scales=(self.blend.x, self.blend.y),
            )
            for _ in self.frames
        ]  # fmt: skip
        for tile in self.tiles:
            tile.readout.layout.display = "none"
            tile.observe(lambda change: self._read(change["new"]), "cursor")
            tile.on_click(self._clicked)
        self.tile_box.children = tuple(tile.figure for tile in self.tiles)

    def _enter_mode(self) -> None:
        tiled = self.mode == "tile"
        self.blend.figure.layout.display = "none" if tiled else ""
        self.tile_box.layout.display = "" if tiled else "none"
        self.controls.show_rows(self.mode)
        if self.mode != "blink":
            self.playing = False
        if tiled:
            self._show_tiles()
        else:
            self.blend.mode = self.mode

    def _show_tiles(self) -> None:
        """Bring the tiles up to date with stretch and limits, if they are looked at."""
        if self.mode != "tile":
            return
        for k, (tile, frame) in enumerate(zip(self.tiles, self.frames, strict=True)):
            tile.stretch, tile.colour_map = self.blend.stretch, self.blend.colour_map
            tile.set_limits(*self.blend.limits_of(k))
            tile.show(frame, keep_view=True)
            tile.figure.title = f"{k + 1}: {frame.name}"

    # ---------------------------------------------------------------- blinking
    def step(self, by: int) -> None:
        """Go to the next (1) or the last (-1) frame."""
        if self.frames:
            self.blend.index = (self.blend.index + by) % len(self.frames)

    def _run_clock(self) -> None:
        self._clock.rate = self.rate
        if self.playing and len(self.frames) > 1:
            self._clock.start()
        else:
            self._clock.stop()

    # ---------------------------------------------------------------- cursor and clicks
    def _read(self, cursor: tuple[float, ...]) -> None:
        if not cursor or not self.frames:
            return
        if self._reader is None:
            self.read(*cursor)
        else:
            x, y = cursor
            self._reader.submit(Handle("read", "compare", (), lambda _: self.read(x, y)))

    def read(self, x: float, y: float) -> None:
        """Show the values of all frames at a point of the common grid."""
        try:
            found = readings(self.frames, x, y)
        except (DrizzlewbError, OSError) as error:
            self.values.value = f'<span class="dwb-why">{escape(error)}</span>'
            return
        rows = "".join(
            f"<tr><td>{k + 1}: {escape(r.name)}</td><td>{escape(r.part)}</td>"
            f"<td class=n>{r.x:.1f}</td><td class=n>{r.y:.1f}</td>"
            f"<td class=n>{r.value:.5g}</td><td>{escape(r.unit)}</td>"
            f"<td>{escape(', '.join(r.flags))}</td></tr>"
            if r.x == r.x
            else f"<tr><td>{k + 1}: {escape(r.name)}</td><td></td><td colspan=5>outside</td></tr>"
            for k, r in enumerate(found)
        )
        self.values.value = (
            "<table><tr><th>frame</th><th>part</th><th class=n>x (px)</th><th class=n>y (px)</th>"
            f"<th class=n>value</th><th>unit</th><th>DQ</th></tr>{rows}</table>"
        )

    def _clicked(self, x: float, y: float) -> None:
        if self.click == "star":
            self.blend.paths("cut", [[(x - 15, y), (x + 15, y)], [(x, y - 15), (x, y + 15)]], closed=False)
            self.cuts.star(self.frames, x, y)
        elif self.click == "line" and self._start is None:
            self._start = (x, y)
            self.blend.paths("cut")
            self.blend.points("cut start", [x], [y])
            self.blend.readout.value = "Click the other end of the line."
        elif self.click == "line":
            assert self._start is not None
            start, self._start = self._start, None
            self.blend.points("cut start")
            self.blend.paths("cut", [[start, (x, y)]], closed=False)
            self.cuts.line(self.frames, start, (x, y))

    def close(self) -> None:
        """Stop blinking and rendering."""
        self._clock.stop()
        for tile in self.tiles:
            tile.close()
        self.blend.close()
        super().close()


def _ratio(first: Item, second: Item) -> float:
    """Ratio of exposure times where both frames count electrons; 1 where they are rates already."""
    rates = any("/S" in item.unit.upper() for item in (first, second))
    if rates or first.exptime <= 0 or second.exptime <= 0:
        return 1.0
    return first.exptime / second.exptime


def compare(
    session: Session, names: Sequence[str], wcs: str = "accepted", *, match: str = "sky", mode: str = "blink"
) -> CompareView:
    """Compare exposures, products, previews and files: a widget to be displayed.

    Parameters
    ----------
    session : Session
    names : sequence of str
        Two to twelve: root names, 'product NAME', 'weight NAME', 'preview NAME', paths.
    wcs : {'original', 'solution', 'accepted'}
        See `drizzlewb.views.items.session_items`.
    match : {'sky', 'pixel'}
    mode : str
        One of `drizzlewb.views.blendview.MODES`.

    Raises
    ------
    DataError
        See `drizzlewb.views.items.session_items`.
    """
    view = CompareView(session_items(session, names, wcs), match=match)
    view.mode = mode
    return view

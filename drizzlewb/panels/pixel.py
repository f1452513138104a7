"""Why this pixel? Every input pixel behind a pixel of the product, and what became of it."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import ipywidgets as W
import numpy as np
from numpy.typing import NDArray

from drizzlewb.errors import ParameterError
from drizzlewb.grid import Region
from drizzlewb.panels.base import Panel
from drizzlewb.session import Handle
from drizzlewb.steps.contributions import SIDE, Contributions
from drizzlewb.views.chipmask import layer_frame
from drizzlewb.views.image import ImageView
from drizzlewb.views.style import COLOURS, escape

__all__ = ["PixelPanel", "table_html"]

_HEADS = (
    ("exposure", ""), ("SCI", "n"), ("x", "n"), ("y", "n"), ("value", "n"), ("e-", "n"), ("overlap", "n"),
    ("weight", "n"), ("share", "n"), ("DQ", ""), ("|sci - blot| (e-)", "n"), ("limits (e-)", "n"),
    ("verdict", ""),
)  # fmt: skip


class PixelPanel(Panel):
    """Explains the pixel that is selected; other panels embed it, and select a pixel by a click."""

    title = "Why this pixel?"
    help = (
        "Click a pixel of a product, or type its place: each row is an input pixel whose drop reaches it. "
        "x and y count from zero."
    )
    watched = ("state", "selection", "status")

    def build(self) -> W.Widget:
        """Make the widgets."""
        self._asked: Any = None
        self._handle: Handle | None = None
        self.told: Contributions | None = None
        narrow = {"layout": W.Layout(width="120px"), "style": {"description_width": "16px"}}
        self.x = W.Text(description="x", placeholder="px, from 0", continuous_update=False, **narrow)
        self.y = W.Text(description="y", placeholder="px, from 0", continuous_update=False, **narrow)
        self.sky = W.Text(
            description="RA, Dec", placeholder="150.1 2.2 or 10:00:24 +02:12:00", continuous_update=False,
            layout=W.Layout(width="320px"), style={"description_width": "60px"},
        )  # fmt: skip
        self.go = self.action(
            "Explain",
            self._select,
            lambda: f"session.why({self.product_code()}, {self._place()})",
            icon="search",
        )
        self.sum = W.HTML()
        self.table = W.HTML()
        self.rows = W.Select(
            options=[], rows=8, layout=W.Layout(width="330px"), tooltip="open the surroundings of a row"
        )
        self.rows.add_class("dwb-readout")
        self.rows.observe(lambda _: self._open_row(), "index")
        self.cutout = ImageView(size_px=330, tools=False)
        self.below = W.HBox(
            [
                W.VBox([W.HTML('<span class="dwb-soft">Open the surroundings of a row:</span>'), self.rows]),
                self.cutout,
            ],
            layout=W.Layout(flex_flow="row wrap", grid_gap="12px", display="none"),
        )
        fields = W.HBox(
            [self.x, self.y, self.sky, self.go],
            layout=W.Layout(flex_flow="row wrap", align_items="flex-start"),
        )
        for field in (self.x, self.y, self.sky):
            field.observe(self._typed, "value")
        self._quiet = False
        return W.VBox([fields, self.sum, self.table, self.below], layout=W.Layout(width="100%"))

    # ---------------------------------------------------------------- from the user
    def _typed(self, change: Any) -> None:
        """Leave only one of the two ways to say a place."""
        if self._quiet or not change["new"]:
            return
        self._quiet = True
        try:
            if change["owner"] is self.sky:
                self.x.value = self.y.value = ""
            else:
                self.sky.value = ""
        finally:
            self._quiet = False

    def _place(self) -> str:
        pixel = self.session.selection.pixel
        return "x, y" if pixel is None else f"{pixel[0]}, {pixel[1]}"

    def _select(self) -> None:
        self.session.select(pixel=self._pixel_typed())

    def _pixel_typed(self) -> tuple[int, int]:
        if self.sky.value.strip():
            grid = self.session.derived.product(self.session.product_name(self.product)).grid
            x, y = (float(v) for v in grid.sky_to_pixel(*_sky_of(self.sky.value)))
            if not (np.isfinite(x) and np.isfinite(y)):
                msg = f"RA, Dec {self.sky.value!r} cannot be seen from the output grid."
                raise ParameterError(msg)
            return round(x), round(y)
        try:
            return round(float(self.x.value)), round(float(self.y.value))
        except ValueError:
            msg = (
                f"A pixel is two numbers counted from 0; x is {self.x.value!r} and y is {self.y.value!r}. "
                "Give both, or RA and Dec."
            )
            raise ParameterError(msg) from None

    # ---------------------------------------------------------------- from the session
    def update(self) -> None:
        """Ask why, if there is something to ask."""
        session, pixel = self.session, self.session.selection.pixel
        if not self.product:
            self.go.disable("load exposures first")
            return
        self.go.disable("")
        if pixel is None:
            self._clear("No pixel is selected: click one in a view of the product, or type its place.")
            return
        key = (self.product, pixel, session.status_of(self.product).key)
        if key == self._asked:
            return
        self._asked = key
        self._quiet = True
        try:
            self.x.value, self.y.value, self.sky.value = str(pixel[0]), str(pixel[1]), ""
        finally:
            self._quiet = False
        self.sum.value = '<span class="dwb-soft">Looking…</span>'
        self._handle = session.why(self.product, *pixel, wait=False)
        self._handle.on_change(self._answered)
        self._answered(self._handle)

    def _answered(self, handle: Handle) -> None:
        if handle is not self._handle:
            return
        if handle.state == "failed":
            self._clear("")
            self.messages.say(str(handle.error), "error")
            return
        if handle.state != "done":
            return
        told = handle.result(10.0)
        if told is not self.told:
            self._show(told)

    def _clear(self, text: str) -> None:
        self.told, self._asked = None, None
        self.sum.value = f'<span class="dwb-soft">{escape(text)}</span>' if text else ""
        self.table.value, self.rows.options, self.below.layout.display = "", [], "none"

    def _show(self, told: Contributions) -> None:
        self.messages.say("")
        self.told = told
        rows = told.table
        used = int(np.count_nonzero(rows["verdict"] == "used")) if len(rows) else 0
        value = f"{told.sci:.6g} {told.unit}" if np.isfinite(told.sci) else "no value"
        self.sum.value = (
            f"<b>x {told.x} y {told.y}</b> &nbsp;{escape(value)}, weight {told.wht:.6g}: the weighted mean "
            f"of {used} of the {len(rows)} input pixels that reach it (times the area of the output pixel in "
            f"input pixels). RA {told.ra:.6f}, Dec {told.dec:.6f}."
        )
        self.table.value = table_html(told)
        self.rows.options = [
            (f"{k + 1:3d} {r['exposure']}[{r['extver']}] {r['x']:5d} {r['y']:5d}  {r['verdict']}", k)
            for k, r in enumerate(rows)
        ]
        self.below.layout.display = "" if len(rows) else "none"
        self.rows.index = 0 if len(rows) else None
        self._open_row()

    def _open_row(self) -> None:
        told, k = self.told, self.rows.index
        if told is None or k is None or k >= len(told.table):
            return
        row, cut = told.table[k], told.cutout(k)
        x, y = int(row["x"]), int(row["y"])
        name = f"{row['exposure']}[{row['extver']}] x {x} y {y}"
        self.cutout.show(dataclasses.replace(layer_frame(cut.chip, cut, "original", ""), name=name))
        half = SIDE // 2
        self.cutout.look_at(Region(y - half, y + half + 1, x - half, x + half + 1))
        self.cutout.tint("rays", _flagged(cut), COLOURS["orange"])
        corners = [(x - 0.5, y - 0.5), (x + 0.5, y - 0.5), (x + 0.5, y + 0.5), (x - 0.5, y + 0.5)]
        self.cutout.paths("pixel", [corners], colour=COLOURS["sky"])


def _flagged(cut: Any) -> Callable[[Region], NDArray[np.uint16]]:
    """1 where a pixel of a cut-out is flagged; outside of it nothing is known."""

    def words(box: Region) -> NDArray[np.uint16]:
        out = np.zeros(box.shape, np.uint16)
        both = box.intersect(cut.box)
        if not both.empty:
            known = cut.mask[both.slices((cut.box.y0, cut.box.x0))]
            out[both.slices((box.y0, box.x0))] = known == 0
        return out

    return words


def _sky_of(text: str) -> tuple[float, float]:
    """RA and Dec, degrees, from what was typed: degrees, or hours and degrees with colons or letters."""
    from astropy.coordinates import SkyCoord

    try:
        plain = re.fullmatch(r"\s*([-+\d.eE]+)[\s,]+([-+\d.eE]+)\s*", text)
        if plain:
            place = SkyCoord(float(plain[1]), float(plain[2]), unit="deg")
        else:
            place = SkyCoord(text.replace(",", " "), unit=("hourangle", "deg"))
    except ValueError as error:
        msg = f"RA, Dec {text!r} cannot be understood ({error}). Give 150.1 2.2, or 10:00:24 +02:12:00."
        raise ParameterError(msg) from None
    return float(place.ra.deg), float(place.dec.deg)


def table_html(told: Contributions) -> str:
    """The rows as a table for people; everything in it is text."""
    head = "".join(f'<th class="{kind}">{escape(name)}</th>' for name, kind in _HEADS)
    lines = []
    for r in told.table:
        cells: list[tuple[str, str]] = [
            (str(r["exposure"]), ""), (str(r["extver"]), "n"), (str(r["x"]), "n"), (str(r["y"]), "n"),
            (_number(r["value"]), "n"), (_number(r["electrons"]), "n"), (f"{r['overlap']:.4f}", "n"),
            (_number(r["weight"]), "n"), (f"{100 * r['share']:.1f} %", "n"),
            (str(r["dq_names"]) or "–", ""), (_number(r["difference"]), "n"),
            (f"{_number(r['limit_first'])} / {_number(r['limit_second'])}", "n"),
            (f"{'✓' if r['verdict'] == 'used' else '✕'} {r['verdict']}", ""),
        ]  # fmt: skip
        lines.append("".join(f'<td class="{kind}">{escape(text)}</td>' for text, kind in cells))
    unit = {c.chip.unit for c in told.cutouts}
    note = (
        f'<div class="dwb-soft">value in {escape(", ".join(sorted(unit)) or "the unit of the file")}, as in '
        "the file; e- the same over the exposure; overlap: weight that a drop of weight 1 gives to this "
        "pixel; limits: those of the two passes of driz_cr: a ray exceeds the second, and it or a neighbour "
        "the first.</div>"
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    scroll = 'class="dwb-scroll" style="max-height:300px"'
    return f"{note}<div {scroll}><table><tr>{head}</tr>{body}</table></div>"


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "–"

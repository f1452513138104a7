"""Sources over the image of the chosen exposure; a click measures a star, as in imexam."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as W
import numpy as np

from drizzlewb.exposure import Chip, Exposure
from drizzlewb.grid import Region
from drizzlewb.session.state import Star
from drizzlewb.steps.solution import Alignment
from drizzlewb.steps.sources import Sources
from drizzlewb.steps.star_profile import StarProfile, flag_names, star_profile
from drizzlewb.views import figures
from drizzlewb.views.frames import chip_frame
from drizzlewb.views.image import ImageView
from drizzlewb.views.residuals import nearest
from drizzlewb.views.style import COLOURS, escape, legend

__all__ = ["LAYERS", "StarView", "layers_of"]

LAYERS: Mapping[str, tuple[str, str, str]] = {
    "in the fit": ("circle", COLOURS["green"], "○"),
    "clipped": ("diamond", COLOURS["orange"], "◇"),
    "no match": ("square", COLOURS["sky"], "□"),
    "rejected by hand": ("cross", COLOURS["red"], "✚"),
    "dropped": ("triangle-up", COLOURS["purple"], "△"),
}
"""What became of a source: its marker, colour and sign."""

MOST_DRAWN = 3000
CUT_PX = 15
_NEAR_PX = 4.0


def layers_of(
    chip_index: int,
    extver: int,
    rootname: str,
    sources: Sources,
    alignment: Alignment | None,
    rejected: Sequence[Star],
) -> dict[str, np.ndarray]:
    """Places of the sources of one chip by what became of them.

    Parameters
    ----------
    chip_index, extver : int
        Of the chip.
    rootname : str
    sources : Sources
        That entered the alignment.
    alignment : Alignment or None
    rejected : sequence of Star
        Of all exposures.

    Returns
    -------
    dict of str to ndarray, float64, shape (n, 2)
        For each name in `LAYERS` the x, y in zero-based px.
    """
    state = np.full(len(sources), 2)
    if alignment is not None and alignment.fit is not None:
        state[alignment.index] = np.where(alignment.fit.used, 0, 1)
    here = sources.chip == chip_index
    places = np.column_stack([sources.x, sources.y])
    out = {name: places[here & (state == k)] for k, name in enumerate(("in the fit", "clipped", "no match"))}
    own = [(s.x, s.y) for s in rejected if s.exposure == rootname and s.extver == extver]
    out["rejected by hand"] = np.array(own, float).reshape(-1, 2)
    lost = [xyp[:, :2] for r in sources.reports if r.extver == extver for xyp in r.left_out.values()]
    out["dropped"] = np.concatenate([np.empty((0, 2)), *lost])
    return out


@dataclass(frozen=True, eq=False)
class Shown:
    """What the image shows: an exposure, its sources and what became of them."""

    exposure: Exposure
    sources: Sources | None
    alignment: Alignment | None
    rejected: tuple[Star, ...]

    def same(self, other: "Shown | None") -> bool:
        """Whether nothing would be drawn anew."""
        return other is not None and (
            self.exposure is other.exposure
            and self.sources is other.sources
            and self.alignment is other.alignment
            and self.rejected == other.rejected
        )


class StarView(W.VBox):
    """Image with sources, and the star that was clicked.

    Parameters
    ----------
    select : callable
        Stars -> None: a clicked source.
    attempt : callable
        Runs a callable; an error becomes a message of the panel.
    advice : W.Widget
        The button that takes the measured width.
    background : bool
        See `ImageView`.
    """

    def __init__(
        self,
        select: Callable[[tuple[Star, ...]], Any],
        attempt: Callable[[Callable[[], Any]], Any],
        advice: W.Widget,
        background: bool = True,
    ) -> None:
        self._select, self._attempt = select, attempt
        self._shown: Shown | None = None
        self._stars: tuple[Star, ...] = ()
        self._layers: dict[str, np.ndarray] = {}
        self.profile: StarProfile | None = None
        self.chip = W.Dropdown(options=[], description="Chip", layout=W.Layout(width="150px"))
        self.chip.style.description_width = "40px"
        self.chip.observe(lambda _: self._new_chip(), "value")
        self.view = ImageView(size_px=500, background=background)
        self.view.on_click(lambda x, y: self._attempt(lambda: self._clicked(x, y)))
        self.layers = {
            name: W.Checkbox(
                value=name != "dropped", description=f"{sign} {name}", indent=False,
                layout=W.Layout(width="auto"),
            )
            for name, (_, _, sign) in LAYERS.items()
        }  # fmt: skip
        for box in self.layers.values():
            box.observe(lambda _: self._draw(), "value")
        self.counts = W.HTML()
        self.figure = figures.figure(
            "Radial profile", "distance from the centre (px)", "pixel value", width_px=350, height_px=260
        )
        self.pixels = figures.points(self.figure, colour=COLOURS["blue"], size=14)
        self.curve = figures.lines(self.figure, colour=COLOURS["orange"], width=2.0)
        self.half = figures.lines(self.figure, colour=COLOURS["grey"], width=1.0, dashed=True)
        self.words = W.HTML(
            '<div class="dwb-help">Click a star: its radial profile, peak, width, magnitude and flags.</div>'
        )
        self.width_words = W.HTML()
        keys = legend(
            ("●", COLOURS["blue"], "pixels"), ("▬", COLOURS["orange"], "fitted"),
            ("- -", COLOURS["grey"], "half maximum"),
        )  # fmt: skip
        shown = W.HBox(list(self.layers.values()), layout=W.Layout(flex_flow="row wrap", grid_gap="10px"))
        row = W.Layout(flex_flow="row wrap", grid_gap="12px", align_items="flex-start")
        said = W.VBox([self.words, self.width_words, advice], layout=W.Layout(width="310px"))
        profile = W.HBox([W.VBox([keys, self.figure]), said], layout=row)
        super().__init__(
            [
                W.HBox([self.chip, self.counts], layout=W.Layout(align_items="center")),
                shown,
                W.HBox([self.view, profile], layout=row),
            ]
        )

    # ---------------------------------------------------------------- from the session
    def show(
        self,
        exposure: Exposure,
        sources: Sources | None,
        alignment: Alignment | None,
        rejected: Sequence[Star],
        stars: Sequence[Star],
    ) -> None:
        """Show an exposure.

        Parameters
        ----------
        exposure : Exposure
        sources : Sources or None
            None: not searched yet.
        alignment : Alignment or None
        rejected, stars : sequence of Star
            Rejected by hand; selected.
        """
        new = Shown(exposure, sources, alignment, tuple(rejected))
        if new.same(self._shown) and tuple(stars) == self._stars:
            return
        other = self._shown is None or exposure is not self._shown.exposure
        self._shown, self._stars = new, tuple(stars)
        if other:
            self._new_exposure(exposure)
        self._draw()

    def _new_exposure(self, exposure: Exposure) -> None:
        options = [(f"SCI {c.extver}", k) for k, c in enumerate(exposure.chips)]
        before = self.chip.value
        if tuple(self.chip.options) != tuple(options):
            self.chip.options = options
        if self.chip.value is None:
            self.chip.value = 0
        if self.chip.value == before:
            self._new_chip()

    @property
    def _chip(self) -> Chip:
        assert self._shown is not None
        return self._shown.exposure.chips[self.chip.value]

    def _new_chip(self) -> None:
        if self._shown is None:
            return
        chip = self._chip
        name = f"{self._shown.exposure.rootname}  SCI {chip.extver}"
        keep = self.view.frame is not None and self.view.frame.region.shape == chip.shape
        self.view.show(chip_frame(chip, name), keep_view=keep)
        self._draw()

    def _draw(self) -> None:
        if self._shown is None or self.view.frame is None:
            return
        s, chip = self._shown, self._chip
        self._layers = {}
        if s.sources is not None:
            self._layers = layers_of(
                self.chip.value, chip.extver, s.exposure.rootname, s.sources, s.alignment, s.rejected
            )
        told = []
        for name, (marker, colour, sign) in LAYERS.items():
            xy = self._layers.get(name, np.empty((0, 2)))
            told.append(f"{sign} {len(xy)} {name}")
            xy = xy[:: math.ceil(len(xy) / MOST_DRAWN)] if len(xy) > MOST_DRAWN else xy
            if not self.layers[name].value:
                xy = xy[:0]
            self.view.points(name, xy[:, 0], xy[:, 1], colour=colour, marker=marker, size=70)
        own = np.array(
            [(t.x, t.y) for t in self._stars if t.exposure == s.exposure.rootname and t.extver == chip.extver]
        ).reshape(-1, 2)
        self.view.points("selected", own[:, 0], own[:, 1], colour=COLOURS["red"], marker="square", size=160)
        self.counts.value = (
            escape("  ".join(told)) if s.sources is not None else "No sources yet: find and align."
        )
        width = s.sources.fwhm_px if s.sources is not None else math.nan
        self.width_words.value = (
            f"Median FWHM of its stars: {width:.2f} px, {width * chip.pixel_scale_arcsec:.3f} arcsec."
            if math.isfinite(width)
            else ""
        )

    # ---------------------------------------------------------------- from the user
    def _clicked(self, x: float, y: float) -> None:
        if self._shown is None:
            return
        name, extver = self._shown.exposure.rootname, self._chip.extver
        for layer in ("in the fit", "clipped", "no match", "rejected by hand"):
            xy = self._layers.get(layer, np.empty((0, 2)))
            k = nearest(xy[:, 0], xy[:, 1], (x, y), _NEAR_PX)
            if k >= 0:
                self._select((Star(name, extver, float(xy[k, 0]), float(xy[k, 1])),))
                break
        self.measure(x, y)

    def measure(self, x: float, y: float) -> StarProfile:
        """Measure the star at a place of the chip, zero-based px, and show it."""
        chip = self._chip
        ny, nx = chip.shape
        i, j = round(x), round(y)
        box = Region(max(0, j - CUT_PX), min(ny, j + CUT_PX + 1), max(0, i - CUT_PX), min(nx, i + CUT_PX + 1))
        if self.view.frame is None or box.empty:
            box = Region(0, ny, 0, nx)
        assert self.view.frame is not None
        image = self.view.frame.read(box)
        rate = chip.unit.endswith("/s") or chip.exptime <= 0
        p = star_profile(image, x - box.x0, y - box.y0, seconds=1.0 if rate else chip.exptime)
        self.profile = p
        radius = np.linspace(0, p.annulus_px[1], 60)
        curves: tuple[Any, Any] = (radius, p.curve(radius)) if p.fitted else ((), ())
        level = p.sky + p.height / 2
        half: tuple[Any, Any] = (
            ([0, p.fwhm_px / 2, p.fwhm_px / 2], [level, level, p.sky]) if p.fitted else ((), ())
        )
        for mark, (mx, my) in ((self.pixels, (p.radius, p.value)), (self.curve, curves), (self.half, half)):
            with mark.hold_sync():
                mark.x, mark.y = np.asarray(mx, float), np.asarray(my, float)
        self.figure.axes[1].label = f"pixel value ({chip.unit})"
        self.words.value = self._told(p, chip, box)
        return p

    @staticmethod
    def _told(p: StarProfile, chip: Chip, box: Region) -> str:
        cx, cy = p.x + box.x0, p.y + box.y0
        core = Region(round(cy) - 1, round(cy) + 2, round(cx) - 1, round(cx) + 2).clip(chip.shape)
        flags = flag_names(chip.read_dq(core), chip.flags) if chip.dq is not None and not core.empty else ()
        unit = chip.unit
        rows = [
            ("centre", f"({cx:.2f}, {cy:.2f}) px, zero-based"),
            ("peak", f"{p.peak:.5g} {unit}"),
            (
                "FWHM",
                f"{p.fwhm_px:.2f} px, {p.fwhm_px * chip.pixel_scale_arcsec:.3f} arcsec"
                if p.fitted
                else "no star fits here",
            ),
            (
                f"magnitude, {p.aperture_px:g} px",
                f"{p.mag:.3f} (instrumental: -2.5 log of {unit} per second)"
                if not unit.endswith("/s")
                else f"{p.mag:.3f} (instrumental: -2.5 log of {unit})",
            ),
            ("sky", f"{p.sky:.5g} {unit}"),
            ("DQ of the core", ", ".join(flags) or "none"),
        ]
        if not math.isfinite(p.mag):
            rows[3] = (rows[3][0], "none: no positive sum, or a pixel without value in the aperture")
        return (
            "<table>"
            + "".join(f"<tr><td>{escape(a)}</td><td>{escape(b)}</td></tr>" for a, b in rows)
            + "</table>"
        )

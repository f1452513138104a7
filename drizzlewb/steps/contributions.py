"""Why a pixel of the product has its value: every input pixel whose drop touches it.

A drop is spread by the product's own kernel, one input pixel at a time and onto the one output pixel, so
that overlaps and weights are those of the product, and their sums have its bits.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy.table import Table

from drizzlewb.exposure import DRAWN_FLAG, Chip
from drizzlewb.exposure.drawn import covered
from drizzlewb.grid import OutputGrid, Region
from drizzlewb.kernels.drizzle import KERNELS, drizzle_box, order, reach
from drizzlewb.kernels.transform import map_points
from drizzlewb.parameters import ReduceParameters
from drizzlewb.quality import ALL_BITS, flag_names, good_bit_mask
from drizzlewb.steps import cosmicray
from drizzlewb.steps.final import boxes_under, fill_value
from drizzlewb.steps.median import wt_factor
from drizzlewb.steps.prepared import Placed
from drizzlewb.steps.weight_maps import weight_box

__all__ = ["SIDE", "Contributions", "Masked", "contributions"]

SIDE = 31
"""Side of the cut-outs around the contributing pixels, px."""

_COLUMNS: dict[str, tuple[type, str]] = {
    "exposure": (str, ""),
    "extver": (int, ""),
    "x": (int, "pix"),
    "y": (int, "pix"),
    "value": (float, ""),
    "electrons": (float, "electron"),
    "sky": (float, "electron"),
    "overlap": (float, ""),
    "weight": (float, ""),
    "share": (float, ""),
    "dq": (int, ""),
    "dq_names": (str, ""),
    "blot": (float, "electron"),
    "difference": (float, "electron"),
    "limit_first": (float, "electron"),
    "limit_second": (float, "electron"),
    "verdict": (str, ""),
}


@dataclass(frozen=True, eq=False)
class Masked:
    """A box of a chip beside the median as the chip would have seen it, and its cosmic-ray mask.

    Attributes
    ----------
    exposure : str
        Root name.
    chip : Chip
    box : Region
        Zero-based chip pixels.
    sci, blot : ndarray of float32
        Electrons over the exposure, as in the file and with the sky added (``blot_addsky``).
    mask : ndarray of uint8
        1 = good, 0 = cosmic ray.
    """

    exposure: str
    chip: Chip = field(repr=False)
    box: Region
    sci: np.ndarray = field(repr=False)
    blot: np.ndarray = field(repr=False)
    mask: np.ndarray = field(repr=False)

    @property
    def clean(self) -> np.ndarray:
        """The chip with the blotted median in place of flagged pixels: electrons."""
        return np.where(self.mask != 0, self.sci, self.blot)

    @property
    def fraction(self) -> float:
        """Fraction of the pixels that are flagged."""
        return 1.0 - float(np.count_nonzero(self.mask)) / max(self.mask.size, 1)


@dataclass(frozen=True, eq=False)
class Contributions:
    """All input pixels that reach one pixel of a product, used or masked.

    Attributes
    ----------
    x, y : int
        Zero-based pixel of the product.
    ra, dec : float
        Its centre, degrees.
    sci, wht : float
        Summed over the rows in the order of the product: its bits.
    unit : str
        Of `sci`.
    table : astropy.table.Table
        One row for each input pixel, in stack order: ``exposure``, ``extver``, ``x``, ``y`` (zero-based),
        ``value`` (file's unit, as in the file), ``electrons`` (the same, over the exposure), ``sky``
        (subtracted, electrons), ``overlap`` (weight that a drop of weight 1 gives to this output pixel:
        for square and turbo the fraction of the drop that falls into it), ``weight`` (of the input pixel,
        0 if masked), ``share`` (weight that it brings, over that of the output pixel), ``dq``,
        ``dq_names``, ``blot`` (electrons, with sky), ``difference`` (``|sci - blot|``), ``limit_first``,
        ``limit_second`` (its limits under the two pairs of driz_cr_snr and driz_cr_scale), ``verdict``
        ('used', or 'masked: ...' with every reason). Without a cosmic-ray step blot, difference and limits
        are NaN.
    cutouts : tuple of Masked
        The surroundings of the contributing pixels, one for each chip that has any.
    """

    x: int
    y: int
    ra: float
    dec: float
    sci: float
    wht: float
    unit: str
    table: Table = field(repr=False)
    cutouts: tuple[Masked, ...] = field(repr=False)

    def cutout(self, row: int) -> Masked:
        """Surroundings of the pixel of a row of the table."""
        wanted = self.table["exposure"][row], self.table["extver"][row]
        return next(c for c in self.cutouts if (c.exposure, c.chip.extver) == wanted)

    def __str__(self) -> str:
        """One paragraph for a terminal."""
        used = int(np.count_nonzero(self.table["verdict"] == "used")) if len(self.table) else 0
        return (
            f"Pixel x={self.x}, y={self.y} (zero-based; RA {self.ra:.6f}, Dec {self.dec:.6f}): "
            f"{self.sci:.6g} {self.unit}, weight {self.wht:.6g}. {len(self.table)} input pixels reach it, "
            f"{used} of them are used."
        )


@dataclass(frozen=True)
class _Touching:
    """Input pixels of one chip whose drops reach the output pixel, in the order of their drops."""

    x: np.ndarray
    y: np.ndarray
    overlap: np.ndarray


def contributions(
    chips: list[Placed],
    separate: list[Placed],
    rootnames: Sequence[str],
    x: int,
    y: int,
    parameters: ReduceParameters,
    read_median: Callable[[Region], np.ndarray] | None,
    *,
    unit: str,
    unit_factor: float,
) -> Contributions:
    """Explain one pixel of a product.

    Parameters
    ----------
    chips, separate : list of Placed
        All chips of the stack on the final and on the separate grid.
    rootnames : sequence of str
        Of the exposures, in stack order.
    x, y : int
        Zero-based pixel of the final grid.
    parameters : ReduceParameters
    read_median : callable or None
        Gives the median image of a region of the separate grid; None where driz_cr is off.
    unit : str
        Of the product.
    unit_factor : float
        Product units per electron/s.
    """
    rows: list[dict[str, Any]] = []
    cutouts = []
    num = den = 0.0
    for placed, touching in _reaching(chips, x, y, parameters):
        root = rootnames[placed.prepared.exposure]
        around = _around(touching, placed.prepared.chip.shape)
        own = separate[placed.prepared.number]
        looked = _Looked(placed, own, around, parameters, read_median)
        cutouts.append(looked.cutout(root))
        for i, j, overlap in zip(touching.x, touching.y, touching.overlap, strict=True):
            row = {
                "exposure": root,
                "extver": placed.prepared.chip.extver,
                "x": i,
                "y": j,
                "overlap": overlap,
            }
            row |= looked.row(i, j)
            dow, times = _drop(placed, i, j, row["weight"], looked.rate(i, j, unit_factor), x, y, parameters)
            den, num = den + dow, num + times
            row["share"] = dow
            rows.append(row)
    for row in rows:
        row["share"] = row["share"] / den if den else 0.0
    wht = np.float32(den)
    sci = np.float32(num / den) if wht != 0.0 else np.float32(fill_value(parameters))
    grid: OutputGrid = chips[0].grid
    ra, dec = (float(v) for v in grid.pixel_to_sky(float(x), float(y)))
    return Contributions(x, y, ra, dec, float(sci), float(wht), unit, _table(rows), tuple(cutouts))


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table()
    for name, (kind, unit) in _COLUMNS.items():
        values = [row[name] for row in rows]
        table[name] = np.array(values, dtype=str if kind is str else kind)
        if unit:
            table[name].unit = unit
    return table


def _reaching(
    chips: list[Placed], x: int, y: int, parameters: ReduceParameters
) -> Iterator[tuple[Placed, _Touching]]:
    """Chips whose drops reach an output pixel, with those drops."""
    p = parameters.final
    kernel_id = KERNELS[p.final_kernel]
    for placed, box in boxes_under(chips, Region(y, y + 1, x, x + 1), parameters):
        wcs = placed.prepared.chip.wcs
        j, i = (v.ravel() for v in np.mgrid[box.y0 : box.y1, box.x0 : box.x1])
        px, py = np.empty(i.size), np.empty(i.size)
        map_points(wcs, placed.h, i.astype(np.float64), j.astype(np.float64), px, py)
        # No drop reaches further: this only spares calls of the kernel.
        most = reach(kernel_id, p.final_pixfrac, placed.scale) + 1.5 + 1.0 / placed.scale
        with np.errstate(invalid="ignore"):
            near = np.flatnonzero((np.abs(px - x) <= most) & (np.abs(py - y) <= most))
        overlap = np.array([_drop(placed, i[k], j[k], 1.0, 0.0, x, y, parameters)[0] for k in near])
        touches = overlap != 0 if near.size else np.zeros(0, bool)
        if touches.any():
            at, overlap = near[touches], overlap[touches]
            turn = order(kernel_id, i[at], j[at])
            yield placed, _Touching(i[at][turn], j[at][turn], overlap[turn])


def _drop(
    placed: Placed, i: int, j: int, weight: float, value: float, x: int, y: int, parameters: ReduceParameters
) -> tuple[float, float]:
    """Weight, and weight times value, that one input pixel brings to one output pixel."""
    p = parameters.final
    num, den, ctx = np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((1, 1), np.uint32)
    drizzle_box(
        np.full((1, 1), value, np.float32), np.full((1, 1), weight, np.float32), int(i), int(j),
        placed.prepared.chip.wcs, placed.h, KERNELS[p.final_kernel], p.final_pixfrac, placed.scale,
        np.uint32(1), x, y, num, den, ctx,
    )  # fmt: skip
    return float(den[0, 0]), float(num[0, 0])


def _around(touching: _Touching, shape: tuple[int, int]) -> Region:
    """Box in which each of these pixels has `SIDE` // 2 pixels on every side, inside the chip."""
    box = Region(
        int(touching.y.min()), int(touching.y.max()) + 1, int(touching.x.min()), int(touching.x.max()) + 1
    )
    return box.grow(SIDE // 2).clip(shape)


class _Looked:
    """A box of a chip read once, with all that decides whether its pixels are used."""

    def __init__(
        self,
        placed: Placed,
        separate: Placed,
        box: Region,
        parameters: ReduceParameters,
        read_median: Callable[[Region], np.ndarray] | None,
    ) -> None:
        prepared, p = placed.prepared, parameters.final
        chip = prepared.chip
        self.prepared, self.chip, self.box = prepared, chip, box
        self.taken = good_bit_mask(p.final_bits, chip.flags)
        self.sci, self.dq = chip.read_sci(box), chip.read_dq(box)
        self.data = prepared.read_data(box)
        good = prepared.read_good(box, p.final_bits)
        self.drawn = np.zeros(box.shape, bool)
        for mask in chip.drawn if not self.taken & DRAWN_FLAG else ():
            self.drawn |= covered(mask, chip.wcs, chip.pixel_scale_arcsec, box)
        self.in_file = chip.dq.words(box) if chip.dq is not None else np.zeros(box.shape, np.uint16)
        # Flags apart: what remains bad is a place on the chip.
        self.outside = chip.good(box, None) == 0
        none = np.full(box.shape, np.nan, np.float32)
        self.mask, self.judged = np.ones(box.shape, np.uint8), np.ones(box.shape, np.uint8)
        self.blot = self.difference = none
        self.limits = (none, none)
        if read_median is not None:
            both = cosmicray.compared(separate, box, read_median, parameters)
            judged = cosmicray.judged(both, parameters)
            grown = cosmicray.grown_mask(both, judged, parameters)
            at = box.slices((both.box.y0, both.box.x0))
            cr = parameters.cosmicray
            pairs = tuple(zip(cr.driz_cr_snr, cr.driz_cr_scale, strict=True))
            first, second = (both.limits(snr, scale)[at] for snr, scale in pairs)
            self.mask, self.judged = np.ascontiguousarray(grown[at]), judged[at]
            self.limits = (first, second)
            self.difference = np.abs(both.sci[at] - both.blot[at])
            removed = np.float32(prepared.sky_removed)
            self.blot = both.blot[at] - removed if removed else both.blot[at]
            good &= self.mask
        sky = prepared.sky_subtracted if parameters.extra.peer_noise else None
        self.weight = weight_box(
            prepared, box, good, p.final_wht_type, placed.scale, sky_e=sky, factor=wt_factor(p.final_wt_scl)
        )

    def cutout(self, rootname: str) -> Masked:
        """Return the box as an image with its mask."""
        return Masked(rootname, self.chip, self.box, self.sci, self.blot, self.mask)

    def rate(self, i: int, j: int, unit_factor: float) -> float:
        """Value that the product takes: product units, multiplied in float32 as there."""
        value = self.data[j - self.box.y0, i - self.box.x0]
        return float(value * np.float32(unit_factor / self.chip.exptime))

    def row(self, i: int, j: int) -> dict[str, Any]:
        """Columns of one pixel."""
        at = j - self.box.y0, i - self.box.x0
        dq = int(self.dq[at])
        return {
            "value": float(self.sci[at]) / self.chip.to_electrons,
            "electrons": float(self.sci[at]),
            "sky": self.prepared.sky_subtracted,
            "weight": float(self.weight[at]),
            "dq": dq,
            "dq_names": ", ".join(flag_names(dq, self.chip.flags)),
            "blot": float(self.blot[at]),
            "difference": float(self.difference[at]),
            "limit_first": float(self.limits[0][at]),
            "limit_second": float(self.limits[1][at]),
            "verdict": self._verdict(at),
        }

    def _verdict(self, at: tuple[int, int]) -> str:
        reasons = []
        if not np.isfinite(self.data[at]):
            reasons.append("no value")
        bad = int(self.in_file[at]) & ~(self.taken | self.prepared.resetbits) & ALL_BITS
        if bad:
            reasons.append("DQ " + ", ".join(flag_names(bad, self.chip.flags)))
        if self.drawn[at]:
            reasons.append("drawn by hand")
        if self.outside[at]:
            reasons.append("shadow of the pyramid")
        if self.prepared.static is not None:
            j, i = at[0] + self.box.y0, at[1] + self.box.x0
            if not self.prepared.static[j, i]:
                reasons.append("static mask")
        if not self.mask[at]:
            reasons.append("beside a cosmic ray (grown)" if self.judged[at] else "cosmic ray")
        if not reasons and not self.weight[at] > 0:
            reasons.append("no weight")
        return f"masked: {'; '.join(reasons)}" if reasons else "used"

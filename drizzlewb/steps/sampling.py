"""What scale and pixfrac the dithers of a stack can bear, before anything is drizzled.

How evenly the drops of a stack cover the output pixels follows from where the exposures point, which pixels
are flagged, and how many are lost to cosmic rays. So the weight is drizzled, with the real kernel and maps,
on small patches of the sky, for each choice of scale and pixfrac; no pixel value is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drizzlewb import distortion
from drizzlewb.errors import DataError
from drizzlewb.exposure import Chip, Exposure
from drizzlewb.grid import OutputGrid, Region
from drizzlewb.kernels.drizzle import KERNELS, drizzle_box
from drizzlewb.quality import Bits
from drizzlewb.steps.image_quality import noise_factor
from drizzlewb.steps.prepared import Placed, PreparedChip, place

__all__ = [
    "RULE",
    "Sampling",
    "advice",
    "expected_cr_fraction",
    "knee",
    "predict_sampling",
    "scales_around",
]

RULE = 0.2
"""rms/median of WHT should stay below it (DrizzlePac Handbook)."""

CR_PER_KILOSECOND = 0.022
"""Share of the pixels of a CCD in orbit that rays hit in 1000 s: 1.5 to 3 % (ACS ISR 2002-07)."""

RAY_PX = 4.5
"""Pixels that a ray takes away: 4 to 5 (ACS ISR 2002-07)."""

PLACES, SIDE_ARCSEC, TRIES = 16, 1.6, 4000


@dataclass(frozen=True, eq=False)
class Sampling:
    """Prediction for each choice of scale and pixfrac.

    Attributes
    ----------
    scales_arcsec : float64[m]
        Output pixels.
    pixfracs : float64[n]
    rms_over_median : float64[m, n]
        Of the weight where all exposures overlap; infinite where more than half of the pixels are empty.
    holes : float64[m, n]
        Fraction of those pixels without weight.
    factor : float64[m, n]
        Correlated-noise factor R for many even dithers (`drizzlewb.steps.image_quality.noise_factor`).
    exposures : int
        How many overlap.
    places : int
        Patches of the sky that it rests on.
    cr_fraction : float
        Largest share of an exposure's pixels that was masked at random.
    kernel : str
    """

    scales_arcsec: NDArray[np.float64]
    pixfracs: NDArray[np.float64]
    rms_over_median: NDArray[np.float64]
    holes: NDArray[np.float64]
    factor: NDArray[np.float64]
    exposures: int
    places: int
    cr_fraction: float
    kernel: str

    def at(self, scale_arcsec: float) -> int:
        """Row of the scale nearest to one."""
        return int(np.argmin(np.abs(np.log(self.scales_arcsec / scale_arcsec))))


def expected_cr_fraction(exposure: Exposure) -> float:
    """Share of an exposure's pixels that cosmic rays are expected to take; 0 for infrared detectors.

    The ramp fit of an infrared detector has dealt with them already.
    """
    if exposure.detector.endswith("IR") or exposure.detector.startswith("NICMOS"):
        return 0.0
    return min(0.3, CR_PER_KILOSECOND * exposure.exptime / 1000.0)


def scales_around(native_arcsec: float, now_arcsec: float) -> tuple[float, ...]:
    """Scales to try: 0.4 to 1 of the native pixel, and the present one."""
    tried = {round(native_arcsec * share, 4) for share in (0.4, 0.5, 0.6, 0.7, 0.8, 1.0)}
    near = min(tried, key=lambda value: abs(value - now_arcsec))
    if abs(near - now_arcsec) < 0.04 * native_arcsec:
        tried.remove(near)
    return tuple(sorted({*tried, now_arcsec}))


def rescaled(grid: OutputGrid, scale_arcsec: float) -> OutputGrid:
    """Grid of another pixel size over the same sky, about the same tangent point."""
    ratio = scale_arcsec / grid.scale_arcsec
    ny, nx = (max(1, math.ceil(n / ratio)) for n in grid.shape)
    crpix = (grid.wcs.crpix + 0.5) / ratio - 0.5
    return OutputGrid(distortion.tan_wcs(grid.wcs.crval, crpix, grid.wcs.cd * ratio), (ny, nx), grid.radesys)


def predict_sampling(
    exposures: Sequence[Exposure],
    grid: OutputGrid,
    scales_arcsec: Sequence[float],
    pixfracs: Sequence[float],
    *,
    kernel: str = "square",
    bits: Bits = None,
    cr_fractions: Sequence[float] | None = None,
    places: int = PLACES,
    seed: int = 1,
    check: Callable[[], None] = lambda: None,
) -> Sampling:
    """Predict evenness of the weights, holes and correlated noise for scales and pixfracs.

    Parameters
    ----------
    exposures : sequence of Exposure
        The stack; DQ is read on the patches, SCI is not.
    grid : OutputGrid
        Final grid: its orientation and extent count, its scale does not.
    scales_arcsec, pixfracs : sequence of float
        Choices.
    kernel : str
        Drop shape.
    bits : Bits
        ``final_bits``: DQ bits taken as good.
    cr_fractions : sequence of float, optional
        Share of each exposure's pixels that rays take, in clumps of 4 to 5 px at random; default
        `expected_cr_fraction`. Give the measured ones where masks have been made.
    places : int
        Patches of 1.6 arcsec, where as many exposures overlap as anywhere.
    seed : int
        Of places and rays.
    check : callable, optional
        Called between patches; it may raise to stop the work.

    Returns
    -------
    Sampling
        Weights are exposure times (``final_wht_type='EXP'``).

    Raises
    ------
    DataError
        No exposure lies on the grid.
    """
    rng = np.random.default_rng(seed)
    if cr_fractions is None:
        cr_fractions = [expected_cr_fraction(e) for e in exposures]
    sky, most = _places(exposures, grid, places, rng)
    scales, fractions = np.asarray(scales_arcsec, float), np.asarray(pixfracs, float)
    native = exposures[0].chips[0].pixel_scale_arcsec
    prepared = [
        PreparedChip(chip, 0, number) for number, exposure in enumerate(exposures) for chip in exposure.chips
    ]
    placed = [place(prepared, rescaled(grid, scale)) for scale in scales]
    weights: list[list[list[NDArray[np.float32]]]] = [[[] for _ in fractions] for _ in scales]
    for ra, dec in sky:
        check()
        goods = _goods(prepared, float(ra), float(dec), bits, cr_fractions, rng)
        for m, scale in enumerate(scales):
            side = max(8, round(SIDE_ARCSEC / scale))
            region = _region_around(placed[m][0].grid, float(ra), float(dec), side)
            for n, pixfrac in enumerate(fractions):
                weights[m][n].append(_patch(placed[m], goods, region, kernel, float(pixfrac)))
    rms, holes = np.empty((len(scales), len(fractions))), np.empty((len(scales), len(fractions)))
    for m, n in np.ndindex(rms.shape):
        pixels = np.concatenate([w.ravel() for w in weights[m][n]]).astype(float)
        rms[m, n], holes[m, n] = evenness(pixels)
    factor = np.array([[noise_factor(s / native, p) for p in fractions] for s in scales])
    return Sampling(scales, fractions, rms, holes, factor, most, len(sky), float(max(cr_fractions)), kernel)


def evenness(weights: NDArray[np.floating]) -> tuple[float, float]:
    """rms over median of some weights, and the fraction of them that is zero.

    NaN for no weights; infinite rms over median where the median is zero.
    """
    values = np.asarray(weights, float)
    if values.size == 0:
        return math.nan, math.nan
    middle = float(np.median(values))
    return float(values.std() / middle) if middle > 0 else math.inf, float((values == 0).mean())


def knee(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Place where a falling curve bends most: farthest below the line between its ends.

    Parameters
    ----------
    x, y : float64[n]
        In order of x; values that are not finite are left out.

    Returns
    -------
    float or None
        None for fewer than three points, or a curve that does not fall and bend.
    """
    use = np.isfinite(x) & np.isfinite(y)
    x, y = np.asarray(x)[use], np.asarray(y)[use]
    if x.size < 3 or not y[0] > y[-1]:
        return None
    u, v = (x - x[0]) / (x[-1] - x[0]), (y - y[-1]) / (y[0] - y[-1])
    below = 1.0 - u - v
    best = int(np.argmax(below))
    return float(x[best]) if below[best] > 0.05 else None


def advice(sampling: Sampling, scale_arcsec: float, pixfrac: float) -> str:
    """Sentence on the present choice."""
    m = sampling.at(scale_arcsec)
    rms = _between(sampling.pixfracs, sampling.rms_over_median[m], pixfrac)
    holes = _between(sampling.pixfracs, sampling.holes[m], pixfrac)
    factor = _between(sampling.pixfracs, sampling.factor[m], pixfrac)
    even = np.flatnonzero(sampling.rms_over_median[m] < RULE)
    word = "inside" if rms < RULE else "beyond"
    parts = [
        f"At {sampling.scales_arcsec[m]:.4g} arcsec and pixfrac {pixfrac:.2f}: WHT rms/median {rms:.3f}, "
        f"{word} the rule of {RULE}; {100 * holes:.2f} % holes; noise of neighbours correlated by R "
        f"{factor:.2f}."
    ]
    if rms >= RULE and even.size:
        parts.append(f"The rule holds from pixfrac {sampling.pixfracs[even[0]]:.2f} on at this scale.")
    elif rms >= RULE:
        parts.append("No pixfrac holds the rule at this scale: take larger pixels.")
    bend = knee(sampling.pixfracs, sampling.rms_over_median[m])
    if bend is not None:
        parts.append(f"The curve bends at pixfrac {bend:.2f}: beyond it little evenness is won.")
    return " ".join(parts)


def _between(x: NDArray[np.float64], y: NDArray[np.float64], at: float) -> float:
    return float(np.interp(at, x, y))


# ---------------------------------------------------------------------------- patches
def _places(
    exposures: Sequence[Exposure], grid: OutputGrid, wanted: int, rng: np.random.Generator
) -> tuple[list[tuple[float, float]], int]:
    """Places on the sky where as many exposures overlap as anywhere, and how many those are."""
    ny, nx = grid.shape
    ra, dec = grid.pixel_to_sky(rng.uniform(0, nx - 1, TRIES), rng.uniform(0, ny - 1, TRIES))
    count, partly = np.zeros(TRIES, int), np.zeros(TRIES, bool)
    for exposure in exposures:
        inside, near = np.zeros(TRIES, bool), np.zeros(TRIES, bool)
        for chip in exposure.chips:
            inside |= _on_chip(chip, ra, dec, 0.75 * SIDE_ARCSEC)
            near |= _on_chip(chip, ra, dec, -0.75 * SIDE_ARCSEC)
        count += inside
        partly |= near & ~inside
    # A patch that an exposure covers in part would tell of its edge; where there is no other, it must do.
    whole = np.where(partly, 0, count)
    count = whole if whole.any() else count
    most = int(count.max(initial=0))
    if most == 0:
        msg = "Predicting the sampling: no exposure lies on the output grid; check its centre and size."
        raise DataError(msg)
    take = np.flatnonzero(count == most)[:wanted]
    return [(float(ra[k]), float(dec[k])) for k in take], most


def _on_chip(
    chip: Chip, ra: NDArray[np.float64], dec: NDArray[np.float64], edge_arcsec: float
) -> NDArray[np.bool_]:
    x, y = distortion.sky_to_pixel(chip.wcs, ra, dec)
    ny, nx = chip.shape
    edge = edge_arcsec / chip.pixel_scale_arcsec
    with np.errstate(invalid="ignore"):
        return (x > edge) & (y > edge) & (x < nx - 1 - edge) & (y < ny - 1 - edge)


def _region_around(grid: OutputGrid, ra: float, dec: float, side: int) -> Region:
    x, y = (float(v) for v in grid.sky_to_pixel(ra, dec))
    x0, y0 = round(x - 0.5 * (side - 1)), round(y - 0.5 * (side - 1))
    return Region(y0, y0 + side, x0, x0 + side)


def _goods(
    prepared: Sequence[PreparedChip],
    ra: float,
    dec: float,
    bits: Bits,
    cr_fractions: Sequence[float],
    rng: np.random.Generator,
) -> list[tuple[Region, NDArray[np.float32]]]:
    """Weights of the chip pixels around a place: exposure time where the pixel is used."""
    found = []
    for one in prepared:
        chip = one.chip
        x, y = (float(v) for v in distortion.sky_to_pixel(chip.wcs, ra, dec))
        half = math.ceil(0.75 * SIDE_ARCSEC / chip.pixel_scale_arcsec) + 8
        box = Region(0, 0, 0, 0)
        if math.isfinite(x) and math.isfinite(y):
            box = Region(round(y) - half, round(y) + half, round(x) - half, round(x) + half).clip(chip.shape)
        if box.empty:
            found.append((box, np.zeros((0, 0), np.float32)))
            continue
        used = chip.good(box, bits).astype(bool) & ~_rays(box.shape, cr_fractions[one.exposure], rng)
        found.append((box, used.astype(np.float32) * np.float32(chip.exptime)))
    return found


def _rays(shape: tuple[int, int], fraction: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Pixels lost to rays: short random walks, until a share `fraction` is expected to be covered."""
    lost = np.zeros(shape, bool)
    if fraction <= 0:
        return lost
    steps = round(RAY_PX)
    events = rng.poisson(-math.log1p(-min(fraction, 0.9)) * lost.size / RAY_PX)
    y, x = rng.integers(0, shape[0], events), rng.integers(0, shape[1], events)
    for step in range(steps + 1):
        # The last pixel is there for half of the rays: 4.5 on the average.
        there = slice(None) if step < steps else slice(0, events // 2)
        lost[y[there], x[there]] = True
        along = rng.integers(0, 2, events).astype(bool)
        move = rng.choice([-1, 1], events)
        y = np.clip(np.where(along, y + move, y), 0, shape[0] - 1)
        x = np.clip(np.where(along, x, x + move), 0, shape[1] - 1)
    return lost


def _patch(
    placed: Sequence[Placed],
    goods: Sequence[tuple[Region, NDArray[np.float32]]],
    region: Region,
    kernel: str,
    pixfrac: float,
) -> NDArray[np.float32]:
    """Weight of one region, drizzled."""
    num, den = np.zeros(region.shape), np.zeros(region.shape)
    ctx = np.zeros(region.shape, np.uint32)
    kernel_id = KERNELS[kernel]
    for one, (whole, weight) in zip(placed, goods, strict=True):
        if whole.empty:
            continue
        drizzle_box(
            weight, weight, whole.x0, whole.y0, one.prepared.chip.wcs, one.h, kernel_id, pixfrac, one.scale,
            np.uint32(1), region.x0, region.y0, num, den, ctx,
        )  # fmt: skip
    return den.astype(np.float32)

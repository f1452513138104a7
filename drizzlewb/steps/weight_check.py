"""Check of a weight image: statistics where all exposures overlap, and whether sources left an imprint.

The weight at a star should be that of its surroundings. Where it is lower, the cosmic-ray step took the
star's core for rays: the exposures are misaligned, or the thresholds too low.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.ndimage
from astropy.table import Table
from numpy.typing import NDArray

from drizzlewb.errors import DataError
from drizzlewb.grid import OutputGrid
from drizzlewb.memory import give_back
from drizzlewb.steps.saturation import saturation

__all__ = [
    "Found",
    "WeightCheck",
    "check_images",
    "check_weights",
    "exposure_count",
    "find_stars",
    "full_overlap",
    "source_imprint",
]

RATIO = 0.8  # weight of a star's core over that of its surroundings below which it counts as damaged
ANNULUS = (5.0, 9.0)  # output pixels around a star whose median is that of its surroundings
GOOD_EXCESS, WORST_EXCESS = 0.01, 0.03
BLANK_PLACES = 4000
LEAST_STARS = 20
_CLOSING, _RIM = 9, 13  # pixels


@dataclass(frozen=True)
class WeightCheck:
    """What a weight image tells.

    Attributes
    ----------
    area : bool[ny, nx]
        Where all exposures overlap.
    exposures : int
        How many overlap there.
    median, rms, minimum : float
        Of the weight over the area, in its own unit.
    holes : float
        Fraction of the area without weight.
    bins : astropy.table.Table
        Source imprint by magnitude, the last row for all: ``faint``, ``bright`` (instrumental magnitudes),
        ``stars``, ``fraction`` (of damaged cores), ``blank`` (the same at blank places), ``excess``,
        ``error``, ``verdict``.
    damaged : float64[n, 2]
        Places (x, y) of damaged stars.
    verdict : {'good', 'pass', 'fail', 'not graded'}
        Of the imprint: good to 1 %, failed beyond 3 % in any bin.
    words : str
        A sentence.
    """

    area: NDArray[np.bool_]
    exposures: int
    median: float
    rms: float
    minimum: float
    holes: float
    bins: Table
    damaged: NDArray[np.float64]
    verdict: str
    words: str

    def __str__(self) -> str:
        """One paragraph for a terminal."""
        return (
            f"Weight over the overlap of {self.exposures} exposures ({self.area.sum()} px): median "
            f"{self.median:.5g}, rms/median {self.rms / self.median:.3f}, minimum {self.minimum:.5g}, "
            f"{100 * self.holes:.2f} % holes. {self.words}"
        )


def exposure_count(ctx: NDArray[np.uint32], owner: Sequence[int]) -> NDArray[np.uint16]:
    """Number of exposures at each pixel of a context image, which counts chips.

    Parameters
    ----------
    ctx : uint32[ny, nx] or uint32[planes, ny, nx]
        Context image: bit i of plane k is chip 32 k + i.
    owner : sequence of int
        Number of the exposure that each chip belongs to.

    Returns
    -------
    uint16[ny, nx]
    """
    planes = ctx if ctx.ndim == 3 else ctx[np.newaxis]
    count = np.zeros(planes.shape[1:], np.uint16)
    for exposure in dict.fromkeys(owner):
        hit = np.zeros(count.shape, bool)
        for number in (k for k, o in enumerate(owner) if o == exposure):
            hit |= (planes[number // 32] >> np.uint32(number % 32)) & np.uint32(1) != 0
        count += hit
    return count


def full_overlap(count: NDArray[Any], least: int | None = None) -> NDArray[np.bool_]:
    """Area over which all exposures, or at least `least`, lie.

    Parameters
    ----------
    count : integer[ny, nx]
        Contributing exposures (`exposure_count`).
    least : int, optional
        Default: the largest count.

    Notes
    -----
    Pixels that lost an exposure to a cosmic ray or a defect lie inside: holes up to 9 pixels are closed, and
    the rim is taken off by 2.
    """
    enough = count >= (count.max(initial=0) if least is None else least)
    grown = scipy.ndimage.binary_dilation(enough, np.ones((_CLOSING, _CLOSING)))
    return scipy.ndimage.binary_erosion(grown, np.ones((_RIM, _RIM)))


def core_ratio(wht: NDArray[np.float32], x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Least weight of the 3x3 pixels at each place over the median of an annulus of 5 to 9 pixels.

    Places must lie at least 10 pixels inside the image. NaN where the annulus has no weight.
    """
    reach = math.ceil(ANNULUS[1])
    yy, xx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    radius = np.hypot(xx, yy)
    ring = (radius >= ANNULUS[0]) & (radius <= ANNULUS[1])
    i, j = np.rint(x).astype(int), np.rint(y).astype(int)
    around = np.median(wht[j[:, None] + yy[ring], i[:, None] + xx[ring]], axis=1)
    core = scipy.ndimage.minimum_filter(wht, 3)[j, i]
    return np.divide(core, around, out=np.full(len(i), np.nan), where=around > 0).astype(float)


def _inside(x: NDArray[Any], y: NDArray[Any], area: NDArray[np.bool_]) -> NDArray[np.bool_]:
    margin = math.ceil(ANNULUS[1]) + 1
    ny, nx = area.shape
    with np.errstate(invalid="ignore"):
        inside = (x >= margin) & (y >= margin) & (x <= nx - 1 - margin) & (y <= ny - 1 - margin)
    out = np.zeros(len(inside), bool)
    out[inside] = area[np.rint(y[inside]).astype(int), np.rint(x[inside]).astype(int)]
    return out


def source_imprint(
    wht: NDArray[np.float32],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    magnitude: NDArray[np.float64],
    area: NDArray[np.bool_],
    blank: NDArray[np.bool_],
    *,
    seed: int = 1,
) -> tuple[Table, NDArray[np.float64]]:
    """Fraction of stars whose core lost weight, less the same at random blank places, by magnitude.

    Parameters
    ----------
    wht : float32[ny, nx]
        Weight image.
    x, y, magnitude : float64[n]
        Unsaturated stars, zero-based places.
    area, blank : bool[ny, nx]
        Where all exposures overlap; where there is no source.
    seed : int
        Of the random places.

    Returns
    -------
    bins : astropy.table.Table
        As in `WeightCheck`; bins of one magnitude, joined until each has 20 stars.
    damaged : float64[n, 2]
        Places of the stars below 0.8.
    """
    take = _inside(x, y, area)
    x, y, magnitude = x[take], y[take], magnitude[take]
    low = core_ratio(wht, x, y) < RATIO if x.size else np.zeros(0, bool)
    rows, columns = np.nonzero(area & blank)
    rng = np.random.default_rng(seed)
    pick = rng.choice(rows.size, min(BLANK_PLACES, rows.size), replace=False)
    bx, by = columns[pick].astype(float), rows[pick].astype(float)
    keep = _inside(bx, by, area)
    empty = core_ratio(wht, bx[keep], by[keep]) < RATIO if keep.any() else np.zeros(0, bool)
    table = Table(
        names=("bright", "faint", "stars", "fraction", "blank", "excess", "error", "verdict"),
        dtype=(float, float, int, float, float, float, float, "U10"),
    )
    for bright, faint in [*magnitude_bins(magnitude), (-math.inf, math.inf)]:
        here = (magnitude >= bright) & (magnitude < faint)
        table.add_row(excess_row(bright, faint, low[here], empty))
    return table, np.stack([x[low], y[low]], axis=1)


def magnitude_bins(magnitude: NDArray[np.float64]) -> list[tuple[float, float]]:
    if magnitude.size == 0:
        return []
    edges = np.arange(math.floor(magnitude.min()), math.ceil(magnitude.max()) + 1.5)
    bins: list[tuple[float, float]] = []
    start = edges[0]
    for stop in edges[1:]:
        if ((magnitude >= start) & (magnitude < stop)).sum() >= LEAST_STARS:
            bins.append((float(start), float(stop)))
            start = stop
    return bins


def excess_row(bright: float, faint: float, low: NDArray[np.bool_], empty: NDArray[np.bool_]) -> tuple:
    n, m = low.size, empty.size
    if n < LEAST_STARS or m < LEAST_STARS:
        return bright, faint, n, math.nan, math.nan, math.nan, math.nan, "not graded"
    # One is added to hits and misses, so that no hits among few stars do not pass for certainty.
    f, b = low.mean(), empty.mean()
    f1, b1 = (low.sum() + 1) / (n + 2), (empty.sum() + 1) / (m + 2)
    error = math.sqrt(f1 * (1 - f1) / n + b1 * (1 - b1) / m)
    excess = f - b
    if excess - 2 * error > WORST_EXCESS or (excess > WORST_EXCESS and error <= WORST_EXCESS / 2):
        verdict = "fail"
    elif excess > WORST_EXCESS or error > WORST_EXCESS:
        verdict = "not graded"
    else:
        verdict = "good" if excess <= GOOD_EXCESS and error <= GOOD_EXCESS else "pass"
    return bright, faint, n, f, b, excess, error, verdict


def overall(bins: Table) -> tuple[str, str]:
    """Verdict and sentence on a table of imprint bins."""
    verdicts = list(bins["verdict"])
    if "fail" in verdicts:
        worst = bins[bins["verdict"] == "fail"][np.argmax(bins["excess"][bins["verdict"] == "fail"])]
        where = (
            ""
            if not np.isfinite(worst["bright"])
            else f" of magnitude {worst['bright']:.0f} to {worst['faint']:.0f}"
        )
        return "fail", (
            f"Sources are imprinted on the weights: {100 * worst['excess']:.1f} ± "
            f"{100 * worst['error']:.1f} % "
            f"more of {worst['stars']} star cores{where} lost weight than blank places. "
            "The cosmic-ray step rejects star cores: check the alignment first, then raise driz_cr_scale."
        )
    whole = bins[-1]
    if whole["verdict"] == "not graded":
        if not math.isfinite(whole["error"]):
            return (
                "not graded",
                f"Only {whole['stars']} unsaturated stars in the overlap: too few for the imprint test.",
            )
        return "not graded", (
            f"{whole['stars']} stars tell the excess of damaged cores only to {100 * whole['error']:.1f} %: "
            "too few."
        )
    return whole["verdict"], (
        f"No imprint of sources: {100 * whole['excess']:.1f} ± {100 * whole['error']:.1f} % more of "
        f"{whole['stars']} star cores lost weight than blank places."
    )


def check_weights(
    product: Any,
    *,
    exposures: Sequence[Any] | None = None,
    threshold: float = 10.0,
    seed: int = 1,
) -> WeightCheck:
    """Statistics of a product's weights and test for an imprint of its sources.

    Parameters
    ----------
    product : Product
        Anything with ``sci``, ``wht``, ``ctx``, ``grid`` and ``record`` as `drizzlewb.products.drc.Product`.
    exposures : sequence of Exposure, optional
        The inputs, whose flags tell which stars are saturated; default, those of the reduction while it is
        in memory. Without them stars above half of the product's largest value are left out.
    threshold : float
        Least peak of a star over the noise of the image.
    seed : int
        Of the random blank places.

    Returns
    -------
    WeightCheck

    Raises
    ------
    DataError
        The product has no context image, which tells where exposures overlap.
    """
    if product.ctx is None:
        msg = (
            f"checking the weights of {product.path}: it has no context image, which tells where all "
            "exposures overlap; make it with context=True."
        )
        raise DataError(msg)
    owner = [number for number, entry in enumerate(product.record["inputs"]) for _ in entry["chips"]]
    if exposures is None and getattr(product, "reduction", None) is not None:
        exposures = product.reduction.exposures
    found = check_images(
        product.sci,
        product.wht,
        exposure_count(product.ctx, owner),
        product.grid,
        exposures=exposures,
        threshold=threshold,
        seed=seed,
    )
    give_back()
    return found


def check_images(
    sci: NDArray[np.float32],
    wht: NDArray[np.float32],
    count: NDArray[np.integer],
    grid: OutputGrid,
    *,
    exposures: Sequence[Any] | None = None,
    threshold: float = 10.0,
    seed: int = 1,
) -> WeightCheck:
    """`check_weights` for images in memory, such as one region of a product.

    Parameters
    ----------
    sci, wht : float32[ny, nx]
    count : integer[ny, nx]
        Contributing exposures (`exposure_count`).
    grid : OutputGrid
        Of these very pixels: its shape is theirs.
    exposures, threshold, seed
        As for `check_weights`.
    """
    area = full_overlap(count)
    found = find_stars(sci, area, grid.scale_arcsec, threshold)
    keep = np.ones(found.x.size, bool)
    if found.x.size and exposures is not None:
        reach = max(1, round(0.5 / grid.scale_arcsec))
        whole = ~scipy.ndimage.binary_dilation(saturation(grid, exposures).touched, iterations=reach)
        keep = whole[np.rint(found.y).astype(int), np.rint(found.x).astype(int)]
    elif found.x.size:
        keep = found.peak < 0.5 * float(np.nanmax(sci[area]) - found.level)
    x, y, magnitude = found.x[keep], found.y[keep], found.magnitude[keep]
    return weigh(wht, area, int(count.max(initial=0)), x, y, magnitude, found.blank, seed=seed)


class Found(NamedTuple):
    """Stars of an image and the sky between them.

    `x`, `y` : zero-based places; `magnitude` : instrumental; `peak` : above the level, image units;
    `blank` : bool[ny, nx], sky; `level`, `noise` : of the sky, image units, NaN without any.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    magnitude: NDArray[np.float64]
    peak: NDArray[np.float64]
    blank: NDArray[np.bool_]
    level: float
    noise: float


def find_stars(
    sci: NDArray[np.float32], area: NDArray[np.bool_], scale_arcsec: float, threshold: float = 10.0
) -> Found:
    """Stars in an area of a drizzled image, and its blank sky.

    Parameters
    ----------
    sci : float32[ny, nx]
    area : bool[ny, nx]
        Where to look.
    scale_arcsec : float
        Pixel size.
    threshold : float
        Least peak over the noise of the image.
    """
    from photutils.detection import DAOStarFinder
    from photutils.utils.exceptions import NoDetectionsWarning

    values = sci[area & np.isfinite(sci)]
    level = float(np.median(values)) if values.size else math.nan
    noise = 1.4826 * float(np.median(np.abs(values - level))) if values.size else math.nan
    x = y = magnitude = peak = np.zeros(0)
    blank = area & (np.abs(np.nan_to_num(sci) - level) < 3 * noise)
    if values.size and noise > 0:
        finder = DAOStarFinder(threshold * noise, max(2.0, 0.11 / scale_arcsec))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoDetectionsWarning)  # none is an answer too
            found = finder(np.where(np.isfinite(sci), sci - level, 0), mask=~area)
        if found is not None:
            names = (
                ("x_centroid", "y_centroid") if "x_centroid" in found.colnames else ("xcentroid", "ycentroid")
            )
            x, y = (np.asarray(found[name], float) for name in names)
            magnitude = -2.5 * np.log10(np.asarray(found["flux"], float))
            peak = np.asarray(found["peak"], float)
        bright = np.nan_to_num(sci) - level > 5 * noise
        blank &= ~scipy.ndimage.binary_dilation(bright, iterations=3)
    return Found(x, y, magnitude, peak, blank, level, noise)


def weigh(
    wht: NDArray[np.float32],
    area: NDArray[np.bool_],
    exposures: int,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    magnitude: NDArray[np.float64],
    blank: NDArray[np.bool_],
    *,
    seed: int = 1,
) -> WeightCheck:
    """`check_weights` for stars that are known already; arguments as in `source_imprint`."""
    values = wht[area].astype(float)
    if values.size == 0:
        bins, damaged = source_imprint(wht, x[:0], y[:0], magnitude[:0], area, blank, seed=seed)
        nan = math.nan
        return WeightCheck(
            area,
            exposures,
            nan,
            nan,
            nan,
            nan,
            bins,
            damaged,
            "not graded",
            "No area is covered by all exposures.",
        )
    bins, damaged = source_imprint(wht, x, y, magnitude, area, blank, seed=seed)
    verdict, words = overall(bins)
    return WeightCheck(
        area,
        exposures,
        float(np.median(values)),
        float(values.std()),
        float(values.min()),
        float((values == 0).mean()),
        bins,
        damaged,
        verdict,
        words,
    )

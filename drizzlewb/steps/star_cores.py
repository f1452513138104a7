"""How often the cosmic-ray step takes the core of a star for a ray, by magnitude.

Stars are those of the blotted median, which holds no rays: in an exposure itself rays pass for stars, and
each of them would count as a ruined one.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.ndimage
from astropy.table import Table
from numpy.typing import NDArray

from drizzlewb.kernels import detection
from drizzlewb.steps.contributions import Masked
from drizzlewb.steps.saturation import saturated_bits
from drizzlewb.steps.weight_check import BLANK_PLACES, excess_row, magnitude_bins

__all__ = ["CoreCounts", "StarCores", "count_cores", "star_cores"]

HEIGHT_SIGMA = 10.0
"""Least height of a star over the noise of one exposure."""

FWHM_PX = 2.5
_EDGE = 4  # px: the filter's footprint and the star's box lie inside
_CORE = 1  # px: a core is the pixel of the peak and its eight neighbours
_AWAY = 4  # px between a blank place and light


@dataclass(frozen=True, eq=False)
class CoreCounts:
    """Stars and blank places of some boxes, and which of them were hit.

    Attributes
    ----------
    x, y : ndarray, float64, shape (n,)
        Peaks of the stars, zero-based px of the chip.
    magnitude : ndarray, float64, shape (n,)
        Instrumental: -2.5 log10(electrons/s in 5 x 5 px above the sky).
    hit : ndarray, bool, shape (n,)
        Whether a pixel of the core (3 x 3) is flagged.
    blank : ndarray, bool, shape (m,)
        The same for 3 x 3 px at random places without light.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    magnitude: NDArray[np.float64]
    hit: NDArray[np.bool_]
    blank: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class StarCores:
    """What the star-core meter says.

    Attributes
    ----------
    bins : astropy.table.Table
        By magnitude, the last row for all: ``bright``, ``faint``, ``stars``, ``fraction`` (hit), ``blank``
        (blank places hit), ``excess``, ``error``, ``verdict``.
    stars, hit : int
        All stars, and those whose core was hit.
    blank : float
        Fraction of blank places that were hit; NaN without any.
    verdict : {'good', 'pass', 'fail', 'not graded'}
        Good to 1 % more hits than at blank places, failed beyond 3 % in any bin.
    words : str
        A sentence.
    """

    bins: Table = field(repr=False)
    stars: int
    hit: int
    blank: float
    verdict: str
    words: str


def count_cores(masked: Masked, *, seed: int = 1) -> CoreCounts:
    """Look at the stars of a box of a chip.

    Parameters
    ----------
    masked : Masked
        The box, with blot and mask.
    seed : int
        Of the random blank places.

    Returns
    -------
    CoreCounts
        Empty for a box without stars, or smaller than 9 px. Stars near saturated pixels are left out.
    """
    chip, box = masked.chip, masked.box
    blot = np.ascontiguousarray(masked.blot, np.float32)
    finite = np.isfinite(blot)
    if min(blot.shape) <= 2 * _EDGE or not finite.any():
        none = np.zeros(0)
        return CoreCounts(none, none, none, none.astype(bool), none.astype(bool))
    step = max(1, blot.size // 100_000)
    level = float(np.median(blot[finite][::step]))
    noise = math.sqrt(max(level, 0.0) + chip.read_noise**2)
    image = np.where(finite, blot, np.float32(level))
    x, y = _stars(image, noise)
    full = chip.read_dq(box) & np.uint16(saturated_bits(chip)) != 0
    full = scipy.ndimage.binary_dilation(full, np.ones((3, 3)), iterations=2)
    inside = (x >= _EDGE) & (y >= _EDGE) & (x < image.shape[1] - _EDGE) & (y < image.shape[0] - _EDGE)
    keep = np.flatnonzero(inside)
    keep = keep[~full[y[keep], x[keep]]]
    x, y = x[keep], y[keep]
    j, i = np.mgrid[-2:3, -2:3]
    flux = (image[y[:, None, None] + j, x[:, None, None] + i] - level).sum(axis=(1, 2), dtype=np.float64)
    seconds = chip.exptime if chip.exptime > 0 else 1.0
    magnitude = -2.5 * np.log10(np.maximum(flux, noise) / seconds)
    light = scipy.ndimage.binary_dilation(
        (image - level > 2.0 * noise) | full | ~finite, np.ones((3, 3)), iterations=_AWAY
    )
    light[:_EDGE] = light[-_EDGE:] = light[:, :_EDGE] = light[:, -_EDGE:] = True
    dark = np.flatnonzero(~light)
    rng = np.random.default_rng(seed)
    pick = rng.choice(dark, min(BLANK_PLACES, dark.size), replace=False)
    by, bx = np.unravel_index(pick, light.shape)
    hit, blank = _hit(masked.mask, x, y), _hit(masked.mask, bx, by)
    return CoreCounts(x + float(box.x0), y + float(box.y0), magnitude, hit, blank)


def _stars(image: NDArray[np.float32], noise: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Peaks of a matched filter above the limit."""
    filters = detection.matched_filter(FWHM_PX)
    capacity = max(1000, image.size // 9)
    xs, ys = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
    heights = np.empty(capacity, np.float32)
    n = detection.find_peaks(
        image, np.empty((0, 0), np.uint8), filters.weights, filters.footprint,
        np.float32(HEIGHT_SIGMA * noise), 0, image.shape[0], xs, ys, heights,
    )  # fmt: skip
    n = min(n, capacity)
    return xs[:n].astype(np.intp), ys[:n].astype(np.intp)


def _hit(mask: NDArray[np.uint8], x: NDArray[np.intp], y: NDArray[np.intp]) -> NDArray[np.bool_]:
    j, i = np.mgrid[-_CORE : _CORE + 1, -_CORE : _CORE + 1]
    return (mask[y[:, None, None] + j, x[:, None, None] + i] == 0).any(axis=(1, 2))


def star_cores(counts: Iterable[CoreCounts] | Sequence[CoreCounts]) -> StarCores:
    """Grade the star cores of boxes, of one exposure or of many.

    Parameters
    ----------
    counts : iterable of CoreCounts

    Returns
    -------
    StarCores
        Bins of one magnitude, joined until each has 20 stars; fewer stars are counted and not graded.
    """
    parts = list(counts)
    magnitude = np.concatenate([np.zeros(0), *[c.magnitude for c in parts]])
    hit = np.concatenate([np.zeros(0, bool), *[c.hit for c in parts]])
    blank = np.concatenate([np.zeros(0, bool), *[c.blank for c in parts]])
    table = Table(
        names=("bright", "faint", "stars", "fraction", "blank", "excess", "error", "verdict"),
        dtype=(float, float, int, float, float, float, float, "U10"),
    )
    for bright, faint in [*magnitude_bins(magnitude), (-math.inf, math.inf)]:
        here = (magnitude >= bright) & (magnitude < faint)
        table.add_row(excess_row(bright, faint, hit[here], blank))
    rate = float(blank.mean()) if blank.size else math.nan
    verdicts = list(table["verdict"])
    verdict = "fail" if "fail" in verdicts else verdicts[-1]
    return StarCores(
        table, len(hit), int(hit.sum()), rate, verdict, _words(table, len(hit), int(hit.sum()), rate, verdict)
    )


def _words(table: Table, stars: int, hit: int, blank: float, verdict: str) -> str:
    if not stars:
        return f"No unsaturated star {HEIGHT_SIGMA:g} times above the noise."
    told = f"{hit} of {stars} star cores are hit ({100 * hit / stars:.1f} %"
    told += f"; blank places {100 * blank:.1f} %)." if math.isfinite(blank) else ")."
    if verdict == "fail":
        bad = table[table["verdict"] == "fail"]
        worst = bad[np.argmax(bad["excess"])]
        where = "" if not np.isfinite(worst["bright"]) else f" at magnitude {worst['bright']:.0f}"
        return (
            f"{told} That is {100 * worst['excess']:.1f} ± {100 * worst['error']:.1f} % too many{where}: "
            "stars are taken for rays. Mend the alignment first, then raise driz_cr_scale, not driz_cr_snr."
        )
    if verdict == "not graded":
        return f"{told} Too few to grade: look at more of the field."
    return (
        f"{told} Good: up to 1 % more than at blank places."
        if verdict == "good"
        else f"{told} Fair: up to 3 %."
    )

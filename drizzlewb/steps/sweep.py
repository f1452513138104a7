"""What a choice of pixfrac does to a region, measured on the drizzled pixels themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drizzlewb.steps.image_quality import Noise, measured_noise, star_width
from drizzlewb.steps.sampling import evenness
from drizzlewb.steps.weight_check import Found, find_stars, full_overlap

__all__ = ["Measured", "half_stack_noise", "look_at_region", "measure_region", "native_noise"]

MOST_STARS = 60
STAR_SIGMA = 20.0  # fainter stars tell little of the width


class Measured(NamedTuple):
    """One region at one pixfrac.

    `pixfrac`; `rms_over_median` and `holes` of the weight where all exposures overlap; `fwhm_arcsec` : median
    of `stars` stars, NaN without any; `noise_pixel` : rms of blank sky per output pixel, product units;
    `factor`, `factor_error` : correlated-noise factor R as measured, NaN where there is too little sky.
    """

    pixfrac: float
    rms_over_median: float
    holes: float
    fwhm_arcsec: float
    stars: int
    noise_pixel: float
    factor: float
    factor_error: float


def look_at_region(
    sci: NDArray[np.float32], count: NDArray[np.integer], scale_arcsec: float
) -> tuple[NDArray[np.bool_], Found]:
    """Full-overlap area of a region, and its stars and sky; find them once, where there are no holes.

    Parameters
    ----------
    sci : float32[ny, nx]
    count : integer[ny, nx]
        Contributing exposures.
    scale_arcsec : float
    """
    area = full_overlap(count)
    return area, find_stars(sci, area, scale_arcsec, STAR_SIGMA)


def measure_region(
    sci: NDArray[np.float32],
    wht: NDArray[np.float32],
    area: NDArray[np.bool_],
    found: Found,
    *,
    halves: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]] = (),
    pixfrac: float,
    scale_ratio: float,
    scale_arcsec: float,
) -> Measured:
    """Measure a region.

    Parameters
    ----------
    sci, wht : float32[ny, nx]
    area, found
        From `look_at_region`, of the same region at any pixfrac.
    halves : sequence of (float32[ny, nx], float32[ny, nx])
        Image and weight of the two half stacks. Then the noise is that of their difference, in which faint
        sources drop out; without them they count as noise.
    pixfrac : float
    scale_ratio : float
        Output pixel over input pixel.
    scale_arcsec : float
        Output pixel.
    """
    rms, holes = evenness(wht[area])
    order = np.argsort(found.magnitude)[:MOST_STARS]
    widths = np.array([star_width(sci, found.x[k], found.y[k], scale_arcsec) for k in order])
    widths = widths[np.isfinite(widths)]
    blank = found.blank & np.isfinite(sci)
    drop = pixfrac / scale_ratio
    if len(halves) == 2:
        noise = half_stack_noise(halves[0], halves[1], blank, drop)
    else:
        noise = measured_noise(np.nan_to_num(sci) - found.level, blank, drop)
    pixel = noise.pixel
    width = float(np.median(widths)) if widths.size else math.nan
    return Measured(
        float(pixfrac), rms, holes, width, int(widths.size), pixel, noise.factor, noise.factor_error
    )


def half_stack_noise(
    odd: tuple[NDArray[np.float32], NDArray[np.float32]],
    even: tuple[NDArray[np.float32], NDArray[np.float32]],
    blank: NDArray[np.bool_],
    drop: float,
) -> Noise:
    """Noise of a whole stack, from the difference of its halves: what is on the sky drops out.

    Parameters
    ----------
    odd, even : (float32[ny, nx], float32[ny, nx])
        Image and weight of each half, on the same pixels.
    blank : bool[ny, nx]
        Sky.
    drop : float
        pixfrac over scale ratio.

    Returns
    -------
    Noise
        Of the whole stack, in the unit of the images.

    Notes
    -----
    The variance of each half goes as 1/weight, that of the whole as 1/(sum of weights). So each pixel of the
    difference is multiplied by sqrt(w1 w2)/(w1 + w2), which is 1/2 for equal halves.
    """
    (a, wa), (b, wb) = odd, even
    both = (wa > 0) & (wb > 0) & np.isfinite(a) & np.isfinite(b)
    total = np.where(both, wa + wb, 1).astype(float)
    share = np.sqrt(np.where(both, wa.astype(float) * wb, 0)) / total
    difference = np.where(both, a - b, 0) * share
    sky = blank & both
    if sky.any():
        difference -= np.where(both, np.median(difference[sky]), 0)
    return measured_noise(difference.astype(np.float32), sky, drop)


def native_noise(
    variances_e2: Sequence[float], seconds: Sequence[float], seconds_used: float | None = None
) -> float:
    """Noise per native pixel, electrons/s, of the exposure-time weighted mean of a stack's sky.

    Parameters
    ----------
    variances_e2 : sequence of float
        Variance of a pixel of blank sky in each exposure: sky + dark + read noise squared, electrons squared.
    seconds : sequence of float
        Exposure times.
    seconds_used : float, optional
        Effective exposure time of the product, if less than the sum: pixels were lost to rays and defects.
    """
    total = float(np.sum(seconds))
    lost = total / seconds_used if seconds_used else 1.0
    return math.sqrt(float(np.sum(variances_e2)) * lost) / total

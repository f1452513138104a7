"""Quality of an image: its noise, how far that is correlated, and the width of its stars."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

__all__ = ["BLOCK", "Noise", "clipped_rms", "measured_noise", "noise_factor", "robust_sigma", "star_width"]

LEAST_PAIRS = 40  # of neighbouring blocks
BLOCK = 8  # output pixels along a side, for the noise of sums
WIDTH_RADIUS_ARCSEC = 0.16  # pixels so far from a star's centre define its width


def robust_sigma(values: NDArray) -> float:
    """Return the standard deviation from the median absolute deviation; NaN of nothing."""
    values = values[np.isfinite(values)]
    if values.size == 0:
        return math.nan
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def clipped_rms(values: NDArray) -> float:
    """Return the standard deviation after clipping at 4 sigma until nothing goes; NaN of nothing."""
    values = values[np.isfinite(values)].astype(float)
    sigma = math.nan
    for _ in range(10):
        if values.size == 0:
            break
        sigma = float(values.std())
        kept = values[np.abs(values - np.median(values)) <= 4 * sigma]
        if kept.size == values.size:
            break
        values = kept
    return sigma


def noise_factor(scale_ratio: float, pixfrac: float) -> float:
    """Ratio of the noise of large areas to what independent pixels would give (Casertano et al. 2000).

    Parameters
    ----------
    scale_ratio : float
        Output pixel over input pixel.
    pixfrac : float
        Linear size of a drop in input pixels.
    """
    s, p = scale_ratio, pixfrac
    if p == 0:
        return 1.0
    return 1 / ((s / p) * (1 - s / (3 * p))) if s < p else 1 / (1 - p / (3 * s))


class Noise(NamedTuple):
    """Noise of blank sky.

    `pixel` : rms per output pixel; `factor` : R, measured; `factor_error` : its standard error; `blocks` :
    number of blocks of 8x8 pixels it rests on.
    """

    pixel: float
    factor: float
    factor_error: float
    blocks: int


def measured_noise(image: NDArray[np.float32], blank: NDArray[np.bool_], drop: float) -> Noise:
    """Noise per pixel and correlated-noise factor of blank sky.

    Parameters
    ----------
    image : float32[ny, nx]
        Sky without sources (product minus scene), or the product itself.
    blank : bool[ny, nx]
        Pixels that are sky in the full overlap.
    drop : float
        pixfrac over scale ratio: side of a drop in output pixels.

    Returns
    -------
    Noise
        Clipped, so that left-over hot pixels do not count; the blocks from differences of neighbours, so that
        a slope of the sky does not.

    Notes
    -----
    For evenly spread dithers the variance of a sum over N pixels goes along each axis as N - drop/3, and two
    neighbouring sums share drop/6: what a block of finite size misses of R is put back with that.
    """
    ny, nx = (n // BLOCK * BLOCK for n in image.shape)
    cells = (ny // BLOCK, BLOCK, nx // BLOCK, BLOCK)
    keep = np.asarray(blank[:ny, :nx].reshape(cells).all(axis=(1, 3)))
    sums = np.where(blank, image, 0)[:ny, :nx].reshape(cells).sum(axis=(1, 3), dtype=float)
    pixels = image[:ny, :nx].reshape(cells).transpose(0, 2, 1, 3)[keep]
    across = (sums[:, 1:] - sums[:, :-1])[keep[:, 1:] & keep[:, :-1]]
    along = (sums[1:] - sums[:-1])[keep[1:] & keep[:-1]]
    differences = np.concatenate([across, along])
    if differences.size < LEAST_PAIRS:
        enough = np.count_nonzero(blank) >= 10 * LEAST_PAIRS
        pixel = clipped_rms(image[blank]) if enough else math.nan
        return Noise(pixel, math.nan, math.nan, int(keep.sum()))
    # The drops' uneven overlap makes some pixels noisier than others: theory speaks of their rms.
    pixel = clipped_rms(pixels.ravel())
    shared = (drop / 6) / (BLOCK - drop / 3)
    sigma = clipped_rms(differences) / math.sqrt(2 * (1 - shared))
    factor = sigma / (BLOCK * pixel) / (1 - drop / (3 * BLOCK))
    return Noise(pixel, factor, factor * 1.17 / math.sqrt(keep.sum()), int(keep.sum()))


def star_width(image: NDArray[np.float32], x: float, y: float, scale_arcsec: float) -> float:
    """FWHM of a star in arcsec: a round Gaussian with a level, fitted to the pixels within 0.16 arcsec.

    NaN where there is no fit, or a pixel has no value.
    """
    reach = math.ceil(WIDTH_RADIUS_ARCSEC / scale_arcsec) + 1
    i, j = round(x), round(y)
    if i < reach or j < reach or i + reach >= image.shape[1] or j + reach >= image.shape[0]:
        return math.nan
    data = image[j - reach : j + reach + 1, i - reach : i + reach + 1].astype(float)
    yy, xx = (v * scale_arcsec for v in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    near = np.hypot(xx - (x - i) * scale_arcsec, yy - (y - j) * scale_arcsec) <= WIDTH_RADIUS_ARCSEC
    values, u, v = data[near], xx[near], yy[near]
    if not np.isfinite(values).all():
        return math.nan
    low, high = float(values.min()), float(values.max())

    def miss(p: NDArray) -> NDArray:
        return p[0] * np.exp(-((u - p[1]) ** 2 + (v - p[2]) ** 2) / (2 * p[3] ** 2)) + p[4] - scaled

    scaled = (values - low) / (high - low) if high > low else values
    start = [1.0, (x - i) * scale_arcsec, (y - j) * scale_arcsec, 0.05, 0.0]
    fit = scipy.optimize.least_squares(
        miss, start, method="lm", x_scale=[1, 0.01, 0.01, 0.01, 1], max_nfev=200
    )
    width = 2.3548 * abs(float(fit.x[3]))
    moved = math.hypot(fit.x[1] - start[1], fit.x[2] - start[2])
    return width if fit.success and 0.03 < width < 0.4 and moved < 0.05 else math.nan

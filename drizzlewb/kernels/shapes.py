"""Shapes of found sources: sharpness and roundness, as DAOFIND and DrizzlePac measure them."""

from typing import NamedTuple

import numpy as np

from drizzlewb.kernels.jit import kernel

__all__ = ["ShapeStatistics", "shape_statistics"]


class ShapeStatistics(NamedTuple):
    """What DAOFIND and DrizzlePac measure in the kernel's box; each array is float64 of shape (n,).

    Attributes
    ----------
    peak, flux : ndarray
        Maximum and sum of the image in the box, sky included, in units of the image.
    sharp : ndarray
        (central pixel - mean of the other pixels of the footprint) / height.
    round1 : ndarray
        Twofold over fourfold symmetry of the filtered image.
    round2 : ndarray
        2 (hx - hy) / (hx + hy) of the marginal Gaussian heights; inf where one is not positive.
    """

    peak: np.ndarray
    flux: np.ndarray
    sharp: np.ndarray
    round1: np.ndarray
    round2: np.ndarray


def _marginal_weights(gaussian, axis):
    """Weights of the box's pixels in the height of DAOFIND's marginal Gaussian along y (0) or x (1)."""
    across = 1 - axis
    along_weight, across_weight = (
        n // 2 + 1.0 - np.abs(np.arange(n) - n // 2) for n in (gaussian.shape[axis], gaussian.shape[across])
    )
    model = np.tensordot(gaussian, across_weight, (across, 0))
    model = model - (along_weight * model).sum() / along_weight.sum()
    along = along_weight * model / (along_weight * model**2).sum()
    return np.outer(across_weight, along) if axis else np.outer(along, across_weight)


@kernel
def _measure(image, weights, around, height_x, height_y, xs, ys, out):
    """Fill out[k]: peak, flux, mean around the centre, marginal heights, two- and fourfold symmetry."""
    ny, nx = image.shape
    ky, kx = weights.shape
    ry, rx = ky // 2, kx // 2
    row = np.empty(kx)
    for k in range(xs.size):
        left, bottom = xs[k] - rx, ys[k] - ry
        peak = -np.inf
        flux = mean = hx = hy = 0.0
        for j in range(ky):
            for i in range(kx):
                value = float(image[bottom + j, left + i])
                peak = max(peak, value)
                flux += value
                mean += around[j, i] * value
                hx += height_x[j, i] * value
                hy += height_y[j, i] * value
        two = four = 0.0
        for j in range(ky):
            # One row of the filtered image in the box; 0 where the kernel leaves the image.
            y = bottom + j - ry
            row[:] = 0.0
            if 0 <= y <= ny - ky:
                first, last = max(0, rx - left), min(kx, nx - kx + 1 + rx - left)
                for b in range(ky):
                    for a in range(kx):
                        for i in range(first, last):
                            row[i] += weights[b, a] * image[y + b, left - rx + i + a]
            for i in range(kx):
                if i == rx and j == ry:
                    continue
                # Quadrants about the centre, each with one of the half axes.
                minus = (j >= ry and i < rx) or (j <= ry and i > rx)
                two += -row[i] if minus else row[i]
                four += abs(row[i])
        out[k, 0] = peak
        out[k, 1] = flux
        out[k, 2] = mean
        out[k, 3] = hx
        out[k, 4] = hy
        out[k, 5] = two
        out[k, 6] = four


def shape_statistics(image, filters, xs, ys, heights):
    """Peak, flux, sharpness and the two roundnesses of DAOFIND for each source.

    Parameters
    ----------
    image : ndarray, float32, shape (ny, nx)
    filters : MatchedFilter
    xs, ys : ndarray, int32, shape (n,)
        Peak pixels, from `find_peaks` with the same kernel.
    heights : ndarray, float32, shape (n,)
        Heights from `find_peaks`.

    Returns
    -------
    ShapeStatistics

    Notes
    -----
    Definitions of DrizzlePac 3.11 (``findobj.sharp_round``) and IRAF's ``apfind``, which divide by
    four symmetric quadrants about the centre. Where the box of the filtered image leaves the image,
    its outer pixels count as zero.
    """
    ky, kx = filters.weights.shape
    ry, rx = ky // 2, kx // 2
    inside = filters.footprint.astype(float)
    inside[ry, rx] = 0.0
    out = np.empty((xs.size, 7))
    _measure(
        image,
        filters.weights,
        inside / inside.sum(),
        _marginal_weights(filters.gaussian, 1),
        _marginal_weights(filters.gaussian, 0),
        xs,
        ys,
        out,
    )
    peak, flux, around, hx, hy, two, four = np.ascontiguousarray(out.T)
    sharp = (image[ys, xs] - around) / heights
    round1 = np.divide(2.0 * two, four, out=np.zeros_like(two), where=four > 0)
    star = (hx > 0) & (hy > 0)
    round2 = np.divide(2.0 * (hx - hy), hx + hy, out=np.full_like(hx, np.inf), where=star)
    return ShapeStatistics(peak, flux, sharp, round1, round2)

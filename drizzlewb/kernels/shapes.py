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


def _marginal_height(boxes, gaussian, axis):
    """Height of DAOFIND's weighted marginal Gaussian along x (axis 2) or y (axis 1)."""
    across = 3 - axis
    half = np.array(gaussian.shape) // 2
    along_weight = half[axis - 1] + 1.0 - np.abs(np.arange(gaussian.shape[axis - 1]) - half[axis - 1])
    across_weight = half[across - 1] + 1.0 - np.abs(np.arange(gaussian.shape[across - 1]) - half[across - 1])
    data = np.tensordot(boxes, across_weight, (across, 0))
    model = np.tensordot(gaussian, across_weight, (across - 1, 0))
    total = along_weight.sum()
    model = model - (along_weight * model).sum() / total
    return data @ (along_weight * model) / (along_weight * model**2).sum()


@kernel
def _filtered_boxes(image, weights, xs, ys, out):
    """Fill out[k] with the filtered image in the kernel's box around each source; 0 where it leaves it."""
    ny, nx = image.shape
    ky, kx = weights.shape
    ry, rx = ky // 2, kx // 2
    for k in range(xs.size):
        for j in range(ky):
            y = ys[k] + j - 2 * ry
            for i in range(kx):
                x = xs[k] + i - 2 * rx
                total = 0.0
                if y >= 0 and x >= 0 and y + ky <= ny and x + kx <= nx:
                    for b in range(ky):
                        for a in range(kx):
                            total += weights[b, a] * image[y + b, x + a]
                out[k, j, i] = total


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
    n = xs.size
    result = ShapeStatistics(*(np.empty(n) for _ in ShapeStatistics._fields))
    inside = filters.footprint.astype(float)
    inside[ry, rx] = 0.0
    sign = np.ones((ky, kx))
    sign[ry:, :rx] = -1.0
    sign[: ry + 1, rx + 1 :] = -1.0
    sign[ry, rx] = 0.0
    jj, ii = np.mgrid[-ry : ry + 1, -rx : rx + 1]
    # In pieces that stay in the cache.
    for start in range(0, n, 1024):
        part = slice(start, min(start + 1024, n))
        boxes = image[ys[part, None, None] + jj, xs[part, None, None] + ii].astype(float)
        density = np.empty(boxes.shape)
        _filtered_boxes(image, filters.weights, xs[part], ys[part], density)
        result.peak[part] = boxes.max((1, 2))
        result.flux[part] = boxes.sum((1, 2))
        centre = boxes[:, ry, rx]
        around = (boxes * inside).sum((1, 2)) / inside.sum()
        result.sharp[part] = (centre - around) / heights[part]
        four = np.abs(density * np.abs(sign)).sum((1, 2))
        two = (density * sign).sum((1, 2))
        result.round1[part] = np.divide(2.0 * two, four, out=np.zeros_like(two), where=four > 0)
        hx = _marginal_height(boxes, filters.gaussian, 2)
        hy = _marginal_height(boxes, filters.gaussian, 1)
        star = (hx > 0) & (hy > 0)
        result.round2[part] = np.divide(2.0 * (hx - hy), hx + hy, out=np.full_like(hx, np.inf), where=star)
    return result

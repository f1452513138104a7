"""Stars in one image: peaks of a zero-sum matched filter.

The finder is DAOFIND's (Stetson 1987, PASP 99, 191), with the kernel that DrizzlePac's ``findobj.py``
builds: a Gaussian of FWHM ``conv_width``, truncated at ``nsigma``, of zero sum and normalised so that
the filtered image is the height of the star above its sky. A source is a local maximum of that image
within the kernel's footprint; where two stars blend above the threshold both are kept (DrizzlePac
keeps one source per connected island).
"""

import math
from typing import NamedTuple

import numpy as np

from drizzlewb.kernels.jit import kernel

__all__ = ["FWHM_PER_SIGMA", "MatchedFilter", "find_peaks", "matched_filter"]

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))


class MatchedFilter(NamedTuple):
    """A detection kernel and the shapes it is made from.

    Attributes
    ----------
    weights : ndarray, float32, shape (2*ry + 1, 2*rx + 1)
        Zero-sum weights; correlating an image with them gives the height of a Gaussian star.
    gaussian : ndarray, float64, same shape
        The Gaussian of unit height, not truncated.
    footprint : ndarray, uint8, same shape
        1 inside the truncation ellipse or within 2 px of the centre.
    noise : float
        Noise of the filtered image in units of the noise of a pixel, sqrt(sum(weights**2)).
    """

    weights: np.ndarray
    gaussian: np.ndarray
    footprint: np.ndarray
    noise: float


def matched_filter(fwhm, nsigma=1.5, ratio=1.0, theta=0.0):
    """Zero-sum truncated Gaussian kernel of DAOFIND.

    Parameters
    ----------
    fwhm : float
        Full width at half maximum along the major axis, px (DrizzlePac's ``conv_width``).
    nsigma : float
        Truncation radius in units of the Gaussian's sigma.
    ratio : float
        Minor / major axis, 0 < ratio <= 1.
    theta : float
        Angle of the major axis from +x towards +y, degrees.

    Returns
    -------
    MatchedFilter

    Raises
    ------
    ValueError
        If a width, truncation or ratio is not positive.

    Notes
    -----
    Sizes and footprint follow DrizzlePac 3.11 (``findobj.gausspars``, ``findobj.findstars``): the
    half-size is the extent of the truncation ellipse and at least 2 px, and pixels within 2.001 px
    always belong to the footprint.
    """
    if not (fwhm > 0 and nsigma > 0 and 0 < ratio <= 1):
        msg = (
            f"A detection kernel needs fwhm > 0, nsigma > 0 and 0 < ratio <= 1; got fwhm={fwhm}, "
            f"nsigma={nsigma}, ratio={ratio}."
        )
        raise ValueError(msg)
    var_major = (fwhm / FWHM_PER_SIGMA) ** 2
    var_minor = var_major * ratio**2
    cos, sin = math.cos(math.radians(theta)), math.sin(math.radians(theta))
    # Covariance of the ellipse; its diagonal gives the extent along x and y.
    cxx = var_major * cos**2 + var_minor * sin**2
    cyy = var_major * sin**2 + var_minor * cos**2
    cxy = (var_major - var_minor) * sin * cos
    det = cxx * cyy - cxy**2
    rx = max(2, int(nsigma * math.sqrt(cxx)))
    ry = max(2, int(nsigma * math.sqrt(cyy)))
    dy, dx = np.mgrid[-ry : ry + 1, -rx : rx + 1].astype(float)
    chi2 = (cyy * dx**2 - 2.0 * cxy * dx * dy + cxx * dy**2) / det
    gaussian = np.exp(-0.5 * chi2)
    inside = (chi2 <= nsigma**2) | (np.hypot(dx, dy) <= 2.001)
    cut = gaussian * inside
    n = inside.sum()
    weights = (cut - cut.sum() / n) / ((cut**2).sum() - cut.sum() ** 2 / n) * inside
    return MatchedFilter(
        np.ascontiguousarray(weights, np.float32),
        gaussian,
        np.ascontiguousarray(inside, np.uint8),
        float(np.sqrt((weights**2).sum())),
    )


@kernel
def _filter_row(image, weights, y, row):
    """Fill row[x] with the filtered image at (x, y); NaN closer to an edge than the kernel's half-size."""
    ny, nx = image.shape
    ky, kx = weights.shape
    ry, rx = ky // 2, kx // 2
    row[:] = np.float32(np.nan)
    if y < ry or y >= ny - ry:
        return
    inner = row[rx : nx - rx]
    inner[:] = np.float32(0.0)
    for j in range(ky):
        source = image[y + j - ry]
        i = 0
        # Several weights in one pass, over arrays that start at 0: so it becomes vector instructions.
        while i + 5 <= kx:
            w, s0 = weights[j, i:], source[i:]
            w0, w1, w2, w3, w4 = w[0], w[1], w[2], w[3], w[4]
            s1, s2, s3, s4 = s0[1:], s0[2:], s0[3:], s0[4:]
            for x in range(inner.size):
                inner[x] += w0 * s0[x] + w1 * s1[x] + w2 * s2[x] + w3 * s3[x] + w4 * s4[x]
            i += 5
        while i < kx:
            w0, s0 = weights[j, i], source[i:]
            for x in range(inner.size):
                inner[x] += w0 * s0[x]
            i += 1


@kernel
def find_peaks(image, good, weights, footprint, threshold, y_start, y_stop, out_x, out_y, out_height):
    """Local maxima of the filtered image above a threshold, in rows [y_start, y_stop).

    Parameters
    ----------
    image : ndarray, float32, shape (ny, nx)
        Finite everywhere.
    good : ndarray, uint8, shape (ny, nx) or (0, 0)
        A maximum on a pixel that is 0 here is dropped; an empty array means that all are good.
    weights, footprint : ndarray
        From `matched_filter`.
    threshold : float
        Smallest height, in units of the image.
    y_start, y_stop : int
        Rows to report; neighbours beyond them are looked at, so bands may be joined.
    out_x, out_y : ndarray, int32
    out_height : ndarray, float32
        Filled in order of (y, x).

    Returns
    -------
    int
        Number of maxima; more than ``out_x.size`` means that the arrays were too small and the caller
        must come again with larger ones.
    """
    ny, nx = image.shape
    ky, kx = weights.shape
    ry, rx = ky // 2, kx // 2
    check = good.size > 0
    ring = np.empty((ky, nx), np.float32)
    for y in range(y_start - ry, y_start + ry):
        _filter_row(image, weights, y, ring[y % ky])
    n = 0
    for y in range(y_start, y_stop):
        _filter_row(image, weights, y + ry, ring[(y + ry) % ky])
        centre = ring[y % ky]
        for x in range(rx, nx - rx):
            value = centre[x]
            # NaN rows near the edge fail this test.
            if not value > threshold:
                continue
            if check and good[y, x] == 0:
                continue
            highest = True
            for j in range(-ry, ry + 1):
                other = ring[(y + j) % ky]
                for i in range(-rx, rx + 1):
                    if footprint[j + ry, i + rx] == 0 or (j == 0 and i == 0):
                        continue
                    neighbour = other[x + i]
                    # Of equal pixels the last in raster order is kept, so that a plateau counts once.
                    if neighbour > value or (neighbour == value and (j > 0 or (j == 0 and i > 0))):
                        highest = False
                        break
                if not highest:
                    break
            if highest:
                if n < out_x.size:
                    out_x[n] = x
                    out_y[n] = y
                    out_height[n] = value
                n += 1
    return n

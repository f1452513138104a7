"""Stars in one image: peaks of a zero-sum matched filter, and their measured positions.

The finder is DAOFIND's (Stetson 1987, PASP 99, 191), with the kernel that DrizzlePac's ``findobj.py``
builds: a Gaussian of FWHM ``conv_width``, truncated at ``nsigma``, of zero sum and normalised so that
the filtered image is the height of the star above its sky. A source is a local maximum of that image
within the kernel's footprint; where two stars blend above the threshold both are kept (DrizzlePac
keeps one source per connected island).

Positions come from a least-squares fit of a pixel-integrated Gaussian and a constant. DAOFIND's
marginal fits use a Gaussian *sampled* at pixel centres and one linear step, which at 2 px FWHM leaves
errors of several hundredths of a pixel that depend on where in its pixel the star lies.
"""

import math
from typing import NamedTuple

import numpy as np

from drizzlewb.kernels.jit import kernel

__all__ = [
    "FWHM_PER_SIGMA",
    "MatchedFilter",
    "ShapeStatistics",
    "find_peaks",
    "fit_stars",
    "matched_filter",
    "shape_statistics",
]

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


@kernel
def _profile(centre, sigma, first, n, g, dg, ds):
    """Pixel-integrated unit Gaussian at pixels first..first+n-1, and its derivatives.

    g[i] is the integral over pixel i of a Gaussian of unit *area*; dg is dg/dcentre, ds dg/dsigma.
    """
    root2 = math.sqrt(2.0) * sigma
    norm = 1.0 / math.sqrt(2.0 * math.pi)
    t0 = (first - 0.5 - centre) / sigma
    e0 = math.erf((first - 0.5 - centre) / root2)
    p0 = norm * math.exp(-0.5 * t0 * t0)
    for i in range(n):
        edge = first + i + 0.5 - centre
        t1 = edge / sigma
        e1 = math.erf(edge / root2)
        p1 = norm * math.exp(-0.5 * t1 * t1)
        g[i] = 0.5 * (e1 - e0)
        dg[i] = -(p1 - p0) / sigma
        ds[i] = -(t1 * p1 - t0 * p0) / sigma
        t0, e0, p0 = t1, e1, p1


@kernel
def _solve(a, b, n):
    """Solve n equations in place by elimination with pivoting; b becomes the solution."""
    for k in range(n):
        pivot = k
        for r in range(k + 1, n):
            if abs(a[r, k]) > abs(a[pivot, k]):
                pivot = r
        if not abs(a[pivot, k]) > 0.0:
            return False
        for c in range(n):
            a[k, c], a[pivot, c] = a[pivot, c], a[k, c]
        b[k], b[pivot] = b[pivot], b[k]
        for r in range(k + 1, n):
            f = a[r, k] / a[k, k]
            for c in range(k, n):
                a[r, c] -= f * a[k, c]
            b[r] -= f * b[k]
    for k in range(n - 1, -1, -1):
        for c in range(k + 1, n):
            b[k] -= a[k, c] * b[c]
        b[k] /= a[k, k]
    return True


@kernel
def _whole_box(image, xa, ya, area, sky, gx, dgx, gy, dgy, normal, right):
    """Normal equations of x, y, area and sky over a whole box, where sums over pixels are products."""
    size = gx.size
    g0 = g1 = gg = gd = dd = 0.0
    for i in range(size):
        g0 += gx[i]
        g1 += dgx[i]
        gg += gx[i] * gx[i]
        gd += gx[i] * dgx[i]
        dd += dgx[i] * dgx[i]
    h0 = h1 = hh = hd = ee = 0.0
    light = across = up = total = 0.0
    for j in range(size):
        h0 += gy[j]
        h1 += dgy[j]
        hh += gy[j] * gy[j]
        hd += gy[j] * dgy[j]
        ee += dgy[j] * dgy[j]
        row = slope = level = 0.0
        for i in range(size):
            value = float(image[ya + j, xa + i]) - sky
            row += value * gx[i]
            slope += value * dgx[i]
            level += value
        light += gy[j] * row
        across += gy[j] * slope
        up += dgy[j] * row
        total += level
    normal[0, 0] = area * area * dd * hh
    normal[0, 1] = area * area * gd * hd
    normal[0, 2] = area * gd * hh
    normal[0, 3] = area * g1 * h0
    normal[1, 1] = area * area * gg * ee
    normal[1, 2] = area * gg * hd
    normal[1, 3] = area * g0 * h1
    normal[2, 2] = gg * hh
    normal[2, 3] = g0 * h0
    normal[3, 3] = size * size
    for a in range(1, 4):
        for b in range(a):
            normal[a, b] = normal[b, a]
    right[0] = area * (across - area * gd * hh)
    right[1] = area * (up - area * gg * hd)
    right[2] = light - area * gg * hh
    right[3] = total - area * g0 * h0


@kernel
def fit_stars(image, good, xs, ys, heights, half, sigma, free_sigma, out):
    """Least-squares fit of a pixel-integrated round Gaussian plus a constant to each source.

    Parameters
    ----------
    image : ndarray, float32, shape (ny, nx)
        Finite everywhere.
    good : ndarray, uint8, shape (ny, nx) or (0, 0)
        Pixels that are 0 are left out of the fit; empty means that all are good.
    xs, ys : ndarray, int32, shape (n,)
        Peak pixels from `find_peaks`.
    heights : ndarray, float32, shape (n,)
        Heights from `find_peaks`: where the fit starts.
    half : int
        Half-size of the fitted box, px.
    sigma : float
        Width of the Gaussian before it is integrated over pixels, px; the start where it is free.
    free_sigma : bool
        Fit the width too, in order to measure it.
    out : ndarray, float64, shape (n, 6)
        Filled with x, y (zero-based, px), height (area / 2 pi sigma^2), background, sigma, and the rms
        residual over the height. A row is NaN where the fit did not converge within 1.5 px of the
        peak pixel, or where fewer than 12 good pixels are left: no star, or a star beyond use.
    """
    ny, nx = image.shape
    check = good.size > 0
    size = 2 * half + 1
    gx, dgx, dsx = np.empty(size), np.empty(size), np.empty(size)
    gy, dgy, dsy = np.empty(size), np.empty(size), np.empty(size)
    normal = np.empty((5, 5))
    right = np.empty(5)
    slope = np.empty(5)
    npar = 5 if free_sigma else 4
    for k in range(xs.size):
        out[k, :] = np.nan
        x, y, s = float(xs[k]), float(ys[k]), sigma
        xa, ya = xs[k] - half, ys[k] - half
        j0, j1, i0, i1 = max(0, -ya), min(size, ny - ya), max(0, -xa), min(size, nx - xa)
        whole = not free_sigma and (j1 - j0) * (i1 - i0) == size * size
        if check and whole:
            for j in range(size):
                for i in range(size):
                    whole = whole and good[ya + j, xa + i] != 0
        area = float(heights[k]) * 2.0 * math.pi * s * s
        sky = 0.0
        for _ in range(30):
            _profile(x, s, xa, size, gx, dgx, dsx)
            _profile(y, s, ya, size, gy, dgy, dsy)
            n = size * size
            square = 0.0
            if whole:
                _whole_box(image, xa, ya, area, sky, gx, dgx, gy, dgy, normal, right)
            else:
                normal[:, :] = 0.0
                right[:] = 0.0
                n = 0
                for j in range(j0, j1):
                    for i in range(i0, i1):
                        if check and good[ya + j, xa + i] == 0:
                            continue
                        slope[0] = area * dgx[i] * gy[j]
                        slope[1] = area * gx[i] * dgy[j]
                        slope[2] = gx[i] * gy[j]
                        slope[3] = 1.0
                        slope[4] = area * (dsx[i] * gy[j] + gx[i] * dsy[j])
                        residual = float(image[ya + j, xa + i]) - area * slope[2] - sky
                        n += 1
                        square += residual * residual
                        for a in range(npar):
                            right[a] += slope[a] * residual
                            for b in range(npar):
                                normal[a, b] += slope[a] * slope[b]
            if n < 12 or not _solve(normal, right, npar):
                break
            step = max(abs(right[0]), abs(right[1]))
            # Area and sky enter linearly and take their full step; a long step in position is cut.
            damp = 1.0 if step < 0.5 else 0.5 / step
            x += damp * right[0]
            y += damp * right[1]
            area += right[2]
            sky += right[3]
            if free_sigma:
                s = min(max(s + min(max(right[4], -0.3 * s), 0.3 * s), 0.2), 3.0 * half)
            if not (abs(x - xs[k]) <= 1.5 and abs(y - ys[k]) <= 1.5 and area > 0.0):
                break
            if step < 1e-4 and (not free_sigma or abs(right[4]) < 1e-3):
                if whole:
                    for j in range(size):
                        for i in range(size):
                            residual = float(image[ya + j, xa + i]) - area * gx[i] * gy[j] - sky
                            square += residual * residual
                height = area / (2.0 * math.pi * s * s)
                out[k, 0] = x
                out[k, 1] = y
                out[k, 2] = height
                out[k, 3] = sky
                out[k, 4] = s
                out[k, 5] = math.sqrt(square / n) / height
                break


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

"""Centres of stars: least-squares fits of a pixel-integrated Gaussian.

The model is a round Gaussian, integrated over pixels, and a constant. DAOFIND's marginal fits use a
Gaussian *sampled* at pixel centres and one linear step, which at 2 px FWHM leaves errors of several
hundredths of a pixel that depend on where in its pixel the star lies.
"""

import math

import numpy as np

from drizzlewb.kernels.jit import kernel

__all__ = ["fit_stars"]


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
                            for b in range(a, npar):
                                normal[a, b] += slope[a] * slope[b]
                for a in range(1, npar):
                    for b in range(a):
                        normal[a, b] = normal[b, a]
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

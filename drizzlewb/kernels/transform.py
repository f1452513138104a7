"""From a chip's pixels to an output plane and back: the whole distortion chain, point by point.

The chain of a Hubble header (Calabretta, Valdes, Greisen & Allen 2004, draft FITS WCS Paper IV;
Shupe et al. 2005, SIP; what ``astropy.wcs.WCS.all_pix2world`` evaluates) is::

    (x, y) --D2IM--> (x', y') --SIP(x', y') + NPOL(x', y')--> focal offsets (u, v) --CD, TAN--> sky

D2IM and NPOL are tables read by bilinear interpolation and held at their edge value outside. Focal
offsets are pixels from CRPIX in which the chip is undistorted; tangent plane to tangent plane is a
homography, so that ``[X, Y, W] = h @ [u, v, 1]`` and the output pixel is ``(X/W, Y/W)``.
`drizzlewb.kernels.rows` maps whole rows of pixels faster.
"""

from typing import NamedTuple

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from drizzlewb.kernels.jit import kernel
from drizzlewb.kernels.lanes import multiply_add

__all__ = [
    "QUINTIC",
    "PackedWCS",
    "arrays_of",
    "focal",
    "inverse_points",
    "invert_homography",
    "map_point",
    "map_points",
    "quintic_weight",
]


class PackedWCS(NamedTuple):
    """A celestial WCS with its distortion as plain arrays; made by `drizzlewb.distortion.pack`.

    Every array is C-contiguous and writeable so that numba compiles one specialisation for all
    chips. Pixels are zero-based. The native longitude of the celestial pole is always 180 degrees:
    a header's other LONPOLE is folded into `cd`.
    """

    crpix: NDArray[np.float64]
    """(2,) pixel (x, y) of the tangent point."""
    cd: NDArray[np.float64]
    """(2, 2) degrees per pixel: ``(xi, eta) = cd @ (u, v)``."""
    crval: NDArray[np.float64]
    """(2,) right ascension and declination of the tangent point, degrees."""
    sip_ref: NDArray[np.float64]
    """(2,) pixel about which the SIP polynomials are taken (CRPIX in a sane header)."""
    sip_a: NDArray[np.float64]
    """(n + 1, n + 1) A_i_j in pixels; (1, 1) zero without SIP."""
    sip_b: NDArray[np.float64]
    """(n + 1, n + 1) B_i_j in pixels; the same shape as `sip_a`."""
    npol_x: NDArray[np.float32]
    """(ny, nx) additive x correction in pixels (CPDIS1); (0, 0) when absent."""
    npol_y: NDArray[np.float32]
    """(ny, nx) additive y correction in pixels (CPDIS2); (0, 0) when absent."""
    d2im_x: NDArray[np.float32]
    """(ny, nx) detector-to-image x correction in pixels (D2IMDIS1); (0, 0) when absent."""
    d2im_y: NDArray[np.float32]
    """(ny, nx) detector-to-image y correction in pixels (D2IMDIS2); (0, 0) when absent."""
    table_axes: NDArray[np.float64]
    """(4, 4) rows npol_x, npol_y, d2im_x, d2im_y: a table's column is ``r[0] * x + r[1]`` and its
    row ``r[2] * y + r[3]``; slopes are positive."""
    d2im_limits: NDArray[np.float64]
    """(3,) largest |d2im_x|, |d2im_y| in pixels, and 1.0 if SIP's Taylor series in these shifts may stop
    after the second order (remainder < 1e-11 px)."""
    grid_x: NDArray[np.float64]
    """(ny, nx) samples of ``u - (x - crpix_x)`` for a projection that is not TAN; else (0, 0)."""
    grid_y: NDArray[np.float64]
    """(ny, nx) samples of ``v - (y - crpix_y)``; (0, 0) when unused."""
    grid_axes: NDArray[np.float64]
    """(4,) first x, step in x, first y, step in y of the samples, pixels."""
    idc: NDArray[np.float64]
    """(6,) what the undistorted plane of a Hubble chip is made from: IDCSCALE (arcsec), PA_V3 (deg),
    IDCV2REF, IDCV3REF (arcsec), IDCTHETA (deg), parity in y (+1 or -1); NaN where unknown."""


# Quintic through samples at -2 ... 3: monomial coefficients = QUINTIC @ samples.
QUINTIC = np.ascontiguousarray(np.linalg.inv(np.vander(np.arange(-2.0, 4.0), increasing=True)))


@register_jitable
def quintic_weight(k, s):
    """Weight of sample k - 2 of the quintic through samples at -2 ... 3, at s."""
    return (
        (((QUINTIC[5, k] * s + QUINTIC[4, k]) * s + QUINTIC[3, k]) * s + QUINTIC[2, k]) * s + QUINTIC[1, k]
    ) * s + QUINTIC[0, k]


@register_jitable
def _table_value(table, axes, x, y):
    """A lookup table at a point: bilinear, held at its edge value outside. See `focal`."""
    ny, nx = table.shape
    tx = np.minimum(np.maximum(axes[0] * x + axes[1], 0.0), nx - 1.0)
    ty = np.minimum(np.maximum(axes[2] * y + axes[3], 0.0), ny - 1.0)
    i = np.int64(tx)
    j = np.int64(ty)
    i1 = np.minimum(i + 1, nx - 1)
    j1 = np.minimum(j + 1, ny - 1)
    wx = tx - i
    wy = ty - j
    low = table[j, i] * (1.0 - wx) + table[j, i1] * wx
    high = table[j1, i] * (1.0 - wx) + table[j1, i1] * wx
    return low * (1.0 - wy) + high * wy


@register_jitable
def _sip_value(sip, p, q):
    """A SIP polynomial at a point. See `focal`."""
    n = sip.shape[0] - 1
    value = 0.0
    for i in range(n, -1, -1):
        a = 0.0
        for j in range(n - i, -1, -1):
            a = a * q + sip[i, j]
        value = value * p + a
    return value


@register_jitable
def focal(x, y, crpix, sip_ref, sip_a, sip_b, npol_x, npol_y, d2im_x, d2im_y, axes):
    """Focal offsets of the chip pixel (x, y), which must be finite, by the TAN chain.

    Written so that numpy runs it on arrays of points and numba on one: the first for the few that
    `map_points` is asked for, the second for the chips that `drizzlewb.kernels.rows` must map pixel by
    pixel.
    """
    xd = x
    yd = y
    if d2im_x.size > 0:
        xd = x + _table_value(d2im_x, axes[2], x, y)
    if d2im_y.size > 0:
        yd = y + _table_value(d2im_y, axes[3], x, y)
    p = xd - sip_ref[0]
    q = yd - sip_ref[1]
    fx = _sip_value(sip_a, p, q)
    fy = _sip_value(sip_b, p, q)
    if npol_x.size > 0:
        fx = fx + _table_value(npol_x, axes[0], xd, yd)
    if npol_y.size > 0:
        fy = fy + _table_value(npol_y, axes[1], xd, yd)
    return xd - crpix[0] + fx, yd - crpix[1] + fy


def _grid_value(grid, i, j, s, t):
    """The quintic through the samples about the cells (i, j)."""
    across = [quintic_weight(k, s) for k in range(6)]
    value = 0.0
    for m in range(6):
        line = 0.0
        for k in range(6):
            line = line + across[k] * grid[j - 2 + m, i - 2 + k]
        value = value + quintic_weight(m, t) * line
    return value


def _sampled_focal(x, y, wcs):
    """Focal offsets of chip pixels for a projection that is not TAN; NaN outside its samples."""
    ny, nx = wcs.grid_x.shape
    tx = (x - wcs.grid_axes[0]) / wcs.grid_axes[1]
    ty = (y - wcs.grid_axes[2]) / wcs.grid_axes[3]
    inside = (tx >= 0.0) & (tx < nx - 1.0) & (ty >= 0.0) & (ty < ny - 1.0)
    i = np.clip(np.int64(np.where(inside, tx, 0.0)), 2, nx - 4)
    j = np.clip(np.int64(np.where(inside, ty, 0.0)), 2, ny - 4)
    u = x - wcs.crpix[0] + _grid_value(wcs.grid_x, i, j, tx - i, ty - j)
    v = y - wcs.crpix[1] + _grid_value(wcs.grid_y, i, j, tx - i, ty - j)
    return np.where(inside, u, np.nan), np.where(inside, v, np.nan)


def _focal_points(wcs, x, y):
    """Focal offsets of chip pixels; NaN where `map_points` says so."""
    near = (abs(x) < 1e8) & (abs(y) < 1e8)
    nx, ny = np.where(near, x, 0.0), np.where(near, y, 0.0)
    if wcs.grid_x.size > 0:
        u, v = _sampled_focal(nx, ny, wcs)
    else:
        u, v = focal(nx, ny, *arrays_of(wcs))
    return np.where(near, u, np.nan), np.where(near, v, np.nan)


@kernel
def _project(h, u, v, out_x, out_y):
    for k in range(u.size):
        # as `drizzlewb.kernels.rows` does: without distortion both give the same bits
        w = multiply_add(h[2, 0], u[k], multiply_add(h[2, 1], v[k], h[2, 2]))
        q = 1.0 / w if w > 0.0 else np.nan
        out_x[k] = multiply_add(h[0, 0], u[k], multiply_add(h[0, 1], v[k], h[0, 2])) * q
        out_y[k] = multiply_add(h[1, 0], u[k], multiply_add(h[1, 1], v[k], h[1, 2])) * q


def map_points(wcs, h, x, y, out_x, out_y):
    """Output pixels of many chip pixels.

    Parameters
    ----------
    wcs : PackedWCS
    h : (3, 3) float64
        Homography from focal offsets to output pixels; the identity gives focal offsets.
    x, y : (n,) float64
        Zero-based chip pixels; they need not lie on the chip.
    out_x, out_y : (n,) float64
        Zero-based output pixels; NaN where x or y is not finite, behind the output's tangent plane,
        and outside the samples of a projection that is not TAN.

    Notes
    -----
    The chain is numpy's work: compiled, it would be faster for many points, but those are mapped in rows
    (`drizzlewb.kernels.rows.map_rows`), and a first run would wait for the compiler.
    """
    with np.errstate(all="ignore"):  # of points far off the chip
        u, v = _focal_points(wcs, x, y)
    _project(h, u, v, out_x, out_y)


def arrays_of(wcs):
    """The arrays of the TAN chain in a `PackedWCS`, as `focal` and the kernels take them."""
    # One by one: taking them out of the tuple inside a kernel costs a second of compile time each.
    return (
        wcs.crpix, wcs.sip_ref, wcs.sip_a, wcs.sip_b, wcs.npol_x, wcs.npol_y, wcs.d2im_x, wcs.d2im_y,
        wcs.table_axes,
    )  # fmt: skip


def map_point(wcs, h, x, y):
    """Output pixel (x, y) of one chip pixel: `map_points` for a single point."""
    point = np.array([[x], [y]], np.float64)
    map_points(wcs, h, point[0], point[1], point[0], point[1])
    return float(point[0, 0]), float(point[1, 0])


def invert_homography(h):
    """Inverse of a (3, 3) homography with the sign that keeps W > 0 in front of the plane."""
    g = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            a, b, c, d = (j + 1) % 3, (j + 2) % 3, (i + 1) % 3, (i + 2) % 3
            g[i, j] = h[a, c] * h[b, d] - h[a, d] * h[b, c]
    det = h[0, 0] * g[0, 0] + h[0, 1] * g[1, 0] + h[0, 2] * g[2, 0]
    for i in range(3):
        for j in range(3):
            g[i, j] /= det
    return g


def inverse_points(wcs, h, ox, oy, out_x, out_y):
    """Chip pixels of output pixels, the inverse of `map_points`, by Newton's method.

    Parameters
    ----------
    wcs : PackedWCS
    h : (3, 3) float64
        The forward homography, focal offsets to output pixels.
    ox, oy : (n,) float64
        Zero-based output pixels.
    out_x, out_y : (n,) float64
        Zero-based chip pixels, to a last step below 1e-10 px; NaN behind the chip's tangent plane,
        and where the method does not converge or the distortion folds over (far off the chip).
    """
    with np.errstate(all="ignore"):
        _invert(wcs, invert_homography(h), ox, oy, out_x, out_y)


def _invert(wcs, hinv, ox, oy, out_x, out_y):
    w = hinv[2, 0] * ox + hinv[2, 1] * oy + hinv[2, 2]
    u = (hinv[0, 0] * ox + hinv[0, 1] * oy + hinv[0, 2]) / w
    v = (hinv[1, 0] * ox + hinv[1, 1] * oy + hinv[1, 2]) / w
    x = wcs.crpix[0] + u
    y = wcs.crpix[1] + v
    if wcs.grid_x.size > 0:
        # The first guess must lie inside the samples.
        x0, dx, y0, dy = wcs.grid_axes
        ny, nx = wcs.grid_x.shape
        x = np.minimum(np.maximum(x, x0 + dx), x0 + dx * (nx - 2))
        y = np.minimum(np.maximum(y, y0 + dy), y0 + dy * (ny - 2))
    out_x[:], out_y[:] = np.nan, np.nan
    left = np.flatnonzero(w > 0.0)  # points that have not converged
    x, y, u, v = x[left], y[left], u[left], v[left]
    for turn in range(40):
        if not left.size:
            return
        fu, fv = _focal_points(wcs, x, y)
        if turn == 0 or turn == 2 or turn % 8 == 5:
            # The Jacobian by differences, refreshed now and then; in between it is good to 1e-3.
            pu, pv = _focal_points(wcs, x + 1.0, y)
            xx, yx = pu - fu, pv - fv
            pu, pv = _focal_points(wcs, x, y + 1.0)
            xy, yy = pu - fu, pv - fv
        det = xx * yy - xy * yx
        dx = (yy * (fu - u) - xy * (fv - v)) / det
        dy = (xx * (fv - v) - yx * (fu - u)) / det
        x = x - dx
        y = y - dy
        sound = det > 0.1
        found = sound & (abs(dx) + abs(dy) < 1e-10 * np.maximum(1.0, 1e-3 * (abs(x) + abs(y))))
        out_x[left[found]], out_y[left[found]] = x[found], y[found]
        on = sound & ~found
        left = left[on]
        x, y, u, v, xx, xy, yx, yy = (a[on] for a in (x, y, u, v, xx, xy, yx, yy))

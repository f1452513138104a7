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
from numpy.typing import NDArray

from drizzlewb.kernels.jit import inner, kernel
from drizzlewb.kernels.lanes import multiply_add

__all__ = [
    "QUINTIC",
    "PackedWCS",
    "arrays_of",
    "grid_cell",
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


@inner
def _table_value(table, axes, row, x, y):
    ny, nx = table.shape
    tx = min(max(axes[row, 0] * x + axes[row, 1], 0.0), nx - 1.0)
    ty = min(max(axes[row, 2] * y + axes[row, 3], 0.0), ny - 1.0)
    i = int(tx)
    j = int(ty)
    i1 = min(i + 1, nx - 1)
    j1 = min(j + 1, ny - 1)
    wx = tx - i
    wy = ty - j
    low = table[j, i] * (1.0 - wx) + table[j, i1] * wx
    high = table[j1, i] * (1.0 - wx) + table[j1, i1] * wx
    return low * (1.0 - wy) + high * wy


@inner
def grid_cell(t, n):
    """Sample, of n along an axis, at whose cell the six of the quintic at t are centred."""
    return min(max(int(np.floor(t)), 2), n - 4)


@inner
def quintic_weight(k, s):
    """Weight of sample k - 2 of the quintic through samples at -2 ... 3, at s."""
    return (
        (((QUINTIC[5, k] * s + QUINTIC[4, k]) * s + QUINTIC[3, k]) * s + QUINTIC[2, k]) * s + QUINTIC[1, k]
    ) * s + QUINTIC[0, k]


@inner
def _grid_value(grid, i, j, s, t):
    value = 0.0
    for m in range(6):
        line = 0.0
        for k in range(6):
            line += quintic_weight(k, s) * grid[j - 2 + m, i - 2 + k]
        value += quintic_weight(m, t) * line
    return value


@inner
def _focal(
    x, y, crpix, sip_ref, sip_a, sip_b, npol_x, npol_y, d2im_x, d2im_y, axes, grid_x, grid_y, grid_axes
):
    # Takes the arrays one by one: reading them out of the tuple counts references, which costs
    # several times what the arithmetic does.
    if not (abs(x) < 1e8 and abs(y) < 1e8):
        return np.nan, np.nan
    if grid_x.size > 0:
        ny, nx = grid_x.shape
        tx = (x - grid_axes[0]) / grid_axes[1]
        ty = (y - grid_axes[2]) / grid_axes[3]
        if not (0.0 <= tx < nx - 1.0 and 0.0 <= ty < ny - 1.0):
            return np.nan, np.nan
        i = grid_cell(tx, nx)
        j = grid_cell(ty, ny)
        u = x - crpix[0] + _grid_value(grid_x, i, j, tx - i, ty - j)
        v = y - crpix[1] + _grid_value(grid_y, i, j, tx - i, ty - j)
        return u, v
    xd = x
    yd = y
    if d2im_x.size > 0:
        xd += _table_value(d2im_x, axes, np.int64(2), x, y)
    if d2im_y.size > 0:
        yd += _table_value(d2im_y, axes, np.int64(3), x, y)
    p = xd - sip_ref[0]
    q = yd - sip_ref[1]
    n = sip_a.shape[0] - 1
    fx = 0.0
    fy = 0.0
    for i in range(n, -1, -1):
        a = 0.0
        b = 0.0
        for j in range(n - i, -1, -1):
            a = a * q + sip_a[i, j]
            b = b * q + sip_b[i, j]
        fx = fx * p + a
        fy = fy * p + b
    if npol_x.size > 0:
        fx += _table_value(npol_x, axes, np.int64(0), xd, yd)
    if npol_y.size > 0:
        fy += _table_value(npol_y, axes, np.int64(1), xd, yd)
    return xd - crpix[0] + fx, yd - crpix[1] + fy


@kernel
def _map_points(c, r, a, b, n0, n1, d0, d1, t, g0, g1, g2, h, x, y, out_x, out_y):
    for k in range(x.size):
        u, v = _focal(x[k], y[k], c, r, a, b, n0, n1, d0, d1, t, g0, g1, g2)
        # as `drizzlewb.kernels.rows` does: without distortion both give the same bits
        w = multiply_add(h[2, 0], u, multiply_add(h[2, 1], v, h[2, 2]))
        q = 1.0 / w if w > 0.0 else np.nan
        out_x[k] = multiply_add(h[0, 0], u, multiply_add(h[0, 1], v, h[0, 2])) * q
        out_y[k] = multiply_add(h[1, 0], u, multiply_add(h[1, 1], v, h[1, 2])) * q


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
    """
    _map_points(*arrays_of(wcs), h, x, y, out_x, out_y)


def arrays_of(wcs):
    """The arrays that the kernels take of a `PackedWCS`: the TAN chain's, then the samples'."""
    # One by one: taking them out of the tuple inside a kernel costs a second of compile time each.
    return (
        wcs.crpix, wcs.sip_ref, wcs.sip_a, wcs.sip_b, wcs.npol_x, wcs.npol_y, wcs.d2im_x, wcs.d2im_y,
        wcs.table_axes, wcs.grid_x, wcs.grid_y, wcs.grid_axes,
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


@kernel
def _inverse_points(c, r, a, b, n0, n1, d0, d1, t, g0, g1, g2, hinv, ox, oy, out_x, out_y):
    for k in range(ox.size):
        w = hinv[2, 0] * ox[k] + hinv[2, 1] * oy[k] + hinv[2, 2]
        u = (hinv[0, 0] * ox[k] + hinv[0, 1] * oy[k] + hinv[0, 2]) / w
        v = (hinv[1, 0] * ox[k] + hinv[1, 1] * oy[k] + hinv[1, 2]) / w
        x = c[0] + u
        y = c[1] + v
        if g0.size > 0:
            # The first guess must lie inside the samples.
            x = min(max(x, g2[0] + g2[1]), g2[0] + g2[1] * (g0.shape[1] - 2))
            y = min(max(y, g2[2] + g2[3]), g2[2] + g2[3] * (g0.shape[0] - 2))
        found = False
        xx, xy, yx, yy = 1.0, 0.0, 0.0, 1.0
        for turn in range(40):
            # The Jacobian by differences, refreshed now and then; in between it is good to 1e-3. One
            # call of _focal in the code, not three: each is compiled where it stands.
            fu, fv = 0.0, 0.0
            for probe in range(3 if turn == 0 or turn == 2 or turn % 8 == 5 else 1):
                px = x + 1.0 if probe == 1 else x
                py = y + 1.0 if probe == 2 else y
                pu, pv = _focal(px, py, c, r, a, b, n0, n1, d0, d1, t, g0, g1, g2)
                if probe == 0:
                    fu, fv = pu, pv
                elif probe == 1:
                    xx, yx = pu - fu, pv - fv
                else:
                    xy, yy = pu - fu, pv - fv
            det = xx * yy - xy * yx
            if not (det > 0.1 and w > 0.0):
                break
            dx = (yy * (fu - u) - xy * (fv - v)) / det
            dy = (xx * (fv - v) - yx * (fu - u)) / det
            x -= dx
            y -= dy
            if abs(dx) + abs(dy) < 1e-10 * max(1.0, 1e-3 * (abs(x) + abs(y))):
                found = True
                break
        out_x[k] = x if found else np.nan
        out_y[k] = y if found else np.nan


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
    _inverse_points(*arrays_of(wcs), invert_homography(h), ox, oy, out_x, out_y)

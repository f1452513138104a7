"""From a chip's pixels to an output plane and back: the whole distortion chain, row by row.

The chain of a Hubble header (Calabretta, Valdes, Greisen & Allen 2004, draft FITS WCS Paper IV;
Shupe et al. 2005, SIP; what ``astropy.wcs.WCS.all_pix2world`` evaluates) is::

    (x, y) --D2IM--> (x', y') --SIP(x', y') + NPOL(x', y')--> focal offsets (u, v) --CD, TAN--> sky

D2IM and NPOL are tables read by bilinear interpolation and held at their edge value outside. Focal
offsets are pixels from CRPIX in which the chip is undistorted; tangent plane to tangent plane is a
homography, so that ``[X, Y, W] = h @ [u, v, 1]`` and the output pixel is ``(X/W, Y/W)``.

Along a row everything between two table nodes is a polynomial in x', which `map_rows` collapses once
per run of pixels and evaluates by Horner's rule at absolute x': the bits of a pixel never depend on
the run, row segment or region in which it was asked for.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drizzlewb.kernels.jit import inner, kernel

__all__ = [
    "PackedWCS",
    "inverse_points",
    "invert_homography",
    "map_point",
    "map_points",
    "map_row",
    "map_rows",
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
    """(3,) largest |d2im_x|, |d2im_y| in pixels, and 1.0 if SIP's Taylor series in d2im_y may stop
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


# Quintic through samples at -2 ... 3: monomial coefficients = _QUINTIC @ samples.
_QUINTIC = np.ascontiguousarray(np.linalg.inv(np.vander(np.arange(-2.0, 4.0), increasing=True)))


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
def _grid_cell(t, n):
    return min(max(int(np.floor(t)), 2), n - 4)


@inner
def _quintic_weight(k, s):
    return (
        (((_QUINTIC[5, k] * s + _QUINTIC[4, k]) * s + _QUINTIC[3, k]) * s + _QUINTIC[2, k]) * s
        + _QUINTIC[1, k]
    ) * s + _QUINTIC[0, k]


@inner
def _grid_value(grid, i, j, s, t):
    value = 0.0
    for m in range(6):
        line = 0.0
        for k in range(6):
            line += _quintic_weight(k, s) * grid[j - 2 + m, i - 2 + k]
        value += _quintic_weight(m, t) * line
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
        i = _grid_cell(tx, nx)
        j = _grid_cell(ty, ny)
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
        w = h[2, 0] * u + h[2, 1] * v + h[2, 2]
        q = 1.0 / w if w > 0.0 else np.nan
        out_x[k] = (h[0, 0] * u + h[0, 1] * v + h[0, 2]) * q
        out_y[k] = (h[1, 0] * u + h[1, 1] * v + h[1, 2]) * q


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
    _map_points(*_arrays(wcs), h, x, y, out_x, out_y)


def _arrays(wcs):
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


@inner
def _node_cell(scale, offset, n, x):
    # The cell is told by comparing x with the nodes' own positions, as the ends of runs are: the
    # same x is in the same cell whichever pixel a run started from. -1: before the first node.
    t = scale * x + offset
    if t < 0.0:
        c = -1
    elif t >= n - 1.0:
        c = n - 1
    else:
        c = int(t)
    while c < n - 1 and x >= (c + 1 - offset) / scale:
        c += 1
    while c >= 0 and x < (c - offset) / scale:
        c -= 1
    return c


@inner
def _cell_end(scale, offset, n, c):
    if c >= n - 1:
        return np.inf
    return (c + 1 - offset) / scale


@inner
def _run_end(values, k, limit):
    # First index after k whose value reaches the limit; values grow by about one a pixel.
    n = values.size
    if not values[n - 1] >= limit:
        return n
    e = min(max(k + int(limit - values[k]), k + 1), n)
    while e > k + 1 and values[e - 1] >= limit:
        e -= 1
    while e < n and values[e] < limit:
        e += 1
    return e


@inner
def _row_line(table, scale, offset, c, ty):
    # The table's row at ty between nodes c and c + 1, as value(x) = line[0] + line[1] * x.
    ny, nx = table.shape
    j = int(ty)
    j1 = min(j + 1, ny - 1)
    wy = ty - j
    i = max(c, 0)
    i1 = min(c + 1, nx - 1)
    a = table[j, i] * (1.0 - wy) + table[j1, i] * wy
    b = table[j, i1] * (1.0 - wy) + table[j1, i1] * wy
    slope = (b - a) * scale
    return a + (b - a) * (offset - i), slope


@inner
def _add_table_row(table, axes, y, xs, out):
    # out += the table along the row y, at the pixels xs.
    ny, nx = table.shape
    ty = min(max(axes[2] * y + axes[3], 0.0), ny - 1.0)
    if axes[0] > 0.125:
        # Nodes at every pixel (old D2IM files): runs would not pay.
        j = int(ty)
        j1 = min(j + 1, ny - 1)
        wy = ty - j
        for k in range(xs.size):
            t = min(max(axes[0] * xs[k] + axes[1], 0.0), nx - 1.0)
            i = int(t)
            i1 = min(i + 1, nx - 1)
            a = table[j, i] * (1.0 - wy) + table[j1, i] * wy
            b = table[j, i1] * (1.0 - wy) + table[j1, i1] * wy
            out[k] += a + (b - a) * (t - i)
        return
    k = np.int64(0)
    while k < xs.size:
        c = _node_cell(axes[0], axes[1], nx, xs[k])
        e = _run_end(xs, k, _cell_end(axes[0], axes[1], nx, c))
        p, q = _row_line(table, axes[0], axes[1], c, ty)
        run_x = xs[k:e]
        run = out[k:e]
        for m in range(run.size):
            run[m] += p + q * run_x[m]
        k = e


@inner
def _project_straight(h, cx, cy, ref, xs, ys):
    # In place. xs holds x': quintics cx, cy in x' - ref give the focal offsets.
    a0, a1, a2, a3, a4, a5 = cx[0], cx[1], cx[2], cx[3], cx[4], cx[5]
    b0, b1, b2, b3, b4, b5 = cy[0], cy[1], cy[2], cy[3], cy[4], cy[5]
    h00, h01, h02 = h[0, 0], h[0, 1], h[0, 2]
    h10, h11, h12 = h[1, 0], h[1, 1], h[1, 2]
    h20, h21, h22 = h[2, 0], h[2, 1], h[2, 2]
    for k in range(xs.size):
        w = xs[k] - ref
        u = ((((a5 * w + a4) * w + a3) * w + a2) * w + a1) * w + a0
        v = ((((b5 * w + b4) * w + b3) * w + b2) * w + b1) * w + b0
        t = h20 * u + h21 * v + h22
        r = 1.0 / t if t > 0.0 else np.nan
        xs[k] = (h00 * u + h01 * v + h02) * r
        ys[k] = (h10 * u + h11 * v + h12) * r


@inner
def _project_run(h, cx, cy, ref, xs, ys):
    # In place. xs holds x' and ys the D2IM shift d of y: the focal offsets are the sum over k of d**k
    # times the polynomial c[k] in x' - ref.
    a0, a1, a2, a3, a4, a5 = cx[0, 0], cx[0, 1], cx[0, 2], cx[0, 3], cx[0, 4], cx[0, 5]
    b0, b1, b2, b3, b4, b5 = cy[0, 0], cy[0, 1], cy[0, 2], cy[0, 3], cy[0, 4], cy[0, 5]
    c0, c1, c2, c3, c4 = cx[1, 0], cx[1, 1], cx[1, 2], cx[1, 3], cx[1, 4]
    d0, d1, d2, d3, d4 = cy[1, 0], cy[1, 1], cy[1, 2], cy[1, 3], cy[1, 4]
    e0, e1, e2, e3 = cx[2, 0], cx[2, 1], cx[2, 2], cx[2, 3]
    f0, f1, f2, f3 = cy[2, 0], cy[2, 1], cy[2, 2], cy[2, 3]
    h00, h01, h02 = h[0, 0], h[0, 1], h[0, 2]
    h10, h11, h12 = h[1, 0], h[1, 1], h[1, 2]
    h20, h21, h22 = h[2, 0], h[2, 1], h[2, 2]
    for k in range(xs.size):
        w = xs[k] - ref
        d = ys[k]
        u = ((((a5 * w + a4) * w + a3) * w + a2) * w + a1) * w + a0
        u += d * (((((c4 * w + c3) * w + c2) * w + c1) * w + c0) + d * (((e3 * w + e2) * w + e1) * w + e0))
        v = ((((b5 * w + b4) * w + b3) * w + b2) * w + b1) * w + b0
        v += d * (((((d4 * w + d3) * w + d2) * w + d1) * w + d0) + d * (((f3 * w + f2) * w + f1) * w + f0))
        t = h20 * u + h21 * v + h22
        r = 1.0 / t if t > 0.0 else np.nan
        xs[k] = (h00 * u + h01 * v + h02) * r
        ys[k] = (h10 * u + h11 * v + h12) * r


@inner
def _add_npol(table, axes, xd, y, ref, c):
    # Add the table's bilinear cell to the polynomials c[0] (at d = 0) and c[1] (times d) in x' - ref;
    # returns the x' at which the cell ends. The caller has seen that y + d stays in one row of cells.
    ny, nx = table.shape
    ty = axes[2] * y + axes[3]
    slope_y = axes[2] if 0.0 <= ty < ny - 1.0 else 0.0
    ty = min(max(ty, 0.0), ny - 1.0)
    j = int(ty)
    cell = _node_cell(axes[0], axes[1], nx, xd)
    p, q = _row_line(table, axes[0], axes[1], cell, ty)
    c[0, 0] += p + q * ref
    c[0, 1] += q
    if slope_y > 0.0:
        p0, q0 = _row_line(table, axes[0], axes[1], cell, float(j))
        p1, q1 = _row_line(table, axes[0], axes[1], cell, float(j + 1))
        c[1, 0] += slope_y * ((p1 - p0) + (q1 - q0) * ref)
        c[1, 1] += slope_y * (q1 - q0)
    return _cell_end(axes[0], axes[1], nx, cell)


def _one_table_row(table, axes, low, high):
    # Whether every y in [low, high] lies between the same two rows of nodes.
    if table.size == 0:
        return np.True_
    low = np.floor(axes[2] * low + axes[3])
    high = np.floor(axes[2] * high + axes[3])
    return (low == high) | (high < 0.0) | (low >= table.shape[0] - 1.0)


def _straight(wcs, low, high):
    # Whether the chain along the rows [low, high] is a polynomial from table node to table node. It is
    # not for a high order of SIP, nor where the D2IM shifts of a row straddle a row of NPOL nodes.
    if wcs.d2im_y.size == 0:
        return np.bool_(wcs.sip_a.shape[0] <= 6)
    if wcs.sip_a.shape[0] > 6 or not wcs.d2im_limits[2] > 0.0:
        return np.False_
    reach = wcs.d2im_limits[1]
    low = low - reach
    high = high + reach
    one_row = _one_table_row(wcs.npol_x, wcs.table_axes[0], low, high)
    return one_row & _one_table_row(wcs.npol_y, wcs.table_axes[1], low, high)


@inner
def _collapse(sip, q, rows):
    # rows[k, i] = 1/k! d^k/dq^k of sum_j sip[i, j] q^j, for k = 0, 1, 2.
    n = sip.shape[0] - 1
    for i in range(6):
        f = 0.0
        df = 0.0
        ddf = 0.0
        for j in range(n - i, -1, -1):
            ddf = ddf * q + df
            df = df * q + f
            f = f * q + sip[i, j]
        rows[0, i] = f
        rows[1, i] = df
        rows[2, i] = ddf


@inner
def _sample_cell(grid, axes, y, x, c):
    # A projection that is not TAN: c[0] becomes the quintic in x - ref of the samples' cell at x along
    # the row y; NaN outside. Returns ref and the x at which the cell ends.
    ny, nx = grid.shape
    x0 = axes[0]
    step = axes[1]
    ty = (y - axes[2]) / axes[3]
    cell = _node_cell(1.0 / step, -x0 / step, nx, x)
    inside = 0.0 <= ty < ny - 1.0 and 0 <= cell < nx - 1
    i = min(max(cell, 2), nx - 4)
    j = _grid_cell(max(min(ty, ny - 1.0), 0.0), ny)
    ref = x0 + step * i
    for a in range(6):
        c[0, a] = 0.0
        c[1, a] = 0.0
        c[2, a] = 0.0
    for k in range(6):
        node = 0.0
        for m in range(6):
            node += _quintic_weight(m, ty - j) * grid[j - 2 + m, i - 2 + k]
        power = 1.0
        for a in range(6):
            c[0, a] += _QUINTIC[a, k] * node * power
            power /= step
    if not inside:
        c[0, 0] = np.nan
    return ref, _cell_end(1.0 / step, -x0 / step, nx, cell)


@kernel
def _sampled_rows(crpix, grid_x, grid_y, grid_axes, h, j0, yoff, xoff, i0, n, out_x, out_y):
    # A projection that is not TAN.
    cells = np.empty((2, 3, 6))
    for row in range(out_x.shape[0]):
        y = float(j0 + row) + yoff
        xs = out_x[row]
        ys = out_y[row]
        for k in range(n):
            xs[k] = float(i0 + k) + xoff
        k = np.int64(0)
        while k < n:
            ref, limit = _sample_cell(grid_x, grid_axes, y, xs[k], cells[0])
            ref, limit = _sample_cell(grid_y, grid_axes, y, xs[k], cells[1])
            cells[0, 0, 0] += ref - crpix[0]
            cells[0, 0, 1] += 1.0
            cells[1, 0, 0] += y - crpix[1]
            e = _run_end(xs[:n], k, limit)
            _project_straight(h, cells[0, 0], cells[1, 0], ref, xs[k:e], ys[k:e])
            k = e


@kernel
def _straight_rows(
    crpix, sip_ref, sip_a, sip_b, npol_x, npol_y, d2im_x, d2im_y, axes, h, j0, yoff, xoff, i0, n, out_x, out_y
):
    ref = sip_ref[0]
    rows = np.empty((2, 3, 6))
    cells = np.empty((2, 3, 6))
    raw = np.empty(n)
    for row in range(out_x.shape[0]):
        y = float(j0 + row) + yoff
        xs = out_x[row, :n]
        ys = out_y[row, :n]
        for k in range(n):
            xs[k] = float(i0 + k) + xoff
            raw[k] = xs[k]
            ys[k] = 0.0
        if d2im_y.size > 0:
            _add_table_row(d2im_y, axes[3], y, raw, ys)
        if d2im_x.size > 0:
            _add_table_row(d2im_x, axes[2], y, raw, xs)
        _collapse(sip_a, y - sip_ref[1], rows[0])
        _collapse(sip_b, y - sip_ref[1], rows[1])
        rows[0, 0, 0] += ref - crpix[0]
        rows[0, 0, 1] += 1.0
        rows[1, 0, 0] += y - crpix[1]
        rows[1, 1, 0] += 1.0
        # Element by element: an assignment of arrays compiles 7 s of error formatting with it.
        for g in range(2):
            for m in range(3):
                for i in range(6):
                    cells[g, m, i] = rows[g, m, i]
        k = np.int64(0)
        while k < n:
            limit = np.inf
            # A table's cell adds to these four coefficients of each axis.
            for g in range(2):
                for m in range(2):
                    cells[g, m, 0] = rows[g, m, 0]
                    cells[g, m, 1] = rows[g, m, 1]
                table = npol_y if g == 1 else npol_x
                if table.size > 0:
                    limit = min(limit, _add_npol(table, axes[g], xs[k], y, ref, cells[g]))
            e = _run_end(xs, k, limit)
            if d2im_y.size > 0:
                _project_run(h, cells[0], cells[1], ref, xs[k:e], ys[k:e])
            else:
                _project_straight(h, cells[0, 0], cells[1, 0], ref, xs[k:e], ys[k:e])
            k = e


def map_rows(wcs, h, j0, j1, yoff, xoff, i0, i1, out_x, out_y):
    """Output pixels of a box of a chip.

    Parameters
    ----------
    wcs : PackedWCS
    h : (3, 3) float64
        Homography from focal offsets to output pixels (`drizzlewb.distortion.homography`).
    j0, j1 : int
        Half-open range of j; the rows are ``y = j + yoff``.
    yoff, xoff : float
        The chip pixels are ``x = i + xoff``.
    i0, i1 : int
        Half-open range of i. Either range may leave the chip.
    out_x, out_y : (>= j1 - j0, >= i1 - i0) float64, C-contiguous
        Zero-based output pixels, written at ``[j - j0, i - i0]``; NaN behind the output's tangent
        plane.

    Notes
    -----
    The bits of each pixel are independent of the ranges.
    """
    n = i1 - i0
    height = j1 - j0
    if n <= 0 or height <= 0:
        return
    yoff = float(yoff)
    xoff = float(xoff)
    arrays = _arrays(wcs)
    if wcs.grid_x.size > 0:
        _sampled_rows(wcs.crpix, *arrays[-3:], h, j0, yoff, xoff, i0, n, out_x[:height], out_y[:height])
        return
    y = np.arange(j0, j1) + yoff
    straight = [True]
    ends = [0, height]
    if not _straight(wcs, y[0], y[-1]):
        straight = np.broadcast_to(_straight(wcs, y, y), y.shape)
        ends[1:1] = np.flatnonzero(straight[1:] != straight[:-1]) + 1
    for first, last in zip(ends[:-1], ends[1:], strict=True):
        if straight[first]:
            _straight_rows(
                *arrays[:-3], h, j0 + first, yoff, xoff, i0, n, out_x[first:last], out_y[first:last]
            )
            continue
        x = np.arange(i0, i1) + xoff
        for row in range(first, last):
            map_points(wcs, h, x, np.full(n, y[row]), out_x[row, :n], out_y[row, :n])


def map_row(wcs, h, y, xoff, i0, i1, out_x, out_y):
    """Output pixels of a run of a chip's row: `map_rows` for a single row.

    Parameters
    ----------
    wcs, h, xoff, i0, i1
        As there.
    y : float
        Zero-based chip row; it may be fractional.
    out_x, out_y : (>= i1 - i0,) float64
        Zero-based output pixels, written at ``[i - i0]``.
    """
    map_rows(wcs, h, 0, 1, y, xoff, i0, i1, out_x.reshape(1, -1), out_y.reshape(1, -1))


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
    _inverse_points(*_arrays(wcs), invert_homography(h), ox, oy, out_x, out_y)

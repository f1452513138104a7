"""From a chip's pixels to an output plane and back: the whole distortion chain, row by row.

The chain of a Hubble header (Calabretta, Valdes, Greisen & Allen 2004, draft FITS WCS Paper IV;
Shupe et al. 2005, SIP; what ``astropy.wcs.WCS.all_pix2world`` evaluates) is::

    (x, y) --D2IM--> (x', y') --SIP(x', y') + NPOL(x', y')--> focal offsets (u, v) --CD, TAN--> sky

D2IM and NPOL are tables read by bilinear interpolation and held at their edge value outside. Focal
offsets are pixels from CRPIX in which the chip is undistorted; tangent plane to tangent plane is a
homography, so that ``[X, Y, W] = h @ [u, v, 1]`` and the output pixel is ``(X/W, Y/W)``.

Along a row everything between two table nodes is a polynomial in x', which `map_row` collapses once
per run of pixels and evaluates by Horner's rule at absolute x': the bits of a pixel never depend on
the run, row segment or region in which it was asked for.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drizzlewb.kernels.jit import kernel

__all__ = [
    "PackedWCS",
    "border_bounds",
    "focal_point",
    "inverse_points",
    "invert_homography",
    "map_point",
    "map_points",
    "map_rows",
    "map_row",
    "tan_homography",
    "unfocal_point",
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


@kernel
def _table_value(table, axes, x, y):
    ny, nx = table.shape
    tx = min(max(axes[0] * x + axes[1], 0.0), nx - 1.0)
    ty = min(max(axes[2] * y + axes[3], 0.0), ny - 1.0)
    i = int(tx)
    j = int(ty)
    i1 = min(i + 1, nx - 1)
    j1 = min(j + 1, ny - 1)
    wx = tx - i
    wy = ty - j
    low = table[j, i] * (1.0 - wx) + table[j, i1] * wx
    high = table[j1, i] * (1.0 - wx) + table[j1, i1] * wx
    return low * (1.0 - wy) + high * wy


@kernel
def _grid_cell(t, n):
    return min(max(int(np.floor(t)), 2), n - 4)


@kernel
def _grid_value(grid, i, j, s, t):
    # Tensor product of quintics: collapse the six rows, then the six columns.
    value = 0.0
    for b in range(5, -1, -1):
        line = 0.0
        for a in range(5, -1, -1):
            coefficient = 0.0
            for m in range(6):
                node = 0.0
                for k in range(6):
                    node += _QUINTIC[a, k] * grid[j - 2 + m, i - 2 + k]
                coefficient += _QUINTIC[b, m] * node
            line = line * s + coefficient
        value = value * t + line
    return value


@kernel
def focal_point(wcs, x, y):
    """Focal-plane offsets (u, v) in pixels from CRPIX of the chip pixel (x, y).

    Parameters
    ----------
    wcs : PackedWCS
    x, y : float
        Zero-based pixel; it need not lie on the chip.

    Returns
    -------
    u, v : float
        NaN where x or y is not finite, or outside the samples of a projection that is not TAN.
    """
    if not (abs(x) < 1e8 and abs(y) < 1e8):
        return np.nan, np.nan
    if wcs.grid_x.size > 0:
        ny, nx = wcs.grid_x.shape
        tx = (x - wcs.grid_axes[0]) / wcs.grid_axes[1]
        ty = (y - wcs.grid_axes[2]) / wcs.grid_axes[3]
        if not (0.0 <= tx < nx - 1.0 and 0.0 <= ty < ny - 1.0):
            return np.nan, np.nan
        i = _grid_cell(tx, nx)
        j = _grid_cell(ty, ny)
        u = x - wcs.crpix[0] + _grid_value(wcs.grid_x, i, j, tx - i, ty - j)
        v = y - wcs.crpix[1] + _grid_value(wcs.grid_y, i, j, tx - i, ty - j)
        return u, v
    xd = x
    yd = y
    if wcs.d2im_x.size > 0:
        xd += _table_value(wcs.d2im_x, wcs.table_axes[2], x, y)
    if wcs.d2im_y.size > 0:
        yd += _table_value(wcs.d2im_y, wcs.table_axes[3], x, y)
    p = xd - wcs.sip_ref[0]
    q = yd - wcs.sip_ref[1]
    n = wcs.sip_a.shape[0] - 1
    fx = 0.0
    fy = 0.0
    for i in range(n, -1, -1):
        a = 0.0
        b = 0.0
        for j in range(n - i, -1, -1):
            a = a * q + wcs.sip_a[i, j]
            b = b * q + wcs.sip_b[i, j]
        fx = fx * p + a
        fy = fy * p + b
    if wcs.npol_x.size > 0:
        fx += _table_value(wcs.npol_x, wcs.table_axes[0], xd, yd)
    if wcs.npol_y.size > 0:
        fy += _table_value(wcs.npol_y, wcs.table_axes[1], xd, yd)
    return xd - wcs.crpix[0] + fx, yd - wcs.crpix[1] + fy


@kernel
def map_point(wcs, h, x, y):
    """Output pixel of the chip pixel (x, y).

    Parameters
    ----------
    wcs : PackedWCS
    h : (3, 3) float64
        Homography from focal offsets to output pixels.
    x, y : float
        Zero-based chip pixel.

    Returns
    -------
    x, y : float
        Zero-based output pixel; NaN behind the output's tangent plane.
    """
    u, v = focal_point(wcs, x, y)
    w = h[2, 0] * u + h[2, 1] * v + h[2, 2]
    if not w > 0.0:
        return np.nan, np.nan
    r = 1.0 / w
    return (h[0, 0] * u + h[0, 1] * v + h[0, 2]) * r, (h[1, 0] * u + h[1, 1] * v + h[1, 2]) * r


@kernel
def map_points(wcs, h, x, y, out_x, out_y):
    """Output pixels of many chip pixels: `map_point` for each element of 1-D float64 arrays."""
    for k in range(x.size):
        out_x[k], out_y[k] = map_point(wcs, h, x[k], y[k])


@kernel
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


@kernel
def _cell_end(scale, offset, n, c):
    if c >= n - 1:
        return np.inf
    return (c + 1 - offset) / scale


@kernel
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


@kernel
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


@kernel
def _add_table_row(table, axes, y, xs, out):
    # out += the table along the row y, at the pixels xs.
    ny, nx = table.shape
    ty = min(max(axes[2] * y + axes[3], 0.0), ny - 1.0)
    k = 0
    while k < xs.size:
        c = _node_cell(axes[0], axes[1], nx, xs[k])
        e = _run_end(xs, k, _cell_end(axes[0], axes[1], nx, c))
        p, q = _row_line(table, axes[0], axes[1], c, ty)
        run_x = xs[k:e]
        run = out[k:e]
        for m in range(run.size):
            run[m] += p + q * run_x[m]
        k = e


@kernel
def _project_run(h, cx, cy, ref, xs, ys):
    # In place: xs holds x'; quintics cx, cy in x' - ref give the focal offsets.
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


@kernel
def _project_run_d(h, cx, cy, ref, xs, ys):
    # As _project_run, with the D2IM shift d in y, which ys holds: sum of d**k times polynomial k.
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


@kernel
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


@kernel
def _one_table_row(table, axes, y, reach):
    # Whether every y within reach lies between the same two rows of nodes.
    low = np.floor(axes[2] * (y - reach) + axes[3])
    high = np.floor(axes[2] * (y + reach) + axes[3])
    return low == high or high < 0.0 or low >= table.shape[0] - 1.0


@kernel
def _collapse(sip, q, rows):
    # rows[k, i] = 1/k! d^k/dq^k of sum_j sip[i, j] q^j, for k = 0, 1, 2.
    n = sip.shape[0] - 1
    for i in range(n + 1):
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


@kernel
def _map_sampled_row(wcs, h, y, out_x, out_y):
    # A projection that is not TAN: along a row each cell of the samples is a quintic.
    ny, nx = wcs.grid_x.shape
    x0 = wcs.grid_axes[0]
    step = wcs.grid_axes[1]
    ty = (y - wcs.grid_axes[2]) / wcs.grid_axes[3]
    if not 0.0 <= ty < ny - 1.0:
        out_x[:] = np.nan
        out_y[:] = np.nan
        return
    j = _grid_cell(ty, ny)
    t = ty - j
    cx = np.empty(6)
    cy = np.empty(6)
    row = np.empty((2, 6))
    k = 0
    while k < out_x.size:
        # Cells as runs, like those of the tables.
        cell = _node_cell(1.0 / step, -x0 / step, nx, out_x[k])
        e = _run_end(out_x, k, _cell_end(1.0 / step, -x0 / step, nx, cell))
        if cell < 0 or cell >= nx - 1:
            out_x[k:e] = np.nan
            out_y[k:e] = np.nan
            k = e
            continue
        i = min(max(cell, 2), nx - 4)
        for a in range(6):
            for g in range(2):
                grid = wcs.grid_x if g == 0 else wcs.grid_y
                node = 0.0
                for b in range(5, -1, -1):
                    c = 0.0
                    for m in range(6):
                        c += _QUINTIC[b, m] * grid[j - 2 + m, i - 2 + a]
                    node = node * t + c
                row[g, a] = node
        power = 1.0
        for a in range(6):
            u = 0.0
            v = 0.0
            for b in range(6):
                u += _QUINTIC[a, b] * row[0, b]
                v += _QUINTIC[a, b] * row[1, b]
            cx[a] = u * power
            cy[a] = v * power
            power /= step
        ref = x0 + step * i
        cx[0] += ref - wcs.crpix[0]
        cx[1] += 1.0
        cy[0] += y - wcs.crpix[1]
        _project_run(h, cx, cy, ref, out_x[k:e], out_y[k:e])
        k = e


@kernel
def map_row(wcs, h, y, xoff, i0, i1, out_x, out_y):
    """Output pixels of a run of a chip's row.

    Parameters
    ----------
    wcs : PackedWCS
    h : (3, 3) float64
        Homography from focal offsets to output pixels (`drizzlewb.distortion.homography`).
    y : float
        Zero-based chip row; it may be fractional.
    xoff : float
        The chip pixels are ``x = i + xoff``.
    i0, i1 : int
        Half-open range of i; it may leave the chip.
    out_x, out_y : (>= i1 - i0,) float64
        Zero-based output pixels, written at ``[i - i0]``; NaN behind the output's tangent plane.

    Notes
    -----
    The bits of each pixel are independent of i0 and i1.
    """
    n = i1 - i0
    if n <= 0:
        return
    xs = out_x[:n]
    ys = out_y[:n]
    for k in range(n):
        xs[k] = float(i0 + k) + xoff
    if wcs.grid_x.size > 0:
        _map_sampled_row(wcs, h, y, xs, ys)
        return
    order = wcs.sip_a.shape[0] - 1
    shifts = wcs.d2im_y.size > 0
    reach = wcs.d2im_limits[1]
    npol = wcs.npol_x.size > 0 or wcs.npol_y.size > 0
    whole = order <= 5
    if shifts and whole:
        whole = wcs.d2im_limits[2] > 0.0
        if wcs.npol_x.size > 0:
            whole = whole and _one_table_row(wcs.npol_x, wcs.table_axes[0], y, reach)
        if wcs.npol_y.size > 0:
            whole = whole and _one_table_row(wcs.npol_y, wcs.table_axes[1], y, reach)
    if not whole:
        for k in range(n):
            xs[k], ys[k] = map_point(wcs, h, xs[k], y)
        return
    if shifts:
        ys[:] = 0.0
        _add_table_row(wcs.d2im_y, wcs.table_axes[3], y, xs, ys)
    if wcs.d2im_x.size > 0:
        raw = xs.copy()
        _add_table_row(wcs.d2im_x, wcs.table_axes[2], y, raw, xs)
    ref = wcs.sip_ref[0]
    rows = np.zeros((2, 3, 6))
    _collapse(wcs.sip_a, y - wcs.sip_ref[1], rows[0])
    _collapse(wcs.sip_b, y - wcs.sip_ref[1], rows[1])
    rows[0, 0, 0] += ref - wcs.crpix[0]
    rows[0, 0, 1] += 1.0
    rows[1, 0, 0] += y - wcs.crpix[1]
    rows[1, 1, 0] += 1.0
    cells = rows.copy() if npol else rows
    k = 0
    while k < n:
        e = n
        if npol:
            cells[:] = rows
            limit = np.inf
            if wcs.npol_x.size > 0:
                limit = _add_npol(wcs.npol_x, wcs.table_axes[0], xs[k], y, ref, cells[0])
            if wcs.npol_y.size > 0:
                limit = min(limit, _add_npol(wcs.npol_y, wcs.table_axes[1], xs[k], y, ref, cells[1]))
            e = _run_end(xs, k, limit)
        if shifts:
            _project_run_d(h, cells[0], cells[1], ref, xs[k:e], ys[k:e])
        else:
            _project_run(h, cells[0, 0], cells[1, 0], ref, xs[k:e], ys[k:e])
        k = e


@kernel
def map_rows(wcs, h, y0, yoff, xoff, i0, out_x, out_y):
    """`map_row` for consecutive rows: pixels (i0 + k + xoff, y0 + j + yoff) to out[j, k]."""
    for j in range(out_x.shape[0]):
        map_row(wcs, h, float(y0 + j) + yoff, xoff, i0, i0 + out_x.shape[1], out_x[j], out_y[j])


@kernel
def tan_homography(chip, grid):
    """Homography from the focal offsets of one WCS to the undistorted pixels of another.

    Parameters
    ----------
    chip, grid : PackedWCS
        Of `grid` only the linear part counts.

    Returns
    -------
    (3, 3) float64
        ``[X, Y, W] = h @ [u, v, 1]``; W > 0 in front of the grid's tangent plane.

    Notes
    -----
    A direction is ``xi * east + eta * north + pole`` in the frame of a tangent point; the product of
    two frames is written with differences of angles so that near tangent points lose no digits.
    """
    rad = np.pi / 180.0
    da = (chip.crval[0] - grid.crval[0]) * rad
    d1 = chip.crval[1] * rad
    d0 = grid.crval[1] * rad
    sa, ca = np.sin(da), np.cos(da)
    s1, c1, s0, c0 = np.sin(d1), np.cos(d1), np.sin(d0), np.cos(d0)
    versine = 2.0 * np.sin(0.5 * da) ** 2
    sd = np.sin(d1 - d0)
    f = np.empty((3, 3))
    f[0, 0] = ca
    f[0, 1] = -s1 * sa
    f[0, 2] = c1 * sa
    f[1, 0] = s0 * sa
    f[1, 1] = c0 * c1 + s0 * s1 * ca
    f[1, 2] = sd + c1 * s0 * versine
    f[2, 0] = -c0 * sa
    f[2, 1] = -sd + s1 * c0 * versine
    f[2, 2] = s0 * s1 + c0 * c1 * ca
    cd = grid.cd
    det = cd[0, 0] * cd[1, 1] - cd[0, 1] * cd[1, 0]
    h = np.empty((3, 3))
    for j in range(3):
        if j < 2:
            xi = (f[0, 0] * chip.cd[0, j] + f[0, 1] * chip.cd[1, j]) * rad
            eta = (f[1, 0] * chip.cd[0, j] + f[1, 1] * chip.cd[1, j]) * rad
            w = (f[2, 0] * chip.cd[0, j] + f[2, 1] * chip.cd[1, j]) * rad
        else:
            xi, eta, w = f[0, 2], f[1, 2], f[2, 2]
        h[0, j] = (cd[1, 1] * xi - cd[0, 1] * eta) / (det * rad) + grid.crpix[0] * w
        h[1, j] = (cd[0, 0] * eta - cd[1, 0] * xi) / (det * rad) + grid.crpix[1] * w
        h[2, j] = w
    return h


@kernel
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
def unfocal_point(wcs, u, v):
    """Chip pixel whose focal offsets are (u, v): Newton's method to a step below 1e-10 px.

    Returns
    -------
    x, y : float
        NaN where the method does not converge or the distortion folds over (far off the chip).
    """
    x = wcs.crpix[0] + u
    y = wcs.crpix[1] + v
    if wcs.grid_x.size > 0:
        # The first guess must lie inside the samples; the outermost cells are left free.
        ny, nx = wcs.grid_x.shape
        gx, sx, gy, sy = wcs.grid_axes[0], wcs.grid_axes[1], wcs.grid_axes[2], wcs.grid_axes[3]
        x = min(max(x, gx + sx), gx + sx * (nx - 2))
        y = min(max(y, gy + sy), gy + sy * (ny - 2))
    xx, xy, yx, yy = 1.0, 0.0, 0.0, 1.0
    for turn in range(40):
        fu, fv = focal_point(wcs, x, y)
        ru = fu - u
        rv = fv - v
        if turn == 0 or turn == 2 or turn % 8 == 5:
            # The Jacobian by differences; between its refreshes it is good to 1e-3.
            au, av = focal_point(wcs, x + 0.5, y)
            bu, bv = focal_point(wcs, x - 0.5, y)
            cu, cv = focal_point(wcs, x, y + 0.5)
            du, dv = focal_point(wcs, x, y - 0.5)
            xx, xy, yx, yy = au - bu, cu - du, av - bv, cv - dv
        det = xx * yy - xy * yx
        if not det > 0.1:
            return np.nan, np.nan
        dx = (yy * ru - xy * rv) / det
        dy = (xx * rv - yx * ru) / det
        x -= dx
        y -= dy
        if abs(dx) + abs(dy) < 1e-10 * max(1.0, 1e-3 * (abs(x) + abs(y))):
            return x, y
    return np.nan, np.nan


@kernel
def _inverse_point(wcs, hinv, ox, oy):
    w = hinv[2, 0] * ox + hinv[2, 1] * oy + hinv[2, 2]
    if not w > 0.0:
        return np.nan, np.nan
    u = (hinv[0, 0] * ox + hinv[0, 1] * oy + hinv[0, 2]) / w
    v = (hinv[1, 0] * ox + hinv[1, 1] * oy + hinv[1, 2]) / w
    return unfocal_point(wcs, u, v)


@kernel
def inverse_points(wcs, h, ox, oy, out_x, out_y):
    """Chip pixels of output pixels, the inverse of `map_points`.

    Parameters
    ----------
    wcs : PackedWCS
    h : (3, 3) float64
        The forward homography, focal offsets to output pixels.
    ox, oy : (n,) float64
        Zero-based output pixels.
    out_x, out_y : (n,) float64
        Zero-based chip pixels to 1e-9 px; NaN behind the chip's tangent plane and where Newton's
        method does not converge.
    """
    hinv = invert_homography(h)
    for k in range(ox.size):
        out_x[k], out_y[k] = _inverse_point(wcs, hinv, ox[k], oy[k])


@kernel
def border_bounds(wcs, h, inverse, x0, x1, y0, y1, sides):
    """Bounds of the image of a rectangle's border, forward (chip to output) or inverse.

    Parameters
    ----------
    wcs : PackedWCS
    h : (3, 3) float64
        The homography; for ``inverse`` already inverted (`invert_homography`).
    inverse : bool
        Map output pixels to chip pixels instead.
    x0, x1, y0, y1 : float
        The rectangle's edges.
    sides : int
        Intervals that each side is sampled with, at least 2.

    Returns
    -------
    xmin, xmax, ymin, ymax, bow : float
        `bow` is the largest second difference between neighbouring samples, in pixels: the curve
        leaves the chord between samples by at most about bow / 8. All NaN if any point is NaN.

    Notes
    -----
    The map is one-to-one, so that the image of the border bounds the image of the rectangle.
    """
    xmin, xmax, ymin, ymax, bow = np.inf, -np.inf, np.inf, -np.inf, 0.0
    for side in range(4):
        px, py, qx, qy = 0.0, 0.0, 0.0, 0.0
        for k in range(sides + 1):
            f = k / sides
            if side < 2:
                x = x0 + (x1 - x0) * f
                y = y0 if side == 0 else y1
            else:
                x = x0 if side == 2 else x1
                y = y0 + (y1 - y0) * f
            if inverse:
                mx, my = _inverse_point(wcs, h, x, y)
            else:
                mx, my = map_point(wcs, h, x, y)
            if not (abs(mx) < np.inf and abs(my) < np.inf):
                return np.nan, np.nan, np.nan, np.nan, np.nan
            xmin, xmax = min(xmin, mx), max(xmax, mx)
            ymin, ymax = min(ymin, my), max(ymax, my)
            if k >= 2:
                bow = max(bow, abs(mx - 2.0 * qx + px), abs(my - 2.0 * qy + py))
            px, py, qx, qy = qx, qy, mx, my
    return xmin, xmax, ymin, ymax, bow

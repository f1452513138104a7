"""From rows of a chip's pixels to an output plane: the chain of `drizzlewb.kernels.transform`, a row at once.

Along a row everything between two table nodes is one polynomial in x: SIP is one in (x', y'), of at most
the fifth degree in both together, D2IM makes x' and y' linear in x
(its shifts are so small that the Taylor series of SIP in them ends after the second order), and NPOL is
linear in x' and in y'.
`map_rows` collapses it once per run of pixels and evaluates it by Horner's rule at absolute x: the bits
of a pixel never depend on the run, row segment or region in which it was asked for.
"""

import numpy as np

from drizzlewb.kernels.jit import inner, kernel
from drizzlewb.kernels.lanes import combine_8, multiply_add
from drizzlewb.kernels.transform import QUINTIC, arrays_of, focal, quintic_weight

__all__ = ["map_lines", "map_row", "map_rows"]

_SPARSE = 0.125  # tables with nodes closer than every 8 px (D2IM of the first kind) go point by point
# The coefficients of a series, of z^0 ... z^5, stand in a vector of eight after two zeros: read from one
# place before, they are those of z times the series. The vectors lie in one array; for x and for y there
# are SIP's of each power of y', its derivatives along a row (see `_collapse`), and what is made from them.
_PLACES = 10
_SIP, _DERIVATIVES, _SMOOTH, _QUINTIC, _VECTORS = 0, 12, 24, 26, 28
_STEPS = _VECTORS * _PLACES + 8  # behind the last vector: distances of the nodes of each table in x and in y
_STRIDE = 16  # runs are evaluated in whole strides of vector registers, but for the last one of a row


@inner
def _node_cell(scale, offset, step, n, x):
    # Nodes lie at (c - offset) * step with step = 1 / scale. The cell is told by comparing x with these
    # positions, as the ends of runs are: the same x is in the same cell whichever pixel a run started
    # from. -1: before the first node.
    t = scale * x + offset
    if t < 0.0:
        c = -1
    elif t >= n - 1.0:
        c = n - 1
    else:
        c = int(t)
    while c < n - 1 and x >= (c + 1 - offset) * step:
        c += 1
    while c >= 0 and x < (c - offset) * step:
        c -= 1
    return c


@inner
def _cell_end(offset, step, n, c):
    if c >= n - 1:
        return np.inf
    return (c + 1 - offset) * step


@inner
def _run_end(xs, k, p, q, limit, density):
    # First index after k at which x + (p + q x) reaches the limit; it grows by about one a pixel, and there
    # are `density` points in a pixel.
    n = xs.size
    if not xs[n - 1] + (p + q * xs[n - 1]) >= limit:
        return n
    e = min(max(k + int(density * (limit - (xs[k] + (p + q * xs[k])))), k + 1), n)
    while e > k + 1 and xs[e - 1] + (p + q * xs[e - 1]) >= limit:
        e -= 1
    while e < n and xs[e] + (p + q * xs[e]) < limit:
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
def _shift(table, axes, step, y, x):
    # D2IM at the pixel x of the row y as p + q x, and the x at which its cell ends.
    if table.size == 0:
        return 0.0, 0.0, np.inf
    cell = _node_cell(axes[0], axes[1], step, table.shape[1], x)
    p, q = _row_line(
        table, axes[0], axes[1], cell, min(max(axes[2] * y + axes[3], 0.0), table.shape[0] - 1.0)
    )
    return p, q, _cell_end(axes[1], step, table.shape[1], cell)


@inner
def _row_cell(axes, ny, yd):
    # Row of cells of a table that holds y'; -1 and ny - 1 beyond the nodes.
    t = axes[2] * yd + axes[3]
    if t < 0.0:
        return np.int64(-1)
    return np.int64(t) if t < ny - 1.0 else np.int64(ny - 1)


@inner
def _same_row_end(axes, ny, y, d_p, d_q, xs, k, e):
    # First pixel of [k, e) that lies in another row of cells than k does, or e.
    row = _row_cell(axes, ny, y + (d_p + d_q * xs[k]))
    if _row_cell(axes, ny, y + (d_p + d_q * xs[e - 1])) == row:
        return e
    m = k + 1
    while _row_cell(axes, ny, y + (d_p + d_q * xs[m])) == row:
        m += 1
    return m


@inner
def _add_npol(table, axes, step_x, step_y, cell, row, w_p, w_q, y, d_q, c, at):
    # Add a table's bilinear cell to the series at c[at:] in z, where x' is w_p + w_q z and y' is y + d_q z.
    ny, nx = table.shape
    i, i1 = max(cell, 0), min(cell + 1, nx - 1)
    j, j1 = max(row, 0), min(row + 1, ny - 1)
    # p + q x' + (p1 + q1 x') y' from the cell's first node, in powers of z
    p = np.float64(table[j, i])
    p1 = np.float64(table[j1, i])
    q = table[j, i1] - p
    q1 = (table[j1, i1] - p1 - q) * (axes[0] * axes[2])
    p1 = (p1 - p) * axes[2]
    q *= axes[0]
    w_p -= (i - axes[1]) * step_x
    v_p = y - (j - axes[3]) * step_y
    steady = p1 + q1 * w_p
    c[at] += p + q * w_p + v_p * steady
    c[at + 1] += q * w_q + d_q * steady + v_p * q1 * w_q
    c[at + 2] += d_q * q1 * w_q


@inner
def _vector(n):
    return n * _PLACES + 2


@inner
def _collapse(c, sip, q, to):
    # SIP along a row, and what its Taylor series needs: of the powers w^i in the vectors sip ... sip + 5, of
    # q^0 ... q^5, the vectors to ... to + 5, which are
    # 1/(k! l!) d^k/dw^k d^l/dq^l sum_ij sip_ij w^i q^j for (k, l) = 00, 01, 02, 10, 11, 20.
    f = _vector(to)
    f_q = _vector(to + 1)
    f_qq = _vector(to + 2)
    for k in range(f, f_qq + 8):
        c[k] = 0.0
    for j in range(5, -1, -1):
        combine_8(c, f_qq, c, (f_q, f_qq), (1.0, q))
        combine_8(c, f_q, c, (f, f_q), (1.0, q))
        combine_8(c, f, c, (_vector(sip + j), f), (1.0, q))
    f_w = _vector(to + 3)
    f_wq = _vector(to + 4)
    f_ww = _vector(to + 5)
    for i in range(6):
        c[f_w + i] = (i + 1) * c[f + i + 1]
        c[f_wq + i] = (i + 1) * c[f_q + i + 1]
        c[f_ww + i] = 0.5 * (i + 1) * (i + 2) * c[f + i + 2]


@inner
def _compose(c, of, s_p, s_q, d_p, d_q, to):
    # The series at w = z + s and the shift d of q, with s = s_p + s_q z and d = d_p + d_q z, to the second
    # order in both: f + s f_w + d f_q + s^2 f_ww / 2 + s d f_wq + d^2 f_qq / 2.
    f = _vector(of)
    f_q = _vector(of + 1)
    f_qq = _vector(of + 2)
    f_w = _vector(of + 3)
    f_wq = _vector(of + 4)
    f_ww = _vector(of + 5)
    combine_8(
        c,
        _vector(to),
        c,
        (
            f, f_w, f_w - 1, f_q, f_q - 1, f_ww, f_ww - 1, f_ww - 2, f_wq, f_wq - 1, f_wq - 2,
            f_qq, f_qq - 1, f_qq - 2,
        ),
        (
            1.0, s_p, s_q, d_p, d_q, s_p * s_p, 2.0 * s_p * s_q, s_q * s_q,
            s_p * d_p, s_p * d_q + s_q * d_p, s_q * d_q, d_p * d_p, 2.0 * d_p * d_q, d_q * d_q,
        ),
    )  # fmt: skip


@inner
def _project(h, cx, cy, zs, first, end, xs, ys):
    # Output pixels of the focal offsets that the quintics cx, cy give at zs[first:end].
    a0, a1, a2, a3, a4, a5 = cx[0], cx[1], cx[2], cx[3], cx[4], cx[5]
    b0, b1, b2, b3, b4, b5 = cy[0], cy[1], cy[2], cy[3], cy[4], cy[5]
    h00, h01, h02 = h[0, 0], h[0, 1], h[0, 2]
    h10, h11, h12 = h[1, 0], h[1, 1], h[1, 2]
    h20, h21, h22 = h[2, 0], h[2, 1], h[2, 2]
    for k in range(np.uint64(first), np.uint64(end)):  # unsigned: spares the test for a negative index
        z = zs[k]
        u = multiply_add(multiply_add(multiply_add(a5, z, a4), z, a3), z, a2)
        u = multiply_add(multiply_add(u, z, a1), z, a0)
        v = multiply_add(multiply_add(multiply_add(b5, z, b4), z, b3), z, b2)
        v = multiply_add(multiply_add(v, z, b1), z, b0)
        t = multiply_add(h20, u, multiply_add(h21, v, h22))
        r = 1.0 / t if t > 0.0 else np.nan
        xs[k] = multiply_add(h00, u, multiply_add(h01, v, h02)) * r
        ys[k] = multiply_add(h10, u, multiply_add(h11, v, h12)) * r


@inner
def _sample_cell(grid, axes, y, x, c):
    # A projection that is not TAN: c becomes the quintic in x - ref of the samples' cell at x along
    # the row y; NaN outside. Returns ref and the x at which the cell ends.
    ny, nx = grid.shape
    x0 = axes[0]
    step = axes[1]
    ty = (y - axes[2]) / axes[3]
    cell = _node_cell(1.0 / step, -x0 / step, step, nx, x)
    inside = 0.0 <= ty < ny - 1.0 and 0 <= cell < nx - 1
    i = min(max(cell, 2), nx - 4)
    j = min(max(int(max(min(ty, ny - 1.0), 0.0)), 2), ny - 4)
    ref = x0 + step * i
    for a in range(6):
        c[a] = 0.0
    for k in range(6):
        node = 0.0
        for m in range(6):
            node += quintic_weight(m, ty - j) * grid[j - 2 + m, i - 2 + k]
        power = 1.0
        for a in range(6):
            c[a] += QUINTIC[a, k] * node * power
            power /= step
    if not inside:
        c[0] = np.nan
    return ref, _cell_end(-x0 / step, step, nx, cell)


@kernel
def _sampled_rows(crpix, grid_x, grid_y, grid_axes, h, ys, xs, density, out_x, out_y):
    # A projection that is not TAN.
    cells = np.empty((2, 6))
    n = xs.size
    zs = np.empty(n)
    for row in range(ys.size):
        y = ys[row]
        k = np.int64(0)
        while k < n:
            ref, limit = _sample_cell(grid_x, grid_axes, y, xs[k], cells[0])
            ref, limit = _sample_cell(grid_y, grid_axes, y, xs[k], cells[1])
            cells[0, 0] += ref - crpix[0]
            cells[0, 1] += 1.0
            cells[1, 0] += y - crpix[1]
            e = _run_end(xs, k, 0.0, 0.0, limit, density)
            for m in range(k, e):
                zs[m] = xs[m] - ref
            _project(h, cells[0], cells[1], zs, k, e, out_x[row], out_y[row])
            k = e


@kernel
def _straight_rows(
    crpix, sip_ref, sip_a, sip_b, npol_x, npol_y, d2im_x, d2im_y, axes, h, ys, xs, density, zs, c,
    out_x, out_y,
):  # fmt: skip
    # zs (n,) and c (_STEPS + 8,), zeros, are scratch.
    ref = sip_ref[0]
    n = xs.size
    for k in range(n):
        zs[k] = xs[k] - ref
    for i in range(sip_a.shape[0]):
        for j in range(sip_a.shape[0]):
            c[_vector(_SIP + j) + i] = sip_a[i, j]
            c[_vector(_SIP + 6 + j) + i] = sip_b[i, j]
    for m in range(4):
        # of no table: never used
        c[_STEPS + 2 * m] = 1.0 / axes[m, 0]
        c[_STEPS + 2 * m + 1] = 1.0 / axes[m, 2]
    shifted = d2im_x.size > 0 or d2im_y.size > 0
    alike = npol_x.shape[0] == npol_y.shape[0] and npol_x.shape[1] == npol_y.shape[1]
    for m in range(4):
        alike = alike and axes[0, m] == axes[1, m]
    f_x = _vector(_DERIVATIVES)
    f_y = _vector(_DERIVATIVES + 6)
    quintic_x = _vector(_QUINTIC)
    quintic_y = _vector(_QUINTIC + 1)
    for row in range(ys.size):
        y = ys[row]
        for g in range(2):
            _collapse(c, _SIP + 6 * g, y - sip_ref[1], _DERIVATIVES + 6 * g)
        # ... and the undistorted pixel itself, with its derivatives
        c[f_x] += ref - crpix[0]
        c[f_x + 1] += 1.0
        c[_vector(_DERIVATIVES + 3)] += 1.0
        c[f_y] += y - crpix[1]
        c[_vector(_DERIVATIVES + 7)] += 1.0
        k = np.int64(0)
        while k < n:
            # A cell of D2IM ...
            s_p, s_q, s_end = _shift(d2im_x, axes[2], c[_STEPS + 4], y, xs[k])
            d_p, d_q, d_end = _shift(d2im_y, axes[3], c[_STEPS + 6], y, xs[k])
            last = _run_end(xs, k, 0.0, 0.0, min(s_end, d_end), density)
            w_p = s_p + s_q * ref
            v_p = d_p + d_q * ref
            for g in range(2):
                if shifted:
                    _compose(c, _DERIVATIVES + 6 * g, w_p, s_q, v_p, d_q, _SMOOTH + g)
                else:
                    combine_8(c, _vector(_SMOOTH + g), c, (_vector(_DERIVATIVES + 6 * g),), (1.0,))
            w_p += ref
            v_p += y
            while k < last:
                # ... and in it the cells of NPOL.
                limit = np.inf
                cell = np.int64(0)
                line = np.int64(0)
                for g in range(2):
                    combine_8(c, _vector(_QUINTIC + g), c, (_vector(_SMOOTH + g),), (1.0,))
                    table = npol_y if g == 1 else npol_x
                    step = c[_STEPS + 2 * g]
                    if table.size > 0:
                        if g == 0 or not alike:
                            xd = xs[k] + (s_p + s_q * xs[k])
                            cell = _node_cell(axes[g, 0], axes[g, 1], step, table.shape[1], xd)
                            line = _row_cell(axes[g], table.shape[0], y + (d_p + d_q * xs[k]))
                            limit = min(limit, _cell_end(axes[g, 1], step, table.shape[1], cell))
                        _add_npol(
                            table, axes[g], step, c[_STEPS + 2 * g + 1], cell, line, w_p, 1.0 + s_q, v_p, d_q,
                            c, _vector(_QUINTIC + g),
                        )  # fmt: skip
                e = min(last, _run_end(xs, k, s_p, s_q, limit, density))
                if npol_x.size > 0:
                    e = _same_row_end(axes[0], npol_x.shape[0], y, d_p, d_q, xs, k, e)
                if npol_y.size > 0 and not alike:
                    e = _same_row_end(axes[1], npol_y.shape[0], y, d_p, d_q, xs, k, e)
                # What is written beyond the run is overwritten by the next one.
                end = min(k + (e - k + _STRIDE - 1) // _STRIDE * _STRIDE, n)
                _project(h, c[quintic_x:], c[quintic_y:], zs, k, end, out_x[row], out_y[row])
                k = e


@kernel
def _pixel_rows(crpix, sip_ref, sip_a, sip_b, npol_x, npol_y, d2im_x, d2im_y, axes, h, ys, xs, out_x, out_y):
    # Where the chain along a row is no polynomial, or one of many short pieces.
    for row in range(ys.size):
        y = ys[row]
        for k in range(xs.size):
            x = xs[k]
            u, v = focal(x, y, crpix, sip_ref, sip_a, sip_b, npol_x, npol_y, d2im_x, d2im_y, axes)
            t = multiply_add(h[2, 0], u, multiply_add(h[2, 1], v, h[2, 2]))
            r = 1.0 / t if t > 0.0 else np.nan
            out_x[row, k] = multiply_add(h[0, 0], u, multiply_add(h[0, 1], v, h[0, 2])) * r
            out_y[row, k] = multiply_add(h[1, 0], u, multiply_add(h[1, 1], v, h[1, 2])) * r


def _straight(wcs):
    # Whether the chain along a row is a polynomial of the fifth degree from table node to table node.
    if wcs.sip_a.shape[0] > 6 or max(wcs.table_axes[:, 0].tolist()) > _SPARSE:
        return False
    return (wcs.d2im_x.size == 0 and wcs.d2im_y.size == 0) or wcs.d2im_limits[2] > 0.0


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
    y = np.arange(j0, j1, dtype=np.float64)
    x = np.arange(i0, i1, dtype=np.float64)
    map_lines(wcs, h, y + yoff if yoff else y, x + xoff if xoff else x, out_x, out_y)


def map_lines(wcs, h, y, x, out_x, out_y):
    """Output pixels of a lattice of points of a chip: `map_rows` for any points.

    Parameters
    ----------
    wcs, h
        As there.
    y : (m,) float64
        Chip pixels, in any order.
    x : (n,) float64
        Chip pixels, ascending, about evenly or in even groups.
    out_x, out_y : (>= m, >= n) float64, C-contiguous
        As there, written at ``[k, i]`` for the point ``x[i], y[k]``.
    """
    if x.size == 0 or y.size == 0:
        return
    density = (x.size - 1) / (x[-1] - x[0]) if x.size > 1 else 1.0
    if wcs.grid_x.size > 0:
        _sampled_rows(wcs.crpix, wcs.grid_x, wcs.grid_y, wcs.grid_axes, h, y, x, density, out_x, out_y)
    elif _straight(wcs):
        scratch = np.empty(x.size), np.zeros(_STEPS + 8)
        _straight_rows(*arrays_of(wcs), h, y, x, density, *scratch, out_x, out_y)
    else:
        _pixel_rows(*arrays_of(wcs), h, y, x, out_x, out_y)


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

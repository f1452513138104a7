"""Drizzle: spread the pixels of one chip box over a tile of the output grid.

Definitions: Fruchter & Hook 2002 (PASP 114, 144), as computed by the ``drizzle`` package 3.0.0
(``src/cdrizzlebox.c``); ``square`` maps the four corners of each drop exactly, as AstroDrizzle does.

We keep two sums per output pixel, ``num = sum(dow * s^2 * d)`` and ``den = sum(dow)``, where the
peer keeps a running mean in float32; `finish` divides. Every contribution is a function of its
input pixel alone, and contributions come in the order (row, column) of the chip, so that any tile and
any chip box that holds all contributors give the same bits.
"""

import numpy as np

from drizzlewb.kernels.jit import kernel
from drizzlewb.kernels.transform import map_row

__all__ = ["KERNELS", "drizzle_box", "finish", "reach"]

SQUARE, TURBO, POINT, GAUSSIAN, LANCZOS2, LANCZOS3 = range(6)
KERNELS = {
    "square": SQUARE,
    "turbo": TURBO,
    "point": POINT,
    "gaussian": GAUSSIAN,
    "lanczos2": LANCZOS2,
    "lanczos3": LANCZOS3,
}

BLOCK = 32  # rows and columns of the coarse grid by which pixels far from the tile are skipped
BATCH = 64  # drops whose overlaps are computed side by side
FWHM = 2.3548  # of a Gaussian, in sigma, to the peer's digits
LUT_STEP = 0.003  # of the peer's Lanczos table, in input pixels
# An overlap below this fraction of its drop is the rounding error of a pixel that is not touched.
SLIVER = 1e-11


@kernel
def _round(x):
    """Nearest integer, halves away from zero (the peer's ``fortran_round``)."""
    if x >= 0.0:
        return int(np.floor(x + 0.5))
    return int(np.ceil(x - 0.5))


@kernel
def reach(kernel_id, pixfrac, scale):
    """Half-width of the box of output pixels that a drop is spread over, in output pixels.

    For ``square`` this is the drop's half-diagonal without distortion; the drop itself is mapped.
    """
    if kernel_id == SQUARE:
        return 0.7072 * pixfrac / scale
    if kernel_id == TURBO:
        return 0.5 * pixfrac / scale
    if kernel_id == GAUSSIAN:
        # never below 1.2 input pixels, lest the output has holes (V2.9 of the original code)
        return max(2.5 * pixfrac / FWHM, 1.2) / scale
    if kernel_id == LANCZOS2:
        return 2.0 / scale
    if kernel_id == LANCZOS3:
        return 3.0 / scale
    return 0.0


@kernel
def _lanczos_table(order):
    """Lanczos window of `order` at multiples of `LUT_STEP` input pixels, zero from `order` on."""
    n = int(np.ceil(order / LUT_STEP)) + 1
    table = np.zeros(n)
    table[0] = 1.0
    for k in range(1, n):
        x = np.pi * (k * LUT_STEP)
        if x < np.pi * order:
            table[k] = np.sin(x) / x * np.sin(x / order) / (x / order)
    return table


@kernel
def _node_row(wcs, h, y, x0, nx, node_x, node_y, point):
    """Map the edges of the blocks along one line: columns x0 - 0.5 + 0, 32, 64, ... nx."""
    n = (nx + BLOCK - 1) // BLOCK
    for b in range(n + 1):
        i = x0 + min(b * BLOCK, nx)
        map_row(wcs, h, y, -0.5, i, i + 1, point[0], point[1])
        node_x[b] = point[0, 0]
        node_y[b] = point[1, 0]


@kernel
def _hull(nodes, nx, height, pixfrac, radius, ox0, oy0, ox1, oy1):
    """Columns [a, b) of a block row outside which no drop can touch the tile.

    A block's pixels lie within the bounding box of its four mapped corners but for the curvature of
    the map: (32^2 / 8) times its second derivative, below 0.01 input pixel for every Hubble camera,
    and for the steps of the lookup tables, below 0.2. `radius` holds a whole input pixel for them.
    """
    first = nx
    last = 0
    n = (nx + BLOCK - 1) // BLOCK
    for b in range(n):
        width = min(BLOCK, nx - b * BLOCK)
        x_lo = min(min(nodes[0, b], nodes[0, b + 1]), min(nodes[2, b], nodes[2, b + 1]))
        x_hi = max(max(nodes[0, b], nodes[0, b + 1]), max(nodes[2, b], nodes[2, b + 1]))
        y_lo = min(min(nodes[1, b], nodes[1, b + 1]), min(nodes[3, b], nodes[3, b + 1]))
        y_hi = max(max(nodes[1, b], nodes[1, b + 1]), max(nodes[3, b], nodes[3, b + 1]))
        # a drop larger than its pixel leaves the block by (pixfrac - 1) / 2 input pixels
        over = 0.6 * max(pixfrac - 1.0, 0.0) / min(width, height)
        dx = radius + over * (x_hi - x_lo)
        dy = radius + over * (y_hi - y_lo)
        # comparisons with NaN are false: a block that cannot be judged is kept
        if x_hi + dx < ox0 or x_lo - dx > ox1 or y_hi + dy < oy0 or y_lo - dy > oy1:
            continue
        first = min(first, b * BLOCK)
        last = max(last, b * BLOCK + width)
    return first, last


# Rows of the square kernel's scratch, each BATCH wide: corners relative to the drop's window; per
# edge dx/dy and half of |dy/dx| with the sign of dy; 1 / signed area; weight; then per edge what the
# current row of pixels cuts out of it; the area left of the last line; and the windows.
_X, _Y, _M, _G, _J, _W, _LO, _HI, _DY, _LEFT, _WINDOW = 0, 4, 8, 12, 16, 17, 18, 22, 26, 30, 31


@kernel
def _overlaps(s, m, rows, cols):
    """Weights of m drops in windows of rows x cols output pixels, by the boundary integral.

    The area of a polygon left of the line X within a strip of y is the integral of min(x, X) dy along
    its boundary: per edge dy * min(X, x_hi) - g u^2 with u = clip(X - x_lo, 0, x_hi - x_lo) and
    g = dy/dx / 2. Differences between lines give pixels. There is no divide and no branch per pixel,
    so that drops are done side by side; each value depends on its own drop only.
    """
    for e in range(4):
        f = (e + 1) & 3
        for k in range(m):
            dx = s[_X + f, k] - s[_X + e, k]
            dy = s[_Y + f, k] - s[_Y + e, k]
            s[_M + e, k] = dx / dy if abs(dy) > 1e-30 else 0.0
            g = abs(dy / dx) if abs(dx) > 1e-30 else 0.0
            s[_G + e, k] = 0.5 * g if dy > 0.0 else -0.5 * g
    for r in range(rows):
        for e in range(4):
            f = (e + 1) & 3
            for k in range(m):
                y1 = s[_Y + e, k] - r
                y2 = s[_Y + f, k] - r
                ya = min(max(y1, 0.0), 1.0)
                yb = min(max(y2, 0.0), 1.0)
                slope = s[_M + e, k]
                xa = s[_X + e, k] + (ya - y1) * slope
                xb = s[_X + f, k] + (yb - y2) * slope
                s[_LO + e, k] = min(xa, xb)
                s[_HI + e, k] = max(xa, xb)
                s[_DY + e, k] = yb - ya
        for k in range(m):
            s[_LEFT, k] = 0.0
        for c in range(cols):
            line = c + 1.0
            out = _WINDOW + r * cols + c
            for k in range(m):
                area = 0.0
                for e in range(4):
                    lo = s[_LO + e, k]
                    hi = s[_HI + e, k]
                    u = min(max(line - lo, 0.0), hi - lo)
                    area += s[_DY + e, k] * min(line, hi) - s[_G + e, k] * u * u
                part = (area - s[_LEFT, k]) * s[_J, k]
                s[_LEFT, k] = area
                s[out, k] = part * s[_W, k] if part > SLIVER else 0.0


@kernel
def _add_windows(s, at, value, m, rows, cols, bit, num, den, ctx):
    """Add m finished windows to the tile in the order of their drops."""
    ny, nx = num.shape
    for k in range(m):
        j0 = at[0, k]
        i0 = at[1, k]
        c0 = max(0, -i0)
        c1 = min(at[3, k], nx - i0)
        for r in range(max(0, -j0), min(at[2, k], ny - j0)):
            j = j0 + r
            for c in range(c0, c1):
                dow = s[_WINDOW + r * cols + c, k]
                num[j, i0 + c] += dow * value[k]
                den[j, i0 + c] += dow
                if dow > 0.0:
                    ctx[j, i0 + c] |= bit


@kernel
def _flush(s, at, value, m, rows, cols, bit, num, den, ctx):
    """Compute and add a batch; returns the scratch, enlarged if its windows did not fit."""
    if s.shape[0] < _WINDOW + rows * cols:
        bigger = np.empty((_WINDOW + rows * cols, BATCH))
        for q in range(_WINDOW):
            for k in range(m):
                bigger[q, k] = s[q, k]
        s = bigger
    _overlaps(s, m, rows, cols)
    _add_windows(s, at, value, m, rows, cols, bit, num, den, ctx)
    return s


@kernel
def _square(data, weight, x0, y0, wcs, h, pixfrac, scale, bit, ox0, oy0, num, den, ctx, nodes):
    ny, nx = data.shape
    tny, tnx = num.shape
    half = 0.5 * pixfrac
    shared = pixfrac == 1.0  # neighbours then share corners: one line of corners per row
    # corners of the row, by line (below, above) and side (left, right)
    cx = np.empty((4, nx + 1))
    cy = np.empty((4, nx + 1))
    s = np.empty((_WINDOW + 16, BATCH))
    at = np.empty((4, BATCH), np.int64)
    value = np.empty(BATCH)
    m = rows = cols = 0
    area_scale = scale * scale
    for j_block in range(0, ny, BLOCK):
        j_end = min(ny, j_block + BLOCK)
        a, b = _block_hull(
            wcs, h, x0, y0 + j_block, nx, j_end - j_block, j_block == 0, pixfrac,
            1.0 + 1.0 / scale, ox0, oy0, ox0 + tnx - 1, oy0 + tny - 1, nodes,
        )  # fmt: skip
        if a >= b:
            continue
        n = b - a
        below, above = 0, 1
        for j in range(j_block, j_end):
            y = float(y0 + j)
            if shared:
                if j == j_block:
                    map_row(wcs, h, y - 0.5, -0.5, x0 + a, x0 + b + 1, cx[below], cy[below])
                map_row(wcs, h, y + 0.5, -0.5, x0 + a, x0 + b + 1, cx[above], cy[above])
            else:
                map_row(wcs, h, y - half, -half, x0 + a, x0 + b, cx[0], cy[0])
                map_row(wcs, h, y + half, -half, x0 + a, x0 + b, cx[1], cy[1])
                map_row(wcs, h, y - half, half, x0 + a, x0 + b, cx[2], cy[2])
                map_row(wcs, h, y + half, half, x0 + a, x0 + b, cx[3], cy[3])
            for i in range(n):
                w = weight[j, a + i]
                d = data[j, a + i]
                if not (w > 0.0 and np.isfinite(d) and w < np.inf):
                    continue
                xa = cx[below, i]
                ya = cy[below, i]
                xd = cx[above, i]
                yd = cy[above, i]
                if shared:
                    xb = cx[below, i + 1]
                    yb = cy[below, i + 1]
                    xc = cx[above, i + 1]
                    yc = cy[above, i + 1]
                else:
                    xb = cx[2, i]
                    yb = cy[2, i]
                    xc = cx[3, i]
                    yc = cy[3, i]
                jaco = 0.5 * ((xc - xa) * (yd - yb) - (xd - xb) * (yc - ya))
                if not (abs(jaco) > 0.0 and abs(jaco) < 1e15):
                    continue  # also where the map is not defined
                i0 = _round(min(min(xa, xb), min(xc, xd)))
                i1 = _round(max(max(xa, xb), max(xc, xd)))
                j0 = _round(min(min(ya, yb), min(yc, yd)))
                j1 = _round(max(max(ya, yb), max(yc, yd)))
                if i1 < ox0 or i0 >= ox0 + tnx or j1 < oy0 or j0 >= oy0 + tny:
                    continue
                ox = i0 - 0.5
                oy = j0 - 0.5
                s[_X, m] = xa - ox
                s[_X + 1, m] = xb - ox
                s[_X + 2, m] = xc - ox
                s[_X + 3, m] = xd - ox
                s[_Y, m] = ya - oy
                s[_Y + 1, m] = yb - oy
                s[_Y + 2, m] = yc - oy
                s[_Y + 3, m] = yd - oy
                s[_J, m] = 1.0 / jaco
                s[_W, m] = w
                value[m] = d * area_scale
                at[0, m] = j0 - oy0
                at[1, m] = i0 - ox0
                at[2, m] = j1 - j0 + 1
                at[3, m] = i1 - i0 + 1
                rows = max(rows, j1 - j0 + 1)
                cols = max(cols, i1 - i0 + 1)
                m += 1
                if m == BATCH:
                    s = _flush(s, at, value, m, rows, cols, bit, num, den, ctx)
                    m = rows = cols = 0
            if shared:
                below, above = above, below
    if m > 0:
        _flush(s, at, value, m, rows, cols, bit, num, den, ctx)


@kernel
def _block_hull(wcs, h, x0, y, nx, height, first, pixfrac, radius, ox0, oy0, ox1, oy1, nodes):
    """Map the far edge of the next block row (and the near one for the first) and judge its blocks."""
    n = (nx + BLOCK - 1) // BLOCK + 1
    if first:
        _node_row(wcs, h, y - 0.5, x0, nx, nodes[0], nodes[1], nodes[4:])
    else:
        for b in range(n):
            nodes[0, b] = nodes[2, b]
            nodes[1, b] = nodes[3, b]
    _node_row(wcs, h, y + height - 0.5, x0, nx, nodes[2], nodes[3], nodes[4:])
    return _hull(nodes, nx, height, pixfrac, radius, ox0, oy0, ox1, oy1)


@kernel
def _separable(data, weight, x0, y0, wcs, h, kernel_id, pixfrac, scale, bit, ox0, oy0, num, den, ctx, nodes):
    ny, nx = data.shape
    tny, tnx = num.shape
    radius = reach(kernel_id, pixfrac, scale)
    side = 2 * int(np.ceil(radius)) + 3
    wx = np.empty(side)
    wy = np.empty(side)
    mx = np.empty(nx)
    my = np.empty(nx)
    area_scale = scale * scale
    table = np.zeros(1)
    per_step = scale / LUT_STEP
    norm = 1.0
    efac = 0.0
    decay = np.empty(side)
    if kernel_id == TURBO:
        norm = area_scale / (pixfrac * pixfrac)
    elif kernel_id == GAUSSIAN:
        efac = FWHM * FWHM * area_scale / (pixfrac * pixfrac) / 2.0
        norm = efac / np.pi
        for c in range(side):
            decay[c] = np.exp(-efac * c * c)
    elif kernel_id == LANCZOS2:
        table = _lanczos_table(2)
    elif kernel_id == LANCZOS3:
        table = _lanczos_table(3)
    for j_block in range(0, ny, BLOCK):
        j_end = min(ny, j_block + BLOCK)
        a, b = _block_hull(
            wcs, h, x0, y0 + j_block, nx, j_end - j_block, j_block == 0, pixfrac,
            1.0 + 1.0 / scale + radius, ox0, oy0, ox0 + tnx - 1, oy0 + tny - 1, nodes,
        )  # fmt: skip
        if a >= b:
            continue
        for j in range(j_block, j_end):
            map_row(wcs, h, float(y0 + j), 0.0, x0 + a, x0 + b, mx, my)
            for i in range(b - a):
                w = weight[j, a + i]
                d = data[j, a + i]
                if not (w > 0.0 and np.isfinite(d) and w < np.inf):
                    continue
                x = mx[i]
                y = my[i]
                if not (x + radius > ox0 - 1.0 and x - radius < ox0 + tnx
                        and y + radius > oy0 - 1.0 and y - radius < oy0 + tny):  # fmt: skip
                    continue  # also where the map is not defined
                i0 = _round(x - radius)
                i1 = _round(x + radius)
                j0 = _round(y - radius)
                j1 = _round(y + radius)
                value = d * area_scale
                c0 = max(i0, ox0)
                c1 = min(i1, ox0 + tnx - 1)
                r0 = max(j0, oy0)
                r1 = min(j1, oy0 + tny - 1)
                if kernel_id == TURBO:
                    for c in range(c0, c1 + 1):
                        wx[c - c0] = min(x + radius, c + 0.5) - max(x - radius, c - 0.5)
                    for r in range(r0, r1 + 1):
                        wy[r - r0] = min(y + radius, r + 0.5) - max(y - radius, r - 0.5)
                elif kernel_id == GAUSSIAN:
                    for c in range(c0, c1 + 1):
                        wx[c - c0] = np.exp(-efac * (x - c) * (x - c))
                    for r in range(r0, r1 + 1):
                        wy[r - r0] = np.exp(-efac * (y - r) * (y - r))
                elif kernel_id == POINT:
                    wx[0] = 1.0
                    wy[0] = 1.0
                else:
                    for c in range(c0, c1 + 1):
                        k = int(abs(x - c) * per_step + 0.5)
                        wx[c - c0] = table[k] if k < table.size else 0.0
                    for r in range(r0, r1 + 1):
                        k = int(abs(y - r) * per_step + 0.5)
                        wy[r - r0] = table[k] if k < table.size else 0.0
                for r in range(r0, r1 + 1):
                    row_weight = wy[r - r0] * norm * w
                    for c in range(c0, c1 + 1):
                        dow = row_weight * wx[c - c0]
                        num[r - oy0, c - ox0] += dow * value
                        den[r - oy0, c - ox0] += dow
                        if dow > 0.0:
                            ctx[r - oy0, c - ox0] |= bit


@kernel
def drizzle_box(data, weight, x0, y0, wcs, h, kernel_id, pixfrac, scale, bit, ox0, oy0, num, den, ctx):
    """Add one chip box to one tile of the output, in place.

    Parameters
    ----------
    data, weight : (ny, nx) float32
        Box of the chip: values per chip pixel, and weights, 0 where the pixel is bad. A value or
        weight that is NaN or infinite is a bad pixel too.
    x0, y0 : int
        Chip pixel of ``data[0, 0]``.
    wcs, h : PackedWCS, (3, 3) float64
        The chip's WCS and the homography from its focal plane to the output grid.
    kernel_id : int
        One of `KERNELS`.
    pixfrac : float
        Linear size of a drop in input pixels; without effect on point and lanczos.
    scale : float
        Output pixel / input pixel, linear; values are multiplied by its square.
    bit : uint32
        Context bit of the chip.
    ox0, oy0 : int
        Output pixel of ``num[0, 0]``.
    num, den : (tny, tnx) float64
        Sums of weight times value, and of weight.
    ctx : (tny, tnx) uint32
        Gets `bit` wherever the weight added is above zero.

    Notes
    -----
    The bits of a pixel are the same for every tile and for every box that holds its contributors,
    as long as the boxes of one chip are given whole (one box) per tile.
    """
    ny, nx = data.shape
    if ny == 0 or nx == 0 or num.size == 0:
        return
    nodes = np.empty((6, (nx + BLOCK - 1) // BLOCK + 1))
    if kernel_id == SQUARE:
        _square(data, weight, x0, y0, wcs, h, pixfrac, scale, bit, ox0, oy0, num, den, ctx, nodes)
    else:
        _separable(
            data, weight, x0, y0, wcs, h, kernel_id, pixfrac, scale, bit, ox0, oy0, num, den, ctx, nodes
        )


@kernel
def finish(num, den, fillval, sci, wht):
    """Divide the sums: sci = num / den where den is not zero, else fillval; wht = den."""
    ny, nx = num.shape
    for j in range(ny):
        for i in range(nx):
            d = den[j, i]
            sci[j, i] = num[j, i] / d if d != 0.0 else fillval
            wht[j, i] = d

"""The square kernel: exact overlaps of mapped pixels with output pixels.

A drop is the input pixel shrunk by pixfrac; its four corners are mapped one by one, and its weight
goes to the output pixels in proportion to the area that the quadrilateral shares with each
(Fruchter & Hook 2002; ``boxer`` and ``sgarea`` in the C code of the same authors). The area is taken
here by integration along the boundary, for a batch of drops side by side.
"""

import numpy as np

from drizzlewb.kernels.jit import kernel
from drizzlewb.kernels.lanes import TINY
from drizzlewb.kernels.transform import map_point, map_row

__all__ = ["BATCH", "BLOCK", "block_columns", "drizzle_square", "nearest", "touch"]

BLOCK = 32  # rows and columns of the coarse grid by which pixels far from the tile are skipped
BATCH = 72  # drops whose overlaps are computed side by side; no power of two, for the cache
# An overlap below this fraction of its drop is the rounding error of a pixel that is not touched.
SLIVER = 1e-11

# Rows of the scratch, each BATCH wide: corners relative to the drop's window; per edge dx/dy and half
# of |dy/dx| with the sign of dy; 1 / signed area; weight; value; then for the current row of pixels the
# corners' y clipped to it, and by how much, and what it cuts out of each edge in x; the area left of
# the last line; and the windows, row by row.
_X, _Y, _M, _G, _J, _W, _D, _CUT, _MOVE, _LO, _HI, _LEFT, _WINDOW = (
    0,
    4,
    8,
    12,
    16,
    17,
    18,
    19,
    23,
    27,
    31,
    35,
    36,
)


@kernel
def nearest(x):
    """Nearest integer, halves away from zero (the peer's ``fortran_round``)."""
    if x >= 0.0:
        return int(np.floor(x + 0.5))
    return int(np.ceil(x - 0.5))


@kernel
def block_columns(wcs, h, x0, y, nx, height, pixfrac, radius, ox0, oy0, tny, tnx, nodes):
    """Columns [a, b) of the rows y ... y + height outside which no drop can touch the tile.

    The corners of blocks of `BLOCK` columns are mapped into `nodes` ((4, nx // BLOCK + 2) scratch).
    A block's pixels lie in the bounding box of its four corners but for the curvature of the map,
    32^2 / 8 of its second derivative, which is below 0.02 input pixels for every Hubble camera, and
    for the steps of the lookup tables, below 0.2. `radius`, in output pixels, holds a whole input
    pixel for both beside the reach of a drop from its centre.
    """
    a = nx
    b = 0
    n = (nx + BLOCK - 1) // BLOCK
    for k in range(n + 1):
        x = x0 + min(k * BLOCK, nx) - 0.5
        nodes[0, k], nodes[1, k] = map_point(wcs, h, x, y - 0.5)
        nodes[2, k], nodes[3, k] = map_point(wcs, h, x, y + height - 0.5)
    for k in range(n):
        width = min(BLOCK, nx - k * BLOCK)
        x_lo = min(min(nodes[0, k], nodes[0, k + 1]), min(nodes[2, k], nodes[2, k + 1]))
        x_hi = max(max(nodes[0, k], nodes[0, k + 1]), max(nodes[2, k], nodes[2, k + 1]))
        y_lo = min(min(nodes[1, k], nodes[1, k + 1]), min(nodes[3, k], nodes[3, k + 1]))
        y_hi = max(max(nodes[1, k], nodes[1, k + 1]), max(nodes[3, k], nodes[3, k + 1]))
        # a drop larger than its pixel leaves the block by (pixfrac - 1) / 2 input pixels
        over = 0.6 * max(pixfrac - 1.0, 0.0) / min(width, height)
        dx = radius + over * (x_hi - x_lo)
        dy = radius + over * (y_hi - y_lo)
        away = x_hi + dx < ox0 or x_lo - dx > ox0 + tnx or y_hi + dy < oy0 or y_lo - dy > oy0 + tny
        # a block whose map is not defined throughout cannot be judged by its corners
        total = nodes[0, k] + nodes[0, k + 1] + nodes[2, k] + nodes[2, k + 1]
        if not (away and abs(total) < np.inf):
            a = min(a, k * BLOCK)
            b = max(b, k * BLOCK + width)
    return a, b


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
    for k in range(m):
        s[_J, k] = 1.0 / s[_J, k]
    for r in range(rows):
        for e in range(4):
            for k in range(m):
                y = s[_Y + e, k] - r
                cut = min(max(y, 0.0), 1.0)
                s[_CUT + e, k] = cut
                s[_MOVE + e, k] = cut - y
        for e in range(4):
            f = (e + 1) & 3
            for k in range(m):
                slope = s[_M + e, k]
                xa = s[_X + e, k] + s[_MOVE + e, k] * slope
                xb = s[_X + f, k] + s[_MOVE + f, k] * slope
                s[_LO + e, k] = min(xa, xb)
                s[_HI + e, k] = max(xa, xb)
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
                    dy = s[_CUT + ((e + 1) & 3), k] - s[_CUT + e, k]
                    area += dy * min(line, hi) - s[_G + e, k] * u * u
                part = (area - s[_LEFT, k]) * s[_J, k]
                s[_LEFT, k] = area
                s[out, k] = part * s[_W, k] if part > SLIVER else 0.0


@kernel
def touch(num, den, ctx, at, dow, value, bit):
    """Add the weight dow to pixel `at` of the flat sums."""
    k = np.uint64(at)  # spares the test for a negative index
    num[k] += dow * value
    den[k] += dow
    ctx[k] |= bit if dow > TINY else np.uint32(0)


@kernel
def _add_windows(s, at, m, rows, cols, tny, tnx, bit, num, den, ctx):
    """Add m windows to the flat sums of the tile, in the order of their drops.

    Windows are as large as the largest of the batch: adding zeros costs less than branches that
    cannot be foretold, unless most drops have fewer rows.
    """
    spare = 0
    for k in range(m):
        spare += rows - at[2, k]
    own = 4 * spare > 3 * m
    for k in range(m):
        j0 = at[0, k]
        i0 = at[1, k]
        value = s[_D, k]
        if i0 >= 0 and j0 >= 0 and i0 + cols <= tnx and j0 + rows <= tny:
            for r in range(at[2, k] if own else rows):
                p = (j0 + r) * tnx + i0
                q = _WINDOW + r * cols
                touch(num, den, ctx, p, s[q, k], value, bit)
                if cols > 1:
                    touch(num, den, ctx, p + 1, s[q + 1, k], value, bit)
                if cols > 2:
                    touch(num, den, ctx, p + 2, s[q + 2, k], value, bit)
                for c in range(3, cols):
                    touch(num, den, ctx, p + c, s[q + c, k], value, bit)
        else:
            for r in range(max(0, -j0), min(rows, tny - j0)):
                for c in range(max(0, -i0), min(cols, tnx - i0)):
                    touch(num, den, ctx, (j0 + r) * tnx + i0 + c, s[_WINDOW + r * cols + c, k], value, bit)


@kernel
def _collect(data, weight, cx, cy, below, above, right, step, area, first, m, s, at, ox0, oy0, tny, tnx):
    """Put the drops of a row, from its pixel `first` on, into the scratch until that is full.

    `data` and `weight` are the row; cx, cy its lines of corners (see `drizzle_square`). Returns the
    first pixel not seen and the number of drops in the scratch.
    """
    for i in range(first, data.size):
        if m == BATCH:
            return i, m
        w = np.float64(weight[i])
        value = data[i] * area
        if not (w > 0.0 and w < np.inf and abs(value) < np.inf):
            continue
        xa, ya = cx[below, i], cy[below, i]
        xb, yb = cx[below + right, i + step], cy[below + right, i + step]
        xc, yc = cx[above + right, i + step], cy[above + right, i + step]
        xd, yd = cx[above, i], cy[above, i]
        signed_area = 0.5 * ((xc - xa) * (yd - yb) - (xd - xb) * (yc - ya))
        if not (abs(signed_area) > 0.0 and abs(signed_area) < 1e15):
            continue  # also where the map is not defined
        x_lo = np.floor(min(min(xa, xb), min(xc, xd)) + 0.5)
        x_hi = np.floor(max(max(xa, xb), max(xc, xd)) + 0.5)
        y_lo = np.floor(min(min(ya, yb), min(yc, yd)) + 0.5)
        y_hi = np.floor(max(max(ya, yb), max(yc, yd)) + 0.5)
        if x_hi < ox0 or x_lo >= ox0 + tnx or y_hi < oy0 or y_lo >= oy0 + tny:
            continue
        x_edge = x_lo - 0.5
        y_edge = y_lo - 0.5
        s[_X, m] = xa - x_edge
        s[_X + 1, m] = xb - x_edge
        s[_X + 2, m] = xc - x_edge
        s[_X + 3, m] = xd - x_edge
        s[_Y, m] = ya - y_edge
        s[_Y + 1, m] = yb - y_edge
        s[_Y + 2, m] = yc - y_edge
        s[_Y + 3, m] = yd - y_edge
        s[_J, m] = signed_area
        s[_W, m] = w
        s[_D, m] = value
        at[0, m] = int(y_lo) - oy0
        at[1, m] = int(x_lo) - ox0
        at[2, m] = int(y_hi - y_lo) + 1
        at[3, m] = int(x_hi - x_lo) + 1
        m += 1
    return data.size, m


@kernel
def drizzle_square(data, weight, x0, y0, wcs, h, pixfrac, scale, bit, ox0, oy0, num, den, ctx):
    """`drizzlewb.kernels.drizzle.drizzle_box` for the square kernel."""
    ny, nx = data.shape
    tny, tnx = num.shape
    flat_num = num.reshape(num.size)
    flat_den = den.reshape(num.size)
    flat_ctx = ctx.reshape(num.size)
    half = 0.5 * pixfrac
    shared = pixfrac == 1.0  # neighbours then share corners: one line of corners per row
    # Lines of corners: below left, above left, below right, above right; or, where they are shared,
    # rows below and above, which change places from row to row.
    cx = np.empty((4, nx + 1))
    cy = np.empty((4, nx + 1))
    right = 0 if shared else 2
    step = 1 if shared else 0
    s = np.empty((_WINDOW + 16, BATCH))
    at = np.empty((4, BATCH), np.int64)
    m = 0
    a = 0
    b = 0
    nodes = np.empty((4, nx // BLOCK + 2))
    for j in range(ny):
        row = j % BLOCK
        if row == 0:
            height = min(BLOCK, ny - j)
            a, b = block_columns(
                wcs, h, x0, y0 + j, nx, height, pixfrac, 2.0 + 1.0 / scale, ox0, oy0, tny, tnx, nodes
            )
            b = max(a, b)
        turn = row & 1 if shared else 0
        for line in range(1 if shared and row > 0 else 0, 2 if shared else 4):
            slot = line ^ turn
            dy = half if line & 1 else -half
            dx = half if line & 2 else -half
            map_row(wcs, h, y0 + j + dy, dx, x0 + a, x0 + b + step, cx[slot], cy[slot])
        i = 0
        while i < b - a or (j == ny - 1 and m > 0):
            i, m = _collect(
                data[j, a:b], weight[j, a:b], cx, cy, turn, 1 - turn, right, step, scale * scale,
                i, m, s, at, ox0, oy0, tny, tnx,
            )  # fmt: skip
            if m == BATCH or (j == ny - 1 and i == b - a):
                rows = 0
                cols = 0
                for k in range(m):
                    rows = max(rows, at[2, k])
                    cols = max(cols, at[3, k])
                s = _room(s, m, rows, cols)
                _overlaps(s, m, rows, cols)
                _add_windows(s, at, m, rows, cols, tny, tnx, bit, flat_num, flat_den, flat_ctx)
                m = 0


@kernel
def _room(s, m, rows, cols):
    """The scratch, or a larger copy if windows of rows x cols pixels do not fit into it."""
    if s.shape[0] >= _WINDOW + rows * cols:
        return s
    larger = np.empty((_WINDOW + rows * cols, BATCH))
    for q in range(_WINDOW):
        for k in range(m):
            larger[q, k] = s[q, k]
    return larger

"""The square kernel: exact overlaps of mapped pixels with output pixels.

A drop is the input pixel shrunk by pixfrac; its four corners are mapped one by one, and its weight
goes to the output pixels in proportion to the area that the quadrilateral shares with each
(Fruchter & Hook 2002; ``boxer`` and ``sgarea`` in the C code of the same authors). The area is taken
here by integration along the boundary, for a batch of drops side by side.
"""

import numpy as np

from drizzlewb.kernels.jit import inner, kernel
from drizzlewb.kernels.lanes import TINY
from drizzlewb.kernels.transform import map_points, map_rows

__all__ = ["BATCH", "BLOCK", "blocks", "drizzle_square", "nearest", "touch"]

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


@inner
def nearest(x):
    """Nearest integer, halves away from zero (the peer's ``fortran_round``)."""
    if x >= 0.0:
        return int(np.floor(x + 0.5))
    return int(np.ceil(x - 0.5))


def blocks(wcs, h, x0, y0, shape, pixfrac, radius, tile):
    """Blocks of rows of a chip box, and the columns outside which no drop can touch the tile.

    Parameters
    ----------
    wcs, h : PackedWCS, (3, 3) float64
    x0, y0 : int
        Chip pixel of the box's first pixel.
    shape : (int, int)
        (ny, nx) of the box.
    pixfrac : float
    radius : float
        Reach of a drop from its centre in output pixels, and a whole input pixel more.
    tile : (int, int, int, int)
        First output pixel ox0, oy0 of the tile, and its shape tny, tnx.

    Returns
    -------
    list of (int, int, int, int)
        Rows [j0, j1) and columns [a, b) of the box; blocks without a drop are left out.

    Notes
    -----
    The corners of blocks of `BLOCK` columns are mapped. A block's pixels lie in the bounding box of its
    four corners but for the curvature of the map, 32^2 / 8 of its second derivative, which is below
    0.02 input pixels for every Hubble camera, and for the steps of the lookup tables, below 0.2: the
    input pixel in `radius` holds both.
    """
    ny, nx = shape
    ox0, oy0, tny, tnx = tile
    row_ends = np.append(np.arange(0, ny, BLOCK), ny)
    ends = np.append(np.arange(0, nx, BLOCK), nx)
    x, y = np.meshgrid(x0 + ends - 0.5, y0 + row_ends - 0.5)
    nodes = np.empty((2, x.size))
    map_points(wcs, h, x.ravel(), y.ravel(), nodes[0], nodes[1])
    nodes = nodes.reshape(2, *x.shape)
    corners = np.stack([nodes[:, :-1, :-1], nodes[:, :-1, 1:], nodes[:, 1:, :-1], nodes[:, 1:, 1:]])
    low = corners.min(axis=0)
    high = corners.max(axis=0)
    # a drop larger than its pixel leaves the block by (pixfrac - 1) / 2 input pixels
    over = 0.6 * max(pixfrac - 1.0, 0.0) / np.minimum(np.diff(ends), np.diff(row_ends)[:, None])
    grown = radius + over * (high - low)
    # false, too, where the map is not defined throughout: its corners cannot judge such a block
    away = (
        (high[0] + grown[0] < ox0) | (low[0] - grown[0] > ox0 + tnx)
        | (high[1] + grown[1] < oy0) | (low[1] - grown[1] > oy0 + tny)
    )  # fmt: skip
    found = []
    for k, row in enumerate(~away):
        columns = np.flatnonzero(row)
        if columns.size:
            span = int(ends[columns[0]]), int(ends[columns[-1] + 1])
            found.append((int(row_ends[k]), int(row_ends[k + 1]), *span))
    return found


@inner
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


@inner
def touch(num, den, ctx, at, dow, value, bit):
    """Add the weight dow to pixel `at` of the flat sums."""
    k = np.uint64(at)  # spares the test for a negative index
    num[k] += dow * value
    den[k] += dow
    ctx[k] |= bit if dow > TINY else np.uint32(0)


@inner
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


@inner
def _collect(
    data, weight, column, cx, cy, below, above, right, step, area, first, m, s, at, ox0, oy0, tny, tnx
):
    """Put the drops of a row, from its pixel `first` on, into the scratch until that is full.

    `data` and `weight` are the row, of which the lines of corners cx, cy (see `_square`) begin at
    `column`. Returns the first pixel not seen and the number of drops in the scratch.
    """
    n = cx.shape[1] - step
    for i in range(first, n):
        if m == BATCH:
            return i, m
        w = np.float64(weight[column + i])
        value = data[column + i] * area
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
    return n, m


@kernel
def _square(data, weight, column, cx, cy, above, right, step, area, bit, ox0, oy0, tny, tnx, num, den, ctx):
    """Add a block of rows. Pixel i of row r has its corners in row r, ``r + above`` of cx, cy, at i, and
    `right` rows and `step` columns on."""
    s = np.empty((_WINDOW + 16, BATCH))
    at = np.empty((4, BATCH), np.int64)
    # of one type from the start: a literal zero compiles everything twice
    m = np.int64(0)
    ny = data.shape[0]
    n = cx.shape[1] - step
    for r in range(ny):
        i = np.int64(0)
        while i < n or (r == ny - 1 and m > 0):
            i, m = _collect(
                data[r], weight[r], column, cx, cy, r, r + above, right, step, area,
                i, m, s, at, ox0, oy0, tny, tnx,
            )  # fmt: skip
            if m == BATCH or (r == ny - 1 and i == n):
                rows = np.int64(0)
                cols = np.int64(0)
                for k in range(m):
                    rows = max(rows, at[2, k])
                    cols = max(cols, at[3, k])
                s = _room(s, m, rows, cols)
                _overlaps(s, m, rows, cols)
                _add_windows(s, at, m, rows, cols, tny, tnx, bit, num, den, ctx)
                m = np.int64(0)


def drizzle_square(data, weight, x0, y0, wcs, h, pixfrac, scale, bit, ox0, oy0, num, den, ctx):
    """`drizzlewb.kernels.drizzle.drizzle_box` for the square kernel."""
    half = 0.5 * pixfrac
    tile = (ox0, oy0, *num.shape)
    flat = num.reshape(-1), den.reshape(-1), ctx.reshape(-1)
    for j0, j1, a, b in blocks(wcs, h, x0, y0, data.shape, pixfrac, 2.0 + 1.0 / scale, tile):
        height = j1 - j0
        if pixfrac == 1.0:
            # neighbours share corners: one line of them below each row, and one above the last
            sides = [(height + 1, -0.5, -0.5)]
            above, right, step = 1, 0, 1
        else:
            sides = [(height, dy, dx) for dx in (-half, half) for dy in (-half, half)]
            above, right, step = height, 2 * height, 0
        lines = np.empty((2, sum(side[0] for side in sides), b - a + step))
        first = 0
        for count, dy, dx in sides:
            out = lines[:, first : first + count]
            map_rows(wcs, h, y0 + j0, y0 + j0 + count, dy, dx, x0 + a, x0 + b + step, out[0], out[1])
            first += count
        _square(
            data[j0:j1], weight[j0:j1], a, lines[0], lines[1], above, right, step, scale * scale, bit,
            *tile, *flat,
        )  # fmt: skip


@inner
def _room(s, m, rows, cols):
    """The scratch, or a larger copy if windows of rows x cols pixels do not fit into it."""
    if s.shape[0] >= _WINDOW + rows * cols:
        return s
    larger = np.empty((_WINDOW + rows * cols, BATCH))
    for q in range(_WINDOW):
        for k in range(m):
            larger[q, k] = s[q, k]
    return larger

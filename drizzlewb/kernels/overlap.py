"""The square kernel: exact overlaps of mapped pixels with output pixels.

A drop is the input pixel shrunk by pixfrac; its four corners are mapped one by one, and its weight
goes to the output pixels in proportion to the area that the quadrilateral shares with each
(Fruchter & Hook 2002; ``boxer`` and ``sgarea`` in the C code of the same authors). The areas are
taken in `drizzlewb.kernels.polygon`, for drops of one window size side by side.
"""

import numpy as np

from drizzlewb.kernels.jit import inner, kernel
from drizzlewb.kernels.lanes import add_1
from drizzlewb.kernels.polygon import ROOM, VALUE, WINDOW, put_drop, windows
from drizzlewb.kernels.rows import map_lines, map_rows
from drizzlewb.kernels.transform import map_points

__all__ = ["BATCH", "BLOCK", "blocks", "drizzle_square", "nearest", "sequence"]

BLOCK = 32  # rows and columns of the coarse grid by which pixels far from the tile are skipped
CHUNK = 64  # columns done before the next rows' are: what they touch of the tile stays in the cache
BATCH = 72  # drops done side by side; no power of two, for the cache

# The square kernel sorts its drops by the size of their windows, up to 3 x 3 output pixels, and one
# class for all that are larger.
_SIDE = 3
_LARGE = _SIDE * _SIDE
_ROWS = WINDOW + _SIDE * _SIDE  # rows of the scratch for a class of small windows
# Of each drop in the scratch: the tile's pixel, flat, in which its window begins, or -1 for a window that is
# large or not wholly in the tile; where its weights begin in the flat scratch; the class; after a -1, the
# first pixel's y and x in the tile; if it is large, pixels in y and in x.
_PLACE, _WINDOW, _CLASS, _Y, _X, _HEIGHT, _WIDTH = range(7)
_NEXT = np.uint64(ROOM)  # from a weight of a window to the next
_TO_VALUE = np.uint64((WINDOW - VALUE) * ROOM)  # from the drop's value to the first


@inner
def nearest(x):
    """Nearest integer, halves away from zero (the peer's ``fortran_round``)."""
    if x >= 0.0:
        return int(np.floor(x + 0.5))
    return int(np.ceil(x - 0.5))


def _nodes(wcs, h, x, y):
    """Output pixels of a grid of chip pixels, and by how many chip pixels they may be wrong.

    Without the lookup tables: a grid's polynomials are a few products of matrices.
    """
    if wcs.grid_x.size > 0:
        xx, yy = np.meshgrid(x, y)
        nodes = np.empty((2, xx.size))
        map_points(wcs, h, xx.ravel(), yy.ravel(), nodes[0], nodes[1])
        return nodes.reshape(2, *xx.shape), 0.0
    powers = np.arange(wcs.sip_a.shape[0])
    powers_x = np.power.outer(x - wcs.sip_ref[0], powers).T
    powers_y = np.power.outer(y - wcs.sip_ref[1], powers)
    plane = np.ones((3, y.size, x.size))
    plane[0] = powers_y @ wcs.sip_a.T @ powers_x + (x - wcs.crpix[0])
    plane[1] = powers_y @ wcs.sip_b.T @ powers_x + (y - wcs.crpix[1])[:, None]
    out = (h @ plane.reshape(3, -1)).reshape(plane.shape)
    out[2][out[2] <= 0.0] = np.nan
    tables = sum(float(abs(t).max()) for t in (wcs.npol_x, wcs.npol_y) if t.size)
    return out[:2] / out[2], 1.1 * (tables + float(wcs.d2im_limits[0] + wcs.d2im_limits[1]))


def _ends(first, n, step):
    """Ends of the pieces of n pixels that the chip's multiples of `step` cut, 0 and n among them."""
    return np.concatenate([[0], np.arange(step - first % step, n, step), [n]])


def blocks(wcs, h, x0, y0, shape, pixfrac, scale, radius, tile):
    """Blocks of rows of a chip box, and the columns outside which no drop can touch the tile.

    Parameters
    ----------
    wcs, h : PackedWCS, (3, 3) float64
    x0, y0 : int
        Chip pixel of the box's first pixel.
    shape : (int, int)
        (ny, nx) of the box.
    pixfrac : float
    scale : float
        Output pixel / input pixel, linear.
    radius : float
        Reach of a drop from its centre in output pixels.
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
    0.02 input pixels for every Hubble camera, and for the steps of the lookup tables, below 0.2: a whole
    input pixel beyond `radius` holds both.
    """
    ny, nx = shape
    ox0, oy0, tny, tnx = tile
    row_ends = _ends(y0, ny, BLOCK)
    ends = _ends(x0, nx, BLOCK)
    nodes, wrong = _nodes(wcs, h, x0 + ends - 0.5, y0 + row_ends - 0.5)
    low = np.minimum(nodes[:, :-1], nodes[:, 1:])
    low = np.minimum(low[..., :-1], low[..., 1:])
    high = np.maximum(nodes[:, :-1], nodes[:, 1:])
    high = np.maximum(high[..., :-1], high[..., 1:])
    grown = radius + (1.0 + wrong) / scale
    if pixfrac > 1.0:
        # a drop larger than its pixel leaves the block by (pixfrac - 1) / 2 input pixels
        over = 0.6 * (pixfrac - 1.0) / np.minimum(np.diff(ends), np.diff(row_ends)[:, None])
        grown = grown + over * (high - low)
    high += grown
    low -= grown
    # false, too, where the map is not defined throughout: its corners cannot judge such a block
    near = ~((high[0] < ox0) | (low[0] > ox0 + tnx) | (high[1] < oy0) | (low[1] > oy0 + tny))
    rows = np.flatnonzero(near.any(axis=1))
    near = near[rows]
    first, last = near.argmax(axis=1), near.shape[1] - near[:, ::-1].argmax(axis=1)
    found = row_ends[rows], row_ends[rows + 1], ends[first], ends[last]
    return list(zip(*(column.tolist() for column in found), strict=True))


@inner
def _add_windows(weights, large_cols, at, m, tny, tnx, bit, num, den, ctx):
    """Add the windows of m drops to the flat sums of the tile, in the order of the drops.

    `weights` is the scratch, flat.
    """
    for k in range(m):
        p = at[_PLACE, k]
        q = np.uint64(at[_WINDOW, k])
        of_class = at[_CLASS, k]
        value = weights[q - _TO_VALUE]
        rows = of_class // _SIDE + 1
        cols = of_class % _SIDE + 1
        if p >= 0:
            for _ in range(rows):
                add_1(num, den, ctx, p, weights[q], value, bit)
                if cols > 1:
                    add_1(num, den, ctx, p + 1, weights[q + _NEXT], value, bit)
                if cols > 2:
                    add_1(num, den, ctx, p + 2, weights[q + _NEXT + _NEXT], value, bit)
                p += tnx
                q += np.uint64(cols * ROOM)
        else:
            j0 = at[_Y, k]
            i0 = at[_X, k]
            pitch = cols
            if of_class == _LARGE:
                rows = at[_HEIGHT, k]
                cols = at[_WIDTH, k]
                pitch = large_cols
            for r in range(max(0, -j0), min(rows, tny - j0)):
                for c in range(max(0, -i0), min(cols, tnx - i0)):
                    dow = weights[q + np.uint64((r * pitch + c) * ROOM)]
                    add_1(num, den, ctx, (j0 + r) * tnx + i0 + c, dow, value, bit)


@inner
def _classify(data, weight, low_x, low_y, high_x, high_y, stride, first, end, ox0, oy0, tny, tnx, found):
    """Windows of the drops of pixels [first, end) of a row: `found`, from its first column on, gets the first
    output pixel in x and in y, the class (-1 without a drop that touches the tile), the signed area and the
    flat pixel of the tile at which the window begins, or -1: see `_PLACE`.

    `data` and `weight` are the row; the lower corners of pixel i lie at ``i * stride`` of low_x, low_y and
    behind, the upper ones there in high_x, high_y. No branches, so that it becomes vector instructions.
    """
    # Two loops of one text: the compiler knows the stride in each.
    if stride == 1:
        for i in range(first, end):
            _classify_one(data, weight, low_x, low_y, high_x, high_y, i, i, first, ox0, oy0, tny, tnx, found)
    else:
        for i in range(first, end):
            _classify_one(
                data, weight, low_x, low_y, high_x, high_y, i, 2 * i, first, ox0, oy0, tny, tnx, found
            )


@inner
def _classify_one(
    data, weight, low_x, low_y, high_x, high_y, pixel, corner, first, ox0, oy0, tny, tnx, found
):
    i = np.uint64(pixel)  # unsigned: spares the test for a negative index
    a = np.uint64(corner)
    b = a + np.uint64(1)
    k = i - np.uint64(first)
    w = weight[i]
    value = data[i]
    xa, xb, xc, xd = low_x[a], low_x[b], high_x[b], high_x[a]
    ya, yb, yc, yd = low_y[a], low_y[b], high_y[b], high_y[a]
    signed_area = 0.5 * ((xc - xa) * (yd - yb) - (xd - xb) * (yc - ya))
    x_lo = np.floor(min(min(xa, xb), min(xc, xd)) + 0.5)
    x_hi = np.floor(max(max(xa, xb), max(xc, xd)) + 0.5)
    y_lo = np.floor(min(min(ya, yb), min(yc, yd)) + 0.5)
    y_hi = np.floor(max(max(ya, yb), max(yc, yd)) + 0.5)
    rows = y_hi - y_lo
    cols = x_hi - x_lo
    of_class = rows * _SIDE + cols
    of_class = of_class if (rows < _SIDE) & (cols < _SIDE) else np.float64(_LARGE)
    # Comparisons are false, too, where the map is not defined.
    sound = (w > 0.0) & (w < np.inf) & (abs(value) < np.inf)
    sound &= (abs(signed_area) > 0.0) & (abs(signed_area) < 1e15)
    sound &= (x_hi >= ox0) & (x_lo < ox0 + tnx) & (y_hi >= oy0) & (y_lo < oy0 + tny)
    found[0, k] = x_lo
    found[1, k] = y_lo
    found[2, k] = of_class if sound else -1.0
    found[3, k] = signed_area
    whole = (x_lo >= ox0) & (y_lo >= oy0) & (x_hi < ox0 + tnx) & (y_hi < oy0 + tny) & (of_class < _LARGE)
    found[4, k] = (y_lo - oy0) * tnx + (x_lo - ox0) if whole else -1.0


@inner
def _collect(
    data, weight, low_x, low_y, high_x, high_y, stride, area, found, first, i, end, m, s, filled, at, ox0, oy0
):
    """Put the drops of pixels [i, end) of a row into the scratch until a class of it is full.

    `found` is what `_classify` gave for pixels [first, end). Returns the first pixel not seen, the number of
    drops in the scratch, and whether it is full.
    """
    for k in range(i, end):
        n = np.uint64(k - first)
        if found[2, n] < 0.0:
            continue
        pixel = np.uint64(k)
        a = np.uint64(k * stride)
        b = a + np.uint64(1)
        of_class = np.int64(found[2, n])
        n_before = filled[of_class]
        x_lo = found[0, n]
        y_lo = found[1, n]
        place = found[4, n]
        first_row = of_class * (_ROWS * ROOM) + n_before
        put_drop(
            s, first_row, x_lo - 0.5, y_lo - 0.5,
            (low_x[a], low_x[b], high_x[b], high_x[a]), (low_y[a], low_y[b], high_y[b], high_y[a]),
            found[3, n], np.float64(weight[pixel]), data[pixel] * area,
        )  # fmt: skip
        at[_PLACE, m] = np.int64(place)
        at[_WINDOW, m] = first_row + WINDOW * ROOM
        at[_CLASS, m] = of_class
        if place < 0.0:
            at[_Y, m] = np.int64(y_lo) - oy0
            at[_X, m] = np.int64(x_lo) - ox0
            at[_HEIGHT, m] = _extent(low_y[a], low_y[b], high_y[b], high_y[a])
            at[_WIDTH, m] = _extent(low_x[a], low_x[b], high_x[b], high_x[a])
        m += 1
        filled[of_class] = n_before + 1
        if n_before + 1 == ROOM:
            return k + 1, m, True
    return end, m, False


@inner
def _extent(a, b, c, d):
    """Output pixels along one axis that hold all four corners."""
    low = np.floor(min(min(a, b), min(c, d)) + 0.5)
    return np.int64(np.floor(max(max(a, b), max(c, d)) + 0.5) - low) + 1


@inner
def _flush(s, weights, filled, at, m, tny, tnx, bit, num, den, ctx):
    """Add all drops in the scratch; returns the rows that it lacks room for, 0 when done."""
    large_rows = np.int64(1)
    large_cols = np.int64(1)
    if filled[_LARGE] > 0:
        for k in range(m):
            if at[_CLASS, k] == _LARGE:
                # one more, lest the largest among them is computed in another way than the others
                large_rows = max(large_rows, at[_HEIGHT, k] + 1)
                large_cols = max(large_cols, at[_WIDTH, k] + 1)
        rows = _LARGE * _ROWS + WINDOW + large_rows * large_cols
        if rows > s.shape[0]:
            return rows
    for of_class in range(_LARGE + 1):
        if filled[of_class] > 0:
            # the one call: each is compiled where it stands
            rows = of_class // _SIDE + 1 if of_class < _LARGE else large_rows
            cols = of_class % _SIDE + 1 if of_class < _LARGE else large_cols
            windows(s, of_class * _ROWS, filled[of_class], rows, cols)
            filled[of_class] = 0
    _add_windows(weights, large_cols, at, m, tny, tnx, bit, num, den, ctx)
    return np.int64(0)


@kernel
def _square(
    data, weight, column, cx, cy, above, stride, ends, area, c, r, i, m, s, weights, filled, at, found, bit,
    ox0, oy0, tny, tnx, num, den, ctx,
):  # fmt: skip
    """Add a block of rows. Pixel i of row r, from `column` of the box on, has its corners in row r and
    ``r + above`` of cx, cy, at ``i * stride`` and behind. All rows of the pixels up to one of `ends` are
    done before those behind it.

    `s`, `filled`, `at`, `found` are the scratch. Begins at pixel i of row r, before the end number c, with m
    drops in the scratch that wait to be added; returns where to begin again with a scratch of how many rows,
    0 if all is added.
    """
    ny = data.shape[0]
    n = ends[-1]
    full = m > 0
    while c < ends.size:
        first = ends[c - 1] if c > 0 else np.int64(0)
        end = ends[c]
        last_row = ny - 1 if c == ends.size - 1 else ny
        while r < ny:
            low_x, low_y, high_x, high_y = cx[r], cy[r], cx[r + above], cy[r + above]
            row = data[r, column : column + n]
            row_weight = weight[r, column : column + n]
            _classify(
                row, row_weight, low_x, low_y, high_x, high_y, stride, first, end, ox0, oy0, tny, tnx, found
            )
            while i < end or full or (r == last_row and m > 0):
                if not full:
                    i, m, full = _collect(
                        row, row_weight, low_x, low_y, high_x, high_y, stride, area, found, first, i, end, m,
                        s, filled, at, ox0, oy0,
                    )  # fmt: skip
                if full or (r == last_row and i == end):
                    lacks = _flush(s, weights, filled, at, m, tny, tnx, bit, num, den, ctx)
                    if lacks > 0:
                        return c, r, i, m, lacks
                    m = np.int64(0)
                    full = False
            r += 1
            i = first
        c += 1
        r = np.int64(0)
        i = end
    return c, r, i, m, np.int64(0)


def _corners(wcs, h, j0, j1, i0, i1, pixfrac):
    """Output x and y of the corners of the drops of a box of chip pixels, each (lines, points).

    Returns them with the lines between a pixel's lower and upper corners, and the points between its corners
    and its neighbour's; the right ones follow the left ones.
    """
    half = 0.5 * pixfrac
    if pixfrac == 1.0:
        # neighbours share corners: one line of them below each row, and one above the last
        out = np.empty((2, j1 - j0 + 1, i1 - i0 + 1))
        map_rows(wcs, h, j0, j1 + 1, -0.5, -0.5, i0, i1 + 1, *out)
        return *out, 1, 1
    height, n = j1 - j0, i1 - i0
    out = np.empty((2, 2 * height, 2 * n))
    shifts = np.array([[-half], [half]])
    y = (np.arange(j0, j1) + shifts).ravel()
    x = np.arange(i0, i1) + shifts
    if pixfrac < 1.0:
        map_lines(wcs, h, y, x.T.ravel(), *out)
    else:
        for side in range(2):  # a drop reaches beyond its neighbour's corner: not in ascending order
            apart = np.empty((2, 2 * height, n))
            map_lines(wcs, h, y, x[side], *apart)
            out[:, :, side::2] = apart
    return *out, height, 2


def sequence(x, y):
    """Indices that put chip pixels into the order in which `drizzle_square` adds their drops."""
    return np.lexsort((x, y, x // CHUNK, y // BLOCK))


def drizzle_square(data, weight, x0, y0, wcs, h, pixfrac, scale, bit, ox0, oy0, num, den, ctx):
    """`drizzlewb.kernels.drizzle.drizzle_box` for the square kernel."""
    tile = (ox0, oy0, *num.shape)
    sums = num.reshape(-1), den.reshape(-1), ctx.reshape(-1)
    scratch = _scratch()
    for j0, j1, a, b in blocks(wcs, h, x0, y0, data.shape, pixfrac, scale, 2.0, tile):
        corners = _corners(wcs, h, y0 + j0, y0 + j1, x0 + a, x0 + b, pixfrac)
        ends = _ends(x0 + a, b - a, CHUNK)[1:]
        _add_block(data[j0:j1], weight[j0:j1], a, corners, ends, scale * scale, scratch, bit, tile, sums)


def _scratch():
    """Room for the drops that wait to be added."""
    drops = np.zeros((_LARGE * _ROWS + WINDOW + 25, ROOM))
    filled = np.zeros(_LARGE + 1, np.int64)
    return [drops, filled, np.empty((_WIDTH + 1, (_LARGE + 1) * ROOM), np.int64), np.empty((5, CHUNK))]


def _add_block(data, weight, column, corners, ends, area, scratch, bit, tile, sums):
    """Call `_square` for a block of rows until all is added, with more room when it lacks some."""
    begin = 0, 0, 0, 0
    while True:
        drops, *others = scratch
        *begin, rows = _square(
            data, weight, column, *corners, ends, area, *begin, drops, drops.reshape(-1), *others, bit, *tile,
            *sums,
        )  # fmt: skip
        if rows == 0:
            return
        scratch[0] = np.concatenate([drops, np.zeros((rows - len(drops), ROOM))])


def compile_square():
    """Have the square kernel compiled, apart from the map that it shares with the others: add no drop."""
    pixel = np.zeros((1, 1), np.float32)
    corners = np.zeros((1, 2)), np.zeros((1, 2)), 0, 2
    sums = np.zeros(1), np.zeros(1), np.zeros(1, np.uint32)
    _add_block(pixel, pixel, 0, corners, np.array([1]), 1.0, _scratch(), np.uint32(0), (0, 0, 1, 1), sums)

"""The turbo kernel: drops are upright squares, whose overlaps are a product of one in x and one in y.

Definition: ``do_kernel_turbo`` of ``drizzle`` 3.0.0 (``src/cdrizzlebox.c``).
"""

import numpy as np

from drizzlewb.kernels.jit import inner, kernel
from drizzlewb.kernels.lanes import add_1, add_2

__all__ = ["FOUND", "add_upright"]


@inner
def _add(num, den, at, dow, value):
    """`add_1` without the context."""
    k = np.uint64(at)
    num[k] += dow * value
    den[k] += dow


# Rows of what `_turbo_windows` finds of a run of pixels: extents in x, and those in y times the weight, of
# the first three columns and rows of the window; and where it begins in the flat tile: -1 for a window that
# leaves the tile or is larger, -2 where there is nothing to add.
_ACROSS, _UP, _AT = 0, 3, 6
_RUN = 64
FOUND = 7, _RUN  # shape of that scratch array


@inner
def _turbo_windows(data, weight, xs, ys, first, end, radius, q, side, ox0, oy0, tny, tnx, found):
    """Windows of the pixels [first, end) of a row. No branches, so that it becomes vector instructions."""
    width = 2.0 * radius
    for k in range(first, end):
        i = np.uint64(k)  # unsigned: spares the test for a negative index
        n = np.uint64(k - first)
        w = np.float64(weight[i])
        x = xs[i] - radius
        y = ys[i] - radius
        i0 = np.floor(x + 0.5)
        j0 = np.floor(y + 0.5)
        tx = i0 - ox0
        ty = j0 - oy0
        # false, too, for NaN, and where the map is not defined
        sound = (w > 0.0) & (w < np.inf) & (abs(data[i]) < np.inf)
        sound &= (tx > -side) & (tx < tnx) & (ty > -side) & (ty < tny)
        whole = (tx >= 0.0) & (ty >= 0.0) & (tx + side <= tnx) & (ty + side <= tny) & (side <= 3)
        at = ty * tnx + tx if whole else -1.0
        found[_AT, n] = at if sound else -2.0
        w *= q
        u = min(i0 + 0.5 - x, width)
        rest = width - u
        found[_ACROSS, n] = u
        u = min(rest, 1.0)
        found[_ACROSS + 1, n] = u
        found[_ACROSS + 2, n] = rest - u
        v = min(j0 + 0.5 - y, width)
        rest = width - v
        found[_UP, n] = v * w
        v = min(rest, 1.0)
        found[_UP + 1, n] = v * w
        found[_UP + 2, n] = (rest - v) * w


@inner
def _turbo_large(x, y, radius, w, value, bit, side, ox0, oy0, tny, tnx, num, den, ctx):
    """Add a drop that reaches more than three pixels, or leaves the tile."""
    x -= radius
    y -= radius
    i0 = np.floor(x + 0.5)
    j0 = np.floor(y + 0.5)
    tj = np.int64(j0) - oy0
    v = min(j0 + 0.5 - y, 2.0 * radius)
    rest_y = 2.0 * radius
    for _ in range(side):
        ti = np.int64(i0) - ox0
        u = min(i0 + 0.5 - x, 2.0 * radius)
        rest_x = 2.0 * radius
        for _ in range(side):
            if 0 <= ti < tnx and 0 <= tj < tny:
                add_1(num, den, ctx, tj * tnx + ti, u * (v * w), value, bit)
            rest_x -= u
            u = min(rest_x, 1.0)
            ti += 1
        rest_y -= v
        v = min(rest_y, 1.0)
        tj += 1


@kernel
def add_upright(data, weight, column, mx, my, area, radius, q, found, bit, ox0, oy0, tny, tnx, num, den, ctx):
    """Add a block of rows with the turbo kernel: an upright square of half-width `radius`.

    `found`, float64 of the shape `FOUND`, is scratch.
    """
    side = np.int64(np.ceil(2.0 * radius - 1e-9)) + 1  # most pixels that a drop can reach
    plain = bit == np.uint32(0)
    n = mx.shape[1]
    for r in range(data.shape[0]):
        row = data[r, column : column + n]
        row_weight = weight[r, column : column + n]
        xs = mx[r]
        ys = my[r]
        for k in range(n):
            i = np.uint64(k)
            p = np.uint64(k % _RUN)
            if k % _RUN == 0:
                end = min(k + _RUN, n)
                _turbo_windows(row, row_weight, xs, ys, k, end, radius, q, side, ox0, oy0, tny, tnx, found)
            at = np.int64(found[_AT, p])
            if at == -2:
                continue
            value = row[i] * area
            if at < 0:
                _turbo_large(
                    xs[i], ys[i], radius, np.float64(row_weight[i]) * q, value, bit, side,
                    ox0, oy0, tny, tnx, num, den, ctx,
                )  # fmt: skip
                continue
            u0 = found[_ACROSS, p]
            u1 = found[_ACROSS + 1, p]
            if side == 2 and not plain:
                add_2(num, den, ctx, at, u0, u1, found[_UP, p], value, bit)
                add_2(num, den, ctx, at + tnx, u0, u1, found[_UP + 1, p], value, bit)
                continue
            u2 = found[_ACROSS + 2, p]
            for c in range(side):
                v = found[np.uint64(_UP + c), p]
                if plain:
                    _add(num, den, at, u0 * v, value)
                    _add(num, den, at + 1, u1 * v, value)
                    if side == 3:
                        _add(num, den, at + 2, u2 * v, value)
                else:
                    add_1(num, den, ctx, at, u0 * v, value, bit)
                    add_1(num, den, ctx, at + 1, u1 * v, value, bit)
                    add_1(num, den, ctx, at + 2, u2 * v, value, bit)
                at += tnx

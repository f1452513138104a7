"""The kernels whose weights are a product of one in x and one in y: point, gaussian, lanczos, and turbo.

Definitions follow ``drizzle`` 3.0.0 (``src/cdrizzlebox.c``): the pixel's centre is mapped, and the
window about it is aligned with the output pixels. Drops are gathered in batches, so that the
exponentials of the Gaussian are computed several at once.
"""

import numpy as np

from drizzlewb.kernels.jit import inner, kernel
from drizzlewb.kernels.lanes import add_1, add_4
from drizzlewb.kernels.overlap import BATCH, blocks, nearest
from drizzlewb.kernels.rows import map_rows
from drizzlewb.kernels.turbo import FOUND, add_upright

__all__ = [
    "FWHM",
    "GAUSSIAN",
    "LANCZOS2",
    "LANCZOS3",
    "LUT_STEP",
    "POINT",
    "SQUARE",
    "TURBO",
    "drizzle_separable",
]

SQUARE, TURBO, POINT, GAUSSIAN, LANCZOS2, LANCZOS3 = range(6)

FWHM = 2.3548  # of a Gaussian, in sigma, to the peer's digits
LUT_STEP = 0.003  # of the peer's Lanczos table, in input pixels


@inner
def _exponentials(x, n):
    """Replace x[:n], at most 0 or so, by their exponentials, to 4e-16; below -700 by zero.

    By powers of two and a series on |r| <= ln(2) / 2: unlike the library's, it is done for several
    numbers at once.
    """
    power = np.empty(n, np.int64)
    for k in range(n):
        v = min(max(x[k], -700.0), 700.0)
        whole = np.floor(v * 1.4426950408889634 + 0.5)
        r = v - whole * 6.93145751953125e-1
        r -= whole * 1.42860682030941723212e-6
        p = 1.0 / 6227020800.0
        p = p * r + 1.0 / 479001600.0
        p = p * r + 1.0 / 39916800.0
        p = p * r + 1.0 / 3628800.0
        p = p * r + 1.0 / 362880.0
        p = p * r + 1.0 / 40320.0
        p = p * r + 1.0 / 5040.0
        p = p * r + 1.0 / 720.0
        p = p * r + 1.0 / 120.0
        p = p * r + 1.0 / 24.0
        p = p * r + 1.0 / 6.0
        p = p * r + 0.5
        p = p * r + 1.0
        p = p * r + 1.0
        power[k] = (np.int64(whole) + 1023) << 52
        x[k] = p if x[k] > -700.0 else 0.0
    two_to = power.view(np.float64)
    for k in range(n):
        x[k] *= two_to[k]


# Rows of the scratch, BATCH wide: mapped position, weight, value; first pixel of the window; from there to
# the position. For the Gaussian: its value there and its growth to the next pixel.
_X, _Y, _W, _D, _I, _J, _TX, _TY, _EX, _EY, _GX, _GY = range(12)


@inner
def _spread(s, m, side, wx, wy, bit, ox0, oy0, tny, tnx, num, den, ctx):
    """Add the windows of m drops, side x side pixels of weights w * wy * wx, to flat sums, in turn.

    The rows of `wx` are zero from `side` on, to a multiple of four.
    """
    # A loop around all, as a call for each drop would hand over more numbers than are added in it.
    across = wx.shape[1]
    for k in range(m):
        n = np.uint64(k)  # unsigned: spares the test for a negative index
        i0 = np.int64(s[_I, n]) - ox0
        j0 = np.int64(s[_J, n]) - oy0
        w = s[_W, n]
        value = s[_D, n]
        last = (j0 + side - 1) * tnx + i0 + across
        if i0 < 0 or j0 < 0 or i0 + side > tnx or j0 + side > tny or last > num.size:
            for r in range(max(0, -j0), min(side, tny - j0)):
                factor = wy[k, r] * w
                for c in range(max(0, -i0), min(side, tnx - i0)):
                    add_1(num, den, ctx, (j0 + r) * tnx + i0 + c, wx[k, c] * factor, value, bit)
            continue
        # Runs may pass the end of the window, and of the tile's row: there they add zeros.
        at = j0 * tnx + i0
        first = k * across
        if across == 4:
            for r in range(side):
                add_4(num, den, ctx, at, wx, first, wy[n, np.uint64(r)] * w, value, bit)
                at += tnx
        else:
            for r in range(side):
                factor = wy[n, np.uint64(r)] * w
                for c in range(0, across, 4):
                    add_4(num, den, ctx, at + c, wx, first + c, factor, value, bit)
                at += tnx


@inner
def _gaussian_weights(s, m, radius, side, efac, steps, wx, wy):
    """Weights of the windows of m drops, by rows and columns."""
    for k in range(m):
        tx = s[_TX, k]
        ty = s[_TY, k]
        s[_EX, k] = -efac * tx * tx
        s[_EY, k] = -efac * ty * ty
        s[_GX, k] = 2.0 * efac * tx
        s[_GY, k] = 2.0 * efac * ty
    if steps.size > 0:
        for a in (_EX, _EY, _GX, _GY):
            _exponentials(s[a], m)
    for k in range(m):
        x = s[_X, k]
        y = s[_Y, k]
        i0 = s[_I, k]
        j0 = s[_J, k]
        # zero past the pixels that hold x + radius and y + radius
        nx = np.floor(x + radius + 0.5) - i0
        ny = np.floor(y + radius + 0.5) - j0
        if steps.size > 0:
            # exp(-e (t - c)^2), from one c to the next: times exp(2 e t) exp(-e (2 c + 1))
            ex = s[_EX, k]
            ey = s[_EY, k]
            for c in range(side):
                wx[k, c] = ex if c <= nx else 0.0
                wy[k, c] = ey if c <= ny else 0.0
                ex *= s[_GX, k] * steps[c]
                ey *= s[_GY, k] * steps[c]
        else:
            for c in range(side):
                wx[k, c] = np.exp(-efac * (x - i0 - c) * (x - i0 - c)) if c <= nx else 0.0
                wy[k, c] = np.exp(-efac * (y - j0 - c) * (y - j0 - c)) if c <= ny else 0.0


@inner
def _lanczos_weights(t, m, side, per_step, table, place, w):
    """Weights of the windows of m drops along one axis; t are the drops' places in their windows."""
    last_entry = table.size - 1.0
    for c in range(side):
        for k in range(m):
            place[k] = np.int32(min(abs(t[k] - c) * per_step + 0.5, last_entry))
        for k in range(m):
            w[k, c] = table[np.uint32(place[k])]


@inner
def _add_points(s, m, bit, ox0, oy0, tny, tnx, num, den, ctx):
    """Add m drops to the pixels in which they lie."""
    for k in range(m):
        ti = nearest(s[_X, k]) - ox0
        tj = nearest(s[_Y, k]) - oy0
        if ti >= 0 and ti < tnx and tj >= 0 and tj < tny:
            add_1(num, den, ctx, tj * tnx + ti, s[_W, k], s[_D, k], bit)


@inner
def _add_batch(
    s, m, kernel_id, radius, side, q, efac, steps, per_step, table, wx, wy, place, bit,
    ox0, oy0, tny, tnx, num, den, ctx,
):  # fmt: skip
    """Add the windows of m drops in turn."""
    if kernel_id == POINT:
        _add_points(s, m, bit, ox0, oy0, tny, tnx, num, den, ctx)
        return
    # The first pixel that holds a part of the window; for lanczos, whose weights are zero from `radius` on,
    # the first whose centre does.
    shift = 0.5 if kernel_id == GAUSSIAN else 1.0
    for k in range(m):
        s[_I, k] = np.floor(s[_X, k] - radius + shift)
        s[_J, k] = np.floor(s[_Y, k] - radius + shift)
        s[_TX, k] = s[_X, k] - s[_I, k]
        s[_TY, k] = s[_Y, k] - s[_J, k]
        s[_W, k] *= q
    if kernel_id == GAUSSIAN:
        _gaussian_weights(s, m, radius, side, efac, steps, wx, wy)
    else:
        _lanczos_weights(s[_TX], m, side, per_step, table, place, wx)
        _lanczos_weights(s[_TY], m, side, per_step, table, place, wy)
    _spread(s, m, side, wx, wy, bit, ox0, oy0, tny, tnx, num, den, ctx)


@inner
def _collect(data, weight, mx, my, area, first, m, s, radius, ox0, oy0, tny, tnx):
    """Put the drops of a row, from its pixel `first` on, into the scratch until that is full.

    `data` and `weight` are the row; mx, my its mapped pixels. Returns the first pixel not seen and the
    number of drops in the scratch.
    """
    for k in range(first, mx.size):
        if m == BATCH:
            return k, m
        i = np.uint64(k)  # unsigned: spares the test for a negative index
        w = np.float64(weight[i])
        value = data[i] * area
        x = mx[i]
        y = my[i]
        # false, too, for NaN, and where the map is not defined
        if (
            w > 0.0 and w < np.inf and abs(value) < np.inf
            and x > ox0 - 1.0 - radius and x < ox0 + tnx + radius
            and y > oy0 - 1.0 - radius and y < oy0 + tny + radius
        ):  # fmt: skip
            s[_X, m] = x
            s[_Y, m] = y
            s[_W, m] = w
            s[_D, m] = value
            m += 1
    return mx.size, m


@kernel
def _separable(
    data,
    weight,
    column,
    mx,
    my,
    kernel_id,
    q,
    efac,
    scale,
    radius,
    table,
    bit,
    ox0,
    oy0,
    tny,
    tnx,
    num,
    den,
    ctx,
):
    """Add a block of rows with any kernel but square and turbo."""
    ny = data.shape[0]
    # most pixels that a drop can reach; a lanczos window that begins at a centre ends one earlier
    side = np.int64(np.ceil(2.0 * radius - 1e-9)) + (1 if kernel_id == GAUSSIAN else 0)
    per_step = scale / LUT_STEP
    s = np.empty((12, BATCH))
    wx = np.zeros((BATCH, (side + 3) // 4 * 4))
    wy = np.zeros((BATCH, side))
    place = np.empty(BATCH, np.int32)
    m = np.int64(0)
    area = scale * scale
    # the recurrence must neither underflow at the window's edge nor overflow across it
    safe = kernel_id == GAUSSIAN and efac * (radius + 1.0) * (radius + 1.0) < 300.0
    steps = np.empty(side if safe else 0)
    for c in range(steps.size):
        steps[c] = np.exp(-efac * (2 * c + 1))
    for j in range(ny):
        row = data[j, column : column + mx.shape[1]]
        row_weight = weight[j, column : column + mx.shape[1]]
        i = np.int64(0)
        while i < mx.shape[1] or (j == ny - 1 and m > 0):
            i, m = _collect(row, row_weight, mx[j], my[j], area, i, m, s, radius, ox0, oy0, tny, tnx)
            if m == BATCH or (j == ny - 1 and i == mx.shape[1]):
                _add_batch(
                    s, m, kernel_id, radius, side, q, efac, steps, per_step, table, wx, wy, place, bit,
                    ox0, oy0, tny, tnx, num, den, ctx,
                )  # fmt: skip
                m = np.int64(0)


def drizzle_separable(
    data, weight, x0, y0, wcs, h, kernel_id, pixfrac, scale, radius, table, bit, ox0, oy0, num, den, ctx
):
    """`drizzlewb.kernels.drizzle.drizzle_box` for every kernel but square.

    `radius` is the half-width of the window in output pixels, `table` the Lanczos window at multiples
    of `LUT_STEP`.
    """
    area = scale * scale
    q = 1.0
    efac = 0.0
    if kernel_id == TURBO:
        q = area / (pixfrac * pixfrac)
    elif kernel_id == GAUSSIAN:
        q = FWHM * FWHM * area / (pixfrac * pixfrac) / 2.0 / np.pi
        efac = q * np.pi
    tile = (ox0, oy0, *num.shape)
    flat = num.reshape(-1), den.reshape(-1), ctx.reshape(-1)
    found = np.empty(FOUND)
    for j0, j1, a, b in blocks(wcs, h, x0, y0, data.shape, 1.0, scale, 2.0 + radius, tile):
        mapped = np.empty((2, j1 - j0, b - a))
        map_rows(wcs, h, y0 + j0, y0 + j1, 0.0, 0.0, x0 + a, x0 + b, mapped[0], mapped[1])
        box = data[j0:j1], weight[j0:j1], a, mapped[0], mapped[1]
        if kernel_id == TURBO:
            add_upright(*box, area, radius, q, found, bit, *tile, *flat)
        else:
            _separable(*box, kernel_id, q, efac, scale, radius, table, bit, *tile, *flat)

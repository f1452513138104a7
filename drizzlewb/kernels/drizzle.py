"""Drizzle: spread the pixels of one chip box over a tile of the output grid.

Definitions: Fruchter & Hook 2002 (PASP 114, 144), as computed by the ``drizzle`` package 3.0.0
(``src/cdrizzlebox.c``); ``square`` maps the four corners of each drop exactly, as AstroDrizzle does,
and is in `drizzlewb.kernels.overlap`.

Two sums are kept per output pixel, ``num = sum(dow * s^2 * d)`` and ``den = sum(dow)``, where the peer
keeps a running mean in float32; `finish` divides. Every contribution is a function of its input
pixel alone, and contributions come in the order (row, column) of the chip, so that any tile and any
chip box that holds all contributors give the same bits.
"""

import numpy as np

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.kernels.jit import kernel
from drizzlewb.kernels.lanes import add_4
from drizzlewb.kernels.overlap import BATCH, BLOCK, block_columns, drizzle_square, nearest, touch
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

FWHM = 2.3548  # of a Gaussian, in sigma, to the peer's digits
LUT_STEP = 0.003  # of the peer's Lanczos table, in input pixels
POINT_PIXFRAC = 0.001  # drops of this size and below are points, whatever the kernel: the peer's rule
_NO_TABLE = np.zeros(1)


def reach(kernel_id, pixfrac, scale):
    """Half-width of the box of output pixels that a drop is spread over.

    Parameters
    ----------
    kernel_id : int
        One of `KERNELS`.
    pixfrac : float
    scale : float
        Output pixel / input pixel, linear.

    Returns
    -------
    float
        Output pixels; for ``square`` the half-diagonal of an undistorted drop, as the drop itself is
        mapped.
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


def _lanczos_table(order):
    # The window at multiples of LUT_STEP; zero from `order` on.
    x = np.arange(int(np.ceil(order / LUT_STEP)) + 1) * LUT_STEP
    return np.where(x < order, np.sinc(x) * np.sinc(x / order), 0.0)


@kernel
def _spread(num, den, ctx, tny, tnx, i0, j0, side, wx, wy, q, value, bit):
    """Add the side x side window q * wy * wx, whose first pixel is tile pixel (i0, j0), to flat sums.

    `wx` is zero from `side` on, to a multiple of four.
    """
    last = (j0 + side - 1) * tnx + i0 + wx.size
    if i0 < 0 or j0 < 0 or i0 + side > tnx or j0 + side > tny or last > num.size:
        for r in range(max(0, -j0), min(side, tny - j0)):
            factor = wy[r] * q
            for c in range(max(0, -i0), min(side, tnx - i0)):
                touch(num, den, ctx, (j0 + r) * tnx + i0 + c, wx[c] * factor, value, bit)
    else:
        # Runs may pass the end of the window, and of the tile's row: there they add zeros.
        for r in range(side):
            at = (j0 + r) * tnx + i0
            factor = wy[r] * q
            for c in range(0, side, 4):
                add_4(num, den, ctx, at + c, wx, c, factor, value, bit)


@kernel
def _turbo_window(num, den, ctx, at, tnx, side, u0, u1, u2, v0, v1, v2, value, bit):
    """As `_spread`, inside the tile, for windows of two or three pixels: all in registers."""
    touch(num, den, ctx, at, u0 * v0, value, bit)
    touch(num, den, ctx, at + 1, u1 * v0, value, bit)
    if side == 3:
        touch(num, den, ctx, at + 2, u2 * v0, value, bit)
    at += tnx
    touch(num, den, ctx, at, u0 * v1, value, bit)
    touch(num, den, ctx, at + 1, u1 * v1, value, bit)
    if side == 3:
        touch(num, den, ctx, at + 2, u2 * v1, value, bit)
        at += tnx
        touch(num, den, ctx, at, u0 * v2, value, bit)
        touch(num, den, ctx, at + 1, u1 * v2, value, bit)
        touch(num, den, ctx, at + 2, u2 * v2, value, bit)


@kernel
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


# Rows of the scratch, BATCH wide: mapped position, weight, value; first pixel of the window; and for
# the Gaussian its value there and its growth to the next pixel.
_X, _Y, _W, _D, _I, _J, _EX, _EY, _GX, _GY = range(10)


@kernel
def _add_batch(
    s, m, kernel_id, radius, side, q, efac, steps, per_step, table, bit, ox0, oy0, tny, tnx, num, den, ctx
):
    """Add the windows of m drops in turn."""
    last_entry = table.size - 1.0
    wx = np.zeros((side + 3) // 4 * 4)
    wy = np.zeros(side)
    for k in range(m):
        s[_I, k] = np.floor(s[_X, k] - radius + 0.5)
        s[_J, k] = np.floor(s[_Y, k] - radius + 0.5)
    if kernel_id == GAUSSIAN:
        for k in range(m):
            tx = s[_X, k] - s[_I, k]
            ty = s[_Y, k] - s[_J, k]
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
        ti = int(i0) - ox0
        tj = int(j0) - oy0
        w = q * s[_W, k]
        value = s[_D, k]
        if kernel_id == TURBO:
            right = x + radius
            top = y + radius
            u0 = min(right, i0 + 0.5) - (x - radius)
            u1 = max(min(right, i0 + 1.5) - (i0 + 0.5), 0.0)
            u2 = max(min(right, i0 + 2.5) - (i0 + 1.5), 0.0)
            v0 = min(top, j0 + 0.5) - (y - radius)
            v1 = max(min(top, j0 + 1.5) - (j0 + 0.5), 0.0)
            v2 = max(min(top, j0 + 2.5) - (j0 + 1.5), 0.0)
            if side <= 3 and ti >= 0 and tj >= 0 and ti + side <= tnx and tj + side <= tny:
                at = tj * tnx + ti
                _turbo_window(num, den, ctx, at, tnx, side, u0, u1, u2, v0 * w, v1 * w, v2 * w, value, bit)
                continue
            wx[0] = u0
            wy[0] = v0
            for c in range(1, side):
                wx[c] = max(min(right, i0 + c + 0.5) - (i0 + c - 0.5), 0.0)
                wy[c] = max(min(top, j0 + c + 0.5) - (j0 + c - 0.5), 0.0)
        elif kernel_id == GAUSSIAN:
            # zero past the pixels that hold x + radius and y + radius
            nx = np.floor(x + radius + 0.5) - i0
            ny = np.floor(y + radius + 0.5) - j0
            if steps.size > 0:
                # exp(-e (t - c)^2), from one c to the next: times exp(2 e t) exp(-e (2 c + 1))
                ex = s[_EX, k]
                ey = s[_EY, k]
                for c in range(side):
                    wx[c] = ex if c <= nx else 0.0
                    wy[c] = ey if c <= ny else 0.0
                    ex *= s[_GX, k] * steps[c]
                    ey *= s[_GY, k] * steps[c]
            else:
                for c in range(side):
                    wx[c] = np.exp(-efac * (x - i0 - c) * (x - i0 - c)) if c <= nx else 0.0
                    wy[c] = np.exp(-efac * (y - j0 - c) * (y - j0 - c)) if c <= ny else 0.0
        else:
            tx = x - i0
            ty = y - j0
            for c in range(side):
                wx[c] = table[int(min(abs(tx - c) * per_step + 0.5, last_entry))]
                wy[c] = table[int(min(abs(ty - c) * per_step + 0.5, last_entry))]
        _spread(num, den, ctx, tny, tnx, ti, tj, side, wx, wy, w, value, bit)


@kernel
def _drizzle_separable(
    data, weight, x0, y0, wcs, h, kernel_id, pixfrac, scale, radius, table, bit, ox0, oy0, num, den, ctx
):
    ny, nx = data.shape
    tny, tnx = num.shape
    flat_num = num.reshape(num.size)
    flat_den = den.reshape(num.size)
    flat_ctx = ctx.reshape(num.size)
    side = int(np.ceil(2.0 * radius - 1e-9)) + 1  # most pixels that a drop can reach
    mx = np.empty(nx)
    my = np.empty(nx)
    nodes = np.empty((4, nx // BLOCK + 2))
    per_step = scale / LUT_STEP
    s = np.empty((10, BATCH))
    m = 0
    area = scale * scale
    q = 1.0
    efac = 0.0
    steps = np.empty(0)
    if kernel_id == TURBO:
        q = area / (pixfrac * pixfrac)
    elif kernel_id == GAUSSIAN:
        q = FWHM * FWHM * area / (pixfrac * pixfrac) / 2.0 / np.pi
        efac = q * np.pi
        # the recurrence must neither underflow at the window's edge nor overflow across it
        steps = np.empty(side if efac * (radius + 1.0) ** 2 < 300.0 else 0)
        for c in range(steps.size):
            steps[c] = np.exp(-efac * (2 * c + 1))
    for j_block in range(0, ny, BLOCK):
        height = min(BLOCK, ny - j_block)
        a, b = block_columns(
            wcs, h, x0, y0 + j_block, nx, height, 1.0, 2.0 + 1.0 / scale + radius, ox0, oy0, tny, tnx, nodes
        )
        for j in range(j_block, j_block + height if a < b else j_block):
            map_row(wcs, h, float(y0 + j), 0.0, x0 + a, x0 + b, mx, my)
            for i in range(b - a):
                w = np.float64(weight[j, a + i])
                value = data[j, a + i] * area
                x = mx[i]
                y = my[i]
                # also false for NaN, and where the map is not defined
                if not (w > 0.0 and w < np.inf and abs(value) < np.inf):
                    continue
                if not (x > ox0 - 1.0 - radius and x < ox0 + tnx + radius):
                    continue
                if not (y > oy0 - 1.0 - radius and y < oy0 + tny + radius):
                    continue
                if kernel_id == POINT:
                    i0 = nearest(x) - ox0
                    j0 = nearest(y) - oy0
                    if i0 >= 0 and i0 < tnx and j0 >= 0 and j0 < tny:
                        touch(flat_num, flat_den, flat_ctx, j0 * tnx + i0, w, value, bit)
                    continue
                s[_X, m] = x
                s[_Y, m] = y
                s[_W, m] = w
                s[_D, m] = value
                m += 1
                if m == BATCH:
                    _add_batch(
                        s, m, kernel_id, radius, side, q, efac, steps, per_step, table, bit,
                        ox0, oy0, tny, tnx, flat_num, flat_den, flat_ctx,
                    )  # fmt: skip
                    m = 0
    if m > 0:
        _add_batch(
            s, m, kernel_id, radius, side, q, efac, steps, per_step, table, bit,
            ox0, oy0, tny, tnx, flat_num, flat_den, flat_ctx,
        )  # fmt: skip


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
        Linear size of a drop in input pixels; without effect on point and lanczos, except that drops
        of 0.001 and below are points for every kernel (the peer's rule).
    scale : float
        Output pixel / input pixel, linear; values are multiplied by its square.
    bit : uint32
        Context bit of the chip.
    ox0, oy0 : int
        Output pixel of ``num[0, 0]``.
    num, den : (tny, tnx) float64
        Sums of weight times value, and of weight. Not shared between threads.
    ctx : (tny, tnx) uint32
        Gets `bit` wherever a weight above zero is added.

    Raises
    ------
    ParameterError
        For an unknown kernel, a negative pixfrac, or a scale that is not above zero.
    DataError
        Where shapes disagree.

    Notes
    -----
    Weight of one drop in all: w for square, turbo and point; for gaussian and lanczos it varies
    with the position of the drop in its pixel. Lanczos weights are negative in places, so that `den`
    may come out at or below zero where few drops meet (see `finish`).

    The bits of a pixel are the same for every tile and for every box that holds its contributors.
    """
    if not (0.0 <= pixfrac < np.inf and 0.0 < scale < np.inf):
        msg = f"drizzle: expected a pixfrac of 0 or more and a scale above 0, found {pixfrac!r}, {scale!r}"
        raise ParameterError(msg)
    if kernel_id not in KERNELS.values():
        msg = f"drizzle: kernel id {kernel_id!r} is not one of {KERNELS}"
        raise ParameterError(msg)
    if data.shape != weight.shape or not num.shape == den.shape == ctx.shape:
        msg = (
            f"drizzle: data and weight must share a shape, found {data.shape}, {weight.shape}; "
            f"and num, den, ctx, found {num.shape}, {den.shape}, {ctx.shape}"
        )
        raise DataError(msg)
    if data.size == 0 or num.size == 0:
        return
    if pixfrac <= POINT_PIXFRAC:
        kernel_id = POINT
    pixfrac = float(pixfrac)
    scale = float(scale)
    bit = np.uint32(bit)
    if kernel_id == SQUARE:
        drizzle_square(data, weight, x0, y0, wcs, h, pixfrac, scale, bit, ox0, oy0, num, den, ctx)
        return
    table = _NO_TABLE
    if kernel_id in (LANCZOS2, LANCZOS3):
        table = _lanczos_table(2 if kernel_id == LANCZOS2 else 3)
    radius = reach(kernel_id, pixfrac, scale)
    _drizzle_separable(
        data, weight, x0, y0, wcs, h, kernel_id, pixfrac, scale, radius, table, bit, ox0, oy0, num, den, ctx
    )


@kernel
def finish(num, den, fillval, sci, wht):
    """Divide the sums of one tile.

    Parameters
    ----------
    num, den : (ny, nx) float64
        Sums made by `drizzle_box`.
    fillval : float
        Value of pixels without weight.
    sci, wht : (ny, nx) float32
        Filled with ``num / den`` where wht is not zero, else `fillval`; and with den.

    Notes
    -----
    This is the peer's rule, including den < 0, which lanczos can leave where few drops meet: the
    ratio is still the weighted mean, but a mean with weights of both signs is not bounded by its
    values. Where the weights cancel to rounding error the peer's value is noise, and so is ours.
    """
    ny, nx = num.shape
    for j in range(ny):
        for i in range(nx):
            wht[j, i] = den[j, i]
            sci[j, i] = num[j, i] / den[j, i] if wht[j, i] != 0.0 else fillval

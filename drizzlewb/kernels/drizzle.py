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
from drizzlewb.kernels.lanes import LANES, add_run
from drizzlewb.kernels.overlap import BLOCK, block_columns, drizzle_square, nearest, touch
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
def _spread(num, den, ctx, tny, tnx, i0, j0, wx, wy, q, value, bit):
    """Add the window q * wy * wx, whose first pixel is tile pixel (i0, j0), to flat sums."""
    cols = wx.size - LANES
    rows = wy.size
    last = (j0 + rows - 1) * tnx + i0 + cols + LANES
    if i0 < 0 or j0 < 0 or i0 + cols > tnx or j0 + rows > tny or last > num.size:
        for r in range(max(0, -j0), min(rows, tny - j0)):
            factor = wy[r] * q
            for c in range(max(0, -i0), min(cols, tnx - i0)):
                touch(num, den, ctx, (j0 + r) * tnx + i0 + c, wx[c] * factor, value, bit)
    elif cols <= 3:
        # A vector load waits for stores of the last drop that it overlaps in part; these do not.
        for r in range(rows):
            at = (j0 + r) * tnx + i0
            factor = wy[r] * q
            touch(num, den, ctx, at, wx[0] * factor, value, bit)
            touch(num, den, ctx, at + 1, wx[1] * factor, value, bit)
            if cols == 3:
                touch(num, den, ctx, at + 2, wx[2] * factor, value, bit)
    else:
        # Runs may pass the end of the window, and of the tile's row: there they add zeros.
        for r in range(rows):
            at = (j0 + r) * tnx + i0
            factor = wy[r] * q
            for c in range(0, cols, LANES):
                add_run(num, den, ctx, at + c, wx, c, factor, value, bit)


@kernel
def _gaussian_line(x, c0, radius, efac, steps, weights):
    """exp(-efac (x - c)^2) for c = c0, c0 + 1, ...; zero past the pixel that holds x + radius."""
    n = nearest(x + radius) - c0 + 1
    t = x - c0
    if steps.size > 0:
        # exp(-e (t - k)^2), from one k to the next: times exp(2 e t) exp(-e (2 k + 1))
        w = np.exp(-efac * t * t)
        growth = np.exp(2.0 * efac * t)
        for k in range(steps.size):
            weights[k] = w if k < n else 0.0
            w *= growth * steps[k]
    else:
        for k in range(weights.size):
            weights[k] = np.exp(-efac * (t - k) * (t - k)) if k < n else 0.0


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
    wx = np.zeros(side + LANES)
    wy = np.zeros(side)
    mx = np.empty(nx)
    my = np.empty(nx)
    nodes = np.empty((4, nx // BLOCK + 2))
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
    per_step = scale / LUT_STEP
    top = table.size - 1
    for j_block in range(0, ny, BLOCK):
        height = min(BLOCK, ny - j_block)
        a, b = block_columns(
            wcs, h, x0, y0 + j_block, nx, height, 1.0, 2.0 + 1.0 / scale + radius, ox0, oy0, tny, tnx, nodes
        )
        for j in range(j_block, j_block + height):
            if a >= b:
                break
            map_row(wcs, h, float(y0 + j), 0.0, x0 + a, x0 + b, mx, my)
            for i in range(b - a):
                w = np.float64(weight[j, a + i])
                value = data[j, a + i] * area
                # also false for NaN, and where the map is not defined
                if not (w > 0.0 and w < np.inf and abs(value) < np.inf and abs(mx[i]) + abs(my[i]) < 1e9):
                    continue
                x = mx[i]
                y = my[i]
                i0 = nearest(x - radius)
                j0 = nearest(y - radius)
                if i0 + side <= ox0 or i0 >= ox0 + tnx or j0 + side <= oy0 or j0 >= oy0 + tny:
                    continue
                if kernel_id == POINT:
                    at = (j0 - oy0) * tnx + i0 - ox0
                    flat_num[at] += w * value
                    flat_den[at] += w
                    flat_ctx[at] |= bit
                    continue
                if kernel_id == TURBO:
                    for c in range(side):
                        edge = i0 + c
                        wx[c] = max(min(x + radius, edge + 0.5) - max(x - radius, edge - 0.5), 0.0)
                        edge = j0 + c
                        wy[c] = max(min(y + radius, edge + 0.5) - max(y - radius, edge - 0.5), 0.0)
                elif kernel_id == GAUSSIAN:
                    _gaussian_line(x, i0, radius, efac, steps, wx[:side])
                    _gaussian_line(y, j0, radius, efac, steps, wy)
                else:
                    for c in range(side):
                        wx[c] = table[min(int(abs(x - (i0 + c)) * per_step + 0.5), top)]
                        wy[c] = table[min(int(abs(y - (j0 + c)) * per_step + 0.5), top)]
                _spread(flat_num, flat_den, flat_ctx, tny, tnx, i0 - ox0, j0 - oy0, wx, wy, q * w, value, bit)


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

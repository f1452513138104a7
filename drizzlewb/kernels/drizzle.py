"""Drizzle: spread the pixels of one chip box over a tile of the output grid.

Definitions: Fruchter & Hook 2002 (PASP 114, 144), as computed by the ``drizzle`` package 3.0.0
(``src/cdrizzlebox.c``); ``square`` maps the four corners of each drop exactly, as AstroDrizzle does,
and is in `drizzlewb.kernels.overlap`; the other kernels are in `drizzlewb.kernels.separable`.

Two sums are kept per output pixel, ``num = sum(dow * s^2 * d)`` and ``den = sum(dow)``, where the peer
keeps a running mean in float32; `finish` divides. Every contribution is a function of its input
pixel alone, and contributions come in an order that the chip alone decides (see `order`), so that any
tile and any chip box that holds all contributors give the same bits.
"""

from functools import cache

import numpy as np

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.kernels.jit import kernel
from drizzlewb.kernels.overlap import drizzle_square, sequence
from drizzlewb.kernels.separable import (
    FWHM,
    GAUSSIAN,
    LANCZOS2,
    LANCZOS3,
    LUT_STEP,
    POINT,
    SQUARE,
    TURBO,
    drizzle_separable,
)

__all__ = ["KERNELS", "drizzle_box", "finish", "order", "reach"]

KERNELS = {
    "square": SQUARE,
    "turbo": TURBO,
    "point": POINT,
    "gaussian": GAUSSIAN,
    "lanczos2": LANCZOS2,
    "lanczos3": LANCZOS3,
}

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


def order(kernel_id, x, y):
    """Indices that put chip pixels into the order in which `drizzle_box` adds them.

    Parameters
    ----------
    kernel_id : int
        One of `KERNELS`.
    x, y : (n,) int
        Zero-based chip pixels.

    Returns
    -------
    (n,) int
        By rows, and for ``square`` by blocks of 32 rows x 64 columns, counted from the chip's first pixel,
        and by rows in them.
    """
    return sequence(x, y) if kernel_id == SQUARE else np.lexsort((x, y))


@cache
def _lanczos_table(order):
    # The window at multiples of LUT_STEP; zero from `order` on.
    x = np.arange(int(np.ceil(order / LUT_STEP)) + 1) * LUT_STEP
    return np.where(x < order, np.sinc(x) * np.sinc(x / order), 0.0)


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
        Where shapes disagree, or an array is of another type or not C-contiguous.

    Notes
    -----
    Weight of one drop in all: w for square, turbo and point; for gaussian and lanczos it varies
    with the position of the drop in its pixel. Lanczos weights are negative in places, so that `den`
    may come out at or below zero where few drops meet (see `finish`).

    The bits of a pixel are the same for every tile and for every box that holds its contributors.

    Tiles whose rows are a multiple of 4096 bytes apart (512 columns) fall into few sets of the
    processor's cache: up to 1.6 times slower for lanczos. A width such as 500 does not.
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
    for name, array, dtype in (
        ("data", data, np.float32), ("weight", weight, np.float32), ("num", num, np.float64),
        ("den", den, np.float64), ("ctx", ctx, np.uint32),
    ):  # fmt: skip
        if array.dtype != dtype or not array.flags.c_contiguous:
            msg = f"drizzle: {name} must be C-contiguous {np.dtype(dtype)}, found {array.dtype}"
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
    drizzle_separable(
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

"""Blot: the value of a drizzled image at each pixel of a distorted chip."""

import numpy as np

from drizzlewb.kernels.jit import kernel
from drizzlewb.kernels.transform import map_row

__all__ = ["INTERPOLANTS", "LINEAR", "NEAREST", "POLY3", "POLY5", "SINC", "blot_box", "margin"]

NEAREST, LINEAR, POLY3, POLY5, SINC = range(5)

#: DrizzlePac's ``blot_interp`` -> the run-time integer that :func:`blot_box` takes.
INTERPOLANTS = {"nearest": NEAREST, "linear": LINEAR, "poly3": POLY3, "poly5": POLY5, "sinc": SINC}

_SINC_HALF = 7  # the peer's window of 15 pixels
_TAPER_2, _TAPER_4 = -0.4967, 0.03705  # cosine bell of IRAF's msisinc


def margin(interp):
    """Pixels of the drizzled image that are read on each side of the pixel nearest to a position.

    Parameters
    ----------
    interp : int
        One of the values of :data:`INTERPOLANTS`.

    Returns
    -------
    int
    """
    return (0, 1, 2, 3, _SINC_HALF)[interp]


@kernel
def _lagrange(t, size, w):
    """Weights of the polynomial through ``size`` (4 or 6) neighbours at a fraction t of the middle cell.

    Everett's central-difference formula, which the peer evaluates, is this polynomial in another form.
    """
    first = 1 - size // 2
    for k in range(size):
        product = 1.0
        for m in range(size):
            if m != k:
                product *= (t - (first + m)) / (k - m)
        w[k] = product


@kernel
def _sinc(d, taper, w):
    """Weights of the tapered sinc, normalised to sum 1, for a position d from the nearest pixel."""
    total = 0.0
    sign = -1.0 if _SINC_HALF % 2 else 1.0
    for k in range(2 * _SINC_HALF + 1):
        distance = k - _SINC_HALF - d
        w[k] = sign * taper[k] / distance
        total += w[k]
        sign = -sign
    for k in range(2 * _SINC_HALF + 1):
        w[k] /= total


@kernel
def _pixel(source, j, i, ny, nx, sy0, sx0):
    """Pixel (j, i) of the full image; beyond its edge, reflected in value and place at the edge pixel."""
    if i < 0:
        return 2.0 * _pixel_row(source, j, 0, ny, sy0, sx0) - _pixel_row(source, j, -i, ny, sy0, sx0)
    if i >= nx:
        edge = _pixel_row(source, j, nx - 1, ny, sy0, sx0)
        return 2.0 * edge - _pixel_row(source, j, 2 * nx - 2 - i, ny, sy0, sx0)
    return _pixel_row(source, j, i, ny, sy0, sx0)


@kernel
def _pixel_row(source, j, i, ny, sy0, sx0):
    if j < 0:
        return 2.0 * source[-sy0, i - sx0] - source[-j - sy0, i - sx0]
    if j >= ny:
        return 2.0 * source[ny - 1 - sy0, i - sx0] - source[2 * ny - 2 - j - sy0, i - sx0]
    return float(source[j - sy0, i - sx0])


@kernel
def _apply(source, first_j, first_i, size, wy, wx, ny, nx, sy0, sx0):
    """Weighted sum over a size x size block of the full image whose first pixel is (first_j, first_i)."""
    total = 0.0
    inside = first_j >= 0 and first_i >= 0 and first_j + size <= ny and first_i + size <= nx
    for k in range(size):
        row = 0.0
        if inside:
            line = source[first_j + k - sy0]
            a = first_i - sx0
            for m in range(size):
                row += wx[m] * line[a + m]
        else:
            for m in range(size):
                row += wx[m] * _pixel(source, first_j + k, first_i + m, ny, nx, sy0, sx0)
        total += wy[k] * row
    return total


@kernel
def blot_box(source, sx0, sy0, full_nx, full_ny, wcs, h, interp, factor, misval, sinscl, x0, y0, out):
    """Interpolate a drizzled image at the pixels of a box of a chip.

    Parameters
    ----------
    source : ndarray, shape (ny, nx), float32
        Piece of the drizzled image. It must hold every pixel within :func:`margin` of the mapped
        positions that lie inside the full image.
    sx0, sy0 : int
        Pixel of the full image that is ``source[0, 0]``.
    full_nx, full_ny : int
        Size of the full image.
    wcs : PackedWCS
        The chip.
    h : ndarray, shape (3, 3), float64
        Homography from the chip's focal offsets to pixels of the full image.
    interp : int
        One of the values of :data:`INTERPOLANTS`.
    factor : float
        Multiplies every interpolated value: exposure time / s² turns electrons/s per drizzled pixel
        into electrons per chip pixel.
    misval : float32
        Value where a pixel maps outside the full image.
    sinscl : float
        ``blot_sinscl``; scales the fractional position in the sinc.
    x0, y0 : int
        Chip pixel of ``out[0, 0]``.
    out : ndarray, shape (h, w), float32
        Result.

    Notes
    -----
    Definitions: ``cdrizzleblot.c`` of DrizzlePac 3.11 and ``drizzle`` 3. A position is inside the
    full image if 0 <= x < nx and 0 <= y < ny. At the edges, poly3 and poly5 continue the image by
    point reflection about the edge pixel. The peer rounds positions to float32 (up to 1e-4 px at
    x = 2000); here they stay float64. The peer's sinc writes outside of its own array; ours is the
    tapered, normalised sinc that it means, with the same reflection at the edges. A NaN of the source
    reaches exactly those pixels whose interpolation reads it.
    """
    ny, nx = out.shape
    xs = np.empty(nx)
    ys = np.empty(nx)
    wx = np.empty(2 * _SINC_HALF + 1)
    wy = np.empty(2 * _SINC_HALF + 1)
    taper = np.empty(2 * _SINC_HALF + 1)
    for k in range(2 * _SINC_HALF + 1):
        t = (0.5 * np.pi / _SINC_HALF * (k - _SINC_HALF)) ** 2
        taper[k] = (1.0 + _TAPER_2 * t + _TAPER_4 * t * t) ** 2
    size = 4 if interp == POLY3 else 6
    for j in range(ny):
        map_row(wcs, h, float(j + y0), 0.0, x0, x0 + nx, xs, ys)
        for i in range(nx):
            x = xs[i]
            y = ys[i]
            if not (x >= 0.0 and x < full_nx and y >= 0.0 and y < full_ny):
                out[j, i] = misval
                continue
            ix = int(x)
            iy = int(y)
            if interp == NEAREST:
                ix = min(int(x + 0.5), full_nx - 1)
                iy = min(int(y + 0.5), full_ny - 1)
                value = float(source[iy - sy0, ix - sx0])
            elif interp == LINEAR:
                right = min(ix + 1, full_nx - 1) - sx0
                upper = min(iy + 1, full_ny - 1) - sy0
                fx = x - ix
                fy = y - iy
                low = (1.0 - fx) * source[iy - sy0, ix - sx0] + fx * source[iy - sy0, right]
                high = (1.0 - fx) * source[upper, ix - sx0] + fx * source[upper, right]
                value = (1.0 - fy) * low + fy * high
            elif interp == SINC:
                ix = int(x + 0.5)
                iy = int(y + 0.5)
                dx = (x - ix) * sinscl
                dy = (y - iy) * sinscl
                # At a pixel the weight of that pixel alone is finite; nudge by less than rounding shows.
                _sinc(dx if abs(dx) > 1e-9 else 1e-9, taper, wx)
                _sinc(dy if abs(dy) > 1e-9 else 1e-9, taper, wy)
                value = _apply(
                    source, iy - _SINC_HALF, ix - _SINC_HALF, 2 * _SINC_HALF + 1, wy, wx,
                    full_ny, full_nx, sy0, sx0,
                )  # fmt: skip
            else:
                _lagrange(x - ix, size, wx)
                _lagrange(y - iy, size, wy)
                value = _apply(
                    source, iy + 1 - size // 2, ix + 1 - size // 2, size, wy, wx,
                    full_ny, full_nx, sy0, sx0,
                )  # fmt: skip
            out[j, i] = np.float32(value * factor)

"""Blot: resample a piece of the median image back onto a box of a chip's pixels.

Definitions: the C code of drizzlepac and ``drizzle`` 3.0.0 (``src/cdrizzleblot.c``), which goes back to
IRAF's ``msi`` interpolants: nearest, bilinear, bicubic and biquintic central differences, and a tapered
sinc (``drizzle`` 3 has no sinc; drizzlepac's writes out of bounds, so that ours follows IRAF's text).
Positions and weights are float64; the peer rounds positions to float32, which moves its values by the
local slope times up to 1.2e-4 px at x ~ 2000.
"""

import numpy as np

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.kernels.jit import inner, kernel
from drizzlewb.kernels.lanes import cubic_window, quintic_window
from drizzlewb.kernels.rows import map_rows

__all__ = ["INTERPOLANTS", "blot_box", "margin"]

NEAREST, LINEAR, POLY3, POLY5, SINC = range(5)
INTERPOLANTS = {"nearest": NEAREST, "linear": LINEAR, "poly3": POLY3, "poly5": POLY5, "sinc": SINC}

SINC_SIDE = 7  # pixels of the sinc on each side of the nearest one
TAPER2, TAPER4 = -0.49670, 0.03705  # cos(x) to fourth order (IRAF)
_ROWS = 32  # rows that are mapped at a time
_MARGINS = (1, 1, 3, 4, SINC_SIDE + 1)


def margin(interp_id, sinscl=1.0):
    """Source pixels around a position that its value may read.

    Parameters
    ----------
    interp_id : int
        One of `INTERPOLANTS`.
    sinscl : float
        Without effect: it scales the sinc's argument, not its window.

    Returns
    -------
    int
        Every pixel read lies within this distance of the position along each axis.
    """
    return _MARGINS[interp_id]


@inner
def _poly_weights(interp_id, s, w):
    """Weights of the n = 2, 4 or 6 pixels from floor(x) - n/2 + 1 on, for s = x - floor(x).

    Everett's formula, ordered by pixel (IRAF ``ii_bipoly3`` and ``ii_bipoly5``).
    """
    t = 1.0 - s
    if interp_id == LINEAR:
        w[0] = t
        w[1] = s
        return
    a = s * (s * s - 1.0) / 6.0
    b = t * (t * t - 1.0) / 6.0
    if interp_id == POLY3:
        w[0] = b
        w[1] = t - 2.0 * b + a
        w[2] = s - 2.0 * a + b
        w[3] = a
        return
    c = a * (s * s - 4.0) / 20.0
    d = b * (t * t - 4.0) / 20.0
    w[0] = d
    w[1] = b - 4.0 * d + c
    w[2] = t - 2.0 * b + 6.0 * d + a - 4.0 * c
    w[3] = s - 2.0 * a + 6.0 * c + b - 4.0 * d
    w[4] = a - 4.0 * c + d
    w[5] = c


@inner
def _sinc_weights(d, w):
    """Weights of the pixels n - 7 ... n + 7 for a position n + d; their sum is 1."""
    if d == 0.0:
        w[: 2 * SINC_SIDE + 1] = 0.0
        w[SINC_SIDE] = 1.0
        return
    total = 0.0
    for k in range(-SINC_SIDE, SINC_SIDE + 1):
        z = (0.5 * np.pi / SINC_SIDE * k) ** 2
        taper = (1.0 + TAPER2 * z + TAPER4 * z * z) ** 2
        p = (taper if k % 2 == 0 else -taper) / (d - k)
        w[k + SINC_SIDE] = p
        total += p
    for k in range(2 * SINC_SIDE + 1):
        w[k] /= total


@inner
def _inside(i, n, reflect):
    """Pixel that stands for pixel i of a line of n, and the edge it is reflected about or -1."""
    edge = -1
    if i < 0:
        edge = 0
    elif i > n - 1:
        edge = n - 1
    if edge >= 0:
        i = min(max(2 * edge - i, 0), n - 1) if reflect else edge
    return i, edge


@inner
def _line(source, row, i0, sx0, full_nx, wx, nw, reflect):
    """Weighted sum over one row of the piece whose window may leave the image, and
    whether the piece holds it."""
    total = 0.0
    for k in range(nw):
        i, edge = _inside(i0 + k, full_nx, reflect)
        if i < sx0 or i >= sx0 + source.shape[1]:
            return 0.0, False
        value = np.float64(source[row, i - sx0])
        if edge >= 0 and reflect:
            if edge < sx0 or edge >= sx0 + source.shape[1]:
                return 0.0, False
            value = 2.0 * source[row, edge - sx0] - value
        total += wx[k] * value
    return total, True


@inner
def _window(source, i0, j0, sx0, sy0, full_nx, full_ny, wx, wy, nw, reflect):
    """Weighted sum over a window that may leave the image or the piece, and whether the piece holds it.

    Beyond the image's edge pixels are ``2 * edge - mirror``, first in x, then in y, if `reflect`;
    else the edge's own value.
    """
    total = 0.0
    si = i0 - sx0
    sj = j0 - sy0
    if si >= 0 and sj >= 0 and si + nw <= source.shape[1] and sj + nw <= source.shape[0]:
        for b in range(nw):
            line = 0.0
            for a in range(nw):
                line += wx[a] * source[sj + b, si + a]
            total += wy[b] * line
        return total, True
    for k in range(nw):
        j, edge = _inside(j0 + k, full_ny, reflect)
        if j < sy0 or j >= sy0 + source.shape[0]:
            return 0.0, False
        value, held = _line(source, j - sy0, i0, sx0, full_nx, wx, nw, reflect)
        if edge >= 0 and reflect and held:
            if edge < sy0 or edge >= sy0 + source.shape[0]:
                return 0.0, False
            at_edge, held = _line(source, edge - sy0, i0, sx0, full_nx, wx, nw, reflect)
            value = 2.0 * at_edge - value
        if not held:
            return 0.0, False
        total += wy[k] * value
    return total, True


@kernel
def _blot_nearest(source, flat, sx0, sy0, full_nx, full_ny, mx, my, factor, misval, out):
    """Fill a block of rows whose pixels lie at mx, my by the nearest pixel; `flat` is the source as a line.

    Returns how many need pixels outside the piece.
    """
    ny, nx = out.shape
    sny, snx = source.shape
    missing = 0
    for r in range(ny):
        for c in range(nx):
            x = mx[r, c]
            y = my[r, c]
            if not ((x >= 0.0) & (x < full_nx) & (y >= 0.0) & (y < full_ny)):
                out[r, c] = misval  # also where the map is not defined
                continue
            i = min(np.int64(x + 0.5), full_nx - 1) - sx0
            j = min(np.int64(y + 0.5), full_ny - 1) - sy0
            if (i >= 0) & (i < snx) & (j >= 0) & (j < sny):
                out[r, c] = flat[np.uint64(j * snx + i)] * factor
            else:
                missing += 1
    return missing


@kernel
def _blot_sinc(source, sx0, sy0, full_nx, full_ny, mx, my, factor, misval, sinscl, out):
    """Fill a block of rows whose pixels lie at mx, my by the sinc.

    Returns how many need pixels outside the piece.
    """
    ny, nx = out.shape
    wx = np.zeros(2 * SINC_SIDE + 1)
    wy = np.zeros(2 * SINC_SIDE + 1)
    missing = 0
    for r in range(ny):
        for c in range(nx):
            x = mx[r, c]
            y = my[r, c]
            if not (x >= 0.0 and x < full_nx and y >= 0.0 and y < full_ny):
                out[r, c] = misval
                continue
            i = min(int(x + 0.5), full_nx - 1)
            j = min(int(y + 0.5), full_ny - 1)
            dx = (x - i) * sinscl
            dy = (y - j) * sinscl
            nw = wx.size
            if abs(dx) < 0.001 and abs(dy) < 0.001:
                nw = 1
                wx[0] = 1.0
                wy[0] = 1.0
            else:
                _sinc_weights(dx, wx)
                _sinc_weights(dy, wy)
                i -= SINC_SIDE
                j -= SINC_SIDE
            total, held = _window(source, i, j, sx0, sy0, full_nx, full_ny, wx, wy, nw, False)
            if not held:
                missing += 1
            out[r, c] = total * factor
    return missing


@kernel
def _blot_poly(source, flat, sx0, sy0, full_nx, full_ny, mx, my, interp_id, factor, misval, out):
    """Fill a block of rows whose pixels lie at mx, my by linear, poly3 or poly5.

    `flat` is the source as a line. Returns how many need pixels outside the piece.
    """
    ny, nx = out.shape
    sny, snx = source.shape
    wx = np.zeros(6)
    wy = np.zeros(6)
    side = np.int64(6 if interp_id == POLY5 else 4 if interp_id == POLY3 else 2)
    missing = 0
    for r in range(ny):
        for c in range(nx):
            x = mx[r, c]
            y = my[r, c]
            if not ((x >= 0.0) & (x < full_nx) & (y >= 0.0) & (y < full_ny)):
                out[r, c] = misval  # also where the map is not defined
                continue
            i = np.int64(x)
            j = np.int64(y)
            s = x - i
            t = y - j
            i -= side // 2 - 1
            j -= side // 2 - 1
            si = i - sx0
            sj = j - sy0
            if (si >= 0) & (sj >= 0) & (si + side <= snx) & (sj + side <= sny):
                at = sj * snx + si
                if interp_id == POLY5:
                    out[r, c] = quintic_window(flat, at, snx, s, t) * factor
                elif interp_id == POLY3:
                    out[r, c] = cubic_window(flat, at, snx, s, t) * factor
                else:
                    k = np.uint64(at)
                    m = np.uint64(at + snx)
                    low = flat[k] * (1.0 - s) + flat[k + np.uint64(1)] * s
                    high = flat[m] * (1.0 - s) + flat[m + np.uint64(1)] * s
                    out[r, c] = (low * (1.0 - t) + high * t) * factor
                continue
            _poly_weights(interp_id, s, wx)
            _poly_weights(interp_id, t, wy)
            total, held = _window(source, i, j, sx0, sy0, full_nx, full_ny, wx, wy, side, side > 2)
            if not held:
                missing += 1
            out[r, c] = total * factor
    return missing


def blot_box(source, sx0, sy0, full_nx, full_ny, wcs, h, interp_id, factor, misval, sinscl, x0, y0, out):
    """Resample a piece of an image onto a box of chip pixels, in place.

    Parameters
    ----------
    source : (sny, snx) float32
        Piece of the image on the output grid.
    sx0, sy0 : int
        Output pixel of ``source[0, 0]``.
    full_nx, full_ny : int
        Shape of the whole image, whose borders have rules of their own.
    wcs, h : PackedWCS, (3, 3) float64
        The chip's WCS and the homography from its focal plane to the output grid.
    interp_id : int
        One of `INTERPOLANTS`.
    factor : float
        Values are multiplied by it: exposure time / s^2 for an image per second.
    misval : float
        Value of chip pixels whose position is outside ``0 <= x < full_nx``, ``0 <= y < full_ny``.
    sinscl : float
        Scale of the sinc's argument.
    x0, y0 : int
        Chip pixel of ``out[0, 0]``.
    out : (ny, nx) float32
        The blotted box.

    Raises
    ------
    ParameterError
        For an unknown interpolant.
    DataError
        If the piece does not hold all source pixels within `margin` of the positions (those of them
        that the image has).

    Notes
    -----
    Each value depends on the source pixels in its window alone: the same bits for every piece and
    every box. A NaN or infinity in the source makes the values that read it not finite, 6 x 6
    source pixels for poly5, and no others. Beyond the image's borders the cubic and the quintic
    extrapolate by ``2 * edge - mirror`` in x, then in y; linear, sinc and nearest repeat the edge.
    In its last three rows (not columns) the peer mirrors about the wrong row for the outermost sample
    of poly3 and poly5; ours is the same rule at all four borders.
    """
    if interp_id not in INTERPOLANTS.values():
        msg = f"blot: interpolant id {interp_id!r} is not one of {INTERPOLANTS}"
        raise ParameterError(msg)
    if out.size == 0:
        return
    ny, nx = out.shape
    flat = source.reshape(-1)
    mapped = np.empty((2, min(ny, _ROWS), nx))
    missing = 0
    for r in range(0, ny, _ROWS):
        rows = out[r : r + _ROWS]
        mx, my = mapped[0, : len(rows)], mapped[1, : len(rows)]
        map_rows(wcs, h, y0 + r, y0 + r + len(rows), 0.0, 0.0, x0, x0 + nx, mx, my)
        place = sx0, sy0, full_nx, full_ny, mx, my
        scale = float(factor), float(misval)
        if interp_id == NEAREST:
            missing += _blot_nearest(source, flat, *place, *scale, rows)
        elif interp_id == SINC:
            missing += _blot_sinc(source, *place, *scale, float(sinscl), rows)
        else:
            missing += _blot_poly(source, flat, *place, interp_id, *scale, rows)
    if missing:
        sny, snx = source.shape
        msg = (
            f"blot: {missing} of {out.size} pixels of the chip box at ({x0}, {y0}) need source pixels "
            f"outside the piece x {sx0}..{sx0 + snx}, y {sy0}..{sy0 + sny} of the "
            f"{full_nx} x {full_ny} image; the piece must hold"
            f" {margin(interp_id)} pixels around every position"
        )
        raise DataError(msg)

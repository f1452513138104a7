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


def _beyond(piece, axis, start, full, before, after, reflect):
    """A piece of an image continued along an axis beyond those borders of the image that it holds.

    `start` is the piece's first pixel, `full` the image's last and one more. Pixels beyond are
    ``2 * edge - mirror`` if `reflect`, else the edge's own value. Returns it and its first pixel.
    """
    end = start + piece.shape[axis]

    def mirrored(edge, pixels):
        at_edge = piece.take([edge - start], axis)
        if not reflect:
            return at_edge.repeat(pixels.size, axis)
        mirrors = np.clip(2 * edge - pixels, 0, full - 1)
        # as far as the piece holds the mirrors
        return 2 * at_edge - piece.take(mirrors[(mirrors >= start) & (mirrors < end)] - start, axis)

    parts = [piece]
    if end == full and after > 0:
        parts.append(mirrored(full - 1, full + np.arange(after)))
    if start == 0 and before > 0:
        parts.insert(0, np.flip(mirrored(0, -np.arange(1, before + 1)), axis))
        start -= parts[0].shape[axis]
    return np.concatenate(parts, axis), start


def _continued(source, sx0, sy0, full_nx, full_ny, before, after, reflect):
    """The piece continued beyond the image's borders, first in x, then in y, and its first pixel."""
    source, sx0 = _beyond(source, 1, sx0, full_nx, before, after, reflect)
    source, sy0 = _beyond(source, 0, sy0, full_ny, before, after, reflect)
    return source, sx0, sy0


# What `_find_windows` finds of a run of pixels: where in the flat source the window begins, or what there is
# instead of one; and how far in x and y the position lies beyond the pixel that it is counted from.
_AT, _S, _T = range(3)
_RUN = 128
_OUTSIDE, _MISSING = -1, -2  # of the image; of the piece


@inner
def _find_windows(xs, ys, first, end, rounding, back, side, sx0, sy0, full_nx, full_ny, sny, snx, found):
    """Windows of the pixels [first, end) of a row. No branches, so that it becomes vector instructions.

    A window of side x side pixels begins `back` pixels before the pixel floor(position + rounding).
    """
    for k in range(first, end):
        c = np.uint64(k)  # unsigned: spares the test for a negative index
        n = np.uint64(k - first)
        x = xs[c]
        y = ys[c]
        # false, too, where the map is not defined
        inside = (x >= 0.0) & (x < full_nx) & (y >= 0.0) & (y < full_ny)
        i = min(np.floor(x + rounding), full_nx - 1.0)
        j = min(np.floor(y + rounding), full_ny - 1.0)
        found[_S, n] = x - i
        found[_T, n] = y - j
        i -= back + sx0
        j -= back + sy0
        held = (i >= 0.0) & (i + side <= snx) & (j >= 0.0) & (j + side <= sny)
        at = j * snx + i if held else np.float64(_MISSING)
        found[_AT, n] = at if inside else np.float64(_OUTSIDE)


@kernel
def _blot_nearest(flat, piece, full, mx, my, found, factor, misval, out):
    """Fill a block of rows whose pixels lie at mx, my by the nearest pixel; `flat` is the source as a line.

    `piece` is sx0, sy0 and the shape of the source, `full` the image's nx and ny; `found` (3, _RUN) float64
    is scratch. Returns how many need pixels outside the piece.
    """
    missing = 0
    for r in range(out.shape[0]):
        to = out[r]
        for first in range(0, to.size, _RUN):
            end = min(first + _RUN, to.size)
            _find_windows(mx[r], my[r], first, end, 0.5, 0, 1, *piece[:2], *full, *piece[2:], found)
            for k in range(end - first):
                at = np.int64(found[_AT, np.uint64(k)])
                if at >= 0:
                    to[first + k] = flat[np.uint64(at)] * factor
                elif at == _OUTSIDE:
                    to[first + k] = misval
                else:
                    missing += 1
    return missing


@kernel
def _blot_linear(flat, piece, full, mx, my, found, factor, misval, out):
    """Fill a block of rows whose pixels lie at mx, my bilinearly; see `_blot_nearest`."""
    missing = 0
    next_row = np.uint64(piece[3])
    one = np.uint64(1)
    for r in range(out.shape[0]):
        to = out[r]
        for first in range(0, to.size, _RUN):
            end = min(first + _RUN, to.size)
            _find_windows(mx[r], my[r], first, end, 0.0, 0, 2, *piece[:2], *full, *piece[2:], found)
            for k in range(end - first):
                n = np.uint64(k)
                at = np.int64(found[_AT, n])
                if at >= 0:
                    p = np.uint64(at)
                    q = p + next_row
                    s = found[_S, n]
                    t = found[_T, n]
                    low = flat[p] * (1.0 - s) + flat[p + one] * s
                    high = flat[q] * (1.0 - s) + flat[q + one] * s
                    to[first + k] = (low * (1.0 - t) + high * t) * factor
                elif at == _OUTSIDE:
                    to[first + k] = misval
                else:
                    missing += 1
    return missing


@kernel
def _blot_poly(flat, piece, full, mx, my, _found, quintic, factor, misval, out):
    """Fill a block of rows whose pixels lie at mx, my by poly5 or poly3; see `_blot_nearest`."""
    # Windows one by one: `_find_windows` gains a tenth here, but every first reduction would compile it.
    ny, nx = out.shape
    sx0, sy0, sny, snx = piece
    full_nx, full_ny = full
    side = np.int64(6 if quintic else 4)
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
            si = i - (side // 2 - 1) - sx0
            sj = j - (side // 2 - 1) - sy0
            if (si >= 0) & (sj >= 0) & (si + side <= snx) & (sj + side <= sny):
                at = sj * snx + si
                value = quintic_window(flat, at, snx, s, t) if quintic else cubic_window(flat, at, snx, s, t)
                out[r, c] = value * factor
            else:
                missing += 1
    return missing


@kernel
def _blot_sinc(flat, piece, full, mx, my, _found, sinscl, factor, misval, out):
    """Fill a block of rows whose pixels lie at mx, my by the sinc; see `_blot_nearest`."""
    ny, nx = out.shape
    sx0, sy0, sny, snx = piece
    full_nx, full_ny = full
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
            i -= sx0
            j -= sy0
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
            if i < 0 or j < 0 or i + nw > snx or j + nw > sny:
                missing += 1
                continue
            total = 0.0
            for b in range(nw):
                line = 0.0
                row = (j + b) * snx + i
                pixels = flat[row : row + nw]
                for a in range(nw):
                    line += wx[a] * pixels[a]
                total += wy[b] * line
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
    sny, snx = source.shape
    place = sx0, sy0, full_nx, full_ny
    if interp_id == NEAREST:
        resample, how, beyond = _blot_nearest, (), (0, 0, False)
    elif interp_id == LINEAR:
        resample, how, beyond = _blot_linear, (), (0, 1, False)
    elif interp_id == SINC:
        resample, how, beyond = _blot_sinc, (float(sinscl),), (SINC_SIDE, SINC_SIDE, False)
    else:
        half = 3 if interp_id == POLY5 else 2
        resample, how, beyond = _blot_poly, (interp_id == POLY5,), (half - 1, half, True)
    scales = float(factor), float(misval)
    mapped = np.empty((2, min(ny, _ROWS), nx))
    found = np.empty((3, _RUN))
    missing = 0
    continued = False
    for r in range(0, ny, _ROWS):
        rows = out[r : r + _ROWS]
        mx, my = mapped[0, : len(rows)], mapped[1, : len(rows)]
        map_rows(wcs, h, y0 + r, y0 + r + len(rows), 0.0, 0.0, x0, x0 + nx, mx, my)
        to = (full_nx, full_ny), mx, my, found, *how, *scales, rows
        lost = resample(source.reshape(-1), (sx0, sy0, *source.shape), *to)
        if lost and not continued:
            # only now, as a large piece takes long to copy
            source, sx0, sy0 = _continued(source, *place, *beyond)
            continued = True
            lost = resample(source.reshape(-1), (sx0, sy0, *source.shape), *to)
        missing += lost
    if missing:
        msg = (
            f"blot: {missing} of {out.size} pixels of the chip box at ({x0}, {y0}) need source pixels "
            f"outside the piece x {place[0]}..{place[0] + snx}, y {place[1]}..{place[1] + sny} of the "
            f"{full_nx} x {full_ny} image; the piece must hold"
            f" {margin(interp_id)} pixels around every position"
        )
        raise DataError(msg)

"""Histograms of a chip's blocks, merged over any overlap for the clipped statistics of matching."""

import math

import numpy as np

from drizzlewb.kernels.jit import kernel
from drizzlewb.kernels.statistics import MEDIAN, MODE, Statistics, peak_position

__all__ = [
    "BLOCK_MAX",
    "N_BINS",
    "bin_edges",
    "block_histograms",
    "histogram_statistics",
    "overlap_histogram",
]

_INF = np.float32(np.inf)

# Histogram bins: linear over +-6 sigma in steps of sigma/20 (the median is interpolated inside),
# then four per octave out to 2^14 times that, so that even the first clipping limits, which stars
# and cosmic rays put at thousands of sigma, fall among bins.
_CORE = 120
_PER_OCTAVE = 4
_OUTER = 14 * _PER_OCTAVE
N_BINS = 2 * (_CORE + _OUTER)
BLOCK_MAX = 255  # a block's count must fit in uint16


def bin_edges(centre, width):
    """Edges of the bins of :func:`block_histograms`.

    Parameters
    ----------
    centre : float
        Middle of the linear part, in the unit of the pixels.
    width : float
        Width of a linear bin (sigma/20 is meant), same unit.

    Returns
    -------
    ndarray, shape (N_BINS + 1,), float64
        Ascending. What lies outside is counted in the outermost bins.
    """
    k = np.arange(_OUTER + 1)
    outer = _CORE * 2.0 ** (k // _PER_OCTAVE) * (1 + (k % _PER_OCTAVE) / _PER_OCTAVE)
    steps = np.concatenate([-outer[:0:-1], np.arange(-_CORE, _CORE + 1), outer[1:]])
    return centre + width * steps


@kernel
def block_histograms(sci, good, block, centre, width, counts):
    """Histogram the good pixels of each square block of a chip.

    Parameters
    ----------
    sci : ndarray, shape (ny, nx), float32
        NaN and inf are left out.
    good : ndarray, shape (ny, nx), uint8
        Not 0 where the pixel may be used.
    block : int
        Side of a block, px, at most :data:`BLOCK_MAX`.
    centre, width : float
        As in :func:`bin_edges`.
    counts : ndarray, shape (ceil(ny/block), ceil(nx/block), N_BINS), uint16
        Overwritten.
    """
    ny, nx = sci.shape
    counts[:, :, :] = 0
    middle = np.float32(centre)
    scale = np.float32(1.0 / width)
    core = np.float32(_CORE)
    unit = np.empty(1, np.float32)
    bits = unit.view(np.int32)
    for j in range(ny):
        row = counts[j // block]
        for i in range(nx):
            v = sci[j, i]
            if good[j, i] == 0 or not abs(v) < _INF:
                continue
            t = (v - middle) * scale
            if abs(t) < core:
                k = int(math.floor(t)) + _CORE + _OUTER
            else:
                # a float32's exponent and first two mantissa bits number the quarter octaves
                unit[0] = abs(t) / core
                outer = min((bits[0] >> 21) - (127 << 2), _OUTER - 1)
                k = _OUTER + 2 * _CORE + outer if t > 0 else _OUTER - 1 - outer
            row[i // block, k] += 1


@kernel
def overlap_histogram(counts, centre_x, centre_y, polygon_x, polygon_y, out):
    """Add up the histograms of the blocks whose centres lie inside a polygon.

    Parameters
    ----------
    counts : ndarray, shape (by, bx, N_BINS), uint16
    centre_x, centre_y : ndarray, shape (by, bx), float64
        Centres of the blocks in the plane of the polygon.
    polygon_x, polygon_y : ndarray, shape (m,), float64
        Its corners in order; the last is joined to the first.
    out : ndarray, shape (N_BINS,), int32
        Overwritten.
    """
    for k in range(out.size):
        out[k] = 0
    m = polygon_x.size
    x0 = x1 = polygon_x[0]
    y0 = y1 = polygon_y[0]
    for a in range(m):
        x0 = min(x0, polygon_x[a])
        x1 = max(x1, polygon_x[a])
        y0 = min(y0, polygon_y[a])
        y1 = max(y1, polygon_y[a])
    for j in range(counts.shape[0]):
        for i in range(counts.shape[1]):
            x = centre_x[j, i]
            y = centre_y[j, i]
            if not (x0 <= x <= x1 and y0 <= y <= y1):
                continue
            inside = False
            b = m - 1
            for a in range(m):
                if (polygon_y[a] > y) != (polygon_y[b] > y):
                    slope = (polygon_x[b] - polygon_x[a]) / (polygon_y[b] - polygon_y[a])
                    if x < polygon_x[a] + (y - polygon_y[a]) * slope:
                        inside = not inside
                b = a
            if inside:
                cell = counts[j, i]
                for k in range(cell.size):
                    out[k] += cell[k]


@kernel
def _share(edge_low, edge_high, low, high):
    """Fraction of a bin that lies within [low, high]."""
    a = max(edge_low, low)
    b = min(edge_high, high)
    return (b - a) / (edge_high - edge_low) if b > a else 0.0


@kernel
def histogram_statistics(counts, edges, nclip, lower_sigma, upper_sigma, lower, upper, binwidth, wanted):
    """Sigma-clipped statistics of a histogram, pixels spread evenly inside each bin.

    Parameters
    ----------
    counts : ndarray, shape (m,), int32
    edges : ndarray, shape (m + 1,), float64
    nclip, lower_sigma, upper_sigma, lower, upper, binwidth, wanted
        As in :func:`clipped_statistics`.

    Returns
    -------
    Statistics
        n is rounded; min and max are the clipping limits.
    """
    m = counts.size
    low = lower
    high = upper
    n = 0.0
    mean = math.nan
    stddev = math.nan
    for turn in range(nclip + 1):
        n = 0.0
        total = 0.0
        for k in range(m):
            if counts[k]:
                a = max(edges[k], low)
                b = min(edges[k + 1], high)
                w = counts[k] * _share(edges[k], edges[k + 1], low, high)
                n += w
                total += w * 0.5 * (a + b)
        if not n >= 0.5:
            return Statistics(0, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan)
        mean = total / n
        square = 0.0
        for k in range(m):
            if counts[k]:
                a = max(edges[k], low)
                b = min(edges[k + 1], high)
                w = counts[k] * _share(edges[k], edges[k + 1], low, high)
                square += w * ((0.5 * (a + b) - mean) ** 2 + (b - a) ** 2 / 12.0)
        stddev = math.sqrt(square / max(n - 1.0, 1.0))
        if turn < nclip:
            low = max(lower, mean - lower_sigma * stddev)
            high = min(upper, mean + upper_sigma * stddev)
    low = max(low, edges[0])
    high = min(high, edges[m])
    median = math.nan
    mode = math.nan
    if wanted & MEDIAN:
        below = 0.0
        for k in range(m):
            w = counts[k] * _share(edges[k], edges[k + 1], low, high)
            if below + w >= 0.5 * n and w > 0.0:
                a = max(edges[k], low)
                b = min(edges[k + 1], high)
                median = a + (b - a) * (0.5 * n - below) / w
                break
            below += w
    if wanted & MODE:
        width = binwidth * stddev
        if width > 0.0 and high - low > width:
            bins = np.zeros(int((high - low) / width) + 1, np.float64)
            for k in range(m):
                if counts[k]:
                    first = max(int((max(edges[k], low) - low) / width), 0)
                    last = min(int((min(edges[k + 1], high) - low) / width), bins.size - 1)
                    for i in range(first, last + 1):
                        a = low + i * width
                        bins[i] += counts[k] * _share(edges[k], edges[k + 1], a, min(a + width, high))
            mode = peak_position(bins, low, width)
        else:
            mode = low + 0.5 * width
    return Statistics(int(n + 0.5), mean, median, mode, stddev, low, high)

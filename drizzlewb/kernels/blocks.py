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
    counts[:] = 0
    unit = np.empty(1, np.float32)
    # the same four bytes twice: a float32's exponent and first two mantissa bits number the quarter octaves
    scale = np.float32(1.0 / width)
    _count(sci, good, block, np.float32(centre), scale, unit, unit.view(np.int32), counts)


@kernel
def _count(sci, good, block, middle, scale, unit, bits, counts):
    core = np.float32(_CORE)
    for j in range(sci.shape[0]):
        row = counts[j // block]
        for i in range(sci.shape[1]):
            v = sci[j, i]
            if good[j, i] == 0 or not abs(v) < _INF:
                continue
            t = (v - middle) * scale
            if abs(t) < core:
                k = int(math.floor(t)) + _CORE + _OUTER
            else:
                unit[0] = abs(t) / core
                outer = min((bits[0] >> 21) - (127 << 2), _OUTER - 1)
                k = _OUTER + 2 * _CORE + outer if t > 0 else _OUTER - 1 - outer
            row[i // block, k] += 1


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
    inside = np.zeros(counts.shape[:2], bool)
    before_x, before_y = np.roll(polygon_x, 1), np.roll(polygon_y, 1)
    for xa, ya, xb, yb in zip(polygon_x, polygon_y, before_x, before_y, strict=True):
        if ya != yb:
            # an edge that a line from the centre towards +x crosses
            crossed = (ya > centre_y) != (yb > centre_y)
            inside ^= crossed & (centre_x < xa + (centre_y - ya) * ((xb - xa) / (yb - ya)))
    out[:] = 0
    _add_up(counts.reshape(-1, counts.shape[2]), np.flatnonzero(inside), out)


@kernel
def _add_up(rows, which, out):
    for k in range(which.size):
        row = rows[which[k]]
        for c in range(out.size):
            out[c] += row[c]


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
    some = np.flatnonzero(counts)
    count, left, right = counts[some], edges[some], edges[some + 1]

    def within(low, high):
        """Pixels of each bin within the limits, and where these cut the bin."""
        a, b = np.maximum(left, low), np.minimum(right, high)
        return count * np.where(b > a, (b - a) / (right - left), 0.0), a, b

    low, high = lower, upper
    for turn in range(nclip + 1):
        w, a, b = within(low, high)
        n = _sum(w)
        if not n >= 0.5:
            return Statistics(0, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan)
        mean = _sum(w * 0.5 * (a + b)) / n
        square = _sum(w * ((0.5 * (a + b) - mean) ** 2 + (b - a) ** 2 / 12.0))
        stddev = math.sqrt(square / max(n - 1.0, 1.0))
        if turn < nclip:
            low = max(lower, mean - lower_sigma * stddev)
            high = min(upper, mean + upper_sigma * stddev)
    low = max(low, edges[0])
    high = min(high, edges[-1])
    median = mode = math.nan
    if wanted & MEDIAN:
        w, a, b = within(low, high)
        up_to = np.cumsum(w)
        found = np.flatnonzero((up_to >= 0.5 * n) & (w > 0.0))
        if found.size:
            k = found[0]
            below = up_to[k - 1] if k > 0 else 0.0
            median = a[k] + (b[k] - a[k]) * (0.5 * n - below) / w[k]
    if wanted & MODE:
        width = binwidth * stddev
        if width > 0.0 and high - low > width:
            bins = np.zeros(int((high - low) / width) + 1)
            starts = low + width * np.arange(bins.size)
            ends = np.minimum(starts + width, high)
            for k in range(some.size):
                first = max(int((max(left[k], low) - low) / width), 0)
                last = min(int((min(right[k], high) - low) / width), bins.size - 1) + 1
                shared = np.minimum(right[k], ends[first:last]) - np.maximum(left[k], starts[first:last])
                bins[first:last] += count[k] * (np.maximum(shared, 0.0) / (right[k] - left[k]))
            mode = peak_position(bins, low, width)
        else:
            mode = low + 0.5 * width
    return Statistics(int(n + 0.5), float(mean), float(median), float(mode), stddev, float(low), float(high))


def _sum(values):
    """Sum in order: numpy's own adds in pairs, in another way for every length."""
    return float(np.cumsum(values)[-1]) if values.size else 0.0

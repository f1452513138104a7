"""Sigma-clipped statistics of pixels, as DrizzlePac's ImageStats defines them."""

import math
from typing import NamedTuple

import numpy as np

from drizzlewb.kernels.jit import inner, kernel

__all__ = [
    "MEAN",
    "MEDIAN",
    "MODE",
    "STATISTICS",
    "Statistics",
    "clipped_statistics",
    "gather_good",
    "histogram",
]

MEAN, MEDIAN, MODE = 1, 2, 4

#: DrizzlePac's ``skystat`` -> the run-time integer that the kernels take.
STATISTICS = {"mean": MEAN, "median": MEDIAN, "mode": MODE}

_INF = np.float32(np.inf)
_LARGEST = float(np.finfo(np.float32).max)
_LANES = 256  # partial sums kept side by side: the same bits whatever the vector width
_CHUNK = 64 * _LANES  # values summed in float32 before the sums are added up in float64


class Statistics(NamedTuple):
    """Sigma-clipped statistics; see :func:`clipped_statistics`."""

    n: int
    mean: float
    median: float
    mode: float
    stddev: float
    min: float
    max: float


def gather_good(values, good, out):
    """Copy the good, finite pixels one after the other.

    Parameters
    ----------
    values : ndarray, shape (n,), float32
    good : ndarray, shape (n,), uint8
        Not 0 where the pixel may be used.
    out : ndarray, shape (n,), float32

    Returns
    -------
    int
        Number of pixels written to the front of `out`.
    """
    return _gather(values, good, np.empty(_CHUNK, np.uint8), out)


@kernel
def _gather(values, good, kept, out):
    n = np.uint64(0)
    for start in range(0, values.size, _CHUNK):
        chunk = values[start : start + _CHUNK]
        mask = good[start : start + _CHUNK]
        for c in range(chunk.size):
            kept[c] = (mask[c] != 0) & (abs(chunk[c]) < _INF)
        for c in range(chunk.size):
            out[n] = chunk[c]  # written always, kept sometimes: no branch
            n += np.uint64(kept[c])
    return np.int64(n)


@inner
def _add_block(values, low, high, hole_low, hole_high, centre, count, total, square):
    for c in range(values.size):
        v = values[c]
        inside = (v >= low) & (v <= high) & ((v < hole_low) | (v > hole_high))
        d = v - centre if inside else np.float32(0.0)
        count[c] += np.float32(1.0) if inside else np.float32(0.0)
        total[c] += d
        square[c] += d * d


@kernel
def _moments(values, low, high, hole_low, hole_high, centre, sums):
    """Number, sum and sum of squares of ``values - centre`` within [low, high] but not in the hole.

    `sums` (3, _LANES) float32, zeros, is scratch and left so.
    """
    count, total, square = sums[0], sums[1], sums[2]
    n = np.int64(0)
    s = 0.0
    q = 0.0
    for start in range(0, values.size, _CHUNK):
        stop = min(start + _CHUNK, values.size)
        for i in range(start, stop, _LANES):
            block = values[i : min(i + _LANES, stop)]
            _add_block(block, low, high, hole_low, hole_high, centre, count, total, square)
        for c in range(_LANES):
            n += np.int64(count[c])
            s += total[c]
            q += square[c]
            count[c] = 0.0
            total[c] = 0.0
            square[c] = 0.0
    return n, s, q


@kernel
def _put_aside(values, low, high, core_low, core_high, a, b, kept, special):
    """Copy values within [low, high] but outside the core, or within [a, b], to `special`.

    Returns how many, and how many lie within the core below `a`. `kept` is scratch.
    """
    below = np.int32(0)
    for c in range(values.size):
        v = values[c]
        tail = ((v >= low) & (v < core_low)) | ((v > core_high) & (v <= high))
        kept[c] = tail | ((v >= a) & (v <= b))
        below += np.int32((v >= core_low) & (v < a))
    k = np.uint64(0)
    for c in range(values.size):
        # written always, kept sometimes: without a branch, which could not be foreseen
        special[k] = values[c]
        k += np.uint64(kept[c])
    return np.int64(k), np.int64(below)


@kernel
def _split(values, low, high, core_low, core_high, a, b, centre, sums, kept, special):
    """Sum up the core of the values, and put aside its tails and the bracket [a, b] of the median.

    Returns the number, sum and sum of squares of ``values - centre`` in the core, how many of them
    lie below `a`, and how many values went to `special`; the number is -1 if they were too many.
    `sums` and `kept` are scratch.
    """
    k = np.int64(0)
    core_n = np.int64(0)
    core_s = 0.0
    core_q = 0.0
    core_below = np.int64(0)
    for i in range(0, values.size, _CHUNK):
        if k + _CHUNK > special.size:
            return np.int64(-1), core_s, core_q, core_below, k
        chunk = values[i : i + _CHUNK]
        n, s, q = _moments(chunk, core_low, core_high, _INF, -_INF, centre, sums)
        put, below = _put_aside(chunk, low, high, core_low, core_high, a, b, kept, special[k:])
        core_n += n
        core_s += s
        core_q += q
        core_below += below
        k += put
    return core_n, core_s, core_q, core_below, k


def _sample(values, low, high, size):
    """At most so many evenly spaced values within [low, high]."""
    # an odd step: of an image whose width is a power of two it does not see a few columns only
    some = values[:: (values.size // size) | 1]
    return some[(some >= low) & (some <= high)][:size]


def peak_position(bins, least, width):
    """Mode from a histogram: a parabola through the highest bin and its neighbours.

    Parameters
    ----------
    bins : ndarray, shape (n,), float64
    least, width : float
        Lower edge of the first bin, width of a bin.

    Returns
    -------
    float
        As ``stsci.imagestats``: the middle of the bin where it is the first or last one.
    """
    n = bins.size
    if n == 1:
        return least + 0.5 * width
    if n == 2:
        if bins[0] > bins[1]:
            return least + 0.5 * width
        if bins[0] < bins[1]:
            return least + 1.5 * width
        return least + width
    k = int(np.argmax(bins))
    if k == 0 or k == n - 1:
        return least + (k + 0.5) * width
    left = bins[k] - bins[k - 1]
    right = bins[k] - bins[k + 1]
    shift = 0.5 * (left - right) / (left + right) if left + right > 0 else 0.0
    return least + (k + 0.5 + shift) * width


def _extremes(values, low, high):
    inside = values[(values >= low) & (values <= high)]
    return (float(inside.min()), float(inside.max())) if inside.size else (math.inf, -math.inf)


def histogram(values, low, scale, n):
    """Count values in n bins from `low` on, ``scale`` bins per unit, in float32.

    Parameters
    ----------
    values : ndarray, shape (m,), float32
        NaN and what lies outside the bins are left out.
    low, scale : float32
    n : int

    Returns
    -------
    ndarray, shape (n,), float64
    """
    bins = np.zeros((4, n + 1), np.int32)
    _count(values, low, scale, n, bins, np.empty(_LANES, np.uint32))
    return bins[:, :n].sum(axis=0).astype(np.float64)


@kernel
def _count(values, low, scale, n, bins, place):
    # Four histograms in turn: equal neighbours do not wait for each other. Bin n takes the rest.
    for i in range(0, values.size, _LANES):
        block = values[i : i + _LANES]
        for c in range(block.size):
            t = scale * (block[c] - low)
            place[c] = np.uint32(np.int32(t)) if (t >= 0) & (t < n) else np.uint32(n)
        for c in range(block.size):
            bins[c & 3, place[c]] += 1


def _mode(values, least, most, stddev, binwidth):
    width = binwidth * stddev
    extent = most - least
    tiny = 10.0 * float(np.finfo(np.float32).eps)
    if not (width >= tiny and extent >= tiny and width <= extent):
        return least + 0.5 * width
    n = int(extent / width) + 1
    # Two quirks of the peer, kept: the histogram's bins are slightly wider than `width`, by which
    # the peak is then converted; and it takes in what lies up to one bin above the clipped range.
    scale = np.float32(1.0) / np.float32(extent / (n - 1))
    return peak_position(histogram(values, np.float32(least), scale, n), least, width)


class _Core(NamedTuple):
    """Values that no round of clipping is expected to cut into, summed up once."""

    low: np.float32 = _INF
    high: np.float32 = -_INF
    n: int = 0
    total: float = 0.0
    square: float = 0.0


class _Clipped(NamedTuple):
    whole: bool  # no round has cut into the core
    n: int
    mean: float
    stddev: float
    low: np.float32
    high: np.float32


def _rounds(values, core, centre, nclip, lower_sigma, upper_sigma, bottom, top):
    """Clip `values` together with a core that they do not contain."""
    low, high = bottom, top
    mean = stddev = math.nan
    n = 0
    sums = np.zeros((3, _LANES), np.float32)
    for turn in range(nclip + 1):
        n, total, square = _moments(values, low, high, core.low, core.high, centre, sums)
        n += core.n
        if n == 0:
            break
        total += core.total
        square += core.square
        mean = float(np.float32(centre + total / n))
        stddev = float(np.float32(math.sqrt(max(square - total * total / n, 0.0) / max(n - 1, 1))))
        if stddev == 0.0:
            break  # equal but for underflow: limits of no width would leave out all of them
        if turn < nclip:
            low = np.float32(max(float(bottom), mean - lower_sigma * stddev))
            high = np.float32(min(float(top), mean + upper_sigma * stddev))
            if core.n and (low > core.low or high < core.high):
                return _Clipped(False, n, mean, stddev, low, high)
    return _Clipped(True, n, mean, stddev, low, high)


def _median(special, clipped, a, b, core_below):
    """Exact median of the clipped values, or None if it does not lie within [a, b]."""
    kept = np.empty(special.size, np.uint8)
    bracket = np.empty(special.size, np.float32)
    first, last = max(a, clipped.low), min(b, clipped.high)
    # no tails this time, only the bracket, and what lies below it
    inside, below = _put_aside(special, _INF, -_INF, clipped.low, _INF, first, last, kept, bracket)
    bracket = bracket[:inside]
    rank = (clipped.n - 1) // 2 - below - core_below
    if rank < 0 or rank + 1 - clipped.n % 2 >= inside:
        return None
    bracket.partition(rank)
    middle = bracket[rank]
    if clipped.n % 2 == 0:
        # after the selection all larger values lie behind it
        middle = (middle + bracket[rank + 1 :].min()) * np.float32(0.5)
    return float(middle)


def clipped_statistics(values, nclip, lower_sigma, upper_sigma, lower, upper, binwidth, wanted):
    """Sigma-clipped statistics of an array.

    Parameters
    ----------
    values : ndarray, shape (n,), float32, contiguous
        NaN and inf are left out.
    nclip : int
        Clipping rounds.
    lower_sigma, upper_sigma : float
        Clipping limits below and above the mean, in standard deviations.
    lower, upper : float
        Only values within these limits count, in every round; ``-inf``, ``inf`` for none.
    binwidth : float
        Bins of the histogram for the mode, in standard deviations.
    wanted : int
        Sum of MEDIAN and MODE: what is computed beside n, mean and stddev. min and max come with
        MODE. What is not wanted is NaN.

    Returns
    -------
    Statistics
        n is 0 and the rest NaN if no value is left. stddev (n - 1 in its denominator) is 0 for one
        value.

    Notes
    -----
    The definitions are those of ``stsci.imagestats.ImageStats``: mean and standard deviation in
    float32; the mode from a histogram of the clipped range, by a parabola through its peak. Three
    oddities of it are not followed: min and max do not depend on the array's first element, the
    median respects `lower` and `upper` also for ``nclip=0``, and NaN is left out.
    """
    bottom = np.float32(max(lower, -_LARGEST))
    top = np.float32(min(upper, _LARGEST))
    nothing = Statistics(0, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan)
    clipping = (nclip, lower_sigma, upper_sigma, bottom, top)
    sample = _sample(values, bottom, top, 16384 if values.size >= 65536 else 1024)
    centre = float(np.partition(sample, sample.size // 2)[sample.size // 2]) if sample.size else 0.0

    # The sample proposes a core that no round is expected to cut into, and a bracket of the median.
    # Then all values are gone through once, and each round only through the few outside the core.
    attempts = [(values, _Core(), bottom, top, 0)]
    if sample.size >= 4096:
        first = _rounds(sample, _Core(), centre, *clipping)
        kept = sample[(sample >= first.low) & (sample <= first.high)]
        m = kept.size
        reach = int(2.0 * math.sqrt(m)) + 1  # four sigma of the sample's median rank
        ranks = (m // 64, max(m // 2 - reach, 0), min(m // 2 + reach, m - 1), m - 1 - m // 64)
        core_low, a, b, core_high = np.partition(kept, ranks)[list(ranks)]
        special = np.empty(values.size // 8 + _CHUNK, np.float32)
        scratch = np.zeros((3, _LANES), np.float32), np.empty(_CHUNK, np.uint8)
        n, total, square, below, k = _split(
            values, bottom, top, core_low, core_high, a, b, centre, *scratch, special
        )
        if n > 0:
            core = _Core(core_low, core_high, n, total, square)
            attempts.insert(0, (special[:k], core, a, b, below))

    # Where the sample has misled, all values are gone through in each round.
    for rest, core, a, b, below in attempts:
        clipped = _rounds(rest, core, centre, *clipping)
        if clipped.n == 0:
            return nothing
        median = _median(rest, clipped, a, b, below) if wanted & MEDIAN and clipped.whole else math.nan
        if clipped.whole and median is not None:
            break
    mode = least = most = math.nan
    if wanted & MODE:
        least, most = _extremes(rest, clipped.low, clipped.high)
        if core.n and (least > core.low or most < core.high):  # no tail left
            least, most = _extremes(values, clipped.low, clipped.high)
        mode = _mode(values, least, most, clipped.stddev, binwidth)
    return Statistics(int(clipped.n), clipped.mean, median, mode, clipped.stddev, least, most)

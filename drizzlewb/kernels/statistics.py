"""Sigma-clipped statistics of pixels, as DrizzlePac's ImageStats defines them."""

import math
from typing import NamedTuple

import numpy as np

from drizzlewb.kernels.jit import inner, kernel
from drizzlewb.kernels.lanes import count_ones, lowest_one, split_32

__all__ = [
    "MEAN",
    "MEDIAN",
    "MODE",
    "STATISTICS",
    "Statistics",
    "clipped_statistics",
    "histogram",
    "only_good",
]

MEAN, MEDIAN, MODE = 1, 2, 4

#: DrizzlePac's ``skystat`` -> the run-time integer that the kernels take.
STATISTICS = {"mean": MEAN, "median": MEDIAN, "mode": MODE}

_INF = np.float32(np.inf)
_NAN = np.float32(np.nan)
_ZERO = np.float32(0.0)
_MARGIN = 0.1  # of the way from the clipping limits to the mean: the core begins there
_LARGEST = float(np.finfo(np.float32).max)
_LANES = 256  # partial sums kept side by side: the same bits whatever the vector width
_CHUNK = 64 * _LANES  # values summed in float32 before the sums are added up in float64
_BLOCK = 64  # values told apart at a time, one bit of a word for each


class Statistics(NamedTuple):
    """Sigma-clipped statistics; see :func:`clipped_statistics`."""

    n: int
    mean: float
    median: float
    mode: float
    stddev: float
    min: float
    max: float


@kernel
def only_good(values, good, out):
    """Copy the good pixels, and NaN for the others, which no statistics here take in.

    Parameters
    ----------
    values : ndarray, shape (n,), float32
    good : ndarray, shape (n,), uint8
        Not 0 where the pixel may be used.
    out : ndarray, shape (n,), float32
    """
    for k in range(values.size):
        out[k] = values[k] if good[k] != 0 else _NAN


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
def _split_blocks(values, limits, centre, sums, special):
    """Do `_split` for whole blocks of values. `sums` (64,) float32, zeros, is scratch and left so."""
    half = np.uint64(32)
    one = np.uint64(1)
    room = np.uint64(max(special.size - _BLOCK, 0))
    core = np.uint64(0)
    below = np.uint64(0)
    k = np.uint64(0)
    s = 0.0
    q = 0.0
    for start in range(0, values.size, 64 * _BLOCK):
        for i in range(start, min(start + 64 * _BLOCK, values.size), _BLOCK):
            if k > room:
                return np.int64(-1), s, q, np.int64(below), np.int64(k)
            aside, in_core, under = split_32(values, i, limits, centre, sums)
            next_aside, next_in_core, next_under = split_32(values, i + 32, limits, centre, sums)
            core += count_ones(in_core | (next_in_core << half))
            below += count_ones(under | (next_under << half))
            aside |= next_aside << half
            while aside != np.uint64(0):
                special[k] = values[np.uint64(i) + lowest_one(aside)]
                k += one
                aside &= aside - one
        for c in range(32):
            s += sums[c]
            q += sums[32 + c]
            sums[c] = 0.0
            sums[32 + c] = 0.0
    return np.int64(core), s, q, np.int64(below), np.int64(k)


class _Split(NamedTuple):
    n: int
    total: float
    square: float
    below: int
    special: np.ndarray


def _split(values, limits, centre, room):
    """Sum up the core of the values, and put aside what is outside it and what is within a bracket.

    Parameters
    ----------
    values : ndarray, shape (n,), float32
    limits : tuple of 6 float32
        low, high, core_low, core_high, a, b. The core lies within [low, high]; the bracket is [a, b].
    centre : float32
    room : int
        Most values that may be put aside.

    Returns
    -------
    _Split or None
        Number, sum and sum of squares of ``values - centre`` in the core, how many of them lie below a, and
        the values put aside; None if they were too many.
    """
    special = np.empty(room + _BLOCK, np.float32)
    whole = values.size // _BLOCK * _BLOCK
    end = np.full(_BLOCK, np.nan, np.float32)
    end[: values.size - whole] = values[whole:]
    n = below = k = 0
    total = square = 0.0
    for part in (values[:whole], end):
        scratch = np.zeros(64, np.float32)
        part_n, s, q, under, put = _split_blocks(part, limits, centre, scratch, special[k:])
        if part_n < 0:
            return None
        n, total, square, below, k = n + part_n, total + s, square + q, below + under, k + put
    return _Split(n, total, square, below, special[:k])


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
    first, last = max(a, clipped.low), min(b, clipped.high)
    # no tails this time, only the bracket, and what lies below it
    found = _split(special, (_INF, -_INF, clipped.low, _INF, first, last), _ZERO, special.size)
    bracket, inside, below = found.special, found.special.size, found.below
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
        if m >= 1024:
            # Well within the sample's clipping limits, and, as these are rough where stars rule the standard
            # deviation, within nearly all of what they kept.
            reach = int(2.0 * math.sqrt(m)) + 1  # four sigma of the sample's median rank
            ranks = m // 256, max(m // 2 - reach, 0), min(m // 2 + reach, m - 1), m - 1 - m // 256
            least, a, b, most = np.partition(kept, ranks)[list(ranks)]
            core_low = max(np.float32(first.low + _MARGIN * (first.mean - first.low)), least)
            core_high = min(np.float32(first.high - _MARGIN * (first.high - first.mean)), most)
            split = _split(
                values, (bottom, top, core_low, core_high, a, b), np.float32(centre), values.size // 8 + 4096
            )
            if split and split.n:
                core = _Core(core_low, core_high, split.n, split.total, split.square)
                attempts.insert(0, (split.special, core, a, b, split.below))

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

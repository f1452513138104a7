"""Sigma-clipped statistics of pixels, as DrizzlePac's ImageStats defines them."""

import math
from typing import NamedTuple

import numpy as np

from drizzlewb.kernels.jit import kernel

__all__ = [
    "MEAN",
    "MEDIAN",
    "MODE",
    "STATISTICS",
    "Statistics",
    "clipped_statistics",
    "gather_good",
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


@kernel
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
    kept = np.empty(_CHUNK, np.uint8)
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


@kernel
def _add_block(values, low, high, hole_low, hole_high, centre, count, total, square):
    for c in range(values.size):
        v = values[c]
        inside = (v >= low) & (v <= high) & ((v < hole_low) | (v > hole_high))
        d = v - centre if inside else np.float32(0.0)
        count[c] += np.int32(inside)
        total[c] += d
        square[c] += d * d


@kernel
def _moments(values, low, high, hole_low, hole_high, centre):
    """Number, sum and sum of squares of ``values - centre`` within [low, high] but not in the hole."""
    count = np.zeros(_LANES, np.int32)
    total = np.zeros(_LANES, np.float32)
    square = np.zeros(_LANES, np.float32)
    n = 0
    s = 0.0
    q = 0.0
    for start in range(0, values.size, _CHUNK):
        stop = min(start + _CHUNK, values.size)
        for i in range(start, stop, _LANES):
            block = values[i : min(i + _LANES, stop)]
            _add_block(block, low, high, hole_low, hole_high, centre, count, total, square)
        for c in range(_LANES):
            n += count[c]
            s += total[c]
            q += square[c]
            count[c] = 0
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
def _select(a, k):
    """Return the k-th smallest of `a`, which is reordered: larger ones lie behind (quickselect)."""
    left = 0
    right = a.size - 1
    while left < right:
        middle = (left + right) // 2
        pivot = a[middle]
        i = left
        j = right
        while i <= j:
            while a[i] < pivot:
                i += 1
            while pivot < a[j]:
                j -= 1
            if i <= j:
                a[i], a[j] = a[j], a[i]
                i += 1
                j -= 1
        if k <= j:
            right = j
        elif k >= i:
            left = i
        else:
            break
    return a[k]


@kernel
def _sample(values, low, high, out):
    """Copy evenly spaced values within [low, high] to `out`; return how many."""
    # an odd step: of an image whose width is a power of two it does not see a few columns only
    step = (values.size // out.size) | 1
    n = 0
    for i in range(0, values.size, step):
        if n < out.size and values[i] >= low and values[i] <= high:
            out[n] = values[i]
            n += 1
    return n


@kernel
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
    k = 0
    for i in range(n):
        if bins[i] > bins[k]:
            k = i
    if k == 0 or k == n - 1:
        return least + (k + 0.5) * width
    left = bins[k] - bins[k - 1]
    right = bins[k] - bins[k + 1]
    shift = 0.5 * (left - right) / (left + right) if left + right > 0 else 0.0
    return least + (k + 0.5 + shift) * width


@kernel
def _extremes(values, low, high):
    least = _INF
    most = -_INF
    for i in range(values.size):
        v = values[i]
        inside = (v >= low) & (v <= high)
        least = v if inside & (v < least) else least
        most = v if inside & (v > most) else most
    return np.float64(least), np.float64(most)


@kernel
def _mode(values, least, most, stddev, binwidth):
    width = binwidth * stddev
    extent = most - least
    tiny = 10.0 * 1.1920929e-07
    if not (width >= tiny and extent >= tiny and width <= extent):
        return least + 0.5 * width
    n = int(extent / width) + 1
    # Two quirks of the peer, kept: the histogram's bins are slightly wider than `width`, by which
    # the peak is then converted; and it takes in what lies up to one bin above the clipped range.
    step = np.float32(extent / (n - 1))
    scale = np.float32(1.0) / step
    low = np.float32(least)
    # Four histograms in turn: equal neighbours do not wait for each other. Bin n takes the rest.
    bins = np.zeros((4, n + 1), np.int32)
    place = np.empty(_LANES, np.uint32)
    for i in range(0, values.size, _LANES):
        block = values[i : i + _LANES]
        for c in range(block.size):
            t = scale * (block[c] - low)
            place[c] = np.uint32(np.int32(t)) if (t >= 0) & (t < n) else np.uint32(n)
        for c in range(block.size):
            bins[c & 3, place[c]] += 1
    merged = np.empty(n, np.float64)
    for k in range(n):
        merged[k] = bins[0, k] + bins[1, k] + bins[2, k] + bins[3, k]
    return peak_position(merged, least, width)


@kernel
def _rounds(values, nclip, lower_sigma, upper_sigma, bottom, top, core, centre):
    """Clip `values`, to which a core is to be added that no round may cut into.

    `core`: its lowest and highest value, and number, sum and sum of squares of its values less
    `centre`. Returns whether it was left whole; number, mean, standard deviation, limits.
    """
    core_low, core_high, core_n, core_s, core_q = core
    low = bottom
    high = top
    n = 0
    mean = math.nan
    stddev = math.nan
    for turn in range(nclip + 1):
        n, s, q = _moments(values, low, high, core_low, core_high, centre)
        n += core_n
        if n == 0:
            break
        s += core_s
        q += core_q
        mean = np.float64(np.float32(centre + s / n))
        variance = max(q - s * s / n, 0.0) / max(n - 1, 1)
        stddev = np.float64(np.float32(math.sqrt(variance)))
        if turn < nclip:
            low = np.float32(max(np.float64(bottom), mean - lower_sigma * stddev))
            high = np.float32(min(np.float64(top), mean + upper_sigma * stddev))
            if core_n > 0 and (low > core_low or high < core_high):
                return False, n, mean, stddev, low, high
    return True, n, mean, stddev, low, high


@kernel
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

    # A sample proposes a core that no round is expected to cut into, and a bracket of the median.
    # Then all values are gone through once, and each round only through the few outside the core.
    sample = np.empty(16384 if values.size >= 65536 else 1024, np.float32)
    m = _sample(values, bottom, top, sample)
    sample = sample[:m]
    centre = _select(sample, m // 2) if m > 0 else np.float32(0.0)
    no_core = (_INF, -_INF, 0, 0.0, 0.0)
    core = no_core
    core_below = 0
    a = bottom
    b = top
    special = values
    if m >= 4096:
        _, _, _, _, low, high = _rounds(sample, nclip, lower_sigma, upper_sigma, bottom, top, no_core, centre)
        clipped = np.empty(m, np.float32)
        m = _sample(sample, low, high, clipped)
        clipped = clipped[:m]
        reach = int(2.0 * math.sqrt(m)) + 1  # four sigma of the sample's median rank
        core_low = _select(clipped, m // 64)
        core_high = _select(clipped, m - 1 - m // 24)
        a = _select(clipped, max(m // 2 - reach, 0))
        b = _select(clipped, min(m // 2 + reach, m - 1))
        special = np.empty(values.size // 8 + _CHUNK, np.float32)
        kept = np.empty(_CHUNK, np.uint8)
        k = 0
        core_n, core_s, core_q = 0, 0.0, 0.0
        for i in range(0, values.size, _CHUNK):
            if k + _CHUNK > special.size:
                core_n = -1
                break
            chunk = values[i : i + _CHUNK]
            n, s, q = _moments(chunk, core_low, core_high, _INF, -_INF, centre)
            put, below = _put_aside(chunk, bottom, top, core_low, core_high, a, b, kept, special[k:])
            core_n += n
            core_s += s
            core_q += q
            core_below += below
            k += put
        special = special[:k]
        core = (core_low, core_high, core_n, core_s, core_q)

    for attempt in range(2):
        if attempt == 1 or core[2] < 0:  # the sample misled: go through all values in each round
            core = no_core
            a, b = bottom, top
            special = values
            core_below = 0
        core_low, core_high, core_n, _, _ = core
        whole, n, mean, stddev, low, high = _rounds(
            special, nclip, lower_sigma, upper_sigma, bottom, top, core, centre
        )
        if n == 0:
            return nothing
        if not whole:
            continue
        median = math.nan
        if wanted & MEDIAN:
            bracket = np.empty(special.size, np.float32)
            inside = 0
            below = core_below
            first = max(a, low)
            last = min(b, high)
            for i in range(special.size):
                v = special[i]
                bracket[inside] = v
                inside += np.int64((v >= first) & (v <= last))
                below += np.int64((v >= low) & (v < core_low) & (core_n > 0))
            bracket = bracket[:inside]
            rank = (n - 1) // 2 - below
            if rank < 0 or rank + 1 - n % 2 >= inside:
                continue
            middle = _select(bracket, rank)
            if n % 2 == 0:
                following = _INF
                for i in range(rank + 1, inside):
                    following = bracket[i] if bracket[i] < following else following
                middle = np.float32((middle + following) * np.float32(0.5))
            median = np.float64(middle)
        mode = math.nan
        least = math.nan
        most = math.nan
        if wanted & MODE:
            least, most = _extremes(special, low, high)
            if core_n > 0 and (least > core_low or most < core_high):  # no tail left
                least, most = _extremes(values, low, high)
            mode = _mode(values, least, most, stddev, binwidth)
        return Statistics(n, mean, median, mode, stddev, least, most)
    return nothing

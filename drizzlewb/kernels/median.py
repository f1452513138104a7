"""Combination of the separately drizzled images into one clean image, pixel by pixel."""

import math
from functools import cache

import numpy as np

from drizzlewb.kernels.jit import inner, kernel

__all__ = ["IMEAN", "IMEDIAN", "IMINMED", "KINDS", "MEAN", "MEDIAN", "MINMED", "SUM", "combine", "margin"]

MEDIAN, MEAN, SUM, MINMED, IMEDIAN, IMEAN, IMINMED = range(7)

#: DrizzlePac's ``combine_type`` -> the run-time integer that :func:`combine` takes.
KINDS = {
    "median": MEDIAN,
    "mean": MEAN,
    "sum": SUM,
    "minmed": MINMED,
    "imedian": IMEDIAN,
    "imean": IMEAN,
    "iminmed": IMINMED,
}

# Pixels sorted side by side: the sorting network then runs on vector registers, and the scratch
# array of 12 images (24 kB) still lies in the first-level cache.
_LANE = 512
_INF = np.float32(np.inf)


def margin(kind, grow):
    """Pixels by which a region must be grown for :func:`combine` to be right inside it.

    Parameters
    ----------
    kind : int
        One of the values of :data:`KINDS`.
    grow : int
        ``combine_grow``, half-width in pixels of the box in which ``nsigma2`` applies.

    Returns
    -------
    int
        ``grow`` for the two minmed kinds, 0 for all others. At the edge of the grid itself no
        margin exists and none is needed: nothing is flagged outside.
    """
    return int(grow) if kind in (MINMED, IMINMED) else 0


@inner
def _exchange(lower, upper, size):
    """Put the smaller of each of `size` pairs in `lower`, the larger in `upper`."""
    for c in range(size):
        a = lower[c]
        b = upper[c]
        lower[c] = a if a < b else b
        upper[c] = b if a < b else a


@cache
def _exchanges(n):
    """Pairs of a sorting network for n values (Batcher's merge exchange; Knuth vol. 3, 5.2.2 M)."""
    pairs = []
    top = 1
    while top * 2 < n:
        top *= 2
    p = top
    while p > 0 and n > 1:
        q, r, d = top, 0, p
        while True:
            pairs += [(i, i + d) for i in range(n - d) if (i & p) == r]
            if q == p:
                break
            d = q - p
            q //= 2
            r = p
        p //= 2
    return np.array(pairs, np.int64).reshape(-1, 2)


@inner
def _take_good(row, weight, least, low_limit, high_limit, values, count):
    """Copy the good pixels of one image's row, inf in place of the bad ones, and count them."""
    for c in range(row.size):
        v = row[c]
        w = weight[c]
        good = (abs(v) < _INF) & (abs(w) < _INF) & (w > least) & (v >= low_limit) & (v < high_limit)
        values[c] = v if good else _INF
        count[c] += np.int32(good)


@inner
def _add_noise(row, weight, values, rate, rn2, total_weight, background, noise2):
    """Add one image's part of the weight sum and of the variance (minmed)."""
    for c in range(row.size):
        w = weight[c]
        w = w if (abs(row[c]) < _INF) & (abs(w) < _INF) else np.float32(0.0)
        total_weight[c] += w
        background[c] += w * rate
        noise2[c] += rn2 if values[c] < _INF else 0.0


def _kept_ranks(n, nlow, nhigh, relax):
    """First and last rank kept, per number of good values (none if last < first)."""
    first = np.zeros(n + 1, np.int32)
    last = np.full(n + 1, -1, np.int32)
    for good_n in range(1, n + 1):
        low, high = nlow, nhigh
        while relax and low + high >= good_n:
            high = max(high - 1, 0)
            low = max(low - 1, 0)
        first[good_n] = low
        last[good_n] = good_n - high - 1
    return first, last


@inner
def _pick_median(values, count, first, last, out):
    """Median of the kept ranks of each sorted column; 0 where there is no good value."""
    for c in range(out.size):
        good_n = count[c]
        total = first[good_n] + last[good_n]
        # Both middles are one and the same if the count is odd. No branch: counts are unforeseeable.
        a = values[total >> 1, c]
        b = values[(total + 1) >> 1, c]
        middle = np.float32((np.float64(a) + np.float64(b)) * 0.5)
        out[c] = middle if good_n > 0 else np.float32(0.0)


@inner
def _pick_mean(values, count, first, last, out):
    """Mean of the kept ranks of each sorted column; 0 where none is kept."""
    for c in range(out.size):
        good_n = count[c]
        kept = last[good_n] - first[good_n] + 1
        total = 0.0
        for k in range(first[good_n], last[good_n] + 1):
            total += values[k, c]
        out[c] = np.float32(total / kept) if kept > 0 else np.float32(0.0)


@kernel
def _fill_empty(stack, count, out):
    """Where no value is good, take the first one of the stack that is neither 0 nor NaN nor inf."""
    for c in range(out.size):
        if count[c] == 0:
            for k in range(stack.shape[0]):
                v = stack[k, c]
                if abs(v) < _INF and v != 0:
                    out[c] = v
                    break


@inner
def _compare_minimum(median, least, count, total_weight, background, noise2, nsigma1, nsigma2, flags):
    """Bit 0: the minimum lies more than `nsigma1` below the median; bit 1: more than `nsigma2`."""
    for c in range(median.size):
        # float32 products, as in the peer's arrays: the comparison is then the same
        med_e = median[c] * total_weight[c]
        min_e = least[c] * total_weight[c]
        rms = math.sqrt(max(med_e + background[c] + noise2[c], 0.0))
        some = count[c] > 0
        flag1 = some & (min_e < med_e - nsigma1 * rms)
        flag2 = some & (min_e < med_e - nsigma2 * rms)
        flags[c] = np.uint8(flag1) | (np.uint8(flag2) << np.uint8(1))


def _near(marked, grow):
    """Pixels within `grow` pixels of a marked one along both axes."""
    for _ in range(2):
        wide = marked.copy()
        for step in range(1, min(grow, len(marked) - 1) + 1):
            wide[step:] |= marked[:-step]
            wide[:-step] |= marked[step:]
        marked = wide.T  # then along the other axis, and back
    return marked


@kernel
def _combine(
    stack, weight, least_weight, pairs, average, minmed, low_limit, high_limit, first, last, rate, rn2,
    nsigma1, nsigma2, values, sums, count, out, lowest, flags,
):  # fmt: skip
    """Combine a stack of lines; for minmed put aside the lowest values and what they fail.

    `values` (n, _LANE) float32 and `sums`, three of (_LANE,) float32, float64, float64, are scratch.
    """
    total_weight, background, noise2 = sums
    for i0 in range(0, out.size, _LANE):
        size = min(_LANE, out.size - i0)
        i1 = i0 + size
        some = count[i0:i1]
        for c in range(size):
            some[c] = 0
            total_weight[c] = 0.0
            background[c] = 0.0
            noise2[c] = 0.0
        for k in range(stack.shape[0]):
            row = stack[k, i0:i1]
            w = weight[k, i0:i1]
            _take_good(row, w, least_weight[k], low_limit, high_limit, values[k], some)
            if minmed:
                _add_noise(row, w, values[k], rate[k], rn2[k], total_weight, background, noise2)
        for p in range(pairs.shape[0]):
            _exchange(values[pairs[p, 0]], values[pairs[p, 1]], size)
        if average:
            _pick_mean(values, some, first, last, out[i0:i1])
        else:
            _pick_median(values, some, first, last, out[i0:i1])
        if minmed:
            for c in range(size):
                lowest[i0 + c] = values[0, c]
            _compare_minimum(
                out[i0:i1], values[0], some, total_weight, background, noise2, nsigma1, nsigma2, flags[i0:i1]
            )


def combine(
    stack,
    weight,
    maskpt_weight,
    kind,
    nlow,
    nhigh,
    lthresh,
    hthresh,
    sky,
    read_noise,
    exptime,
    nsigma1,
    nsigma2,
    grow,
    out,
    n_images=0,
):
    """Combine a stack of drizzled images of one grid region into one image.

    Parameters
    ----------
    stack : ndarray, shape (n, ny, nx), float32
        Separately drizzled, sky-subtracted images in **electrons per second and output pixel**
        (what the peer's ``single_sci`` hold). A NaN or inf is a bad pixel of that image alone.
    weight : ndarray, shape (n, ny, nx), float32
        Their weights, in seconds times s^2 (exposure time times overlap): ``stack * weight`` is
        in electrons.
    maskpt_weight : ndarray, shape (n,), float64
        A pixel of image k is masked where its weight is not above ``maskpt_weight[k]``. A negative
        number masks nothing but empty pixels (``median_newmasks=False``).
    kind : int
        One of the values of :data:`KINDS`.
    nlow, nhigh : int
        Lowest and highest good values dropped at each pixel (not for sum and minmed).
    lthresh, hthresh : float
        Values below `lthresh`, or not below `hthresh`, are masked, in the unit of `stack` (not
        for sum and minmed); ``-inf`` and ``inf`` switch them off.
    sky : ndarray, shape (n,), float64
        Sky present in one input pixel of each image, electrons (minmed's noise).
    read_noise : ndarray, shape (n,), float64
        Read noise of each image, electrons (minmed's noise).
    exptime : ndarray, shape (n,), float64
        Exposure times, s.
    nsigma1, nsigma2 : float
        minmed takes the minimum where the median lies more than `nsigma1` sigma above it, and
        `nsigma2` sigma within `grow` pixels of such a pixel.
    grow : int
        Half-width of that box; 0 applies `nsigma1` everywhere.
    out : ndarray, shape (ny, nx), float32
        Result, in the unit of `stack` (for sum: the sum of the images).
    n_images : int
        Number of images of the whole reduction, where `stack` holds only those that touch this
        region (minmed treats two images in a way of its own); 0: as many as `stack` holds.

    Notes
    -----
    Definitions, as DrizzlePac 3.11 computes them (``stsci.image.numcombine``,
    ``drizzlepac.minmed.min_med``):

    - *median*: of the good values left after dropping `nlow` and `nhigh`; where these would drop
      all, both are lowered by one until something is left. Even counts: mean of the middle two.
    - *mean*: of the same; where nothing is left, 0 (the peer does not relax here).
    - *sum*: of all images, weights and limits ignored.
    - *minmed*: median with ``nhigh=1`` (2 images: their mean; one good value: that value), or the
      lowest good value where ``min*W < med*W - nsigma*rms``, ``rms^2 = max(med*W + B + R, 0)``,
      with ``W = sum(w)`` and ``B = sum(w*sky/t)`` over all images and ``R = sum(read_noise^2)``
      over the unmasked.
    - No good value: 0. The *i* kinds put there the first image's value that is neither 0 nor bad.
      That is what the peer's C code sets out to do; it does so in the first column of each row
      only, and its iminmed overwrites it with 0. Here it is done everywhere.

    A pixel of weight 0 is empty and never a value: images that do not touch the region can be left
    out of the stack. (Without masks the peer takes empty pixels for zeros.) One image: minmed
    returns it (the peer refuses). The result at a pixel depends on nothing but the stack within
    :func:`margin` pixels.
    """
    n, ny, nx = stack.shape
    if kind == SUM:
        out[:] = 0.0
        for image in stack:
            np.add(out, image, out=out, where=np.isfinite(image))
        return
    minmed = kind in (MINMED, IMINMED)
    total_n = n_images if n_images > 0 else n
    average = kind in (MEAN, IMEAN) or (minmed and total_n == 2)
    limits = (-np.inf, np.inf) if minmed else (lthresh, hthresh)
    drop = (0, 1 if total_n > 2 else 0) if minmed else (nlow, nhigh)
    lines, flat = stack.reshape(n, -1), out.reshape(-1)
    least_weight = np.maximum(maskpt_weight, 0.0)
    sums = np.empty(_LANE, np.float32), np.empty(_LANE), np.empty(_LANE)
    count = np.empty(ny * nx, np.int32)
    lowest = np.empty(ny * nx if minmed else 0, np.float32)
    flags = np.empty(ny * nx if minmed else 0, np.uint8)
    _combine(
        lines, weight.reshape(n, -1), least_weight, _exchanges(n), average, minmed, *map(np.float32, limits),
        *_kept_ranks(n, *drop, relax=not average), sky / exptime, read_noise * read_noise, float(nsigma1),
        float(nsigma2), np.empty((n, _LANE), np.float32), sums, count, flat, lowest, flags,
    )  # fmt: skip
    if kind in (IMEDIAN, IMEAN, IMINMED):
        _fill_empty(lines, count, flat)
    if minmed:
        far_below = (flags & 1) != 0
        if grow > 0:
            near = _near(far_below.reshape(ny, nx), int(grow)).reshape(-1)
            far_below = np.where(near, (flags & 2) != 0, far_below)
        np.copyto(flat, lowest, where=far_below)

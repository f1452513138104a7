"""Combination of the separately drizzled images into one clean image, pixel by pixel."""

import math

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
def _exchange(lower, upper):
    """Put the smaller of each pair in `lower`, the larger in `upper`."""
    for c in range(lower.size):
        a = lower[c]
        b = upper[c]
        lower[c] = a if a < b else b
        upper[c] = b if a < b else a


@inner
def _sort_columns(values, size):
    """Sort each of the first `size` columns of `values` (Batcher's merge exchange; Knuth vol. 3, 5.2.2 M)."""
    n = values.shape[0]
    top = 1
    while top * 2 < n:
        top *= 2
    p = top
    while p > 0 and n > 1:
        q = top
        r = 0
        d = p
        while True:
            for i in range(n - d):
                if (i & p) == r:
                    _exchange(values[i, :size], values[i + d, :size])
            if q == p:
                break
            d = q - p
            q //= 2
            r = p
        p //= 2


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


@inner
def _kept_ranks(n, nlow, nhigh, relax, first, last):
    """Fill, per number of good values, the ranks kept: first <= rank <= last (none if last < first)."""
    for good_n in range(n + 1):
        low = nlow
        high = nhigh
        if relax:
            while good_n > 0 and low + high >= good_n:
                high = max(high - 1, 0)
                low = max(low - 1, 0)
        first[good_n] = low
        last[good_n] = good_n - high - 1


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


@inner
def _fill_empty(stack, j, i0, count, out):
    """Where no value is good, take the first one of the stack that is neither 0 nor NaN nor inf."""
    for c in range(out.size):
        if count[c] == 0:
            for k in range(stack.shape[0]):
                v = stack[k, j, i0 + c]
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


@inner
def _mark_near(flags, grow):
    """Set bit 2 within `grow` pixels of each bit 0."""
    ny, nx = flags.shape
    for j in range(ny):
        for i in range(nx):
            if flags[j, i] & 1:
                for jj in range(max(j - grow, 0), min(j + grow + 1, ny)):
                    for ii in range(max(i - grow, 0), min(i + grow + 1, nx)):
                        flags[jj, ii] |= 4


@kernel
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
    minmed = kind in (MINMED, IMINMED)
    fill = kind in (IMEDIAN, IMEAN, IMINMED)
    total_n = n_images if n_images > 0 else n
    average = kind in (MEAN, IMEAN) or (minmed and total_n == 2)
    drop_low = nlow
    drop_high = nhigh
    low_limit = np.float32(lthresh)
    high_limit = np.float32(hthresh)
    if minmed:
        drop_low = 0
        drop_high = 1 if total_n > 2 else 0
        low_limit = -_INF
        high_limit = _INF
    if kind == SUM:
        for j in range(ny):
            for i in range(nx):
                total = np.float32(0.0)
                for k in range(n):
                    if abs(stack[k, j, i]) < _INF:
                        total += stack[k, j, i]
                out[j, i] = total
        return

    first = np.empty(n + 1, np.int32)
    last = np.empty(n + 1, np.int32)
    _kept_ranks(n, drop_low, drop_high, not average, first, last)
    first[0] = 0
    last[0] = -1
    values = np.empty((n, _LANE), np.float32)
    count = np.empty(_LANE, np.int32)
    total_weight = np.empty(_LANE, np.float32)
    background = np.empty(_LANE, np.float64)
    noise2 = np.empty(_LANE, np.float64)
    height = ny if minmed else 0
    lowest = np.empty((height, nx), np.float32)
    flags = np.empty((height, nx), np.uint8)

    for j in range(ny):
        for i0 in range(0, nx, _LANE):
            i1 = min(i0 + _LANE, nx)
            size = i1 - i0
            for c in range(size):
                count[c] = 0
                total_weight[c] = 0.0
                background[c] = 0.0
                noise2[c] = 0.0
            for k in range(n):
                row = stack[k, j, i0:i1]
                w = weight[k, j, i0:i1]
                _take_good(row, w, max(maskpt_weight[k], 0.0), low_limit, high_limit, values[k, :size], count)
                if minmed:
                    rate = sky[k] / exptime[k]
                    rn2 = read_noise[k] * read_noise[k]
                    _add_noise(row, w, values[k, :size], rate, rn2, total_weight, background, noise2)
            _sort_columns(values, size)
            row_out = out[j, i0:i1]
            if average:
                _pick_mean(values, count, first, last, row_out)
            else:
                _pick_median(values, count, first, last, row_out)
            if fill:
                _fill_empty(stack, j, i0, count, row_out)
            if minmed:
                least = lowest[j, i0:i1]
                for c in range(size):
                    least[c] = values[0, c]
                _compare_minimum(
                    row_out,
                    least,
                    count,
                    total_weight,
                    background,
                    noise2,
                    nsigma1,
                    nsigma2,
                    flags[j, i0:i1],
                )

    if minmed:
        if grow > 0:
            _mark_near(flags, grow)
        for j in range(ny):
            for i in range(nx):
                flag = flags[j, i]
                if (flag & 2) if (flag & 4) else (flag & 1):
                    out[j, i] = lowest[j, i]

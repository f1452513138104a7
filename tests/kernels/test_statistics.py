"""Clipped statistics: the NumPy twin states the definition, DrizzlePac's ImageStats confirms it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drizzlewb.kernels.statistics import MEDIAN, MODE, clipped_statistics, histogram, only_good

INF = np.inf


def twin(values, nclip, lower_sigma, upper_sigma, lower=-INF, upper=INF, binwidth=0.1):
    """Rounds of clipping about the mean; then median, and mode from a histogram of the clipped range."""
    v = values[np.isfinite(values)].astype(np.float64)
    low, high = lower, upper
    for turn in range(nclip + 1):
        kept = v[(v >= low) & (v <= high)]
        mean = float(np.float32(kept.mean()))
        stddev = float(np.float32(kept.std(ddof=1))) if len(kept) > 1 else 0.0
        if turn < nclip:
            low = max(lower, np.float32(mean - lower_sigma * stddev))
            high = min(upper, np.float32(mean + upper_sigma * stddev))
    least, most = kept.min(), kept.max()
    width = binwidth * stddev
    if not (1.2e-6 < width <= most - least):
        return len(kept), mean, np.median(kept), least + 0.5 * width, stddev
    n = int((most - least) / width) + 1
    step = np.float32((most - least) / (n - 1))
    low32 = np.float32(least)
    place = np.float32(1) / step * (values[np.isfinite(values)] - low32)
    bins = np.bincount(place[(place >= 0) & (place < n)].astype(int), minlength=n)
    k = int(bins.argmax())
    if n == 2 and bins[0] == bins[1]:
        return len(kept), mean, np.median(kept), least + width, stddev
    shift = 0.0
    if 0 < k < n - 1:
        left, right = bins[k] - bins[k - 1], bins[k] - bins[k + 1]
        shift = 0.5 * (left - right) / (left + right) if left + right else 0.0
    return len(kept), mean, np.median(kept), least + (k + 0.5 + shift) * width, stddev


def sky_with_stars(size, seed=1):
    rng = np.random.default_rng(seed)
    values = rng.normal(100.0, 14.0, size)
    hit = rng.random(size) < 0.03
    values[hit] += rng.exponential(800.0, hit.sum())
    return values.astype(np.float32)


@pytest.mark.parametrize("size", [1, 2, 3, 100, 5001, 65535, 65536, 200_000])
@pytest.mark.parametrize(("nclip", "sigma"), [(0, 3.0), (3, 3.0), (5, 4.0)])
def test_equals_its_twin(size, nclip, sigma):
    # Sums: ours in float32 within 16,000 values about a centre, the twin's in float64.
    values = sky_with_stars(size)
    ours = clipped_statistics(values, nclip, sigma, sigma, -INF, INF, 0.1, MEDIAN | MODE)
    n, mean, median, mode, stddev = twin(values, nclip, sigma, sigma)
    assert ours.n == n
    assert ours.mean == pytest.approx(mean, rel=1e-6)
    assert ours.stddev == pytest.approx(stddev, rel=1e-6)
    assert ours.median == pytest.approx(median, rel=1e-7)  # exact but for float32
    assert ours.mode == pytest.approx(mode, abs=1e-6 * max(stddev, 1.0))


@pytest.mark.parametrize("sigma", [0.5, 1.5])
def test_clipping_into_the_core_falls_back_to_full_passes(sigma):
    values = sky_with_stars(150_000)
    ours = clipped_statistics(values, 2, sigma, sigma, -INF, INF, 0.1, MEDIAN)
    n, mean, median, _, stddev = twin(values, 2, sigma, sigma)
    assert ours[:3] == (n, pytest.approx(mean, rel=1e-6), pytest.approx(median, rel=1e-7))
    assert ours.stddev == pytest.approx(stddev, rel=1e-6)


def test_a_sample_that_misleads_does_not_matter():
    # Every value that the evenly spaced sample sees is 5 sigma off the others.
    values = sky_with_stars(16384 * 8)
    values[::8] += 70.0
    ours = clipped_statistics(values, 5, 4.0, 4.0, -INF, INF, 0.1, MEDIAN)
    n, _, median, _, _ = twin(values, 5, 4.0, 4.0)
    assert (ours.n, ours.median) == (n, pytest.approx(median, rel=1e-7))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=60), st.integers(0, 4))
def test_any_short_list(numbers, nclip):
    values = np.array(numbers, np.float32)
    ours = clipped_statistics(values, nclip, 3.0, 3.0, -INF, INF, 0.1, MEDIAN)
    kept = values[(values >= values.min()) & (values <= values.max())].astype(np.float64)
    assert 1 <= ours.n <= len(kept)
    assert values.min() <= ours.median <= values.max()
    if nclip == 0:
        assert ours.n == len(values)
        assert ours.median == np.float32(np.median(values))


@pytest.mark.parametrize("size", [500, 80_000])
def test_bad_pixels_are_left_out(size):
    values = sky_with_stars(size)
    spoiled = np.concatenate(
        [values[: size // 2], np.array([np.nan, INF, -INF], np.float32), values[size // 2 :]]
    )
    clean = clipped_statistics(values, 5, 4.0, 4.0, -INF, INF, 0.1, MEDIAN | MODE)
    dirty = clipped_statistics(spoiled, 5, 4.0, 4.0, -INF, INF, 0.1, MEDIAN | MODE)
    assert dirty == pytest.approx(clean, rel=1e-6)


def test_limits_hold_in_every_round():
    values = np.arange(100, dtype=np.float32)
    ours = clipped_statistics(values, 0, 3.0, 3.0, 10.0, 20.0, 0.1, MEDIAN | MODE)
    assert (ours.n, ours.mean, ours.median, ours.min, ours.max) == (11, 15.0, 15.0, 10.0, 20.0)


def test_nothing_left():
    values = np.full(10, np.nan, np.float32)
    ours = clipped_statistics(values, 5, 4.0, 4.0, -INF, INF, 0.1, MEDIAN | MODE)
    assert ours.n == 0
    assert np.isnan(ours.median)
    assert clipped_statistics(values[:0], 5, 4.0, 4.0, -INF, INF, 0.1, MEDIAN).n == 0


@pytest.mark.parametrize("size", [50, 70_000])
def test_equal_values(size):
    ours = clipped_statistics(np.full(size, 7.0, np.float32), 5, 4.0, 4.0, -INF, INF, 0.1, MEDIAN | MODE)
    assert (ours.n, ours.mean, ours.median, ours.mode, ours.stddev) == (size, 7.0, 7.0, 7.0, 0.0)


def test_only_good():
    values = np.array([1, 2, np.nan, 4, INF, 6], np.float32)
    good = np.array([1, 0, 1, 1, 1, 255], np.uint8)
    out = np.empty_like(values)
    only_good(values, good, out)
    np.testing.assert_array_equal(out, np.array([1, np.nan, np.nan, 4, INF, 6], np.float32))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 0.999])
def test_bad_pixels_as_nan_give_what_the_good_ones_give(share):
    values = sky_with_stars(200_000)
    good = (np.random.default_rng(2).random(values.size) >= share).astype(np.uint8)
    masked = np.empty_like(values)
    only_good(values, good, masked)
    ours = clipped_statistics(masked, 5, 4.0, 4.0, -INF, INF, 0.1, MEDIAN | MODE)
    assert ours == pytest.approx(
        clipped_statistics(values[good != 0], 5, 4.0, 4.0, -INF, INF, 0.1, MEDIAN | MODE), rel=1e-6
    )
    n, _, median, _, _ = twin(values[good != 0], 5, 4.0, 4.0)
    assert (ours.n, ours.median) == (n, pytest.approx(median, rel=1e-7))


def test_clipping_that_leaves_nothing():
    # Half of the values are 0, half are 1: with limits of 0.1 sigma the second round has none left.
    values = np.tile(np.array([0.0, 1.0], np.float32), 100_000)
    assert clipped_statistics(values, 3, 0.1, 0.1, -INF, INF, 0.1, MEDIAN | MODE).n == 0


@pytest.mark.parametrize("extra", [0, 1, 31, 63])
def test_every_value_counts_wherever_it_stands(extra):
    # whole blocks of 64 and what is left; the largest and the smallest come first or last
    values = np.random.default_rng(extra).normal(0.0, 1.0, 64 * 1200 + extra).astype(np.float32)
    for place in (0, -1):
        values[place] = 3.5
        ours = clipped_statistics(values, 0, 3.0, 3.0, -INF, INF, 0.1, MEDIAN | MODE)
        n, mean, median, _, stddev = twin(values, 0, 3.0, 3.0)
        assert (ours.n, ours.median) == (n, pytest.approx(median, rel=1e-7, abs=1e-9))
        assert ours.mean == pytest.approx(mean, abs=1e-7)
        assert ours.stddev == pytest.approx(stddev, rel=1e-6)
        assert (ours.min, ours.max) == (values.min(), values.max())


@pytest.mark.parametrize("size", [1000, 50_001, 300_000])
@pytest.mark.parametrize(("nclip", "sigma"), [(0, 3.0), (3, 3.0), (5, 4.0)])
def test_equals_imagestats(size, nclip, sigma):
    # The peer rounds mean and squares to float32: a few 1e-7 of the sums, hence 1e-6.
    imagestats = pytest.importorskip("stsci.imagestats")
    values = sky_with_stars(size)
    # the peer's min and max depend on the first element: put it inside the clipped range
    values[0] = 100.0
    peer = imagestats.ImageStats(
        values,
        fields="npix,mean,median,mode,stddev,min,max",
        nclip=nclip,
        lsig=sigma,
        usig=sigma,
        binwidth=0.1,
    )
    ours = clipped_statistics(values, nclip, sigma, sigma, -INF, INF, 0.1, MEDIAN | MODE)
    assert (ours.n, ours.median, ours.min, ours.max) == (peer.npix, peer.median, peer.min, peer.max)
    assert ours.mean == pytest.approx(peer.mean, rel=1e-6)
    assert ours.stddev == pytest.approx(peer.stddev, rel=1e-6)
    assert ours.mode == pytest.approx(peer.mode, abs=1e-5 * peer.stddev)


def test_histogram_counts_in_float32():
    rng = np.random.default_rng(3)
    values = rng.normal(5.0, 2.0, 3000).astype(np.float32)
    values[::100] = np.nan
    low, scale = np.float32(-1.0), np.float32(7.3)
    place = np.floor(scale * (values - low))
    inside = (place >= 0) & (place < 80)
    expected = np.bincount(place[inside].astype(int), minlength=80)
    np.testing.assert_array_equal(histogram(values, low, scale, 80), expected)

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from drizzlewb.kernels.matching import (
    Pairing,
    find_peak,
    histogram_peak,
    match_pairs,
    offset_histogram,
)


def twin_histogram(xy, ref, radius):
    """All differences at once, as the peer forms them."""
    r = int(np.ceil(radius))
    dx = np.subtract.outer(xy[:, 0], ref[:, 0]).ravel()
    dy = np.subtract.outer(xy[:, 1], ref[:, 1]).ravel()
    edges = np.arange(-r - 0.5, r + 1)
    inside = (dx < r + 0.5) & (dy < r + 0.5)
    return np.histogram2d(dy[inside], dx[inside], [edges, edges])[0]


def lists(n_common, n_other, offset, seed=0, size=1000.0, scatter=0.05):
    rng = np.random.default_rng(seed)
    ref = rng.uniform(0, size, (n_common + n_other, 2))
    xy = rng.uniform(0, size, (n_common + n_other, 2))
    xy[:n_common] = ref[:n_common] + offset + rng.normal(0, scatter, (n_common, 2))
    return xy, ref


class TestOffsetHistogram:
    @settings(max_examples=30, deadline=None)
    @given(
        st.integers(0, 2**31),
        st.integers(1, 60),
        st.integers(1, 60),
        st.sampled_from([0.7, 3.0, 17.0, 200.0]),
        st.sampled_from([5.0, 300.0]),
    )
    def test_equals_its_twin(self, seed, n, m, radius, size):
        rng = np.random.default_rng(seed)
        xy, ref = rng.uniform(-size, size, (n, 2)), rng.uniform(-size, size, (m, 2))
        assert_array_equal(offset_histogram(xy, ref, radius), twin_histogram(xy, ref, radius))

    def test_no_sources_no_counts(self):
        assert offset_histogram(np.empty((0, 2)), np.ones((3, 2)), 4).sum() == 0

    def test_60000_sources_need_no_pair_matrix(self):
        # All differences would take 2 x 29 GB.
        rng = np.random.default_rng(1)
        xy, ref = rng.uniform(0, 4096, (60_000, 2)), rng.uniform(0, 4096, (60_000, 2))
        offset_histogram(xy[:10], ref, 20)
        tracemalloc.start()
        counts = offset_histogram(xy, ref, 20)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 30e6
        expected = 60_000**2 * 41**2 / 4096**2
        assert_allclose(counts.sum(), expected, rtol=0.03)


class TestFindPeak:
    @pytest.mark.parametrize(("common", "other"), [(15, 0), (15, 60), (150, 1500)])
    @pytest.mark.parametrize("offset", [(0.0, 0.0), (7.3, -12.6), (-19.2, 3.4)])
    def test_finds_the_offset(self, common, other, offset):
        xy, ref = lists(common, other, offset)
        peak, counts = find_peak(xy, ref, 20)
        assert_allclose([peak.dx, peak.dy], offset, atol=0.7)
        assert peak.pairs >= 0.9 * common
        assert peak.contrast > 2
        assert counts.shape == (41, 41)

    def test_lists_without_common_stars_give_no_contrast(self):
        contrasts = [find_peak(*lists(0, 1500, (0, 0), seed=s), 20)[0].contrast for s in range(20)]
        assert max(contrasts) < 1.5

    def test_two_offsets_are_seen_as_rivals(self):
        xy, ref = lists(150, 300, (5.0, 5.0))
        xy = np.concatenate([xy, xy[:140] - [14.0, 2.0]])
        peak, _ = find_peak(xy, ref, 20)
        assert peak.runner_up > 100
        assert peak.contrast < 1.5

    def test_a_peak_at_the_border_is_marked(self):
        xy, ref = lists(60, 30, (20.0, 0.0))
        assert find_peak(xy, ref, 20)[0].at_edge

    def test_nothing_within_the_radius(self):
        peak, counts = find_peak(np.zeros((5, 2)), np.full((5, 2), 100.0), 20)
        assert peak is None
        assert counts.sum() == 0

    def test_the_same_lists_give_the_same_answer(self):
        xy, ref = lists(30, 300, (3, 3))
        assert find_peak(xy, ref, 20)[0] == find_peak(xy, ref, 20)[0]

    def test_background_is_the_mean_outside_the_peak(self):
        counts = np.full((41, 41), 7)
        counts[20, 20] = 100
        peak = histogram_peak(counts)
        assert peak.background == 63
        assert peak.pairs == 63 + 93
        assert_allclose(peak.significance, 93 / np.sqrt(63))


def twin_pairs(xy, ref, tolerance):
    distance = np.hypot(*(xy[:, None] - ref[None]).transpose(2, 0, 1))
    pairs = []
    for i in range(len(xy)):
        j = distance[i].argmin()
        if distance[i, j] < tolerance and distance[:, j].argmin() == i:
            pairs.append((i, j))
    return np.array(pairs).reshape(-1, 2)


class TestMatchPairs:
    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 2**31), st.integers(1, 50), st.integers(1, 50))
    def test_equals_its_twin(self, seed, n, m):
        rng = np.random.default_rng(seed)
        xy, ref = rng.uniform(0, 12, (n, 2)), rng.uniform(0, 12, (m, 2))
        i, j = match_pairs(xy, ref, 1.0)
        assert_array_equal(np.column_stack([i, j]), twin_pairs(xy, ref, 1.0))

    def test_again_with_better_places(self):
        """A pairing that is asked twice answers as two that are asked once."""
        xy, ref = lists(300, 200, (2.3, -0.4), seed=2, size=300)
        mags = np.random.default_rng(0).uniform(0, 1, (2, len(xy)))
        pairing = Pairing(xy, ref, 0.5, mags[0], mags[1])
        for shift in ((0.0, 0.0), (2.0, 0.0), (2.3, -0.4)):
            expected = match_pairs(xy, ref + shift, 1.0, 0.5, mags[0], mags[1])
            for a, b in zip(pairing.pairs(ref + shift, 1.0), expected, strict=True):
                assert_array_equal(a, b)
        assert len(expected[0]) > 250

    def test_one_to_one(self):
        xy, ref = lists(500, 500, (0, 0), size=80)
        i, j = match_pairs(xy, ref, 1.0, separation=0.5)
        assert len(np.unique(i)) == len(i)
        assert len(np.unique(j)) == len(j)
        assert (np.hypot(*(xy[i] - ref[j]).T) < 1.0).all()

    def test_of_two_close_sources_the_better_is_matched(self):
        xy = np.array([[10.0, 10.0], [10.3, 10.0], [50.0, 50.0]])
        ref = np.array([[10.0, 10.0], [50.2, 50.0]])
        i, j = match_pairs(xy, ref, 1.0, separation=0.5, priority=[1.0, 5.0, 1.0])
        assert_array_equal(i, [1, 2])
        assert_array_equal(j, [0, 1])

    def test_empty_lists(self):
        i, j = match_pairs(np.empty((0, 2)), np.ones((2, 2)), 1.0)
        assert len(i) == len(j) == 0

    def test_same_pairs_as_xyxymatch(self):
        stimage = pytest.importorskip("stsci.stimage")
        xy, ref = lists(400, 200, (3.2, -1.1), seed=5, size=900)
        theirs = stimage.xyxymatch(xy, ref, origin=(3.2, -1.1), tolerance=1.0, separation=0.5)
        i, j = match_pairs(xy - [3.2, -1.1], ref, 1.0, separation=0.5)
        expected = set(zip(theirs["input_idx"].tolist(), theirs["ref_idx"].tolist(), strict=True))
        # Only of close doubles may the two keep different members.
        assert len(expected ^ set(zip(i.tolist(), j.tolist(), strict=True))) <= 2
        assert len(expected) >= 395

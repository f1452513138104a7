"""Neighbours against all distances at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from drizzlewb.kernels.neighbours import cells, nearest, thin


def distances(a, b):
    return np.hypot(*(a[:, None] - b[None]).transpose(2, 0, 1))


class TestNearest:
    @settings(max_examples=60, deadline=None)
    @given(
        st.integers(0, 2**31),
        st.integers(0, 60),
        st.integers(0, 60),
        st.sampled_from([0.3, 1.0, 40.0]),
        st.sampled_from([1.0, 12.0, 3000.0]),
    )
    def test_equals_its_twin(self, seed, n, m, radius, size):
        rng = np.random.default_rng(seed)
        points, among = rng.uniform(-size, size, (n, 2)), rng.uniform(-size, size, (m, 2))
        found = nearest(points, among, radius)
        assert len(found) == n
        if not m:
            assert (found == -1).all()
            return
        apart = distances(points, among)
        expected = np.where(apart.min(1) < radius, apart.argmin(1), -1)
        assert_array_equal(found, expected)

    def test_among_may_reach_much_farther(self):
        rng = np.random.default_rng(0)
        points = rng.uniform(0, 100, (500, 2))
        among = np.concatenate([rng.uniform(-1e9, 1e9, (2000, 2)), points + 0.1])
        assert_array_equal(nearest(points, among, 1e-6 + np.hypot(0.1, 0.1)), np.arange(500) + 2000)

    def test_ties_and_positions_that_are_not_finite(self):
        among = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 0.0], [np.nan, 1.0], [np.inf, 0.0]])
        points = np.array([[1.0, 0.0], [2.0, 0.0], [np.nan, 0.0], [np.inf, 3.0]])
        assert_array_equal(nearest(points, among, 5.0), [0, 1, -1, -1])
        # Closer than the radius, not as close as it.
        assert_array_equal(nearest(points[:1], among, 1.0), [-1])

    def test_one_point_and_points_on_a_line(self):
        assert_array_equal(nearest(np.zeros((1, 2)), np.zeros((1, 2)), 0.5), [0])
        line = np.column_stack([np.arange(1000.0), np.zeros(1000)])
        assert_array_equal(nearest(line + [0.2, 0.0], line, 0.4), np.arange(1000))


def test_cells_hold_their_points():
    points = np.random.default_rng(1).uniform(-50, 700, (400, 2))
    c = cells(points, 30.0)
    assert_array_equal(np.column_stack([c.x, c.y]), points[c.order])
    assert c.starts[-1] == 400
    assert c.starts.size == c.nx * c.ny + 1
    for k in range(c.nx * c.ny):
        inside = slice(c.starts[k], c.starts[k + 1])
        assert ((c.x[inside] - c.x0) // c.size == k % c.nx).all()
        assert ((c.y[inside] - c.y0) // c.size == k // c.nx).all()


def twin_thin(xy, separation, priority):
    keep = np.ones(len(xy), bool)
    order = np.argsort(-priority, kind="stable")
    for place, k in enumerate(order):
        if keep[k]:
            worse = order[place + 1 :]
            keep[worse[distances(xy[[k]], xy[worse])[0] <= separation]] = False
    return keep


class TestThin:
    def test_chain_keeps_both_ends(self):
        xy = np.array([[0.0, 0], [0.4, 0], [0.8, 0]])
        assert_array_equal(thin(xy, 0.5), [True, False, True])
        assert_array_equal(thin(xy, 0.5, priority=[1, 9, 2]), [False, True, False])

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 2**31), st.integers(0, 60))
    def test_what_stays_is_apart_and_what_goes_was_close(self, seed, n):
        xy = np.random.default_rng(seed).uniform(0, 6, (n, 2))
        keep = thin(xy, 0.5)
        if n == 0:
            assert len(keep) == 0
            return
        kept = xy[keep]
        between = np.hypot(*(kept[:, None] - kept[None]).transpose(2, 0, 1))
        assert (between[~np.eye(len(kept), dtype=bool)] > 0.5).all()
        assert all((np.hypot(*(kept - p).T) <= 0.5).any() for p in xy[~keep])

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 2**31), st.integers(1, 80), st.sampled_from([0.2, 1.0, 30.0]), st.booleans())
    def test_equals_its_twin(self, seed, n, separation, equal):
        rng = np.random.default_rng(seed)
        xy = rng.uniform(0, 10, (n, 2))
        priority = np.ones(n) if equal else rng.integers(0, 5, n).astype(float)
        assert_array_equal(thin(xy, separation, priority), twin_thin(xy, separation, priority))

    @pytest.mark.parametrize("n", [0, 1])
    def test_short_lists(self, n):
        assert_array_equal(thin(np.zeros((n, 2)), 1.0), np.ones(n, bool))

"""Block histograms: exact counts, overlaps by polygon, statistics close to those of the pixels."""

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from drizzlewb.kernels.blocks import (
    N_BINS,
    bin_edges,
    block_histograms,
    histogram_statistics,
    overlap_histogram,
)
from drizzlewb.kernels.statistics import MEDIAN, MODE, clipped_statistics

INF = np.inf
CENTRE, WIDTH = 100.0, 0.7


@pytest.fixture(scope="module")
def chip():
    rng = np.random.default_rng(7)
    sci = rng.normal(CENTRE, 14.0, (300, 410)).astype(np.float32)
    hit = rng.random(sci.shape) < 0.03
    sci[hit] += rng.exponential(3000.0, hit.sum()).astype(np.float32)
    sci[5, 7], sci[6, 9], sci[8, 8] = np.nan, INF, -4.0e7
    good = (rng.random(sci.shape) > 0.1).astype(np.uint8)
    good[8, 8] = 1
    return sci, good


def histograms(chip, block):
    sci, good = chip
    counts = np.empty((-(-sci.shape[0] // block), -(-sci.shape[1] // block), N_BINS), np.uint16)
    block_histograms(sci, good, block, CENTRE, WIDTH, counts)
    return counts


def test_edges_ascend_and_reach_far():
    edges = bin_edges(CENTRE, WIDTH)
    assert len(edges) == N_BINS + 1
    assert (np.diff(edges) > 0).all()
    assert edges[-1] - CENTRE == CENTRE - edges[0] == 120 * WIDTH * 2**14


@pytest.mark.parametrize("block", [16, 100, 255])
def test_counts_equal_numpys(chip, block):
    sci, good = chip
    counts = histograms(chip, block)
    edges = bin_edges(CENTRE, WIDTH)
    edges[0], edges[-1] = -INF, INF  # what lies outside belongs to the outermost bins
    for j in range(counts.shape[0]):
        for i in range(counts.shape[1]):
            box = np.s_[j * block : (j + 1) * block, i * block : (i + 1) * block]
            values = sci[box][(good[box] != 0) & np.isfinite(sci[box])].astype(np.float64)
            place = np.searchsorted(edges, values, side="right") - 1
            expected = np.bincount(place, minlength=N_BINS)
            # the kernel divides in float32: a value on an edge may fall on its other side
            assert np.abs(counts[j, i] - expected).sum() <= 2
            assert counts[j, i].sum() == len(values)


def test_overlap_takes_blocks_whose_centre_is_inside(chip):
    counts = histograms(chip, 16)
    y, x = np.mgrid[: counts.shape[0], : counts.shape[1]] * 16.0 + 7.5
    corners = np.array([(20.0, 30.0), (300.0, 10.0), (350.0, 250.0), (180.0, 200.0), (60.0, 290.0)])
    inside = Outline(corners).contains_points(np.c_[x.ravel(), y.ravel()]).reshape(x.shape)
    out = np.full(N_BINS, 99, np.int32)
    overlap_histogram(counts, x, y, corners[:, 0].copy(), corners[:, 1].copy(), out)
    assert 0 < inside.sum() < inside.size
    assert (out == counts[inside].sum(axis=0)).all()


@pytest.mark.parametrize(("nclip", "sigma"), [(0, 3.0), (3, 3.0), (5, 4.0)])
def test_statistics_are_those_of_the_pixels(chip, nclip, sigma):
    # Bins of sigma/20 with pixels spread evenly inside: 0.01 sigma on the median of 110,000 pixels is
    # three times its own error; limits fall inside coarse bins beyond 6 sigma: 2 % on the spread.
    sci, good = chip
    values = sci[(good != 0) & np.isfinite(sci) & (sci > -1e6)]
    exact = clipped_statistics(values, nclip, sigma, sigma, -INF, INF, 0.1, MEDIAN | MODE)
    merged = histograms(chip, 100).sum(axis=(0, 1), dtype=np.int32)
    merged[0] = 0
    ours = histogram_statistics(
        merged, bin_edges(CENTRE, WIDTH), nclip, sigma, sigma, -INF, INF, 0.1, MEDIAN | MODE
    )
    assert ours.n == pytest.approx(exact.n, rel=2e-3)
    assert ours.stddev == pytest.approx(exact.stddev, rel=0.02)
    assert ours.median == pytest.approx(exact.median, abs=0.01 * 14.0)
    assert ours.mean == pytest.approx(exact.mean, abs=0.01 * exact.stddev)
    if nclip:
        # the mode's own scatter: bins of 0.1 sigma, 5,000 pixels in the highest
        assert ours.mode == pytest.approx(exact.mode, abs=0.2 * 14.0)


def test_statistics_of_nothing():
    empty = np.zeros(N_BINS, np.int32)
    assert histogram_statistics(empty, bin_edges(0.0, 1.0), 5, 4.0, 4.0, -INF, INF, 0.1, MEDIAN).n == 0


def test_limits_in_electrons(chip):
    sci, good = chip
    merged = histograms(chip, 100).sum(axis=(0, 1), dtype=np.int32)
    ours = histogram_statistics(merged, bin_edges(CENTRE, WIDTH), 0, 3.0, 3.0, 80.0, 120.0, 0.1, MEDIAN)
    values = sci[(good != 0) & (sci >= 80) & (sci <= 120)]
    assert ours.n == pytest.approx(len(values), rel=2e-3)
    assert 80 <= ours.min < ours.max <= 120

import dataclasses
import math

import numpy as np
import pytest
from alignments import aligned_session
from hypothesis import given
from hypothesis import strategies as st

from drizzlewb.views import residuals as r

finite = st.floats(-1e4, 1e4, allow_nan=False)


@pytest.fixture(scope="module")
def session(tiny_set):
    return aligned_session(tiny_set)


@pytest.fixture(scope="module")
def second(session):
    """Alignment and residuals of an exposure of the other visit."""
    solution = session.solution
    k = 2
    assert solution.alignments[k].rootname.startswith("j8ny02")
    return solution.alignments[k], r.residuals_of(solution.alignments[k], solution.originals[k])


def test_residuals_are_those_of_the_fit_at_the_places_of_the_sources(second):
    alignment, found = second
    fit, sources = alignment.fit, alignment.sources
    assert len(found) == len(fit.residuals) >= 30
    np.testing.assert_array_equal(np.column_stack([found.dx, found.dy]), fit.residuals)
    np.testing.assert_array_equal(found.chip_x, sources.x[alignment.index])
    np.testing.assert_array_equal(found.mag, sources.mag[alignment.index])
    assert (found.rms_x, found.rms_y) == fit.rms_xy
    # The model, evaluated by hand.
    model = (alignment.ref_xy - fit.center) @ fit.matrix.T + fit.center + fit.shift
    np.testing.assert_allclose(np.column_stack([found.x, found.y]) - model, fit.residuals, atol=1e-9)
    assert set(found.extver) == {1, 2}


def test_the_extension_is_that_of_the_chip(second, session):
    alignment, found = second
    chips = session.solution.originals[2].chips
    for k, extver in zip(alignment.sources.chip[alignment.index], found.extver, strict=True):
        assert chips[k].extver == extver


def test_reference_and_refused_have_no_residuals(session, second):
    solution = session.solution
    assert r.residuals_of(solution.alignments[0], solution.originals[0]) is None
    refused = dataclasses.replace(second[0], fit=None)
    assert r.residuals_of(refused, solution.originals[2]) is None


def test_take_keeps_the_scatter_of_the_fit(second):
    _, found = second
    part = found.take(found.x > np.median(found.x))
    assert 0 < len(part) < len(found)
    assert part.rms_x == found.rms_x
    assert (part.x > np.median(found.x)).all()


def test_a_source_on_the_sky_alone_has_no_chip(second, session):
    alignment, _ = second
    sources = dataclasses.replace(alignment.sources, chip=np.full_like(alignment.sources.chip, -1))
    found = r.residuals_of(dataclasses.replace(alignment, sources=sources), session.solution.originals[2])
    assert (found.extver == 0).all()


@given(st.lists(st.tuples(finite, finite, finite, finite), max_size=6), st.floats(0.1, 1e4))
def test_an_arrow_begins_at_its_star_and_ends_where_it_points(rows, factor):
    x, y, dx, dy = np.array(rows, float).reshape(-1, 4).T
    px, py = r.arrow_lines(x, y, dx, dy, factor)
    assert px.shape == py.shape == (6 * len(x),)
    px, py = px.reshape(-1, 6), py.reshape(-1, 6)
    np.testing.assert_array_equal(px[:, 0], x)
    np.testing.assert_allclose(px[:, 1], x + factor * dx)
    np.testing.assert_allclose(py[:, 1], y + factor * dy)
    assert np.isnan(px[:, 5]).all()
    # Barbs are 0.3 of the arrow, at 25 degrees to either side of it.
    for k in (2, 4):
        barb = np.hypot(px[:, k] - px[:, 1], py[:, k] - py[:, 1])
        np.testing.assert_allclose(barb, 0.3 * factor * np.hypot(dx, dy), atol=1e-6 * factor, rtol=1e-6)


@pytest.mark.parametrize(("rms", "key"), [(0.015, 0.02), (0.025, 0.05), (0.1, 0.2), (0.6, 1.0), (5.0, 10.0)])
def test_key_is_a_round_length_near_two_rms(rms, key):
    assert r.key_length(rms) == pytest.approx(key)


@pytest.mark.parametrize("rms", [0.0, math.nan, -1.0])
def test_key_without_scatter(rms):
    assert r.key_length(rms) > 0


def test_range_holds_the_fit_and_is_never_tiny():
    assert r.half_range([0.1, -0.3, np.nan], 0.05) == pytest.approx(0.345)
    assert r.half_range([0.1], 0.1) == pytest.approx(0.4)
    assert r.half_range([1e-9, -1e-9], 1e-9) == 0.02
    assert r.half_range([], math.nan) == 0.02


def test_box_takes_its_edges_and_no_nan():
    x, y = [0.0, 1.0, 2.0, np.nan], [0.0, 1.0, 2.0, 1.0]
    assert r.in_box(x, y, (1.0, 0.0), (0.0, 1.0)).tolist() == [True, True, False, False]


def test_nearest_within_a_distance():
    x, y = [0.0, 10.0, np.nan], [0.0, 0.0, 0.0]
    assert r.nearest(x, y, (8.0, 0.0), 3.0) == 1
    assert r.nearest(x, y, (5.0, 5.0), 3.0) == -1
    assert r.nearest([], [], (5.0, 5.0), 3.0) == -1


def test_peak_histogram_counts_every_positive_peak_once():
    peaks = np.array([1.0, 10.0, 10.0, 1e4, np.nan, -3.0, 0.0])
    edges, counts = r.peak_histogram(peaks, 20)
    assert counts.sum() == 4
    assert len(edges) == 21
    assert edges[0] < 1.0 < 1e4 < edges[-1]
    ratios = edges[1:] / edges[:-1]
    np.testing.assert_allclose(ratios, ratios[0])


def test_one_peak_and_none():
    assert r.peak_histogram([5.0])[1].sum() == 1
    edges, counts = r.peak_histogram([])
    assert not len(edges)
    assert not len(counts)
    assert not len(r.steps_of(edges, counts)[0])


def test_outline_has_the_height_of_each_bin():
    x, y = r.steps_of(np.array([1.0, 2.0, 4.0]), np.array([3, 0]))
    assert x.tolist() == [1, 1, 2, 2, 4, 4]
    assert y.tolist() == [0.5, 3, 3, 0.5, 0.5, 0.5]


def test_pairs_around_an_offset():
    counts = np.arange(49).reshape(7, 7)
    assert r.pairs_at(counts, 1.0, -1.0) == counts[1:4, 3:6].sum()
    assert r.pairs_at(counts, 3.0, 3.0) == counts[5:, 5:].sum()
    assert r.pairs_at(counts, 4.0, 0.0) == 0
    assert r.pairs_at(np.zeros((0, 0), np.int64), 0.0, 0.0) == 0


def test_words_say_where_the_peak_is_and_how_sure(session, second):
    alignment, _ = second
    scale = session.solution.plane.scale_arcsec
    told = " ".join(r.offset_words(alignment, scale))
    assert f"{alignment.peak.pairs} pairs" in told
    assert "+7.0" in told or "+6.9" in told
    assert "clear match" in told
    weak = alignment.peak._replace(pairs=6, runner_up=6, chance=6, at_edge=True)
    start = dataclasses.replace(alignment.start, peak=weak, rotation=0.2)
    told = " ".join(r.offset_words(dataclasses.replace(alignment, start=start), scale))
    assert "not believed" in told
    assert "widen searchrad" in told
    assert "+0.200 degrees" in told


def test_words_where_there_is_no_histogram(session, second):
    alignment, _ = second
    assert "reference" in r.offset_words(session.solution.alignments[0], 0.05)[0]
    assert "No histogram" in r.offset_words(dataclasses.replace(alignment, start=None), 0.05)[0]
    by_hand = dataclasses.replace(alignment.start, peak=None, shift=np.array([1.0, -2.0]))
    told = r.offset_words(dataclasses.replace(alignment, start=by_hand), 0.05)[0]
    assert "(+1.00, -2.00)" in told

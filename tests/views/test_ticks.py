"""Round ticks, also when data, scales or marks of a figure change."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("bqplot", reason="the lab extra is absent")

import bqplot as bq

from drizzlewb.views import figures
from drizzlewb.views.ticks import log_ticks, round_ticks


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e4), st.integers(2, 9))
def test_round_ticks_are_round_even_and_within(low, span, most):
    ticks = round_ticks(low, low + span, most)
    assert 1 <= len(ticks) <= most + 1
    assert ticks.min() >= low - 1e-6 * span
    assert ticks.max() <= low + span + 1e-6 * span
    if len(ticks) > 1:
        step = ticks[1] - ticks[0]
        np.testing.assert_allclose(np.diff(ticks), step, rtol=1e-5)
        first = step / 10 ** np.floor(np.log10(step) + 1e-6)
        assert min(abs(first - m) for m in (1, 2, 5)) < 1e-4


def test_round_ticks_of_no_axis():
    assert round_ticks(-0.06, 0.06, 5).tolist() == [-0.05, 0.0, 0.05]
    assert not len(round_ticks(1.0, 1.0))
    assert not len(round_ticks(np.nan, 1.0))


def test_few_round_ticks_where_the_next_step_has_none():
    assert round_ticks(1.0, 4002.0, 2).tolist() == [2000, 4000]


def ticks(fig):
    return [np.asarray(axis.tick_values).tolist() for axis in fig.axes]


def test_ticks_follow_the_data():
    fig = figures.figure("", "x", "y", ticks=(5, 4))
    mark = figures.points(fig, [1, 12], [-16.3, 12.9])
    assert ticks(fig) == [[5, 10], [-10, 0, 10]]
    mark.y = np.array([0.0, 0.093])
    assert ticks(fig)[1] == [0, 0.05]
    figures.lines(fig, [0, 40], [np.nan, 0.4])
    assert ticks(fig) == [[0, 10, 20, 30, 40], [0, 0.1, 0.2, 0.3, 0.4]]


def test_ticks_follow_a_zoom():
    fig = figures.figure("", "x", "y", x=bq.LinearScale(min=0.0, max=512.0))
    assert ticks(fig)[0] == [0, 100, 200, 300, 400, 500]
    fig.axes[0].scale.max = 20.0
    assert ticks(fig)[0] == [0, 5, 10, 15, 20]


def test_bars_stand_on_zero_and_other_scales_keep_their_own_ticks():
    fig = figures.figure("", "exposure", "%", x=bq.OrdinalScale())
    figures.bars(fig, ["a", "b"], [1.6, 1.8])
    assert fig.axes[0].tick_values is None
    assert ticks(fig)[1] == [0, 0.5, 1, 1.5]


def test_no_data_no_ticks():
    fig = figures.figure("", "x", "y")
    figures.points(fig, [np.nan], [np.nan])
    assert ticks(fig) == [[0, 0.2, 0.4, 0.6, 0.8, 1], [0, 0.2, 0.4, 0.6, 0.8, 1]]


def test_logarithmic_axes_show_powers_of_ten():
    assert log_ticks(539.0, 84000.0).tolist() == [1000, 2000, 5000, 10000, 20000, 50000]
    assert log_ticks(0.5, 1300.0).tolist() == [1, 10, 100, 1000]
    assert not len(log_ticks(0.0, 10.0))
    fig = figures.figure("", "peak", "n", x=bq.LogScale(min=10.0, max=1e5), y=bq.LinearScale())
    assert ticks(fig)[0] == [10, 100, 1000, 10000, 100000]
    assert fig.axes[0].tick_format == "~g"


@pytest.mark.parametrize(
    ("y", "written"),
    [
        ([0.0982, 0.1049], ".3f"),
        ([0, 1.5e5], "~s"),
        ([-16, 13], ".0f"),
        ([0, 0.4], ".1f"),
        ([0, 3e-7], ".1~e"),
    ],
)
def test_ticks_can_be_told_apart(y, written):
    fig = figures.figure("", "x", "y")
    figures.points(fig, [0, 1], y)
    assert fig.axes[1].tick_format == written

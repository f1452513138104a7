import numpy as np
import pytest

pytest.importorskip("bqplot", reason="views need the lab extra")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from drizzlewb.views.drop import DropExplorer, DropFigure, drop_on_grid  # noqa: E402


def area(corners):
    x, y = corners.T
    return 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))


@given(st.floats(0.2, 2.0), st.floats(-180, 180), st.floats(0.0, 1.0))
def test_areas_and_shares(ratio, turn, pixfrac):
    made = drop_on_grid(ratio, turn, pixfrac)
    assert area(made.pixel) == pytest.approx(1 / ratio**2)
    assert area(made.drop) == pytest.approx(pixfrac**2 / ratio**2, abs=1e-12)
    assert made.share.sum() == pytest.approx(1.0)
    assert made.share.shape == (made.y.size, made.x.size)


def test_a_drop_inside_one_pixel_gives_it_all():
    made = drop_on_grid(1.0, 0.0, 0.3)
    assert made.share[made.y == 0, made.x == 0] == pytest.approx(1.0)
    spread = drop_on_grid(0.5, 0.0, 1.0, phase=(0.0, 0.0))
    assert spread.share[spread.y == 0, spread.x == 0][0] == pytest.approx(0.25, abs=0.02)
    assert spread.share[spread.y == 1, spread.x == 0][0] == pytest.approx(0.125, abs=0.02)


def test_the_figure_follows():
    fig = DropFigure()
    fig.show(0.6, 30.0, 0.5)
    first = np.array(fig.drop.x)
    fig.show(0.6, 30.0, 1.0)
    assert np.ptp(fig.drop.x) == pytest.approx(2 * np.ptp(first))
    assert np.allclose(fig.drop.x, fig.pixel.x)
    assert fig.figure.title
    assert all("output px" in axis.label for axis in fig.figure.axes)


def test_the_explorer_draws_what_its_sliders_say():
    rain = DropExplorer()
    whole = np.ptp(rain.drawn.drop.x)
    rain.pixfrac.value = 0.5
    assert np.ptp(rain.drawn.drop.x) == pytest.approx(whole / 2)
    rain.ratio.value = 0.5
    assert np.ptp(rain.drawn.drop.x) == pytest.approx(whole)

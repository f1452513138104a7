import pytest

pytest.importorskip("bqplot_image_gl", reason="the lab extra is absent")

import bqplot as bq

from drizzlewb.views import figures
from drizzlewb.views.brush import Brush


def told(brush, event, x, y):
    brush.from_mouse(None, {"event": event, "domain": {"x": x, "y": y}}, None)


def panned(brush, dx, dy):
    """What the browser sends while the mouse is dragged by shares of the axes."""
    for scale, d in zip(brush.hidden, (dx, dy), strict=True):
        scale.set_state({"min": -d, "max": 1.0 - d})


@pytest.fixture
def figure():
    scales = bq.LinearScale(min=0.0, max=10.0), bq.LinearScale(min=-1.0, max=1.0)
    return figures.figure("t", "x", "y", x=scales[0], y=scales[1])


def test_a_box_is_dragged(figure):
    brush = Brush(figure)
    told(brush, "mousemove", 2.0, 0.5)
    panned(brush, 0.3, 0.0)
    panned(brush, 0.3, -0.5)
    assert brush.brushing
    assert brush.x == pytest.approx((2.0, 5.0))
    assert brush.y == pytest.approx((-0.5, 0.5))
    told(brush, "mousemove", 5.0, -0.5)
    assert not brush.brushing
    assert brush.x == pytest.approx((2.0, 5.0))
    assert (brush.hidden[0].min, brush.hidden[0].max) == (0.0, 1.0)
    told(brush, "mousemove", 9.0, 0.0)
    assert brush.x == pytest.approx((2.0, 5.0))


def test_a_box_is_clicked_and_taken_away(figure):
    brush = Brush(figure)
    told(brush, "click", 8.0, 0.5)
    told(brush, "mousemove", 4.0, 0.0)
    assert brush.brushing
    told(brush, "click", 3.0, -0.5)
    assert not brush.brushing
    assert (brush.x, brush.y) == ((3.0, 8.0), (-0.5, 0.5))
    assert len(brush.outline.x) == 5
    told(brush, "click", 1.0, 0.0)
    told(brush, "click", 1.0, 0.0)
    assert brush.x == ()
    assert not len(brush.outline.x)


def test_ends_and_middle_of_an_interval_are_dragged(figure):
    brush = Brush(figure, interval=True)
    brush.set((2.0, 4.0))
    told(brush, "mousemove", 4.1, 0.0)
    panned(brush, 0.2, 0.0)
    told(brush, "mousemove", 6.0, 0.0)
    assert brush.x == pytest.approx((2.0, 6.1), abs=0.11)
    low, high = brush.x
    told(brush, "mousemove", 3.0, 0.0)
    panned(brush, 0.1, 0.3)
    told(brush, "mousemove", 4.0, 0.0)
    assert brush.x == pytest.approx((low + 1, high + 1))


def test_a_turned_wheel_and_nonsense_are_no_drag(figure):
    brush = Brush(figure)
    told(brush, "mousemove", 2.0, 0.5)
    brush.hidden[0].set_state({"min": -0.5, "max": 1.5})
    brush.from_mouse(None, {"event": "click"}, None)
    told(brush, "click", float("nan"), 0.0)
    assert brush.x == ()
    assert not brush.brushing

"""Drawing by clicks, as a browser sends them."""

import numpy as np
import pytest

pytest.importorskip("bqplot")

from drizzlewb.views.drawing import DrawTool, outline
from drizzlewb.views.frames import array_frame
from drizzlewb.views.image import ImageView


@pytest.fixture
def drawn():
    view = ImageView(array_frame("image", np.zeros((80, 100), np.float32)), background=False)
    done = []
    return view, DrawTool(view, lambda *what: done.append(what), width_px=6, grow_px=2), done


def mouse(view, x, y, event="click"):
    view._from_mouse(None, {"event": event, "domain": {"x": x, "y": y}}, None)


def layers(view):
    return set(view._marks)


def test_a_line_by_two_clicks_with_width_and_dilation(drawn):
    view, tool, done = drawn
    tool.shapes.value = "line"
    assert "one end" in tool.told.value
    mouse(view, 10, 20)
    assert done == []
    mouse(view, 40, 60, "mousemove")
    assert {"drawing", "drawing-points"} <= layers(view)
    tool.width.value = 8
    mouse(view, 70, 20)
    assert done == [("line", ((10.0, 20.0), (70.0, 20.0)), 12.0)]
    assert tool.shapes.value == ""
    assert not layers(view)


def test_a_polygon_closes_at_its_first_corner_or_by_the_button(drawn):
    view, tool, done = drawn
    corners = ((10.0, 10.0), (40.0, 12.0), (30.0, 40.0))
    for close in ("corner", "button"):
        tool.shapes.value = "polygon"
        for corner in corners[:2]:
            mouse(view, *corner)
        assert tool.finish.disabled
        mouse(view, *corners[2])
        assert not tool.finish.disabled
        if close == "corner":
            mouse(view, 10.5, 10.2)
        else:
            tool.finish.click()
    assert done == [("polygon", corners, 2.0)] * 2


def test_a_circle_by_centre_and_rim(drawn):
    view, tool, done = drawn
    tool.shapes.value = "circle"
    mouse(view, 50, 40)
    mouse(view, 53, 44)
    assert done == [("circle", ((50.0, 40.0),), 7.0)]


def press(view, key):
    view._from_mouse(None, {"event": "keydown", "domain": {"x": 1, "y": 1}, "key": key}, None)


def test_escape_ends_a_drawing_and_gives_the_keys_back(drawn):
    view, tool, done = drawn
    assert "keydown" not in view.mouse.events
    tool.shapes.value = "line"
    assert {"keydown", "mouseenter"} <= set(view.mouse.events)
    mouse(view, 10, 20)
    press(view, "a")
    assert tool.points == [(10.0, 20.0)]
    press(view, "Escape")
    assert (tool.points, tool.shapes.value, layers(view), done) == ([], "", set(), [])
    assert "keydown" not in view.mouse.events
    press(view, "Enter")
    assert done == []


def test_a_polygon_by_keys_backspace_takes_a_corner_back_enter_closes(drawn):
    view, tool, done = drawn
    tool.shapes.value = "polygon"
    for corner in ((10, 10), (40, 12), (99, 70)):
        mouse(view, *corner)
    press(view, "Backspace")
    press(view, "Enter")
    assert (done, len(tool.points), tool.finish.disabled) == ([], 2, True)
    mouse(view, 30, 40)
    press(view, "Enter")
    assert done == [("polygon", ((10.0, 10.0), (40.0, 12.0), (30.0, 40.0)), 2.0)]


def test_cancel_leaves_nothing(drawn):
    view, tool, done = drawn
    assert tool.cancel.disabled
    tool.shapes.value = "line"
    mouse(view, 10, 20)
    assert not tool.cancel.disabled
    tool.cancel.click()
    assert (tool.points, tool.shapes.value, layers(view)) == ([], "", set())
    mouse(view, 30, 30)  # looks, and draws nothing
    assert tool.points == []
    assert done == []


def test_another_shape_begins_anew(drawn):
    view, tool, done = drawn
    tool.shapes.value = "line"
    mouse(view, 10, 20)
    tool.set_state({})  # what a browser sends when nothing changes
    tool.shapes.value = "circle"
    assert tool.points == []
    mouse(view, 20, 20)
    mouse(view, 20, 20)  # a double click is one point
    assert done == []


def test_outlines():
    line = outline("line", [(0, 0), (10, 0)], 4)
    assert {tuple(p) for p in line.round(9)} == {(0, 2), (10, 2), (10, -2), (0, -2)}
    circle = outline("circle", [(5, 6)], 3)
    np.testing.assert_allclose(np.hypot(*(circle - (5, 6)).T), 3)
    np.testing.assert_array_equal(outline("polygon", [(0, 0), (1, 0), (1, 1)], 2), [(0, 0), (1, 0), (1, 1)])

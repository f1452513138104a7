import numpy as np
import pytest

pytest.importorskip("bqplot_image_gl", reason="the lab extra is absent")

from drizzlewb.errors import DataError
from drizzlewb.grid import Region
from drizzlewb.quality import TABLES
from drizzlewb.views.frames import Frame, array_frame
from drizzlewb.views.image import DRAG_PX, ImageView


@pytest.fixture
def frame():
    image = np.arange(40 * 60, dtype=np.float32).reshape(40, 60)
    words = np.zeros((40, 60), np.uint16)
    words[10, 20] = 16
    base = array_frame("ramp", image, unit="electrons")
    return Frame(
        "ramp", base.region, base.read, "electrons", dq=lambda box: words[box.slices()], flags=TABLES["ACS"]
    )


@pytest.fixture
def view(frame):
    return ImageView(frame, background=False)


def test_the_whole_frame_is_in_view_first_with_square_pixels(view, frame):
    assert view.visible == frame.region
    assert view.x.max - view.x.min == view.y.max - view.y.min


def test_zooming_in_the_browser_renders_what_is_in_view(view):
    before = view._picture.value
    view.x.set_state({"min": 9.5, "max": 29.5})
    view.y.set_state({"min": 4.5, "max": 24.5})
    assert view.visible == Region(5, 25, 10, 30)
    assert view._picture.value != before
    assert list(view._image.x) == [9.5, 29.5]


def test_at_most_so_many_pixels_are_sent():
    big = ImageView(array_frame("big", np.zeros((3000, 2000), np.float32)), background=False, rest_px=1024)
    assert max(big.picture()[0].shape) <= 1024
    big.show(big.frame, keep_view=True, moving=True)
    assert max(big.picture()[0].shape) <= DRAG_PX


def test_a_new_frame_may_keep_zoom_and_limits(view):
    view.look_at(Region(0, 10, 0, 10))
    view.set_limits(1, 2)
    view.show(array_frame("other", np.ones((40, 60), np.float32)), keep_view=True)
    assert view.visible == Region(0, 10, 0, 10)
    assert (view.low, view.high, view.limits_by) == (1, 2, "by hand")


def test_limits_typed_the_wrong_way_round_are_refused(view):
    low, high = view.low, view.high
    view._low.value = high + 1
    assert "must lie below" in view.readout.value
    assert (view.low, view.high) == (low, high)
    view._low.value = high - 1
    assert (view.low, view.limits_by) == (high - 1, "by hand")


def test_flags_are_tinted_by_name(view):
    before = view.picture()[0]
    view._dq_button.value = True
    view._dq_menu.value = (16,)
    assert view.dq_bits == 16
    after = view.picture()[0]
    changed = np.argwhere((before != after).any(axis=-1))
    assert changed.tolist() == [[10, 20]]
    view._dq_button.value = False
    assert view.dq_bits == 0


def test_the_pointer_is_told_place_value_and_flags(view):
    view.mouse._handle_custom_msg({"event": "mousemove", "domain": {"x": 20.2, "y": 9.7}}, [])
    assert view.cursor == (20.2, 9.7)
    assert "620 electrons" in view.readout.value
    assert "hot" in view.readout.value
    view.mouse._handle_custom_msg({"event": "mouseleave"}, [])
    assert view.cursor == ()


def test_a_click_calls_back_and_an_error_is_a_sentence(view):
    seen = []
    view.on_click(lambda x, y: seen.append((x, y)))

    def fail(x, y):
        raise DataError("no <b>star</b> here")

    view.on_click(fail)
    view.mouse._handle_custom_msg({"event": "click", "domain": {"x": 3.0, "y": 4.0}}, [])
    assert seen == [(3.0, 4.0)]
    assert "no &lt;b&gt;star" in view.readout.value


def test_a_message_without_a_place_is_passed_over(view):
    view.mouse._handle_custom_msg({"event": "click", "domain": {"x": None}}, [])
    assert view.cursor == ()


def test_layers_come_and_go(view):
    view.points("stars", [1, 2], [3, 4], label="stars")
    view.paths("outline", [[(0, 0), (5, 0), (5, 5)]])
    assert len(view.figure.marks) == 3
    assert view.figure.marks[2].x[3] == 0.0  # closed
    view.points("stars")
    view.paths("outline")
    view.paths("never there")
    assert len(view.figure.marks) == 1


def test_tinting_by_a_mask(view):
    view.tint("rays", lambda box: (np.arange(box.y0, box.y1) == 7)[:, None] * np.ones(box.shape, np.uint16))
    tinted = view.picture()[0]
    view.tint("rays", None)
    rows = np.unique(np.argwhere((tinted != view.picture()[0]).any(axis=-1))[:, 0])
    assert rows.tolist() == [7]


def test_rendering_in_the_background_ends_with_the_newest(frame):
    view = ImageView(frame)
    for k in range(20):
        view.look_at(Region(0, 10 + k, 0, 10 + k))
    for handle in view._worker.handles:
        handle.wait(10)
    assert list(view._image.x) == [-0.5, 28.5]


def test_a_frame_that_cannot_be_read_says_so():
    def read(box):
        raise DataError("the file went away")

    frame = Frame("gone", Region(0, 5, 0, 5), lambda box: np.zeros(box.shape, np.float32))
    view = ImageView(frame, background=False)
    view.frame = Frame("gone", frame.region, read)
    view._render_or_say()
    assert "went away" in view.readout.value

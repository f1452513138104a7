import threading

import numpy as np
import pytest

pytest.importorskip("bqplot_image_gl", reason="the lab extra is absent")

from drizzlewb.errors import DataError
from drizzlewb.views import stretch as stretching
from drizzlewb.views.blendview import MODES
from drizzlewb.views.clock import Clock
from drizzlewb.views.compare import CompareView
from drizzlewb.views.cuts import line_cut, star_cuts
from drizzlewb.views.frames import array_frame
from drizzlewb.views.items import exposure_item
from drizzlewb.views.matched import Item


def star(x, y, level=0.0, height=100.0):
    j, i = np.mgrid[:40, :50]
    return (level + height * np.exp(-((i - x) ** 2 + (j - y) ** 2) / 4)).astype(np.float32)


def made(name, image, exptime=0.0, unit="electrons"):
    return Item(name, (array_frame(name, image, unit=unit),), exptime=exptime)


@pytest.fixture
def view():
    items = [made("one", star(20, 15)), made("two", star(23, 15, 10)), made("three", star(20, 18))]
    return CompareView(items, match="pixel", background=False)


def pictures(view):
    return [mark.image.value for mark in view.blend._stack]


def test_blinking_sends_each_picture_once_and_then_only_shows_it(view):
    sent = [mark.image.model_id for mark in view.blend._stack]
    assert len(set(pictures(view))) == 3
    assert [m.visible for m in view.blend._stack] == [True, False, False]
    view.step(1)
    assert [m.visible for m in view.blend._stack] == [False, True, False]
    view.step(-2)
    assert view.blend.index == 2
    assert [mark.image.model_id for mark in view.blend._stack] == sent
    assert view.blend.figure.title == "3: three"


def test_a_zoom_renders_all_frames_of_the_new_view(view):
    before = pictures(view)
    view.blend.x.set_state({"min": 10.0, "max": 30.0})
    view.blend.y.set_state({"min": 5.0, "max": 25.0})
    assert all(old != new for old, new in zip(before, pictures(view), strict=True))
    assert list(view.blend._stack[2].x) == [9.5, 30.5]


def test_the_slider_and_the_buttons_step_as_the_keys_do(view):
    controls = view.controls
    controls.slider.set_state({"value": 2})  # what an arrow key sends
    assert view.blend.index == 2
    controls.forth.click()
    assert controls.slider.value == 0
    controls.back.click()
    assert view.blend.index == 2


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_shows_its_own_controls_and_a_picture(view, mode):
    view.controls.modes.set_state({"index": MODES.index(mode)})
    assert view.mode == mode
    shown = {name for name, row in view.controls.rows.items() if row.layout.display != "none"}
    assert shown == {
        "tile": set(), "blink": {"steps"}, "fade": {"pair", "share"}, "swipe": {"pair", "share"},
        "red/cyan": {"pair"}, "RGB": {"channels"}, "difference": {"pair", "factor"},
    }[mode]  # fmt: skip
    if mode == "tile":
        assert view.blend.figure.layout.display == "none"
        assert len({tile._picture.value for tile in view.tiles}) == 3
        assert [tile.figure.title for tile in view.tiles] == ["1: one", "2: two", "3: three"]
    else:
        rgb, box = view.blend.picture()
        assert box == view.frames[0].region
        assert rgb.std() > 0


def test_fade_and_swipe_follow_the_slider(view):
    for mode in ("fade", "swipe"):
        view.mode = mode
        view.controls.share.set_state({"value": 0.0})
        first = view.blend.picture()[0]
        view.controls.share.set_state({"value": 1.0})
        second = view.blend.picture()[0]
        one, two = (view.blend._shades(k, view.blend.visible, view.blend.rest_px)[0] for k in (0, 1))
        assert np.array_equal(first, one)
        assert np.array_equal(second, two)


def test_difference_of_a_frame_with_itself_is_white(view):
    view.mode = "difference"
    view.controls.choices["second"].value = 0
    assert view.blend.picture()[0].min() > 240
    view.controls.choices["second"].value = 1
    assert view.blend.picture()[0].min() < 150


def test_the_second_is_scaled_by_exposure_time_where_both_count_electrons():
    items = [made("a", star(5, 5), 1000), made("b", star(5, 5), 500)]
    assert CompareView(items, match="pixel", background=False).blend.factor == 2.0
    rates = [made("a", star(5, 5), 1000, "electrons/s"), made("b", star(5, 5), 500, "electrons/s")]
    assert CompareView(rates, match="pixel", background=False).blend.factor == 1.0


def test_colours_are_red_for_the_last_and_blue_for_the_first(view):
    assert view.blend.channels == (2, 1, 0)
    view.controls.channels[1].value = -1
    assert view.blend.channels == (2, -1, 0)
    view.mode = "RGB"
    assert view.blend.figure.title == "R: three, G: mean, B: one"
    rgb, _ = view.blend.picture()
    fine = rgb.shape[0] // 40
    only_red = rgb[21 * fine, 20 * fine].astype(int)  # above the star that the first frame has at y 15
    assert only_red[0] > only_red[2]


def test_limits_are_those_of_the_reference_or_each_its_own(view):
    assert view.blend.limits_of(1) == view.blend.limits_of(0)
    view.controls.lock.value = False
    own = stretching.limits(view.items[1].sample, view.blend.limits_by)
    assert view.blend.limits_of(1) == own
    assert view.blend.limits_of(0) != own
    view.mode = "tile"
    assert (view.tiles[1].low, view.tiles[1].high) == own


def test_tiles_share_zoom_and_stretch(view):
    view.mode = "tile"
    view.tiles[2].x.set_state({"min": 10.0, "max": 20.0})
    assert view.tiles[0].visible == view.tiles[2].visible == view.blend.visible
    view.blend.stretch = "log"
    assert {tile.stretch for tile in view.tiles} == {"log"}


def test_values_of_all_frames_are_told_as_text(view):
    view.items[1].parts[0].unit  # noqa: B018 -- electrons
    view.blend._from_mouse(None, {"event": "mousemove", "domain": {"x": 20.2, "y": 15.4}}, None)
    assert view.values.value.count("<tr>") == 4
    assert "<td class=n>100</td>" in view.values.value
    hostile = CompareView([made("<b>x</b>", star(5, 5))], match="pixel", background=False)
    hostile.read(5, 5)
    hostile.cuts.star(hostile.frames, 5, 5)
    assert "<b>x" not in hostile.values.value + hostile.cuts.names.children[0].value


def click(view, x, y):
    view.blend._from_mouse(None, {"event": "click", "domain": {"x": x, "y": y}}, None)


def test_a_click_on_a_star_cuts_all_frames_along_x_and_y(view):
    view.controls.clicking.value = "star"
    click(view, 20.3, 14.8)
    assert view.cuts.layout.display == ""
    lines = view.cuts.along_x.marks
    assert [round(float(m.x[np.nanargmax(m.y)])) for m in lines] == [0, 3, 0]
    assert [round(float(m.x[np.nanargmax(m.y)])) for m in view.cuts.along_y.marks] == [0, 0, 3]
    view.cuts.scaled.value = True
    assert all(np.nanmax(m.y) == 1 and np.nanmin(m.y) == 0 for m in view.cuts.along_x.marks)


def test_two_clicks_cut_along_a_line(view):
    view.controls.clicking.value = "line"
    click(view, 10, 15)
    assert view.cuts.layout.display == "none"
    click(view, 30, 15)
    (one, two, _) = view.cuts.along_x.marks
    assert (one.x[0], one.x[-1]) == (0, 20)
    assert float(one.x[np.argmax(one.y)]) == pytest.approx(10, abs=0.6)
    assert float(two.x[np.argmax(two.y)]) == pytest.approx(13, abs=0.6)
    assert view.cuts.along_y.layout.display == "none"


def test_cuts_are_the_pixels(view):
    offsets, along_x, along_y = star_cuts(view.frames, 20.3, 14.8, half=5)
    image = star(20, 15)
    assert offsets.tolist() == list(range(-5, 6))
    assert np.array_equal(along_x[0], image[15, 15:26])
    assert np.array_equal(along_y[0], image[10:21, 20])
    distance, values = line_cut(view.frames, (20, 10), (20, 20))
    assert distance[-1] == 10
    assert np.array_equal(values[0], image[10:21, 20])


def test_thirteen_frames_are_refused_and_what_was_shown_stays(view):
    with pytest.raises(DataError, match="13 frames are more than the 12"):
        view.show([made(str(k), star(5, 5)) for k in range(13)])
    assert len(view.frames) == 3


def test_the_same_frames_again_keep_the_view(view):
    view.blend.center_on(20, 15, 10)
    before = view.blend.visible
    view.show(view.items, keep_view=True)
    assert view.blend.visible == before
    view.show(view.items[:2])
    assert view.blend.visible == view.frames[0].region


def test_what_cannot_be_matched_by_the_sky_says_so_in_the_view(view):
    view.controls.matching.value = "sky"
    assert "no celestial WCS" in view.why.value
    view.controls.matching.value = "pixel"
    assert view.why.value == ""


def test_exposures_lie_on_each_other_by_the_sky(tiny_f606w):
    view = CompareView([exposure_item(e) for e in tiny_f606w[:2]], background=False)
    a, b = (f.read(f.region) for f in view.frames)
    both = np.isfinite(a) & np.isfinite(b)
    moved = np.roll(b, 7, axis=1)
    same, shifted = (np.corrcoef(a[both], np.nan_to_num(v)[both])[0, 1] for v in (b, moved))
    assert same > 0.8
    assert shifted < 0.5 * same


def test_blinking_by_itself_stops_with_the_mode_and_with_the_view(view):
    view.rate = 8
    view.controls.play.value = True
    assert view._clock.runs
    view.mode = "fade"
    assert not view._clock.runs
    assert not view.controls.play.value
    view.mode = "blink"
    view.playing = True
    view.close()
    assert not view._clock.runs


def test_a_clock_ticks_until_it_is_stopped():
    ticks = threading.Semaphore(0)
    clock = Clock(ticks.release, rate=200)
    clock.start()
    clock.start()
    assert all(ticks.acquire(timeout=10) for _ in range(3))
    clock.stop()
    assert not clock.runs

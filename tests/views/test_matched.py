import numpy as np
import pytest

from drizzlewb.errors import DataError
from drizzlewb.grid import Region
from drizzlewb.views.frames import Frame, array_frame, exposure_frame
from drizzlewb.views.items import exposure_item
from drizzlewb.views.matched import Item, _inside, _interpolated, matched, readings


@pytest.fixture(scope="module")
def items(tiny_f606w):
    return [exposure_item(e) for e in tiny_f606w[:3]]


@pytest.fixture(scope="module")
def frames(items):
    return matched(items)


def plain(name, image, origin=(0, 0)):
    frame = array_frame(name, image, unit="counts", origin=origin)
    return Item(name, (frame,))


def test_pixels_are_those_of_the_plain_resampling(tiny_f606w, frames):
    grid = frames[0].grid
    box = Region(40, 100, 60, 120)
    for exposure, frame in zip(tiny_f606w, frames, strict=False):
        twin = exposure_frame(exposure, grid, box).read(box)
        assert np.array_equal(frame.read(box), twin, equal_nan=True)
        assert np.isfinite(twin).mean() > 0.5


def test_between_knots_the_map_is_good_to_a_hundredth_of_a_pixel(frames):
    frame, (ny, nx) = frames[1], frames[1].region.shape
    assert ny * nx > 4096
    xs, ys = np.arange(nx, dtype=float), np.arange(ny, dtype=float)
    part = frame.parts[0]
    exact = frame.place(part, *(v.ravel() for v in np.meshgrid(xs, ys)))
    near = _interpolated(lambda x, y: frame.place(part, x, y), xs, ys)
    inside = _inside(part.region, *exact)
    assert inside.sum() > 0.3 * inside.size
    for one, other in zip(exact, near, strict=True):
        assert np.abs(one - other.ravel())[inside].max() < 0.01


def test_points_are_read_where_they_lie(frames):
    box = Region(50, 52, 70, 73)
    y, x = np.mgrid[50:52, 70:73]
    assert np.array_equal(frames[1].at(x, y), frames[1].read(box), equal_nan=True)
    assert np.isnan(frames[1].at(np.array([-1e4]), np.array([0.0])))[0]


def test_a_coarse_picture_averages_and_a_fine_one_repeats():
    image = np.arange(16.0, dtype=np.float32).reshape(4, 4)
    (frame,) = matched([plain("a", image)], "pixel")
    coarse, step = frame.binned(frame.region, 2)
    assert step == 2
    assert np.array_equal(coarse, [[2.5, 4.5], [10.5, 12.5]])
    fine, step = frame.binned(Region(1, 2, 1, 3), 16)
    assert step == 1 / 8
    assert np.array_equal(fine, np.repeat([[5.0] * 8 + [6.0] * 8], 8, axis=0))


def test_blocks_stay_in_place_while_the_view_moves():
    rng = np.random.default_rng(2)
    (frame,) = matched([plain("a", rng.normal(size=(60, 60)).astype(np.float32))], "pixel")
    one, _ = frame.binned(Region(0, 40, 0, 40), 20)
    two, _ = frame.binned(Region(10, 50, 0, 40), 20)
    assert np.array_equal(one[5:], two[:-5])


def test_matched_by_pixel_nothing_moves_and_the_edge_is_empty():
    a, b = plain("a", np.ones((5, 6))), plain("b", np.full((3, 9), 2.0))
    one, two = matched([a, b], "pixel")
    assert two.region == one.region
    seen = two.read(one.region)
    assert (seen[:3] == 2).all()
    assert np.isnan(seen[3:]).all()


def test_a_chip_is_chosen_when_matched_by_pixel(items):
    first = matched(items, "pixel", part=0)
    second = matched(items, "pixel", part=1)
    box = Region(5, 15, 5, 15)
    assert np.array_equal(first[0].read(box), items[0].parts[0].read(box))
    assert np.array_equal(second[0].read(box), items[0].parts[1].read(box))


def test_without_wcs_the_sky_is_refused_by_name(items):
    with pytest.raises(DataError, match="nameless: there is no celestial WCS.*match by pixel"):
        matched([items[0], plain("nameless", np.ones((4, 4)))])
    with pytest.raises(DataError, match="matched by sky or pixel"):
        matched(items, "name")


def test_readings_tell_each_frames_own_pixel_value_and_flags(items, frames):
    x, y = 90.0, 60.0
    ra, dec = frames[0].to_sky(x, y)
    found = readings(frames, x, y)
    assert [r.name for r in found] == [i.name for i in items]
    for reading, item in zip(found, items, strict=True):
        part = next(p for p in item.parts if p.name == reading.part)
        px, py = (float(v) for v in part.from_sky(ra, dec))
        assert (reading.x, reading.y) == pytest.approx((px, py), abs=1e-6)
        assert reading.value == part.value(px, py)
        assert reading.flags == part.dq_names(px, py)
    assert np.isnan(readings(frames, -5000, 0)[0].value)


def test_limits_come_from_the_whole_item_and_are_read_once():
    calls = []

    def read(box):
        calls.append(box)
        return np.ones(box.shape, np.float32)

    item = Item("a", (Frame("a", Region(0, 10, 0, 10), read),))
    one, two = (matched([item], "pixel")[0] for _ in range(2))
    assert one.sample().size == 100
    number = len(calls)
    two.sample()
    assert len(calls) == number

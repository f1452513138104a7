"""Masks drawn by hand: the same pixels whatever the box, on the sky as on the detector."""

import numpy as np
import pytest
from factory import write
from hypothesis import given, settings
from hypothesis import strategies as st

from drizzlewb.errors import ParameterError
from drizzlewb.exposure import DRAWN_FLAG, Drawn, read_exposures
from drizzlewb.exposure.drawn import covered

WHOLE = (0, 40, 0, 60)


@pytest.fixture(scope="module")
def exposure(tmp_path_factory):
    return read_exposures(write(tmp_path_factory.mktemp("d") / "jtest01aq_flc.fits", "ACS/WFC"))[0]


def pixels(drawn, chip, region=WHOLE):
    return covered(drawn, chip.wcs, chip.pixel_scale_arcsec, region)


def test_a_circle_and_a_line_and_a_polygon(exposure):
    chip = exposure.chips[0]
    y, x = np.indices(chip.shape)
    circle = Drawn("a", "circle", ((20.3, 11.0),), size=5.5, extver=1)
    np.testing.assert_array_equal(pixels(circle, chip), np.hypot(x - 20.3, y - 11.0) <= 5.5)
    line = Drawn("a", "line", ((5, 10), (50, 10)), size=4, extver=1)
    found = pixels(line, chip)
    np.testing.assert_array_equal(found[:, 5:51], (np.abs(y - 10) <= 2)[:, 5:51])
    assert found[10, 3]  # round ends
    assert not found[10, 2]
    box = Drawn("a", "polygon", ((10, 5), (20, 5), (20, 9), (10, 9)), extver=1)
    np.testing.assert_array_equal(pixels(box, chip), (x >= 10) & (x <= 20) & (y >= 5) & (y <= 9))


SHAPES = st.one_of(
    st.tuples(st.just("polygon"), st.integers(3, 6), st.sampled_from([0.0, 6.5])),
    st.tuples(st.just("line"), st.integers(2, 4), st.floats(0.5, 20)),
    st.tuples(st.just("circle"), st.just(1), st.floats(0.5, 40)),
)


def test_a_polygon_is_grown_by_its_margin(exposure):
    chip = exposure.chips[0]
    corners = ((20, 10), (30, 10), (30, 18), (20, 18))
    plain, grown = (pixels(Drawn("a", "polygon", corners, size=s, extver=1), chip) for s in (0, 3))
    y, x = np.mgrid[:40, :60]
    away = np.hypot(np.maximum(np.maximum(20 - x, x - 30), 0), np.maximum(np.maximum(10 - y, y - 18), 0))
    np.testing.assert_array_equal(plain, away == 0)
    np.testing.assert_array_equal(grown, away <= 3)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), what=SHAPES, sky=st.booleans())
def test_a_box_has_the_pixels_of_the_whole(exposure, data, what, sky):
    chip = exposure.chips[0]
    shape, number, size = what
    xy = data.draw(
        st.lists(
            st.tuples(st.floats(-20, 80), st.floats(-20, 60)), min_size=number, max_size=number, unique=True
        )
    )
    drawn = Drawn("a", shape, tuple(xy), size=size, extver=1)
    if sky:
        from drizzlewb.distortion import pixel_to_sky

        ra, dec = pixel_to_sky(chip.wcs, *np.array(xy).T)
        on_sky = Drawn(
            "a", shape, tuple(zip(ra, dec, strict=True)), size=size * chip.pixel_scale_arcsec, frame="sky"
        )
        # Borders may fall on either side of a pixel's centre: count, and ask away from the border.
        assert abs(int(pixels(drawn, chip).sum()) - int(pixels(on_sky, chip).sum())) <= 60
        drawn = on_sky
    whole = pixels(drawn, chip)
    y0, x0 = data.draw(st.integers(0, 39)), data.draw(st.integers(0, 59))
    y1, x1 = data.draw(st.integers(y0 + 1, 40)), data.draw(st.integers(x0 + 1, 60))
    np.testing.assert_array_equal(pixels(drawn, chip, (y0, y1, x0, x1)), whole[y0:y1, x0:x1])


def test_it_counts_as_dq_and_changes_the_identity(exposure):
    drawn = Drawn(exposure.rootname, "circle", ((20, 10),), size=3, extver=2)
    other = Drawn("someone", "circle", ((20, 10),), size=3, extver=2)
    masked = exposure.with_drawn([drawn, other])
    assert masked.identity != exposure.identity
    assert masked.digest() == exposure.digest()
    first, second = masked.chips
    assert not first.drawn
    assert (first.good(WHOLE, 0) == 1).all()
    inside = pixels(drawn, second)
    np.testing.assert_array_equal(second.good(WHOLE, 0) == 0, inside)
    np.testing.assert_array_equal(second.good(WHOLE, 0, reset=DRAWN_FLAG) == 0, inside)
    assert (second.good(WHOLE, DRAWN_FLAG) == 1).all()
    np.testing.assert_array_equal(second.read_dq(WHOLE), np.where(inside, DRAWN_FLAG, 0))
    assert masked.with_drawn([]).identity == exposure.identity


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"shape": "star"}, "expected a polygon"),
        ({"frame": "moon"}, "expected a polygon"),
        ({"points": ((1, 2), (3, 4))}, "needs 1"),
        ({"points": ((float("nan"), 2),)}, "not finite"),
        ({"size": 0}, "radius above 0"),
        ({"shape": "polygon", "points": ((1, 2), (4, 5), (4, 9)), "size": -1}, "margin of a polygon"),
        ({"extver": 0}, "names no chip"),
    ],
)
def test_refusals(arguments, sentence):
    given_ = {"exposure": "a", "shape": "circle", "points": ((1, 2),), "size": 2, "extver": 1} | arguments
    with pytest.raises(ParameterError, match=sentence):
        Drawn(**given_)

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drizzlewb.views import stretch

Image = pytest.importorskip("PIL.Image", reason="the lab extra is absent")


@pytest.mark.parametrize("how", stretch.LIMITS)
@pytest.mark.parametrize("values", [[], [3.0], [3.0] * 50, list(range(1000))])
def test_black_lies_below_white_whatever_the_pixels(how, values):
    low, high = stretch.limits(np.array(values, np.float32), how)
    assert low < high


def test_limits_are_what_their_names_say():
    values = np.arange(1001, dtype=np.float32)
    assert stretch.limits(values, "min-max") == (0, 1000)
    low, high = stretch.limits(values, "99 %")
    assert (low, high) == pytest.approx((5, 995))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(stretch.STRETCHES), st.floats(-1e3, 1e3), st.floats(1e-3, 1e5))
def test_brighter_pixels_are_never_darker(name, low, span):
    image = np.linspace(low - span, low + 2 * span, 301, dtype=np.float32)[None]
    shade = stretch.coloured(image, low, low + span, name)[0, :, 0].astype(int)
    assert (np.diff(shade) >= 0).all()
    assert (shade[0], shade[-1]) == (0, 255)


def test_pixels_without_a_value_have_a_colour_of_their_own():
    image = np.array([[np.nan, np.inf, 0.0, 1.0]], np.float32)
    rgb = stretch.coloured(image, 0, 1, "linear", "gray")
    assert rgb[0].tolist() == [[96, 64, 64], [96, 64, 64], [0, 0, 0], [255, 255, 255]]


def test_the_image_itself_is_not_changed():
    image = np.array([[np.nan, 5.0]], np.float32)
    stretch.coloured(image, 0, 1)
    assert image[0, 1] == 5.0


def test_jpeg_has_the_lowest_row_at_the_bottom():
    rgb = np.zeros((64, 32, 3), np.uint8)
    rgb[:32] = 255  # the lower half is white
    picture = np.asarray(Image.open(io.BytesIO(stretch.jpeg(rgb))))
    half = picture.shape[0] // 2
    assert picture[half + 8 :].mean() > 240
    assert picture[: half - 8].mean() < 15

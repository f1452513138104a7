import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drizzlewb.views import blending

SHAPE = (6, 8)


@pytest.fixture
def pair():
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (*SHAPE, 3)).astype(np.uint8) for _ in range(2)]


def test_fade_begins_with_the_first_and_ends_with_the_second(pair):
    a, b = pair
    assert np.array_equal(blending.fade(a, b, 0), a)
    assert np.array_equal(blending.fade(a, b, 1), b)
    assert np.abs(blending.fade(a, b, 0.5).astype(int) - (a.astype(int) + b) / 2).max() <= 0.5


def test_swipe_shows_the_second_at_the_left(pair):
    a, b = pair
    assert np.array_equal(blending.swipe(a, b, 0), a)
    assert np.array_equal(blending.swipe(a, b, 1), b)
    half = blending.swipe(a, b, 0.5)
    assert np.array_equal(half[:, :4], b[:, :4])
    assert np.array_equal(half[:, 5:], a[:, 5:])


def test_red_cyan_of_one_picture_is_grey(pair):
    grey = np.repeat(pair[0][..., :1], 3, axis=2)
    assert np.array_equal(blending.red_cyan(grey, grey), grey)
    black = np.zeros_like(grey)
    seen = blending.red_cyan(grey, black)
    assert np.array_equal(seen[..., 0], grey[..., 0])
    assert not seen[..., 1:].any()


@settings(deadline=None)
@given(st.floats(0.005, 1.0), st.floats(1e-3, 0.3))
def test_the_asinh_keeps_colours(softening, level):
    ratios = np.array([1.0, 0.5, 0.25], np.float32)
    images = [np.full((1, 1), level * r, np.float32) for r in ratios]
    rgb = blending.three_colours(images, [(0, 1)] * 3, softening=softening)[0, 0].astype(float)
    intensity = level * ratios.mean()
    scale = np.arcsinh(intensity / softening) / np.arcsinh(1 / softening) / intensity
    expected = level * ratios * scale
    expected = expected / max(1.0, expected.max()) * 255
    assert np.abs(rgb - expected).max() <= 1.5


def test_three_colours_plain_clips_each_channel_at_its_own_limits():
    images = [np.array([[1.0, 4.0, np.nan]], np.float32)] * 3
    rgb = blending.three_colours(images, [(0, 2), (0, 4), (1, 8)], asinh=False)
    assert rgb[0, 0].tolist() == [128, 64, 0]
    assert rgb[0, 1].tolist() == [255, 255, 109]
    assert rgb[0, 2].tolist() == [0, 0, 0]


def test_empty_pixels_of_a_colour_picture_are_black_without_a_warning():
    empty = np.full((2, 2), np.nan, np.float32)
    assert not blending.three_colours([empty] * 3, [(0, 1)] * 3).any()


def test_difference_is_white_at_zero_and_coloured_by_sign():
    a = np.array([[1.0, 5.0, np.nan]], np.float32)
    b = np.array([[0.5, 4.0, 1.0]], np.float32)
    values = blending.difference(a, b, 2.0)
    assert values[0, :2].tolist() == [0.0, -3.0]
    assert np.isnan(values[0, 2])
    rgb = blending.difference_picture(values, 3.0)
    assert rgb[0, 0].min() > 240
    assert rgb[0, 1, 0] > rgb[0, 1, 2]  # red below zero


def test_the_limit_of_a_difference_is_six_sigma():
    noise = np.random.default_rng(3).normal(0, 2, 10_000).astype(np.float32)
    noise[:5] = 1e6
    assert blending.difference_limit(noise) == pytest.approx(12, rel=0.05)
    assert blending.difference_limit(np.zeros(4, np.float32)) == 1.0
    assert blending.difference_limit(np.full(4, np.nan, np.float32)) == 1.0

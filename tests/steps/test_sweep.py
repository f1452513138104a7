"""Measurements on a region: noise of half stacks, widths, evenness."""

import math

import numpy as np
import pytest

from drizzlewb.steps.sweep import half_stack_noise, look_at_region, measure_region, native_noise
from drizzlewb.steps.weight_maps import depth, effective_seconds


def halves(rng, seconds=(3.0, 1.0), size=240, scene=0.0):
    """Two halves of independent pixels whose variance goes as 1/weight, on one scene."""
    made = []
    for t in seconds:
        made.append(
            (
                (scene + rng.normal(0, 1 / math.sqrt(t), (size, size))).astype(np.float32),
                np.full((size, size), t, np.float32),
            )
        )
    return made


def test_half_stacks_give_the_noise_of_the_whole_whatever_is_on_the_sky():
    rng = np.random.default_rng(3)
    scene = 50 * np.exp(-(np.hypot(*np.mgrid[-120:120, -120:120]) ** 2) / 2000)
    odd, even = halves(rng, scene=scene)
    noise = half_stack_noise(odd, even, np.ones(scene.shape, bool), 0.0)
    assert noise.pixel == pytest.approx(0.5, rel=0.02)  # 1/sqrt(3 + 1)
    assert noise.factor == pytest.approx(1.0, abs=4 * noise.factor_error)


def test_pixels_that_one_half_lacks_do_not_count():
    rng = np.random.default_rng(4)
    odd, even = halves(rng, (1.0, 1.0))
    even[0][:, ::7] = np.nan
    even[1][:, ::7] = 0
    odd[0][:, ::7] = 1e6
    noise = half_stack_noise(odd, even, np.ones(odd[0].shape, bool), 0.0)
    assert noise.pixel == pytest.approx(math.sqrt(0.5), rel=0.03)


def test_native_noise():
    assert native_noise([100.0] * 4, [50.0] * 4) == pytest.approx(20.0 / 200.0)
    assert native_noise([100.0] * 4, [50.0] * 4, 100.0) == pytest.approx(math.sqrt(2) * 0.1)


def test_a_region_is_measured_on_its_own_pixels():
    rng = np.random.default_rng(5)
    scale, size = 0.03, 256
    image = rng.normal(0, 0.01, (size, size))
    yy, xx = np.mgrid[:size, :size]
    places = [(40 + 30 * (k % 6), 40 + 34 * (k // 6)) for k in range(36)]
    sigma = 0.1 / scale / 2.3548
    for x, y in places:
        image += np.exp(-((xx - x - 0.2) ** 2 + (yy - y + 0.3) ** 2) / (2 * sigma**2))
    wht = np.full(image.shape, 100.0, np.float32)
    wht[::10, ::10] = 50.0
    count = np.full(image.shape, 4)
    area, found = look_at_region(image.astype(np.float32), count, scale)
    made = measure_region(
        image.astype(np.float32), wht, area, found, pixfrac=0.6, scale_ratio=0.6, scale_arcsec=scale
    )
    assert made.stars >= 30
    assert made.fwhm_arcsec == pytest.approx(0.1, rel=0.02)
    assert made.holes == 0
    assert made.rms_over_median == pytest.approx(0.05, rel=0.05)
    assert made.noise_pixel == pytest.approx(0.01, rel=0.1)


def test_weight_is_not_seconds():
    # The field's own example: 7024 s show as 2529 on a 0.03 arcsec grid of 0.05 arcsec pixels.
    assert effective_seconds(np.array([2528.64]), 0.6)[0] == pytest.approx(7024)
    deep = depth(np.array([100.0, 400.0, 0.0]), 100.0)
    assert deep[:2] == pytest.approx([0.0, 0.7526], abs=1e-4)
    assert np.isnan(deep[2])

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from drizzlewb.errors import DataError
from drizzlewb.quality import TABLES
from drizzlewb.steps.star_profile import flag_names, star_profile

FWHM = 2.0 * math.sqrt(2.0 * math.log(2.0))


def star(x, y, sigma, flux=1e5, sky=100.0, shape=(61, 61)):
    """A round Gaussian integrated over pixels, by its definition."""

    def along(n, centre):
        edges = np.arange(n + 1) - 0.5 - centre
        return np.diff(erf(edges / (math.sqrt(2) * sigma))) / 2

    return (sky + flux * np.outer(along(shape[0], y), along(shape[1], x))).astype(np.float32)


@settings(deadline=None, max_examples=40)
@given(
    st.floats(28, 32),
    st.floats(28, 32),
    st.floats(0.6, 2.5),
    st.floats(1e3, 1e6),
    st.floats(-2, 2),
    st.floats(-2, 2),
)
def test_a_known_star_is_measured(x, y, sigma, flux, miss_x, miss_y):
    image = star(x, y, sigma, flux)
    found = star_profile(image, x + miss_x, y + miss_y, aperture_px=5.0, annulus_px=(15.0, 20.0))
    assert found.fitted
    assert (found.x, found.y) == pytest.approx((x, y), abs=0.01)
    # Seen through pixels the variances add.
    assert found.fwhm_px == pytest.approx(FWHM * math.hypot(sigma, math.sqrt(1 / 12)), rel=0.01)
    assert found.sky == pytest.approx(100.0, abs=1e-4 * flux)
    # Light of a Gaussian within a circle.
    inside = flux * (1 - math.exp(-(5.0**2) / (2 * (sigma**2 + 1 / 12))))
    assert found.flux == pytest.approx(inside, rel=0.01)
    assert found.mag == pytest.approx(-2.5 * math.log10(found.flux))
    assert found.peak == image.max()


def test_the_profile_lists_every_pixel_near_and_its_curve_follows_it():
    image = star(30.3, 29.8, 1.2)
    found = star_profile(image, 30, 30, annulus_px=(15.0, 20.0))
    assert (np.diff(found.radius) >= 0).all()
    yy, xx = np.mgrid[0:61, 0:61]
    assert len(found.radius) == (np.hypot(xx - found.x, yy - found.y) <= 20.0).sum()
    np.testing.assert_allclose(found.curve(found.radius), found.value, atol=0.01 * image.max())


def test_magnitudes_are_per_second():
    image = star(30, 30, 1.0)
    one, hundred = (star_profile(image, 30, 30, seconds=s) for s in (1.0, 100.0))
    assert hundred.mag - one.mag == pytest.approx(5.0)


def test_noise_moves_the_numbers_a_little_only():
    random = np.random.default_rng(2)
    image = star(30.4, 30.1, 0.9, 2e4) + random.normal(0, 5, (61, 61)).astype(np.float32)
    found = star_profile(image, 30, 30, annulus_px=(10.0, 20.0))
    assert found.fwhm_px == pytest.approx(FWHM * math.hypot(0.9, math.sqrt(1 / 12)), rel=0.02)
    assert found.sky == pytest.approx(100.0, abs=1.0)


def test_a_pixel_without_value_is_left_out_of_the_fit_and_spoils_the_sum():
    image = star(30, 30, 1.0)
    image[30, 32] = np.nan
    found = star_profile(image, 30, 30)
    assert found.fwhm_px == pytest.approx(FWHM * math.hypot(1.0, math.sqrt(1 / 12)), rel=0.01)
    assert math.isnan(found.flux)
    assert math.isnan(found.mag)
    assert np.isfinite(found.value).all()


def test_a_star_whose_aperture_is_cut_by_the_border_has_no_flux():
    found = star_profile(star(2, 30, 1.0), 2, 30)
    assert found.fitted
    assert math.isnan(found.flux)


def test_where_there_is_no_star_nothing_is_fitted():
    ramp = np.tile(np.arange(61, dtype=np.float32), (61, 1))
    found = star_profile(ramp, 30, 30)
    assert not found.fitted
    assert math.isnan(found.height)
    assert np.isnan(found.curve([1.0])).all()
    assert found.peak == 33.0  # the highest pixel near the click


@pytest.mark.parametrize("at", [(-1.0, 5.0), (5.0, 61.0)])
def test_outside_the_image_is_refused(at):
    with pytest.raises(DataError, match="outside the image"):
        star_profile(star(30, 30, 1.0), *at)


def test_no_value_near_is_refused():
    image = star(30, 30, 1.0)
    image[20:40, 20:40] = np.nan
    with pytest.raises(DataError, match="has a value"):
        star_profile(image, 30, 30)


def test_flags_of_a_box_by_name():
    words = np.array([[16, 0], [256, 0]], np.uint16)
    table = TABLES["ACS"]
    names = [flag.name for flag in table.flags if flag.value in (16, 256)]
    assert list(flag_names(words, table)) == names
    assert flag_names(np.zeros((0, 0), np.uint16), table) == ()

"""Dither phases: known shifts of a distorted chip come back, whatever the distortion."""

import dataclasses

import numpy as np
import pytest
from factory import write
from hypothesis import given, settings
from hypothesis import strategies as st
from made_wcs import made_wcs

from drizzlewb import distortion
from drizzlewb.errors import DataError
from drizzlewb.exposure import read_exposures
from drizzlewb.steps.dithers import DitherPhases, dither_phases

SHAPE = (300, 400)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    path = write(tmp_path_factory.mktemp("d") / "jtest01aq_flt.fits", "ACS/HRC")
    return read_exposures(path)[0]


def exposed(base, name, crval=(83.2, -67.7)):
    """An exposure of 300 x 400 px with a strongly distorted WCS."""
    packed = distortion.pack(made_wcs(SHAPE, crval=crval, npol=("x", "y")), SHAPE)
    chip = dataclasses.replace(base.chips[0], shape=SHAPE, wcs=packed)
    return dataclasses.replace(base, rootname=name, chips=(chip,))


@settings(max_examples=25, deadline=None)
@given(st.floats(-20, 20), st.floats(-20, 20))
def test_the_shift_at_the_point_is_that_of_the_full_distortion(base, east, north):
    first = exposed(base, "a")
    ra, dec = 83.2 + east * 0.05 / 3600 / np.cos(np.radians(67.7)), -67.7 + north * 0.05 / 3600
    second = exposed(base, "b", (ra, dec))
    phases = dither_phases([first, second])
    assert phases.names == ("a", "b")
    # The definition, by astropy alone: where the point falls on either chip.
    point = [[phases.ra, phases.dec]]
    places = [
        made_wcs(SHAPE, crval=c, npol=("x", "y")).all_world2pix(point, 0, tolerance=1e-9)[0]
        for c in ((83.2, -67.7), (ra, dec))
    ]
    np.testing.assert_allclose([phases.dx[1], phases.dy[1]], places[1] - places[0], atol=1e-6)
    assert phases.dx[0] == phases.dy[0] == 0
    for phase, shift in ((phases.x, phases.dx), (phases.y, phases.dy)):
        assert ((phase >= 0) & (phase < 1)).all()
        np.testing.assert_allclose(np.exp(2j * np.pi * phase), np.exp(2j * np.pi * shift), atol=1e-9)


def test_the_default_point_is_one_that_most_see_and_others_are_nan(base):
    near = [exposed(base, name, (83.2 + k * 1e-5, -67.7)) for k, name in enumerate("abc")]
    far = exposed(base, "far", (83.2, -67.6))
    phases = dither_phases([far, *near])
    assert np.isnan(phases.dx).tolist() == [True, False, False, False]
    assert phases.dx[1] == 0  # the first one that sees it counts
    assert phases.distinct() <= 3


def test_distinct_phases_are_counted_round_the_edge():
    x = np.array([0.0, 0.98, 0.5, np.nan])
    phases = DitherPhases(tuple("abcd"), 0.0, 0.0, x, np.where(np.isnan(x), np.nan, 2.0))
    assert phases.distinct(0.1) == 2
    assert phases.distinct(0.01) == 3


def test_a_tiny_negative_shift_stays_below_one():
    phases = DitherPhases(("a",), 0.0, 0.0, np.array([-1e-18]), np.array([0.25]))
    assert phases.x[0] == 0.0
    assert phases.y[0] == 0.25


def test_the_training_set_has_the_dithers_it_was_made_with(tiny_f606w):
    phases = dither_phases(tiny_f606w)
    # Half of the programme's second column at whole and half pixels.
    assert phases.distinct() == 6
    assert np.isfinite(phases.dx).all()


def test_no_exposures_and_a_point_outside_are_refused(base):
    with pytest.raises(DataError, match="none was given"):
        dither_phases([])
    with pytest.raises(DataError, match="sees RA"):
        dither_phases([exposed(base, "a")], point=(10.0, 10.0))

import itertools

import numpy as np
import pytest
from astropy.wcs import DistortionLookupTable
from hypothesis import given, settings
from hypothesis import strategies as st
from made_wcs import focal_twin, made_wcs, project_twin

from drizzlewb.distortion import homography, linear, pack
from drizzlewb.kernels.rows import map_lines, map_row
from drizzlewb.kernels.transform import inverse_points, invert_homography, map_point, map_points

SHAPE = (300, 400)


def old_d2im(w):
    """The D2IM tables of the first kind: one row, a node at every column."""
    values = (0.004 * np.random.default_rng(5).uniform(-1, 1, (1, SHAPE[1]))).astype(np.float32)
    w.det2im1 = DistortionLookupTable(values, (0.0, 0.0), (0.0, 0.0), (1.0, 1.0))
    return w


def uneven_tables(w):
    """NPOL tables of unlike steps, one of them with falling axes."""
    values = np.random.default_rng(6).uniform(-0.1, 0.1, (9, 13)).astype(np.float32)
    w.cpdis2 = DistortionLookupTable(values, (13.0, 4.0), (31.5, 80.25), (-33.25, 47.0))
    return w


CHIPS = {
    "tan": made_wcs(SHAPE, order=0),
    "sip": made_wcs(SHAPE, order=4),
    "sip order 5": made_wcs(SHAPE, order=5),
    "sip order 7, all tables": made_wcs(SHAPE, order=7, npol="xy", d2im="xy"),
    "npol": made_wcs(SHAPE, npol="xy"),
    "npol in y, no sip": made_wcs(SHAPE, order=0, npol="y"),
    "d2im in x": made_wcs(SHAPE, npol="xy", d2im="x"),
    "d2im in y": made_wcs(SHAPE, npol="xy", d2im="y"),
    "d2im, no npol": made_wcs(SHAPE, order=3, d2im="xy"),
    "all": made_wcs(SHAPE, npol="xy", d2im="xy"),
    "old d2im": old_d2im(made_wcs(SHAPE, npol="xy")),
    "uneven": uneven_tables(made_wcs(SHAPE, npol="x", d2im="xy")),
}


@pytest.fixture(params=list(CHIPS))
def chip(request):
    w = CHIPS[request.param]
    return w, pack(w, SHAPE)


def row(packed, h, y, xoff, i0, i1):
    out = np.full((2, i1 - i0), 7.0)
    map_row(packed, h, y, xoff, i0, i1, out[0], out[1])
    return out


def plane(packed):
    """A tangent plane turned, shifted and scaled against the chip's own."""
    a = np.radians(70.0)
    cd = 0.6 * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) @ packed.cd
    return linear(packed)._replace(cd=cd, crval=packed.crval + (0.02, -0.01), crpix=np.array([350.0, 200.0]))


# Rows on nodes (y + 1 a multiple of 16), beside them within the D2IM shift, between, and off the chip.
@pytest.mark.parametrize("y", [0.0, 15.0, 14.97, 111.02, 57.3, 299.0, -400.25, 1300.5])
def test_row_is_the_chain_of_the_definition(chip, y):
    w, packed = chip
    h = homography(packed, plane(packed))
    x = np.arange(-300, 700) + 0.3
    expected = project_twin(h, *focal_twin(w, x, np.full_like(x, y)))
    # Coordinates of some 1e3 px (far more where a high order runs away off the chip) in float64.
    np.testing.assert_allclose(row(packed, h, y, 0.3, -300, 700), expected, rtol=1e-13, atol=1e-10)


def test_points_are_the_chain_of_the_definition(chip):
    w, packed = chip
    rng = np.random.default_rng(2)
    x, y = rng.uniform(-1000, 1400, 500), rng.uniform(-1000, 1300, 500)
    x[:9], y[:9] = np.nan, 3.0
    x[9] = np.inf
    h = homography(packed, plane(packed))
    out = np.empty((2, 500))
    map_points(packed, h, x, y, out[0], out[1])
    assert np.isnan(out[:, :10]).all()
    expected = project_twin(h, *focal_twin(w, x[10:], y[10:]))
    np.testing.assert_allclose(out[:, 10:], expected, rtol=1e-13, atol=1e-10)
    assert map_point(packed, h, x[11], y[11]) == (out[0, 11], out[1, 11])


def test_bits_do_not_depend_on_the_run(chip):
    _, packed = chip
    h = homography(packed, plane(packed))
    # Offsets that put pixels exactly on nodes (x + 1 a multiple of 16 at xoff 0), and not.
    for y, xoff in itertools.product((14.99, 60.4, 111.0), (0.0, -0.3)):
        whole = row(packed, h, y, xoff, -50, 450)
        for i0, i1 in [(-50, -49), (0, 400), (14, 17), (15, 16), (16, 33), (31, 33), (100, 447), (449, 450)]:
            part = row(packed, h, y, xoff, i0, i1)
            assert part.tobytes() == np.ascontiguousarray(whole[:, i0 + 50 : i1 + 50]).tobytes()


@pytest.mark.parametrize("half", [0.0005, 0.3, 0.49])
def test_pairs_of_points_have_the_bits_of_single_ones(chip, half):
    _, packed = chip
    h = homography(packed, plane(packed))
    y = np.array([61.2, 15.0, -3.5, 299.0])
    x = (np.arange(-20, 420)[:, None] + np.array([-half, half])).ravel()
    out = np.full((2, y.size, x.size), 7.0)
    map_lines(packed, h, y, x, *out)
    for k, line in enumerate(y):
        for side, xoff in enumerate((-half, half)):
            single = row(packed, h, line, xoff, -20, 420)
            assert np.ascontiguousarray(out[:, k, side::2]).tobytes() == single.tobytes()


ALL_TERMS = pack(CHIPS["all"], SHAPE)
UNEVEN = pack(CHIPS["uneven"], SHAPE)


@settings(deadline=None, max_examples=60)
@given(
    st.floats(-20, 320),
    st.floats(-1, 1),
    st.integers(-30, 420),
    st.integers(1, 200),
    st.integers(0, 60),
    st.sampled_from([ALL_TERMS, UNEVEN]),
)
def test_bits_do_not_depend_on_the_run_anywhere(y, xoff, i0, n, before, packed):
    h = homography(packed, plane(packed))
    whole = row(packed, h, y, xoff, i0 - before, i0 + n)
    assert row(packed, h, y, xoff, i0, i0 + n).tobytes() == np.ascontiguousarray(whole[:, before:]).tobytes()


def test_row_writes_its_run_only():
    out = np.full((2, 10), 7.0)
    map_row(ALL_TERMS, np.eye(3), 3.0, 0.0, 5, 5, out[0], out[1])
    assert (out == 7.0).all()
    map_row(ALL_TERMS, np.eye(3), 3.0, 0.0, 5, 9, out[0], out[1])
    assert (out[:, 4:] == 7.0).all()
    assert (out[:, :4] != 7.0).all()


def test_behind_the_plane_is_nan():
    packed = pack(CHIPS["sip"], SHAPE)
    opposite = linear(packed)._replace(crval=np.array([packed.crval[0] - 180.0, -packed.crval[1]]))
    h = homography(packed, opposite)
    assert np.isnan(row(packed, h, 3.0, 0.0, 0, 40)).all()
    assert np.isnan(map_point(packed, h, 1.0, 2.0)).all()
    out = np.zeros((2, 3))
    inverse_points(packed, h, np.zeros(3), np.zeros(3), out[0], out[1])
    assert np.isnan(out).all()


def test_inverse_returns_to_the_pixel(chip):
    _, packed = chip
    rng = np.random.default_rng(4)
    x, y = rng.uniform(-30, 430, 800), rng.uniform(-30, 330, 800)
    h = homography(packed, plane(packed))
    there, back = np.empty((2, 800)), np.empty((2, 800))
    map_points(packed, h, x, y, there[0], there[1])
    inverse_points(packed, h, there[0], there[1], back[0], back[1])
    np.testing.assert_allclose(back, (x, y), rtol=0, atol=1e-9)


def test_inverse_gives_no_false_pixel():
    # Far off the chip the polynomial folds: what is answered must map back to what was asked.
    packed = pack(CHIPS["sip"], SHAPE)
    h = homography(packed, linear(packed))
    rng = np.random.default_rng(8)
    ox, oy = rng.uniform(-20000, 20000, 500), rng.uniform(-20000, 20000, 500)
    back, again = np.empty((2, 500)), np.empty((2, 500))
    inverse_points(packed, h, ox, oy, back[0], back[1])
    found = np.isfinite(back[0])
    assert not found.all()
    map_points(packed, h, back[0], back[1], again[0], again[1])
    np.testing.assert_allclose(again[:, found], (ox[found], oy[found]), rtol=0, atol=1e-6)


def test_inverse_of_nan_is_nan():
    out = np.zeros((2, 2))
    inverse_points(ALL_TERMS, np.eye(3), np.array([np.nan, 1.0]), np.array([0.0, np.inf]), out[0], out[1])
    assert np.isnan(out).all()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-0.3, 0.3), min_size=9, max_size=9))
def test_inverse_homography(values):
    h = np.eye(3) + np.array(values).reshape(3, 3) * 0.9
    np.testing.assert_allclose(invert_homography(h) @ h, np.eye(3), rtol=0, atol=1e-10)

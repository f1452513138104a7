"""What the sky view shows: positions by the full distortion, images as plain TAN."""

import numpy as np
import pytest
from astropy.wcs import WCS

pytest.importorskip("bqplot_image_gl", reason="the lab extra is absent")

from drizzlewb import Session, distortion
from drizzlewb.exposure import Drawn
from drizzlewb.grid import OutputGrid
from drizzlewb.views.frames import array_frame
from drizzlewb.views.skylayers import north_up, sky_layers, tan_image


@pytest.fixture(scope="module")
def session(tiny_set):
    return Session(str(tiny_set / "j8ny01*_flc.fits"))


def grid(rot=30.0, shape=(200, 300)):
    a = np.radians(rot)
    cd = 1e-5 * np.array([[-np.cos(a), np.sin(a)], [np.sin(a), np.cos(a)]])
    return OutputGrid(distortion.tan_wcs((150.0, 2.0), (140.0, 90.0), cd), shape)


def test_footprints_grid_and_masks_of_a_product(session):
    root = session.exposures[0].rootname
    session.draw(Drawn(root, "circle", ((30, 30),), 5, extver=1))
    layers = sky_layers(session)
    session.undo()
    assert len(layers.footprints) == len(layers.names) == 12
    chip = session.exposures[0].chips[0]
    x, y = distortion.sky_to_pixel(chip.wcs, *layers.footprints[0].T)
    assert x.min() == pytest.approx(-0.5, abs=1e-6)
    assert y.max() == pytest.approx(chip.shape[0] - 0.5, abs=1e-6)
    grid = session.derived.product("F606W").grid
    gx, gy = grid.sky_to_pixel(*layers.grid.T)
    assert sorted({round(float(v), 4) for v in (*gx, *gy)}) == sorted(
        {-0.5, grid.shape[1] - 0.5, grid.shape[0] - 0.5}
    )
    (mask,) = layers.masks
    mx, my = distortion.sky_to_pixel(chip.wcs, *mask.T)
    np.testing.assert_allclose(np.hypot(mx - 30, my - 30), 5, atol=1e-6)
    assert layers.sources.shape == (0, 2)
    # Everything lies in the circle that is looked at.
    lon, lat = layers.center
    corners = np.vstack(layers.footprints)
    away = np.hypot((corners[:, 0] - lon) * np.cos(np.radians(lat)), corners[:, 1] - lat)
    assert away.max() <= layers.radius_deg * 1.001


def test_an_empty_session_has_nothing_to_show():
    assert sky_layers(Session()).footprints == ()


def test_the_region_follows_the_selection_and_may_lie_outside(session):
    grid = session.derived.product("F606W").grid
    centre = tuple(float(v) for v in grid.pixel_to_sky(100.0, 80.0))
    session.select(center=centre, size=(40, 60))
    x, y = grid.sky_to_pixel(*sky_layers(session).region.T)
    assert (x.max() - x.min(), y.max() - y.min()) == pytest.approx((60, 40), abs=1e-5)
    session.select(center=(10.0, 10.0))
    assert sky_layers(session).region is None
    session.select(center=None)


@pytest.mark.parametrize("most", [2048, 64])
def test_the_image_is_plain_tan_and_lies_where_it_lay(most):
    g = grid()
    rng = np.random.default_rng(1)
    data = rng.normal(size=(120, 150)).astype(np.float32)
    frame = array_frame("f", data, origin=(30, 50), grid=g)
    (hdu,) = tan_image(frame, g, most)
    cards = " ".join(hdu.header)
    assert not any(word in cards for word in ("A_ORDER", "CPDIS", "D2IM", "SIP", "IDC"))
    assert hdu.header["CTYPE1"] == "RA---TAN"
    step = -(-150 // most)
    assert hdu.data.shape == (-(-120 // step), -(-150 // step))
    assert max(hdu.data.shape) <= most
    # Pixel (0, 0) of the small image is the mean of step x step pixels of the large one.
    ra, dec = WCS(hdu.header).all_pix2world([[0, 0]], 0)[0]
    x, y = (float(v) for v in g.sky_to_pixel(ra, dec))
    assert (x, y) == pytest.approx((50 + (step - 1) / 2, 30 + (step - 1) / 2), abs=1e-6)
    assert hdu.data[0, 0] == pytest.approx(data[:step, :step].mean(), abs=1e-6)


def test_north_is_up_and_east_to_the_left():
    g = grid(rot=-160.0)
    data = np.zeros((200, 300), np.float32)
    data[150, 60] = 1.0
    frame = array_frame("f", data, grid=g)
    image, center, side = north_up(frame, 1024)
    n = image.shape[0]
    assert image.shape == (n, n)
    j, i = (int(v) for v in np.argwhere(image == 1)[0])
    ra, dec = (float(v) for v in g.pixel_to_sky(60.0, 150.0))
    scale = side / n
    east = (ra - center[0]) * np.cos(np.radians(center[1])) * 3600
    north = (dec - center[1]) * 3600
    assert (n - 1) / 2 - i == pytest.approx(east / scale, abs=1.5)
    assert j - (n - 1) / 2 == pytest.approx(north / scale, abs=1.5)

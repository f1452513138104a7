import numpy as np
import pytest

from drizzlewb.training import pointing
from drizzlewb.training.detectors import DETECTORS
from drizzlewb.training.pointing import Attitude

HERE = Attitude(290.22, 37.77, 65.0, 1 + 3e-5)


def wcs_of(model, extver, attitude, size="full"):
    corners, shape = model.crop(size), model.sizes[size]
    header = pointing.wcs_header(model, extver, attitude, corners[extver - 1], shape)
    return pointing.chip_wcs(header, shape, pointing.lookup_tables(model, corners))


def grid(shape, margin=0):
    x, y = np.meshgrid(np.linspace(margin, shape[1] - 1 - margin, 9), np.linspace(0, shape[0] - 1, 9))
    return x.ravel(), y.ravel()


@pytest.mark.parametrize("name", list(DETECTORS))
def test_sky_to_pixel_inverts_the_whole_distortion(name):
    model = DETECTORS[name]
    for extver in range(1, len(model.chips) + 1):
        wcs = wcs_of(model, extver, HERE)
        x, y = grid(model.shape)
        back = pointing.sky_to_pixel(wcs, *wcs.all_pix2world(x, y, 0))
        np.testing.assert_allclose(back, [x, y], rtol=0, atol=2e-8)


@pytest.mark.parametrize("name", list(DETECTORS))
@pytest.mark.parametrize("size", ["tiny", "small"])
def test_a_crop_looks_where_its_silicon_looks(name, size):
    model = DETECTORS[name]
    for extver, (x0, y0) in enumerate(model.crop(size), start=1):
        x, y = grid(model.sizes[size])
        part = wcs_of(model, extver, HERE, size).all_pix2world(x, y, 0)
        whole = wcs_of(model, extver, HERE).all_pix2world(x + x0, y + y0, 0)
        np.testing.assert_allclose(part, whole, rtol=0, atol=1e-12)


def test_every_size_is_centred_on_the_same_sky():
    for model in DETECTORS.values():
        for size in model.sizes:
            places = []
            for extver in range(1, len(model.chips) + 1):
                ny, nx = model.sizes[size]
                y = (ny - 1) / 2 if len(model.chips) == 1 else (ny - 1.0, 0.0)[extver - 1]
                places.append(wcs_of(model, extver, HERE, size).all_pix2world(nx / 2 - 0.5, y, 0))
            ra, dec = np.mean(places, axis=0)
            # NPOL and D2IM move the centre by some hundredths of a pixel: 10 mas at most
            assert abs(ra - HERE.ra) * np.cos(np.radians(dec)) * 3.6e6 < 15
            assert abs(dec - HERE.dec) * 3.6e6 < 15


def test_gap_between_the_chips_is_real():
    model = DETECTORS["ACS/WFC"]
    top = wcs_of(model, 1, HERE).all_pix2world(2047.5, 2047.0, 0)
    bottom = wcs_of(model, 2, HERE).all_pix2world(2047.5, 0.0, 0)
    gap = np.hypot((top[0] - bottom[0]) * np.cos(np.radians(37.77)), top[1] - bottom[1]) * 3600
    assert 2.0 < gap < 3.2  # about 50 pixels of 0.05 arcsec


def test_velocity_aberration_scales_the_field():
    model = DETECTORS["ACS/WFC"]
    for extver in (1, 2):
        still = wcs_of(model, extver, HERE._replace(va=1.0))
        moving = wcs_of(model, extver, HERE)
        x, y = grid(model.shape)
        ra, dec = still.all_pix2world(x, y, 0)
        ra2, dec2 = moving.all_pix2world(x, y, 0)
        cos = np.cos(np.radians(HERE.dec))
        before = np.hypot((ra - HERE.ra) * cos, dec - HERE.dec)
        after = np.hypot((ra2 - HERE.ra) * cos, dec2 - HERE.dec)
        far = before > 0.003
        np.testing.assert_allclose((after / before)[far], HERE.va, rtol=0, atol=1e-6)


def test_shift_moves_stars_by_pixels():
    model = DETECTORS["ACS/WFC"]
    moved = pointing.shifted(model, HERE, 7.25, -3.5)
    ra, dec = wcs_of(model, 2, HERE).all_pix2world(2047.5, 0.0, 0)
    x, y = pointing.sky_to_pixel(wcs_of(model, 2, moved), np.array([ra]), np.array([dec]))
    # The two chips' scales differ by 0.3 % at the gap; the shift is defined by their mean.
    assert x[0] - 2047.5 == pytest.approx(7.25, abs=0.03)
    assert y[0] == pytest.approx(-3.5, abs=0.03)


def test_tables_are_of_realistic_size_and_laid_out_as_in_the_archive():
    model = DETECTORS["ACS/WFC"]
    hdus = pointing.lookup_tables(model, ((0, 0), (0, 0)))
    assert [(h.name, h.ver) for h in hdus] == [(n, v) for n in ("D2IMARR", "WCSDVARR") for v in (1, 2, 3, 4)]
    for hdu in hdus:
        assert hdu.data.shape == (33, 65)
        assert 0.04 < np.abs(hdu.data).max() < 0.11
        assert np.abs(np.diff(hdu.data, axis=1)).max() < 0.06
    wcs = wcs_of(model, 1, HERE)
    assert wcs.det2im1 is not None
    assert wcs.cpdis2 is not None
    assert pointing.lookup_tables(DETECTORS["WFC3/IR"], ((0, 0),)) == []


def test_pixel_area_map_is_that_of_acs():
    model = DETECTORS["ACS/WFC"]
    areas = np.concatenate(
        [
            pointing.pixel_area_map(wcs_of(model, k, HERE), *grid(model.shape, 5), model.idcscale)
            for k in (1, 2)
        ]
    )
    assert 0.86 < areas.min() < 0.90
    assert 1.04 < areas.max() < 1.08

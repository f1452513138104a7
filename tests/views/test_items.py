import numpy as np
import pytest
from astropy.io import fits
from factory import write, write_generic

from drizzlewb.errors import DataError
from drizzlewb.grid import Region
from drizzlewb.views.items import file_items, names_of, session_items
from drizzlewb.views.matched import matched


def test_all_that_a_session_has_can_be_named(reduced_session):
    names = names_of(reduced_session)
    assert names[:3] == [e.rootname for e in reduced_session.exposures]
    assert names[3:5] == ["product F606W", "weight F606W"]
    items = session_items(reduced_session, names[:5])
    assert [len(i.parts) for i in items] == [2, 2, 2, 1, 1]
    product = reduced_session.result("F606W")
    box = Region(10, 30, 20, 60)
    assert np.array_equal(items[3].parts[0].read(box), product.sci[box.slices()], equal_nan=True)
    assert np.array_equal(items[4].parts[0].read(box), product.wht[box.slices()])
    assert items[3].unit == "ELECTRONS/S"
    grid, region = items[3].common()
    assert grid == product.grid
    assert region == grid.region


def test_an_exposure_lies_where_the_wcs_that_was_asked_for_puts_it(reduced_session):
    session, name = reduced_session, "j8ny01szq"
    came, now, accepted = (
        session_items(session, [name], wcs)[0].parts[0].to_sky(50.0, 50.0)
        for wcs in ("original", "solution", "accepted")
    )
    assert now == accepted
    moved = np.hypot((now[0] - came[0]) * np.cos(np.radians(now[1])), now[1] - came[1]) * 3600e3
    assert moved > 1.0  # mas


def test_a_preview_can_be_compared_with_its_product(reduced_session):
    reduced_session.preview("F606W", size=(40, 50)).result(300)
    preview, product = session_items(reduced_session, ["preview F606W", "product F606W"])
    one, two = matched([preview, product])
    assert one.region.shape == (40, 50)
    assert np.array_equal(one.read(one.region), two.read(two.region), equal_nan=True)


def test_what_is_not_there_is_said(reduced_session, field_folder_session):
    with pytest.raises(DataError, match="Product F814W is not there.*run it first"):
        session_items(reduced_session, ["product F814W"])
    with pytest.raises(DataError, match="no preview of product F814W"):
        session_items(reduced_session, ["preview F814W"])
    with pytest.raises(DataError, match="There is no file nowhere.fits"):
        session_items(reduced_session, ["nowhere.fits"])
    with pytest.raises(DataError, match="one of original, solution, accepted, not 'mine'"):
        session_items(reduced_session, ["j8ny01svq"], "mine")
    with pytest.raises(DataError, match="align first"):
        session_items(field_folder_session, ["jtest01aq"], "solution")


@pytest.fixture
def field_folder_session(tmp_path):
    from drizzlewb import Session

    return Session(str(write(tmp_path / "jtest01aq_flc.fits", "ACS/WFC")))


def test_files_of_every_kind(tmp_path, reduced_session):
    exposure = write(tmp_path / "jtest09aq_flc.fits", "ACS/WFC")
    (item,) = file_items(exposure)
    assert (len(item.parts), item.name) == (2, "jtest09aq_flc.fits F606W")
    (item,) = file_items(write_generic(tmp_path / "plain.fits"))
    assert item.on_sky
    assert item.parts[0].read(Region(0, 2, 0, 3)).shape == (2, 3)
    (item,) = file_items(write_generic(tmp_path / "lost.fits", wcs=False))
    assert not item.on_sky
    assert item.common is None
    (item,) = file_items(reduced_session.result("F606W").path)
    assert item.unit == "ELECTRONS/S"
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(DataError, match="holds no image of two axes"):
        file_items(tmp_path / "empty.fits")
    (tmp_path / "text.fits").write_text("no FITS")
    with pytest.raises(DataError, match="is not FITS"):
        file_items(tmp_path / "text.fits")


def test_a_distorted_image_gives_an_undistorted_grid(tmp_path):
    path = tmp_path / "sip.fits"
    source = write(tmp_path / "jtest08aq_flc.fits", "ACS/HRC")
    with fits.open(source) as hdus:
        header = hdus["SCI"].header
        fits.PrimaryHDU(hdus["SCI"].data, header).writeto(path)
    (item,) = file_items(path)
    grid, _ = item.common()
    x, y = item.parts[0].from_sky(*item.parts[0].to_sky(np.array([5.0]), np.array([30.0])))
    assert (x[0], y[0]) == pytest.approx((5.0, 30.0), abs=1e-6)
    assert grid.wcs.sip_a.shape[0] <= 1

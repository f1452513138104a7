import tarfile

import numpy as np
import pytest
from astropy.wcs import WCS
from numpy.testing import assert_allclose, assert_array_equal

from drizzlewb.errors import DataError
from drizzlewb.steps.regions import (
    DS9Region,
    parse_angle,
    parse_regions,
    read_image_list,
    read_regions,
    selected,
)


def grid(shape=(60, 80)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return x, y


class TestShapes:
    def test_image_coordinates_count_from_one(self):
        (circle,) = parse_regions("image\ncircle(11, 21, 3)")
        assert circle.contains(10, 20)
        assert circle.contains(13, 20)
        assert not circle.contains(13.01, 20)

    def test_area_of_each_shape(self):
        x, y = np.meshgrid(np.arange(0, 100, 0.25), np.arange(0, 100, 0.25))
        for text, area in [
            ("circle(50,50,20)", np.pi * 400),
            ("ellipse(50,50,30,10,25)", np.pi * 300),
            ("box(50,50,30,10,70)", 300),
            ("polygon(10,10,60,10,60,40)", 50 * 30 / 2),
        ]:
            inside = parse_regions(f"image;{text}")[0].contains(x, y)
            assert_allclose(inside.sum() / 16, area, rtol=0.01)

    def test_angles_turn_from_x_to_y(self):
        (ellipse,) = parse_regions("image\nellipse(1,1,10,1,30)")
        assert ellipse.contains(9 * np.cos(np.pi / 6), 9 * np.sin(np.pi / 6))
        assert not ellipse.contains(9 * np.cos(np.pi / 6), -9 * np.sin(np.pi / 6))

    def test_box_without_an_angle(self):
        assert parse_regions("image;box(1,2,3,4)")[0].numbers == (1, 2, 3, 4, 0)

    def test_a_concave_polygon(self):
        (polygon,) = parse_regions("image\npolygon(1,1,11,1,11,11,6,3,1,11)")
        assert_array_equal(polygon.contains([5, 5, 9.5], [1, 8, 8]), [True, False, True])


def sky_wcs(rotation=0.0, parity=-1.0):
    w = WCS(naxis=2)
    w.wcs.ctype = "RA---TAN", "DEC--TAN"
    w.wcs.crval, w.wcs.crpix = (290.0, 37.8), (40.0, 30.0)
    a = np.radians(rotation)
    w.wcs.cd = 1e-4 * np.array([[parity * np.cos(a), np.sin(a)], [-parity * np.sin(a), np.cos(a)]])
    return w


class TestSky:
    def test_circle_of_arcseconds(self):
        w = sky_wcs(33)
        (circle,) = parse_regions('fk5\ncircle(19:20:00.0,+37:48:00,3.7")')
        x, y = grid()
        inside = circle.contains(x, y, lambda ra, dec: w.wcs_world2pix(ra, dec, 0))
        # A pixel is 0.36 arcsec; no pixel centre lies within 0.01 px of this border.
        assert_array_equal(inside, np.hypot(x - 39, y - 29) <= 3.7 / 0.36)

    @pytest.mark.parametrize("rotation", [0.0, 120.0])
    def test_an_angle_on_the_sky_turns_from_west_to_north(self, rotation):
        w = sky_wcs(rotation)
        (box,) = parse_regions("icrs\nbox(290.0, 37.8, 0.002d, 0.0002d, 90)")
        north = w.wcs_world2pix([[290.0, 37.8008]], 0)[0]
        east = w.wcs_world2pix([[290.0 + 0.0008 / np.cos(np.radians(37.8)), 37.8]], 0)[0]
        to_pixel = lambda ra, dec: w.wcs_world2pix(ra, dec, 0)  # noqa: E731
        assert box.contains(*north, to_pixel)
        assert not box.contains(*east, to_pixel)

    def test_polygon_and_galactic(self):
        w = sky_wcs()
        to_pixel = lambda ra, dec: w.wcs_world2pix(ra, dec, 0)  # noqa: E731
        corners = w.wcs_pix2world([[10, 10], [30, 10], [30, 25]], 0)
        text = ",".join(f"{v:.9f}" for v in corners.ravel())
        (polygon,) = parse_regions(f"fk5\npolygon({text})")
        assert_array_equal(polygon.contains([28, 12], [12, 24], to_pixel), [True, False])
        from astropy.coordinates import SkyCoord

        l, b = (SkyCoord(290.0, 37.8, unit="deg").galactic.data.lon.deg, 0)  # noqa: E741
        b = SkyCoord(290.0, 37.8, unit="deg").galactic.b.deg
        (circle,) = parse_regions(f'galactic\ncircle({l:.8f},{b:.8f},3.6")')
        assert circle.contains(39, 29, to_pixel)

    def test_needs_a_wcs(self):
        (circle,) = parse_regions("fk5\n\ncircle(1,2,3)")
        with pytest.raises(DataError, match=r"line 3 is in fk5 coordinates, but the image has no WCS"):
            circle.contains(1, 1)


class TestOrder:
    def test_what_comes_later_wins(self):
        x, y = grid()
        first = parse_regions("image\n-box(40,30,10,10)\ncircle(40,30,20)")
        last = parse_regions("image\ncircle(40,30,20)\n-box(40,30,10,10)")
        assert selected(first, 39, 29)
        assert not selected(last, 39, 29)
        assert selected(last, x, y).sum() < selected(first, x, y).sum()

    def test_only_exclusions_start_from_the_whole_image(self):
        x, y = grid()
        keep = selected(parse_regions("image\n-circle(10,10,4)"), x, y)
        assert keep.sum() > 60 * 80 - 60
        assert not keep[9, 9]

    def test_no_regions_keep_all(self):
        assert selected([], *grid()).all()

    def test_include_0_excludes(self):
        (region,) = parse_regions("image\ncircle(1,2,3) # include=0")
        assert not region.include


class TestFiles:
    def test_the_published_files(self, shared_data):
        path = shared_data / "tweakreg_goldens" / "use_ds9_regions_in_tweakreg.tar.gz"
        with tarfile.open(path) as tar:
            files = {m.name.split("/")[-1]: m for m in tar.getmembers()}
            text = {n: tar.extractfile(files[n]).read().decode() for n in files if n.endswith(".reg")}
        assert len(text) == 4
        shapes = ["polygon", "ellipse", "circle", "box"]
        for name, content in text.items():
            regions = parse_regions(content, name)
            assert sorted(r.shape for r in regions) == sorted(shapes)
        # The box lies over the circle: taken away last it leaves none of it, first it changes nothing.
        x, y = np.meshgrid(np.arange(3480, 3600), np.arange(340, 450))
        masks = {n.split("_")[-1]: selected(parse_regions(t), x, y) for n, t in text.items() if "box" in n}
        assert masks["box.reg"].sum() < masks["first.reg"].sum()

    def test_an_error_in_line_7_is_named(self, tmp_path):
        path = tmp_path / "bad.reg"
        path.write_text("# Region file format: DS9\nglobal color=green\nimage\n" + "circle(1,2,3)\n" * 3)
        assert len(read_regions(path)) == 3
        path.write_text(path.read_text() + "circle(1,2)\n")
        with pytest.raises(DataError, match=r"bad\.reg', line 7: circle needs 3 numbers, found 2"):
            read_regions(path)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("circle(1,2,3)", "no coordinate system"),
            ("image\nannulus(1,2,3,4)", "shape 'annulus' is not supported"),
            ("image\ncircle(1,2,3", "closing parenthesis is missing"),
            ("image\ncircle(1,2,-3)", "must be positive"),
            ("image\ncircle(1,two,3)", "'two' is not a number"),
            ("image\npolygon(1,2,3,4)", "three or more pairs"),
            ('fk5\nbox(1,2,3p,4",0)', "mix pixels and angles"),
            ("ecliptic\ncircle(1,2,3)", "'ecliptic' are not supported"),
            ("image\n???", "expected a shape"),
            ("image\ncircle(1,2,nan)", "not a finite number"),
        ],
    )
    def test_refusals(self, text, message):
        with pytest.raises(DataError, match=message):
            parse_regions(text)

    def test_marks_cover_nothing(self):
        assert (
            parse_regions("image\npoint(1,2)\nline(1,2,3,4) # line=0 0\ncircle(1,2,3)")[0].shape == "circle"
        )

    def test_unreadable(self, tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read_regions(tmp_path / "none.reg")

    def test_list_of_files(self, tmp_path):
        for name in ("a.reg", "b.reg"):
            (tmp_path / name).write_text("image\n")
        listed = tmp_path / "exclusions.txt"
        listed.write_text("# image regions\nx_flc.fits a.reg b.reg\ndir/y_flc.fits None b.reg\nz_flc.fits\n")
        files = read_image_list(listed)
        assert files["x_flc.fits"] == [tmp_path / "a.reg", tmp_path / "b.reg"]
        assert files["y_flc.fits"] == [None, tmp_path / "b.reg"]
        assert files["z_flc.fits"] == []
        listed.write_text("x_flc.fits c.reg\n")
        with pytest.raises(DataError, match=r"line 1: file 'c\.reg' for x_flc\.fits does not exist"):
            read_image_list(listed)


def test_angles():
    assert_allclose(parse_angle("12:30:36"), 12.51)
    assert_allclose(parse_angle("-00:30:00"), -0.5)
    assert_allclose(parse_angle("01h00m00s"), 15)
    with pytest.raises(ValueError, match="is not an angle"):
        parse_angle("north")


def test_a_region_is_a_value():
    assert DS9Region("circle", "image", (1.0, 2.0, 3.0)) == DS9Region("circle", "image", (1.0, 2.0, 3.0))

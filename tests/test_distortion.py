import gzip
import json
import warnings

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from hypothesis import given, settings
from hypothesis import strategies as st
from made_wcs import made_wcs

from drizzlewb.distortion import (
    footprint,
    homography,
    linear,
    pack,
    pixel_area_map,
    pixel_to_pixel,
    pixel_to_sky,
    plate_scale,
    replace_tan,
    sky_to_pixel,
    tan_wcs,
    tangent_plane,
)
from drizzlewb.errors import DataError
from drizzlewb.grid import Region

REAL = [
    "acs_wfc_distortion/astropy_dist_lookup.fits.gz",
    "acs_wfc_distortion/astropy_ie6d07ujq_wcs.fits",
    "acs_wfc_distortion/astropy_j94f05bgq_flt.fits",
    "acs_wfc_distortion/j94f05bgq_flt_zeros.fits.gz",
    "drizzle_fixtures/test_drizzlepac_flt.fits.gz",
    "hap_samples/sample_ipppssoot_flc.fits.gz",
    "hap_samples/sample_ipppssoot_flt.fits.gz",
    "hap_samples/sample_mvm_drc.fits.gz",
    "hap_samples/sample_svm_flc.fits.gz",
    "hap_samples/sample_svm_flt.fits.gz",
    "hrc_ngc104/j8bt05njq_flt.fits.gz",
    "hrc_ngc104/j8bt06o6q_flt.fits.gz",
    "hrc_ngc104/j8bt09jcq_flt.fits.gz",
    "wfpc2_omegacen/u40x010hm_c0m.fits.gz",
]
HEADERS = [
    "drizzle_fixtures/nrcb5_output_wcs_psr_0p55.hdr",
    "drizzle_fixtures/nrcb5_output_wcs_psr_1p0.hdr",
    "drizzle_fixtures/nrcb5_output_wcs_psr_1p2.hdr",
    "drizzle_fixtures/nrcb5_sip_wcs.hdr",
    "tweakwcs_fixtures/wfc3_uvis1.hdr",
    "tweakwcs_fixtures/wfc3_uvis2.hdr",
]


def quiet_wcs(*args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return WCS(*args)


def real_wcs(path):
    """(label, astropy WCS, header, primary, shape) of each image of a file."""
    if path.suffix == ".hdr":
        text = path.read_text()
        header = fits.Header.fromstring(text, sep="\n" if text.count("\n") > 5 else "")
        yield path.name, quiet_wcs(header), header, header, (2048, 2048)
        return
    with fits.open(path) as hdus:
        for hdu in hdus:
            if "CTYPE1" in hdu.header and hdu.name in ("SCI", "PRIMARY"):
                # Files cut to 10 x 10 keep the WCS of the full frame: look at all of that.
                shape = hdu.shape if len(hdu.shape) == 2 and hdu.shape[0] > 100 else (2048, 4096)
                w = quiet_wcs(hdu.header, hdus)
                yield f"{path.name} {hdu.ver}", w, hdu.header, hdus[0].header, shape


def difference_px(packed, ra, dec, ra0, dec0):
    scale = np.sqrt(abs(np.linalg.det(packed.cd)))
    dra = ((ra - ra0 + 180.0) % 360.0 - 180.0) * np.cos(np.radians(dec0))
    return np.hypot(dra, dec - dec0) / scale


# 1e-8 px is the aim; a position in degrees near 360 is itself rounded to 5.7e-14 deg, which is 8e-9 px
# of 25 mas, on either side of the comparison.
def tolerance_px(packed):
    return 1e-8 + 2 * np.spacing(360.0) / np.sqrt(abs(np.linalg.det(packed.cd)))


@pytest.mark.parametrize("name", REAL + HEADERS)
def test_real_headers_equal_astropy(shared_data, name):
    rng = np.random.default_rng(3)
    images = 0
    for label, w, header, primary, shape in real_wcs(shared_data / name):
        packed = pack(w, shape, header, primary)
        x = rng.uniform(-1000, shape[1] + 1000, 1500)
        y = rng.uniform(-1000, shape[0] + 1000, 1500)
        x[:300], y[:300] = np.round(x[:300] / 64) * 64 - 1, np.round(y[:300] / 64) * 64 - 1  # on nodes
        ra, dec = pixel_to_sky(packed, x, y)
        error = difference_px(packed, ra, dec, *w.all_pix2world(x, y, 0))
        assert error.max() < tolerance_px(packed), label
        # Inverse: round trip anywhere on the chip and a little off it.
        x, y = rng.uniform(-20, shape[1] + 20, 1000), rng.uniform(-20, shape[0] + 20, 1000)
        back = sky_to_pixel(packed, *pixel_to_sky(packed, x, y))
        np.testing.assert_allclose(back, (x, y), rtol=0, atol=tolerance_px(packed), err_msg=label)
        images += 1
    assert images >= 1


def test_golden_positions(shared_data):
    with gzip.open(shared_data / "wcs_golden_astropy.json.gz") as stream:
        golden = json.load(stream)
    files = {
        "acs_j94f05bgq": "acs_wfc_distortion/j94f05bgq_flt_zeros.fits.gz",
        "wfpc2_u40x010hm": "wfpc2_omegacen/u40x010hm_c0m.fits.gz",
        "hrc_j8bt05njq": "hrc_ngc104/j8bt05njq_flt.fits.gz",
        "hrc_j8bt06o6q": "hrc_ngc104/j8bt06o6q_flt.fits.gz",
        "hrc_j8bt09jcq": "hrc_ngc104/j8bt09jcq_flt.fits.gz",
    }
    seen = 0
    for key, entry in golden.items():
        root, _, chip = key.rpartition("_SCI")
        if root not in files:
            continue  # the IR exposures' files are not in the folder
        with fits.open(shared_data / files[root]) as hdus:
            header = hdus["SCI", int(chip)].header
            packed = pack(quiet_wcs(header, hdus), (header["NAXIS2"], header["NAXIS1"]))
        np.testing.assert_allclose(packed.crval, entry["crval"], rtol=0, atol=1e-12)
        x, y = np.array(entry["pix0"]).T
        for variant, name in ((packed, "sky_all"), (linear(packed), "sky_linear")):
            if name == "sky_all" and packed.d2im_y.size and not entry["d2im"]:
                continue  # WFPC2's first chip: without D2IM then; test_real_headers covers it
            ra, dec = pixel_to_sky(variant, x, y)
            error = difference_px(packed, ra, dec, *np.array(entry[name]).T)
            assert error.max() < tolerance_px(packed), (key, name)
        seen += 1
    assert seen == 9


TERMS = {
    "tan": {"order": 0},
    "sip": {"order": 5},
    "all": {"npol": "xy", "d2im": "xy"},
    "north pole": {"crval": (120.0, 89.99), "npol": "xy"},
    "on the pole": {"crval": (15.0, 90.0), "order": 3},
    "south pole": {"crval": (15.0, -90.0), "order": 3},
    "ra 0": {"crval": (0.0001, -20.0), "d2im": "y"},
    "ra 360": {"crval": (359.9999, 45.0)},
}


@pytest.mark.parametrize("name", list(TERMS))
def test_made_headers_equal_astropy(name):
    w = made_wcs((300, 400), **TERMS[name])
    packed = pack(w, (300, 400))
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1000, 1400, 1000), rng.uniform(-1000, 1300, 1000)
    ra, dec = pixel_to_sky(packed, x, y)
    assert ((ra >= 0) & (ra < 360)).all()
    ra0, dec0 = w.all_pix2world(x, y, 0)
    # At the pole astropy's own right ascension and declination lose digits: compare directions.
    apart = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(ra0, dec0, unit="deg")).arcsec / 0.05
    assert apart.max() < 5e-8 if "pole" in name else apart.max() < 1e-8
    x, y = rng.uniform(-10, 410, 500), rng.uniform(-10, 310, 500)
    np.testing.assert_allclose(sky_to_pixel(packed, *pixel_to_sky(packed, x, y)), (x, y), rtol=0, atol=1e-8)


@settings(deadline=None, max_examples=40)
@given(
    st.floats(0, 359.999),
    st.floats(-90, 90),
    st.floats(-0.5, 0.5),
    st.floats(-0.5, 0.5),
    st.floats(0, 360),
)
def test_homography_is_the_trigonometry(ra, dec, east, north, rot):
    cd = np.array([[-1.2e-5, 3e-6], [2e-6, 1.1e-5]])
    chip = tan_wcs((ra, dec), (200.0, 100.0), cd)
    a = np.radians(rot)
    turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    grid = tan_wcs(((ra + east) % 360, np.clip(dec + north, -90, 90)), (3.0, -8.0), 0.7 * turn @ cd)
    h = homography(chip, grid)
    x, y = np.meshgrid([-500.0, 0.0, 900.0], [-300.0, 700.0])
    u, v = (x - 200.0).ravel(), (y - 100.0).ravel()
    mapped = h @ np.stack([u, v, np.ones_like(u)])
    # By way of the sky, with unit vectors and nothing shared with the code under test.
    rad = np.pi / 180

    def frame(crval):
        lon, lat = np.array(crval) * rad
        pole = [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
        east = [-np.sin(lon), np.cos(lon), 0.0]
        return np.array([east, np.cross(pole, east), pole])

    xi, eta = cd @ np.stack([u, v]) * rad
    there = frame(grid.crval) @ frame(chip.crval).T @ np.stack([xi, eta, np.ones_like(xi)])
    expected = np.linalg.solve(grid.cd * rad, there[:2] / there[2]) + grid.crpix[:, None]
    assert (mapped[2] > 0).all()
    # 1e-16 of a radian is 5e-10 px of 40 mas; the tangent points may be 2.5e5 px apart.
    np.testing.assert_allclose(mapped[:2] / mapped[2], expected, rtol=1e-12, atol=2e-8)


def test_pixel_to_pixel_goes_by_way_of_the_sky():
    a = pack(made_wcs(npol="xy", d2im="xy"), (300, 400))
    b = pack(made_wcs(crval=(83.205, -67.701), rot=-20, seed=4), (300, 400))
    x, y = np.meshgrid(np.linspace(0, 399, 9), np.linspace(0, 299, 7))
    got = pixel_to_pixel(a, b, x, y)
    assert got[0].shape == x.shape
    np.testing.assert_allclose(got, sky_to_pixel(b, *pixel_to_sky(a, x, y)), rtol=0, atol=1e-8)


def header(**cards):
    h = fits.Header()
    h["NAXIS"], h["NAXIS1"], h["NAXIS2"] = 2, 200, 150
    h["CTYPE1"], h["CTYPE2"] = "RA---TAN", "DEC--TAN"
    h["CRPIX1"], h["CRPIX2"], h["CRVAL1"], h["CRVAL2"] = 90.0, 80.0, 150.0, 2.0
    for key, value in cards.items():
        h[key] = value
    return h


LINEAR = {"CD1_1": -1e-5, "CD1_2": 2e-6, "CD2_1": 3e-6, "CD2_2": 1.1e-5}
VARIANTS = {
    "cd": LINEAR,
    "pc and cdelt": {
        "PC1_1": 0.9,
        "PC1_2": 0.1,
        "PC2_1": -0.2,
        "PC2_2": 1.0,
        "CDELT1": -1e-5,
        "CDELT2": 1.1e-5,
    },
    "crota": {"CDELT1": -1e-5, "CDELT2": 1e-5, "CROTA2": 30.0},
    "arcsec": {"CDELT1": -0.05, "CDELT2": 0.05, "CUNIT1": "arcsec", "CUNIT2": "arcsec", "CRVAL1": 540000.0},
    "lonpole": LINEAR | {"LONPOLE": 60.0},
    "negative ra": LINEAR | {"CRVAL1": -0.001},
    "axes swapped": LINEAR
    | {
        "CTYPE1": "DEC--TAN",
        "CTYPE2": "RA---TAN",
        "CRVAL1": 2.0,
        "CRVAL2": 150.0,
        "CD1_1": 1e-5,
        "CD2_2": -1e-5,
    },
    "sip without -SIP": LINEAR | {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-5, "B_1_1": -2e-5},
    "unlike orders": LINEAR
    | {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 3}
    | {"A_2_0": 1e-5, "A_2_2": 1.0, "B_1_2": -2e-7},
}


@pytest.mark.parametrize("name", list(VARIANTS))
def test_ways_to_write_a_header(name):
    w = quiet_wcs(header(**VARIANTS[name]))
    packed = pack(w, (150, 200))
    x, y = np.meshgrid(np.linspace(-50, 250, 7), np.linspace(-40, 190, 6))
    x, y = x.ravel(), y.ravel()
    world = w.all_pix2world(x, y, 0)
    ra, dec = pixel_to_sky(packed, x, y)
    error = difference_px(packed, ra, dec, world[w.wcs.lng], world[w.wcs.lat])
    assert error.max() < 1.5e-8


def test_three_axes_use_the_celestial_two():
    h = header(**LINEAR)
    h["NAXIS"], h["NAXIS3"], h["CTYPE3"], h["CRVAL3"], h["CRPIX3"], h["CD3_3"] = 3, 4, "WAVE", 1.0, 1.0, 1.0
    packed = pack(quiet_wcs(h), (150, 200))
    expected = quiet_wcs(header(**LINEAR)).all_pix2world(10.0, 20.0, 0)
    np.testing.assert_allclose(pixel_to_sky(packed, 10.0, 20.0), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["GLON", "ELON"])
def test_other_sky_frames_are_turned_to_icrs(kind):
    other = kind.replace("LON", "LAT")
    w = quiet_wcs(header(**LINEAR | {"CTYPE1": f"{kind}-TAN", "CTYPE2": f"{other}-TAN", "LONPOLE": 150.0}))
    packed = pack(w, (150, 200))
    x, y = np.array([0.0, 199.0, 30.0]), np.array([0.0, 20.0, 149.0])
    sky = w.pixel_to_world(x, y).icrs
    # Astropy's frame rotations are good to some 1e-10 deg here.
    assert difference_px(packed, *pixel_to_sky(packed, x, y), sky.ra.deg, sky.dec.deg).max() < 1e-4


def other_projection(name):
    if name == "TPV":
        pv = {
            "PV1_0": 1e-6,
            "PV1_1": 1.01,
            "PV1_2": -0.003,
            "PV1_4": 0.2,
            "PV1_7": 30.0,
            "PV2_1": 0.99,
            "PV2_6": -0.3,
        }
        h = header(**LINEAR | {"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV"} | pv)
    elif name == "SCAMP":
        h = header(**LINEAR | {"PV1_1": 1.01, "PV1_4": 0.2, "PV2_1": 0.99, "PV2_4": -0.3})
    elif name == "TAN with PV":
        h = header(**LINEAR | {"PV1_1": 15.0, "PV1_2": 88.0})
    elif name == "galactic CAR":
        h = header(**LINEAR | {"CTYPE1": "GLON-CAR", "CTYPE2": "GLAT-CAR", "CRVAL2": 0.0, "CRPIX2": -4000.0})
    else:
        h = header(**LINEAR | {"CTYPE1": f"RA---{name}", "CTYPE2": f"DEC--{name}"})
    return quiet_wcs(h)


@pytest.mark.parametrize("name", ["TPV", "SCAMP", "TAN with PV", "SIN", "ZEA", "AIT", "galactic CAR"])
def test_other_projections_are_sampled(name):
    w = other_projection(name)
    packed = pack(w, (150, 200))
    assert packed.grid_x.size > 0
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-200, 390, 800), rng.uniform(-200, 340, 800)
    world = w.pixel_to_world(x, y).icrs if name.startswith("gal") else w.all_pix2world(x, y, 0)
    ra0, dec0 = (world.ra.deg, world.dec.deg) if name.startswith("gal") else world
    ra, dec = pixel_to_sky(packed, x, y)
    assert difference_px(packed, ra, dec, ra0, dec0).max() < 1e-7
    np.testing.assert_allclose(sky_to_pixel(packed, ra, dec), (x, y), rtol=0, atol=2e-8)
    far = pixel_to_sky(packed, 5000.0, 0.0)
    assert np.isnan(far).all()


def test_sampled_rows_equal_points_and_do_not_depend_on_the_run():
    from drizzlewb.kernels.rows import map_row
    from drizzlewb.kernels.transform import map_points

    packed = pack(other_projection("TPV"), (150, 200))
    h = homography(packed, linear(packed))
    for y in (-300.0, -0.5, 33.3, 149.0, 405.5, 410.0):
        x = np.arange(-300, 500) + 0.25
        row, points, part = np.empty((2, 800)), np.empty((2, 800)), np.empty((2, 300))
        map_row(packed, h, y, 0.25, -300, 500, row[0], row[1])
        map_points(packed, h, x, np.full(800, y), points[0], points[1])
        np.testing.assert_allclose(row, points, rtol=0, atol=1e-10)
        map_row(packed, h, y, 0.25, -30, 270, part[0], part[1])
        assert part.tobytes() == np.ascontiguousarray(row[:, 270:570]).tobytes()


def test_sampling_that_cannot_reach_its_accuracy_is_refused():
    h = header(**LINEAR | {"CTYPE1": "RA---AIT", "CTYPE2": "DEC--AIT", "CD1_1": -1.9, "CD2_2": 1.9})
    with pytest.raises(DataError, match=r"cannot be carried onto a tangent plane.*resample it to TAN"):
        pack(quiet_wcs(h), (150, 200))


def test_no_celestial_wcs():
    with pytest.raises(DataError, match="no celestial WCS"):
        pack(WCS(naxis=2), (10, 10))


def test_singular_cd():
    w = made_wcs(order=0)
    packed = pack(w, (300, 400))
    with pytest.raises(DataError, match="CD matrix that can be inverted"):
        replace_tan(packed, (1.0, 2.0), np.ones((2, 2)))
    with pytest.raises(DataError, match="finite values"):
        tan_wcs((np.nan, 2.0), (0.0, 0.0), np.eye(2))


def test_damaged_tables():
    w = made_wcs(npol="x")
    w.cpdis1.data[2, 2] = np.nan
    with pytest.raises(DataError, match="NPOL or D2IM"):
        pack(w, (300, 400))
    w = made_wcs(d2im="x")
    w.det2im1.data[2, ::2] = 30.0
    with pytest.raises(DataError, match="D2IMARR extension is damaged"):
        pack(w, (300, 400))


def test_empty_chip():
    with pytest.raises(DataError, match="at least 1 x 1"):
        pack(made_wcs(), (0, 400))


def test_sip_without_its_ctype_is_said(caplog):
    with caplog.at_level("INFO"):
        pack(quiet_wcs(header(**VARIANTS["sip without -SIP"])), (150, 200))
    assert "lacks -SIP" in caplog.text


def test_replace_tan_keeps_the_distortion():
    packed = pack(made_wcs(npol="xy"), (300, 400))
    moved = replace_tan(packed, packed.crval + (0.01, 0.0), packed.cd)
    assert moved.sip_a is packed.sip_a
    assert moved.npol_x is packed.npol_x
    ra, dec = pixel_to_sky(moved, *packed.crpix)
    ra0, dec0 = pixel_to_sky(packed, *packed.crpix)
    np.testing.assert_allclose([ra - ra0, dec - dec0], [0.01, 0.0], atol=1e-7)


def test_packed_arrays_are_of_one_kind():
    kinds = set()
    for terms in TERMS.values():
        packed = pack(made_wcs((300, 400), **terms), (300, 400))
        for p in (packed, linear(packed), pack(other_projection("SIN"), (150, 200))):
            kinds.add(tuple((a.dtype.str, a.ndim, a.flags.c_contiguous, a.flags.writeable) for a in p))
    assert len(kinds) == 1
    assert all(c and w for _, _, c, w in kinds.pop())


def test_footprint_follows_the_border():
    packed = pack(made_wcs(npol="xy"), (300, 400))
    corners = footprint(packed, (300, 400))
    np.testing.assert_allclose(corners[2], pixel_to_sky(packed, 399.5, 299.5), rtol=0, atol=1e-12)
    border = footprint(packed, (300, 400), 5)
    assert border.shape == (20, 2)
    np.testing.assert_allclose(border[::5], corners, rtol=0, atol=1e-12)
    x, y = sky_to_pixel(packed, *border.T)
    on_x = np.minimum(abs(x + 0.5), abs(x - 399.5)) < 1e-7
    assert (on_x | (np.minimum(abs(y + 0.5), abs(y - 299.5)) < 1e-7)).all()


def test_pixel_area_is_the_jacobian():
    w = made_wcs(order=4)
    packed = pack(w, (300, 400))
    region = Region(100, 140, 350, 400)
    area = pixel_area_map(packed, region)
    assert area.shape == (40, 50)
    assert pixel_area_map(packed, Region(120, 121, 390, 391))[0, 0] == area[20, 40]
    y, x = np.mgrid[100:140, 350:400].astype(float)
    step = 0.25
    (ax, ay), (bx, by) = w.sip_pix2foc(x + step, y, 0), w.sip_pix2foc(x - step, y, 0)
    (cx, cy), (dx, dy) = w.sip_pix2foc(x, y + step, 0), w.sip_pix2foc(x, y - step, 0)
    jacobian = ((ax - bx) * (cy - dy) - (ay - by) * (cx - dx)) / (4 * step**2)
    expected = jacobian * abs(np.linalg.det(packed.cd)) * 3600**2 / plate_scale(packed) ** 2
    # Pixel-sized and quarter-pixel differences of a quartic differ by its third derivatives.
    np.testing.assert_allclose(area, expected, rtol=1e-4)
    assert np.ptp(area) > 1e-3


def test_area_of_an_undistorted_chip_is_one():
    packed = pack(made_wcs(order=0, skew=0.0), (300, 400))
    np.testing.assert_allclose(pixel_area_map(packed, Region(0, 3, 5, 9)), 1.0, rtol=1e-12)


def test_plate_scale_without_hubble_keywords():
    packed = pack(made_wcs(order=3, scale_arcsec=0.05, skew=0.1), (300, 400))
    assert plate_scale(packed) == pytest.approx(0.05 * np.sqrt(0.9), rel=1e-12)
    assert plate_scale(linear(packed)) == pytest.approx(0.05, rel=1e-12)


@pytest.mark.parametrize("name", [n for n in REAL if "astropy_" not in n])
def test_undistorted_plane_is_that_of_stwcs(shared_data, name):
    pytest.importorskip("stwcs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from stwcs.distortion import utils
        from stwcs.wcsutil import HSTWCS

        for label, w, head, primary, shape in real_wcs(shared_data / name):
            packed = pack(w, shape, head, primary)
            hst = HSTWCS(str(shared_data / name), ext=("SCI", head.get("EXTVER", 1)))
            plane = utils.make_orthogonal_cd(hst)
            np.testing.assert_allclose(tangent_plane(packed), plane.wcs.cd, rtol=0, atol=1e-17, err_msg=label)
            if hst.sip is not None:
                assert plate_scale(packed) == pytest.approx(plane.pscale, rel=1e-14)
            else:
                assert plate_scale(packed) == pytest.approx(hst.pscale, rel=1e-14)


def test_header_warnings_do_not_escape():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        w = WCS(header(**LINEAR | {"DATE-OBS": "12/04/02"}))
    pack(w, (150, 200))

"""One file of every instrument becomes exposures; what cannot be used is refused with its sentence."""

import gzip
import os
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from factory import KINDS, pixels, tan_cards, write, write_generic

from drizzlewb.distortion import pixel_to_sky
from drizzlewb.errors import DataError
from drizzlewb.exposure import open_file
from drizzlewb.exposure.fitsfile import scan
from drizzlewb.exposure.opening import split_name

EXPTIME = 500.0
# unit of the file, electrons per unit, gain, read noise, dark rate
EXPECTED = {
    "ACS/WFC": ("electrons", 1.0, 2.015, 4.25, 0.005),
    "ACS/HRC": ("electrons", 1.0, 2.015, 4.7, 0.005),
    "ACS/SBC": ("counts", 1.0, 1.0, 0.0, 0.005),
    "WFC3/UVIS": ("electrons", 1.0, 1.575, 3.1, 0.005),
    "WFC3/IR": ("electrons/s", EXPTIME, 2.355, 20.0, 0.005),
    "WFPC2": ("counts", 7.12, 7.12, 5.24, 0.005),
    "STIS/CCD": ("counts", 1.03, 1.03, 5.4, 0.009),
    "STIS/NUV-MAMA": ("counts", 1.0, 1.0, 0.0, 0.0013),
    "STIS/FUV-MAMA": ("counts", 1.0, 1.0, 0.0, 1e-4),
    "NICMOS/1": ("counts/s", 5.4 * EXPTIME, 5.4, 26.0, 0.08),
    "NICMOS/2": ("counts/s", 5.4 * EXPTIME, 5.4, 26.0, 0.08),
    "NICMOS/3": ("counts/s", 6.5 * EXPTIME, 6.5, 29.0, 0.15),
}


def only(path):
    opened = open_file(str(path))
    assert opened.left_out == []
    assert len(opened.exposures) == 1
    return opened.exposures[0]


@pytest.mark.parametrize("kind", KINDS)
def test_every_instrument_gives_electrons(tmp_path, kind):
    layout = KINDS[kind]
    path = write(tmp_path / f"jtst01aaq_{layout.suffix}.fits", kind, exptime=EXPTIME)
    exposure = only(path)
    chip = exposure.chips[0]
    unit, factor, gain, noise, dark = EXPECTED[kind]
    assert exposure.detector == kind
    assert [c.chip for c in exposure.chips] == list(layout.chips)
    assert (chip.unit, exposure.exptime, chip.exptime) == (unit, EXPTIME, EXPTIME)
    np.testing.assert_allclose(
        (chip.to_electrons, chip.gain, chip.read_noise, chip.dark), (factor, gain, noise, dark), rtol=1e-12
    )
    assert chip.pixel_scale_arcsec == pytest.approx(layout.scale_arcsec, rel=1e-9)
    with fits.open(path) as opened:
        expected = opened["SCI", 1].data * np.float32(factor)
    got = chip.read_sci((0, 40, 0, 60))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, expected)
    assert (exposure.rootname, exposure.suffix, exposure.visit) == ("jtst01aaq", layout.suffix, "01")
    assert (exposure.target, exposure.date_obs, exposure.time_obs) == ("TEST FIELD", "2015-03-04", "05:06:07")


@pytest.mark.parametrize("kind", ["ACS/WFC", "WFC3/IR", "NICMOS/2"])
def test_err_is_in_electrons_too(tmp_path, kind):
    path = write(tmp_path / "jtst01aaq_flt.fits", kind)
    chip = only(path).chips[0]
    with fits.open(path) as opened:
        expected = opened["ERR", 1].data * np.float32(chip.to_electrons)
    np.testing.assert_array_equal(chip.read_err((0, 40, 0, 60)), expected)


def test_no_err_is_an_error_when_it_is_asked_for(tmp_path):
    chip = only(write(tmp_path / "u1_c0m.fits", "WFPC2")).chips[0]
    with pytest.raises(DataError, match="no ERR array"):
        chip.read_err((0, 1, 0, 1))


def test_the_packed_wcs_is_astropys(tmp_path):
    path = write(tmp_path / "jtst01aaq_flc.fits", "ACS/WFC")
    x, y = np.array([0.0, 33.3, 59.0]), np.array([5.0, 0.5, 39.0])
    for chip in only(path).chips:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = WCS(fits.getheader(path, ("SCI", chip.extver))).all_pix2world(x, y, 0)
        np.testing.assert_allclose(pixel_to_sky(chip.wcs, x, y), expected, rtol=0, atol=1e-11)


def test_the_lookup_tables_of_the_file_are_used(tmp_path):
    """WCSDVARR and D2IMARR extensions reach the packed WCS, also from a .gz file, without unpacking it."""
    shape = (40, 60)
    tables = [
        fits.ImageHDU(np.full((5, 7), 0.25 * k, np.float32), fits.Header(
            {"CRPIX1": 1.0, "CRPIX2": 1.0, "CRVAL1": 1.0, "CRVAL2": 1.0, "CDELT1": 10.0, "CDELT2": 10.0}
        ), name=name, ver=k)
        for name, k in (("WCSDVARR", 1), ("WCSDVARR", 2), ("D2IMARR", 1))
    ]  # fmt: skip
    header = fits.Header(tan_cards(shape, 0.05) | {"BUNIT": "ELECTRONS", "CCDCHIP": 1})
    for axis in (1, 2):
        header[f"CPDIS{axis}"] = "LOOKUP"
        for record in (f"EXTVER: {axis}", "NAXES: 2", "AXIS.1: 1", "AXIS.2: 2"):
            header.append((f"DP{axis}", record), end=True)
    primary = fits.Header({"INSTRUME": "ACS", "DETECTOR": "WFC", "EXPTIME": 10.0, "FILTER1": "F606W"})
    sci = fits.ImageHDU(pixels(shape), header, name="SCI")
    hdus = fits.HDUList([fits.PrimaryHDU(header=primary), sci, *tables])
    for name in ("a_flt.fits", "b_flt.fits.gz"):
        hdus.writeto(tmp_path / name)
        chip = only(tmp_path / name).chips[0]
        assert chip.wcs.npol_x.shape == (5, 7)
        assert chip.wcs.npol_x[0, 0] == 0.25
        assert chip.wcs.npol_y[0, 0] == 0.5


class TestImageSets:
    def test_cr_split_is_one_exposure_for_each_set(self, tmp_path):
        path = write(tmp_path / "otst01aaq_flt.fits", "STIS/CCD", sets=3, exptime=300.0)
        opened = open_file(str(path)).exposures
        assert [e.rootname for e in opened] == ["otst01aaq_1", "otst01aaq_2", "otst01aaq_3"]
        assert [e.chips[0].extver for e in opened] == [1, 2, 3]
        assert [e.exptime for e in opened] == [100.0] * 3
        assert len({e.identity for e in opened}) == 3

    def test_two_chips_are_one_exposure(self, tmp_path):
        assert len(only(write(tmp_path / "a_flc.fits", "WFC3/UVIS")).chips) == 2

    def test_a_set_without_exposure_time_is_left_out(self, tmp_path):
        path = write(tmp_path / "otst01aaq_flt.fits", "STIS/CCD", sets=2)
        fits.setval(path, "EXPTIME", value=0.0, extname="SCI", extver=1)
        opened = open_file(str(path))
        assert [e.chips[0].extver for e in opened.exposures] == [2]
        assert "EXPTIME of image set 1 is 0 s" in opened.left_out[0]


class TestWFPC2:
    def test_flags_come_from_the_c1m_beside_it(self, tmp_path):
        words = [np.full((40, 60), k, np.int16) for k in (1, 2, 3, 4)]
        exposure = only(write(tmp_path / "utst0101m_c0m.fits", "WFPC2", dq=words))
        assert [c.read_dq((0, 1, 0, 1))[0, 0] for c in exposure.chips] == [1, 2, 3, 4]
        names = [os.path.basename(path) for path, _, _ in exposure.files]
        assert names == ["utst0101m_c0m.fits", "utst0101m_c1m.fits"]
        assert exposure.product_suffix == "drw"

    def test_a_packed_c1m_serves_a_plain_c0m(self, tmp_path):
        path = write(tmp_path / "utst0101m_c0m.fits", "WFPC2", dq=[np.full((40, 60), 7, np.int16)] * 4)
        plain = tmp_path / "utst0101m_c1m.fits"
        with gzip.open(f"{plain}.gz", "wb") as packed:
            packed.write(plain.read_bytes())
        plain.unlink()
        assert only(path).chips[2].read_dq((0, 1, 0, 1))[0, 0] == 7

    def test_without_c1m_all_pixels_outside_the_shadow_are_good(self, tmp_path):
        chip = only(write(tmp_path / "utst0101m_c0m.fits", "WFPC2", with_dq=False, shape=(80, 100))).chips[0]
        assert chip.dq is None
        good = chip.good((0, 80, 0, 100), 0)
        assert good[70, 90] == 1
        assert good[70, 10] == good[10, 90] == 0

    def test_the_shadow_is_masked_whatever_the_bits_and_the_box(self, tmp_path):
        exposure = only(write(tmp_path / "utst0101m_c0m.fits", "WFPC2", shape=(80, 100)))
        for chip in exposure.chips:
            whole = chip.good((0, 80, 0, 100), None)
            assert 0 < whole.sum() < whole.size
            np.testing.assert_array_equal(chip.good((20, 61, 33, 90), None), whole[20:61, 33:90])

    def test_gains_are_true_gains_by_chip(self, tmp_path):
        exposure = only(write(tmp_path / "u_c0m.fits", "WFPC2", primary={"ATODGAIN": 15.0}))
        assert [c.to_electrons for c in exposure.chips] == [13.99, 14.50, 13.95, 13.95]

    def test_waiver_files_are_refused_with_the_way_to_convert(self, tmp_path):
        primary = fits.PrimaryHDU(np.zeros((4, 10, 10), np.float32))
        primary.header["INSTRUME"] = "WFPC2"
        primary.writeto(tmp_path / "u_c0f.fits")
        with pytest.raises(DataError, match=r"waiver FITS.*stsci\.tools\.convertwaiveredfits"):
            open_file(str(tmp_path / "u_c0f.fits"))

    def test_geis_files_are_refused_with_the_way_to_convert(self, tmp_path):
        with pytest.raises(DataError, match=r"GEIS file.*stsci\.tools\.readgeis"):
            open_file(str(tmp_path / "u40x010hm.c0h"))

    def test_a_flag_file_is_no_image(self, tmp_path):
        write(tmp_path / "u_c0m.fits", "WFPC2")
        with pytest.raises(DataError, match="data-quality flags only.*give the c0m"):
            open_file(str(tmp_path / "u_c1m.fits"))


class TestGeneric:
    def test_any_image_with_a_celestial_wcs(self, tmp_path):
        exposure = only(write_generic(tmp_path / "mosaic.fits", OBJECT="M 33", BUNIT="adu/s"))
        chip = exposure.chips[0]
        assert (exposure.detector, exposure.rootname, exposure.target) == ("generic", "mosaic", "M 33")
        assert (chip.unit, chip.gain, chip.to_electrons) == ("counts/s", 1.5, 45.0)
        np.testing.assert_array_equal(chip.read_dq((0, 2, 0, 3)), np.zeros((2, 3), np.uint16))

    def test_several_images_are_chips(self, tmp_path):
        hdus = [fits.PrimaryHDU(header=fits.Header({"EXPTIME": 5.0}))]
        hdus += [fits.ImageHDU(pixels((9, 8)), fits.Header(tan_cards((9, 8), 0.2)), ver=k) for k in (1, 2)]
        fits.HDUList(hdus).writeto(tmp_path / "two.fits")
        assert [c.extver for c in only(tmp_path / "two.fits").chips] == [1, 2]

    def test_a_drizzled_product_is_generic(self, tmp_path):
        path = write(
            tmp_path / "f_drc.fits", "ACS/HRC", primary={"NDRIZIM": 3}, chip={"BUNIT": "ELECTRONS/S"}
        )
        exposure = only(path)
        assert (exposure.detector, exposure.unit) == ("generic", "electrons/s")

    def test_without_exposure_time(self, tmp_path):
        write_generic(tmp_path / "a.fits")
        fits.delval(tmp_path / "a.fits", "EXPTIME")
        with pytest.raises(DataError, match="no exposure time.*add EXPTIME in seconds"):
            open_file(str(tmp_path / "a.fits"))

    def test_an_unknown_instrument_without_celestial_wcs(self, tmp_path):
        write_generic(tmp_path / "a.fits", wcs=False, INSTRUME="XYZ")
        with pytest.raises(
            DataError, match="instrument 'XYZ' is unknown, and PRIMARY,1 has no celestial WCS"
        ):
            open_file(str(tmp_path / "a.fits"))


class TestBadInput:
    @pytest.fixture
    def path(self, tmp_path):
        return write(tmp_path / "jtst01aaq_flt.fits", "ACS/HRC")

    def refused(self, path, message):
        with pytest.raises(DataError, match=message):
            open_file(str(path))

    def test_missing(self, tmp_path):
        self.refused(tmp_path / "none_flt.fits", r"no such file: .*none_flt\.fits")

    def test_missing_gz(self, tmp_path):
        self.refused(tmp_path / "none_flt.fits.gz", r"no such file: .*none_flt\.fits\.gz")

    def test_a_directory(self, tmp_path):
        self.refused(tmp_path, r"is a directory; name the files in it, e\.g\. .*_flc\.fits")

    def test_not_fits(self, tmp_path):
        (tmp_path / "a_flt.fits").write_text("hello")
        self.refused(tmp_path / "a_flt.fits", r"is not FITS: a FITS file begins with 'SIMPLE  ='.*hello")

    def test_empty(self, tmp_path):
        (tmp_path / "a_flt.fits").write_bytes(b"")
        self.refused(tmp_path / "a_flt.fits", "is not FITS")

    def test_not_gzip(self, tmp_path):
        (tmp_path / "a_flt.fits.gz").write_text("hello")
        self.refused(tmp_path / "a_flt.fits.gz", "no gzip file")

    def test_truncated_names_both_numbers(self, path):
        sci = scan(str(path))[1]
        os.truncate(path, sci.offset + 1000)
        end, size = sci.offset + 9600, sci.offset + 1000
        self.refused(path, f"truncated: SCI,1 ends at byte {end}, the file has {size} bytes")

    def test_truncated_in_the_padding_is_no_loss(self, path):
        last = scan(str(path))[-1]
        os.truncate(path, last.offset + last.nbytes)
        assert only(path).chips[0].read_dq((39, 40, 0, 60)).shape == (1, 60)

    def test_truncated_in_a_header(self, path):
        os.truncate(path, scan(str(path))[1].offset - 2880)
        self.refused(path, "truncated: header 1 has no END")

    def test_truncated_gz_stream(self, path):
        packed = path.with_name("b_flt.fits.gz")
        packed.write_bytes(gzip.compress(path.read_bytes())[:-4000])
        self.refused(packed, "truncated or damaged")

    def test_gz_of_a_truncated_file_names_both_numbers(self, path):
        last = scan(str(path))[-1]
        packed = path.with_name("b_flt.fits.gz")
        packed.write_bytes(gzip.compress(path.read_bytes()[: last.offset + 7]))
        end, size = last.offset + last.nbytes, last.offset + 7
        self.refused(packed, f"DQ,1 ends at byte {end}, the file has {size} bytes")

    def test_no_sci(self, tmp_path):
        primary = fits.PrimaryHDU(header=fits.Header({"INSTRUME": "ACS", "DETECTOR": "WFC", "EXPTIME": 1.0}))
        fits.HDUList([primary, fits.ImageHDU(pixels((5, 5)), name="WHT")]).writeto(tmp_path / "a.fits")
        self.refused(tmp_path / "a.fits", r"no SCI extension \(found PRIMARY,1, WHT,1\)")

    @pytest.mark.parametrize("other", ["DQ", "ERR"])
    def test_shapes_that_differ(self, path, other):
        with fits.open(path, mode="update") as opened:
            opened[other].data = opened[other].data[:-3]
        self.refused(path, f"SCI,1 has 40 rows and 60 columns but {other},1 has 37 and 60")

    def test_no_wcs(self, path):
        for keyword in ("CTYPE1", "CTYPE2"):
            fits.delval(path, keyword, extname="SCI")
        self.refused(path, r"SCI,1\] has no celestial WCS \(CTYPE1: none\)")

    @pytest.mark.parametrize("value", [1e-5, 0.0])
    def test_a_singular_wcs(self, path, value):
        for keyword in ("CD1_1", "CD1_2", "CD2_1", "CD2_2"):
            fits.setval(path, keyword, value=value, extname="SCI")
        self.refused(path, r"jtst01aaq_flt\.fits\[SCI,1\]: its CD matrix cannot be inverted")

    def test_mixed_units_in_one_file(self, tmp_path):
        path = write(tmp_path / "jtst01aaq_flc.fits", "ACS/WFC")
        fits.setval(path, "BUNIT", value="ELECTRONS/S", extname="SCI", extver=2)
        self.refused(path, "mixes the units electrons and electrons/s")

    def test_an_unknown_unit(self, tmp_path):
        path = write(tmp_path / "jtst01aaq_flc.fits", "ACS/WFC", chip={"BUNIT": "Jy"})
        self.refused(path, r"SCI,1\]: BUNIT = 'Jy' cannot be turned into electrons")

    def test_single_reads(self, tmp_path):
        path = write(tmp_path / "itst01aaq_ima.fits", "WFC3/IR")
        self.refused(path, "IMA files are no calibrated exposures")

    def test_tile_compressed(self, tmp_path):
        fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(pixels((50, 50)))]).writeto(tmp_path / "a.fits.fz")
        self.refused(tmp_path / "a.fits.fz", "tile-compressed.*funpack")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("j8bt05njq_flt.fits.gz", ("j8bt05njq", "flt")),
        ("a/b/J8NY01SVQ_FLC.FITS", ("J8NY01SVQ", "flc")),
        ("my_field_drc.fits", ("my_field", "drc")),
        ("mosaic.fits", ("mosaic", "")),
        ("u40x010hm_c0m.fits", ("u40x010hm", "c0m")),
    ],
)
def test_root_and_suffix(name, parts):
    assert split_name(name) == parts


def test_scan_agrees_with_astropy_on_every_part(tmp_path):
    path = write(tmp_path / "jtst01aaq_flc.fits", "ACS/WFC")
    found = scan(str(path))
    with fits.open(path) as opened:
        for mine, theirs in zip(found, opened, strict=True):
            assert (mine.name, mine.ver) == (theirs.name, theirs.ver)
            assert mine.offset == theirs.fileinfo()["datLoc"]
            assert fits.Header.fromstring(mine.text).tostring() == theirs.header.tostring()

"""Chips and exposures as values: masks, digests, copies, pickles."""

import pickle

import numpy as np
import pytest
from astropy.io import fits
from factory import write

from drizzlewb.distortion import replace_tan
from drizzlewb.errors import ParameterError
from drizzlewb.exposure import read_exposures

WORDS = np.zeros((40, 60), np.int16)
WORDS[0, :7] = (0, 16, 64, 256, 4096, 336, 20)


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "jtst01aaq_flt.fits", "ACS/HRC", dq=[WORDS])


@pytest.fixture
def exposure(path):
    return read_exposures(path)[0]


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        (0, (1, 0, 0, 0, 0, 0, 0)),
        (336, (1, 1, 1, 1, 0, 1, 0)),
        ("256,64,16", (1, 1, 1, 1, 0, 1, 0)),
        ("hot", (1, 1, 0, 0, 0, 0, 0)),
        ("~4096", (1, 1, 1, 1, 0, 1, 1)),
        (None, (1, 1, 1, 1, 1, 1, 1)),
    ],
)
def test_good_pixels_by_bits(exposure, bits, expected):
    good = exposure.chips[0].good((0, 1, 0, 7), bits)
    assert good.dtype == np.uint8
    np.testing.assert_array_equal(good[0], expected)


def test_bits_may_be_reset_in_memory(exposure):
    good = exposure.chips[0].good((0, 1, 0, 7), 0, reset=4096)
    np.testing.assert_array_equal(good[0], (1, 0, 0, 0, 1, 0, 0))


def test_unknown_name_of_a_flag(exposure):
    with pytest.raises(ParameterError, match="did you mean 'saturated'"):
        exposure.chips[0].good((0, 1, 0, 7), "saturate")


def test_nan_is_not_the_masks_affair(tmp_path):
    data = np.full((40, 60), np.nan, np.float32)
    chip = read_exposures(write(tmp_path / "a_flt.fits", "ACS/HRC", sci=[data]))[0].chips[0]
    assert np.isnan(chip.read_sci((0, 2, 0, 2))).all()
    assert chip.good((0, 2, 0, 2), 0).all()


def test_missing_flags_read_as_zero(tmp_path):
    chip = read_exposures(write(tmp_path / "a_flt.fits", "ACS/HRC", with_dq=False))[0].chips[0]
    words = chip.read_dq((3, 5, 1, 4))
    assert (words.dtype, words.shape, words.any()) == (np.uint16, (2, 3), np.False_)
    assert chip.good((3, 5, 1, 4), 0).all()


def test_headers_are_there_on_demand(exposure, path):
    assert exposure.primary["TARGNAME"] == "TEST FIELD"
    assert exposure.chips[0].header["PHOTPLAM"] == 5921.0
    assert exposure.chips[0].header.tostring() == fits.getheader(path, "SCI").tostring()


def test_an_exposure_can_be_pickled(exposure):
    again = pickle.loads(pickle.dumps(exposure))
    assert again.identity == exposure.identity
    box = (0, 9, 0, 9)
    np.testing.assert_array_equal(again.chips[0].read_sci(box), exposure.chips[0].read_sci(box))
    assert len(pickle.dumps(exposure)) < 40_000


def test_orientation_is_that_of_the_cd_matrix(exposure):
    assert exposure.chips[0].orientation_deg == pytest.approx(30.0)


class TestIdentity:
    def test_the_same_file_is_the_same(self, path, exposure):
        assert read_exposures(path)[0].identity == exposure.identity
        assert hash(exposure.identity) == hash(read_exposures(path)[0].identity)

    def test_a_touched_file_is_another(self, path, exposure):
        write(path, "ACS/HRC", dq=[WORDS])
        assert read_exposures(path)[0].identity != exposure.identity


class TestDigest:
    def digest(self, folder, **changes):
        folder.mkdir()
        return read_exposures(write(folder / "jtst01aaq_flt.fits", "ACS/HRC", **changes))[0].digest()

    def test_place_and_time_of_the_file_do_not_matter(self, tmp_path, exposure):
        assert self.digest(tmp_path / "b", dq=[WORDS]) == exposure.digest()

    def test_every_part_matters(self, tmp_path, exposure):
        data = exposure.chips[0].read_sci((0, 40, 0, 60))
        data[7, 7] += 1
        changed = {
            self.digest(tmp_path / "sci", dq=[WORDS], sci=[data]),
            self.digest(tmp_path / "dq", dq=[WORDS + 1]),
            self.digest(tmp_path / "wcs", dq=[WORDS], ra=151.0),
            self.digest(tmp_path / "exptime", dq=[WORDS], exptime=501.0),
            self.digest(tmp_path / "sky", dq=[WORDS], chip={"MDRIZSKY": 3.0}),
            exposure.digest(err=True),
            exposure.digest(),
        }
        assert len(changed) == 7

    def test_a_fitted_wcs_matters(self, exposure):
        chip = exposure.chips[0]
        moved = exposure.with_wcs([replace_tan(chip.wcs, chip.wcs.crval + 1e-6, chip.wcs.cd)])
        assert moved.digest() != exposure.digest()


class TestWithWCS:
    def test_a_copy_with_the_fitted_wcs(self, path, exposure):
        before = path.read_bytes()
        chip = exposure.chips[0]
        moved = exposure.with_wcs([replace_tan(chip.wcs, chip.wcs.crval, 2 * chip.wcs.cd)], wcsname="TWEAK")
        assert (moved.wcsname, exposure.wcsname) == ("TWEAK", "IDC_test0001")
        assert moved.chips[0].wcs.cd[0, 0] == 2 * chip.wcs.cd[0, 0]
        assert moved.chips[0].header_text == chip.header_text
        assert moved.identity == exposure.identity
        assert path.read_bytes() == before

    def test_one_wcs_for_each_chip(self, exposure):
        with pytest.raises(ValueError, match="jtst01aaq has 1 chips; got 2 WCSs"):
            exposure.with_wcs([exposure.chips[0].wcs] * 2)

"""Warnings on load, one cause at a time, and the table."""

import dataclasses
import re

import numpy as np
import pytest
from factory import write

from drizzlewb.exposure import check, exposure_table, read_exposures, wcs_family


def pair(tmp_path, kind="ACS/HRC", first=None, second=None):
    """Two exposures that differ in what is said, and the codes of what `check` finds."""
    suffix = "c0m" if kind == "WFPC2" else "flt"
    write(tmp_path / f"a_{suffix}.fits", kind, **(first or {}))
    write(tmp_path / f"b_{suffix}.fits", kind, **(second or {}))
    exposures = read_exposures([tmp_path / f"a_{suffix}.fits", tmp_path / f"b_{suffix}.fits"])
    return {w.code: w for w in check(exposures)}


@pytest.mark.parametrize(
    "kind", ["ACS/WFC", "ACS/HRC", "WFC3/UVIS", "WFC3/IR", "WFPC2", "STIS/CCD", "NICMOS/2"]
)
def test_a_clean_pair_has_no_warning(tmp_path, kind):
    # the made WFPC2 has one PHOTFLAM and, as the real one, another gain on each chip
    assert list(pair(tmp_path, kind)) == (["chips"] if kind == "WFPC2" else [])


def test_chips_are_compared_per_electron(tmp_path):
    write(tmp_path / "a_c0m.fits", "WFPC2")
    (exposure,) = read_exposures([tmp_path / "a_c0m.fits"])
    (found,) = (w for w in check([exposure]) if w.code == "chips")
    gains = {chip.chip: chip.gain for chip in exposure.chips}
    low, high = max(gains, key=gains.get), min(gains, key=gains.get)
    expected = 2.5 * np.log10(gains[low] / gains[high])
    assert f"{expected:.3f} mag more flux on chip {high} than on chip {low}" in found.text
    equalised = [dataclasses.replace(c, photflam=1e-18 * c.gain) for c in exposure.chips]
    assert "chips" not in {w.code for w in check([dataclasses.replace(exposure, chips=tuple(equalised))])}


@pytest.mark.parametrize(
    ("code", "second", "text"),
    [
        ("expflag", {"primary": {"EXPFLAG": "EXCESSIVE DOWNTIME"}}, "b: EXPFLAG is EXCESSIVE DOWNTIME"),
        ("wcs-family", {"chip": {"WCSNAME": "IDC_test0001-FIT_REL_GAIADR2"}}, "IDC: a; FIT_REL_GAIADR2: b"),
        ("idctab", {"primary": {"IDCTAB": "jref$other_idc.fits"}}, "test0001_idc.fits: a; other_idc.fits: b"),
        ("photflam", {"chip": {"PHOTFLAM": 7.95e-20}}, "PHOTFLAM differs by 0.6 %.*equalise=True"),
        ("gain", {"primary": {"CCDGAIN": 4}}, "gain 2: a; gain 4: b"),
        ("binning", {"chip": {"BINAXIS1": 2, "BINAXIS2": 2}}, "1 x 1: a; 2 x 2: b"),
        ("no-distortion", {"sip": False}, "b: the header holds no distortion.*updatewcs"),
        ("mdrizsky", {"chip": {"MDRIZSKY": 12.0}}, "b: MDRIZSKY is set"),
        ("no-dq", {"with_dq": False}, "b: there are no data-quality flags"),
        ("nominal", {"primary": {"READNSEC": 0.0}}, "b: no read noise in the header; 4.7 e- is assumed"),
    ],
)
def test_each_warning_and_no_other(tmp_path, code, second, text):
    found = pair(tmp_path, second=second)
    assert list(found) == [code]
    assert "b" in found[code].names
    assert re.search(text, found[code].text)


def test_the_same_exposure_under_two_names(tmp_path):
    found = pair(tmp_path, second={"primary": {"ROOTNAME": "a"}})
    assert list(found) == ["repeated"]
    assert "a comes 2 times" in found["repeated"].text


def test_photflam_within_half_a_percent_is_let_pass(tmp_path):
    assert pair(tmp_path, second={"chip": {"PHOTFLAM": 7.93e-20}}) == {}


def test_photflam_of_another_filter_is_not_compared(tmp_path):
    assert pair(tmp_path, second={"chip": {"PHOTFLAM": 1e-19}, "primary": {"FILTER1": "F814W"}}) == {}


class TestSaturation:
    words = np.zeros((40, 60), np.int16)
    words[3, 4:9] = 256

    def test_long_saturated_beside_short(self, tmp_path):
        found = pair(tmp_path, first={"exptime": 500.0, "dq": [self.words]}, second={"exptime": 10.0})
        assert list(found) == ["saturation"]
        assert "a (500 s, 5 pixels)" in found["saturation"].text
        assert found["saturation"].names == ("a",)

    def test_not_without_saturated_pixels(self, tmp_path):
        assert pair(tmp_path, first={"exptime": 500.0}, second={"exptime": 10.0}) == {}

    def test_not_within_a_factor_of_ten(self, tmp_path):
        assert pair(tmp_path, first={"exptime": 100.0, "dq": [self.words]}, second={"exptime": 10.0}) == {}


def test_wfpc2_area_mode_is_a_binning(tmp_path):
    assert list(pair(tmp_path, "WFPC2", second={"primary": {"MODE": "AREA"}})) == ["chips", "binning"]


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("IDC_2731450pi-FIT_SVM_GAIAeDR3", "FIT_SVM_GAIAeDR3"),
        ("IDC_w3m18525i-GSC240", "GSC240"),
        ("IDC_qbu1641sj", "IDC"),
        ("OPUS", "OPUS"),
        ("TWEAK", "TWEAK"),
        ("", "none"),
    ],
)
def test_family_of_a_solution(name, family):
    assert wcs_family(name) == family


def test_table_for_people(tmp_path):
    write(tmp_path / "jtst01aaq_flt.fits", "ACS/HRC", exptime=60.0)
    table = exposure_table(read_exposures(tmp_path / "*.fits"))
    row = table[0]
    assert table.colnames[:7] == ["rootname", "target", "date", "filter", "exptime", "visit", "wcsname"]
    assert [row[c] for c in table.colnames[:4]] == ["jtst01aaq", "TEST FIELD", "2015-03-04", "F555W"]
    assert (row["exptime"], table["exptime"].unit, row["visit"]) == (60.0, "s", "01")

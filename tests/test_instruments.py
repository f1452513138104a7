"""Tables of detectors: identification, units, gains and noises, shadows, suffixes."""

import numpy as np
import pytest
from astropy.io import fits
from factory import KINDS

from drizzlewb import instruments
from drizzlewb.errors import DataError, ParameterError
from drizzlewb.instruments import DETECTORS, chip_numbers, cte_direction, detector, identify, unit_of


def header(**cards):
    made = fits.Header()
    for keyword, value in cards.items():
        made[keyword] = value
    return made


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_is_identified(name):
    assert identify(header(TELESCOP="HST", **KINDS[name].primary)).name == name


def test_what_is_not_in_the_tables_is_not_guessed():
    assert identify(header(INSTRUME="COS", DETECTOR="NUV")) is None
    assert identify(header()) is None


def test_a_drizzled_product_is_no_detector():
    assert identify(header(INSTRUME="ACS", DETECTOR="WFC", NDRIZIM=4)).name == "generic"


def test_unknown_detector_names_the_nearest():
    with pytest.raises(ParameterError, match="did you mean 'ACS/HRC'"):
        detector("ACS/HRD")


@pytest.mark.parametrize(
    ("bunit", "name", "unit"),
    [
        ("ELECTRONS", "ACS/WFC", "electrons"),
        ("electrons/s", "WFC3/IR", "electrons/s"),
        ("ELECTRON S-1", "generic", "electrons/s"),
        ("e-/sec", "generic", "electrons/s"),
        ("adu", "generic", "counts"),
        ("DN/s", "generic", "counts/s"),
        ("COUNTS/S", "NICMOS/2", "counts/s"),
        (None, "WFPC2", "counts"),
        ("", "WFC3/IR", "electrons/s"),
        (None, "NICMOS/1", "counts/s"),
        (None, "STIS/CCD", "counts"),
        (None, "ACS/WFC", "electrons"),
        (None, "ACS/SBC", "counts"),
    ],
)
def test_unit_by_one_rule(bunit, name, unit):
    assert unit_of(bunit, DETECTORS[name], "x.fits") == unit


def test_flux_units_are_refused():
    with pytest.raises(DataError, match=r"x\.fits: BUNIT = 'erg/s/cm2/A'"):
        unit_of("erg/s/cm2/A", DETECTORS["ACS/WFC"], "x.fits")


def test_amplifiers_that_were_not_read_do_not_count():
    primary = header(READNSEA=0.0, READNSEB=0.0, READNSEC=4.8, READNSED=0.0, ATODGNC=2.1)
    numbers = chip_numbers(DETECTORS["ACS/HRC"], primary, header(MEANDARK=1.2), 1, 60.0)
    assert numbers == (2.1, 4.8, pytest.approx(0.02), ())


def test_numbers_that_the_header_lacks_are_nominal_and_said_to_be():
    numbers = chip_numbers(DETECTORS["ACS/HRC"], header(CCDGAIN=4), header(), 1, 60.0)
    assert numbers == (4.0, 4.7, 0.0, ("gain", "read_noise"))


@pytest.mark.parametrize(
    ("chip", "setting", "gain", "noise"),
    [(1, 7.0, 7.12, 5.24), (2, 15.0, 14.50, 7.84), (3, 7.0, 6.90, 5.22), (4, 15, 13.95, 8.32)],
)
def test_wfpc2_gain_and_noise_by_chip_and_setting(chip, setting, gain, noise):
    """WFPC2 Instrument Handbook, table 4.2."""
    numbers = chip_numbers(DETECTORS["WFPC2"], header(ATODGAIN=setting), header(), chip, 100.0)
    assert numbers == (gain, noise, 0.005, ())


def test_another_wfpc2_gain_is_refused():
    with pytest.raises(DataError, match="ATODGAIN = 8"):
        chip_numbers(DETECTORS["WFPC2"], header(ATODGAIN=8), header(), 1, 100.0)


@pytest.mark.parametrize(
    ("name", "cards", "chip", "direction"),
    [
        ("ACS/WFC", {}, 2, -1),
        ("ACS/WFC", {}, 1, 1),
        ("WFC3/UVIS", {}, 2, -1),
        ("WFC3/UVIS", {}, 1, 1),
        ("ACS/HRC", {"CCDAMP": "C"}, 1, -1),
        ("ACS/HRC", {"CCDAMP": "B"}, 1, 1),
        ("ACS/SBC", {}, 1, 0),
        ("WFC3/IR", {}, 1, 0),
        ("WFPC2", {}, 3, -1),
        ("STIS/CCD", {}, 1, 1),
        ("NICMOS/3", {}, 1, 0),
    ],
)
def test_cte_direction_as_in_the_peer(name, cards, chip, direction):
    assert cte_direction(DETECTORS[name], header(**cards), chip) == direction


def test_filters_leave_out_what_is_clear():
    acs = DETECTORS["ACS/WFC"]
    assert instruments.filters(acs, header(FILTER1="CLEAR1S", FILTER2="F330W")) == "F330W"
    assert instruments.filters(acs, header(FILTER1="F606W", FILTER2="POL0V")) == "F606W;POL0V"
    assert instruments.filters(acs, header(FILTER1="CLEAR1S", FILTER2="CLEAR2S")) == "CLEAR"
    assert instruments.filters(DETECTORS["WFPC2"], header(FILTNAM1="F555W", FILTNAM2="")) == "F555W"


def test_suffix_of_the_product():
    assert instruments.product_suffix(DETECTORS["ACS/WFC"], "flc") == "drc"
    assert instruments.product_suffix(DETECTORS["ACS/WFC"], "flt") == "drz"
    assert instruments.product_suffix(DETECTORS["WFPC2"], "c0m") == "drw"
    assert instruments.product_suffix(DETECTORS["generic"], "") == "drz"


def test_good_bits_of_uvis_depend_on_the_date():
    uvis = DETECTORS["WFC3/UVIS"]
    assert instruments.default_good_bits(uvis, "2011-02-19") == 352
    assert instruments.default_good_bits(uvis, "2015-03-04") == 336
    assert instruments.default_good_bits(DETECTORS["WFC3/IR"]) == 528


@pytest.mark.parametrize("chip", [1, 2, 3, 4])
def test_shadow_edges_trace_the_calibration_flags_of_a_real_exposure(chip, shared_data):
    """Bit 2 of c1m covers the pyramid's shadow: nothing outside it is masked, and nearly all of it is."""
    from drizzlewb.exposure.fitsfile import scan

    path = str(shared_data / "wfpc2_omegacen" / "u40x010hm_c1m.fits.gz")
    flagged = scan(path)[chip].plane(path).words((0, 800, 0, 800)) & 2 > 0
    t = np.arange(800)
    x_edge, y_edge = instruments.shadow_edges(chip, 1, t, t)
    shadow = (t[None, :] < x_edge[:, None]) | (t[:, None] < y_edge[None, :])
    assert not (shadow & ~flagged).any()
    # The strip of flagged pixels that lies between the edge and the first good pixel is 2 to 3 px wide.
    reach = (t[None, :] < x_edge[:, None] + 8) | (t[:, None] < y_edge[None, :] + 8)
    assert (flagged & reach & ~shadow).sum() < 3 * 2 * 800


@pytest.mark.parametrize("chip", [1, 2, 3, 4])
def test_a_binned_pixel_is_masked_when_all_of_it_is_in_the_shadow(chip):
    """In AREA mode the edges are the same places, half the pixel number, along the whole chip."""
    fine = np.arange(800.0)
    coarse = np.arange(400.0)
    for one, two in zip(
        instruments.shadow_edges(chip, 1, fine, fine),
        instruments.shadow_edges(chip, 2, coarse, coarse),
        strict=True,
    ):
        middle = 0.5 * (one[0::2] + one[1::2])  # both edges count first pixels not wholly in the shadow
        np.testing.assert_allclose(2 * two + 1, middle, atol=1e-4)

"""Gains, read noises and exposure times by the user's word."""

import pytest
from factory import write

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.exposure import read_exposures, with_instrument_overrides


@pytest.fixture
def stis(tmp_path):
    return read_exposures(write(tmp_path / "o_flt.fits", "STIS/CCD", exptime=100.0))


@pytest.fixture
def infrared(tmp_path):
    return read_exposures(write(tmp_path / "i_flt.fits", "WFC3/IR", exptime=100.0))


def test_nothing_said_changes_nothing(stis):
    assert with_instrument_overrides(stis, gain="", rdnoise=None, expkeyword=" ")[0] is stis[0]


def test_a_gain_changes_what_a_count_is_worth(stis):
    changed = with_instrument_overrides(stis, gain="4.0")[0]
    assert (changed.chips[0].gain, changed.chips[0].to_electrons) == (4.0, 4.0)
    assert stis[0].chips[0].gain == 1.03
    assert changed.identity != stis[0].identity


def test_a_gain_does_not_change_electrons(infrared):
    assert with_instrument_overrides(infrared, gain=1.0)[0].chips[0].to_electrons == 100.0


def test_an_exposure_time_changes_what_a_rate_is_worth(infrared):
    changed = with_instrument_overrides(infrared, exptime=50)[0]
    assert (changed.exptime, changed.chips[0].exptime, changed.chips[0].to_electrons) == (50.0, 50.0, 50.0)


def test_lists_are_averaged_without_zeros(stis):
    assert with_instrument_overrides(stis, rdnoise="4.0,0,5.0")[0].chips[0].read_noise == 4.5


def test_keywords_of_either_header(infrared):
    changed = with_instrument_overrides(infrared, rnkeyword="READNSEA,READNSEB", gnkeyword="MEANDARK")[
        0
    ].chips[0]
    assert (changed.read_noise, changed.gain) == (20.0, 2.5)


def test_a_number_that_was_nominal_no_longer_is(tmp_path):
    path = write(tmp_path / "j_flt.fits", "ACS/HRC", primary={"READNSEC": 0.0})
    exposures = read_exposures(path)
    assert exposures[0].chips[0].nominal == ("read_noise",)
    assert with_instrument_overrides(exposures, rdnoise=4.7)[0].chips[0].nominal == ()


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"gain": 2, "gnkeyword": "CCDGAIN"}, ParameterError, "gain: give either a value .* or a keyword"),
        ({"gain": "two"}, ParameterError, "gain = 'two': expected a number"),
        ({"gain": 0}, ParameterError, "expected a value above zero"),
        ({"rdnoise": -1}, ParameterError, "expected a value of at least zero"),
        ({"exptime": "nan"}, ParameterError, "above zero"),
        ({"expkeyword": "NOSUCH"}, DataError, r"SCI,1\]: keyword NOSUCH, asked for as exptime"),
        ({"gnkeyword": "FILTER"}, DataError, "FILTER as gain: expected a number"),
    ],
)
def test_what_cannot_be_meant(infrared, parameters, error, message):
    with pytest.raises(error, match=message):
        with_instrument_overrides(infrared, **parameters)


def test_a_read_noise_of_zero_is_allowed(infrared):
    assert with_instrument_overrides(infrared, rdnoise=0)[0].chips[0].read_noise == 0.0

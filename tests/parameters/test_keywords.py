import numpy as np
import pytest
from hypothesis import given
from parameter_strategies import aligns, reduces

from drizzlewb.errors import ParameterError
from drizzlewb.parameters import AlignParameters, ReduceParameters


@pytest.mark.parametrize(
    ("name", "given_value", "value"),
    [
        ("driz_cr_snr", "3.5 3.0", (3.5, 3.0)),
        ("driz_cr_snr", "3.5, 3", (3.5, 3.0)),
        ("driz_cr_snr", [5, 4], (5.0, 4.0)),
        ("driz_cr_scale", np.array([1.5, 1.2]), (1.5, 1.2)),
        ("combine_nsigma", "4 3", (4.0, 3.0)),
        ("final_scale", "0.03", 0.03),
        ("final_scale", np.float32(0.5), 0.5),
        ("final_scale", "INDEF", None),
        ("final_fillval", "", None),
        ("skylower", "None", None),
        ("num_cores", "4", 4),
        ("final_outnx", None, None),
        ("static", "yes", True),
        ("static", "False", False),
        ("static", np.True_, True),
        ("final_bits", "256,64,16", 336),
        ("sky_bits", "", None),
        ("resetbits", None, 0),
        ("resetbits", "4096", 4096),
        ("final_wt_scl", "expsq", "expsq"),
        ("final_wt_scl", "3", 3.0),
        ("gain", "1.0,1.2,0,0", 1.1),
        ("group", 1, "1"),
        ("output", "INDEF", ""),
        ("keep", "med, crmask", "med,crmask"),
        ("keep", ("med", "crmask"), "med,crmask"),
        ("crbit", np.int16(8192), 8192),
    ],
)
def test_values_are_typed(name, given_value, value):
    found = ReduceParameters.from_keywords({name: given_value})[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("keywords", "sentence"),
    [
        ({"final_pixfrc": 1}, "did you mean final_pixfrac"),
        ({"final_pixfrac": 2}, "final_pixfrac = 2 is not possible.*at least 0 and at most 1 input px"),
        ({"final_scale": 0}, "above 0 and at most 3600 arcsec, or None"),
        ({"final_scale": float("nan")}, "final_scale = nan is not possible"),
        ({"final_scale": "wide"}, "final_scale = 'wide'"),
        ({"driz_cr_grow": 0}, "an integer at least 1 and at most 99 px"),
        ({"driz_cr_grow": 1.5}, "an integer"),
        ({"driz_cr_grow": True}, "an integer"),
        ({"driz_cr_snr": 3}, "two are needed"),
        ({"driz_cr_snr": "3 4 5"}, r"3 number\(s\), two are needed"),
        ({"driz_cr_snr": "4 -1"}, "greater than 0"),
        ({"static": "maybe"}, "static = 'maybe' is not possible: expected True or False"),
        ({"static": 1}, "expected True or False"),
        ({"skymethod": "best"}, "one of 'globalmin\\+match', 'localmin', 'globalmin', 'match'"),
        ({"final_kernel": "tophat"}, "DrizzlePac lists this kernel and raises"),
        ({"final_bits": -16}, "write '~16'"),
        ({"crbit": 3}, "a power of two"),
        ({"group": "sci;1"}, "write '1', '1,4' or 'sci,2'"),
        ({"keep": "blot"}, "'blot' is no intermediate image"),
        ({"output": "a\nimport os"}, "one line of at most 4096"),
        ({"output": True}, "expected a text"),
        ({"subsky": True}, "obsolete.*write skysub"),
        ({"workinplace": True}, "obsolete.*nothing to set"),
        ({"input": "*flt.fits"}, "first argument"),
        ({"mdriztab": True}, "MDRIZTAB rows are presets"),
        ({"updatewcs": True}, "update the distortion first"),
        ({"threshold": 4}, "threshold is a parameter of tweakreg, not of astrodrizzle"),
        ({"tweakreg.clean": True}, "not for astrodrizzle"),
        ({"extra.final_scale": 1}, "not a parameter"),
        ({"skylower": 5, "skyupper": 1}, "skylower = 5 must be below skyupper = 1"),
        ({"final_outnx": 100}, "given together"),
        ({"gain": 1, "gnkeyword": "CCDGAIN"}, "one, not both"),
        ({3: 4}, "names are texts"),
        ({"a" * 1000: 4}, "^.{0,200}$"),
        ({"final_scale": 1e999}, "final_scale = inf"),
        ({"static_sig": 10**400}, "static_sig"),
        ({"final_scale": "0,03"}, "final_scale = '0,03' is not possible"),
        ({"gain": ",,"}, "gain = ',,'"),
    ],
)
def test_impossible_keywords_are_refused_in_a_sentence(keywords, sentence):
    with pytest.raises(ParameterError, match=sentence) as caught:
        ReduceParameters.from_keywords(keywords)
    assert "\n" not in str(caught.value)


def test_all_faults_are_told_at_once():
    with pytest.raises(ParameterError, match="final_pixfrc.*final_scal.*") as caught:
        ReduceParameters.from_keywords(final_pixfrc=1, final_scal=2)
    assert str(caught.value).count("did you mean") == 2


def test_a_frame_keyword_turns_its_switch_on_as_in_drizzlepac():
    assert ReduceParameters.from_keywords(final_scale=0.03).final_wcs
    assert ReduceParameters.from_keywords(driz_sep_refimage="a.fits").driz_sep_wcs
    assert not ReduceParameters.from_keywords(final_scale=None, final_refimage="").final_wcs
    assert not ReduceParameters.from_keywords(final_wcs=False, final_scale=0.03).final_wcs


def test_names_shared_with_steps():
    p = ReduceParameters.from_keywords(median=False)
    assert p["median"] is False
    assert p.median.median is False
    assert p.static_sig == 4.0
    assert p["astrodrizzle.clean"] is p.clean is False
    with pytest.raises(AttributeError):
        _ = p.no_such_name
    with pytest.raises(ParameterError, match="not a parameter"):
        _ = p["no_such_name"]


def test_num_cores_sets_threads():
    assert ReduceParameters.from_keywords(num_cores=3).threads == 3
    assert ReduceParameters.from_keywords(num_cores=3, threads=2).threads == 2


def test_source_finding_names_set_both_unless_told():
    p = AlignParameters.from_keywords({"threshold": 100, "refimagefind.threshold": "50"}, conv_width=2.5)
    assert (p.imagefind.threshold, p.refimagefind.threshold) == (100.0, 50.0)
    assert p.imagefind.conv_width == p.refimagefind.conv_width == 2.5
    assert p["threshold"] == 100 and p["refimagefind.threshold"] == 50  # noqa: PT018
    p = AlignParameters.from_keywords(
        threshold=9, imagefindcfg={"threshold": 8}, refimagefindcfg={"dqbits": 0}
    )
    assert (p.imagefind.threshold, p.refimagefind.threshold) == (8.0, 9.0)
    assert (p.imagefind.dqbits, p.refimagefind.dqbits) == (None, 0)


@pytest.mark.parametrize(
    ("keywords", "sentence"),
    [
        ({"threshhold": 1}, "did you mean threshold"),
        ({"rfluxmax": 1}, "obsolete.*rmaxflux"),
        ({"final_scale": 1}, "parameter of astrodrizzle"),
        ({"refimagefindcfg": {"minobj": 3}}, "refimagefind|minobj"),
        ({"computesig": False}, "skysigma must be above 0"),
        ({"sharplo": 2}, "sharplo = 2 must be below sharphi = 1"),
        ({"dqbits": -16}, "~16"),
        ({"foo.threshold": 1}, "not a parameter of tweakreg"),
    ],
)
def test_impossible_alignment_keywords(keywords, sentence):
    with pytest.raises(ParameterError, match=sentence):
        AlignParameters.from_keywords(keywords)


@given(reduces)
def test_flat_round_trip_of_a_reduction(p):
    assert ReduceParameters.from_keywords(p.flat()) == p
    assert ReduceParameters().replace({n: new for n, (_, new) in p.differences().items()} | {
        "final_wcs": p.final_wcs, "driz_sep_wcs": p.driz_sep_wcs, "threads": p.threads}) == p  # fmt: skip


@given(aligns)
def test_flat_round_trip_of_an_alignment(p):
    assert AlignParameters.from_keywords(p.flat()) == p


def test_what_has_no_effect_is_told():
    said = ReduceParameters.from_keywords(stepsize=0, preserve=False, final_scale=0.1).without_effect()
    assert set(said) == {"stepsize", "preserve"}
    assert "never touched" in said["preserve"]

import importlib.util
import re
from pathlib import Path

import pytest

from drizzlewb.parameters import AlignParameters, ReduceParameters, astrodrizzle, tweakreg
from drizzlewb.parameters.composite import Section
from drizzlewb.parameters.declare import RESULTS, STATUSES, bits_mask, bits_text, declared, param
from drizzlewb.parameters.teal import from_cfg

TASKS = [ReduceParameters, AlignParameters]
ROWS = [
    pytest.param(section, parameter, id=f"{section}.{parameter.name}")
    for task in TASKS
    for places in task.places().values()
    for section, parameter in places
]


@pytest.fixture(scope="module")
def peer_pars() -> Path:
    spec = importlib.util.find_spec("drizzlepac")
    if spec is None:
        pytest.skip("drizzlepac is not installed: its own .cfg files are the reference")
    return Path(spec.submodule_search_locations[0]) / "pars"


@pytest.mark.parametrize(("section", "parameter"), ROWS)
def test_every_field_says_what_it_is(section, parameter):
    assert len(parameter.meaning) > 5
    assert not parameter.meaning.endswith(".")
    assert parameter.source
    assert set(parameter.feeds) <= set(RESULTS)
    assert parameter.status in STATUSES
    assert bool(parameter.reason) == (parameter.status != "honoured")
    assert parameter.allowed
    assert parameter.kind in ("switch", "choice", "integer", "number", "text", "pair", "bits", "weight")
    numeric = parameter.kind in ("integer", "number", "pair", "bits", "weight")
    assert bool(parameter.unit) == numeric


def test_counts_are_those_of_drizzlepac():
    def number(task):
        return sum(len(p) for p in task.places().values()) - len(declared(type(task().extra)))

    assert number(ReduceParameters) == 99
    assert number(AlignParameters) == 92


def test_a_faulty_declaration_is_refused():
    with pytest.raises(TypeError, match="faulty declaration"):
        param(1, meaning="x", source="y", feeds="nothing")
    with pytest.raises(TypeError, match="faulty declaration"):
        param(1, meaning="x", source="y", feeds=(), status="ignored")


def _spec(path: Path) -> dict[str, tuple[str, list[str], str]]:
    """Name → (section, choices, type) of a .cfgspc, read as text."""
    rows, section = {}, ""
    for line in path.read_text().splitlines():
        if header := re.match(r"\s*\[\s*(.*?)\s*\]", line):
            section = header[1]
        elif (row := re.match(r"(\w+)\s*=\s*(\w+)_kw\((.*)", line)) and not row[1].startswith("_"):
            choices = re.findall(r'"([^"]*)"', row[3].split("default")[0]) if row[2] == "option" else []
            rows[row[1]] = (section, choices, row[2])
    return rows


@pytest.mark.parametrize(
    ("name", "task", "sections"),
    [
        ("astrodrizzle", ReduceParameters, astrodrizzle.CFG_SECTIONS),
        ("tweakreg", AlignParameters, tweakreg.CFG_SECTIONS),
        ("imagefindpars", AlignParameters, {"imagefind": ""}),
        ("refimagefindpars", AlignParameters, {"refimagefind": ""}),
    ],
)
def test_defaults_types_and_choices_are_drizzlepacs(peer_pars, name, task, sections):
    read = from_cfg((peer_pars / f"{name}.cfg").read_text())
    model = read.reduce if task is ReduceParameters else read.align
    assert model == task()
    assert read.notes == ()
    spec = _spec(peer_pars / f"{name}.cfgspc")
    ours = {
        parameter.name: (title, parameter)
        for section, title in sections.items()
        for parameter in declared(type(getattr(task(), section))).values()
    }
    assert list(ours) == list(spec)
    kinds = {
        "boolean": {"switch"},
        "integer": {"integer"},
        "integer_or_none": {"integer"},
        "float": {"number"},
        "float_or_none": {"number"},
        "option": {"choice"},
        "string": {"text", "bits", "pair", "weight", "number"},
    }
    for key, (title, choices, kind) in spec.items():
        assert ours[key][0] == title, key
        parameter = ours[key][1]
        assert parameter.kind in kinds[kind], key
        if kind != "string":
            assert parameter.optional == kind.endswith("_or_none"), key
        # tophat is listed there and raises; lanczos2 and rshift are ours.
        assert set(choices) - {"tophat"} == set(parameter.choices) - {"lanczos2", "rshift"}, key


def test_sections_are_immutable_and_strict():
    p = ReduceParameters()
    with pytest.raises(ValueError, match="frozen"):
        p.cosmicray.driz_cr_grow = 3
    with pytest.raises(ValueError, match="frozen"):
        p.median = p.median
    with pytest.raises(ValueError, match="Extra inputs"):
        type(p.cosmicray)(driz_cr_groww=3)
    with pytest.raises(ValueError, match="valid integer"):
        type(p.cosmicray)(driz_cr_grow="3")
    assert isinstance(p.cosmicray, Section)
    assert hash(p.cosmicray) == hash(ReduceParameters().cosmicray)


@pytest.mark.parametrize(
    ("form", "mask"),
    [
        (336, 336),
        ("336", 336),
        ("256,64,16", 336),
        ("256+64+16", 336),
        ("(256,64,16)", 336),
        ([256, 64, 16], 336),
        ("~4096", 61439),
        ("~(4+8)", 65523),
        (0, 0),
        ("0", 0),
        ("~0", 65535),
        (65535, 65535),
        ("", None),
        ("INDEF", None),
        (None, None),
    ],
)
def test_bits_in_every_form(form, mask):
    assert bits_mask(form) == mask
    assert bits_mask(bits_text(mask)) == mask


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        (-16, "write '~16'"),
        (65536, "16 bits"),
        ("3,4", "no single flag"),
        ("hot", "cannot read DQ bits"),
        ("4,~8", "cannot read DQ bits"),
        (True, "not True"),
        ([4, 1.5], "cannot read DQ bits"),
        (1.5, "not 1.5"),
    ],
)
def test_impossible_bits(form, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        bits_mask(form)


def test_bits_are_read_as_the_peer_reads_them():
    bitmask = pytest.importorskip("stsci.tools.bitmask")
    for form in (336, "256,64,16", "256+64+16", "~4096", "~(4+8)", "~0", 65535, None, ""):
        theirs = bitmask.interpret_bit_flags(form)
        assert bits_mask(form) == (None if theirs is None else theirs & 0xFFFF)


# What becomes stale when each parameter changes: the first of static → sky → median → crmask → product that
# it feeds; all that is downstream follows. One line per group; every parameter must be in exactly one.
FIRST_FED = {
    "static": "static static_sig group equalise gain gnkeyword exptime expkeyword",
    "sky": "skysub skymethod skystat skywidth skylower skyupper skyclip skylsigma skyusigma skymask_cat "
    "use_static sky_bits skyfile skyuser wcskey coeffs resetbits",
    "median": "driz_separate driz_sep_kernel driz_sep_wt_scl driz_sep_pixfrac driz_sep_bits "
    "driz_sep_wcs driz_sep_refimage driz_sep_rot driz_sep_scale driz_sep_outnx driz_sep_outny driz_sep_ra "
    "driz_sep_dec driz_sep_crpix1 driz_sep_crpix2 median median_newmasks combine_maskpt combine_type "
    "combine_nsigma combine_nlow combine_nhigh combine_lthresh combine_hthresh combine_grow rdnoise "
    "rnkeyword peer_noise",
    "crmask": "blot blot_interp blot_sinscl blot_addsky blot_skyval driz_cr driz_cr_snr driz_cr_grow "
    "driz_cr_ctegrow driz_cr_scale",
    "product": "proc_unit context final_wht_type final_kernel final_wt_scl final_pixfrac "
    "final_fillval final_maskval final_bits final_units final_wcs final_refimage final_rot final_scale "
    "final_outnx final_outny final_ra final_dec final_crpix1 final_crpix2",
    "": "input output runfile build crbit stepsize num_cores in_memory rules_file restore preserve overwrite "
    "clean driz_sep_compress combine_bufsize driz_cr_corr update_inputs keep memory_budget_mb threads "
    "driz_combine driz_sep_fillval",
}


def test_what_feeds_what():
    found = {
        name: (places[0].parameter.feeds or ("",))[0] for name, places in ReduceParameters.places().items()
    }
    expected = {name: first for first, names in FIRST_FED.items() for name in names.split()}
    assert found == expected


def test_feeding_gives_values_for_the_key():
    one = ReduceParameters()
    other = one.replace(driz_cr_snr=(5, 4))
    for array in ("static", "sky", "median", "product"):
        assert one.feeding(array) == other.feeding(array)
    assert one.feeding("crmask") != other.feeding("crmask")
    other = one.replace(final_pixfrac=0.6, threads=1, memory_budget_mb=100)
    assert [
        a for a in ("static", "sky", "median", "crmask", "product") if one.feeding(a) != other.feeding(a)
    ] == ["product"]
    a, b = AlignParameters(), AlignParameters.from_keywords({"refimagefind.threshold": 50})
    assert a.feeding("sources") == b.feeding("sources")
    assert a.feeding("refsources") != b.feeding("refsources")
    with pytest.raises(ValueError, match="expected one of static"):
        one.feeding("blot")

import ast
import json
import runpy
import sys
import types

import pytest
from hypothesis import given, settings
from parameter_strategies import aligns, reduces

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.parameters import AlignParameters, ReduceParameters
from drizzlewb.parameters import exchange as ex
from drizzlewb.parameters.scripts import drizzlepac_script, drizzlewb_script, from_script, not_reproduced
from drizzlewb.parameters.teal import from_cfg, to_cfg

PLAIN = (bool, int, float, str, type(None))


def _lacking(p, a):
    texts = [str(value) for value in (*p.flat().values(), *a.flat().values())]
    return "lanczos2" in texts or "rshift" in texts or any("%(home)s" in text for text in texts)


@given(reduces, aligns)
@settings(max_examples=60, deadline=None)
def test_round_trips(p, a):
    found = ex.from_dict(ex.to_dict(p, a))
    assert (found.reduce, found.align, found.notes) == (p, a, ())
    found = ex.from_json(ex.to_json(p, a))
    assert (found.reduce, found.align, found.notes) == (p, a, ())
    found = from_script(drizzlewb_script(["a.fits"], p, a))
    assert (found.reduce, found.align, found.notes) == (p, a, ())
    if _lacking(p, a):
        with pytest.raises(ParameterError, match="cannot be exported: .*choose"):
            drizzlepac_script(["a.fits"], p, a)
        with pytest.raises(ParameterError, match="cannot be exported"):
            to_cfg(p, a)
        return
    found = from_script(drizzlepac_script(["a.fits"], p, a))
    assert (found.reduce, found.align, found.notes) == (p, a, ())
    found = from_cfg(to_cfg(p, a).values())
    assert (found.reduce, found.align, found.notes) == (p, a, ())


@given(reduces, aligns)
@settings(max_examples=30, deadline=None)
def test_the_dict_is_plain_and_has_five_keys(p, a):
    d = ex.to_dict(p, a)
    assert tuple(d) == ("tweakreg", "imagefindcfg", "refimagefindcfg", "astrodrizzle", "drizzlewb")
    kept = d["drizzlewb"].pop("kept")
    for part in (*d.values(), kept):
        assert all(isinstance(v, PLAIN) for v in part.values())
        assert "input" not in part
    # What DrizzlePac is told: the exact map, files left alone, no waiting, no frame that is switched off.
    assert (d["astrodrizzle"]["stepsize"], d["astrodrizzle"]["resetbits"]) == (0, "0")
    assert d["tweakreg"]["interactive"] is False
    if not p.final_wcs:
        assert [n for n in d["astrodrizzle"] if n in ("final_scale", "final_rot", "final_refimage")] == []


def test_one_task_alone():
    d = ReduceParameters().to_dict()
    assert d["tweakreg"] == d["imagefindcfg"] == d["refimagefindcfg"] == {}
    assert ex.from_dict(d).align is None
    d = AlignParameters().to_dict()
    assert d["astrodrizzle"] == {}
    assert ex.from_dict(d).reduce is None
    assert "TweakReg" not in drizzlepac_script([], ReduceParameters())


def test_an_edited_dict_wins_over_what_was_kept():
    d = ReduceParameters.from_keywords(final_wcs=False, final_scale=0.1).to_dict()
    assert d["drizzlewb"]["kept"] == {
        "astrodrizzle.stepsize": 10,
        "astrodrizzle.resetbits": "4096",
        "astrodrizzle.final_scale": 0.1,
    }
    d["astrodrizzle"] |= {"resetbits": "64", "final_wcs": True, "final_scale": 0.03}
    p = ex.from_dict(d).reduce
    assert (p.resetbits, p.stepsize, p.final_scale) == (64, 10, 0.03)


def test_a_dict_made_for_drizzlepac():
    found = ex.from_dict(
        {
            "astrodrizzle": {
                "driz_cr_snr": "5.0 4.0",
                "final_wcs": False,
                "final_scale": 0.03,
                "updatewcs": True,
            },
            "tweakreg": {"threshold": 100, "minobj": 10},
            "refimagefindcfg": {"threshold": 50},
        }
    )
    assert found.reduce.driz_cr_snr == (5.0, 4.0)
    assert found.reduce.final_wcs
    assert (found.align.imagefind.threshold, found.align.refimagefind.threshold) == (100.0, 50.0)
    assert [n.split()[0] for n in found.notes] == ["updatewcs", "final_wcs", "threshold"]
    flat = ex.from_dict({"final_scale": "0.03", "build": "yes", "configobj": "defaults"})
    assert set(flat.reduce.differences()) == {"final_wcs", "final_scale", "build"}
    flat = ex.from_dict({"minobj": 3, "searchrad": 2, "imagefindcfg": {"threshold": 9}})
    assert (flat.align.minobj, flat.align.imagefind.threshold, flat.align.refimagefind.threshold) == (
        3,
        9.0,
        4.0,
    )
    # As DrizzlePac does: TweakReg(threshold=...) reaches the images only.
    flat = ex.from_dict({"threshold": 9})
    assert (flat.align.imagefind.threshold, flat.align.refimagefind.threshold) == (9.0, 4.0)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ([], "must be a dict"),
        ({}, "is empty"),
        ({"astrodrizzle": {}, "foo": {}}, "'foo' in a parameter dict"),
        ({"astrodrizzle": {}, "tweakreg": 3}, "'tweakreg' in a parameter dict"),
        ({"astrodrizzle": {"final_scal": 1}}, "did you mean final_scale"),
        ({"drizzlewb": {"peer_nois": True}}, "did you mean peer_noise"),
        ({"drizzlewb": {"kept": 3}}, "kept must be a dict"),
        ({"astrodrizzle": {"final_scale": {"a": 1}}}, "final_scale"),
        ({"astrodrizzle": {"final_scale": [[[[1]]]]}}, "final_scale"),
        ({"astrodrizzle": {"driz_cr_snr": [[1], 2]}}, "driz_cr_snr"),
    ],
)
def test_faulty_dicts(parameters, sentence):
    with pytest.raises(ParameterError, match=sentence):
        ex.from_dict(parameters)


def test_json_says_its_schema_and_defaults():
    document = json.loads(ex.to_json(ReduceParameters()))
    assert (document["schema"], document["defaults"]) == (ex.SCHEMA, "DrizzlePac 3.11.0")


def test_a_record_is_read_for_its_parameters():
    p = ReduceParameters.from_keywords(final_scale=0.03)
    record = {"schema": 1, "kind": "drizzlewb record", "inputs": [{"name": "a"}], "parameters": ex.to_dict(p)}
    assert ex.from_json(json.dumps(record)).reduce == p


def test_earlier_schemas_are_brought_up(monkeypatch):
    monkeypatch.setattr(ex, "SCHEMA", 2)
    monkeypatch.setitem(
        ex.UPGRADES, 1, lambda d: d | {"parameters": {"astrodrizzle": {"build": d["parameters"]}}}
    )
    assert ex.from_json('{"schema": 1, "parameters": true}').reduce.build


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"schema": 2, "parameters": {}}', "schema 2, this drizzlewb knows up to 1: update"),
        ('{"schema": "1", "parameters": {}}', "not a version number"),
        ('{"schema": true, "parameters": {}}', "not a version number"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
        ("[1]", "expected a JSON object"),
        ("import os", "is not JSON"),
        ("", "is not JSON"),
        ('{"astrodrizzle": {"build": true, "build": false}}', "'build' twice"),
        ('{"astrodrizzle": {"final_scale": NaN}}', "NaN, which is no JSON number"),
        ('{"astrodrizzle": {"crbit": ' + "9" * 10_000 + "}}", "is not JSON|crbit"),
        (b"\xff\xfe\x00", "is not a text|is not JSON"),
        ('{"astrodrizzle": {"output": "__import__(\'os\').system(\'touch x\')\\n"}}', "one line"),
        ('&a ["lol"]\n- *a', "is not JSON"),
    ],
)
def test_hostile_json_is_refused_in_a_sentence(text, sentence):
    with pytest.raises(ParameterError, match=sentence) as caught:
        ex.from_json(text)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_large_files_are_refused_unread(tmp_path, monkeypatch):
    huge = tmp_path / "p.json"
    with open(huge, "wb") as file:
        file.truncate(2 * 2**30)  # sparse
    with pytest.raises(ParameterError, match="p.json has 2048 MB, more than the 64 MB allowed"):
        ex.read_parameters(huge)
    monkeypatch.setattr(ex, "MAX_BYTES", 100)
    with pytest.raises(ParameterError, match="larger than"):
        ex.from_json("{" + " " * 200 + "}")


def test_files_by_their_ending(tmp_path):
    p, a = ReduceParameters.from_keywords(final_scale=0.03), AlignParameters.from_keywords(threshold=50)
    (tmp_path / "a.json").write_text(ex.to_json(p, a))
    (tmp_path / "a.py").write_text(drizzlepac_script(["x.fits"], p, a))
    for name, text in to_cfg(p, a).items():
        (tmp_path / name).write_text(text)
    for name in ("a.json", "a.py"):
        assert ex.read_parameters(tmp_path / name)[:2] == (p, a)
    assert ex.read_parameters(tmp_path / "tweakreg.cfg").reduce is None
    with pytest.raises(DataError, match="cannot read the parameter file"):
        ex.read_parameters(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text('{"astrodrizzle": {"final_scal": 1}}')
    with pytest.raises(ParameterError, match="^bad.json: final_scal is not a parameter"):
        ex.read_parameters(tmp_path / "bad.json")
    with pytest.raises(ParameterError, match="read from .json, .py or .cfg"):
        ex.read_parameters(tmp_path / "p.yaml")
    (tmp_path / "b.cfg").write_bytes(b"\xff\xfe")
    with pytest.raises(ParameterError, match="not a text in UTF-8"):
        ex.read_parameters(tmp_path / "b.cfg")


@pytest.fixture
def stub_peer(monkeypatch):
    """A drizzlepac that only notes how it was called."""
    calls = []
    for name in ("AstroDrizzle", "TweakReg"):
        module = types.ModuleType(f"drizzlepac.{name.lower()}")
        setattr(module, name, lambda files, name=name, **keywords: calls.append((name, files, keywords)))
        monkeypatch.setitem(sys.modules, f"drizzlepac.{name.lower()}", module)
    monkeypatch.setitem(sys.modules, "drizzlepac", types.ModuleType("drizzlepac"))
    return calls


def test_the_script_for_drizzlepac_runs(tmp_path, stub_peer):
    p, a = ReduceParameters.from_keywords(final_scale=0.03, resetbits=64), AlignParameters()
    script = drizzlepac_script(
        ["a_flc.fits", "it's.fits"], p, a, decisions=["by hand: star 3 rejected\nimport os"]
    )
    (tmp_path / "s.py").write_text(script)
    runpy.run_path(str(tmp_path / "s.py"))
    d = ex.to_dict(p, a)
    assert stub_peer == [
        (
            "TweakReg",
            ["a_flc.fits", "it's.fits"],
            {
                "configobj": "defaults",
                "imagefindcfg": d["imagefindcfg"],
                "refimagefindcfg": d["refimagefindcfg"],
                # AstroDrizzle finds the fitted WCS in the files only.
                **{**d["tweakreg"], "updatehdr": True},
            },
        ),
        ("AstroDrizzle", ["a_flc.fits", "it's.fits"], {"configobj": "defaults", **d["astrodrizzle"]}),
    ]
    comment = script.split("\n\n")[0].splitlines()
    assert all(line.startswith("# ") for line in comment)
    assert "cannot reproduce" in comment[0]
    assert any("by hand: star 3 rejected" in line for line in comment)
    assert any("64 is cleared in memory" in line for line in comment)
    assert any("updatehdr is set to True" in line for line in comment)


def test_the_alignment_alone_writes_only_if_it_says_so(tmp_path, stub_peer):
    (tmp_path / "s.py").write_text(drizzlepac_script(["a.fits"], None, AlignParameters()))
    runpy.run_path(str(tmp_path / "s.py"))
    assert [(name, keywords["updatehdr"]) for name, _, keywords in stub_peer] == [("TweakReg", False)]


def test_more_files_are_aligned_than_combined(tmp_path, stub_peer):
    both = {"reduce": ReduceParameters(), "align": AlignParameters(), "align_files": ["a.fits", "b.fits"]}
    (tmp_path / "s.py").write_text(drizzlepac_script(["a.fits"], **both))
    runpy.run_path(str(tmp_path / "s.py"))
    assert [(name, files) for name, files, _ in stub_peer] == [
        ("TweakReg", ["a.fits", "b.fits"]),
        ("AstroDrizzle", ["a.fits"]),
    ]
    found = from_script(drizzlewb_script(["a.fits"], **both))
    assert (found.reduce, found.align) == (ReduceParameters(), AlignParameters())


def test_files_of_the_command_line(tmp_path, stub_peer, monkeypatch):
    (tmp_path / "s.py").write_text(drizzlepac_script(None, ReduceParameters()))
    monkeypatch.setattr(sys, "argv", ["s.py", "c.fits", "d.fits"])
    runpy.run_path(str(tmp_path / "s.py"))
    assert [files for _, files, _ in stub_peer] == [["c.fits", "d.fits"]]


def test_what_is_not_reproduced_follows_the_parameters():
    def said(**keywords):
        return " ".join(not_reproduced(ReduceParameters.from_keywords(keywords), None))

    assert "counts it twice" in said()
    assert "counts it twice" not in said(peer_noise=True)
    assert "counts it twice" not in said(driz_cr=False)
    assert "IVM" in said(final_wht_type="IVM")
    assert "PHOTFLAM" in said(proc_unit="electrons")
    assert "resetbits" not in said(resetbits=0)


def test_somebodys_script():
    found = from_script(
        "from drizzlepac import astrodrizzle, tweakreg\n"
        "tweakreg.TweakReg(files, threshold=100, imagefindcfg=dict(conv_width=3.0), updatehdr=True)\n"
        "astrodrizzle.AstroDrizzle('*flc.fits', output='x', driz_cr_snr='4 3', **{'final_scale': 0.03})\n"
    )
    assert set(found.reduce.differences()) == {"output", "driz_cr_snr", "final_wcs", "final_scale"}
    assert found.align.updatehdr
    assert found.align.imagefind.conv_width == 3.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("parameters = {'astrodrizzle': {'output': __import__('os').system('x')}}", "nothing is run"),
        ("AstroDrizzle(f, output=open('/etc/passwd').read())", "output in the script.*nothing is run"),
        ("AstroDrizzle(f, **options)", "nothing is run"),
        ("AstroDrizzle(a)\nAstroDrizzle(b)", "more than once"),
        ("import os", "no dict `parameters` and no call"),
        ("x = = 1", "is not Python"),
        ("x\0", "is not Python"),
        ("parameters = " + "[" * 5000 + "]" * 5000, "nested too deeply|is not Python"),
        ("parameters = " + "-" * 100_000 + "1", "nested too deeply|is not Python"),
        (
            "AstroDrizzle(f, output=" + "(" * 90 + "1" + ")" * 90 + "+" + "+".join("1" * 5000) + ")",
            "nothing is run|nested",
        ),
        ("# " + "x" * 5_000_000, "larger than"),
    ],
)
def test_hostile_scripts_are_refused_in_a_sentence(text, sentence):
    with pytest.raises(ParameterError, match=sentence) as caught:
        from_script(text)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("output = x", "names no task"),
        ("_task_name_ = photeq\nreadonly = True", "names the task 'photeq'"),
        ("_task_name_ = astrodrizzle\nimport os", "line 2 of the .cfg file is no 'name = value'"),
        ("_task_name_ = astrodrizzle\nbuild = True\nbuild = False", "line 3.*build a second time"),
        ('_task_name_ = astrodrizzle\noutput = "x', "line 2.*a quote that it does not close"),
        ('_task_name_ = astrodrizzle\noutput = "x" + y', "goes on after its quoted value"),
        ("_task_name_ = astrodrizzle\nsubsky = True", "obsolete"),
        ("_task_name_ = astrodrizzle\nfinal_scal = 1", "did you mean final_scale"),
        ("_task_name_ = astrodrizzle\ncrbit = __import__('os')", 'crbit = "__import__'),
        ("_task_name_ = drizzlewb\nkept = 3", "kept must be a dict"),
        ("_task_name_ = drizzlewb\nkept = 3\n[kept]\nastrodrizzle.stepsize = 3", "kept"),
        ("_task_name_ = astrodrizzle\n[[[DEEP]]]\nx = 1", "line 2"),
        ("#" * 5_000_000, "larger than"),
    ],
)
def test_hostile_cfg_files_are_refused_in_a_sentence(text, sentence):
    with pytest.raises(ParameterError, match=sentence) as caught:
        from_cfg(text)
    assert len(str(caught.value)) < 400


def test_a_cfg_as_teal_saves_it():
    found = from_cfg(
        "_task_name_ = drizzlepac.astrodrizzle# \n"
        'input = "j8*_flc.fits"# Input files (name, suffix, or @list)\n'
        "_mdriztab_btn_ = Update From MDRIZTAB# Immediately read\n"
        "build = yes# Create multi-extension output file\n"
        "updatewcs = False\n"
        "resetbits = 0 # comment\n\n"
        "[STEP 3a: CUSTOM WCS FOR SEPARATE OUTPUTS]# comment\n"
        "driz_sep_wcs = no\ndriz_sep_scale = 0.1\n"
        "[STEP 6: REMOVE COSMIC RAYS WITH DERIV, DRIZ_CR]\n"
        "driz_cr_snr = 5.0 4.0\n"
        "[STEP 7a: CUSTOM WCS FOR FINAL OUTPUT]\nfinal_wcs = yes\nfinal_rot = INDEF\nfinal_scale = 3.0e-2\n"
        "[ _RULES_ ]\n_rule1_ = 'import os'\n"
    )
    assert found.reduce == ReduceParameters.from_keywords(
        build=True, resetbits=0, driz_sep_wcs=False, driz_sep_scale=0.1, driz_cr_snr=(5, 4), final_scale=0.03
    )
    assert [note.split()[0] for note in found.notes] == ["input"]
    found = from_cfg("_task_name_ = tweakreg\nminobj = 3\n[_SOURCE FINDING PARS_]\nthreshold = 9\n")
    assert (found.align.minobj, found.align.imagefind.threshold, found.align.refimagefind.threshold) == (
        3,
        9.0,
        4.0,
    )


def test_both_quotes_do_not_fit_a_cfg():
    with pytest.raises(ParameterError, match="both kinds of quotes"):
        to_cfg(ReduceParameters.from_keywords(output="a'b\"c"))


def test_the_scripts_are_formatted_source():
    script = drizzlewb_script(["a.fits"], ReduceParameters(), AlignParameters.from_keywords(updatehdr=True))
    ast.parse(script)
    assert "solution.apply()" in script
    assert "dw.reduce(exposures, parameters=chosen.reduce, output='final')" in script
    named = drizzlewb_script(["a.fits"], ReduceParameters.from_keywords(output="F606W"))
    assert "dw.reduce(exposures, parameters=chosen.reduce)" in named

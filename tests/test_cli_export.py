"""``drizzlewb export``: every form from every source, exit statuses, nothing half-written."""

import json

import numpy as np
import pytest
from astropy.io import fits

from drizzlewb.cli import main
from drizzlewb.parameters import AlignParameters, ReduceParameters
from drizzlewb.parameters.exchange import from_json, to_json
from drizzlewb.parameters.scripts import from_script
from drizzlewb.parameters.teal import from_cfg
from drizzlewb.reduction.exporting import read_source

REDUCE = ReduceParameters.from_keywords(final_wcs=True, final_scale=0.04, final_pixfrac=0.7, output="F606W")
ALIGN = AlignParameters.from_keywords(threshold=50, conv_width=3.5)


@pytest.fixture
def p_json(tmp_path, monkeypatch):
    """A parameter file of ours, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "P.json").write_text(to_json(REDUCE, ALIGN))
    return "P.json"


@pytest.fixture(scope="module")
def product(tiny_set, tmp_path_factory):
    """A product of two exposures, whose record knows their names."""
    folder = tmp_path_factory.mktemp("product")
    files = [str(tiny_set / f"{name}_flc.fits") for name in ("j8ny01svq", "j8ny01szq")]
    settings = ["--set", "driz_cr=False", "--set", "final_pixfrac=0.7"]
    assert main(["reduce", *files, "--output", str(folder / "F606W"), "--quiet", *settings]) == 0
    return folder / "F606W_drc.fits"


def exported(capsys, *arguments):
    assert main(["export", *map(str, arguments)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def refused(capsys, folder, *arguments):
    """Exit status 2, one sentence, nothing written: the sentence."""
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert main(["export", *map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("drizzlewb: ")
    return lines[0]


@pytest.mark.parametrize(
    ("to", "back"), [("json", from_json), ("python", from_script), ("drizzlepac", from_script)]
)
def test_text_to_standard_output(p_json, capsys, to, back):
    found = back(exported(capsys, p_json, "--to", to))
    assert (found.reduce, found.align) == (REDUCE, ALIGN)


def test_cfg_files_in_this_folder_or_another(p_json, tmp_path, capsys):
    names = ["tweakreg.cfg", "imagefindpars.cfg", "refimagefindpars.cfg", "astrodrizzle.cfg", "drizzlewb.cfg"]
    assert exported(capsys, p_json, "--to", "cfg").splitlines() == names
    found = from_cfg((tmp_path / name).read_text() for name in names)
    assert (found.reduce, found.align) == (REDUCE, ALIGN)
    assert "exists already" in refused(capsys, tmp_path, p_json, "--to", "cfg")
    exported(capsys, p_json, "--to", "cfg", "--replace")
    assert "does not exist" in refused(capsys, tmp_path, p_json, "--to", "cfg", "--out", "absent")
    (tmp_path / "teal").mkdir()
    assert exported(capsys, p_json, "--to", "cfg", "--out", "teal").splitlines()[0] == "teal/tweakreg.cfg"


def test_a_file_of_the_users_name(p_json, tmp_path, capsys):
    assert exported(capsys, p_json, "--to", "python", "--out", "again.py") == "again.py\n"
    assert from_script((tmp_path / "again.py").read_text()).reduce == REDUCE
    before = (tmp_path / "again.py").read_bytes()
    assert "again.py exists already" in refused(capsys, tmp_path, p_json, "--to", "json", "--out", "again.py")
    exported(capsys, p_json, "--to", "json", "--out", "again.py", "--replace")
    assert (tmp_path / "again.py").read_bytes() != before


def test_every_form_leads_back_to_the_same_parameters(p_json, tmp_path, capsys):
    """json → drizzlepac → cfg (both tasks in files of their own) → json."""
    exported(capsys, p_json, "--to", "drizzlepac", "--out", "s.py")
    exported(capsys, "s.py", "--to", "cfg")
    out = exported(capsys, "astrodrizzle.cfg", "--to", "json")
    # What DrizzlePac is told otherwise (stepsize, resetbits) stands in drizzlewb.cfg alone.
    assert from_json(out).reduce.replace(stepsize=10, resetbits=4096) == REDUCE


@pytest.mark.parametrize("name", ["F606W_drc.fits", "F606W_record.json"])
def test_a_product_and_its_record(product, capsys, name):
    source = product.with_name(name)
    text = exported(capsys, source, "--to", "drizzlepac")
    assert "'j8ny01svq_flc.fits',\n    'j8ny01szq_flc.fits'," in text
    assert "must carry the WCS that was used: IDC_qbu1641sj (j8ny01svq, j8ny01szq)" in text.split("import")[0]
    found = from_script(text)
    assert found.align is None
    assert (found.reduce.final_pixfrac, found.reduce.output, found.reduce.driz_cr) == (0.7, "F606W", False)
    assert from_json(exported(capsys, source, "--to", "json")).reduce == found.reduce


def test_files_named_by_hand_and_by_nobody(p_json, capsys):
    assert "files = sys.argv[1:]" in exported(capsys, p_json, "--to", "python")
    named = exported(capsys, p_json, "--to", "drizzlepac", "--files", "a_flc.fits", "b_flc.fits")
    assert "'a_flc.fits',\n    'b_flc.fits'," in named
    assert "sys" not in named


def test_the_script_for_drizzlewb_makes_the_same_product(product, tiny_set, tmp_path, monkeypatch, capsys):
    files = [str(tiny_set / f"{name}_flc.fits") for name in ("j8ny01svq", "j8ny01szq")]
    text = exported(capsys, product, "--to", "python", "--files", *files)
    monkeypatch.chdir(tmp_path)
    exec(compile(text, "exported.py", "exec"), {})  # noqa: S102 -- our own text, run as its user would
    with fits.open(product) as one, fits.open(tmp_path / "F606W_drc.fits") as two:
        for part in ("SCI", "WHT", "CTX"):
            np.testing.assert_array_equal(one[part].data, two[part].data)


def test_decisions_stand_in_the_head(product, tmp_path, capsys):
    document = json.loads(product.with_name("F606W_record.json").read_text())
    mask = {"exposure": "j8ny01svq", "shape": "line", "points": [[3, 4], [50, 60]], "size": 5.0,
            "frame": "pixel", "extver": 1}  # fmt: skip
    document["decisions"] = {
        "masks": [mask],
        "alignment": {"reference": "j8ny01svq", "accepted": ["j8ny01szq"], "rejected_stars": [{}]},
    }
    path = tmp_path / "decided_record.json"
    path.write_text(json.dumps(document))
    head = exported(capsys, path, "--to", "drizzlepac").split("import")[0]
    assert "# - by hand: line drawn on j8ny01svq[SCI,1], pixel [[3, 4], [50, 60]], size 5" in head
    assert "# - by hand: alignment to j8ny01svq accepted for j8ny01szq, 1 star left out" in head
    document["decisions"] = {"masks": [{"shape": "line"}]}
    path.write_text(json.dumps(document))
    assert "damaged" in refused(capsys, tmp_path, path, "--to", "drizzlepac")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"astrodrizzle": {"final_pixfrak": 1}}', "final_pixfrac"),
        ('{"astrodrizzle": {"final_kernel": "lanczos2"}}', "choose lanczos3"),
        ('{"schema": 99, "parameters": {}}', "update drizzlewb"),
        ('{"kind": "drizzlewb record", "schema": 1}', "damaged"),
        ('{"kind": "drizzlewb record", "schema": 99}', "update drizzlewb"),
        ('{"kind": "drizzlewb session", "schema": 1}', "Session.open"),
        ("import os", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_refused_sources(p_json, tmp_path, capsys, content, words):
    (tmp_path / "bad.json").write_text(content)
    assert words in refused(capsys, tmp_path, "bad.json", "--to", "drizzlepac")


def test_two_gigabytes_are_refused_unread(p_json, tmp_path, capsys):
    path = tmp_path / "large.json"
    with path.open("wb") as stream:
        stream.truncate(2 * 2**30)
    assert main(["export", str(path), "--to", "json"]) == 2
    assert "large.json has 2048 MB, more than the 64 MB allowed" in capsys.readouterr().err
    with path.open("wb") as stream:
        stream.truncate(0)


def test_bad_arguments(p_json, tmp_path, tiny_set, capsys):
    assert "absent.json" in refused(capsys, tmp_path, "absent.json", "--to", "json")
    assert "absent.fits" in refused(capsys, tmp_path, "absent.fits", "--to", "json")
    assert "expected one of json, python, drizzlepac, cfg" in refused(
        capsys, tmp_path, p_json, "--to", "yaml"
    )
    assert "RECORD" in refused(capsys, tmp_path, tiny_set / "j8ny01svq_flc.fits", "--to", "json")
    with pytest.raises(SystemExit) as stop:
        main(["export", p_json])
    assert stop.value.code == 2


def test_what_is_left_out_is_said(tmp_path, capsys):
    (tmp_path / "d.py").write_text("AstroDrizzle('*_flc.fits', updatewcs=True, final_pixfrac=0.7)\n")
    assert main(["export", str(tmp_path / "d.py"), "--to", "json"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("note: updatewcs = True: update the distortion first")
    assert from_json(captured.out).reduce.final_pixfrac == 0.7


def test_params_may_be_a_product(product, tiny_set, tmp_path):
    """Of other exposures: only the parameters count, output is the command line's."""
    flc = str(tiny_set / "j8ny01t5q_flc.fits")
    arguments = ["reduce", flc, "--output", str(tmp_path / "p"), "--params", str(product), "--quiet"]
    assert main(arguments) == 0
    assert read_source(tmp_path / "p_drc.fits").reduce.final_pixfrac == 0.7


def test_params_without_the_task_are_refused(product, tiny_set, tmp_path, capsys):
    """No defaults in silence where the file has nothing to say."""
    files = [str(tiny_set / f"{name}_flc.fits") for name in ("j8ny01svq", "j8ny01szq")]
    assert main(["align", *files, "--params", str(product)]) == 2
    assert "none for drizzlewb align" in capsys.readouterr().err
    (tmp_path / "a.json").write_text(to_json(align=ALIGN))
    assert (
        main(["reduce", *files, "--output", str(tmp_path / "p"), "--params", str(tmp_path / "a.json")]) == 2
    )
    assert "none for drizzlewb reduce" in capsys.readouterr().err

"""``drizzlewb align``: table and verdicts, headers on request only, exit status."""

import shutil

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from drizzlewb.cli import main

NAMES = ["j8ny01svq", "j8ny01szq", "j8ny02yvq"]
WCS_CARDS = ("CRVAL1", "CRVAL2", "CD1_1", "CD1_2", "CD2_1", "CD2_2", "WCSNAME")


@pytest.fixture
def files(tiny_set, tmp_path, monkeypatch):
    """Three exposures, the third of another visit and 10 px off, in the current folder."""
    for name in NAMES:
        shutil.copy(tiny_set / f"{name}_flc.fits", tmp_path)
    monkeypatch.chdir(tmp_path)
    return [f"{name}_flc.fits" for name in NAMES]


def align(*arguments):
    return main(["align", *arguments, "--set", "threshold=100"])


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def cards(path):
    with fits.open(path) as hdus:
        return [hdus["SCI", v].header.get(k) for v in (1, 2) for k in WCS_CARDS]


def test_table_and_verdicts_and_nothing_written(files, tmp_path, capsys):
    before = contents(tmp_path)
    assert align(*files) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Reference    j8ny01svq")
    assert [line.split()[:3] for line in lines[2:5]] == [
        ["j8ny01svq", "F606W", "reference"],
        ["j8ny01szq", "F606W", "aligned"],
        ["j8ny02yvq", "F814W", "aligned"],
    ]
    dx, dy = map(float, lines[4].split()[5:7])
    assert 9 < np.hypot(dx, dy) < 12
    assert lines[7].startswith("j8ny02yvq    Good: rms 0.0")
    assert contents(tmp_path) == before


def test_apply_and_revert(files, tmp_path, capsys):
    before = [cards(f) for f in files]
    assert align(*files, "--apply", "--set", "shiftfile=True", "--set", "wcsname=CLI") == 0
    assert "IDC_qbu1641sj -> CLI" in capsys.readouterr().out
    assert {fits.getval(f, "WCSNAME", ("SCI", 1)) for f in files} == {"CLI"}
    assert (tmp_path / "shifts.txt").read_text().count("_flc.fits") == 3
    assert "j8ny02yvq" in (tmp_path / "tweakreg.log").read_text()
    assert len(Table.read(tmp_path / "tweakreg.ecsv")) == 3
    assert align(*files, "--quiet", "--set", "fitgeometry=shift") == 0
    # The name is taken now.
    assert align(*files, "--apply", "--set", "wcsname=CLI", "--quiet") == 2
    assert "CLI" in capsys.readouterr().err
    assert main(["align", *files, "--revert"]) == 0
    assert [cards(f) for f in files] == before
    assert main(["align", *files, "--revert"]) == 2
    assert "revert" in capsys.readouterr().err


def test_updatehdr_stands_for_apply(files, tmp_path):
    assert align(*files[:2], "--quiet", "--set", "updatehdr=True", "--out", str(tmp_path)) == 0
    assert fits.getval(files[1], "WCSNAME", ("SCI", 1)) == "TWEAK"


def test_out_without_apply(files, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    before = [(tmp_path / f).read_bytes() for f in files]
    assert align(*files, "--quiet", "--out", str(folder), "--set", "writecat=False") == 0
    assert sorted(p.name for p in folder.iterdir()) == ["tweakreg.ecsv", "tweakreg.log"]
    assert [(tmp_path / f).read_bytes() for f in files] == before


def test_one_refused(files, tmp_path, capsys):
    """Whoever chains commands must not go on with half an alignment: status 2 and nothing written."""
    before = contents(tmp_path)
    narrow = ["--set", "searchrad=0.2", "--set", "shiftfile=True"]
    assert align(*files, *narrow, "--apply") == 2
    captured = capsys.readouterr()
    assert "j8ny02yvq    Refused at the stage" in captured.out
    assert "widen searchrad to" in captured.out
    sentence = [line for line in captured.err.splitlines() if line.startswith("drizzlewb: ")]
    assert len(sentence) == 1
    assert "1 of 3 exposures refused: j8ny02yvq" in sentence[0]
    assert contents(tmp_path) == before

    assert align(*files, *narrow, "--apply", "--partial", "--quiet") == 0
    names = [fits.getval(f, "WCSNAME", ("SCI", 1)) for f in files]
    assert names == ["TWEAK", "TWEAK", "IDC_qbu1641sj"]


def test_all_refused(files, tmp_path, capsys):
    before = contents(tmp_path)
    arguments = ["--set", "searchrad=0.2", "--apply", "--partial", "--quiet"]
    assert align(files[0], files[2], *arguments) == 2
    assert "1 of 2 exposures refused" in capsys.readouterr().err
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--set", "treshold=3"], "threshold"),
        (["--set", "minobj=0"], "minobj"),
        (["--out", "absent"], "does not exist"),
        (["--params", "absent.json"], "absent.json"),
    ],
)
def test_bad_arguments(files, tmp_path, capsys, more, words):
    before = contents(tmp_path)
    assert align(*files, *more) == 2
    assert words in capsys.readouterr().err
    assert contents(tmp_path) == before


def test_bad_input(files, tmp_path, capsys):
    assert align("absent_flc.fits") == 2
    assert "absent_flc.fits" in capsys.readouterr().err
    assert align(files[0]) == 2
    assert "nothing to align it to" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        align(*files, "--apply", "--revert")
    assert stop.value.code == 2


def test_parameters_from_a_file(files, tmp_path, capsys):
    (tmp_path / "p.json").write_text(
        '{"tweakreg": {"fitgeometry": "shift"}, "imagefindcfg": {"threshold": 400}}'
    )
    assert main(["align", *files, "--params", "p.json"]) == 0
    row = capsys.readouterr().out.splitlines()[4].split()
    assert float(row[7]) == 0.0
    assert int(row[3]) < 150

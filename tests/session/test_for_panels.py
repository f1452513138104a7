"""What panels ask of a session: table, presets with differences, WCS history, sentences, distortion."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from drizzlewb.errors import DataError
from drizzlewb.session import Session


def mdriztab(path, **columns):
    """A reference table with the filters F606W (from 1, from 4) and ANY (from 1)."""
    rows = {
        "filter": ["F606W,CLEAR2L", "F606W,CLEAR2L", "ANY"],
        "numimages": np.array([1, 4, 1], np.int32),
        "final_pixfrac": np.array([0.9, 0.7, 0.5], np.float32),
        "driz_cr_snr": ["5.0 4.0", "3.5 3.0", ""],
        **columns,
    }
    Table(rows).write(path)
    return path


def test_the_exposure_table(session):
    assert session.table.colnames[:7] == [
        "rootname", "target", "date", "filter", "exptime", "visit", "wcsname",
    ]  # fmt: skip
    row = session.table[3]
    exposure = session.exposures[3]
    assert (row["rootname"], row["filter"]) == ("jtest04aq", "F814W")
    assert (row["exptime"], row["wcsname"]) == (exposure.exptime, exposure.wcsname)
    assert str(session.table["exptime"].unit) == "s"


def test_differences_of_a_preset(session):
    for preset in session.presets("F606W"):
        told = preset.differences(session.parameters("F606W"))
        before = session.parameters("F606W")
        session.use_preset(preset, "F606W")
        assert told == session.parameters("F606W").differences(before)
        for name, (now, then) in told.items():
            assert (before[name], session.parameters("F606W")[name]) == (now, then)
        if told:
            session.undo()
        assert session.parameters("F606W") == before


def test_the_row_of_an_mdriztab_is_a_preset(session, tmp_path):
    path = mdriztab(tmp_path / "x_mdz.fits", proc_nothing=np.ones(3, np.int32))
    row = session.presets("F606W", mdriztab=path)[-1]
    assert row.name == "MDRIZTAB x_mdz.fits, F606W,CLEAR2L, 1 or more"
    assert row.source.endswith("row 1; without its columns proc_nothing, which are no parameters")
    assert row.differences(session.parameters("F606W"))["final_pixfrac"] == (1.0, 0.9)
    other = session.presets("F814W", mdriztab=path)[-1]  # no row of its own
    assert other.name == "MDRIZTAB x_mdz.fits, ANY, 1 or more"
    session.use_preset(row, "F606W")
    assert session.parameters("F606W").driz_cr_snr == (5.0, 4.0)
    assert session.undo_name == "preset MDRIZTAB x_mdz.fits, F606W,CLEAR2L, 1 or more"
    session.undo()
    assert session.parameters("F606W").final_pixfrac == 1.0


def test_an_mdriztab_without_a_row(session, tmp_path):
    path = mdriztab(tmp_path / "few_mdz.fits", numimages=np.array([4, 8, 4], np.int32))
    with pytest.raises(DataError, match=r"no row for 3 exposures in F606W; its rows: F606W,CLEAR2L from 4"):
        session.presets("F606W", mdriztab=path)
    with pytest.raises(DataError, match="cannot read MDRIZTAB"):
        session.presets("F606W", mdriztab=tmp_path / "absent.fits")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (DataError("No stars."), "No stars."),
        (OSError(28, "No space left on device"), "The system refused: .*No space left.*then run again"),
        (MemoryError(), "too little memory left: lower memory_budget_mb"),
        (ZeroDivisionError("division by zero"), "failure of drizzlewb itself: ZeroDivisionError"),
    ],
)
def test_a_failed_step_has_a_sentence(session, makers, error, sentence):
    for handle, where in ((session.align, "alignment"), (lambda: session.run("F606W"), "F606W")):
        makers.error = error
        with pytest.raises(type(error)):
            handle().result(10)
        (failed,) = [s for s in session.status if s.where == where and s.state == "failed"]
        assert re.search(sentence, failed.message)
        assert "Traceback" not in failed.message


def test_wcs_history_in_mas(session):
    found = session.wcs_history("jtest01aq")
    assert [(s.place, s.active) for s in found] == [("primary", True), ("A", False)]
    assert found[1].name == "OTHER"
    assert {"rms_ra_mas", "rms_dec_mas", "offset_mas"} <= set(vars(found[0]))


@pytest.fixture
def named(tiny_set, tmp_path):
    """Two files that name reference files which are in the folder of real data."""
    paths = []
    for name in ("j8ny01svq", "j8ny01szq"):
        paths.append(Path(shutil.copy(tiny_set / f"{name}_flc.fits", tmp_path)))
        with fits.open(paths[-1], mode="update") as hdus:
            hdus[0].header["NPOLFILE"] = "jref$qbu16424j_npl.fits"
            hdus[0].header["D2IMFILE"] = "jref$02c1450oj_d2i.fits"
    return paths


def test_update_distortion(named, shared_data, tmp_path, monkeypatch):
    pytest.importorskip("stwcs")
    monkeypatch.chdir(tmp_path)
    folder = shared_data / "reffiles"
    session = Session(named)
    raw = [p.read_bytes() for p in named]
    outlook = session.distortion_outlook(folder)
    assert [(o.before, o.after, o.missing) for o in outlook] == [("IDC_qbu1641sj", "IDC_qbu1641sj", ())] * 2
    assert [p.read_bytes() for p in named] == raw
    before = session.status_of("F606W").key
    (change,) = session.update_distortion(folder, ["j8ny01szq"])
    assert (change.before, change.after) == ("IDC_qbu1641sj", "IDC_qbu1641sj")
    assert named[0].read_bytes() == raw[0]
    assert session.exposures[1].chips[0].wcs.npol_x.size
    assert session.status_of("F606W").key != before
    assert len(session.wcs_history("j8ny01szq")) > len(session.wcs_history("j8ny01svq"))
    session.revert_wcs("j8ny01szq")
    assert [p.read_bytes() for p in named] == raw
    with pytest.raises(DataError, match="reference files are missing .*Nothing is written"):
        session.update_distortion(tmp_path)
    assert [p.read_bytes() for p in named] == raw

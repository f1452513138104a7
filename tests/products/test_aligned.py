import os
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.exposure import read_exposures
from drizzlewb.parameters import AlignParameters
from drizzlewb.products.aligned import align, revert
from drizzlewb.products.headers import write_solution
from drizzlewb.products.history import wcs_history
from drizzlewb.steps.user_catalogs import SkyCatalog

FINDING = {"threshold": 50, "conv_width": 3.5, "minobj": 5}


@pytest.fixture
def solution(tiny_files):
    return align([str(p) for p in tiny_files], **FINDING)


def contents(files):
    return [p.read_bytes() for p in files]


def test_nothing_is_written_before_apply(tiny_files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before, listed = contents(tiny_files), sorted(os.listdir(tmp_path))
    solution = align(tiny_files, AlignParameters.from_keywords(FINDING), updatehdr=True, wcsname="NEW")
    assert contents(tiny_files) == before
    assert sorted(os.listdir(tmp_path)) == listed
    assert [a.status for a in solution.alignments] == ["reference", "aligned", "aligned"]
    assert solution.parameters.wcsname == "NEW"
    assert len(solution.table) == 3
    assert solution["j8ny01szq"].fit is solution.fits["j8ny01szq"]
    assert "in memory" in repr(solution)


def test_applied_and_reverted(tiny_files, solution, tmp_path):
    before = contents(tiny_files)
    fitted = [[c.wcs for c in e.chips] for e in solution.exposures]
    pixels = [[c.read_sci((3, 9, 2, 200)) for c in e.chips] for e in solution.exposures]
    changes = solution.apply(folder=tmp_path / "out")
    assert [c.action for c in changes] == ["apply"] * 3
    assert "written" in repr(solution)
    again = read_exposures([str(p) for p in tiny_files])
    for exposure, here, wcs, arrays in zip(again, solution.exposures, fitted, pixels, strict=True):
        assert exposure.wcsname == "TWEAK"
        assert exposure.files == here.files
        for chip, mine, packed, array in zip(exposure.chips, here.chips, wcs, arrays, strict=True):
            # What was fitted is what is read: the same bits.
            for name in ("crval", "cd", "crpix", "sip_a", "sip_b"):
                assert np.array_equal(getattr(chip.wcs, name), getattr(packed, name)), name
            # Headers have grown, and the solution's exposures know where the pixels are now.
            assert np.array_equal(mine.read_sci((3, 9, 2, 200)), array)
            assert np.array_equal(chip.read_sci((3, 9, 2, 200)), array)
    assert len(solution.applied) == 3
    back = solution.revert()
    assert [c.action for c in back] == ["revert"] * 3
    assert contents(tiny_files) == before
    assert solution.applied == ()
    with pytest.raises(DataError, match="nothing to revert"):
        solution.revert()


def test_header_says_how_it_was_fitted(tiny_files, solution):
    solution.apply(folder=None)
    row = solution.table[1]
    with fits.open(tiny_files[1]) as hdus:
        h = hdus["SCI", 2].header
        assert h["NMATCHES"] == row["nmatch"]
        assert h["FITGEOM"] == "rscale"
        # The plane is the sky turned: the quadratic mean of both directions is the same.
        assert np.hypot(h["RMS_RA"], h["RMS_DEC"]) / np.sqrt(2) == pytest.approx(row["rms_mas"], rel=1e-6)
    with fits.open(tiny_files[0]) as hdus:
        h = hdus["SCI", 1].header
        assert h["WCSNAME"] == "TWEAK"
        assert h["WCSTYPE"] == "not aligned: reference"
        assert "RMS_RA" not in h


def test_taken_name_stops_all_files(tiny_files, solution):
    write_solution(tiny_files[2], {1: ([56.0, -12.0], np.eye(2) * 1e-5)}, "TWEAK")
    before = contents(tiny_files)
    with pytest.raises(ParameterError, match=r"j8ny01t5q_flc.fits has a solution with WCSNAME 'TWEAK'"):
        solution.apply(folder=None)
    assert contents(tiny_files) == before
    solution.apply(folder=None, wcsname="SECOND")
    assert [wcs_history(p)[0].name for p in tiny_files] == ["SECOND"] * 3


def test_read_only_file_stops_all_files(tiny_files, solution):
    before = contents(tiny_files)
    os.chmod(tiny_files[1], 0o444)
    with pytest.raises(DataError, match="j8ny01szq_flc.fits is read-only"):
        solution.apply(folder=None)
    assert contents(tiny_files) == before


def test_failure_half_way_is_told(tiny_files, solution, monkeypatch):
    from drizzlewb.products import undo

    calls = []
    real = undo.write_parts

    def fails(path, parts):
        calls.append(path)
        if len(calls) == 2:
            msg = f"{path} could not be written (disk full); it is as it was."
            raise DataError(msg)
        real(path, parts)

    before = contents(tiny_files)
    monkeypatch.setattr(undo, "write_parts", fails)
    with pytest.raises(DataError, match=r"disk full.*Of 3 files these are written: j8ny01svq_flc.fits"):
        solution.apply(folder=None)
    monkeypatch.undo()
    assert [wcs_history(p)[0].name == "TWEAK" for p in tiny_files] == [True, False, False]
    solution.revert()
    assert contents(tiny_files) == before


def test_refused_exposure_is_left_alone(tiny_files):
    with fits.open(tiny_files[2], mode="update") as hdus:
        for ver in (1, 2):
            hdus["SCI", ver].data[:] = 0.0
    raw = tiny_files[2].read_bytes()
    solution = align(tiny_files, **FINDING)
    assert solution.alignments[2].status == "refused"
    solution.apply(folder=None)
    assert tiny_files[2].read_bytes() == raw
    assert wcs_history(tiny_files[1])[0].name == "TWEAK"


def test_changed_distortion_is_refused(tiny_files, solution):
    with fits.open(tiny_files[1], mode="update") as hdus:
        hdus["SCI", 1].header["A_2_0"] *= 1.001
    before = contents(tiny_files)
    with pytest.raises(DataError, match=r"j8ny01szq_flc.fits\[SCI,1\]: the distortion in the file"):
        solution.apply(folder=None)
    assert contents(tiny_files) == before


def test_files_of_a_run(tiny_files, tmp_path):
    out = tmp_path / "out"
    solution = align(tiny_files, **FINDING, writecat=False, runfile="mine.log")
    solution.apply(folder=out)
    assert sorted(os.listdir(out)) == ["mine.ecsv", "mine.log"]
    assert "the earlier solution is alternate A" in (out / "mine.log").read_text()
    solution.write(out, writecat=True)
    assert (out / "j8ny01szq_flc_catalog_fit.match").exists()
    assert len(Table.read(out / "mine.ecsv", format="ascii.ecsv")) == 3


def test_shift_file_is_written_at_once(tiny_files, tmp_path):
    names = {"outshifts": str(tmp_path / "s.txt"), "outwcs": str(tmp_path / "s.fits")}
    align(tiny_files, **FINDING, shiftfile=True, **names)
    assert len((tmp_path / "s.txt").read_text().splitlines()) == 7
    assert (tmp_path / "s.fits").exists()


def test_revert_by_name(tiny_files, solution, tmp_path):
    before = contents(tiny_files)
    solution.apply(folder=None)
    done = revert(str(tmp_path / "*_flc.fits"))
    assert len(done) == 3
    assert contents(tiny_files) == before
    with pytest.raises(DataError, match="nothing to revert"):
        revert(tiny_files[0])


def test_visit_moved_as_one_body(tiny_files):
    """The rms and the number of stars in the headers are those of the visit's fit to the catalog."""
    stars = align(tiny_files, **FINDING).alignments[0].sources
    none = np.zeros(len(stars))
    catalog = SkyCatalog("mine.cat", stars.ra, stars.dec + 0.2 / 3600, stars.mag, none, none)
    solution = align(
        tiny_files, **FINDING, reference=catalog, visit_as_one=True, fitgeometry="shift", catalog="MINE"
    )
    body = solution.groups["01"]
    old = [wcs_history(p)[0].crval[0] for p in tiny_files]
    solution.apply(folder=None)
    for path, (_, dec) in zip(tiny_files, old, strict=True):
        with fits.open(path) as hdus:
            h = hdus["SCI", 1].header
            assert (h["NMATCHES"], h["CATALOG"]) == (body.nmatch, "MINE")
        new = wcs_history(path)[0].crval[0]
        assert new[1] - dec == pytest.approx(0.2 / 3600, abs=0.05 / 3600)
    assert wcs_history(tiny_files[0])[0].crval[0][0] == pytest.approx(old[0][0], abs=1e-6)


def test_aligning_plain_files_needs_no_astropy(tiny_set, tmp_path):
    code = (
        "import sys, drizzlewb as dw; "
        "solution = dw.align(sys.argv[1:], threshold=50, conv_width=3.5, minobj=5, shiftfile=True); "
        "solution.write('.'); "
        "bad = {'astropy', 'scipy.linalg', 'ipywidgets'} & set(sys.modules); "
        "raise SystemExit(', '.join(bad) or 0)"
    )
    files = [str(path) for path in sorted(tiny_set.glob("j8ny01*_flc.fits"))[:2]]
    done = subprocess.run(
        [sys.executable, "-c", code, *files], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "shifts_wcs.fits").exists()

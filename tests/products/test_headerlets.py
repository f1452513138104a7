import builtins
import sys
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from drizzlewb.distortion import pixel_to_sky
from drizzlewb.errors import DataError, ParameterError
from drizzlewb.exposure import read_exposures
from drizzlewb.products import headerlets
from drizzlewb.products.aligned import align
from drizzlewb.products.fitsparts import read_parts
from drizzlewb.products.headers import FitNumbers, activate, revert_file, write_solution
from drizzlewb.products.history import headerlet_hdus, wcs_history


@pytest.fixture(autouse=True)
def _stwcs(tmp_path, monkeypatch):
    pytest.importorskip("stwcs")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    yield
    assert not list(here.iterdir())  # stwcs would like to leave logs where one stands


def shifted(path, arcsec=0.1):
    return {
        c.extver: (c.wcs.crval + [0, arcsec / 3600], c.wcs.cd)
        for e in read_exposures([path])
        for c in e.chips
    }


@pytest.mark.parametrize("extver", [1, 3, 5, 7])
def test_attached_headerlets_are_restored(svm_flc, extver, capfd):
    raw = svm_flc.read_bytes()
    wanted = next(s for s in wcs_history(svm_flc) if s.place == f"HDRLET,{extver}")
    before = wcs_history(svm_flc)[0]
    activate(svm_flc, place=wanted.place)
    now, *others = wcs_history(svm_flc)
    assert (now.name, now.crval) == (wanted.name, wanted.crval)
    # The fit in the header is the headerlet's, not that of the solution before.
    assert now.nmatch == wanted.nmatch
    assert now.rms_ra_mas == pytest.approx(wanted.rms_ra_mas, nan_ok=True)
    # Archived by stwcs, with the 12 digits that wcslib writes.
    kept = [s for s in others if s.name == before.name and len(s.place) == 1]
    assert len(kept) == 1
    assert np.allclose(kept[0].crval, before.crval, rtol=0, atol=1e-10)
    assert len(read_exposures([svm_flc])[0].chips) == 2
    revert_file(svm_flc)
    assert svm_flc.read_bytes() == raw
    heard = capfd.readouterr()
    assert heard.out == ""
    assert heard.err == ""


def test_all_ten_by_name_or_place(svm_flt):
    raw = svm_flt.read_bytes()
    for solution in wcs_history(svm_flt):
        if solution.place.startswith("HDRLET"):
            activate(svm_flt, place=solution.place)
            assert wcs_history(svm_flt)[0].crval == solution.crval
            revert_file(svm_flt)
    assert svm_flt.read_bytes() == raw
    assert activate(svm_flt, "IDC_w3m18525i-GSC240").after == "IDC_w3m18525i-GSC240"  # only as a headerlet


def test_distortion_comes_with_the_headerlet(svm_flc):
    """Its own tables, which this sample's image has cut to 10 x 10."""
    x, y = np.array([0.0, 9.0, 4.0]), np.array([0.0, 9.0, 7.0])
    part = next(p for p in read_parts(svm_flc) if p.label == ("HDRLET", 5))
    with headerlet_hdus(part) as hdus, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [WCS(hdus["SIPWCS", k].header, hdus).all_pix2world(x, y, 0) for k in (1, 2)]
    activate(svm_flc, place="HDRLET,5")
    found = [pixel_to_sky(c.wcs, x, y) for c in read_exposures([svm_flc])[0].chips]
    assert np.allclose(found, expected, rtol=0, atol=1e-10)


def test_written_attached_applied(tiny_files, tmp_path):
    path = tiny_files[0]
    raw = path.read_bytes()
    write_solution(path, shifted(path), "MINE", fit=FitNumbers(3.0, 4.0, 55, "rscale", "GAIA"))
    fitted = wcs_history(path)[0]
    where = headerlets.write_headerlet(path, author="me", descrip="a test")
    assert where.name == "j8ny01svq_flc_hlet.fits"
    with fits.open(where) as hdus:
        h = hdus[0].header
        assert (h["HDRNAME"], h["WCSNAME"], h["NMATCH"]) == ("j8ny01svq_MINE", "MINE", 55)
        assert (h["AUTHOR"], h["DESCRIP"], h["CATALOG"]) == ("me", "a test", "GAIA")
        assert h["RMS_RA"] == pytest.approx(3.0 / 3.6e6, rel=1e-9)
        assert [x.ver for x in hdus if x.name == "SIPWCS"] == [1, 2]
    attached = wcs_history(path)[-1]
    assert (attached.place, attached.name, attached.author) == ("HDRLET,1", "MINE", "me")
    assert np.allclose(attached.crval, fitted.crval, rtol=0, atol=1e-11)
    # Back to the file as it was, and the headerlet brings the solution again.
    revert_file(path)
    revert_file(path)
    assert path.read_bytes() == raw
    change = headerlets.apply_headerlet(path, where, attach=False)
    assert change.after == "MINE"
    now = wcs_history(path)[0]
    assert np.allclose(now.crval, fitted.crval, rtol=0, atol=1e-10)
    assert (now.nmatch, now.catalog) == (55, "GAIA")
    revert_file(path)
    headerlets.apply_headerlet(path, where, alternate=True, attach=False)
    places = {s.name: s.place for s in wcs_history(path)}
    assert len(places["MINE"]) == 1
    revert_file(path)
    headerlets.attach_headerlet(path, where)
    assert wcs_history(path)[-1].name == "MINE"
    with pytest.raises(DataError, match="holds no headerlet 'NOPE'; it has j8ny01svq_MINE"):
        headerlets.delete_headerlet(path, "NOPE")
    headerlets.delete_headerlet(path, "j8ny01svq_MINE")
    assert all(s.name != "MINE" for s in wcs_history(path))
    revert_file(path)
    assert wcs_history(path)[-1].name == "MINE"


def test_not_attached(tiny_files, tmp_path):
    raw = tiny_files[0].read_bytes()
    where = headerlets.write_headerlet(tiny_files[0], tmp_path / "mine_hlet.fits", attach=False)
    assert where.exists()
    assert tiny_files[0].read_bytes() == raw


def test_refusals(tiny_files, tmp_path):
    path = tiny_files[0]
    where = headerlets.write_headerlet(path, "mine")
    assert where.name == "j8ny01svq_flc_mine_hlet.fits"
    raw = path.read_bytes()
    with pytest.raises(ParameterError, match="holds a headerlet with HDRNAME 'j8ny01svq_IDC_qbu1641sj'"):
        headerlets.write_headerlet(path, "other")
    with pytest.raises(DataError, match="exists; give another hdrfile, or clobber=True"):
        headerlets.write_headerlet(path, "mine", hdrname="NEW")
    with pytest.raises(DataError, match="history file nope.txt"):
        headerlets.write_headerlet(path, "third", hdrname="NEW", history="nope.txt")
    with pytest.raises(DataError, match="no headerlet extension 9; it has"):
        headerlets.restore_headerlet(path, 9)
    with pytest.raises(DataError, match="is no headerlet"):
        headerlets.apply_headerlet(path, tiny_files[1])
    with pytest.raises(DataError, match="was made for j8ny01svq, and .* is j8ny01szq"):
        headerlets.apply_headerlet(tiny_files[1], where)
    assert path.read_bytes() == raw


def test_headerlets_of_a_run(tiny_files, tmp_path):
    before = [p.read_bytes() for p in tiny_files]
    solution = align(tiny_files, threshold=50, conv_width=3.5, minobj=5)
    solution.apply(folder=None, headerlet=True, hdrfile="run.fits", author="me")
    assert sorted(p.name for p in tmp_path.glob("*_hlet.fits")) == [
        "j8ny01svq_flc_run_hlet.fits", "j8ny01szq_flc_run_hlet.fits", "j8ny01t5q_flc_run_hlet.fits",
    ]  # fmt: skip
    assert wcs_history(tiny_files[1])[-1].place == "HDRLET,1"
    solution.revert()
    assert [p.read_bytes() for p in tiny_files] == before
    with pytest.raises(DataError, match="j8ny01svq_flc_run_hlet.fits exists"):
        solution.apply(folder=None, headerlet=True, hdrfile="run")
    assert [p.read_bytes() for p in tiny_files] == before


def test_without_stwcs(svm_flt, monkeypatch):
    raw = svm_flt.read_bytes()
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.split(".")[0] == "stwcs":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    for name in [m for m in sys.modules if m.split(".")[0] == "stwcs"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "stwcs", None)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(
        DataError, match=r"needs stwcs, which is not installed: pip install 'drizzlewb\[hst\]'"
    ):
        activate(svm_flt, place="HDRLET,4")
    assert len(wcs_history(svm_flt)) == 15
    assert activate(svm_flt, place="A").after == "IDC_w3m18525i"
    revert_file(svm_flt)
    assert svm_flt.read_bytes() == raw


def test_what_stwcs_refuses_is_told(svm_flc, tmp_path, monkeypatch):
    raw = svm_flc.read_bytes()
    where = headerlets.write_headerlet(svm_flc, tmp_path / "x_hlet.fits", hdrname="X", attach=False)
    with fits.open(where, mode="update") as hdus:
        hdus[0].header["DISTNAME"] = "another-model"
    with pytest.raises(DataError, match=r"applying .*: stwcs gave up \(Distortion models do not match"):
        headerlets.apply_headerlet(svm_flc, where)
    assert svm_flc.read_bytes() == raw

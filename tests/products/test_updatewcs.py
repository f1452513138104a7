import os

import numpy as np
import pytest
from astropy.io import fits

from drizzlewb.errors import DataError
from drizzlewb.exposure import read_exposures
from drizzlewb.products.headers import revert_file
from drizzlewb.products.history import wcs_history
from drizzlewb.products.updatewcs import update_wcs, updatewcs_outlook


@pytest.fixture(autouse=True)
def _stwcs(tmp_path, monkeypatch):
    pytest.importorskip("stwcs")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    yield
    assert not list(here.iterdir())  # stwcs would like to leave logs where one stands


@pytest.fixture
def folder(shared_data):
    return shared_data / "reffiles"


@pytest.fixture
def acs(tiny_files):
    """A simulated ACS file that names reference files which are there."""
    with fits.open(tiny_files[0], mode="update") as hdus:
        hdus[0].header["NPOLFILE"] = "jref$qbu16424j_npl.fits"
        hdus[0].header["D2IMFILE"] = "jref$02c1450oj_d2i.fits"
    return tiny_files[0]


def test_same_idctab(acs, folder, monkeypatch, capfd):
    monkeypatch.setenv("jref", "elsewhere/")
    raw = acs.read_bytes()
    before = wcs_history(acs)[0]
    (change,) = update_wcs(acs, folder)
    assert (change.before, change.after) == ("IDC_qbu1641sj", "IDC_qbu1641sj")
    now, *others = wcs_history(acs)
    kept = next(s for s in others if s.place == change.archived)
    assert kept.name == "IDC_qbu1641sj-1"  # the new one has its name
    assert kept.crval == before.crval
    with fits.open(acs) as hdus:
        h = hdus["SCI", 1].header
        assert h["D2IMEXT"] == "jref$02c1450oj_d2i.fits"
        assert h["NPOLEXT"] == "jref$qbu16424j_npl.fits"
        assert len([x for x in hdus if x.name == "WCSDVARR"]) == 4
        assert hdus[0].header["NEXTEND"] == len(hdus) - 1
        assert "WCSCORR" in hdus
    packed = read_exposures([acs])[0].chips[0].wcs
    assert packed.npol_x.size
    assert packed.d2im_x.size or packed.d2im_y.size
    revert_file(acs)
    assert acs.read_bytes() == raw
    assert os.environ["jref"] == "elsewhere/"  # noqa: SIM112 (as stwcs names it)
    assert "ASTROMETRY_STEP_CONTROL" not in os.environ
    assert capfd.readouterr().out == ""


@pytest.mark.filterwarnings("ignore")
def test_as_stwcs_alone_makes_it(acs, folder, tmp_path, monkeypatch):
    import gzip
    import shutil

    from stwcs.updatewcs import updatewcs

    for name in ("qbu1641sj_idc", "qbu16424j_npl", "02c1450oj_d2i"):
        (tmp_path / f"{name}.fits").write_bytes(gzip.decompress((folder / f"{name}.fits.gz").read_bytes()))
    peer = tmp_path / "peer" / acs.name
    peer.parent.mkdir()
    shutil.copy(acs, peer)
    monkeypatch.setenv("jref", f"{tmp_path}/")
    monkeypatch.setenv("ASTROMETRY_STEP_CONTROL", "OFF")
    updatewcs(str(peer), use_db=False, checkfiles=False)
    update_wcs(acs, folder)
    for a, b in zip(read_exposures([acs])[0].chips, read_exposures([peer])[0].chips, strict=True):
        for name in a.wcs._fields:
            assert np.array_equal(getattr(a.wcs, name), getattr(b.wcs, name), equal_nan=True), name


def test_another_idctab_keeps_the_old_solution_as_a_headerlet(acs, folder):
    with fits.open(acs, mode="update") as hdus:
        hdus[0].header["IDCTAB"] = "jref$0461802ej_idc.fits"
    raw = acs.read_bytes()
    before = wcs_history(acs)[0]
    outlook = updatewcs_outlook(acs, folder)
    assert outlook.new_model
    assert (outlook.before, outlook.after) == ("IDC_qbu1641sj", "IDC_0461802ej")
    (change,) = update_wcs(acs, folder)
    assert change.after == "IDC_0461802ej"
    assert change.archived == ""
    kept = next(s for s in wcs_history(acs) if s.name == before.name)
    assert kept.place == "HDRLET,1"
    assert np.allclose(kept.crval, before.crval, rtol=0, atol=1e-10)
    revert_file(acs)
    assert acs.read_bytes() == raw


def test_missing_reference_files(tiny_files, folder):
    raw = tiny_files[0].read_bytes()
    said = (
        r"reference files are missing in .*: drizzlewb_npl.fits "
        r"\(named by j8ny01svq_flc.fits, j8ny01szq_flc.fits\); drizzlewb_d2i.fits .*Nothing is written"
    )
    with pytest.raises(DataError, match=said):
        update_wcs(tiny_files[:2], folder)
    assert tiny_files[0].read_bytes() == raw
    assert updatewcs_outlook(tiny_files[0], folder).missing == ("drizzlewb_npl.fits", "drizzlewb_d2i.fits")


def test_fit_is_kept_unless_asked_for(svm_flc, folder, acs, caplog):
    raw = svm_flc.read_bytes()
    (change,) = update_wcs(svm_flc, folder)  # its reference files are missing, and not needed
    assert change.action == "kept"
    assert "replace_fit=True" in caplog.text
    with pytest.raises(DataError, match="2731450pi_idc.fits"):
        update_wcs(svm_flc, folder, replace_fit=True)
    assert svm_flc.read_bytes() == raw
    with fits.open(acs, mode="update") as hdus:
        for ver in (1, 2):
            hdus["SCI", ver].header["WCSNAME"] = "IDC_qbu1641sj-FIT_REL_GAIAeDR3"
            hdus["SCI", ver].header["NMATCHES"] = 99
    assert update_wcs(acs, folder)[0].action == "kept"
    (change,) = update_wcs(acs, folder, replace_fit=True)
    assert change.after == "IDC_qbu1641sj"
    now, *others = wcs_history(acs)
    assert now.nmatch == 0
    assert next(s for s in others if s.place == change.archived).nmatch == 99


def test_no_idctab(acs, folder):
    with fits.open(acs, mode="update") as hdus:
        hdus[0].header["IDCTAB"] = "N/A"
    with pytest.raises(DataError, match="names no IDCTAB"):
        update_wcs(acs, folder)


def test_wfpc2_needs_its_old_distortion_file(shared_data, folder):
    outlook = updatewcs_outlook(shared_data / "wfpc2_omegacen" / "u40x010hm_c0m.fits.gz", folder)
    assert set(outlook.files) == {"IDCTAB", "OFFTAB", "DGEOFILE"}
    assert outlook.missing == ("s8f1222cu_dxy.fits",)

"""The session with the real floors beneath it, on the tiny training set."""

import hashlib
import shutil

import numpy as np
import pytest
from astropy.io import fits

from drizzlewb import preview, read_exposures, reduce
from drizzlewb.errors import Cancelled, DataError
from drizzlewb.exposure import Drawn
from drizzlewb.grid import Region
from drizzlewb.reduction import engine
from drizzlewb.reduction.replay import replay
from drizzlewb.session import Session, Star
from drizzlewb.training.demo import with_true_wcs

KEYWORDS = {"skymethod": "match", "final_scale": 0.05, "final_rot": 0.0, "final_pixfrac": 0.7}


def shas(path):
    with fits.open(path, memmap=False) as hdus:
        return [hashlib.sha256(hdus[name].data.tobytes()).hexdigest() for name in ("SCI", "WHT", "CTX")]


@pytest.fixture(scope="module")
def exposures(tiny_set):
    names = [*sorted(tiny_set.glob("j8ny01*_flc.fits"))[:3], *sorted(tiny_set.glob("j8ny02*_flc.fits"))[:2]]
    return with_true_wcs(read_exposures(names))


@pytest.fixture(scope="module")
def ran(exposures):
    """A session in which F606W is fresh; tests leave it as it was."""
    session = Session(exposures)
    session.set("F606W", **KEYWORDS)
    session.run("F606W").result(120)
    return session


def test_a_run_is_the_reduction(ran, exposures, tmp_path):
    product = ran.result("F606W")
    same = reduce(exposures[:3], ran.parameters("F606W"), output=tmp_path / "F606W")
    assert shas(product.path) == shas(same.path)
    assert product.path.name == "F606W_drc.fits"


def test_a_preview_is_the_product(ran, exposures):
    product = ran.result("F606W")
    ny, nx = product.sci.shape
    region = Region(ny // 2, ny // 2 + 70, nx // 2 - 20, nx // 2 + 40)
    cutout = ran.preview("F606W", region=region).result(60)
    np.testing.assert_array_equal(cutout.sci, product.sci[region.slices()])
    np.testing.assert_array_equal(cutout.wht, product.wht[region.slices()])
    theirs = preview(exposures[:3], ran.parameters("F606W"), region=region)
    np.testing.assert_array_equal(cutout.sci, theirs.sci)


def test_pixfrac_remakes_neither_sky_nor_masks(ran, monkeypatch):
    for name in ("run_prepass", "median_region"):
        monkeypatch.setattr(engine, name, None)  # making another would fail
    monkeypatch.setattr(engine.cosmicray_step, "crmask_box", None)
    ran.set("F606W", final_pixfrac=0.9)
    assert ran.preview("F606W", size=40).result(60).sci.shape == (40, 40)
    assert np.isfinite(ran.run("F606W").result(60).sci).any()
    ran.undo()
    assert ran.status_of("F606W").state == "done"


def test_a_product_on_the_grid_of_another(ran, tmp_path):
    ran.set("F814W", final_refimage="F606W", final_pixfrac=0.8)
    product = ran.run("F814W").result(120)
    ran.undo()
    one, other = ran.result("F606W").header, product.header
    for card in ("NAXIS1", "NAXIS2", "CRVAL1", "CRVAL2", "CRPIX1", "CD1_1", "CD2_2"):
        assert one[card] == other[card]
    assert product.record["parameters"]["astrodrizzle"]["final_refimage"] == "F606W_drc.fits"
    again = replay(product.record, ran.exposures, output=tmp_path / "again")
    assert shas(again.path) == shas(product.path)


def test_write(ran, tmp_path):
    with pytest.raises(DataError, match="run it first"):
        ran.write("F814W", tmp_path)
    files = ran.write("F606W", tmp_path)
    assert [p.name for p in files] == ["F606W_drc.fits", "F606W_record.json"]
    assert shas(files[0]) == shas(ran.result("F606W").path)
    with pytest.raises(DataError, match="exists"):
        ran.write("F606W", tmp_path)
    ran.write("F606W", tmp_path, replace=True)
    ran.set("F606W", output="somewhere/best")
    files = ran.write("F606W", tmp_path)
    ran.undo()
    assert [p.name for p in files] == ["best_drc.fits", "best_record.json"]
    assert fits.getheader(files[0])["FILENAME"] == "best_drc.fits"
    with fits.open(files[0], checksum=True) as hdus:
        hdus.verify("exception")
    with pytest.raises(DataError):
        ran.write("F606W", tmp_path / "none")


def test_hand_decisions_are_in_the_record_and_replayed(exposures, tmp_path):
    session = Session(exposures[:3])
    session.set(**KEYWORDS)
    name = exposures[0].rootname
    session.draw(Drawn(name, "line", ((5, 5), (220, 90)), size=6, extver=1))
    product = session.run().result(120)
    assert product.record["decisions"]["masks"][0]["shape"] == "line"
    clean = Session(exposures[:3])
    clean.set(**KEYWORDS)
    assert shas(clean.run().result(120).path) != shas(product.path)
    again = replay(product.path, exposures[:3], output=tmp_path / "again", threads=1)
    assert shas(again.path) == shas(product.path)


def test_cancel_in_the_middle(exposures):
    session = Session(exposures[:3])
    before = session.status
    handle = session.run()
    while not handle.progress[0] and not handle.over:
        pass
    handle.cancel()
    with pytest.raises(Cancelled):
        handle.result(60)
    assert session.status == before
    assert not [p for p in session.cache.folder.rglob("*") if p.suffix in (".part", ".fits")]
    session.run().result(120)
    assert session.status_of("F606W").state == "done"


@pytest.fixture
def copies(tiny_set, tmp_path):
    """Files as they come from the archive, in a folder that may be written."""
    files = sorted(tiny_set.glob("j8ny01*_flc.fits"))[:3]
    return [shutil.copy(path, tmp_path) for path in files]


def test_update_inputs(copies):
    session = Session(copies)
    session.set(update_inputs=True, driz_cr_snr="8 6")
    session.run().result(120)
    flags = [fits.getdata(p, "DQ", 1) for p in copies]
    assert not any((f & 4096).any() for f in flags)  # a run of a session changes no file
    assert len(session.update_inputs()) == 3
    assert all((fits.getdata(p, "DQ", 1) & 4096).any() for p in copies)
    assert session.status_of("F606W").state == "stale"
    with pytest.raises(DataError, match="run it again"):
        session.update_inputs()


def test_align_brush_accept_apply_revert(copies, tmp_path):
    session = Session(copies)
    session.set(threshold=40, minobj=5)
    solution = session.align().result(120)
    statuses = [a.status for a in solution.alignments]
    assert statuses[0] == "reference"
    # Brushing leaves these stars out of the fit, and finds no source anew.
    alignment = solution.alignments[1]
    sources, chips = alignment.sources, session.exposures[1].chips
    used = int(alignment.index[0]) if len(alignment.index) else 0
    x, y = float(sources.x[used]), float(sources.y[used])
    star = Star(alignment.rootname, chips[int(sources.chip[used])].extver, x, y)
    session.brush([star])
    assert session.status_of("alignment", "sources").state == "done"
    again = session.align().result(120)
    assert len(again.alignments[1].sources) == len(sources) - 1
    session.undo()
    assert session.solution is solution
    session.accept()
    for exposure in solution.exposures:
        used_now = session.derived.final_exposure(exposure.rootname)
        for ours, theirs in zip(used_now.chips, exposure.chips, strict=True):
            np.testing.assert_array_equal(ours.wcs.crval, theirs.wcs.crval)
            np.testing.assert_array_equal(ours.wcs.cd, theirs.wcs.cd)
    before = [fits.getheader(p, "SCI", 1)["CRVAL1"] for p in copies]
    session.save(tmp_path / "s.json")
    session.apply_alignment(wcsname="MYFIT")
    assert "MYFIT" in [w.name for w in session.wcs_history(session.exposures[1].rootname)]
    assert session.exposures[1].wcsname == "MYFIT"
    session.revert_wcs(session.exposures[1].rootname)
    assert fits.getheader(copies[1], "SCI", 1)["CRVAL1"] == before[1]
    opened = Session.open(tmp_path / "s.json")
    accepted = opened.derived.final_exposure(session.exposures[1].rootname)
    np.testing.assert_array_equal(accepted.chips[0].wcs.crval, solution.exposures[1].chips[0].wcs.crval)

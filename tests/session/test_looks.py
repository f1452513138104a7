"""What a session looks at without storing it: masks of a box, star cores, why a pixel is so."""

import threading

import numpy as np
import pytest

from drizzlewb import read_exposures
from drizzlewb.errors import Cancelled, DataError
from drizzlewb.exposure import Drawn
from drizzlewb.grid import Region
from drizzlewb.reduction.engine import Reduction
from drizzlewb.session import Session
from drizzlewb.training.demo import with_true_wcs

BOX = Region(20, 90, 30, 120)


@pytest.fixture(scope="module")
def session(tiny_set):
    files = [*sorted(tiny_set.glob("j8ny01*_flc.fits"))[:3], *sorted(tiny_set.glob("j8ny02*_flc.fits"))[:2]]
    session = Session(with_true_wcs(read_exposures(files)))
    session.set("F606W", skymethod="match", final_scale=0.05, final_rot=0.0)
    return session


@pytest.fixture
def name(session):
    """Root name of the first exposure; parameters are taken back after the test."""
    before = session.state
    yield session.exposures[0].rootname
    while session.state != before:
        session.undo()
    session.select(product="", pixel=None)


def masks_of(session, box=BOX, snr=None):
    """Masks of a run, by the engine itself."""
    job = session.runs.job("F606W", session.derived.product("F606W"))
    reduction = Reduction(job.exposures, job.parameters, grid=job.grid)
    return reduction.crmask(0, box)


def test_live_masks_are_those_of_a_run_and_are_cached(session, name):
    first = session.preview_masks("F606W", name, 1, BOX)
    assert first.result(60).box == BOX
    np.testing.assert_array_equal(first.result().mask, masks_of(session))
    session.set("F606W", driz_cr_snr=(7.0, 6.0), live=True)
    other = session.preview_masks("F606W", name, 1, BOX).result(60)
    np.testing.assert_array_equal(other.mask, masks_of(session))
    assert other.fraction < first.result().fraction
    session.undo()
    again = session.preview_masks("F606W", name, 1, BOX)
    assert again.state == "done"
    assert again.result() is first.result()


def test_thresholds_make_neither_sky_nor_median_again(session, name, monkeypatch):
    from drizzlewb.reduction import engine

    session.preview_masks("F606W", name, 1, BOX).result(60)
    session.preview("F606W", size=60).result(60)
    for work in ("run_prepass", "median_region"):
        monkeypatch.setattr(engine, work, None)
    session.set("F606W", driz_cr_snr=(4.5, 4.0), live=True)
    session.preview_masks("F606W", name, 1, BOX).result(60)
    session.preview("F606W", size=60).result(60)
    assert session.status_of("F606W", "crmask").state in ("empty", "stale")
    assert not list(session.cache.arrays.glob(f"crmask-{session.status_of('F606W', 'crmask').key}*"))


def test_a_drawn_mask_changes_the_median_beneath(session, name):
    plain = session.preview_masks("F606W", name, 1, BOX).result(60)
    session.draw(Drawn(name, "circle", ((70, 50),), size=12, extver=1))
    drawn = session.preview_masks("F606W", name, 1, BOX).result(60)
    assert (drawn.blot != plain.blot).any()
    assert (drawn.chip.read_dq((50, 51, 70, 71)) & 16384).all()


def test_the_newest_wins_and_the_same_is_asked_once(session, name, monkeypatch):
    gate = threading.Event()
    made = session.runs.makers.masked

    def slow(reduction, number, box):
        gate.wait(30)
        reduction.cancel.check()
        return made(reduction, number, box)

    monkeypatch.setattr(session.runs.makers, "masked", slow)
    boxes = [Region(k, k + 40, 0, 50) for k in range(3)]
    handles = [session.preview_masks("F606W", name, 2, box) for box in boxes]
    assert session.preview_masks("F606W", name, 2, boxes[2]) is handles[2]
    gate.set()
    assert handles[2].result(60).box == boxes[2]
    for old in handles[:2]:
        with pytest.raises(Cancelled):
            old.result(60)
    assert not session.busy


def test_what_cannot_be_looked_at(session, name):
    with pytest.raises(DataError, match="no chip 'nobody'"):
        session.preview_masks("F606W", "nobody", 1, BOX).result(60)
    session.set("F606W", driz_cr=False)
    with pytest.raises(DataError, match="driz_cr=True"):
        session.preview_masks("F606W", name, 1, BOX).result(60)
    with pytest.raises(DataError, match="outside the output grid"):
        session.why("F606W", -3, 4)


def test_why_is_the_product(session, name):
    product = session.run("F606W").result(120)
    covered = np.argwhere(product.wht > 0)
    y, x = (int(v) for v in covered[len(covered) // 2])  # the middle of the grid may lie in the gap
    told = session.why("F606W", x, y)
    assert (np.float32(told.sci), np.float32(told.wht)) == (product.sci[y, x], product.wht[y, x])
    assert told.unit == product.header["BUNIT"]
    assert str(told).startswith(f"Pixel x={x}, y={y} (zero-based")
    handle = session.why("F606W", x, y, wait=False)
    assert handle.state == "done"
    assert handle.result() is told


def test_star_cores_of_all_exposures(session, name):
    found = session.star_cores("F606W").result(120)
    members = session.state.product("F606W").members
    assert list(found) == [*members, "all"]
    assert found["all"].stars == sum(found[m].stars for m in members) > 100
    assert session.runs.cores_known("F606W") is found
    session.set("F606W", driz_cr_snr=(9.0, 8.0))
    assert session.runs.cores_known("F606W") is None


def test_the_selected_pixel_is_saved_and_let_go(session, name, tmp_path):
    session.select(product="F606W", pixel=(12, 34))
    session.save(tmp_path / "a.json")
    other = Session.open(tmp_path / "a.json")
    assert other.selection.pixel == (12, 34)
    session.select(center=(150.0, 2.0))
    assert session.selection.pixel == (12, 34)
    session.select(product="F814W")
    assert session.selection.pixel is None
    session.select(center=None)

"""The session from outside: load, set, work, errors, products, what it shows; no pixels are made."""

import dataclasses
import gc
import shutil
import threading
import time

import pytest
from astropy.io import fits
from factory import write
from sessions import FakeMakers, make_all, states

from drizzlewb import read_exposures
from drizzlewb.errors import Cancelled, DataError, ParameterError
from drizzlewb.exposure import Drawn
from drizzlewb.grid import Region
from drizzlewb.session import Session, Star


def wait_for(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.002)


# ---------------------------------------------------------------- products and parameters
def test_products_by_filter_and_detector(session):
    assert session.state.names == ("F606W", "F814W")
    assert session.state.product("F606W").members == ("jtest01aq", "jtest02aq", "jtest03aq")
    assert session.parameters("F606W").final_bits == 336  # the house's preset, and not DrizzlePac's 0
    assert len(session.table) == 5


def test_set_goes_to_the_right_task(session):
    session.set("F606W", final_pixfrac=0.6)
    assert session.undo_name == "final_pixfrac 1.0 → 0.6"
    session.set(threshold=50)  # TweakReg's: no product need be named
    assert session.alignment_parameters.imagefind.threshold == 50
    session.set(None, {"tweakreg.clean": True, "refimagefind.threshold": 40})
    assert session.alignment_parameters["tweakreg.clean"]
    session.set("*", final_scale=0.06)
    assert {session.parameters(n).final_scale for n in session.state.names} == {0.06}
    assert session.undo_name == "final_scale None → 0.06, final_wcs False → True"
    session.select(product="F814W")
    session.set(final_rot=0.0)
    assert session.parameters("F814W").final_rot == 0.0
    assert session.parameters("F606W").final_rot is None
    assert [row["where"] for row in session.history.rows()] == [
        "F606W", "alignment", "alignment", "products", "F814W",
    ]  # fmt: skip
    assert list(session.history_table["state"]) == ["done"] * 5


@pytest.mark.parametrize(
    ("keywords", "sentence"),
    [
        ({"final_pixfrak": 0.6}, "did you mean final_pixfrac"),
        ({"final_pixfrac": 2}, "at most 1"),
        ({"hmin": 3}, "obsolete"),
        ({"driz_cr_snr": "1"}, "two numbers"),
        ({"updatewcs": True}, "step of its own"),
    ],
)
def test_a_bad_parameter_changes_nothing(session, keywords, sentence):
    before = session.state
    with pytest.raises(ParameterError, match=sentence):
        session.set("F606W", **keywords)
    assert session.state is before
    assert not session.undo_name


def test_no_change_is_no_step(session):
    session.set("F606W", final_pixfrac=1.0)
    assert not session.undo_name


def test_a_dragged_slider_is_one_step(session):
    for value in (0.9, 0.8, 0.7):
        session.set("F606W", final_pixfrac=value, live=True)
    assert len(session.history.past) == 1
    session.set("F606W", final_pixfrac=0.5)
    session.undo()
    session.undo()
    assert session.parameters("F606W").final_pixfrac == 1.0


def test_which_product_is_asked(session):
    with pytest.raises(ParameterError, match="Which product"):
        session.set(final_pixfrac=0.5)
    with pytest.raises(ParameterError, match="no product 'F555W'"):
        session.run("F555W")


def test_mixing_needs_an_explicit_yes(session):
    with pytest.raises(ParameterError, match=r"would mix F606W of ACS/WFC, F814W of ACS/WFC.*mixed=True"):
        session.add_product("both", ["jtest01aq", "jtest04aq"])
    session.add_product("both", ["jtest01aq", "jtest04aq"], mixed=True, final_pixfrac=0.8)
    assert session.parameters("both").final_pixfrac == 0.8
    with pytest.raises(ParameterError, match="a product 'both' already"):
        session.add_product("both", ["jtest01aq"])
    session.undo()
    assert "both" not in session.state.names


def test_products_are_edited(session):
    session.set_members("F606W", ["jtest02aq", "jtest01aq"])
    assert "2" in session.undo_name
    session.set("F814W", final_refimage="F606W")
    with pytest.raises(ParameterError, match="gives its grid to F814W"):
        session.remove_product("F606W")
    session.rename_product("F606W", "V")
    assert session.parameters("F814W").final_refimage == "V"
    with pytest.raises(ParameterError, match=r"from each other \(V → F814W → V\)"):
        session.set("V", final_refimage="F814W")
    with pytest.raises(ParameterError, match="cannot name a product"):
        session.rename_product("V", "../V")
    with pytest.raises(DataError, match="not loaded"):
        session.set_members("V", ["nobody"])
    with pytest.raises(ParameterError, match="has no exposures"):
        session.set_members("V", [])
    session.set("F814W", final_refimage="")
    session.remove_product("V")
    assert session.state.names == ("F814W",)
    for _ in range(5):
        session.undo()
    assert session.state.names == ("F606W", "F814W")


def test_load_more(session, field_folder, tmp_path):
    assert len(session.exposures) == 5
    extra = write(tmp_path / "jtest09aq_flc.fits", "ACS/WFC", ra=150.1001)
    session.load(str(extra))
    assert session.state.product("F606W").members[-1] == "jtest09aq"
    assert session.undo_name == "load 1 exposure"
    session.load(str(extra))  # again: nothing new
    assert len(session.exposures) == 6
    other = tmp_path / "other"
    other.mkdir()
    again = write(other / "jtest09aq_flc.fits", "ACS/WFC")
    with pytest.raises(DataError, match="is loaded already"):
        session.load(str(again))
    session.load(str(write(tmp_path / "itest01aq_flc.fits", "WFC3/UVIS", ra=150.1001)))
    assert session.state.names == ("F606W", "F814W", "F814W_2")  # another detector: another product


# ---------------------------------------------------------------- work
def test_a_run(session, makers):
    handle = session.run("F606W")
    product = handle.result(5)
    assert product.name == "F606W"
    assert handle.state == "done"
    assert states(session, "F606W") == dict.fromkeys(("sky", "median", "crmask", "product"), "done")
    assert session.result("F606W") is product
    assert makers.calls == ["reduction", "median", "masks", "product"]
    assert session.run("F606W").result(5) is product  # at once, from the cache
    assert len(makers.calls) == 4
    session.set("F606W", driz_cr_snr="5.0 4.0")
    session.run("F606W", "crmask").result(5)
    assert makers.calls[4:] == ["reduction", "median", "masks"]
    with pytest.raises(ParameterError, match="no step 'blot'"):
        session.run("F606W", "blot")


def test_cancel_leaves_the_session_as_it_was(session, makers):
    session.run("F606W", "sky").result(5)
    session.set("F606W", final_pixfrac=0.5)
    before = (session.state, session.status, session.shown, session.undo_name)
    makers.gate.clear()
    handle = session.run("F606W")
    wait_for(lambda: "median" in makers.calls)
    assert session.busy
    assert states(session, "F606W")["product"] == "running"
    started = time.monotonic()
    session.cancel()
    handle.wait(5)
    assert (session.state, session.status, session.shown, session.undo_name) == before
    assert time.monotonic() - started < 5
    assert handle.state == "cancelled"
    assert not session.busy
    with pytest.raises(Cancelled, match="as it was"):
        handle.result(5)
    makers.gate.set()
    session.run("F606W").result(5)


def test_an_error_is_the_readable_result_of_its_step(session, makers):
    makers.error = DataError("The flat is missing.")
    handle = session.run("F606W")
    with pytest.raises(DataError, match="flat is missing"):
        handle.result(5)
    assert session.status_of("F606W", "median").state == "failed"
    assert session.status_of("F606W", "median").message == "The flat is missing."
    assert "The flat is missing." in repr(session)
    session.set("F606W", combine_nhigh=1)
    assert session.status_of("F606W", "median").state == "empty"  # other parameters have not failed
    session.undo()
    assert session.status_of("F606W", "median").state == "failed"
    session.run("F606W").result(5)
    assert session.status_of("F606W", "median").state == "done"


def test_impossible_parameters_fail_the_run_and_not_the_session(session):
    session.set("F606W", median=False)
    assert set(states(session, "F606W").values()) == {"failed"}
    handle = session.run("F606W")
    with pytest.raises(ParameterError, match="median is off"):
        handle.result(5)
    with pytest.raises(ParameterError, match="median is off"):
        session.preview("F606W").result(5)
    session.undo()
    assert set(states(session, "F606W").values()) == {"empty"}


def test_a_file_that_comes_later_is_seen(session, tmp_path):
    name = tmp_path / "reference_flc.fits"
    session.set("F606W", final_refimage=str(name))
    assert "cannot be used" in session.status_of("F606W").message
    write(name, "ACS/WFC", ra=150.1001)
    session.run("F606W").result(5)
    assert session.status_of("F606W").state == "done"


def test_a_result_of_other_parameters_is_kept_and_not_shown(session, makers):
    makers.gate.clear()
    handle = session.run("F606W")
    wait_for(lambda: "median" in makers.calls)
    session.set("F606W", final_pixfrac=0.5)
    assert states(session, "F606W") == {
        "sky": "running", "median": "running", "crmask": "running", "product": "empty",
    }  # fmt: skip
    makers.gate.set()
    handle.result(5)
    assert session.result("F606W") is None
    assert states(session, "F606W")["product"] == "stale"
    session.undo()
    assert session.result("F606W") is handle.result(5)


def test_the_newest_preview_wins(session, makers):
    makers.gate.clear()
    first = session.preview("F606W", size=20)
    wait_for(lambda: "preview" in makers.calls)
    second = session.preview("F606W", size=22)
    third = session.preview("F606W", size=24)
    makers.gate.set()
    assert third.result(5).region.shape == (24, 24)
    first.wait(5)
    assert first.state == second.state == "superseded"
    assert session.shown["F606W"].cutout is third.result(5)
    # One that was made before comes back at once, and supersedes what runs.
    makers.gate.clear()
    running = session.preview("F606W", size=26)
    assert session.preview("F606W", size=24).state == "done"
    assert running.state == "superseded"
    makers.gate.set()


def test_a_preview_of_a_place(session):
    grid = session.derived.product("F606W").grid
    ra, dec = (float(v) for v in grid.pixel_to_sky(30.0, 20.0))
    region = session.preview("F606W", center=(ra, dec), size=(10, 12)).result(5).region
    assert region == grid.region_around(ra, dec, (10, 12))
    session.select(center=(ra, dec), size=(10, 12))
    assert session.preview("F606W").result(5).region == region
    with pytest.raises(DataError, match="outside the output"):
        session.preview("F606W", center=(ra + 1, dec)).result(5)
    with pytest.raises(DataError, match="outside the output"):
        session.preview("F606W", region=Region(-9, -1, 0, 5)).result(5)


def test_runs_wait_for_each_other_and_previews_do_not(session, makers):
    makers.gate.clear()
    first, second = session.run("F606W"), session.run("F814W")
    wait_for(lambda: first.state == "running")
    assert second.state == "waiting"
    assert states(session, "F814W")["product"] == "running"
    second.cancel()
    assert second.wait(1).state == "cancelled"
    assert states(session, "F814W")["product"] == "empty"
    makers.gate.set()
    first.result(5)


def test_observers_are_told_and_may_fail(session):
    seen = []
    session.observe(lambda change: seen.append((change.name, threading.current_thread().name)), ["status"])
    session.set("F606W", final_pixfrac=0.5)
    session.run("F606W").result(5)
    names = {thread for _, thread in seen}
    assert "drizzlewb-run" in names
    handle = session.run("F814W")
    handle.on_change(lambda _: 1 / 0)
    assert handle.result(5).name == "F814W"


# ---------------------------------------------------------------- alignment, masks, decisions
def test_align_and_accept(session, makers):
    with pytest.raises(DataError, match="align first"):
        session.accept()
    session.align().result(5)
    session.accept()
    accepted = session.state.alignment.accepted
    assert {c.exposure for c in accepted.chips} == {e.rootname for e in session.exposures}
    session.set(tolerance=2.0)
    session.align().result(5)
    assert makers.calls[-1] == "fit"  # sources are as they were
    session.set(threshold=9)
    session.align().result(5)
    assert makers.calls[-1] == "align"
    session.unaccept()
    assert session.state.alignment.accepted is None


def test_the_accepted_wcs_is_used(session, makers):
    session.align().result(5)
    session.accept()
    plan = session.state.alignment
    moved = tuple(
        dataclasses.replace(c, crval=(c.crval[0] + 1e-5, c.crval[1]), wcsname="MOVED")
        for c in plan.accepted.chips
    )
    accepted = dataclasses.replace(plan.accepted, chips=moved)
    state = dataclasses.replace(session.state, alignment=dataclasses.replace(plan, accepted=accepted))
    session.run("F606W").result(5)
    session.change(state, "moved", "alignment")
    assert states(session, "F606W")["product"] == "stale"
    exposure = session.derived.final_exposure("jtest01aq")
    original = session.exposures[0]
    assert exposure.wcsname == "MOVED"
    assert exposure.chips[0].wcs.crval[0] == original.chips[0].wcs.crval[0] + 1e-5
    decisions = session.run("F606W").result(5).decisions
    assert decisions["alignment"]["accepted"] == ["jtest01aq", "jtest02aq", "jtest03aq"]
    session.undo()
    assert states(session, "F606W")["product"] == "done"


def test_brush(session):
    star = Star("jtest01aq", 1, 10.0, 11.0)
    session.brush([star])
    session.brush([star])
    assert session.undo_name == "reject 1 star"
    assert len(session.history.past) == 1
    session.unbrush()
    assert session.undo_name == "take back 1 star"
    assert session.state.alignment.rejected == ()
    with pytest.raises(DataError, match="not loaded"):
        session.brush([Star("nobody", 1, 0.0, 0.0)])


def test_draw(session):
    mask = Drawn("jtest01aq", "line", ((0, 0), (50, 30)), size=5, extver=2)
    session.draw(mask)
    assert session.undo_name == "draw line on jtest01aq"
    assert session.derived.final_exposure("jtest01aq").chips[1].drawn == (mask,)
    assert session.run("F606W").result(5).decisions["masks"] == [mask.to_dict()]
    assert session.run("F814W").result(5).decisions == {}
    session.erase(mask)
    assert not session.state.masks
    with pytest.raises(ParameterError, match="no such mask"):
        session.erase(mask)


def test_wcs_history(session):
    names = [solution.name for solution in session.wcs_history("jtest01aq")]
    assert "OTHER" in names


# ---------------------------------------------------------------- apart, and shown
def test_two_sessions_do_not_touch_each_other(field):
    one, two = Session(field, makers=FakeMakers()), Session(field, makers=FakeMakers())
    one.set("F606W", final_pixfrac=0.5)
    one.run("F606W").result(5)
    one.select(product="F814W")
    assert two.parameters("F606W").final_pixfrac == 1.0
    assert two.result("F606W") is None
    assert not two.undo_name
    assert not two.selection.product
    assert one.cache.folder != two.cache.folder
    folder = one.cache.folder
    del one
    gc.collect()
    assert not folder.exists()
    assert two.cache.folder.exists()


def test_shown_at_a_glance(session):
    make_all(session)
    session.set("F606W", final_pixfrac=0.5)
    text = repr(session)
    assert "5 exposures: 3 F606W ACS/WFC, 2 F814W ACS/WFC" in text
    assert "product stale" in text
    assert "undo: final_pixfrac 1.0 → 0.5" in text
    html = session._repr_html_()
    assert "product: stale" in html
    assert "product: done" in html


def test_text_from_files_and_users_is_text(tmp_path, makers):
    evil = "<img src=x onerror=alert(1)>"
    path = write(
        tmp_path / "jtest01aq_flc.fits", "ACS/WFC", primary={"FILTER1": "F<b>606W", "TARGNAME": evil}
    )
    session = Session(str(path), makers=makers)
    name = session.state.names[0]
    makers.error = DataError(f'no "{evil}"')
    session.run(name).wait(5)
    session.set(name, skyfile=evil)
    session.undo()
    html = session._repr_html_()
    assert "<img" not in html
    assert "<b>606W" not in html
    assert "&lt;img" in html


def test_an_empty_session():
    session = Session(makers=FakeMakers())
    assert "0 exposures" in repr(session)
    assert session.status == ()
    assert session.undo() == ""
    with pytest.raises(ParameterError, match="none"):
        session.run()


def test_reload(field_folder, tmp_path, makers):
    path = shutil.copy(field_folder / "jtest01aq_flc.fits", tmp_path)
    session = Session(str(path), makers=makers)
    session.run().result(5)
    fits.setval(path, "CRVAL1", value=150.1001, extname="SCI", extver=1)
    with pytest.raises(DataError, match="changed since it was read"):
        session.run().result(5)
    session.reload()
    assert session.exposures[0].chips[0].wcs.crval[0] == 150.1001
    assert states(session, "F606W")["product"] == "stale"
    assert read_exposures(str(path))[0].identity == session.exposures[0].identity


def test_presets(session):
    names = [p.name for p in session.presets("F606W")]
    assert names == ["drizzlewb", "ACS/WFC, 2 to 5"]
    session.use_preset("ACS/WFC, 2 to 5", "F606W")
    assert session.parameters("F606W").skymethod == "match"
    assert session.undo_name == "preset ACS/WFC, 2 to 5"
    session.use_preset("drizzlewb", "F606W")  # what it says is so already
    assert session.undo_name == "preset ACS/WFC, 2 to 5"


def test_what_others_read_names_files(session):
    session.set("F814W", final_refimage="F606W")
    session.set("F606W", output="there/V")
    told = session.to_dict("F814W")
    assert told["astrodrizzle"]["final_refimage"] == "V_drc.fits"
    assert told["tweakreg"]["fitgeometry"] == "rscale"

"""The final drizzle panel through its widgets, and through the session from Python."""

import numpy as np
import pytest

from drizzlewb.panels.final import FinalPanel
from drizzlewb.panels.final_grid import references

CHOICES = {"final_scale": 0.05, "final_rot": 0.0, "final_pixfrac": 0.8}


@pytest.fixture(scope="module")
def made(tiny_set):
    """A session with a preview of F606W, and the panel on it; tests leave its parameters as they were."""
    from drizzlewb import Session

    session = Session(str(tiny_set / "j8ny0[12]*_flc.fits"))
    session.select(product="F606W", size=(160, 200))
    session.set("F606W", CHOICES)
    panel = FinalPanel(session, background=False)
    panel.preview.button.click()
    session.wait(120)
    yield session, panel
    panel.close()


@pytest.fixture
def restored(made):
    """The same, with parameters and selection put back afterwards."""
    session, panel = made
    state, selection = session.state, session.selection
    yield session, panel
    session.wait(120)
    session.change(state, "as before", "products")
    session.select(product=selection.product, center=selection.center)
    session.preview("F606W").wait(60)
    panel.pages.selected_index = 0
    session.wait(120)


def test_a_dragged_slider_previews_the_region_and_python_gives_the_same_bits(restored):
    session, panel = restored
    before = len(session.history.past)
    for value in (0.7, 0.65, 0.6):
        panel.form["final_pixfrac"].control.set_state({"value": value})  # what the browser sends
    session.wait(60)
    assert session.parameters("F606W").final.final_pixfrac == 0.6
    assert len(session.history.past) == before + 1  # one movement, one step to undo
    shown = session.shown["F606W"]
    assert shown.fresh
    assert panel.view.frame.region == shown.cutout.region
    box = shown.cutout.region
    seen = panel.view.frame.read(box)
    assert np.array_equal(seen, shown.cutout.sci, equal_nan=True)

    session.set("F606W", final_pixfrac=0.9)
    session.set("F606W", final_pixfrac=0.6)
    again = session.preview("F606W", region=box).result(60)
    assert np.array_equal(again.sci, shown.cutout.sci, equal_nan=True)
    assert panel.form["final_pixfrac"].control.value == 0.6


def test_fewer_pixels_are_sent_while_it_moves(restored):
    session, panel = restored
    panel.form["final_pixfrac"].control.set_state({"value": 0.5})
    session.wait(60)
    assert panel.view.moving
    panel._at_rest()
    assert not panel.view.moving


def test_a_stale_preview_says_so(restored):
    session, panel = restored
    panel.live.value = False
    panel.form["final_kernel"].control.value = "turbo"
    assert "stale" in panel.stale.value
    panel.live.value = True
    panel.preview.button.click()
    session.wait(60)
    assert panel.stale.value == ""


def test_weight_and_image(restored):
    session, panel = restored
    panel.layer.value = "wht"
    cutout = session.shown["F606W"].cutout
    assert np.array_equal(panel.view.frame.read(cutout.region), cutout.wht)
    panel.layer.value = "sci"
    assert panel.view.frame.unit == cutout.unit


def test_a_refused_value_says_why_and_stays_out(restored):
    session, panel = restored
    before = session.state
    panel.form["final_scale"].control.value = "-3"
    assert session.state == before
    assert panel.form["final_scale"].why.value


def test_north_up_is_one_line_of_python(restored):
    session, panel = restored
    session.set("F606W", final_rot=40.0)
    panel.north.button.click()
    session.wait(60)
    assert session.parameters("F606W").final_grid.final_rot == 0.0
    assert session.plan("F606W").grid.orientation_deg == pytest.approx(0.0, abs=1e-9)
    assert "session.set('F606W', final_wcs=True, final_rot=0)" in panel.python()


def test_the_grid_of_another_product(restored):
    session, panel = restored
    session.set("F814W", final_scale=0.04, final_rot=10.0)
    assert ("grid of F814W", "F814W") in references(session, "F606W")
    session.set("F606W", final_scale=None, final_rot=None)
    panel.reference.value = "F814W"
    session.wait(60)
    assert session.plan("F606W").grid == session.plan("F814W").grid
    assert session.parameters("F606W").final_grid.final_refimage == "F814W"
    session.undo()
    assert panel.reference.value == ""


def test_the_grid_page_tells_shape_and_size_and_draws_the_drop(restored):
    session, panel = restored
    panel.pages.selected_index = 1
    plan = session.plan("F606W")
    ny, nx = plan.grid.shape
    assert f"{nx} × {ny} px" in panel.grid.told.value
    assert plan.image_bytes == 4 * ny * nx * 3
    drop = panel.grid.drop.shown
    session.set("F606W", final_pixfrac=0.4)
    assert np.ptp(panel.grid.drop.shown.drop[:, 0]) == pytest.approx(0.5 * np.ptp(drop.drop[:, 0]))
    # North is up after a turn to 0: the y axis of the output points along +y of the figure.
    x, y = panel.grid.y_axis.x, panel.grid.y_axis.y
    assert abs(x[1] - x[0]) < 1e-3 * abs(y[1] - y[0])
    assert y[1] > y[0]


def test_a_click_moves_the_centre(restored):
    session, panel = restored
    cutout = session.shown["F606W"].cutout
    x, y = cutout.region.x0 + 20, cutout.region.y0 + 30
    panel.view._from_mouse(None, {"event": "click", "domain": {"x": x, "y": y}}, None)
    ra, dec = cutout.grid.pixel_to_sky(x, y)
    assert session.selection.center == pytest.approx((float(ra), float(dec)))
    session.select(product="F606W", center=None)


def test_adviser_sweep_and_half_stacks(restored):
    session, panel = restored
    panel.pages.selected_index = 2
    assert "Not predicted yet" in panel.sampling.told.value
    panel.predict.button.click()
    session.wait(300)
    panel.sweep.button.click()
    session.wait(300)
    sampling, sweep = session.trials.found("sampling"), session.trials.found("sweep")
    assert "rms/median" in panel.sampling.told.value
    assert [m.pixfrac for m in sweep] == pytest.approx(np.arange(1, 11) / 10)
    assert panel.sampling.measured.y == pytest.approx([m.rms_over_median for m in sweep])
    row = sampling.rms_over_median[sampling.at(0.05)]
    assert row[-1] == pytest.approx(sweep[-1].rms_over_median, rel=0.3)  # expected rays, one small region
    assert sweep[0].rms_over_median > sweep[-1].rms_over_median
    assert sweep[0].fwhm_arcsec <= sweep[-1].fwhm_arcsec * 1.02

    panel.pages.selected_index = 3
    panel.halves.button.click()
    session.wait(300)
    found = session.trials.found("half stacks")
    assert (found.odd, found.even) == (3, 3)
    assert found.measured.pixel == pytest.approx(found.pixel_theory, rel=0.15)
    assert "3 odd against 3 even" in panel.noise.told.value
    session.set("F606W", final_pixfrac=0.3)
    assert "Not measured" in panel.noise.told.value  # for another choice it says nothing
    assert session.trials.found("sweep") is sweep  # all pixfracs are in it


def test_run_write_and_messages(restored, tmp_path):
    session, panel = restored
    assert panel.write.reason == "run the product first"
    assert panel.stop.reason == "nothing is running"
    panel.run.button.click()
    session.wait(300)
    assert session.status_of("F606W").state == "done"
    assert panel.write.reason == ""
    panel.folder.value = str(tmp_path)
    panel.write.button.click()
    assert (tmp_path / "F606W_drc.fits").is_file()
    assert any("Written" in text for text in panel.messages.texts)
    panel.write.button.click()
    assert any("exists" in text or "replace" in text for text in panel.messages.texts)
    panel.replace.value = True
    panel.write.button.click()
    assert any("Written" in text for text in panel.messages.texts)
    panel.folder.value = str(tmp_path / "<b>absent</b>")
    panel.write.button.click()
    assert "<b>absent" not in panel.messages.value


def test_without_exposures():
    from drizzlewb import Session

    panel = FinalPanel(Session(), background=False)
    assert panel.run.reason == "load exposures first"
    panel.close()

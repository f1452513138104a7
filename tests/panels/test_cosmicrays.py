"""The cosmic-ray panel through its widgets and through the session."""

import time

import numpy as np
import pytest

pytest.importorskip("bqplot_image_gl", reason="the lab extra is absent")

from drizzlewb import Session, read_exposures
from drizzlewb.panels.cosmicrays import CosmicRaysPanel
from drizzlewb.training.demo import with_true_wcs


def settle(panel, ready, seconds=60):
    """Wait until the work is done and the panel shows it."""
    end = time.monotonic() + seconds
    while not ready():
        panel.session.wait(seconds)
        time.sleep(0.02)
        if time.monotonic() > end:
            pytest.fail(f"not ready within {seconds} s; the panel says {panel.messages.texts}")


@pytest.fixture(scope="module")
def shared(tiny_set):
    files = [*sorted(tiny_set.glob("j8ny01*_flc.fits"))[:4], *sorted(tiny_set.glob("j8ny02*_flc.fits"))[:2]]
    session = Session(with_true_wcs(read_exposures(files)))
    session.set("F606W", final_scale=0.05, final_rot=0.0)
    session.run("F606W", "median").result(120)
    return session


@pytest.fixture
def panel(shared):
    before = shared.state
    panel = CosmicRaysPanel(shared)
    settle(panel, lambda: panel.view.masked is not None)
    yield panel
    panel.close()
    shared.wait(60)
    while shared.state != before:
        shared.undo()
    shared.select(product="", pixel=None, center=None)


def click(view, x, y):
    view._from_mouse(None, {"event": "click", "domain": {"x": x, "y": y}}, None)


def test_a_slider_acts_at_once_and_is_one_step_of_the_history(panel):
    session, before = panel.session, panel.view.masked
    steps = len(session.history.past)
    for value in (5.0, 6.5, 8.0):
        panel.snr.sliders[0].set_state({"value": value})  # what a browser sends
    panel.snr.sliders[1].value = 7.0
    assert session.parameters("F606W")["driz_cr_snr"] == (8.0, 7.0)
    assert len(session.history.past) == steps + 1
    settle(panel, lambda: panel.view.masked is not before and not session.busy)
    assert panel.view.masked.fraction < before.fraction
    words = f"{100 * panel.view.masked.fraction:.2f} % of the pixels"
    settle(panel, lambda: words in panel.told.value)
    assert "star cores" in panel.told.value
    session.undo()
    assert panel.snr.sliders[0].value == 3.5
    settle(panel, lambda: panel.view.masked is before)


def test_python_moves_the_sliders(panel):
    panel.session.set("F606W", driz_cr_scale=(2.0, 1.5), driz_cr_grow=3)
    assert [s.value for s in panel.scale.sliders] == [2.0, 1.5]
    assert panel.form["driz_cr_grow"].control.value == "3"
    assert "dwb-changed" in panel.scale._dom_classes
    panel.scale.reset.click()
    assert panel.session.parameters("F606W")["driz_cr_scale"] == (1.2, 0.7)


def test_the_buttons_run_and_say_why_not(panel):
    session = panel.session
    assert panel.median.reason == "it is made for these parameters"
    assert panel.masks.code == "session.run('F606W', \"crmask\")"
    assert "dwb-unseen" in panel._counted._dom_classes
    panel.masks.button.click()
    settle(panel, lambda: session.status_of("F606W", "crmask").state == "done")
    settle(panel, lambda: len(panel.bars.x) == 4)
    assert "dwb-unseen" not in panel._counted._dom_classes
    made = session.result("F606W", "crmask").cr_fractions()
    times = {e.rootname: e.exptime for e in session.exposures}
    expected = [100 * 1000 * f / times[n] for n, f in made.items()]
    np.testing.assert_allclose(panel.bars.y, expected)
    assert "No exposure stands out" in panel.fractions_told.value
    session.set("F606W", driz_cr=False)
    assert panel.masks.reason == "driz_cr is off: there is nothing to compare"
    assert panel.view.masked is None
    assert "driz_cr is off" in panel.told.value


def test_a_misaligned_exposure_stands_out_by_word_and_colour(shared, tiny_set):
    from drizzlewb.distortion import replace_tan

    exposures = [shared.derived.exposure(n) for n in shared.state.product("F606W").members]
    wrong = exposures[2]
    shifted = []
    for chip in wrong.chips:
        ra, dec = chip.wcs.crval
        shifted.append(replace_tan(chip.wcs, (ra + 1.5 * 0.05 / 3600, dec), chip.wcs.cd))
    session = Session([*exposures[:2], wrong.with_wcs(shifted), exposures[3]])
    session.set(combine_type="median", final_scale=0.05, final_rot=0.0)
    panel = CosmicRaysPanel(session)
    panel.masks.button.click()
    settle(panel, lambda: len(panel.bars.x) == 4)
    assert f"{wrong.rootname}: " in panel.fractions_told.value
    assert "misaligned" in panel.fractions_told.value
    assert len(set(panel.bars.colors)) == 2
    assert panel.bars.colors[2] != panel.bars.colors[0]
    panel.close()


def test_star_cores_on_demand(panel):
    assert "Not measured" in panel.cores_told.value
    panel.cores.button.click()
    settle(panel, lambda: "<table>" in panel.cores_told.value)
    found = panel.session.runs.cores_known("F606W")
    assert found["all"].words.replace("'", "&#x27;") in panel.cores_told.value


def test_a_trail_is_drawn_listed_and_deleted(panel):
    session, image = panel.session, panel.view.image
    panel.drawn.tool.shapes.value = "line"
    panel.drawn.tool.width.value, panel.drawn.tool.grow.value = 6, 10
    click(image, 40, 20)
    click(image, 180, 90)
    (mask,) = session.state.masks
    root, extver = panel.exposure.value, panel.chip.value
    assert (mask.exposure, mask.shape, mask.points, mask.size, mask.frame, mask.extver) == (
        root, "line", ((40.0, 20.0), (180.0, 90.0)), 26.0, "pixel", extver
    )  # fmt: skip
    assert session.undo_name == f"draw line on {root}"
    assert len(panel.drawn.rows) == 1
    assert "masks" in image._marks
    assert "session.draw(Drawn(" in panel.python()
    assert panel.view.chip.read_dq((20, 21, 40, 41))[0, 0] & 16384
    panel.drawn.rows[0].click()
    assert session.state.masks == ()
    assert panel.drawn.rows == []
    assert "masks" not in image._marks
    session.undo()
    assert len(panel.drawn.rows) == 1


def test_a_trail_over_both_chips_is_on_the_sky(panel):
    panel.drawn.whole.value = True
    panel.drawn.tool.shapes.value = "circle"
    click(panel.view.image, 60, 50)
    click(panel.view.image, 70, 50)
    (mask,) = panel.session.state.masks
    assert (mask.frame, mask.extver) == ("sky", 0)
    chip = panel.view.chip
    assert mask.size == pytest.approx((10 + panel.drawn.tool.grow.value) * chip.pixel_scale_arcsec)
    assert chip.read_dq((50, 51, 60, 61))[0, 0] & 16384
    assert not chip.read_dq((50, 51, 80, 81))[0, 0] & 16384


def test_a_preview_follows_and_a_click_asks_why(panel):
    session = panel.session
    panel.show_region.button.click()
    settle(panel, lambda: panel.region.frame is not None)
    cutout = session.shown["F606W"].cutout
    x, y = cutout.region.x0 + 30, cutout.region.y0 + 40
    panel.snr.sliders[0].value = 9.0
    settle(panel, lambda: session.shown["F606W"].cutout is not cutout and session.shown["F606W"].fresh)
    click(panel.region, x + 0.2, y - 0.3)
    assert session.selection.pixel == (x, y)
    settle(panel, lambda: panel.pixel.told is not None)
    value = session.shown["F606W"].cutout.sci[40, 30]
    assert np.float32(panel.pixel.told.sci) == value or np.isnan(value)


def test_choosing_another_chip(panel):
    other = panel.exposure.options[1]
    panel.exposure.value = other
    settle(panel, lambda: panel.view.masked is not None and panel.view.masked.exposure == other)
    assert other in panel.view.image.figure.title


def test_too_large_a_view_says_so(panel, monkeypatch):
    monkeypatch.setattr("drizzlewb.panels.cosmicrays.LIVE_PX", 64)
    panel.view.image.center_on(60, 60, 30)
    settle(panel, lambda: panel.view.masked is not None and max(panel.view.masked.box.shape) <= 64)
    panel.view.image.fit()
    assert "Zoom in" in panel.told.value
    assert panel.view.masked is None


def test_without_exposures():
    panel = CosmicRaysPanel(Session())
    assert panel.masks.reason == "load exposures first"
    panel.close()

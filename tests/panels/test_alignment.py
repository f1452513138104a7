"""The alignment panel through its widgets, and the same through the session from Python."""

import dataclasses
import shutil

import numpy as np
import pytest

pytest.importorskip("bqplot_image_gl", reason="the lab extra is absent")

from alignments import THRESHOLD, aligned_session, new_session

from drizzlewb import Session
from drizzlewb.exposure import Drawn
from drizzlewb.panels.alignment import AlignmentPanel
from drizzlewb.panels.alignment_residuals import stars_of
from drizzlewb.session.state import Star
from drizzlewb.views.residuals import in_box, residuals_of

SECOND = "j8ny02"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Images are rendered in the test's own thread."""
    monkeypatch.setattr(AlignmentPanel, "background", False)


@pytest.fixture
def session(tiny_set):
    """An aligned session of this test alone; the solution comes from a shared one."""
    shared = aligned_session(tiny_set)
    own = new_session(tiny_set)
    keys = own.derived.alignment()
    assert keys == shared.derived.alignment()
    for step in ("sources", "solution"):
        own.cache.put(shared.cache.get(step, keys[step]), own.runs.pinned())
        own.runs.made["alignment", step] = keys[step]
    own.publish()
    return own


@pytest.fixture
def panel(session):
    return AlignmentPanel(session)


def other_visit(session):
    return next(a for a in session.solution.alignments if a.rootname.startswith(SECOND))


def choose(panel, name):
    panel.table.list.set_state({"index": [n for _, n in panel.table.list.options].index(name)})


def brush(plot, x, y):
    """What a browser sends when the mouse is let go."""
    drag(plot.brush, "click", x[0], y[0])
    drag(plot.brush, "mousemove", x[0], y[1])
    drag(plot.brush, "click", x[1], y[1])


def drag(brush, event, x, y):
    brush.from_mouse(None, {"event": event, "domain": {"x": x, "y": y}}, None)


def test_found_and_aligned_by_a_click_and_by_python(tiny_set):
    by_click = new_session(tiny_set)
    by_click.set(None, {"tweakreg.threshold": 4.0})
    panel = AlignmentPanel(by_click)
    assert "Next: choose a threshold" in panel.guide.value
    assert panel.accept.button.disabled
    assert panel.accept.reason == "align first"
    panel.form["threshold"].control.value = str(THRESHOLD)
    panel.run.button.click()
    by_click.wait(120)
    shared = aligned_session(tiny_set)
    assert by_click.alignment_parameters == shared.alignment_parameters
    ours, theirs = (s.solution.table for s in (by_click, shared))
    for name in ("dx", "dy", "rotation", "nmatch"):
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert "3 of 3 aligned" in panel.guide.value
    assert panel.accept.reason == ""


def test_visit_02_is_seen_to_be_off_and_found(panel, session):
    found = other_visit(session)
    choose(panel, found.rootname)
    assert session.selection.exposures == (found.rootname,)
    r = found.start.counts.shape[0] // 2
    assert (panel.offsets.view.frame.region.x0, panel.offsets.view.frame.region.x1) == (-r, r + 1)
    # The frame counts in px of offset: the highest pixel lies where the peak is.
    frame = panel.offsets.view.frame
    image = frame.read(frame.region)
    j, i = np.unravel_index(np.argmax(image), image.shape)
    assert (i - r, j - r) == (round(found.peak.dx), round(found.peak.dy)) == (7, -6)
    ring = panel.offsets.view._marks["peak"]
    assert (ring.x[0], ring.y[0]) == (found.peak.dx, found.peak.dy)
    assert "clear match" in panel.offsets.words.value
    line = next(t for t, n in panel.table.list.options if n == found.rootname).replace("\xa0", " ")
    assert f"{found.fit.shift[0]:+.3f}" in line
    assert "● good" in line
    assert "fitted four ways" in panel.table.geometries.value
    assert panel.table.geometries.value.count("<tr>") == 5


def test_residual_panels_show_the_fit_of_the_chosen_exposure(panel, session):
    found = other_visit(session)
    choose(panel, found.rootname)
    r = residuals_of(found, session.derived.exposure(found.rootname))
    for (value, against), plot in panel.residuals.panels.items():
        np.testing.assert_array_equal(plot.used.x, getattr(r, against)[r.used])
        np.testing.assert_array_equal(plot.used.y, getattr(r, value)[r.used])
        np.testing.assert_array_equal(plot.clipped.y, getattr(r, value)[~r.used])
    # An arrow each, 6 numbers an arrow.
    assert len(panel.residuals.arrows.x) == 6 * r.used.sum()
    assert len(panel.residuals.grid.children) == 4
    panel.residuals.against.value = "magnitude"
    assert [f.title for f in panel.residuals.grid.children] == [
        "dx against magnitude", "dy against magnitude"
    ]  # fmt: skip
    panel.residuals.where.value = "chip"
    chip = panel.residuals.chip.value
    assert (r.extver == chip).sum() > 10
    np.testing.assert_array_equal(
        panel.residuals.panels["dx", "x"].used.x, r.chip_x[r.used & (r.extver == chip)]
    )


def test_stars_are_brushed_rejected_taken_back_and_undone(panel, session, tiny_set):
    found = other_visit(session)
    choose(panel, found.rootname)
    r = residuals_of(found, session.derived.exposure(found.rootname))
    plot = panel.residuals.panels["dx", "x"]
    box = (float(np.median(r.x)), float(r.x.max())), (0.0, 1.0)
    inside = in_box(r.x, r.dx, *box)
    assert 3 < inside.sum() < len(r) / 2
    brush(plot, *box)
    assert session.selection.stars == stars_of(r, inside)
    np.testing.assert_array_equal(np.sort(plot.selected.x), np.sort(r.x[inside]))
    # The same stars are marked in every figure.
    assert len(panel.residuals.vectors.selected.x) == inside.sum()
    before = session.state
    panel.reject.button.click()
    session.wait(120)
    # From Python: the same state and the same fit.
    other = new_session(tiny_set)
    other.brush(stars_of(r, inside))
    assert session.state == other.state
    assert session.selection.stars == ()
    again = session.solution[found.rootname]
    assert again.fit is not None
    assert len(again.sources) == len(found.sources) - inside.sum()
    assert session.undo().startswith("reject")
    assert session.state == before
    assert session.solution[found.rootname] is found
    session.redo()
    assert panel.take_back.reason == ""
    panel.take_back.button.click()
    session.wait(120)
    assert session.state.alignment.rejected == ()
    assert session.solution[found.rootname] is found


def test_a_brush_that_moves_selects_nothing_yet(panel, session):
    choose(panel, other_visit(session).rootname)
    plot = panel.residuals.vectors
    drag(plot.brush, "click", 0.0, 0.0)
    drag(plot.brush, "mousemove", 1e4, 1e4)
    assert session.selection.stars == ()
    drag(plot.brush, "click", 1e4, 1e4)
    assert len(session.selection.stars) > 20


def test_nothing_is_fitted_at_once_if_that_is_not_wanted(panel, session):
    panel.refit.value = False
    panel.form["fitgeometry"].control.value = "shift"
    assert session.solution is None
    assert not session.busy
    assert "align again" in panel.guide.value
    # What was made before is still there to look at.
    assert len(panel.residuals.arrows.x)
    panel.refit.value = True
    panel.form["fitgeometry"].control.value = "general"
    session.wait(120)
    assert session.solution.alignments[1].fit.geometry == "general"


def test_a_threshold_does_not_start_a_search(panel, session):
    panel.form["threshold"].control.value = "50"
    assert not session.busy
    assert session.alignment_parameters.imagefind.threshold == 50


def test_peak_limits_are_dragged_and_the_fields_follow(panel, session, tiny_set):
    panel.view.value = "Peaks"
    unit = session.exposures[0].chips[0].unit
    assert unit in panel.peaks.figure.axes[0].label
    edges = panel.peaks._edges
    name = panel.chosen
    sources = session.solution[name].sources
    assert edges[0] < sources.peak.min() < sources.peak.max() < edges[-1]
    number = len(session.history_table)
    drag(panel.peaks.brush, "click", edges[0], 1.0)
    low, middle, last = (float(v) for v in np.percentile(sources.peak, [20, 30, 40]))
    for peak in (low, middle, last):
        drag(panel.peaks.brush, "mousemove", peak, 1.0)
        assert session.alignment_parameters.imagefind.peakmin == float(f"{peak:.3g}")
    drag(panel.peaks.brush, "click", last, 1.0)
    assert len(session.history_table) == number + 1  # one movement, one step
    last = float(f"{last:.3g}")
    assert panel.form["peakmin"].control.value == f"{last:.10g}"
    assert panel.form["peakmax"].control.value == ""
    kept = int((sources.peak > last).sum())
    assert 0 < kept < len(sources)
    assert f"{kept} of {len(sources)} sources" in panel.peaks.words.value
    other = new_session(tiny_set, **{"tweakreg.peakmin": last})
    assert other.alignment_parameters == session.alignment_parameters
    # From Python the brush follows.
    session.set(None, {"tweakreg.peakmin": low, "tweakreg.peakmax": 2 * last})
    np.testing.assert_allclose(panel.peaks.brush.x, [low, 2 * last])
    panel.peaks.free.click()
    assert session.alignment_parameters.imagefind.peakmin is None


def test_dropped_peaks_stay_in_the_histogram(panel, session):
    name = panel.chosen
    every = np.sort(session.solution[name].sources.peak)
    session.set(None, {"tweakreg.peakmin": float(np.median(every))})
    session.align().result(120)
    from drizzlewb.panels.alignment_peaks import all_peaks

    sources = session.solution[name].sources
    assert len(sources) < len(every)
    assert len(all_peaks(sources)) >= len(every)


def test_reference_and_image_are_linked_until_unlinked(panel, session):
    panel.form["conv_width"].control.value = "4"
    p = session.alignment_parameters
    assert p.imagefind.conv_width == p.refimagefind.conv_width == 4
    assert panel.form["refimagefind.conv_width"].control.disabled
    panel.form.linked.value = False
    panel.form["conv_width"].control.value = "3"
    panel.form["refimagefind.threshold"].control.value = "77"
    p = session.alignment_parameters
    assert (p.imagefind.conv_width, p.refimagefind.conv_width) == (3, 4)
    assert (p.imagefind.threshold, p.refimagefind.threshold) == (THRESHOLD, 77)
    panel.form.linked.value = True
    p = session.alignment_parameters
    assert p.imagefind.model_dump() == p.refimagefind.model_dump()
    # Python may unlink them: the toggle says so.
    session.set(None, {"refimagefind.threshold": 9.0})
    assert panel.form.linked.value is False
    assert session.alignment_parameters.imagefind.threshold == THRESHOLD


def test_a_guess_is_clicked_and_used(panel, session):
    choose(panel, other_visit(session).rootname)
    peak = other_visit(session).peak
    panel.offsets.view._from_mouse(None, {"event": "click", "domain": {"x": 6.4, "y": -5.2}}, None)
    p = session.alignment_parameters
    assert (p.xoffset, p.yoffset) == pytest.approx((peak.dx, peak.dy), abs=0.006)
    assert p.use2dhist
    assert "count only without the histogram" in panel.offsets.guessed.value
    assert "pairs at" in panel.offsets.view.readout.value
    panel.use_guess.button.click()
    session.wait(120)
    assert not session.alignment_parameters.use2dhist
    # Right for the visit that is off, wrong for the other one.
    states = {a.rootname[4:6]: a.status for a in session.solution.alignments if a.status != "reference"}
    assert states == {"01": "refused", "02": "aligned"}
    assert "given by hand" in panel.offsets.words.value
    panel.use_guess.button.click()
    session.wait(120)
    assert all(a.status != "refused" for a in session.solution.alignments)


def test_a_refused_exposure_says_stage_numbers_and_advice(panel, session):
    session.set(None, {"searchrad": 0.2})
    session.align().result(120)
    found = other_visit(session)
    assert found.status == "refused"
    assert "Refused" in panel.guide.value
    choose(panel, found.rootname)
    words = panel.table.verdict.value
    for part in ("stage", "offset", "searchrad", "widen"):
        assert part in words
    assert "verdict above" in panel.residuals.words.value
    assert not len(panel.residuals.arrows.x)
    assert panel.table.geometries.value == ""
    # The peak outside the search is shown all the same.
    assert panel.offsets.view.layout.display == ""
    assert "refused all the same" in panel.offsets.words.value
    line = next(t for t, n in panel.table.list.options if n == found.rootname).replace("\xa0", " ")
    assert "✕ refused" in line
    panel.form["searchrad"].control.value = "1"
    session.wait(120)
    assert other_visit(session).status == "aligned"


def test_the_reference_has_no_residuals_and_says_so(panel, session):
    choose(panel, session.solution.reference)
    assert "reference" in panel.residuals.words.value
    assert "no offset to find" in panel.offsets.words.value
    assert panel.offsets.view.layout.display == "none"


def test_accepted_and_set_aside_by_clicks_as_by_python(panel, session, tiny_set):
    panel.accept.button.click()
    other = aligned_session(tiny_set)
    assert other.state.alignment.accepted is None
    from drizzlewb.session.making import accepted_of

    expected = accepted_of(other.solution, other.derived.alignment()["solution"])
    assert session.state.alignment.accepted == expected
    assert "Accepted" in panel.guide.value
    assert panel.accept.reason == "it is accepted"
    panel.aside.button.click()
    assert session.state.alignment.accepted is None
    assert panel.aside.reason == "none is accepted"


def test_headers_are_written_at_the_second_click_and_reverted(tiny_set, tmp_path):
    names = ["j8ny01svq", "j8ny01szq", "j8ny02yvq"]
    files = [tmp_path / f"{n}_flc.fits" for n in names]
    for file in files:
        shutil.copy(tiny_set / file.name, file)
        file.chmod(0o644)
    bytes_before = [f.read_bytes() for f in files]
    session = Session([str(f) for f in files])
    session.set(None, {"tweakreg.threshold": THRESHOLD})
    session.align().result(120)
    panel = AlignmentPanel(session)
    panel.headers.button.click()
    assert [f.read_bytes() for f in files] == bytes_before
    assert panel.headers.button.description == "Click again to write"
    assert "3 of your files" in panel.messages.texts[0]
    panel.headers().wait(60)
    assert "3 files written." in panel.messages.texts
    assert {e.chips[0].wcsname for e in session.exposures} == {"TWEAK"}
    assert panel.headers.reason == "align again first"
    assert "is written: the files hold its positions. Revert takes it back" in panel.guide.value
    panel.revert().wait(60)
    assert "3 files reverted." in panel.messages.texts
    assert [f.read_bytes() for f in files] == bytes_before
    assert "hold the positions again that were aligned" in panel.guide.value
    assert "have changed" not in panel.guide.value
    session.set(None, {"tweakreg.searchrad": 0.7})
    assert "The parameters have changed: align again" in panel.guide.value
    session.undo()
    shown = panel.solution
    session.align().result(120)
    np.testing.assert_array_equal(session.solution.table["dx"], shown.table["dx"])
    panel.revert().wait(60)
    assert "Nothing to revert" in panel.messages.texts[0]


def test_it_says_what_has_changed_since_the_alignment(panel, session):
    session.accept()
    session.reload()
    assert "Accepted" in panel.guide.value
    session.set(None, {"tweakreg.threshold": THRESHOLD + 1})
    assert "The parameters have changed: align again" in panel.guide.value
    assert panel.accept.reason == "align again first"
    session.undo()
    session.draw(Drawn(session.exposures[0].rootname, "circle", ((20.0, 20.0),), 5.0, extver=1))
    assert "Stars or masks have changed" in panel.guide.value
    session.undo()
    moved = session.exposures[1]
    chips = [c.wcs._replace(crval=c.wcs.crval + 1e-5) for c in moved.chips]
    session.renew({moved.rootname: moved.with_wcs(chips, wcsname="OTHER")})
    assert "The positions in the files have changed" in panel.guide.value


def test_another_step_takes_the_question_back(panel, session):
    panel.headers.button.click()
    session.set(None, {"minobj": 10})
    assert panel.headers.button.description == "Write headers"


def test_a_star_is_clicked_selected_and_measured(panel, session):
    found = other_visit(session)
    choose(panel, found.rootname)
    panel.view.value = "Stars"
    stars = panel.stars
    assert stars.view.frame.name.startswith(found.rootname)
    chip = stars.chip.value
    here = found.index[found.fit.used & (found.sources.chip[found.index] == chip)]
    drawn = stars.view._marks["in the fit"]
    np.testing.assert_array_equal(drawn.x, found.sources.x[here])
    k = here[np.argmax(found.sources.height[here])]
    x, y = found.sources.x[k], found.sources.y[k]
    stars.view._from_mouse(None, {"event": "click", "domain": {"x": x + 0.8, "y": y - 0.5}}, None)
    extver = session.derived.exposure(found.rootname).chips[chip].extver
    assert session.selection.stars == (Star(found.rootname, extver, float(x), float(y)),)
    assert stars.profile.x == pytest.approx(15 + x - round(x + 0.8), abs=0.3)
    assert stars.profile.fwhm_px == pytest.approx(found.sources.fwhm_px, rel=0.25)
    for word in ("FWHM", "arcsec", "magnitude", "peak", "DQ of the core"):
        assert word in stars.words.value
    assert len(stars.pixels.x) > 100
    panel.reject.button.click()
    session.wait(120)
    assert session.state.alignment.rejected == (Star(found.rootname, extver, float(x), float(y)),)
    assert list(stars.view._marks["rejected by hand"].x) == [x]


def test_what_was_dropped_is_drawn_on_request(panel, session):
    found = other_visit(session)
    choose(panel, found.rootname)
    panel.view.value = "Stars"
    stars = panel.stars
    report = found.sources.reports[stars.chip.value]
    assert "dropped" not in stars.view._marks
    stars.layers["dropped"].value = True
    lost = sum(report.dropped.values())
    assert lost
    assert len(stars.view._marks["dropped"].x) == lost
    stars.layers["in the fit"].value = False
    assert "in the fit" not in stars.view._marks


def test_the_measured_width_is_taken_by_one_click(panel, session):
    width = session.solution[panel.chosen].sources.advised_conv_width
    assert panel.take_width.button.description == f"conv_width = {width:g}"
    panel.take_width.button.click()
    p = session.alignment_parameters
    assert p.imagefind.conv_width == p.refimagefind.conv_width == width
    assert f"'tweakreg.conv_width': {width}" in panel.take_width.code


def test_errors_are_sentences(panel, session, tiny_set):
    panel.form["refimage"].control.value = "<b>absent</b>.fits"
    panel.run.button.click()
    session.wait(120)
    assert "absent" in panel.guide.value
    assert "<b>absent" not in panel.guide.value
    panel.form["refimage"].control.value = ""
    panel.form["threshold"].control.value = "1e9"
    panel.run.button.click()
    session.wait(120)
    assert "no sources above the threshold" in panel.guide.value


def test_hostile_names_stay_text(panel, session):
    from drizzlewb.panels.alignment_table import row_text

    found = other_visit(session)
    evil = dataclasses.replace(found, rootname="<img src=x onerror=alert(1)>\x1b\n")
    line = row_text("<img src=x>\x1b\nA", "F606W<script>", evil, 50.0)
    assert "\n" not in line
    assert "\x1b" not in line
    panel.table.show([(line, "a")], "a", evil, 50.0)
    assert "<img" not in panel.table.verdict.value
    assert "&lt;img" in panel.table.verdict.value


def test_without_exposures_the_panel_says_what_to_do():
    panel = AlignmentPanel(Session())
    assert "Load exposures" in panel.guide.value
    assert panel.run.reason == "load exposures first"
    panel.view.value = "Stars"
    panel.view.value = "Peaks"


def test_python_of_every_button_runs(panel, session):
    choose(panel, other_visit(session).rootname)
    lines = panel.python()
    for line in ("session.align()", "session.accept()", "session.unaccept()", "session.apply_alignment()",
                 "session.revert_alignment()", "session.brush(session.selection.stars)"):  # fmt: skip
        assert line in lines
    exec(panel.take_width.code, {"session": session})  # noqa: S102
    assert session.alignment_parameters.imagefind.conv_width >= 2
    exec(panel.accept.code, {"session": session}) if session.solution else None


def test_a_closed_panel_watches_no_more(panel, session):
    panel.close()
    session.set(None, {"minobj": 20})
    assert panel.form["minobj"].control.value == "15"

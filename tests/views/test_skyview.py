"""The sky view with and without Aladin: messages of a browser, clicks, two views at once."""

import numpy as np
import pytest

pytest.importorskip("bqplot_image_gl", reason="the lab extra is absent")
pytest.importorskip("ipyaladin", reason="the lab extra is absent")

from drizzlewb import Session
from drizzlewb.views.aladin import BLANK, AladinMap
from drizzlewb.views.skyview import SURVEYS, SkyView


@pytest.fixture
def session(tiny_set):
    return Session(str(tiny_set / "j8ny01*_flc.fits"))


@pytest.fixture
def sent(monkeypatch):
    """What maps send to their pages: (map, name of the event, message)."""
    out = []
    monkeypatch.setattr(
        AladinMap,
        "send",
        lambda self, content, buffers=None: out.append((self, content["event_name"], content, buffers)),
    )
    return out


def arrive(view):
    """What the page does when Aladin has been made there."""
    view.aladin.set_state({"_is_loaded": True})
    view.aladin._handle_custom_message(view.aladin, {"event_type": "drizzlewb", "what": "displayed"}, [])


def fail(view, why="Failed to fetch"):
    message = {"event_type": "drizzlewb", "what": "trouble", "why": why}
    view.aladin._handle_custom_message(view.aladin, message, [])


def drawn(sent, view):
    """Names of the layers that are on the page of a view."""
    names = []
    for widget, event, content, _ in sent:
        if widget is view.aladin and event == "add_overlay":
            names.append(content["graphic_options"]["name"].split()[0])
        if widget is view.aladin and event == "remove_overlay":
            for name in content["overlay_names"]:
                names.remove(name.split()[0])
    return names


def test_nothing_is_sent_before_aladin_is_there(session, sent):
    view = SkyView(session, background=False)
    assert (view.drawn_by, view.reason) == ("waiting", "")
    assert sent == []
    arrive(view)
    assert view.drawn_by == "aladin"
    assert drawn(sent, view) == ["exposures", "output"]
    view.close()


def test_shown_again_everything_is_drawn_again(session, sent):
    view = SkyView(session, background=False)
    arrive(view)
    sent.clear()
    arrive(view)  # the panel was left and opened again: an empty Aladin
    assert drawn(sent, view) == ["exposures", "output"]
    assert not [c for _, e, c, _ in sent if e == "remove_overlay"]
    view.close()


def test_the_preview_is_sent_as_a_plain_tan_image(session, sent):
    from io import BytesIO

    from astropy.io import fits

    view = SkyView(session, background=False)
    arrive(view)
    session.preview(size=(80, 100)).result(120)
    images = [(c, b) for _, e, c, b in sent if e == "add_fits"]
    assert len(images) == 1
    content, buffers = images[0]
    assert content["options"]["name"] == "preview"
    header = fits.open(BytesIO(buffers[0]))[0].header
    assert (header["NAXIS1"], header["NAXIS2"], header["CTYPE1"]) == (100, 80, "RA---TAN")
    assert "A_ORDER" not in header
    assert "region" in drawn(sent, view)
    session.set(final_pixfrac=0.8)  # the preview is stale, and not sent again
    assert len([1 for _, e, _, _ in sent if e == "add_fits"]) == 1
    view.close()


def test_without_aladin_it_says_why_and_draws_the_same(session, sent):
    view = SkyView(session, background=False)
    fail(view, "<b>Failed</b> to fetch")
    assert view.drawn_by == "plot"
    assert view.reason == "<b>Failed</b> to fetch"
    assert "could not be loaded" in view.note.value
    assert "<b>" not in view.note.value
    assert view.plot in view.area.children
    assert sent == []
    marks = view.plot.figure.marks
    assert len(marks) == 2
    x = np.asarray(marks[0].x)
    assert np.isfinite(x).sum() > 12 * 32
    # East lies to the left: larger RA at smaller x.
    ra, _ = view.plot.sky(np.array([-1.0, 1.0]), np.array([0.0, 0.0]))
    assert ra[0] > ra[1]
    session.preview(size=(80, 100)).result(120)
    assert len(view.plot.figure.marks) == 4
    assert type(view.plot.figure.marks[0]).__name__ == "Image"  # below the lines
    view.close()


def test_aladin_that_comes_late_takes_the_place_of_the_plot(session, sent):
    view = SkyView(session, background=False)
    fail(view, "it did not answer within 4 s")
    arrive(view)
    assert (view.drawn_by, view.reason) == ("aladin", "")
    assert view.area.children == (view.aladin,)
    assert view.aladin.layout.display != "none"
    assert drawn(sent, view) == ["exposures", "output"]
    fail(view)  # the page is opened again, now without a network
    assert view.drawn_by == "plot"
    view.close()


def test_only_what_has_changed_is_sent(session, sent):
    view = SkyView(session, background=False)
    arrive(view)
    sent.clear()
    session.set(final_pixfrac=0.7)
    session.publish()
    assert sent == []
    session.select(center=view.layers.center)
    assert [e for _, e, _, _ in sent] == ["add_overlay"]
    assert sent[0][2]["graphic_options"]["name"].startswith("region")
    view.close()


def test_a_click_sets_the_region_a_drag_does_not(session, sent):
    view = SkyView(session, background=False)
    arrive(view)
    ra, dec = view.layers.center
    place = {"ra": ra, "dec": dec, "x": 10, "y": 10, "isDragging": True}
    view.aladin._handle_custom_message(view.aladin, {"event_type": "click", "content": place}, [])
    assert session.selection.center is None
    place["isDragging"] = False
    view.aladin._handle_custom_message(view.aladin, {"event_type": "click", "content": place}, [])
    assert session.selection.center == (ra, dec)
    session.wait(120)
    for bad in ({"ra": "x"}, {}, {"ra": float("nan"), "dec": 1}):
        view.aladin._handle_custom_message(view.aladin, {"event_type": "click", "content": bad}, [])
    assert session.selection.center == (ra, dec)
    view.close()


def test_a_click_on_the_plot_does_the_same(session):
    view = SkyView(session, aladin=False, background=False)
    assert (view.drawn_by, view.reason, view.aladin) == ("plot", "", None)
    content = {"event": "click", "domain": {"x": 1.5, "y": -2.0}}
    view.plot.mouse._handle_custom_msg(content, [])
    ra, dec = (float(v) for v in view.plot.sky(1.5, -2.0))
    assert session.selection.center == pytest.approx((ra, dec))
    assert ":" in view.plot.readout.value
    session.wait(120)
    view.close()


def test_a_click_outside_is_said_and_nothing_breaks(session):
    told = []
    view = SkyView(session, aladin=False, background=False, on_error=told.append)
    view.clicked(10.0, 10.0)
    session.wait(120)
    assert view.layers.region is None
    view.close()


def test_labels_of_right_ascension_on_request(session):
    view = SkyView(session, aladin=False, background=False)
    axis = view.plot.figure.axes[0]
    assert "arcsec" in axis.label
    view.plot.labels.value = True
    assert "right ascension" in axis.label
    assert all(text.startswith("19:2") for text in axis.tick_labels.values())
    view.plot.labels.value = False
    assert axis.tick_labels is None
    view.close()


def test_two_views_in_one_notebook_do_not_replay_each_other(session, tiny_set, sent):
    other_session = Session(str(tiny_set / "j8ny02*_flc.fits"))
    one, two = SkyView(session, background=False), SkyView(other_session, background=False)
    # Calls before display are ipyaladin's to keep: each map keeps its own.
    one.aladin.set_color_map("viridis")
    assert one.aladin._call_store is not two.aladin._call_store
    two.aladin.set_state({"_is_loaded": True})
    assert sent == []
    one.aladin.set_state({"_is_loaded": True})
    assert [(w, e) for w, e, _, _ in sent] == [(one.aladin, "change_colormap")]
    arrive(one)
    arrive(two)
    ra, dec = two.layers.center
    two.aladin._handle_custom_message(
        two.aladin, {"event_type": "click", "content": {"ra": ra, "dec": dec}}, []
    )
    assert other_session.selection.center == (ra, dec)
    assert session.selection.center is None
    other_session.wait(120)
    one.close()
    two.close()


def test_the_base_layer_needs_no_network_until_a_survey_is_chosen(session, sent):
    view = SkyView(session, background=False)
    assert view.aladin.survey == BLANK
    assert BLANK.startswith("data:")
    assert "http" not in BLANK
    arrive(view)
    view.survey.value = "DSS2 colour"
    assert view.aladin.survey == SURVEYS["DSS2 colour"]
    view.close()


def test_a_closed_view_watches_no_longer(session, sent):
    view = SkyView(session, background=False)
    arrive(view)
    view.close()
    sent.clear()
    session.set(final_pixfrac=0.5)
    assert sent == []

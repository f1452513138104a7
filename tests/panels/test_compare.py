import ast

import numpy as np
import pytest
from factory import write_generic

from drizzlewb import Session
from drizzlewb.panels.compare import ComparePanel
from drizzlewb.views.compare import compare


@pytest.fixture
def panel(tiny_set):
    session = Session([str(tiny_set / f"{n}_flc.fits") for n in ("j8ny01svq", "j8ny01szq", "j8ny02yvq")])
    made = ComparePanel(session)
    yield made
    made.close()


def settle(panel):
    """Wait for what is rendered in the background."""
    worker = panel.view.blend._worker
    for handle in worker.handles:
        handle.wait(60)


def test_exposures_are_compared_before_any_alignment(panel):
    assert panel.show.reason == "choose two frames or more in the list"
    panel.chosen.set_state({"index": [0, 1, 2]})  # what the browser sends
    assert panel.show.reason == ""
    panel.show.button.click()
    settle(panel)
    assert [f.name for f in panel.view.frames] == ["j8ny01svq F606W", "j8ny01szq F606W", "j8ny02yvq F814W"]
    assert panel.view.layout.display == ""
    assert len({mark.image.value for mark in panel.view.blend._stack}) == 3


def test_the_line_of_python_shows_the_same(panel):
    panel.chosen.value = ("j8ny01svq", "j8ny02yvq")
    panel.show()
    imported, _, call = panel.show.code.partition("; ")
    assert imported == "from drizzlewb.views.compare import compare"
    arguments = ast.parse(call).body[0].value
    names, wcs = (ast.literal_eval(a) for a in arguments.args[1:])
    keywords = {k.arg: ast.literal_eval(k.value) for k in arguments.keywords}
    view = compare(panel.session, names, wcs, **keywords)
    assert [f.name for f in view.frames] == [f.name for f in panel.view.frames]
    box = view.frames[0].region
    for one, two in zip(view.frames, panel.view.frames, strict=True):
        assert np.array_equal(one.read(box), two.read(box), equal_nan=True)
    view.close()


def test_without_an_alignment_its_wcs_cannot_be_shown_and_says_so(panel):
    panel.chosen.value = ("j8ny01svq", "j8ny01szq")
    panel.wcs.value = "solution"
    assert panel.show.reason == "There is no alignment yet for these parameters."
    panel.wcs.value = "accepted"
    assert "No alignment was accepted yet" in panel.wcs_why.value
    assert panel.show.reason == ""


def test_another_wcs_keeps_the_view_and_moves_the_frames(reduced_session):
    panel = ComparePanel(reduced_session)
    panel.chosen.value = ("j8ny01svq", "j8ny01szq")
    panel.show()
    panel.view.blend.center_on(120, 120, 40)
    seen = panel.view.blend.visible
    before = panel.view.frames[1].read(seen)
    panel.wcs.value = "accepted"
    panel.show()
    assert panel.view.blend.visible == seen
    assert not np.array_equal(panel.view.frames[1].read(seen), before, equal_nan=True)
    panel.close()


def test_products_and_previews_appear_when_they_are_made(reduced_session):
    panel = ComparePanel(reduced_session)
    names = [value for _, value in panel.chosen.options]
    assert "product F606W" in names
    assert "product F814W" not in names
    panel.chosen.value = ("product F606W", "j8ny01svq")
    panel.show()
    assert panel.view.frames[0].grid == reduced_session.result("F606W").grid
    panel.close()


def test_a_file_is_added_by_its_path(panel, tmp_path):
    panel.add.click()
    assert panel.messages.texts == ["Adding a file to the comparison: give its path first."]
    panel.path.value = str(tmp_path / "<i>no</i>.fits")
    panel.add.click()
    assert "There is no file" in panel.messages.texts[0]
    assert "<i>no" not in panel.messages.value
    path = write_generic(tmp_path / "lost.fits", wcs=False)
    panel.path.value = str(path)
    panel.add.click()
    assert panel.chosen.value == (str(path),)
    panel.chosen.value = ("j8ny01svq", str(path))
    panel.show()
    assert "no celestial WCS" in panel.messages.texts[0]
    panel.view.match = "pixel"
    panel.show()
    assert panel.messages.texts == []
    assert panel.view.frames[1].name == "lost.fits"


def test_thirteen_are_too_many(tiny_set, tmp_path):
    session = Session(str(tiny_set / "*_flc.fits"))
    panel = ComparePanel(session)
    panel.path.value = str(write_generic(tmp_path / "more.fits"))
    panel.add.click()
    panel.chosen.value = tuple(value for _, value in panel.chosen.options)
    assert panel.show.reason == "choose 12 frames at most"
    panel.close()

import logging

import pytest

pytest.importorskip("bqplot_image_gl", reason="the lab extra is absent")

import drizzlewb as dw
from drizzlewb.workbench import PANELS


@pytest.fixture
def bench(tiny_set):
    made = dw.Workbench(str(tiny_set / "*_flc.fits"))
    yield made
    made.session.cancel()
    made.session.wait(60)
    made.close()


def test_every_step_opens_and_says_where_it_is(bench):
    for panel in PANELS:
        bench.buttons[panel.title].click()
        assert bench.current == panel.title
        seen = [p for p in bench.area.children if p.layout.display != "none"]
        assert seen == [bench.panels[panel.title]]
        assert bench.panels[panel.title].messages.texts == []
        assert "dwb-here" in bench.buttons[panel.title]._dom_classes
    with pytest.raises(KeyError, match="no panel 'Nonsense'"):
        bench.go_to("Nonsense")


def test_the_product_is_chosen_once_for_all(bench):
    assert bench.product.options == ("F606W", "F814W")
    bench.product.value = "F814W"
    assert bench.session.selection.product == "F814W"
    bench.session.select(product="F606W")
    assert bench.product.value == "F606W"


def test_a_click_lets_long_work_rest(bench, monkeypatch):
    rests = []
    handle = bench.session.run("F606W", "sky")
    monkeypatch.setattr(handle.cancelling, "rest", rests.append)
    monkeypatch.setattr(type(bench.session.runs._long), "handles", [handle])
    bench.buttons["Sky"].click()
    assert rests
    assert all(0.0 < seconds < 1.0 for seconds in rests)
    rests.clear()
    bench.session.preview("F606W", size=64)
    assert rests


def test_undo_and_redo_have_names(bench):
    assert bench.undo.disabled
    bench.session.set("F606W", final_pixfrac=0.6)
    assert bench.undo.description == "final_pixfrac 1.0 → 0.6"
    bench.undo.click()
    assert bench.session.parameters("F606W").final_pixfrac == 1.0
    assert bench.redo.description == "final_pixfrac 1.0 → 0.6"
    bench.redo.click()
    assert bench.session.parameters("F606W").final_pixfrac == 0.6


def test_the_state_of_a_step_is_in_its_button(bench):
    assert bench.buttons["Sky"].description == "○ Sky"
    bench.session.run("F606W", "sky").result(120)
    assert bench.buttons["Sky"].description == "● Sky"
    bench.session.set("F606W", skymethod="match")
    assert bench.buttons["Sky"].description == "◐ Sky"
    bench.product.value = "F814W"
    assert bench.buttons["Sky"].description == "○ Sky"


def test_progress_and_cancel(bench):
    assert bench.cancel.disabled
    handle = bench.session.run("F606W")
    assert not bench.cancel.disabled
    bench.cancel.click()
    assert handle.state in ("cancelled", "done")
    bench.session.wait(60)
    assert bench.cancel.disabled
    assert "Nothing is running" in bench.progress.value


def test_the_log_opens_below(bench):
    bench.log_button.value = True
    logging.getLogger("drizzlewb.test").warning("saw <script>alert(1)</script>")
    assert "saw &lt;script&gt;" in bench.log_view.value
    assert "<script>" not in bench.log_view.value


def test_two_workbenches_do_not_touch_each_other(bench, tiny_set):
    other = dw.Workbench(str(tiny_set / "*_flc.fits"))
    other.session.set("F606W", final_pixfrac=0.5)
    assert bench.session.parameters("F606W").final_pixfrac == 1.0
    assert bench.undo.disabled
    other.close()


def test_an_empty_session_opens_too():
    bench = dw.Workbench(dw.Session())
    for panel in PANELS:
        bench.go_to(panel.title)
        assert bench.panels[panel.title].messages.texts == []
    bench.close()

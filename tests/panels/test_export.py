import ast
import json

import pytest

from drizzlewb import Session
from drizzlewb.panels.export import ExportPanel
from drizzlewb.parameters.exchange import from_dict, from_json
from drizzlewb.parameters.scripts import from_script
from drizzlewb.parameters.teal import from_cfg
from drizzlewb.reduction.exporting import write_texts
from drizzlewb.training.rows import Row


@pytest.fixture
def panel(reduced_session, tmp_path):
    made = ExportPanel(reduced_session)
    made.folder.value = str(tmp_path)
    yield made
    made.wait()
    made.close()


def test_every_form_is_shown_and_leads_back(panel, reduced_session):
    p, a = reduced_session.runs.effective("F606W"), reduced_session.alignment_parameters
    readers = {
        "dict": lambda text: from_dict(ast.literal_eval(text)),
        "json": from_json,
        "python": from_script,
        "drizzlepac": from_script,
    }
    for form, read in readers.items():
        panel.form.value = form
        found = read(panel.text.value)
        assert (found.reduce, found.align) == (p, a), form
    panel.form.value = "cfg"
    assert "# -------- astrodrizzle.cfg" in panel.text.value
    found = from_cfg(reduced_session.export("cfg", "F606W").values())
    assert found.reduce == p


def test_saved_by_a_click_and_by_python_the_files_are_the_same(panel, reduced_session, tmp_path):
    panel.form.value = "json"
    panel.save.button.click()
    assert (tmp_path / "F606W.json").read_text() == panel.text.value
    assert "F606W.json" in panel.told.value
    other = tmp_path / "other"
    other.mkdir()
    write_texts(reduced_session.export("json", "F606W"), other)
    assert (other / "F606W.json").read_bytes() == (tmp_path / "F606W.json").read_bytes()
    panel.save.button.click()
    assert "exists already and was left alone" in panel.messages.texts[0]
    panel.replace.value = True
    panel.save.button.click()
    assert panel.messages.texts == []
    panel.form.value = "dict"
    assert panel.save.reason == "a dict is for Python: save it as JSON"


def test_what_drizzlepac_cannot_do_is_said_and_what_it_lacks_is_refused(tiny_set):
    session = Session(str(tiny_set / "j8ny01s*_flc.fits"))
    panel = ExportPanel(session)
    panel.form.value = "drizzlepac"
    assert "counts it twice" in panel.differs.value
    session.set("F606W", final_kernel="lanczos2")
    assert panel.text.value == ""
    assert "Refused" in panel.differs.value
    assert "choose lanczos3 or square" in panel.differs.value
    assert panel.save.reason == "it is refused"
    panel.form.value = "python"
    assert "lanczos2" in panel.text.value
    assert panel.save.reason == ""
    session.undo()
    panel.form.value = "cfg"
    assert "Refused" not in panel.differs.value
    panel.close()


def test_a_folder_that_is_not_there_is_said(panel, tmp_path):
    panel.folder.value = str(tmp_path / "<u>absent</u>")
    for action in (panel.save, panel.bundle, panel.save_session):
        panel.form.value = "json"
        action.button.click()
        assert "There is no folder" in panel.messages.texts[0]
        assert "<u>absent" not in panel.messages.value


def test_regions_are_saved_by_a_click_and_by_python_alike(panel, reduced_session, tmp_path):
    panel.kinds["masks"].value = False
    panel.regions.button.click()
    saved = (tmp_path / "F606W.reg").read_text()
    assert saved.count("polygon(") == 5  # two exposures of two chips, and the output image
    assert saved.count("circle(") > 20
    (tmp_path / "F606W.reg").unlink()
    exec(panel.regions.code, {"session": reduced_session})
    assert (tmp_path / "F606W.reg").read_text() == saved
    for box in panel.kinds.values():
        box.value = False
    assert panel.regions.reason == "tick what shall be in it"


def test_the_session_is_saved_and_opens_again(panel, reduced_session, tiny_set, tmp_path):
    panel.session_name.value = "work.json"
    panel.save_session.button.click()
    again = Session.open(tmp_path / "work.json", folder=tiny_set)
    assert again.state == reduced_session.state
    assert panel.save_session.code == f"session.save({str(tmp_path / 'work.json')!r})"
    before = (tmp_path / "work.json").read_bytes()
    panel.save_session.button.click()
    assert "was left alone" in panel.messages.texts[0]
    assert (tmp_path / "work.json").read_bytes() == before


def test_the_bundle_is_written_in_the_background(panel, tmp_path, monkeypatch):
    monkeypatch.setattr("drizzlewb.views.bundle.alignment_figures", lambda solution: {})
    panel.with_products.value = True
    panel.bundle.button.click()
    panel.wait()
    assert panel.messages.texts == []
    assert (tmp_path / "bundle.zip").stat().st_size > 1e6
    assert "bundle.zip" in panel.told.value
    assert panel.bundle.reason == ""
    panel.bundle.button.click()
    panel.wait()
    assert "exists already and was left alone" in panel.messages.texts[0]


def test_the_grade_is_a_table_of_verdicts_in_words(panel, tmp_path):
    assert panel.report.reason == "grade it first"
    assert "truth of this simulated set is at hand" in panel.grade_about.value
    panel.grade.button.click()
    panel.wait()
    assert panel.messages.texts == []
    table = panel.grade_table.value
    assert "against the truth" in table
    assert "pass</td><td>pixfrac" in table
    assert panel._grade.folder.is_dir()
    panel.report.button.click()
    panel.wait()
    assert "Grade of" in (tmp_path / "grade.html").read_text()


def test_text_of_a_grade_is_escaped():
    from types import SimpleNamespace

    from drizzlewb.panels.grade_table import grade_html

    row = Row("1 <b>", "<i>", "pass", "<script>x</script>", 1.0, 0.1, "", "<u>", 3)
    html = grade_html(SimpleNamespace(rows=[row], counts={"pass": 1}, truth=None))
    for tag in ("<b>", "<i>", "<script>", "<u>"):
        assert tag not in html
    assert "without truth" in html


def test_nothing_loaded_says_so():
    panel = ExportPanel(Session())
    assert panel.save.reason == panel.bundle.reason == panel.grade.reason == "load exposures first"


def test_the_code_of_the_export_runs(panel, reduced_session, tmp_path):
    panel.form.value = "drizzlepac"
    panel.part.value = "reduce"
    exec(panel.save.code, {"session": reduced_session})
    assert "TweakReg(" not in (tmp_path / "F606W_drizzlepac.py").read_text()
    exec(panel.save_session.code, {"session": reduced_session})
    assert json.loads((tmp_path / "session.json").read_text())["kind"]

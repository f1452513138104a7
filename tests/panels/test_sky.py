import numpy as np

from drizzlewb.panels.sky import SkyPanel


def test_by_clicks_and_by_python_the_state_is_the_same(tiny_session, tiny_set):
    from drizzlewb import Session

    panel = SkyPanel(tiny_session)
    assert "Not measured yet" in panel.verdict.value
    panel.form["skymethod"].control.value = "match"
    panel.run.button.click()
    tiny_session.wait(120)

    other = Session(str(tiny_set / "*_flc.fits"))
    other.set("F606W", skymethod="match")
    other.run("F606W", "sky").result(120)
    assert tiny_session.state == other.state
    ours, theirs = (s.result("F606W", "sky").sky.table() for s in (tiny_session, other))
    assert ours["subtracted_e"].tolist() == theirs["subtracted_e"].tolist()

    assert "Largest difference" in panel.verdict.value
    assert np.isfinite(panel.after.y).all()
    assert np.abs(panel.after.y).max() < np.abs(panel.before.y).max()
    assert len(panel.subtracted.x) == 12
    assert "j8ny01svq" in panel.table.value

    tiny_session.set("F606W", skymethod="localmin")
    assert "measure again" in panel.verdict.value
    tiny_session.undo()
    assert "Largest difference" in panel.verdict.value  # fresh again by itself


def test_a_failure_is_a_sentence_in_the_panel(tiny_session, tmp_path):
    panel = SkyPanel(tiny_session)
    panel.form["skyfile"].control.value = str(tmp_path / "<b>absent</b>.txt")
    panel.run.button.click()
    tiny_session.wait(60)
    assert any("absent" in text for text in panel.messages.texts)
    assert "<b>absent" not in panel.messages.value


def test_the_python_behind_the_button_is_shown(tiny_session):
    panel = SkyPanel(tiny_session)
    panel._python_button.value = True
    assert "session.run(&#x27;F606W&#x27;, &quot;sky&quot;)" in panel._python.value

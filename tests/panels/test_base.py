import ipywidgets as W
import pytest

from drizzlewb.errors import DataError
from drizzlewb.panels.base import Panel


class Small(Panel):
    title = "Small"

    def build(self):
        self.updates = 0
        self.fail = None
        self.go = self.action("Go", self._go, "session.go()")
        return W.VBox([self.go])

    def _go(self):
        if self.fail:
            raise self.fail
        return "went"

    def update(self):
        self.updates += 1


@pytest.fixture
def panel(field_session):
    return Small(field_session)


@pytest.fixture
def field_session(tiny_set):
    from drizzlewb import Session

    return Session(str(tiny_set / "j8ny01s*_flc.fits"))


def test_errors_are_sentences_and_the_log_has_the_rest(panel, caplog):
    panel.fail = DataError("no <i>stars</i>")
    assert panel.go() is None
    assert panel.messages.texts == ["no <i>stars</i>"]
    assert "<i>" not in panel.messages.value
    panel.fail = ValueError("odd")
    with caplog.at_level("ERROR", "drizzlewb"):
        panel.go()
    assert "failure of drizzlewb itself (ValueError: odd)" in panel.messages.texts[0]
    assert "Traceback" in caplog.text
    panel.fail = PermissionError(13, "denied", "a.fits")
    panel.go()
    assert panel.messages.texts[0].startswith("The system refused")
    panel.fail = None
    assert panel.go() == "went"
    assert panel.messages.texts == []


def test_a_disabled_button_says_why(panel):
    panel.go.disable("align first")
    assert panel.go.button.disabled
    assert panel.go.button.tooltip == "align first"
    assert "align first" in panel.go._why.value
    assert panel.go.reason == "align first"
    panel.go.disable("")
    assert not panel.go.button.disabled


def test_a_hidden_panel_waits_with_its_updates(panel, field_session):
    panel.visible = False
    before = panel.updates
    field_session.set(final_pixfrac=0.7)
    assert panel.updates == before
    panel.visible = True
    assert panel.updates == before + 1


def test_a_closed_panel_no_longer_watches(panel, field_session):
    panel.close()
    before = panel.updates
    field_session.set(final_pixfrac=0.7)
    assert panel.updates == before

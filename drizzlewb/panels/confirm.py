"""Buttons that write the user's files: they say what they would write, and wait for a second click."""

from collections.abc import Callable
from typing import Any

from drizzlewb.panels.base import Action, Panel

__all__ = ["Confirm"]

_AGAIN = "Click again to write"


class Confirm(Action):
    """An `Action` that acts on the second click; the first one tells what will be written.

    Parameters
    ----------
    panel, label, run, code
        As for `Action`.
    ask : callable
        Sentence that the first click shows; a DrizzlewbError that it raises is shown instead.
    """

    def __init__(
        self,
        panel: Panel,
        label: str,
        run: Callable[[], Any],
        code: str | Callable[[], str],
        ask: Callable[[], str],
        **more: Any,
    ) -> None:
        self._ask, self._label = ask, label
        self.armed = False
        super().__init__(panel, label, run, code, **more)
        panel.actions.append(self)

    def __call__(self) -> Any:
        """Ask at the first click, act at the second."""
        if self.armed:
            self.disarm()
            return super().__call__()
        sentence = self._panel.attempt(self._ask)
        if sentence:
            self.armed = True
            self.button.description, self.button.button_style = _AGAIN, "warning"
            self._panel.messages.say(sentence, "warning")
        return None

    def disarm(self) -> None:
        """Forget the first click, as when something else is chosen."""
        if self.armed:
            self.armed = False
            self.button.description, self.button.button_style = self._label, ""

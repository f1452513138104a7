"""What all panels have in common: they watch the session, show messages, and say what a button runs."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as W

from drizzlewb.errors import DrizzlewbError
from drizzlewb.session import Session
from drizzlewb.views.style import escape, style_sheet

__all__ = ["Action", "Messages", "Panel", "beside", "in_areas"]

log = logging.getLogger(__name__)

_KINDS = {"error": "Error", "warning": "Note", "good": "Done", "": ""}
_MOST_MESSAGES = 6


def beside(form: Sequence[W.Widget], figures: Sequence[W.Widget]) -> W.HBox:
    """Lay out a form at the left and figures at the right; on a narrow page they stand below each other."""
    left = W.VBox(list(form), layout=W.Layout(flex="0 0 390px", min_width="0"))
    right = W.VBox(list(figures), layout=W.Layout(flex="1 1 440px", min_width="0", overflow="hidden auto"))
    return W.HBox([left, right], layout=W.Layout(flex_flow="row wrap", width="100%", grid_gap="16px"))


def in_areas(style: str, **parts: W.Widget) -> W.VBox:
    """Lay out parts in the areas of these names, as the style sheet arranges them for the width at hand."""
    for name, part in parts.items():
        part.layout.grid_area = name
    grid = W.GridBox(list(parts.values()))
    grid.add_class(style)
    box = W.VBox([grid], layout=W.Layout(width="100%"))
    box.add_class("dwb-areas")
    return box


class Messages(W.HTML):
    """A few sentences for people; everything in them is text, never HTML."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[tuple[str, str]] = []

    def say(self, text: str, kind: str = "") -> None:
        """Show one message in place of those before; '' clears.

        Parameters
        ----------
        text : str
        kind : {'', 'good', 'warning', 'error'}
        """
        self.set([(text, kind)] if text else [])

    def set(self, messages: list[tuple[str, str]]) -> None:
        """Show (text, kind) messages, the first few of them."""
        self._kept = messages
        parts = []
        for text, kind in messages[:_MOST_MESSAGES]:
            word = f'<b class="kind">{_KINDS[kind]}</b>' if kind else ""
            role = ' role="alert"' if kind == "error" else ""
            parts.append(f'<div class="dwb-message {kind}"{role}>{word}{escape(text)}</div>')
        if len(messages) > _MOST_MESSAGES:
            parts.append(f'<div class="dwb-soft">and {len(messages) - _MOST_MESSAGES} more</div>')
        self.value = "".join(parts)

    @property
    def texts(self) -> list[str]:
        """What is shown, as plain text."""
        return [text for text, _ in self._kept]


class Action(W.VBox):
    """A button that does one line of Python on the session, and says why when it cannot.

    Parameters
    ----------
    panel : Panel
    label : str
    run : callable
        What the click does.
    code : str or callable
        The line of Python that does the same.
    primary : bool
        The main button of a panel.
    icon, tooltip : str, optional
    """

    def __init__(
        self,
        panel: "Panel",
        label: str,
        run: Callable[[], Any],
        code: str | Callable[[], str],
        *,
        primary: bool = False,
        icon: str = "",
        tooltip: str = "",
        width: str = "auto",
    ) -> None:
        self._panel, self._run, self._code = panel, run, code
        self._tooltip = tooltip
        self.button = W.Button(
            description=label,
            icon=icon,
            button_style="primary" if primary else "",
            tooltip=tooltip,
            layout=W.Layout(width=width),
        )
        self.button.on_click(lambda _: self())
        self._why = W.HTML(layout=W.Layout(display="none", max_width="220px"))
        self._why.add_class("dwb-soft")
        super().__init__([self.button, self._why], layout=W.Layout(width="auto", overflow="visible"))

    @property
    def code(self) -> str:
        """The line of Python."""
        return self._code if isinstance(self._code, str) else self._code()

    @property
    def reason(self) -> str:
        """Why the button is disabled; '' when it is not."""
        return self._panel.reasons.get(id(self), "")

    def disable(self, reason: str = "") -> None:
        """Disable the button for a reason, or enable it with ''."""
        self._panel.reasons[id(self)] = reason
        self.button.disabled = bool(reason)
        self.button.tooltip = reason or self._tooltip
        self._why.value = escape(reason)
        self._why.layout.display = "" if reason else "none"

    def __call__(self) -> Any:
        """Do it, as a click does; errors become a message of the panel."""
        return self._panel.attempt(self._run, self.code)


class Panel(W.VBox):
    """A part of the workbench; it stands alone and composes.

    A panel reads from the session and changes it by one call. It holds nothing that the session does not
    know, but for what is looked at.

    Parameters
    ----------
    session : Session

    Attributes
    ----------
    title : str
        Name in the step bar.
    steps : tuple of (str, str)
        ('alignment' or 'product', step): those whose state the step bar shows.
    actions : list of Action
    """

    title = "Panel"
    help = ""
    steps: tuple[tuple[str, str], ...] = ()
    watched: tuple[str, ...] = ("state", "status", "selection", "shown", "busy")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.messages = Messages()
        self.reasons: dict[int, str] = {}
        self.actions: list[Action] = []
        self._visible = True
        self._watching = False
        self._due = False
        self._updating = threading.RLock()
        self._python = W.HTML()
        self._python.add_class("dwb-python")
        self._python.layout.display = "none"
        self._python_button = W.ToggleButton(
            description="Python",
            icon="code",
            tooltip="the lines that the buttons run",
            layout=W.Layout(width="90px"),
        )
        self._python_button.observe(lambda _: self._show_python(), "value")
        self._last_code = ""
        head = W.HTML(
            f'<p class="dwb-title">{escape(self.title)}</p><span class="dwb-soft">{escape(self.help)}</span>'
        )
        self.head = W.HBox(
            [head, W.HBox([self._python_button], layout=W.Layout(margin="0 0 0 auto", flex="0 0 auto"))],
            layout=W.Layout(width="100%", align_items="flex-start"),
        )
        body = self.build()
        super().__init__(
            [style_sheet(), self.head, self._python, self.messages, body], layout=W.Layout(width="100%")
        )
        self.add_class("dwb")
        self.session.observe(self._changed, list(self.watched))
        self._watching = True
        self.update()

    # ---------------------------------------------------------------- for panels to define
    def build(self) -> W.Widget:
        """Make the widgets; called once."""
        raise NotImplementedError

    def update(self) -> None:
        """Bring the widgets up to date with the session: set traits, no long work."""

    # ---------------------------------------------------------------- what panels use
    def action(
        self, label: str, run: Callable[[], Any], code: str | Callable[[], str], **more: Any
    ) -> Action:
        """Make a button; see `Action`."""
        made = Action(self, label, run, code, **more)
        self.actions.append(made)
        return made

    def attempt(self, run: Callable[[], Any], code: str = "") -> Any:
        """Do something for the user: an error becomes a readable message, never a traceback."""
        self.messages.say("")
        if code:
            self._last_code = code
        try:
            return run()
        except DrizzlewbError as error:
            self.messages.say(str(error), "error")
        except OSError as error:
            self.messages.say(f"The system refused: {error}. Check the disk and the files.", "error")
        except Exception as error:
            log.exception("%s failed", self.title)
            self.messages.say(
                f"This is a failure of drizzlewb itself ({type(error).__name__}: {error}); see the log.",
                "error",
            )
        finally:
            self._show_python()
        return None

    def ran(self, code: str) -> None:
        """Note the line of Python that did what a click on a figure has just done."""
        self._last_code = code
        self._show_python()

    @property
    def product(self) -> str:
        """Product that is selected, else the first; '' if there is none."""
        names = self.session.state.names
        chosen = self.session.selection.product
        return chosen or (names[0] if names else "")

    def product_code(self) -> str:
        """The selected product as it is written in Python."""
        return repr(self.product)

    @property
    def visible(self) -> bool:
        """Whether the panel is looked at; one that is not waits with its updates."""
        return self._visible

    @visible.setter
    def visible(self, value: bool) -> None:
        self._visible = value
        if value and self._due:
            self._due = False
            self._update()

    # ---------------------------------------------------------------- inside
    def _changed(self, _: Any) -> None:
        if self._visible:
            self._update()
        else:
            self._due = True

    def _update(self) -> None:
        # The session's lock first, always: its workers hold it when they call observers.
        with self.session.lock, self._updating:
            try:
                self.update()
                self._show_python()
            except DrizzlewbError as error:
                self.messages.say(str(error), "error")
            except Exception as error:  # an observer must not spoil the session's work
                log.exception("%s cannot be shown", self.title)
                self.messages.say(f"{self.title} cannot be shown: {type(error).__name__}: {error}", "error")

    def python(self) -> str:
        """Lines that the buttons of this panel run, with the one that ran last."""
        lines = [f"{action.code}  # {action.button.description}" for action in self.actions if action.code]
        if self._last_code:
            lines += ["", f"{self._last_code}  # ran last"]
        return "\n".join(lines)

    def _show_python(self) -> None:
        on = bool(self._python_button.value)
        self._python.layout.display = "" if on else "none"
        if on:
            self._python.value = f"<pre>{escape(self.python())}</pre>"

    def close(self) -> None:
        """Stop watching the session; a second time nothing happens."""
        if self._watching:
            self._watching = False
            self.session.unobserve(self._changed, list(self.watched))
        super().close()

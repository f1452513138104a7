"""The workbench: all panels on one session, with a step bar, progress, log, undo and redo."""

import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

import ipywidgets as W

from drizzlewb.panels.alignment import AlignmentPanel
from drizzlewb.panels.base import Messages, Panel
from drizzlewb.panels.compare import ComparePanel
from drizzlewb.panels.cosmicrays import CosmicRaysPanel
from drizzlewb.panels.export import ExportPanel
from drizzlewb.panels.exposures import ExposuresPanel
from drizzlewb.panels.final import FinalPanel
from drizzlewb.panels.sky import SkyPanel
from drizzlewb.panels.weights import WeightsPanel
from drizzlewb.session import Session
from drizzlewb.views.style import STATE_SIGNS, escape, style_sheet

__all__ = ["PANELS", "Workbench"]

PANELS: tuple[type[Panel], ...] = (
    ExposuresPanel,
    AlignmentPanel,
    SkyPanel,
    CosmicRaysPanel,
    FinalPanel,
    WeightsPanel,
    ComparePanel,
    ExportPanel,
)
"""Panels in the order of the work."""

_WORST = ("failed", "running", "stale", "empty", "done", "off")
_LOG_LINES = 200


class Workbench(W.VBox):
    """Composes the panels.

    Parameters
    ----------
    session : Session, or what `Session` takes
    panels : sequence of type, optional
        Panels to show; default, all eight.

    Attributes
    ----------
    session : Session
    panels : dict of str to Panel
        By title; a panel is made when it is first opened.
    """

    def __init__(self, session: Session | Any, panels: Sequence[type[Panel]] = PANELS) -> None:
        self.session = session if isinstance(session, Session) else Session(session)
        self._watched = ("state", "status", "selection", "busy", "progress", "undo_name", "redo_name")
        self._classes = {p.title: p for p in panels}
        self.panels: dict[str, Panel] = {}
        self._settling = False
        self.current = ""
        self.buttons = {
            title: W.Button(description=title, tooltip=p.help) for title, p in self._classes.items()
        }
        for title, button in self.buttons.items():
            button.on_click(lambda _, title=title: self.go_to(title))
        bar = W.HBox(list(self.buttons.values()), layout=W.Layout(width="100%"))
        bar.add_class("dwb-steps")
        self.product = W.Dropdown(
            description="Product", layout=W.Layout(width="260px"), tooltip="the product that the panels show"
        )
        self.product.observe(lambda change: self._choose(change["new"]), "value")
        self.undo = W.Button(icon="undo", layout=W.Layout(width="auto", max_width="300px"))
        self.redo = W.Button(icon="repeat", layout=W.Layout(width="auto", max_width="300px"))
        self.undo.on_click(lambda _: self.session.undo())
        self.redo.on_click(lambda _: self.session.redo())
        self.told = W.HTML()
        top = W.HBox(
            [self.product, self.told, W.HBox([self.undo, self.redo], layout=W.Layout(margin="0 0 0 auto"))],
            layout=W.Layout(width="100%", align_items="center", flex_flow="row wrap"),
        )
        self.area = W.VBox(layout=W.Layout(width="100%", min_height="420px"))
        self.area.add_class("dwb-box")
        self.messages = Messages()
        self.bar = W.IntProgress(layout=W.Layout(width="200px", visibility="hidden"))
        self.progress = W.HTML(layout=W.Layout(flex="1 1 auto"))
        self.cancel = W.Button(description="Cancel", icon="stop", disabled=True, tooltip="nothing is running")
        self.cancel.on_click(lambda _: self.session.cancel())
        self.log_button = W.ToggleButton(description="Log", icon="list", layout=W.Layout(width="80px"))
        self.log_view = W.HTML(layout=W.Layout(display="none", max_height="220px", width="100%"))
        self.log_view.add_class("dwb-python")
        self.log_view.add_class("dwb-scroll")
        self.log_button.observe(lambda _: self._show_log(), "value")
        foot = W.HBox(
            [self.bar, self.progress, self.cancel, self.log_button],
            layout=W.Layout(width="100%", align_items="center"),
        )
        self._records = _Records(self)
        logging.getLogger("drizzlewb").addHandler(self._records)
        super().__init__(
            [style_sheet(), top, bar, self.area, self.messages, foot, self.log_view],
            layout=W.Layout(width="100%", min_width="680px"),
        )
        self.add_class("dwb")
        self.add_class("dwb-workbench")
        self.session.observe(self._changed, list(self._watched))
        self._update()
        self.go_to(next(iter(self._classes)))

    # ---------------------------------------------------------------- panels
    def go_to(self, title: str) -> Panel:
        """Show a panel, made now if it was never shown."""
        if title not in self._classes:
            msg = f"There is no panel {title!r}; there are {', '.join(self._classes)}."
            raise KeyError(msg)
        self.session.runs.give_way()
        if title not in self.panels:
            self.panels[title] = self._classes[title](self.session)
        chosen = self.panels[title]
        # Panels that were opened stay on the page, hidden: to make them anew takes several times longer.
        for panel in self.area.children:
            panel.layout.display = "none" if panel is not chosen else None
        if chosen not in self.area.children:
            self.area.children = (*self.area.children, chosen)
        for panel in self.panels.values():
            panel.visible = panel is chosen
        self.current = title
        self._show_steps()
        return self.panels[title]

    def __getitem__(self, title: str) -> Panel:
        """Panel by title; it is made if need be, and not shown."""
        if title not in self.panels:
            self.panels[title] = self._classes[title](self.session)
            self.panels[title].visible = False
        return self.panels[title]

    # ---------------------------------------------------------------- what the session says
    def _changed(self, change: Any) -> None:
        if change["name"] == "progress":
            self._show_progress()
        else:
            self._update()

    def _update(self) -> None:
        session = self.session
        names = list(session.state.names)
        chosen = session.selection.product or (names[0] if names else None)
        self._settling = True  # new options choose the first one for a moment
        try:
            if list(self.product.options) != names:
                self.product.options = names
            if self.product.value != chosen:
                self.product.value = chosen
        finally:
            self._settling = False
        self.product.disabled = not names
        for button, name, word in (
            (self.undo, session.undo_name, "Undo"),
            (self.redo, session.redo_name, "Redo"),
        ):
            button.disabled = not name
            button.tooltip = f"{word}: {name}" if name else f"nothing to {word.lower()}"
            button.description = (name if len(name) <= 32 else name[:31] + "…") if name else word
        number = len(session.exposures)
        accepted = "alignment accepted" if session.state.alignment.accepted else "alignment as the files came"
        self.told.value = f'<span class="dwb-soft">&nbsp; {number} exposures, {accepted}</span>'
        self._show_steps()
        self._show_progress()

    def _choose(self, name: str | None) -> None:
        if name and not self._settling and name != self.session.selection.product:
            self.session.select(product=name)

    def _show_steps(self) -> None:
        chosen = self.product.value
        states = {(s.where, s.step): s.state for s in self.session.status}
        for title, cls in self._classes.items():
            button = self.buttons[title]
            wanted = [
                states.get(("alignment" if w == "alignment" else chosen, step)) for w, step in cls.steps
            ]
            known = [s for s in wanted if s]
            state = min(known, key=_WORST.index) if known else ""
            sign, meaning = STATE_SIGNS.get(state, ("", ""))
            button.description = f"{sign} {title}".strip()
            button.tooltip = f"{cls.help} {f'({meaning})' if meaning else ''}".strip()
            (button.add_class if title == self.current else button.remove_class)("dwb-here")

    def _show_progress(self) -> None:
        session = self.session
        busy = session.busy
        self.cancel.disabled = not busy
        self.cancel.tooltip = "stop; everything stays as it was before" if busy else "nothing is running"
        self.bar.layout.visibility = "visible" if busy else "hidden"
        if not busy:
            self.progress.value = '<span class="dwb-soft">Nothing is running.</span>'
            return
        step, done, total, message = session.progress or ("working", 0, 0, "")
        self.bar.max, self.bar.value = max(total, 1), done
        more = f" {done} of {total}" if total else ""
        self.progress.value = escape(f"{step}{more} {message}".strip())

    # ---------------------------------------------------------------- log
    def _show_log(self) -> None:
        on = bool(self.log_button.value)
        self.log_view.layout.display = "" if on else "none"
        if on:
            lines = "\n".join(self._records.lines) or "Nothing has been logged yet."
            self.log_view.value = f"<pre>{escape(lines)}</pre>"

    def logged(self) -> None:
        """Show new lines of the log, if it is open."""
        if self.log_button.value:
            self._show_log()

    def close(self) -> None:
        """Stop watching the session and the log."""
        if self.comm is None:  # closed before, by hand; ipywidgets closes again when it is collected
            return
        self.session.unobserve(self._changed, list(self._watched))
        logging.getLogger("drizzlewb").removeHandler(self._records)
        for panel in self.panels.values():
            panel.close()
        super().close()


class _Records(logging.Handler):
    """The last lines of the package's log."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__(logging.INFO)
        self.lines: deque[str] = deque(maxlen=_LOG_LINES)
        self._bench = bench
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))
        self._bench.logged()

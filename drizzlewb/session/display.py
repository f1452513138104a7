"""A session at a glance: what is loaded, fresh, stale."""

import html as html_module
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drizzlewb.session.session import Session

__all__ = ["html", "text"]

_COLOURS = {
    "done": "#2e7d32",
    "stale": "#b26a00",
    "running": "#1565c0",
    "failed": "#c62828",
    "empty": "#757575",
    "off": "#bdbdbd",
}


def _loaded(session: "Session") -> str:
    kinds = Counter(f"{e.filters} {e.detector}" for e in session.exposures)
    number = len(session.exposures)
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f"{number} exposure{'s' if number != 1 else ''}" + (f": {listed}" if listed else "")


def _lines(session: "Session") -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    """(where, note, [(step, state, message)]) of the alignment and each product."""
    state = session.state
    wheres = (["alignment"] if session.exposures else []) + list(state.names)
    lines = []
    for where in wheres:
        if where == "alignment":
            note = "accepted" if state.alignment.accepted else "not accepted"
            if state.alignment.rejected:
                note += f", {len(state.alignment.rejected)} stars rejected"
        else:
            members = len(state.product(where).members)
            note = f"{members} exposure{'s' if members != 1 else ''}"
            other = state.reference_of(state.product(where))
            note += f", grid of {other}" if other else ""
        steps = [(s.step, s.state, s.message) for s in session.status if s.where == where]
        lines.append((where, note, steps))
    return lines


def text(session: "Session") -> str:
    """Return the session in lines of plain text."""
    out = [f"Session of {_loaded(session)}"]
    lines = _lines(session)
    width = max((len(where) for where, _, _ in lines), default=0)
    for where, note, steps in lines:
        told = "  ".join(f"{step} {state}" for step, state, _ in steps)
        out.append(f"  {where:{width}s}  {told}  ({note})")
        out += [f"  {'':{width}s}  {m}" for m in dict.fromkeys(m for _, _, m in steps if m)]
    if session.state.masks:
        out.append(f"  {len(session.state.masks)} masks drawn by hand")
    if session.undo_name:
        out.append(f"  undo: {session.undo_name}")
    return "\n".join(out)


def html(session: "Session") -> str:
    """Return the session as an HTML table; everything that comes from files or users is escaped."""
    escape = html_module.escape
    rows = []
    for where, note, steps in _lines(session):
        cells = "".join(
            f'<td style="color:{_COLOURS[state]};text-align:left" title="{escape(message, quote=True)}">'
            f"{escape(step)}: {escape(state)}</td>"
            for step, state, message in steps
        )
        pad = "<td></td>" * (4 - len(steps))
        rows.append(
            f'<tr><th style="text-align:left">{escape(where)}</th>{cells}{pad}'
            f'<td style="text-align:left">{escape(note)}</td></tr>'
        )
        for message in dict.fromkeys(m for _, _, m in steps if m):
            rows.append(
                f'<tr><td></td><td colspan="5" style="color:{_COLOURS["failed"]};text-align:left">'
                f"{escape(message)}</td></tr>"
            )
    foot = f"<p>undo: {escape(session.undo_name)}</p>" if session.undo_name else ""
    notes = "".join(f"<p>{escape(note)}</p>" for note in session.notes[:5])
    table = f"<table>{''.join(rows)}</table>"
    return f"<div><b>Session</b> of {escape(_loaded(session))}{table}{foot}{notes}</div>"

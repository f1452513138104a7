"""Undo and redo over states, each change with a name."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from drizzlewb.session.state import State

__all__ = ["Change", "History", "describe"]

LONGEST = 10_000
"""Changes kept; the oldest are forgotten."""

_SHOWN = 3


def describe(differences: Mapping[str, tuple[Any, Any]]) -> str:
    """Name of a change of parameters: ``final_pixfrac 1.0 → 0.6``; of many, the first three."""
    parts = [f"{name} {_value(old)} → {_value(new)}" for name, (old, new) in differences.items()]
    more = f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
    return ", ".join(parts[:_SHOWN]) + more


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_value, value))
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


@dataclass(frozen=True)
class Change:
    """One step of the history.

    Attributes
    ----------
    name : str
        What was done.
    where : str
        Name of a product, 'alignment', 'masks', or 'products'.
    time : str
        UT, ISO.
    before, after : State
    live : bool
        Part of a movement (a slider that is dragged): the next one of the same names continues it.
    names : tuple of str
        Parameters that were changed.
    """

    name: str
    where: str
    time: str
    before: State
    after: State
    live: bool = False
    names: tuple[str, ...] = ()


class History:
    """Changes done, and changes undone that can be done again."""

    def __init__(self) -> None:
        self.past: list[Change] = []
        self.future: list[Change] = []

    def add(
        self,
        name: str,
        where: str,
        before: State,
        after: State,
        *,
        live: bool = False,
        names: tuple[str, ...] = (),
    ) -> Change:
        """Note a change that was made; what was undone before can no longer be done again."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        change = Change(name, where, now, before, after, live, names)
        last = self.past[-1] if self.past else None
        if last and live and last.live and (last.where, last.names) == (where, names) and not self.future:
            change = replace(change, before=last.before)
            self.past.pop()
        self.past.append(change)
        self.future.clear()
        del self.past[:-LONGEST]
        return change

    def undo(self) -> Change | None:
        """Take the last change back; None if there is none."""
        if not self.past:
            return None
        self.future.append(self.past.pop())
        return self.future[-1]

    def redo(self) -> Change | None:
        """Do the last undone change again; None if there is none."""
        if not self.future:
            return None
        self.past.append(self.future.pop())
        return self.past[-1]

    @property
    def undo_name(self) -> str:
        """What undo would take back; '' if nothing."""
        return self.past[-1].name if self.past else ""

    @property
    def redo_name(self) -> str:
        """What redo would do again; '' if nothing."""
        return self.future[-1].name if self.future else ""

    def rows(self) -> list[dict[str, str]]:
        """Time, where, what and 'done' or 'undone' of every change, the oldest first."""
        done = [(change, "done") for change in self.past]
        undone = [(change, "undone") for change in reversed(self.future)]
        return [
            {"time": c.time, "where": c.where, "change": c.name, "state": state} for c, state in done + undone
        ]

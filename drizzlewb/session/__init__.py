"""The session: reactive state, usable with and without widgets.

``state`` has the immutable values; ``history`` undo and redo; ``keys`` and ``derived`` what follows from a
state, staleness included; ``work`` handles and workers; ``cache`` bounded results; ``runs`` what runs, and
the one place where results come in; ``making`` the calls to the lower floors; ``file`` saves and opens;
``session`` ties them together.
"""

from drizzlewb.session.derived import StepStatus
from drizzlewb.session.runs import Shown
from drizzlewb.session.session import Session
from drizzlewb.session.state import ProductPlan, Selection, Star, State
from drizzlewb.session.work import Handle

__all__ = ["Handle", "ProductPlan", "Selection", "Session", "Shown", "Star", "State", "StepStatus"]

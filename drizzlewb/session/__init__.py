"""The session: reactive state, usable with and without widgets.

``state`` has the immutable values; ``history`` undo and redo; ``keys`` and ``derived`` what follows from
a state, staleness included; ``work`` handles and workers; ``cache`` bounded results; ``known`` and
``runs`` how steps stand, what runs, and the one place where results come in; ``looks`` what is only looked
at: masks of a box, why a pixel is so; ``making`` the calls to the lower floors; ``plain`` and ``file`` save
and open; ``session`` ties them together.
"""

from drizzlewb.session.derived import StepStatus
from drizzlewb.session.known import Shown
from drizzlewb.session.session import Session
from drizzlewb.session.state import ProductPlan, Selection, Star, State
from drizzlewb.session.work import Handle

__all__ = ["Handle", "ProductPlan", "Selection", "Session", "Shown", "Star", "State", "StepStatus"]

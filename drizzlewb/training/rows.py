"""One line of a grade, and how a measured number with an error becomes a verdict."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["FAIL", "GOOD", "NOT_GRADED", "PASS", "Row", "Verdict", "judge", "not_graded"]

Verdict = Literal["good", "pass", "fail", "not graded"]
GOOD: Verdict = "good"
PASS: Verdict = "pass"
FAIL: Verdict = "fail"
NOT_GRADED: Verdict = "not graded"


@dataclass(frozen=True)
class Row:
    """One line of a grade.

    Attributes
    ----------
    part : str
        ``'1 alignment'`` ... ``'5 weights'`` or ``'science'``.
    name : str
        What was looked at.
    verdict : {'good', 'pass', 'fail', 'not graded'}
        The grade.
    words : str
        A sentence: what was found and, after a failure, what is wrong.
    value, error : float or None
        Measured number and its standard error, in `unit`.
    limit : str
        What was asked for.
    unit : str
        Of value, error and limit.
    number : int or None
        Stars, pixels or exposures that the number rests on.
    """

    part: str
    name: str
    verdict: Verdict
    words: str
    value: float | None = None
    error: float | None = None
    limit: str = ""
    unit: str = ""
    number: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; a number that is not finite becomes None."""
        return {
            k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(self).items()
        }


def not_graded(part: str, name: str, words: str, **more: Any) -> Row:
    """Row that says why nothing can be said."""
    return Row(part, name, NOT_GRADED, words, **more)


def judge(value: float, error: float, limit: float, good: float | None = None) -> Verdict:
    """Verdict on a number that should be at most `limit`.

    Parameters
    ----------
    value, error : float
        Measured and its standard error; infinite or NaN: unknown.
    limit, good : float
        Most that passes, and most that is good.

    Returns
    -------
    str
        ``'not graded'`` where the error is so large that a pass would mean nothing (above the limit) or that
        an excess may be chance (below two errors, while the error is above half the limit).
    """
    if not math.isfinite(value) or not math.isfinite(error):
        return NOT_GRADED
    if value - 2 * error > limit:
        return FAIL
    if value > limit:
        return FAIL if error <= limit / 2 else NOT_GRADED
    if error > limit:
        return NOT_GRADED
    return GOOD if good is not None and value <= good and error <= good else PASS

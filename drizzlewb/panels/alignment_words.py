"""What the alignment panel says of a solution, in words."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from drizzlewb.exposure import Exposure
from drizzlewb.session.state import AlignmentPlan
from drizzlewb.steps.solution import Alignment

__all__ = ["stale_words", "summary_words"]

_DEG = 1e-11  # what a header's digits may take from a place or a matrix


def stale_words(solution: Any, plan: AlignmentPlan, members: Sequence[Exposure]) -> tuple[str, str]:
    """Why a solution is not that of the present inputs, and what to do about it.

    Parameters
    ----------
    solution : AlignedSolution
        Made before.
    plan : AlignmentPlan
        As it is now.
    members : sequence of Exposure
        What would be aligned now, with the WCS of the files.

    Returns
    -------
    kind, words : str
        As for `drizzlewb.panels.base.Messages`.
    """
    before = "What is shown is the solution before that."
    fed = ("sources", "refsources", "solution")
    if any(solution.parameters.feeding(step) != plan.parameters.feeding(step) for step in fed):
        return "warning", f"The parameters have changed: align again. {before}"
    if [e.rootname for e in members] != [e.rootname for e in solution.originals]:
        return "warning", f"Other exposures are to be aligned: align again. {before}"
    use = " Products use it." if plan.accepted is not None else ""
    if _same_places(members, solution.originals):
        if [e.files for e in members] == [e.files for e in solution.originals]:
            return "warning", f"Stars or masks have changed: align again. {before}"
        return "", (
            "The files were written since, and now hold the positions again that were aligned: what is shown "
            f"is true of them.{use} Align again to change it or to write it."
        )
    if _same_places(members, solution.exposures):
        return "good", (
            "The alignment that is shown is written: the files hold its positions."
            f"{use} Revert takes it back."
        )
    return "warning", f"The positions in the files have changed: align again. {before}"


def _same_places(some: Sequence[Exposure], others: Sequence[Exposure]) -> bool:
    pairs = zip(some, others, strict=True)
    return all(
        np.allclose(a.wcs.crval, b.wcs.crval, rtol=0, atol=_DEG)
        and np.allclose(a.wcs.cd, b.wcs.cd, rtol=0, atol=_DEG)
        and np.allclose(a.wcs.crpix, b.wcs.crpix, rtol=0, atol=1e-6)
        for one, other in pairs
        for a, b in zip(one.chips, other.chips, strict=True)
    )


def summary_words(alignments: Sequence[Alignment], plan: AlignmentPlan, key: str) -> tuple[str, str]:
    """How a fresh solution came out.

    Parameters
    ----------
    alignments : sequence of Alignment
    plan : AlignmentPlan
    key : str
        Key of the solution.

    Returns
    -------
    kind, words : str
    """
    aligned = [a for a in alignments if a.fit is not None]
    refused = [a for a in alignments if a.status == "refused"]
    told = f"{len(aligned)} of {len(alignments) - sum(a.status == 'reference' for a in alignments)} aligned."
    if refused:
        names = ", ".join(a.rootname for a in refused[:4]) + (" …" if len(refused) > 4 else "")
        return "error", f"{told} Refused: {names}. Choose one below: its verdict says what to change."
    worst = max(aligned, key=lambda a: a.fit.rms_px if a.fit is not None else 0.0, default=None)
    if worst is not None and worst.fit is not None:
        told += f" Largest rms {worst.fit.rms_px:.3f} px ({worst.rootname})."
    accepted = plan.accepted
    if accepted is not None and accepted.key == key:
        return "good", (
            f"{told} Accepted: products use it. Your files are as they were; Write headers changes them."
        )
    if accepted is not None:
        return "warning", f"{told} Products still use the alignment that was accepted before this one."
    return "good", f"{told} Look at the residuals; if they are level and small, Accept."

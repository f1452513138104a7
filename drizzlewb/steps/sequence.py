"""Exposures aligned one after the other to a list that may grow."""

import logging
from collections.abc import Callable, Sequence

from drizzlewb.errors import Cancelled
from drizzlewb.exposure import Exposure
from drizzlewb.grid import OutputGrid
from drizzlewb.parameters.tweakreg import AlignParameters
from drizzlewb.steps.pairing import align_lists, reference_row
from drizzlewb.steps.reference import ReferenceList
from drizzlewb.steps.solution import Alignment
from drizzlewb.steps.sources import Sources

__all__ = ["Progress", "run"]

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int, str], None]


def run(
    exposures: Sequence[Exposure],
    found: Sequence[Sources],
    order: Sequence[int],
    listed: ReferenceList,
    plane: OutputGrid,
    pars: AlignParameters,
    tell: Progress,
    ask: Callable[[], bool],
    base: Exposure | None,
) -> tuple[Alignment, ...]:
    """Align exposures in an order to a reference list.

    Parameters
    ----------
    exposures, found : sequence
        All exposures and their sources.
    order : sequence of int
        Which to align, and when.
    listed : ReferenceList
        Grows by each aligned exposure if ``expand_refcat``.
    plane, pars, tell, ask
        Plane of the fits, parameters, progress and cancellation.
    base : Exposure or None
        The one of them that is the reference.

    Returns
    -------
    tuple of Alignment
        One for each exposure, in their own order.
    """
    results: dict[int, Alignment] = {}
    for k, e in enumerate(exposures):
        if e is base:
            results[k] = reference_row(e, found[k])

    def check() -> None:
        if ask():
            msg = f"Alignment was cancelled at {exposures[k].rootname}."
            raise Cancelled(msg)

    for done, k in enumerate(order):
        check()
        tell("align", done, len(order), exposures[k].rootname)
        visit = base is not None and exposures[k].visit == base.visit
        results[k] = align_lists(
            found[k], listed, plane, pars, same_visit=visit, exposure=exposures[k], check=check
        )
        log.info("%s: %s", exposures[k].rootname, results[k].verdict)
        a = results[k]
        if pars.expand_refcat and a.fit is not None:
            listed = listed.grown(found[k], plane, a.fit, 2.0 * pars.tolerance)
    tell("align", len(order), len(order), "")
    return tuple(results[k] for k in range(len(exposures)))

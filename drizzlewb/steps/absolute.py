"""Alignment to a catalog on the sky: exposure by exposure, or each visit as one body."""

import dataclasses
import logging
from collections.abc import Callable

from drizzlewb.errors import Cancelled, DataError
from drizzlewb.exposure import Exposure
from drizzlewb.grid import OutputGrid
from drizzlewb.parameters.tweakreg import AlignParameters
from drizzlewb.steps.fit import LinearFit
from drizzlewb.steps.pairing import align_lists, moved
from drizzlewb.steps.reference import ReferenceList
from drizzlewb.steps.sequence import Progress, run
from drizzlewb.steps.solution import Alignment, Solution
from drizzlewb.steps.sources import Sources
from drizzlewb.steps.user_catalogs import SkyCatalog
from drizzlewb.steps.verdict import Verdict

__all__ = ["to_catalog"]

log = logging.getLogger(__name__)


def _year(exposure: Exposure) -> float:
    """Julian year of the start; NaN if unknown."""
    return 2000.0 + (exposure.expstart - 51544.5) / 365.25 if exposure.expstart > 0 else float("nan")


def to_catalog(
    exposures: tuple[Exposure, ...],
    found: tuple[Sources, ...],
    catalog: SkyCatalog,
    base: Exposure | None,
    plane: OutputGrid,
    pars: AlignParameters,
    tell: Progress,
    ask: Callable[[], bool],
) -> Solution:
    """Align exposures to a catalog; the arguments are those of `align`, read and found.

    With ``visit_as_one`` each visit is aligned within itself first and then moved as one body.
    """
    if pars.visit_as_one:
        return _visits_to_catalog(exposures, found, catalog, plane, pars, tell, ask)
    alignments: list[Alignment] = []

    def check() -> None:
        if ask():
            msg = f"Alignment was cancelled at {exposures[len(alignments)].rootname}."
            raise Cancelled(msg)

    for k, (e, s) in enumerate(zip(exposures, found, strict=True)):
        check()
        tell("align", k, len(exposures), e.rootname)
        listed = ReferenceList.of(catalog.at(_year(e)), plane)
        alignments.append(align_lists(s, listed, plane, pars, exposure=e, check=check))
        log.info("%s: %s", e.rootname, alignments[-1].verdict)
    tell("align", len(exposures), len(exposures), "")
    fitted = tuple(
        moved(e, a.fit, plane, pars.wcsname) if a.fit is not None else e
        for e, a in zip(exposures, alignments, strict=True)
    )
    return Solution(fitted, exposures, tuple(alignments), plane, catalog.name, pars)


def _visits_to_catalog(
    exposures: tuple[Exposure, ...],
    found: tuple[Sources, ...],
    catalog: SkyCatalog,
    plane: OutputGrid,
    pars: AlignParameters,
    tell: Progress,
    ask: Callable[[], bool],
) -> Solution:
    """Each visit aligned within itself first, then moved as one body: the second never spoils the first."""
    fitted = list(exposures)
    alignments: dict[int, Alignment] = {}
    groups: dict[str, LinearFit] = {}
    inside = pars.replace(expand_refcat=True, refcat="")
    for visit in dict.fromkeys(e.visit for e in exposures):
        members = [k for k, e in enumerate(exposures) if e.visit == visit]
        group = [exposures[k] for k in members]
        lists = [found[k] for k in members]
        if not len(lists[0]):
            msg = f"{group[0].rootname}, the first of visit {visit}, has no sources; lower the threshold."
            raise DataError(msg)
        listed = ReferenceList.of(lists[0], plane)
        relative = run(group, lists, range(1, len(group)), listed, plane, inside, tell, ask, base=group[0])
        for k, s, a in zip(members, lists, relative, strict=True):
            if a.fit is not None:
                fitted[k] = moved(exposures[k], a.fit, plane, pars.wcsname)
                listed = listed.grown(s, plane, a.fit, 2.0 * pars.tolerance)
            alignments[k] = a
        body = align_lists(
            listed.as_sources(f"visit {visit}"),
            ReferenceList.of(catalog.at(_year(group[0])), plane),
            plane,
            pars,
        )
        log.info("visit %s: %s", visit, body.verdict)
        for k in members:
            a = alignments[k]
            if body.fit is None:
                text = f"{a.verdict} The visit was not moved to {catalog.name}. {body.verdict}"
                alignments[k] = _with_verdict(a, "refused", Verdict("refused", text), body.stage)
                fitted[k] = exposures[k]
            elif a.status != "refused":
                groups[visit] = body.fit
                fitted[k] = moved(fitted[k], body.fit, plane, pars.wcsname)
                text = f"{a.verdict} Visit {visit} to {catalog.name} as one body: {body.verdict}"
                alignments[k] = _with_verdict(a, "aligned", Verdict(a.verdict.grade, text), "")
    ordered = tuple(alignments[k] for k in range(len(exposures)))
    return Solution(tuple(fitted), exposures, ordered, plane, catalog.name, pars, groups)


def _with_verdict(a: Alignment, status: str, verdict: Verdict, stage: str) -> Alignment:
    return dataclasses.replace(a, status=status, verdict=verdict, stage=stage)

"""Alignment of exposures on their stars: TweakReg's work, and a verdict.

All chips of an exposure are one body, moved by one linear transformation in the tangent plane of the
reference. An exposure whose alignment cannot be believed keeps its WCS, and its row says at which stage
it failed and what to change.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from drizzlewb.errors import DataError
from drizzlewb.exposure import Exposure
from drizzlewb.grid import output_grid
from drizzlewb.parameters.imagefind import ImageFind
from drizzlewb.parameters.tweakreg import AlignParameters
from drizzlewb.steps.absolute import to_catalog
from drizzlewb.steps.ordering import by_overlap, overlaps
from drizzlewb.steps.pairing import moved
from drizzlewb.steps.reference import ReferenceList
from drizzlewb.steps.regions import DS9Region, read_image_list, read_regions
from drizzlewb.steps.sequence import Progress, run
from drizzlewb.steps.solution import Alignment, Solution
from drizzlewb.steps.sources import Sources, find_sources
from drizzlewb.steps.user_catalogs import SkyCatalog, read_reference, user_sources

__all__ = ["Alignment", "Solution", "align"]

log = logging.getLogger(__name__)


def align(
    exposures: Sequence[Exposure],
    parameters: AlignParameters | None = None,
    *,
    sources: Sequence[Sources] | None = None,
    reference: SkyCatalog | Exposure | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Solution:
    """Align exposures to one of them, to another image, or to a catalog.

    Parameters
    ----------
    exposures : sequence of Exposure
        In the order of alignment; the first is the reference unless ``refimage`` or ``refcat`` say
        otherwise.
    parameters : AlignParameters, optional
        TweakReg's parameters.
    sources : sequence of Sources, optional
        Found beforehand, one for each exposure, instead of finding them here.
    reference : SkyCatalog or Exposure, optional
        In memory, instead of ``refcat`` or ``refimage``.
    progress : callable, optional
        Called with (step, done, total, message).
    cancelled : callable, optional
        Asked between chips and exposures.

    Returns
    -------
    Solution
        An exposure that cannot be aligned is in it with status 'refused' and its old WCS.

    Raises
    ------
    DataError
        If there is nothing to align to, a name occurs twice, the reference has no sources, or a file
        cannot be read.
    Cancelled
        If `cancelled` says so.
    """
    pars = parameters or AlignParameters()
    exposures = tuple(exposures)
    tell = progress or (lambda *_: None)
    ask = cancelled or (lambda: False)
    base = _reference_exposure(exposures, pars, reference)
    catalog = _reference_catalog(exposures, pars, reference)
    _check_input(exposures, base, catalog)
    if base is None and catalog is None:
        base = exposures[_first(exposures, pars)]
    plane = output_grid((base or exposures[0]).chips)
    if sources is None:
        found = _all_sources(exposures, base, pars, tell, ask)
    else:
        found = tuple(sources)
        if len(found) != len(exposures):
            msg = f"{len(found)} source lists were given for {len(exposures)} exposures."
            raise DataError(msg)
    if catalog is not None:
        return to_catalog(exposures, found, catalog, base, plane, pars, tell, ask)
    assert base is not None
    outside = base not in exposures
    base_sources = _base_sources(base, exposures, found, pars, sources is not None, ask)
    if not len(base_sources):
        msg = (
            f"Reference image {base.rootname} has no sources above the threshold: lower threshold "
            "(refimagefind.threshold), look at peakmax and dqbits, or choose another refimage."
        )
        raise DataError(msg)
    listed = ReferenceList.of(base_sources, plane)
    order = _order(exposures, base, pars)
    alignments = run(exposures, found, order, listed, plane, pars, tell, ask, base=None if outside else base)
    fitted = tuple(
        moved(e, a.fit, plane, pars.wcsname) if a.fit is not None else e
        for e, a in zip(exposures, alignments, strict=True)
    )
    return Solution(fitted, exposures, alignments, plane, base.rootname, pars)


# What to align to -------------------------------------------------------------------------------------


def _reference_exposure(
    exposures: Sequence[Exposure], pars: AlignParameters, given: SkyCatalog | Exposure | None
) -> Exposure | None:
    if isinstance(given, Exposure):
        return given
    name = pars.refimage.strip()
    if not name:
        return None
    stem = Path(name).name
    for e in exposures:
        if name == e.path or stem in (Path(e.path).name, e.rootname):
            return e
    from drizzlewb.exposure.intake import read_exposures

    others = read_exposures([name])
    if len(others) != 1:
        msg = f"refimage '{name}' holds {len(others)} exposures; expected one."
        raise DataError(msg)
    return others[0]


def _reference_catalog(
    exposures: Sequence[Exposure], pars: AlignParameters, given: SkyCatalog | Exposure | None
) -> SkyCatalog | None:
    if isinstance(given, SkyCatalog):
        return given
    if not pars.refcat.strip():
        return None
    plane = output_grid(exposures[0].chips) if exposures and pars.refxyunits == "pixels" else None
    return read_reference(pars.refcat.strip(), pars.reference, plane)


def _check_input(exposures: Sequence[Exposure], base: Exposure | None, catalog: SkyCatalog | None) -> None:
    if not exposures:
        msg = "Aligning: there are no exposures; give at least one."
        raise DataError(msg)
    names = [e.rootname for e in exposures]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        msg = f"Aligning: {', '.join(twice)} is given twice; remove the copy."
        raise DataError(msg)
    if len(exposures) == 1 and catalog is None and (base is None or base is exposures[0]):
        msg = (
            f"Aligning: {names[0]} is the only exposure, there is nothing to align it to; give a second one, "
            "a refimage or a refcat."
        )
        raise DataError(msg)


def _first(exposures: Sequence[Exposure], pars: AlignParameters) -> int:
    """The first exposure, or the one of the pair with the largest overlap."""
    if pars.enforce_user_order or len(exposures) < 3:
        return 0
    shared = overlaps(exposures)
    np.fill_diagonal(shared, 0)
    i, j = np.unravel_index(np.argmax(shared), shared.shape)
    return int(min(i, j))


def _order(exposures: Sequence[Exposure], base: Exposure, pars: AlignParameters) -> list[int]:
    rest = [k for k, e in enumerate(exposures) if e is not base]
    if pars.enforce_user_order:
        return rest
    return by_overlap(exposures, base, rest, grow=pars.expand_refcat)


# Sources ----------------------------------------------------------------------------------------------


def _regions(pars: AlignParameters) -> dict[str, list[list[DS9Region] | None]]:
    if not pars.exclusions.strip():
        return {}
    listed = read_image_list(pars.exclusions.strip())
    return {
        name: [read_regions(path) if path is not None else None for path in files]
        for name, files in listed.items()
    }


def _all_sources(
    exposures: Sequence[Exposure],
    base: Exposure | None,
    pars: AlignParameters,
    tell: Progress,
    ask: Callable[[], bool],
) -> tuple[Sources, ...]:
    regions = _regions(pars)
    catalogs = read_image_list(pars.catfile.strip()) if pars.catfile.strip() else None
    found = []
    for k, e in enumerate(exposures):
        tell("sources", k, len(exposures), e.rootname)
        name = Path(e.path).name
        if catalogs is not None:
            if name not in catalogs:
                msg = f"The catfile '{pars.catfile}' has no line for {name}."
                raise DataError(msg)
            found.append(user_sources(e, catalogs[name], pars.coordinates))
            continue
        # The reference image has parameters of its own if the user chose it (as in TweakReg).
        section = pars.refimagefind if e is base and pars.refimage.strip() else pars.imagefind
        area = regions.get(name, ())
        found.append(_find(e, section, area, pars, ask))
    tell("sources", len(exposures), len(exposures), "")
    return tuple(found)


def _base_sources(
    base: Exposure,
    exposures: Sequence[Exposure],
    found: Sequence[Sources],
    pars: AlignParameters,
    given: bool,
    ask: Callable[[], bool],
) -> Sources:
    for e, s in zip(exposures, found, strict=True):
        if e is base:
            return s
    area = {} if given else _regions(pars)
    regions = area.get(Path(base.path).name, ())
    return _find(base, pars.refimagefind, regions, pars, ask)


def _find(
    exposure: Exposure,
    section: ImageFind,
    regions: Sequence[list[DS9Region] | None],
    pars: AlignParameters,
    ask: Callable[[], bool],
) -> Sources:
    return find_sources(
        exposure,
        section,
        noise=pars.noise,
        regions=regions,
        nbright=pars.nbright,
        avoid_saturated=pars.avoid_saturated,
        cancelled=ask,
    )

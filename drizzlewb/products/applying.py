"""An alignment written into the headers of its files, each file by itself."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from drizzlewb.errors import DataError, DrizzlewbError
from drizzlewb.exposure import Exposure, read_exposures
from drizzlewb.grid import OutputGrid
from drizzlewb.kernels.transform import PackedWCS
from drizzlewb.parameters.tweakreg import AlignParameters
from drizzlewb.products.fitsparts import check_writable
from drizzlewb.products.headers import Change, FitNumbers, Prepared, prepare_solution
from drizzlewb.steps.fit import LinearFit
from drizzlewb.steps.solution import Alignment, Solution

__all__ = ["apply_solution", "sky_rms_mas"]

log = logging.getLogger(__name__)

_DISTORTION = ("crpix", "sip_ref", "sip_a", "sip_b", "npol_x", "npol_y", "d2im_x", "d2im_y", "table_axes")


def sky_rms_mas(fit: LinearFit, plane: OutputGrid) -> tuple[float, float]:
    """Scatter of a fit's residuals along east and along north, mas."""
    sky = fit.residuals[fit.used] @ np.asarray(plane.wcs.cd).T * 3.6e6
    east, north = sky.std(axis=0)
    return float(east), float(north)


def _fit_numbers(solution: Solution, exposure: Exposure, a: Alignment, catalog: str) -> FitNumbers | None:
    """Of the fit to the catalog where the visit was moved as one body, else of the exposure's own."""
    fit = solution.groups.get(exposure.visit, a.fit)
    if fit is None:
        return None
    named = catalog or (Path(solution.reference).name if solution.parameters.refcat.strip() else "")
    return FitNumbers(*sky_rms_mas(fit, solution.plane), fit.nmatch, fit.geometry, named)


def apply_solution(
    solution: Solution, parameters: AlignParameters | None = None, *, done: list[Change] | None = None
) -> list[Change]:
    """Write an alignment into the headers of its files, each file by itself.

    Parameters
    ----------
    solution : Solution
        Of `drizzlewb.steps.alignment.align`.
    parameters : AlignParameters, optional
        For wcsname, reusename and headerlets; the solution's own by default.
    done : list, optional
        Gets every change as it is made, so that it is known when a later one fails.

    Returns
    -------
    list of Change

    Raises
    ------
    ParameterError, DataError
        As `AlignedSolution.apply`.
    """
    pars = parameters or solution.parameters
    changes = done if done is not None else []
    groups = _by_file(solution)
    plans = [_plan(solution, members, pars, several=len(groups) > 1) for members in groups]
    for plan in plans:
        try:
            change = plan.write()
            changes.append(change)
            if pars.headerlet:
                from drizzlewb.products.headerlets import headerlet_of_solution

                attached = headerlet_of_solution(change, pars, several=len(plans) > 1)
                changes += [attached] if attached is not None else []
        except DrizzlewbError as error:
            names = ", ".join(dict.fromkeys(Path(c.path).name for c in changes))
            if not names:
                raise
            msg = f"{error} Of {len(plans)} files these are written: {names}; revert() takes them back."
            raise DataError(msg) from error
    if not plans:
        log.warning("no exposure was aligned: nothing is written")
    return changes


Member = tuple[Exposure, Exposure, Alignment]


def _by_file(solution: Solution) -> list[list[Member]]:
    """Accepted exposures (fitted, as it came, alignment) by file."""
    groups: dict[str, list[Member]] = {}
    for row in zip(solution.exposures, solution.originals, solution.alignments, strict=True):
        if row[2].status != "refused":
            groups.setdefault(os.path.realpath(row[0].path), []).append(row)
    return list(groups.values())


def _plan(solution: Solution, members: Sequence[Member], pars: AlignParameters, *, several: bool) -> Prepared:
    """Everything that could refuse is asked before the first file is written."""
    path = members[0][0].path
    check_writable(path)
    if pars.headerlet:
        from drizzlewb.products.headerlets import check_headerlet

        check_headerlet(path, pars, several=several)
    _check_distortion(path, [e for e, _, _ in members])
    solutions = {c.extver: (c.wcs.crval, c.wcs.cd) for e, _, _ in members for c in e.chips}
    exposure, _, first = members[0]
    fit = _fit_numbers(solution, exposure, first, pars.catalog.strip())
    kind = "" if fit is not None else "not aligned: reference"
    return prepare_solution(path, solutions, pars.wcsname, reusename=pars.reusename, fit=fit, kind=kind)


def _check_distortion(path: str, exposures: Sequence[Exposure]) -> None:
    """The file must still hold the distortion that the exposures were aligned with."""
    now = {c.extver: c.wcs for e in read_exposures([path], mixed_detectors=True) for c in e.chips}
    for chip in (c for e in exposures for c in e.chips):
        packed: PackedWCS = chip.wcs
        if packed.grid_x.size:
            msg = (
                f"{chip.label}: its projection is {chip.header.get('CTYPE1')}; only a tangent plane (TAN, "
                "TAN-SIP) can be corrected by CRVAL and CD. Nothing is written."
            )
            raise DataError(msg)
        other = now.get(chip.extver)
        if other is None or not all(
            np.array_equal(getattr(packed, n), getattr(other, n)) for n in _DISTORTION
        ):
            msg = (
                f"{chip.label}: the distortion in the file differs from the one that was aligned with: it "
                "has changed since. Read the exposures again and align anew. Nothing is written."
            )
            raise DataError(msg)

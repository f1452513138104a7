"""Regions of a session, to and from DS9 files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drizzlewb import distortion
from drizzlewb.errors import DataError, ParameterError
from drizzlewb.exposure import Drawn, Exposure
from drizzlewb.products.ds9_regions import (
    circle_lines,
    drawn_from_regions,
    footprint_lines,
    grid_lines,
    mask_lines,
    write_regions,
)
from drizzlewb.steps.regions import read_regions

__all__ = ["KINDS", "masks_from_ds9", "region_lines", "source_positions", "write_ds9"]

KINDS = ("footprints", "grid", "sources", "masks")


def source_positions(session: Any, exposures: Sequence[Exposure], most: int | None = None) -> np.ndarray:
    """Sources of the alignment by the WCS of these exposures, the brightest first within each chip.

    Parameters
    ----------
    session : Session
    exposures : sequence of Exposure
        Those that were not aligned have none.
    most : int, optional
        How many in all, shared evenly between the exposures.

    Returns
    -------
    ndarray, float64, shape (n, 2)
        RA and Dec, degrees.
    """
    solution = session.solution
    lists = {} if solution is None else {a.rootname: a.sources for a in solution.alignments}
    own = [e for e in exposures if e.rootname in lists]
    found = []
    for exposure in own:
        sources = lists[exposure.rootname]
        order = np.argsort(-np.nan_to_num(sources.flux, nan=-np.inf), kind="stable")
        order = order if most is None else order[: most // len(own)]
        for number, chip in enumerate(exposure.chips):
            mine = order[sources.chip[order] == number]
            found.append(np.column_stack(distortion.pixel_to_sky(chip.wcs, sources.x[mine], sources.y[mine])))
    return np.vstack(found) if found else np.empty((0, 2))


def region_lines(session: Any, product: str | None = None, kinds: Sequence[str] = KINDS) -> list[str]:
    """DS9 regions of a product, with the accepted alignment.

    Parameters
    ----------
    session : Session
    product : str, optional
        Default, the selected or the only one.
    kinds : sequence of {'footprints', 'grid', 'sources', 'masks'}

    Raises
    ------
    ParameterError
        An unknown kind or product.
    DataError
        The output grid cannot be made.
    """
    wrong = sorted(set(kinds) - set(KINDS))
    if wrong:
        msg = f"There are no regions of kind {', '.join(wrong)}: choose from {', '.join(KINDS)}."
        raise ParameterError(msg)
    with session.lock:
        name = session.product_name(product)
        plan = session.state.product(name)
        stack = session.derived.stack(plan)
        lines: list[str] = []
        if "footprints" in kinds:
            lines += footprint_lines(stack)
        if "grid" in kinds:
            lines += grid_lines(session.derived.product(name).grid, f"output grid of {name}")
        if "sources" in kinds:
            lines += circle_lines(*source_positions(session, stack).T)
        if "masks" in kinds:
            lines += mask_lines([m for m in session.state.masks if m.exposure in plan.members], stack)
    return lines


def write_ds9(
    session: Any,
    path: str | Path,
    product: str | None = None,
    *,
    kinds: Sequence[str] = KINDS,
    replace: bool = False,
) -> Path:
    """Write a DS9 region file of a product; see `region_lines`.

    Raises
    ------
    DataError
        There is nothing to write, the file exists and `replace` is False, or it cannot be written.
    """
    lines = region_lines(session, product, kinds)
    if not lines:
        msg = f"There are no {' and no '.join(kinds)} to write."
        raise DataError(msg)
    return write_regions(path, lines, replace=replace)


def masks_from_ds9(session: Any, rootname: str, path: str | Path, extver: int = 0) -> list[Drawn]:
    """Draw the regions of a DS9 file on an exposure (`Session.draw`), each as one step of the history.

    Parameters
    ----------
    session : Session
    rootname : str
    path : path
    extver : int
        SCI extension for regions in image coordinates; regions on the sky mask all chips.

    Returns
    -------
    list of Drawn

    Raises
    ------
    DataError
        See `drizzlewb.products.ds9_regions.drawn_from_regions`; nothing is drawn then.
    """
    exposure = session.derived.exposure(rootname)
    masks = drawn_from_regions(read_regions(path), exposure, extver, str(path))
    with session.lock:
        for mask in masks:
            session.draw(mask)
    return masks

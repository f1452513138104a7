"""An alignment that can be written to its files, and taken back: what `drizzlewb.align` hands back.

What changes headers is imported when they are changed: it needs astropy, whose import takes as long as the
alignment of a small image.
"""

import dataclasses
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drizzlewb.errors import DataError
from drizzlewb.exposure import Exposure, read_exposures
from drizzlewb.grid import OutputGrid
from drizzlewb.parameters.tweakreg import AlignParameters
from drizzlewb.products import catalogs
from drizzlewb.steps import alignment
from drizzlewb.steps.fit import LinearFit
from drizzlewb.steps.solution import Alignment, Solution
from drizzlewb.steps.sources import Sources
from drizzlewb.steps.user_catalogs import SkyCatalog

if TYPE_CHECKING:
    from astropy.table import Table

    from drizzlewb.products.drc import Product
    from drizzlewb.products.headers import Change

__all__ = ["AlignedSolution", "align", "revert"]

log = logging.getLogger(__name__)


def align(
    exposures: Sequence[Exposure] | Any,
    parameters: AlignParameters | None = None,
    *,
    sources: Sequence[Sources] | None = None,
    reference: SkyCatalog | Exposure | None = None,
    progress: Callable[[str, int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    **keywords: Any,
) -> "AlignedSolution":
    """Align exposures to one of them, to another image, or to a catalog; no header is written.

    Parameters
    ----------
    exposures : sequence of Exposure
        In the order of alignment; or what `drizzlewb.read_exposures` takes.
    parameters : AlignParameters, optional
        TweakReg's parameters; DrizzlePac's defaults if not given.
    sources, reference, progress, cancelled
        As for `drizzlewb.steps.alignment.align`.
    **keywords
        Parameters by DrizzlePac's name, on top of `parameters`; see
        `drizzlewb.parameters.AlignParameters`.

    Returns
    -------
    AlignedSolution
        An exposure that cannot be aligned is in it with status 'refused' and its old WCS. With
        ``shiftfile=True`` the shift file is written now; everything else waits for `apply`.

    Raises
    ------
    ParameterError
        Unknown keyword or impossible value.
    DataError
        Nothing to align to, no sources in the reference, a file that cannot be read.
    Cancelled
        If `cancelled` says so.
    """
    pars = (parameters or AlignParameters()).replace(keywords)
    for name, reason in pars.without_effect().items():
        log.info("%s has no effect here: %s", name, reason)
    if isinstance(exposures, (str, os.PathLike)) or not all(isinstance(e, Exposure) for e in exposures):
        exposures = read_exposures(exposures)
    found = alignment.align(
        exposures, pars, sources=sources, reference=reference, progress=progress, cancelled=cancelled
    )
    solution = AlignedSolution(found)
    if pars.shiftfile:
        catalogs.write_shifts(found, pars.outshifts, pars.outwcs)
    return solution


class AlignedSolution:
    """Result of `align`: the fits in memory, and the way to the files and back.

    Attributes
    ----------
    exposures : tuple of Exposure
        With the fitted WCS where one was accepted; any step takes them. After `apply` and `revert` they
        point to the files as they then are: headers have changed their length, so that exposures read
        before must be read again (or taken from here).
    originals : tuple of Exposure
        With the WCS they came with.
    alignments, plane, reference, parameters, groups, fits, scale_mas
        As in `drizzlewb.steps.solution.Solution`.
    """

    def __init__(self, solution: Solution):
        self._solution = solution
        self._changes: list[Change] = []
        self._judged_by: dict[str, float] = {}

    def __repr__(self) -> str:
        states = [a.status for a in self.alignments]
        told = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
        return f"<AlignedSolution: {told}; {'written' if self._changes else 'in memory'}>"

    @property
    def solution(self) -> Solution:
        """The bare solution, as the steps know it."""
        return self._solution.with_cosmic_rays(self._judged_by)

    @property
    def exposures(self) -> tuple[Exposure, ...]:
        """See the class."""
        return self._solution.exposures

    @property
    def originals(self) -> tuple[Exposure, ...]:
        """See the class."""
        return self._solution.originals

    @property
    def alignments(self) -> tuple[Alignment, ...]:
        """What was found for each exposure."""
        return self.solution.alignments

    @property
    def table(self) -> "Table":
        """One row per exposure: shift, rotation, scale, rms_px, rms_mas, nmatch, matrix, verdict."""
        return self.solution.table

    @property
    def plane(self) -> OutputGrid:
        """Tangent plane of the reference, in whose px the fits are."""
        return self._solution.plane

    @property
    def reference(self) -> str:
        """Name of the reference image or catalog."""
        return self._solution.reference

    @property
    def parameters(self) -> AlignParameters:
        """Parameters of the alignment."""
        return self._solution.parameters

    @property
    def groups(self) -> Mapping[str, LinearFit]:
        """Visit to the fit that moved it as one body."""
        return self._solution.groups

    @property
    def fits(self) -> dict[str, LinearFit]:
        """Root name to fit."""
        return self._solution.fits

    @property
    def scale_mas(self) -> float:
        """Milliarcseconds in one px of the plane."""
        return self._solution.scale_mas

    @property
    def applied(self) -> "tuple[Change, ...]":
        """What `apply` has written and `revert` has not taken back."""
        return tuple(self._changes)

    def __getitem__(self, rootname: str) -> Alignment:
        """Alignment of an exposure by root name."""
        return self.solution[rootname]

    def apply(self, *, folder: str | Path | None = ".", **keywords: Any) -> "list[Change]":
        """Write the fitted WCS into the headers, and the catalogs that the parameters ask for.

        Parameters
        ----------
        folder : path or None
            For catalogs, log and table (`write`); None writes headers only.
        **keywords
            wcsname, reusename, headerlet, attach, hdrfile, clobber, hdrname, author, descrip, catalog,
            history, and what `write` goes by: instead of those of the alignment.

        Returns
        -------
        list of Change
            One for each file. The reference image gets the name of the solution too, as in TweakReg;
            files whose alignment was refused are left alone.

        Raises
        ------
        ParameterError
            The name is taken in one of the files (nothing is written then).
        DataError
            A file is read-only or has changed (nothing is written then), or writing failed half-way: the
            message says which files are done; each file is wholly old or wholly new.
        """
        from drizzlewb.products.applying import apply_solution  # late: see the module

        pars = self.parameters.replace(keywords)
        changes: list[Change] = []
        try:
            apply_solution(self._solution, pars, done=changes)
        finally:
            self._changes += changes
            self._refresh({c.path for c in changes})
        if folder is not None:
            self.write(folder, **keywords)
        return changes

    def revert(self) -> "list[Change]":
        """Take back what `apply` has written: the WCS cards become what they were.

        `exposures` keep the fitted WCS in memory.

        Raises
        ------
        DataError
            `apply` has written nothing, or a file was changed by another program since.
        """
        from drizzlewb.products.headers import revert_file  # late: see the module

        if not self._changes:
            msg = "nothing to revert: this alignment was not written to its files (apply)."
            raise DataError(msg)
        done: list[Change] = []
        try:
            while self._changes:
                done.append(revert_file(self._changes[-1].path))
                self._changes.pop()
        finally:
            self._refresh({c.path for c in done})
        return done

    def write(self, folder: str | Path = ".", **keywords: Any) -> list[Path]:
        """Write log, table and, as the parameters ask, catalogs, matches and shift file to a folder.

        ``writecat`` without ``clean`` writes ``.coo`` and ``.match``; ``shiftfile`` the shift file;
        ``runfile`` names the log, and its stem the ECSV table.
        """
        pars, folder = self.parameters.replace(keywords), Path(folder)
        written = []
        if pars.writecat and not pars["tweakreg.clean"]:
            written += catalogs.write_catalogs(self.solution, folder)
            written += catalogs.write_matches(self.solution, folder)
        if pars.shiftfile:
            written += catalogs.write_shifts(self.solution, folder / pars.outshifts, folder / pars.outwcs)
        runfile = pars.runfile.strip()
        if runfile:
            more = [str(change) for change in self._changes]
            written.append(catalogs.write_log(self.solution, folder / runfile, more))
        stem = Path(runfile or "tweakreg.log").with_suffix(".ecsv")
        written.append(catalogs.write_table(self.solution, folder / stem))
        return written

    def judge_with(self, product: "Product | Mapping[str, float]") -> None:
        """Let the verdicts tell in which exposures more cosmic rays are flagged than in the others.

        Parameters
        ----------
        product : Product or mapping
            Made of `exposures`, with ``driz_cr``; or root name to the fraction of the pixels that are
            flagged (``Reduction.cr_fractions()``).

        Raises
        ------
        DataError
            The product's record tells of no cosmic-ray masks.
        """
        if isinstance(product, Mapping):
            fractions = product
        else:
            fractions = product.record.get("results", {}).get("crfraction") or {}
        if not fractions:
            msg = (
                "Judging by cosmic rays: no fraction of flagged pixels is known; make the product with "
                "driz_cr and a median (median, blot)."
            )
            raise DataError(msg)
        self._judged_by = dict(fractions)

    def _refresh(self, paths: set[str]) -> None:
        """Point the exposures to the arrays in files that were replaced; their WCS stays as it is here."""
        if not paths:
            return
        fresh = {
            (path, e.rootname): e
            for path in sorted(paths)
            for e in read_exposures([path], mixed_detectors=True)
        }
        self._solution = dataclasses.replace(
            self._solution,
            exposures=tuple(_relocated(e, fresh) for e in self.exposures),
            originals=tuple(_relocated(e, fresh) for e in self.originals),
        )


def _relocated(exposure: Exposure, fresh: Mapping[tuple[str, str], Exposure]) -> Exposure:
    new = fresh.get((exposure.path, exposure.rootname))
    if new is None:
        return exposure
    planes = {c.extver: c for c in new.chips}
    chips = tuple(
        dataclasses.replace(
            c,
            sci=planes[c.extver].sci,
            dq=planes[c.extver].dq,
            err=planes[c.extver].err,
            header_text=planes[c.extver].header_text,
        )
        for c in exposure.chips
    )
    return dataclasses.replace(exposure, chips=chips, files=new.files, primary_text=new.primary_text)


def revert(files: Any) -> "list[Change]":
    """Take back the last change that was made here to the WCS of files.

    Parameters
    ----------
    files : path, list of paths, or Exposures
        Whatever `drizzlewb.read_exposures` takes.

    Raises
    ------
    DataError
        Nothing to revert in one of them, or another program has changed it since.
    """
    from drizzlewb.exposure.intake import named_files
    from drizzlewb.products.headers import revert_file  # late: see the module

    items = [files] if isinstance(files, (str, os.PathLike, Exposure)) else list(files)
    paths = [i.path for i in items if isinstance(i, Exposure)]
    others = [i for i in items if not isinstance(i, Exposure)]
    if others:
        paths += [named.path for named in named_files(others)]
    return [revert_file(path) for path in dict.fromkeys(paths)]

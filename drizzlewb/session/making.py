"""What a session asks the lower floors to make; the one place where it calls them."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drizzlewb.distortion import replace_tan
from drizzlewb.exposure import Exposure
from drizzlewb.grid import OutputGrid, Region
from drizzlewb.parameters import ReduceParameters
from drizzlewb.products.aligned import AlignedSolution, align
from drizzlewb.products.drc import Product
from drizzlewb.reduction.engine import Reduction
from drizzlewb.reduction.looks import Pieces, cores, masked_box, preview_region, why
from drizzlewb.reduction.prepass import PrePass
from drizzlewb.reduction.run import Cutout, product_unit, reduce
from drizzlewb.reduction.schedule import thread_count
from drizzlewb.session.state import Accepted, AlignmentPlan, ChipSolution, Star
from drizzlewb.session.work import Handle
from drizzlewb.steps.contributions import Contributions, Masked
from drizzlewb.steps.sources import Sources
from drizzlewb.steps.star_cores import StarCores

__all__ = ["Makers", "ProductJob", "accepted_of", "without", "with_solutions"]

NEAR_PX = 1.0
"""A brushed star is the source found within this distance: found again, it may have moved a little."""


@dataclasses.dataclass(frozen=True)
class ProductJob:
    """Everything that a run or a preview of a product needs; immutable, so that work in the background
    does not see what the user changes meanwhile.

    Attributes
    ----------
    name, stem : str
        Name of the product, root name of its files.
    exposures : tuple of Exposure
        With accepted WCS and drawn masks.
    parameters : ReduceParameters
    grid : OutputGrid
        Final grid.
    arrays, folder : Path
        Where medians and masks lie, and where the product goes.
    decisions : dict
        For the record.
    prepass : PrePass or None
        Made before, for the same key.
    """

    name: str
    stem: str
    exposures: tuple[Exposure, ...]
    parameters: ReduceParameters
    grid: OutputGrid
    arrays: Path
    folder: Path
    decisions: dict[str, Any]
    prepass: PrePass | None = None


def interactive_threads(parameters: ReduceParameters) -> int:
    """Threads of interactive work: one core is left to the page."""
    asked = parameters.extra.threads
    return thread_count(asked) if asked is not None else max(1, thread_count() - 1)


class Makers:
    """The lower floors, as a session calls them. Tests put others in their place."""

    def __init__(self) -> None:
        self.pieces = Pieces()

    def align(
        self,
        exposures: Sequence[Exposure],
        plan: AlignmentPlan,
        sources: Sequence[Sources] | None,
        handle: Handle,
    ) -> tuple[AlignedSolution, tuple[Sources, ...]]:
        """Align exposures; the solution, and all sources, those that were brushed out included.

        With `sources` given they are not searched for again.
        """
        # The shift file is written when the user asks for files, and not while trying.
        parameters = plan.parameters.replace(shiftfile=False)
        if parameters.general.exclusions.strip() and parameters.general.refimage.strip():
            sources = None  # given sources would leave the regions of an outside reference image aside
        done = None
        if sources is None:
            done = align(exposures, parameters, progress=handle.report, cancelled=handle.cancelled)
            sources = tuple(a.sources for a in done.alignments)
        if plan.rejected or done is None:
            kept = [without(s, e, plan.rejected) for s, e in zip(sources, exposures, strict=True)]
            done = align(
                exposures, parameters, sources=kept, progress=handle.report, cancelled=handle.cancelled
            )
        return done, tuple(sources)

    def reduction(self, job: ProductJob, handle: Handle) -> Reduction:
        """Begin a reduction; its pre-pass is made or taken over."""
        reduction = Reduction(
            job.exposures,
            job.parameters,
            folder=job.arrays,
            threads=interactive_threads(job.parameters),
            progress=handle.report,
            cancel=handle.cancelling,
            grid=job.grid,
            prepass=job.prepass,
        )
        reduction.prepare()
        return reduction

    def again(self, reduction: Reduction, job: ProductJob) -> Reduction | None:
        """Reduction of a job that shares all but the product with another; None where it cannot."""
        return reduction.again(job.exposures, job.parameters, job.grid)

    def masks(self, reduction: Reduction) -> None:
        """Make median and cosmic-ray masks, as far as they are switched on, and count what is flagged."""
        reduction.make_masks()
        reduction.cr_fractions()

    def median(self, reduction: Reduction) -> None:
        """Make the whole median."""
        reduction.make_median()

    def product(self, job: ProductJob, reduction: Reduction) -> Product:
        """Make the product's files in the job's folder."""
        job.folder.mkdir(parents=True, exist_ok=True)
        return reduce(
            job.exposures,
            job.parameters,
            output=job.folder / job.stem,
            replace=True,
            reduction=reduction,
            decisions=job.decisions,
        )

    def preview(self, reduction: Reduction, region: Region) -> Cutout:
        """One region of the product."""
        unit, factor, _ = product_unit(reduction.exposures, reduction.parameters)
        # It takes less than a tenth of a second once the masks are there: all cores may help.
        threads = thread_count(reduction.parameters.extra.threads)
        tile = preview_region(reduction, region, factor, self.pieces, threads=threads)
        return Cutout(tile.sci, tile.wht, tile.ctx, tile.region, reduction.final_grid, unit)

    def masked(self, reduction: Reduction, number: int, box: Region) -> Masked:
        """One box of a chip with its mask."""
        return masked_box(reduction, number, box)

    def cores(self, reduction: Reduction) -> dict[str, StarCores]:
        """Star-core meter of every exposure."""
        return cores(reduction)

    def why(self, reduction: Reduction, x: int, y: int) -> Contributions:
        """Explain one pixel of the product."""
        unit, factor, _ = product_unit(reduction.exposures, reduction.parameters)
        return why(reduction, x, y, unit, factor)


def without(sources: Sources, exposure: Exposure, rejected: Sequence[Star]) -> Sources:
    """Leave out the sources that were brushed out: for each star the nearest one, within a pixel."""
    keep = np.ones(len(sources), bool)
    numbers = {chip.extver: k for k, chip in enumerate(exposure.chips)}
    for star in rejected:
        if star.exposure != exposure.rootname or star.extver not in numbers or not len(sources):
            continue
        far = np.hypot(sources.x - star.x, sources.y - star.y)
        far[(sources.chip != numbers[star.extver]) | ~np.isfinite(far)] = np.inf
        nearest = int(np.argmin(far))
        if far[nearest] <= NEAR_PX:
            keep[nearest] = False
    return sources if keep.all() else sources.take(keep)


def accepted_of(solution: Any, key: str) -> Accepted:
    """What a user accepts in a solution: the WCS of every exposure that was not refused."""
    chips = []
    for exposure, alignment in zip(solution.exposures, solution.alignments, strict=True):
        if alignment.status == "refused":
            continue
        for chip in exposure.chips:
            ra, dec = (float(v) for v in chip.wcs.crval)
            a, b, c, d = (float(v) for v in np.ravel(chip.wcs.cd))
            chips.append(ChipSolution(exposure.rootname, chip.extver, (ra, dec), (a, b, c, d), chip.wcsname))
    return Accepted(key, str(solution.reference), tuple(chips))


def with_solutions(exposure: Exposure, chips: Sequence[ChipSolution]) -> Exposure:
    """Copy of an exposure with those of these solutions that are its own."""
    own = {c.extver: c for c in chips if c.exposure == exposure.rootname}
    if not own:
        return exposure
    solutions = [
        replace_tan(chip.wcs, own[chip.extver].crval, np.reshape(own[chip.extver].cd, (2, 2)))
        if chip.extver in own
        else chip.wcs
        for chip in exposure.chips
    ]
    return exposure.with_wcs(solutions, wcsname=next(iter(own.values())).wcsname)

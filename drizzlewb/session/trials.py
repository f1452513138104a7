"""What is tried out and measured aside, before a product is made: nothing of it changes the state."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from drizzlewb.errors import DataError, DrizzlewbError
from drizzlewb.exposure import Exposure
from drizzlewb.grid import OutputGrid, Region
from drizzlewb.parameters import ReduceParameters
from drizzlewb.reduction.engine import Reduction
from drizzlewb.reduction.run import product_unit
from drizzlewb.session.cache import Result
from drizzlewb.session.keys import ProductKeys
from drizzlewb.session.making import ProductJob
from drizzlewb.session.runs import Runs, finished, refused
from drizzlewb.session.work import Handle
from drizzlewb.steps.image_quality import Noise, noise_factor
from drizzlewb.steps.noise_theory import dithered_noise_factor
from drizzlewb.steps.sampling import Sampling, predict_sampling, scales_around
from drizzlewb.steps.sweep import Measured, half_stack_noise, look_at_region, measure_region, native_noise
from drizzlewb.steps.weight_check import (
    WeightCheck,
    check_images,
    exposure_count,
    find_stars,
    full_overlap,
)

if TYPE_CHECKING:
    from drizzlewb.session.session import Session

__all__ = ["PIXFRACS", "HalfStacks", "Trials", "Weighed", "owners"]

PIXFRACS = tuple(round(0.1 * k, 1) for k in range(1, 11))
"""Pixfracs that are tried: 0.1 to 1.0, both included."""


@dataclass(frozen=True, eq=False)
class HalfStacks:
    """Noise of a region from its half stacks, beside theory.

    Attributes
    ----------
    odd, even : int
        Exposures in each half.
    unit : str
        Of the noise per pixel.
    measured : Noise
        Of the whole stack, from the halves' difference.
    pixel_theory : float
        Noise per pixel that sky, dark and read noise give, with `factor_dithers`.
    factor_formula : float
        R of Casertano et al. 2000 for many even dithers.
    factor_dithers : float
        R that these very dithers give; NaN but for the square kernel.
    """

    odd: int
    even: int
    unit: str
    measured: Noise
    pixel_theory: float
    factor_formula: float
    factor_dithers: float


@dataclass(frozen=True, eq=False)
class Weighed:
    """Check of the weights of a product, or of a previewed region of it.

    Attributes
    ----------
    whole : bool
        Whether it is of the finished product.
    sci, wht : float32[ny, nx]
    count : uint16[ny, nx]
        Contributing exposures.
    region : Region
        Where these pixels lie in the final grid.
    grid : OutputGrid
        The whole final grid.
    scale_ratio : float
        Output pixel over input pixel.
    check : WeightCheck
    """

    whole: bool
    sci: np.ndarray
    wht: np.ndarray
    count: np.ndarray
    region: Region
    grid: OutputGrid
    scale_ratio: float
    check: WeightCheck


def owners(exposures: Sequence[Exposure]) -> list[int]:
    """Number of the exposure that each chip of a stack belongs to."""
    return [number for number, exposure in enumerate(exposures) for _ in exposure.chips]


def part_of(grid: OutputGrid, region: Region) -> OutputGrid:
    """Grid of a region alone."""
    crpix = grid.wcs.crpix - np.array([region.x0, region.y0])
    return OutputGrid(grid.wcs._replace(crpix=crpix), region.shape, grid.radesys)


class Trials:
    """Measurements aside: `Session.trials`.

    Each method hands back a handle at once; `found` gives what was measured for the present parameters.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: "Session") -> None:
        self.session = session

    @property
    def runs(self) -> Runs:
        """The session's work."""
        return self.session.runs

    # ---------------------------------------------------------------- for panels
    def sampling(self, product: str | None = None) -> Handle:
        """Predict evenness of weights, holes and R over scale and pixfrac; see `steps.sampling`.

        Where the cosmic-ray masks are there already, their fractions are taken.
        """

        def make(job: ProductJob, _: Callable, handle: Handle) -> Sampling:
            chip = job.exposures[0].chips[0]
            rays = _ray_fractions(self.session, job.name)
            number = [0]

            def check() -> None:
                handle.cancelling.check()
                handle.report("predicting the sampling", number[0], 16)
                number[0] += 1

            return predict_sampling(
                job.exposures,
                job.grid,
                scales_around(chip.pixel_scale_arcsec, job.grid.scale_arcsec),
                PIXFRACS,
                kernel=job.parameters.final.final_kernel,
                bits=job.parameters.final.final_bits,
                cr_fractions=rays,
                check=check,
            )

        return self._submit("sampling", product, make)

    def sweep(self, product: str | None = None, pixfracs: Sequence[float] = PIXFRACS) -> Handle:
        """Drizzle the previewed region for several pixfracs and measure it: a list of `Measured`."""

        def make(job: ProductJob, reduction: Callable, handle: Handle) -> list[Measured]:
            region = self.region(job.name, job.grid)
            own, factor = owners(job.exposures), _factor(job)
            first = reduction(job.parameters.replace(final_pixfrac=max(pixfracs))).product(region, factor)
            area, found = look_at_region(first.sci, exposure_count(first.ctx, own), job.grid.scale_arcsec)
            rows = []
            halves = [range(k, len(job.exposures), 2) for k in (0, 1)]
            for number, pixfrac in enumerate(pixfracs):
                handle.report("measured sweep", number, len(pixfracs))
                tried = reduction(job.parameters.replace(final_pixfrac=pixfrac))
                made = tried.product(region, factor)
                parts = [tried.product(region, factor, only=half) for half in halves if len(half)]
                rows.append(
                    measure_region(
                        made.sci,
                        made.wht,
                        area,
                        found,
                        halves=[(p.sci, p.wht) for p in parts],
                        pixfrac=pixfrac,
                        scale_ratio=_ratio(job),
                        scale_arcsec=job.grid.scale_arcsec,
                    )
                )
            return rows

        return self._submit("sweep", product, make, tuple(pixfracs))

    def half_stacks(self, product: str | None = None) -> Handle:
        """Noise of the previewed region from odd against even exposures, beside theory: `HalfStacks`.

        Both halves are drizzled with the sky and the cosmic-ray masks of the whole stack.
        """

        def make(job: ProductJob, reduction: Callable, handle: Handle) -> HalfStacks:
            number = len(job.exposures)
            if number < 2:
                msg = "Half stacks need two exposures at least; this product has one."
                raise DataError(msg)
            whole, region, factor = reduction(job.parameters), self.region(job.name, job.grid), _factor(job)
            full = whole.product(region, factor)
            area = full_overlap(exposure_count(full.ctx, owners(job.exposures)))
            blank = find_stars(full.sci, area, job.grid.scale_arcsec).blank
            halves = []
            for first in (0, 1):
                handle.report("half stacks", first, 2)
                halves.append(whole.product(region, factor, only=range(first, number, 2)))
            odd, even = halves
            p, ratio = job.parameters.final, _ratio(job)
            pixfrac = p.final_pixfrac
            noise = half_stack_noise((odd.sci, odd.wht), (even.sci, even.wht), blank, pixfrac / ratio)
            formula = noise_factor(ratio, pixfrac)
            dithers = float("nan")
            if p.final_kernel == "square" and pixfrac > 0:
                own = part_of(job.grid, region)
                dithers = dithered_noise_factor(own, job.exposures, pixfrac, area)
            factor_used = dithers if np.isfinite(dithers) else formula
            theory = _sky_noise(whole, full.wht[blank], p.final_wht_type, ratio) * factor
            return HalfStacks(
                len(range(0, number, 2)),
                len(range(1, number, 2)),
                product_unit(job.exposures, job.parameters)[0],
                noise,
                theory * ratio / factor_used,
                formula,
                dithers,
            )

        return self._submit("half stacks", product, make)

    def weights(self, product: str | None = None) -> Handle:
        """Check the weights of the product if it is there, else of the previewed region: `Weighed`."""

        def make(job: ProductJob, reduction: Callable, handle: Handle) -> Weighed:
            made = self.session.result(job.name)
            if made is not None and made.ctx is not None:
                sci, wht, ctx = made.sci, made.wht, made.ctx
                region, whole = Region(0, sci.shape[0], 0, sci.shape[1]), True
            else:
                region, whole = self.region(job.name, job.grid), False
                tile = reduction(job.parameters).product(region, _factor(job))
                sci, wht, ctx = tile.sci, tile.wht, tile.ctx
            handle.report("checking the weights", 0, 1)
            count = exposure_count(ctx, owners(job.exposures))
            check = check_images(sci, wht, count, part_of(job.grid, region), exposures=job.exposures)
            return Weighed(whole, sci, wht, count, region, job.grid, _ratio(job), check)

        return self._submit("weights", product, make)

    def found(self, kind: str, product: str | None = None) -> Any:
        """What was measured for the present parameters and region, or None.

        Parameters
        ----------
        kind : {'sampling', 'sweep', 'half stacks', 'weights'}
        product : str, optional
        """
        with self.session.lock:
            try:
                name = self.session.product_name(product)
                keys = self.session.derived.product(name)
                result = self.session.cache.get(kind, self._key(kind, name, keys, PIXFRACS))
            except DrizzlewbError:
                return None
        return None if result is None else result.value

    def running(self, kind: str, product: str | None = None) -> bool:
        """Whether one is being measured."""
        name = self.session.product_name(product)
        return any((h.kind, h.where) == (kind, name) and not h.over for h in self.runs.aside.handles)

    # ---------------------------------------------------------------- inside
    def region(self, name: str, grid: OutputGrid) -> Region:
        """Region that is looked at: the previewed one, or the selection's where the grid has changed."""
        runs, shown = self.runs, self.session.shown.get(name)
        if shown is not None and shown.cutout.grid == grid:
            return shown.cutout.region
        return runs.region(ProductKeys({}, "", grid), None, None, None)

    def _key(self, kind: str, name: str, keys: ProductKeys, pixfracs: Sequence[float]) -> str:
        """What a measurement depends on."""
        final = self.session.parameters(name).final
        if kind == "sampling":
            rays = self.session.cache.has("crmask", keys.steps["crmask"])
            parts: list[Any] = [
                keys.steps["sky"],
                keys.grid.digest(),
                final.final_kernel,
                final.final_bits,
                rays,
            ]
        else:
            region = self.region(name, keys.grid)
            parts = [tuple(region), keys.pixels]
            if kind == "sweep":
                others = final.model_copy(update={"final_pixfrac": 1.0}).model_dump_json()
                parts = [tuple(region), keys.steps["crmask"], keys.grid.digest(), others, tuple(pixfracs)]
            if kind == "weights" and self.session.cache.has("product", keys.steps["product"]):
                parts = [keys.steps["product"]]
        return hashlib.sha256(repr((kind, parts)).encode()).hexdigest()[:32]

    def _submit(
        self,
        kind: str,
        product: str | None,
        make: Callable[[ProductJob, Callable[[ReduceParameters], Reduction], Handle], Any],
        pixfracs: Sequence[float] = PIXFRACS,
    ) -> Handle:
        session, runs = self.session, self.runs
        with session.lock:
            name = session.product_name(product)
            try:
                keys = session.derived.product(name)
                key = self._key(kind, name, keys, pixfracs)
                job = runs.job(name, keys)
            except DrizzlewbError as error:
                return refused(kind, name, (kind,), error)
            known = session.cache.get(kind, key)
            if known is not None:
                return finished(kind, name, (kind,), known.value)
            for old in [h for h in runs.aside.handles if (h.kind, h.where) == (kind, name)]:
                old.drop("superseded")

            def work(handle: Handle, note: Callable[[str], None]) -> tuple[Any, list[Result]]:
                note(kind)

                own: list[Reduction] = []

                def reduction(parameters: ReduceParameters) -> Reduction:
                    other = runs.with_prepass(replace(job, parameters=parameters), keys)
                    made = runs.again(other)
                    for earlier in own:
                        made = made or runs.makers.again(earlier, other)
                    if made is None:
                        made = runs.makers.reduction(other, handle)
                        runs.keep_prepass(other, keys, made)
                        own.append(made)
                    made.cancel, made.progress = handle.cancelling, handle.report
                    return made

                value = make(job, reduction, handle)
                return value, [Result(kind, key, value)]

            return runs.submit(runs.aside, kind, name, (kind,), {kind: key}, work)


def _factor(job: ProductJob) -> float:
    return product_unit(job.exposures, job.parameters)[1]


def _ratio(job: ProductJob) -> float:
    return job.grid.scale_arcsec / job.exposures[0].chips[0].pixel_scale_arcsec


def _ray_fractions(session: "Session", name: str) -> list[float] | None:
    """Fractions that the cosmic-ray step found, where it was run for the present parameters."""
    reduction = session.result(name, "crmask")
    return list(reduction.cr_fractions().values()) if reduction is not None else None


def _sky_noise(reduction: Reduction, weights: np.ndarray, kind: str, ratio: float) -> float:
    """Noise of a native pixel's sky in the stack, electrons/s, from sky, dark and read noise."""
    variances, seconds = [], []
    for number, exposure in enumerate(reduction.exposures):
        chips = [c for c in reduction.chips if c.exposure == number]
        variances.append(
            float(
                np.mean([c.sky_present + c.chip.dark * c.chip.exptime + c.chip.read_noise**2 for c in chips])
            )
        )
        seconds.append(exposure.exptime)
    used = float(np.median(weights)) / ratio**2 if kind == "EXP" and weights.size else None
    return native_noise(variances, seconds, used)

"""The whole-image numbers: static masks, sky and counts of good pixels."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drizzlewb.errors import DataError
from drizzlewb.exposure import Chip, Exposure, Plane
from drizzlewb.grid import Region
from drizzlewb.parameters import ReduceParameters
from drizzlewb.reduction.schedule import Cancel, Progress, map_unordered, no_progress
from drizzlewb.steps import sky as sky_step
from drizzlewb.steps import static_mask
from drizzlewb.steps.companions import flat_plane, user_weight_plane
from drizzlewb.steps.prepared import PreparedChip

__all__ = ["PrePass", "run_prepass"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PrePass:
    """Result of the pre-pass.

    Attributes
    ----------
    chips : list of list of PreparedChip
        Per exposure, in stack order.
    sky : sky_step.SkySolution
        Values per chip and overlap residuals.
    """

    chips: list[list[PreparedChip]]
    sky: sky_step.SkySolution


def _signature(chip: Chip) -> tuple:
    """Chips of one signature share a static mask: the same detector, chip and size."""
    return (chip.detector, chip.chip, chip.shape)


def _whole(chip: Chip) -> Region:
    return Region(0, chip.shape[0], 0, chip.shape[1])


def _static_masks(
    exposures: Sequence[Exposure],
    parameters: ReduceParameters,
    cancel: Cancel,
    progress: Progress,
    threads: int | None,
) -> dict[tuple, np.ndarray]:
    """One mask per signature, the AND over all exposures; ANDing does not depend on the order."""
    chips = [chip for exposure in exposures for chip in exposure.chips]
    masks = {_signature(chip): np.ones(chip.shape, np.uint8) for chip in chips}
    lock = threading.Lock()

    def mask_chip(chip: Chip) -> str:
        sci = chip.read_sci(_whole(chip))
        cancel.check()
        limit = static_mask.threshold(sci, parameters.static.static_sig)
        with lock:
            static_mask.and_into(masks[_signature(chip)], sci, limit)
        return f"{chip.path.rsplit('/', 1)[-1]} chip {chip.extver}"

    for done, message in enumerate(map_unordered(mask_chip, chips, cancel, threads), 1):
        progress("static mask", done, len(chips), message)
    return masks


def run_prepass(
    exposures: Sequence[Exposure],
    parameters: ReduceParameters,
    *,
    cancel: Cancel | None = None,
    progress: Progress = no_progress,
    threads: int | None = None,
) -> PrePass:
    """Measure what must be known of whole images before any tile can be made.

    Each input is read once for the static masks and once for sky and good pixels, because the sky
    leaves out what the static mask of *all* exposures holds.

    Parameters
    ----------
    exposures : sequence of Exposure
        The stack.
    parameters : ReduceParameters
        ``static*``, ``sky*``, ``driz_sep_bits``, ``final_bits``, ``resetbits``.
    cancel, progress, threads
        See `drizzlewb.reduction.schedule`.

    Returns
    -------
    PrePass

    Raises
    ------
    DataError
        An exposure without a usable pixel, or none left at all.
    """
    cancel = cancel or Cancel()
    masks: dict[tuple, np.ndarray] = {}
    if parameters.static.static:
        masks = _static_masks(exposures, parameters, cancel, progress, threads)
    resetbits = parameters.general.resetbits or 0
    flat = [(k, chip) for k, exposure in enumerate(exposures) for chip in exposure.chips]
    blank = [
        PreparedChip(chip, number, k, masks.get(_signature(chip)), resetbits=resetbits)
        for number, (k, chip) in enumerate(flat)
    ]
    blocks = sky_step.block_side(
        len(flat), parameters, max(chip.shape[0] * chip.shape[1] for _, chip in flat)
    )

    def measure(prepared: PreparedChip) -> tuple[int, int, object]:
        chip = prepared.chip
        sci = chip.read_sci(_whole(chip))
        cancel.check()
        finite = np.isfinite(sci).view(np.uint8)
        good = prepared.read_good(_whole(chip), parameters.separate.driz_sep_bits)
        good &= finite
        count = int(np.count_nonzero(good))
        cancel.check()
        measured = None
        if parameters.sky.skysub:
            if parameters.sky.sky_bits != parameters.separate.driz_sep_bits or not parameters.sky.use_static:
                bare = (
                    prepared if parameters.sky.use_static else PreparedChip(chip, 0, 0, resetbits=resetbits)
                )
                good = bare.read_good(_whole(chip), parameters.sky.sky_bits)
                good &= finite
            sky_step.apply_user_mask(good, chip, parameters)
            cancel.check()
            measured = sky_step.measure_chip(sci, good, parameters.sky, blocks)
        return prepared.number, count, measured

    counts = [0] * len(flat)
    measures: list = [None] * len(flat)
    for done, (number, count, measured) in enumerate(map_unordered(measure, blank, cancel, threads), 1):
        counts[number], measures[number] = count, measured
        progress("sky", done, len(flat), blank[number].chip.path)
    _refuse_empty(exposures, flat, counts, parameters)
    cancel.check()
    solution = sky_step.solve(exposures, measures, parameters)
    cancel.check()
    if solution.method == "none" and parameters.final.final_wht_type == "IVM":
        log.warning(
            "skysub is off and no sky is declared: the noise of the IVM weights leaves out the sky that the "
            "pixels hold. Name the header keyword that holds it (skyuser), or have it measured (skysub)."
        )

    def companions(exposure: int, chip: Chip) -> tuple[Plane | None, Plane | None]:
        if parameters.final.final_wht_type != "IVM":
            return None, None
        return user_weight_plane(exposures[exposure], chip), flat_plane(exposures[exposure], chip)

    prepared: list[list[PreparedChip]] = [[] for _ in exposures]
    for chip, count, value in zip(blank, counts, solution.values, strict=True):
        prepared[chip.exposure].append(
            PreparedChip(
                chip.chip,
                chip.number,
                chip.exposure,
                chip.static,
                value.subtracted_e,
                value.present_e,
                count,
                resetbits,
                *companions(chip.exposure, chip.chip),
                sky_removed=value.header_e - value.subtracted_e,
            )
        )
    return PrePass(prepared, solution)


def _refuse_empty(
    exposures: Sequence[Exposure], flat: list, counts: list[int], parameters: ReduceParameters
) -> None:
    for k, exposure in enumerate(exposures):
        if sum(n for n, (index, _) in zip(counts, flat, strict=True) if index == k) == 0:
            msg = (
                f"Exposure {exposure.rootname} ({exposure.path}) has no usable pixel: each is flagged in DQ "
                f"(driz_sep_bits={parameters.separate.driz_sep_bits!r} are taken as good), masked, or not a "
                "finite number. Leave it out, or widen driz_sep_bits and final_bits."
            )
            raise DataError(msg)

"""Sky of each chip: what is subtracted, and what fell on the detector."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from drizzlewb.exposure import Chip, Exposure
from drizzlewb.kernels.blocks import N_BINS, block_histograms
from drizzlewb.kernels.statistics import MEDIAN, STATISTICS, clipped_statistics, only_good
from drizzlewb.parameters import ReduceParameters
from drizzlewb.parameters.cleaning import Sky
from drizzlewb.steps.sky_match import Blocks, Overlaps, find_overlaps, match_offsets
from drizzlewb.steps.sky_user import SkyValue, apply_user_mask, declared_values

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = [
    "ChipSky",
    "SkySolution",
    "SkyValue",
    "apply_user_mask",
    "block_side",
    "brightness_per_electron",
    "measure_chip",
    "solve",
]

log = logging.getLogger(__name__)

_BLOCK_SIDES = (8, 16, 24, 32, 48, 64, 96, 128, 192, 255)
_BLOCK_BUDGET = 96e6  # bytes for the histograms of all chips together
_CHIP_AREA = 2048 * 4096  # pixels of the largest chips


class ChipSky(NamedTuple):
    """Sky measured on one chip.

    Attributes
    ----------
    value_e : float
        Clipped statistic (``skystat``) of the usable pixels, electrons; NaN if there is none.
    sigma_e : float
        Their clipped standard deviation, electrons.
    n : int
        Number of pixels left after clipping.
    blocks : Blocks or None
        Histograms of the chip's blocks, for the two match methods.
    """

    value_e: float
    sigma_e: float
    n: int
    blocks: Blocks | None = None


@dataclass(frozen=True, eq=False)
class SkySolution:
    """Sky of all chips and how well it matches in the overlaps.

    Brightnesses are in electrons/s/arcsec^2.

    Attributes
    ----------
    method : str
        ``skymethod``, or 'skyfile', 'skyuser', 'none'.
    values : list of SkyValue
        Per chip, in stack order.
    measures : list of ChipSky or None
        Per chip; None where nothing was measured.
    offsets : ndarray of float64, shape (n_exposures,)
        Brightness subtracted from each exposure; NaN where each chip has a value of its own.
    groups : ndarray of int, shape (n_exposures,)
        Exposures that overlap, directly or through others, share a number; -1 where no overlap
        could be measured. The match methods know nothing of differences between groups.
    overlaps : Overlaps or None
        Measured overlaps (match methods).
    """

    method: str
    values: list[SkyValue]
    measures: list[ChipSky | None]
    offsets: np.ndarray
    groups: np.ndarray
    overlaps: Overlaps | None = None
    chips: list[tuple[str, int, float]] = field(default_factory=list)

    def residual_matrix(self, *, after: bool = True) -> np.ndarray:
        """Differences of sky between exposures in their overlaps.

        Parameters
        ----------
        after : bool
            With the solution subtracted; else as measured.

        Returns
        -------
        ndarray of float64, shape (n_exposures, n_exposures)
            ``[i, j]``: sky of i less sky of j where they overlap, e-/s/arcsec^2; NaN where they do
            not. Antisymmetric.
        """
        n = len(self.offsets)
        matrix = np.full((n, n), np.nan)
        if self.overlaps is not None:
            o = self.overlaps
            difference = o.sky_i - o.sky_j
            if after:
                offsets = np.nan_to_num(self.offsets)
                difference = difference - (offsets[o.i] - offsets[o.j])
            matrix[o.i, o.j] = difference
            matrix[o.j, o.i] = -difference
        return matrix

    def table(self) -> "Table":
        """One row per chip: file, extver, MDRIZSKY (file's unit), and the rest in electrons."""
        from astropy.table import Table  # late: tables are slow to import

        rows = []
        for (path, extver, to_electrons), value, measure in zip(
            self.chips, self.values, self.measures, strict=True
        ):
            m = measure or ChipSky(math.nan, math.nan, 0)
            rows.append(
                (
                    path,
                    extver,
                    value.header_e / to_electrons,
                    value.subtracted_e,
                    value.present_e,
                    m.value_e,
                    m.sigma_e,
                    m.n,
                )
            )
        names = ("file", "extver", "MDRIZSKY", "subtracted_e", "present_e", "measured_e", "sigma_e", "n")
        return Table(rows=rows, names=names)


def block_side(n_chips: int, parameters: ReduceParameters, chip_area: int = _CHIP_AREA) -> int:
    """Side in pixels of the blocks whose histograms the match methods merge.

    Parameters
    ----------
    n_chips : int
        Chips in the stack.
    parameters : ReduceParameters
        ``skysub``, ``skymethod``, ``skyfile``.
    chip_area : int
        Pixels of the largest chip.

    Returns
    -------
    int
        0 where no blocks are needed; else the smallest side, from 8 px on, with which the
        histograms of all chips take no more than 96 MB.
    """
    p = parameters.sky
    if not p.skysub or p.skyfile or "match" not in p.skymethod or n_chips < 2:
        return 0
    for side in _BLOCK_SIDES:
        if n_chips * chip_area / side**2 * N_BINS * 2 <= _BLOCK_BUDGET:
            return side
    return _BLOCK_SIDES[-1]


def measure_chip(sci: np.ndarray, good: np.ndarray, parameters: Sky, block: int = 0) -> ChipSky:
    """Measure the sky of one chip.

    Parameters
    ----------
    sci : ndarray, shape (ny, nx), float32
        The whole chip, electrons.
    good : ndarray, shape (ny, nx), uint8
        1 where a pixel may be used (``sky_bits``, static mask, user mask). NaN and inf are left out
        whatever it says.
    parameters : Sky
        ``skystat``, ``skyclip``, ``skylsigma``, ``skyusigma``, ``skylower``, ``skyupper``,
        ``skywidth``.
    block : int
        From :func:`block_side`; 0 makes no histograms.

    Returns
    -------
    ChipSky
    """
    values = np.empty(sci.size, np.float32)
    only_good(
        np.ascontiguousarray(sci, np.float32).reshape(-1), np.ascontiguousarray(good).reshape(-1), values
    )
    wanted = STATISTICS[parameters.skystat]
    stats = clipped_statistics(values, *clipping(parameters), wanted)
    if stats.n == 0:
        return ChipSky(math.nan, math.nan, 0)
    value = {"mean": stats.mean, "median": stats.median, "mode": stats.mode}[parameters.skystat]
    blocks = None
    if block:
        # the core of the histogram follows the sky, however few the clipping rounds of the user
        thorough = parameters.skyclip >= 3 and max(parameters.skylsigma, parameters.skyusigma) <= 5
        if wanted == MEDIAN and thorough and parameters.skylower is None and parameters.skyupper is None:
            core = stats
        else:
            core = clipped_statistics(values, 5, 3.0, 3.0, -np.inf, np.inf, 0.1, MEDIAN)
        width = max(core.stddev / 20.0, 1e-6 * max(abs(core.median), 1.0))
        shape = (-(-sci.shape[0] // block), -(-sci.shape[1] // block), N_BINS)
        counts = np.empty(shape, np.uint16)
        block_histograms(sci, good, block, core.median, width, counts)
        blocks = Blocks(counts, block, float(core.median), float(width))
    return ChipSky(float(value), float(stats.stddev), int(stats.n), blocks)


def clipping(p: Sky) -> tuple[int, float, float, float, float, float]:
    """Arguments of the clipping kernels: rounds, limits in sigma, limits in electrons, bin width."""
    lower = -np.inf if p.skylower is None else float(p.skylower)
    upper = np.inf if p.skyupper is None else float(p.skyupper)
    return int(p.skyclip), float(p.skylsigma), float(p.skyusigma), lower, upper, float(p.skywidth or 0.1)


def brightness_per_electron(chip: Chip) -> float:
    """e-/s/arcsec^2 of one electron per pixel of this chip (pixel area from the plate scale)."""
    return 1.0 / (chip.exptime * chip.pixel_scale_arcsec**2)


def solve(
    exposures: Sequence[Exposure], measures: Sequence[ChipSky | None], parameters: ReduceParameters
) -> SkySolution:
    """Decide what is subtracted from each chip.

    Parameters
    ----------
    exposures : sequence of Exposure
        The stack; chips are numbered through in order of exposure and chip.
    measures : sequence of ChipSky or None
        Per chip, from :func:`measure_chip`; None if ``skysub`` is off.
    parameters : ReduceParameters
        ``skysub``, ``skymethod``, ``skyfile``, ``skyuser`` and those of the statistic.

    Returns
    -------
    SkySolution

    Raises
    ------
    ParameterError
        ``skyfile`` or ``skyuser`` cannot be used.

    Notes
    -----
    ``stsci.skypac.skymatch`` as AstroDrizzle calls it. One brightness is subtracted from all chips
    of an exposure, so many electrons as exposure time and plate scale make of it:

    - *localmin*: the lowest chip of each exposure.
    - *globalmin*: the lowest chip of all.
    - *match*: offsets that make the exposures agree in their overlaps (see `sky_match`), the
      lowest 0.
    - *globalmin+match*: those offsets plus the lowest chip of all after their subtraction.

    What is present on the detector is the localmin value, whichever is subtracted. Where overlaps
    leave separate groups, or an exposure by itself, "the lowest" is that of the group, since nothing
    is known of differences between them (the peer: the lowest of all, after an arbitrary offset; an
    exposure by itself is left as it was in match).
    """
    chips = [chip for exposure in exposures for chip in exposure.chips]
    owner = np.array([k for k, exposure in enumerate(exposures) for _ in exposure.chips], int)
    identity = [(chip.path, chip.extver, chip.to_electrons) for chip in chips]
    measures = list(measures)
    p = parameters.sky
    n = len(exposures)
    alone = np.arange(n)
    if not p.skysub or p.skyfile:
        method, values = declared_values(exposures, p)
        return SkySolution(method, values, measures, np.full(n, np.nan), alone, chips=identity)

    factor = np.array([brightness_per_electron(chip) for chip in chips])
    measured = np.array([m.value_e if m is not None and m.n else np.nan for m in measures]) * factor
    local = np.full(n, np.nan)
    np.fmin.at(local, owner, measured)
    for k in np.flatnonzero(np.isnan(local)).tolist():
        log.warning("%s has no pixel to measure the sky on: its sky is taken as 0", exposures[k].rootname)
    lowest = float(np.nanmin(local)) if np.isfinite(local).any() else 0.0

    overlaps = None
    groups = alone
    if p.skymethod == "localmin":
        offsets = np.nan_to_num(local)
    elif p.skymethod == "globalmin":
        offsets = np.full(n, lowest)
    else:
        blocks = [m.blocks if m is not None else None for m in measures]
        wanted = STATISTICS[p.skystat]
        overlaps = find_overlaps(chips, owner, factor, blocks, clipping(p), wanted)
        offsets, groups = match_offsets(overlaps, n)
        for k in np.flatnonzero(groups < 0).tolist():
            if n > 1:
                log.warning("%s overlaps no other exposure: no sky to match", exposures[k].rootname)
        if groups.max(initial=0) > 0:
            log.warning("exposures fall into %d groups that do not overlap", groups.max() + 1)
        if p.skymethod == "globalmin+match":
            # an exposure without overlaps is a group of its own
            label = np.where(groups >= 0, groups, groups.max() + 1 + alone)
            base = np.full(label.max() + 1, np.nan)
            np.fmin.at(base, label[owner], measured - offsets[owner])
            offsets = offsets + np.nan_to_num(base)[label]
    present = np.nan_to_num(local)
    values = [
        SkyValue(float(offsets[k] / f), float(present[k] / f), float(offsets[k] / f))
        for k, f in zip(owner, factor, strict=True)
    ]
    return SkySolution(p.skymethod, values, measures, offsets, groups, overlaps, identity)

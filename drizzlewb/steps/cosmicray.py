"""Cosmic-ray mask of a box of one chip, from the median image blotted back onto it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drizzlewb.exposure import Chip
from drizzlewb.grid import Region, grid_region
from drizzlewb.kernels import blot, cosmicray
from drizzlewb.parameters import ReduceParameters
from drizzlewb.steps.prepared import Placed, PreparedChip

__all__ = [
    "Compared",
    "blot_box",
    "blotted_median",
    "compared",
    "crmask_box",
    "grown_mask",
    "judged",
    "median_under",
    "sky_added",
]


def _grown(placed: Placed, box: Region, parameters: ReduceParameters) -> Region:
    p = parameters.cosmicray
    margin = cosmicray.margin(p.driz_cr_grow, p.driz_cr_ctegrow)
    return box.grow(margin).clip(placed.prepared.chip.shape)


def median_under(placed: Placed, box: Region, parameters: ReduceParameters) -> Region:
    """Pixels of the separate grid that the cosmic-ray mask of a chip box reads."""
    return _under(placed, _grown(placed, box, parameters), parameters)


def _under(placed: Placed, box: Region, parameters: ReduceParameters) -> Region:
    chip = placed.prepared.chip
    reach = blot.margin(blot.INTERPOLANTS[parameters.blot.blot_interp])
    return grid_region(chip.wcs, chip.shape, box, placed.grid).grow(reach + 1).clip(placed.grid.shape)


def sky_added(prepared: PreparedChip, parameters: ReduceParameters) -> float:
    """Sky that is added to a blotted image, electrons: the subtracted one, or ``blot_skyval``."""
    return prepared.sky_subtracted if parameters.blot.blot_addsky else parameters.blot.blot_skyval


def blot_box(
    placed: Placed, box: Region, median: np.ndarray, origin: tuple[int, int], parameters: ReduceParameters
) -> np.ndarray:
    """The median image as this chip would have seen it, without sky.

    Parameters
    ----------
    placed : Placed
        Chip on the separate grid.
    box : Region
        Chip pixels.
    median : ndarray of float32
        Piece of the median image, electrons/s per separate-grid pixel.
    origin : (int, int)
        (y, x) of its first pixel in the separate grid.
    parameters : ReduceParameters
        ``blot_interp``, ``blot_sinscl``.

    Returns
    -------
    ndarray of float32
        Electrons per chip pixel over the exposure.
    """
    p = parameters.blot
    chip = placed.prepared.chip
    out = np.empty(box.shape, np.float32)
    blot.blot_box(
        median, origin[1], origin[0], placed.grid.shape[1], placed.grid.shape[0], chip.wcs, placed.h,
        blot.INTERPOLANTS[p.blot_interp], chip.exptime / placed.scale**2, np.float32(0.0), p.blot_sinscl,
        box.x0, box.y0, out,
    )  # fmt: skip
    return out


@dataclass(frozen=True, eq=False)
class Compared:
    """A box of a chip beside the blotted median, as the cosmic-ray test sees both.

    Attributes
    ----------
    box : Region
        Chip pixels.
    sci, blot : ndarray of float32
        Electrons over the exposure, with the sky in both.
    background : float
        Electrons added to the blot in the noise; see `drizzlewb.kernels.cosmicray.noise_background`.
    chip : Chip
    """

    box: Region
    sci: np.ndarray
    blot: np.ndarray
    background: float
    chip: Chip

    def limits(self, snr: float, scale: float) -> np.ndarray:
        """Largest difference (float32, electrons) that passes one test; wrong in the outermost pixels."""
        out = np.empty(self.box.shape, np.float32)
        cosmicray.limits(
            self.blot, self.box.y0, self.box.x0, *self.chip.shape, self.background, self.chip.read_noise,
            snr, scale, out,
        )  # fmt: skip
        return out


def blotted_median(
    placed: Placed, box: Region, read_median: Callable[[Region], np.ndarray], parameters: ReduceParameters
) -> np.ndarray:
    """`blot_box` with the piece of the median image that it needs."""
    under = _under(placed, box, parameters)
    return blot_box(placed, box, read_median(under), (under.y0, under.x0), parameters)


def compared(
    placed: Placed,
    box: Region,
    read_median: Callable[[Region], np.ndarray],
    parameters: ReduceParameters,
    read_blot: Callable[[Placed, Region], np.ndarray] | None = None,
) -> Compared:
    """Lay a box of a chip, grown by what the test and its spread need, beside the blotted median.

    The noise is that of the blotted image plus the sky present on the detector, counted once. With
    ``peer_noise`` the sky is counted as DrizzlePac counts it: a blot that contains the subtracted
    sky, plus the subtracted sky.

    Parameters
    ----------
    placed, box, read_median, parameters, read_blot
        As for `crmask_box`.
    """
    prepared = placed.prepared
    chip = prepared.chip
    grown = _grown(placed, box, parameters)
    if read_blot is not None:
        blotted = read_blot(placed, grown)
    else:
        blotted = blotted_median(placed, grown, read_median, parameters)
    sci = chip.read_sci(grown)
    # Compared with the sky in both, as DrizzlePac does: it enters the derivative at the chip's border.
    added = sky_added(prepared, parameters)
    if parameters.extra.peer_noise:
        background = cosmicray.noise_background(prepared.sky_subtracted, added, peer_parity=True)
    else:
        # So does a sky that was removed beforehand: whoever took it off, the mask is the same.
        if prepared.sky_removed:
            sci += np.float32(prepared.sky_removed)
            added += prepared.sky_removed
        # The median has kept what was not subtracted from the exposures: with match, nearly all.
        kept = prepared.sky_present - prepared.sky_absent
        background = cosmicray.noise_background(prepared.sky_present, kept + added)
    blotted += np.float32(added)
    return Compared(grown, sci, blotted, background, chip)


def crmask_box(
    placed: Placed,
    box: Region,
    read_median: Callable[[Region], np.ndarray],
    parameters: ReduceParameters,
    read_blot: Callable[[Placed, Region], np.ndarray] | None = None,
) -> np.ndarray:
    """Cosmic-ray mask of a box of a chip.

    Parameters
    ----------
    placed : Placed
        Chip on the separate grid.
    box : Region
        Chip pixels.
    read_median : callable
        Gives the median image of a region of the separate grid.
    parameters : ReduceParameters
        ``blot_*``, ``driz_cr_*``.
    read_blot : callable, optional
        Gives what `blotted_median` does for a box of the chip, to be changed at will, where it is known.

    Returns
    -------
    ndarray of uint8
        1 = good, 0 = cosmic ray.
    """
    both = compared(placed, box, read_median, parameters, read_blot)
    mask = grown_mask(both, judged(both, parameters), parameters)
    return np.ascontiguousarray(mask[box.slices((both.box.y0, both.box.x0))])


def judged(both: Compared, parameters: ReduceParameters) -> np.ndarray:
    """Pixels that fail the test by themselves: uint8 over ``both.box``, 1 = good, 0 = cosmic ray."""
    p = parameters.cosmicray
    mask = np.empty(both.box.shape, np.uint8)
    cosmicray.cosmic_rays(
        both.sci, both.blot, both.box.y0, both.box.x0, *both.chip.shape, both.background,
        both.chip.read_noise, *p.driz_cr_snr, *p.driz_cr_scale, mask,
    )  # fmt: skip
    return mask


def grown_mask(both: Compared, mask: np.ndarray, parameters: ReduceParameters) -> np.ndarray:
    """Spread a mask of `judged` by ``driz_cr_grow`` and ``driz_cr_ctegrow``."""
    p = parameters.cosmicray
    if p.driz_cr_grow <= 1 and p.driz_cr_ctegrow <= 0:
        return mask
    spread = np.empty_like(mask)
    cosmicray.grow(mask, p.driz_cr_grow, p.driz_cr_ctegrow, both.chip.cte_dir, spread)
    return spread

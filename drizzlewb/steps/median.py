"""Separately drizzled images of one region and their clean combination."""

from collections.abc import Callable

import numpy as np

from drizzlewb.grid import Region
from drizzlewb.kernels.drizzle import KERNELS, drizzle_box, finish, reach
from drizzlewb.kernels.median import KINDS, combine, margin
from drizzlewb.parameters import ReduceParameters
from drizzlewb.steps.buffers import scratch_buffer
from drizzlewb.steps.prepared import Placed, PreparedChip

__all__ = ["mask_weight", "median_region", "single_region"]


def single_region(
    chips: list[Placed],
    region: Region,
    parameters: ReduceParameters,
    sci: np.ndarray,
    wht: np.ndarray,
    fill: float = 0.0,
) -> None:
    """Drizzle one exposure by itself onto a region of the separate grid.

    Parameters
    ----------
    chips : list of Placed
        Chips of this exposure, in order.
    region : Region
        Pixels of the separate grid.
    parameters : ReduceParameters
        ``driz_sep_kernel``, ``driz_sep_pixfrac``, ``driz_sep_bits``, ``driz_sep_wt_scl``.
    sci, wht : ndarray of float32, shape of the region
        Filled with electrons/s per output pixel and weight (seconds).
    fill : float
        Value of empty pixels. The median is made with 0, whatever ``driz_sep_fillval``: a filler is no
        value, and exposures that do not reach a tile are not drizzled there at all.
    """
    p = parameters.separate
    kernel_id = KERNELS[p.driz_sep_kernel]
    num = scratch_buffer("num", region.shape, np.float64)
    den = scratch_buffer("den", region.shape, np.float64)
    ctx = scratch_buffer("ctx", region.shape, np.uint32)
    num.fill(0)
    den.fill(0)
    for placed in chips:
        prepared = placed.prepared
        box = placed.box_under(region, reach(kernel_id, p.driz_sep_pixfrac, placed.scale))
        if box.empty:
            continue
        good = prepared.read_good(box, p.driz_sep_bits)
        data = prepared.read_data(box)
        data *= np.float32(1.0 / prepared.chip.exptime)
        weight = good.astype(np.float32)
        weight *= np.float32(prepared.chip.exptime * wt_factor(p.driz_sep_wt_scl))
        drizzle_box(
            data, weight, box.x0, box.y0, prepared.chip.wcs, placed.h, kernel_id,
            p.driz_sep_pixfrac, placed.scale, np.uint32(0), region.x0, region.y0, num, den, ctx,
        )  # fmt: skip
    finish(num, den, np.float32(fill), sci, wht)


def wt_factor(wt_scl: str | float) -> float:
    """Factor of DrizzlePac's ``*_wt_scl``: 'exptime' and 'expsq' stand for 1, a number for itself."""
    try:
        return float(wt_scl)
    except ValueError:
        return 1.0


def mask_weight(chips: list[Placed], parameters: ReduceParameters, footprint_px: float) -> float:
    """Weight at and below which a pixel of a separate image is left out of the median.

    DrizzlePac masks below ``combine_maskpt`` × the mean of the weights above 1e-8 in the finished
    image. A drop keeps its weight, so this mean is exposure time × good pixels over the area that the
    exposure covers, which is known before anything is drizzled and the same for every tile.

    Parameters
    ----------
    chips : list of Placed
        Chips of one exposure.
    parameters : ReduceParameters
        ``combine_maskpt``, ``median_newmasks``, ``driz_sep_wt_scl``.
    footprint_px : float
        Area of the exposure on the separate grid, px².

    Returns
    -------
    float
        Weight, seconds; -1, which masks nothing, when ``median_newmasks`` is off.
    """
    p = parameters.median
    if not p.median_newmasks or footprint_px <= 0:
        return -1.0
    factor = wt_factor(parameters.separate.driz_sep_wt_scl)
    total = sum(c.prepared.chip.exptime * factor * c.prepared.good_pixels for c in chips)
    return p.combine_maskpt * total / footprint_px


def median_region(
    exposures: list[list[Placed]],
    mask_weights: np.ndarray,
    region: Region,
    parameters: ReduceParameters,
    check: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Clean combination of the separate images over one region.

    Parameters
    ----------
    exposures : list of list of Placed
        Chips of each exposure on the separate grid, in stack order.
    mask_weights : ndarray of float64, shape (n_exposures,)
        See `mask_weight`.
    region : Region
        Pixels of the separate grid.
    parameters : ReduceParameters
        ``driz_sep_*`` and ``combine_*``.
    check : callable, optional
        Called between exposures; it raises to stop the work.

    Returns
    -------
    ndarray of float32
        Electrons/s per output pixel; 0 where no exposure contributes.
    """
    p = parameters.median
    grid_shape = exposures[0][0].grid.shape
    kind = KINDS[p.combine_type]
    grown = region.grow(margin(kind, p.combine_grow)).clip(grid_shape)
    touching = [
        k for k, chips in enumerate(exposures) if any(not c.box_under(grown, 3.0).empty for c in chips)
    ]
    shape = (len(touching), *grown.shape)
    sci = scratch_buffer("singles", shape, np.float32)
    wht = scratch_buffer("weights", shape, np.float32)
    for k, index in enumerate(touching):
        check()
        single_region(exposures[index], grown, parameters, sci[k], wht[k])
    out = np.zeros(grown.shape, np.float32)
    check()
    if touching:
        chosen = [[c.prepared for c in exposures[index]] for index in touching]
        combine(
            sci, wht, mask_weights[touching], kind, p.combine_nlow, p.combine_nhigh,
            _limit(p.combine_lthresh, -np.inf), _limit(p.combine_hthresh, np.inf),
            # DrizzlePac's minmed takes the smallest chip sky and the rms read noise of an exposure
            np.array([min(_sky(c, parameters) for c in chips) for chips in chosen]),
            np.array([np.sqrt(np.mean([c.chip.read_noise**2 for c in chips])) for chips in chosen]),
            np.array([chips[0].chip.exptime for chips in chosen]),
            p.combine_nsigma[0], p.combine_nsigma[1], p.combine_grow, out, len(exposures),
        )  # fmt: skip
    return np.ascontiguousarray(out[region.slices((grown.y0, grown.x0))])


def _sky(prepared: PreparedChip, parameters: ReduceParameters) -> float:
    """Sky that made noise and is not in the separate images, or DrizzlePac's choice, the subtracted one."""
    return prepared.sky_subtracted if parameters.extra.peer_noise else prepared.sky_absent


def _limit(value: float | None, absent: float) -> float:
    return absent if value is None else value

"""The combined image of one region of the final grid."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from drizzlewb.grid import Region
from drizzlewb.kernels.drizzle import KERNELS, drizzle_box, finish, reach
from drizzlewb.parameters import ReduceParameters
from drizzlewb.steps.buffers import scratch_buffer
from drizzlewb.steps.median import wt_factor
from drizzlewb.steps.prepared import Placed
from drizzlewb.steps.weight_maps import weight_box

__all__ = ["Tile", "boxes_under", "product_region"]


class Tile(NamedTuple):
    """Pixels of one region of the product.

    Attributes
    ----------
    region : Region
        Where it lies in the final grid.
    sci : ndarray of float32
        Product units per output pixel.
    wht : ndarray of float32
        Weight.
    ctx : ndarray of uint32, shape (planes, ny, nx)
        Bit i of plane k: chip 32k + i contributes.
    """

    region: Region
    sci: np.ndarray
    wht: np.ndarray
    ctx: np.ndarray


def boxes_under(
    chips: list[Placed], region: Region, parameters: ReduceParameters
) -> list[tuple[Placed, Region]]:
    """Chips and their boxes that can reach a region of the final grid, in stack order."""
    p = parameters.final
    kernel_id = KERNELS[p.final_kernel]
    found = []
    for placed in chips:
        box = placed.box_under(region, reach(kernel_id, p.final_pixfrac, placed.scale))
        if not box.empty:
            found.append((placed, box))
    return found


def product_region(
    chips: list[Placed],
    region: Region,
    parameters: ReduceParameters,
    read_crmask: Callable[[Placed, Region], np.ndarray] | None,
    unit_factor: float = 1.0,
    check: Callable[[], None] = lambda: None,
) -> Tile:
    """Drizzle all chips onto one region of the final grid.

    Parameters
    ----------
    chips : list of Placed
        On the final grid, in stack order.
    region : Region
        Pixels of the final grid.
    parameters : ReduceParameters
        ``final_*``.
    read_crmask : callable or None
        Gives the cosmic-ray mask (uint8, 1 = good) of a box of a chip; None uses none.
    unit_factor : float
        Product units per electron/s.
    check : callable, optional
        Called between chips; it raises to stop the work.

    Returns
    -------
    Tile
        Pixels without weight hold ``final_fillval`` (NaN by default).
    """
    p = parameters.final
    kernel_id = KERNELS[p.final_kernel]
    num = scratch_buffer("num", region.shape, np.float64)
    den = scratch_buffer("den", region.shape, np.float64)
    num.fill(0)
    den.fill(0)
    planes = 1 + max((c.prepared.number for c in chips), default=0) // 32
    ctx = np.zeros((planes, *region.shape), np.uint32)
    for placed, box in boxes_under(chips, region, parameters):
        check()
        prepared = placed.prepared
        good = prepared.read_good(box, p.final_bits)
        if read_crmask is not None:
            good &= read_crmask(placed, box)
        sky = prepared.sky_subtracted if parameters.extra.peer_noise else None
        weight = weight_box(
            prepared, box, good, p.final_wht_type, placed.scale, sky_e=sky, factor=wt_factor(p.final_wt_scl)
        )
        data = prepared.read_data(box)
        data *= np.float32(unit_factor / prepared.chip.exptime)
        drizzle_box(
            data, weight, box.x0, box.y0, prepared.chip.wcs, placed.h, kernel_id, p.final_pixfrac,
            placed.scale, prepared.bit, region.x0, region.y0, num, den, ctx[prepared.plane],
        )  # fmt: skip
    sci = np.empty(region.shape, np.float32)
    wht = np.empty(region.shape, np.float32)
    finish(num, den, np.float32(fill_value(parameters)), sci, wht)
    return Tile(region, sci, wht, ctx)


def fill_value(parameters: ReduceParameters) -> float:
    """Value of empty output pixels: ``final_fillval``, else ``final_maskval``, else NaN."""
    p = parameters.final
    for value in (p.final_fillval, p.final_maskval):
        if value is not None:
            return float(value)
    return float("nan")

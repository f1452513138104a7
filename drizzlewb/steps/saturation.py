"""Where a product rests on saturated pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from drizzlewb import distortion
from drizzlewb.exposure import Chip, Exposure
from drizzlewb.grid import OutputGrid

__all__ = ["Saturation", "mark", "saturated_bits", "saturation"]


class Saturation(NamedTuple):
    """Saturated pixels carried to a product's grid.

    `touched` : bool[ny, nx], near a saturated pixel of some exposure. `whole` : bool[ny, nx], every exposure
    that looks there has only saturated pixels there. `cut` : bool[ny, nx], touched by a bleed that runs into
    the edge of its chip, where charge is lost.
    """

    touched: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    cut: NDArray[np.bool_]


def saturated_bits(chip: Chip) -> int:
    """DQ bits that say saturated on this detector."""
    return sum(flag.value for flag in chip.flags.flags if "saturated" in flag.name)


def saturation(grid: OutputGrid, exposures: Sequence[Exposure]) -> Saturation:
    """Carry the saturation flags of exposures to a product's grid.

    Parameters
    ----------
    grid : OutputGrid
        Of the product.
    exposures : sequence of Exposure
        Those of the product.
    """
    touched, cut = np.zeros(grid.shape, bool), np.zeros(grid.shape, bool)
    chips = [chip for exposure in exposures for chip in exposure.chips]
    flags = []
    ratio = (chips[0].pixel_scale_arcsec if chips else 1.0) / grid.scale_arcsec
    side = 2 * max(1, int(np.ceil(ratio))) + 1
    for chip in chips:
        ny, nx = chip.shape
        full = chip.read_dq((0, ny, 0, nx)) & np.uint16(saturated_bits(chip)) != 0
        flags.append(full)
        mark(touched, grid, chip, full)
        labels, number = scipy.ndimage.label(full)
        if number:
            lost = np.unique(np.concatenate([labels[0], labels[-1]]))
            mark(cut, grid, chip, np.isin(labels, lost[lost > 0]))
    touched = scipy.ndimage.binary_dilation(touched, np.ones((side, side)))
    cut = scipy.ndimage.binary_dilation(cut, np.ones((side, side)))
    whole = np.zeros(grid.shape, bool)
    y, x = np.nonzero(touched)
    if y.size:
        ra, dec = grid.pixel_to_sky(x.astype(float), y.astype(float))
        looks, full_here = np.zeros(y.size, int), np.zeros(y.size, int)
        for chip, full in zip(chips, flags, strict=True):
            cx, cy = distortion.sky_to_pixel(chip.wcs, ra, dec)
            ny, nx = chip.shape
            with np.errstate(invalid="ignore"):
                inside = (cx > -0.5) & (cy > -0.5) & (cx < nx - 0.5) & (cy < ny - 0.5)
            looks += inside
            full_here[inside] += full[np.rint(cy[inside]).astype(int), np.rint(cx[inside]).astype(int)]
        whole[y, x] = (looks > 0) & (full_here == looks)
        # A drop of the neighbouring pixel reaches into the rim.
        whole = scipy.ndimage.binary_erosion(whole, np.ones((3, 3)))
    return Saturation(touched, whole, cut)


def mark(target: NDArray[np.bool_], grid: OutputGrid, chip: Chip, where: NDArray[np.bool_]) -> None:
    """Set the output pixels in which the centres of chip pixels fall, in place."""
    y, x = np.nonzero(where)
    if y.size == 0:
        return
    px, py = grid.sky_to_pixel(*distortion.pixel_to_sky(chip.wcs, x.astype(float), y.astype(float)))
    i, j = np.rint(px).astype(int), np.rint(py).astype(int)
    inside = (i >= 0) & (j >= 0) & (i < target.shape[1]) & (j < target.shape[0])
    target[j[inside], i[inside]] = True

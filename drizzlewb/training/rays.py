"""How well cosmic rays were found: masks beside the truth, or beside what detectors are known to collect."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.ndimage
from astropy.io import fits
from numpy.typing import NDArray

from drizzlewb import distortion
from drizzlewb.exposure import Chip, Exposure
from drizzlewb.grid import OutputGrid
from drizzlewb.steps.saturation import mark, saturated_bits
from drizzlewb.training.delivery import Delivered, Delivery
from drizzlewb.training.truth import ExposureTruth

__all__ = ["SIGMAS", "RayCount", "count_rays", "find_masks", "ray_map"]

SIGMAS = (3.0, 5.0, 10.0)
BOX = 1024  # at most so many pixels along a side of each chip are looked at
STEP = 16  # pixels between the places where overlap with other exposures is looked up
CR_FLAG = 4096  # set by DrizzlePac in the DQ of its inputs


class RayCount(NamedTuple):
    """Sums over pixels, for one exposure or many.

    `hit`, `found` : for each of `SIGMAS`, pixels with so much charge from rays and those of them flagged;
    `clean`, `wrong` : for all, and above each of `SIGMAS` of source light, pixels that no ray touched and
    those of them flagged; `pixels`, `flagged` : all that were looked at, and the flagged ones.
    """

    hit: NDArray[np.int64]
    found: NDArray[np.int64]
    clean: NDArray[np.int64]
    wrong: NDArray[np.int64]
    pixels: int
    flagged: int

    def __add__(self, other: tuple) -> RayCount:  # type: ignore[override]
        """Sums of both."""
        return RayCount(*(a + b for a, b in zip(self, other, strict=True)))


def find_masks(
    delivery: Delivery, product: Delivered
) -> tuple[dict[tuple[str, int], NDArray[np.uint8]], str]:
    """Cosmic-ray masks (1 = good) of a product's inputs, and where they come from ('' if there are none).

    From the reduction while it is in memory, else from ``<rootname>_sci<n>_crmask.fits``, else from the bit
    4096 that DrizzlePac leaves in its inputs.
    """
    if product.product is not None and product.product.reduction is not None:
        return dict(product.product.crmask), "reduction in memory"
    masks = {}
    for path in sorted(delivery.folder.glob("*_crmask.fits")):
        match = re.match(r"(.+?)(?:_fl[ct]|_c0m)?_sci(\d+)_crmask\.fits", path.name)
        if match and match[1] in product.inputs:
            with fits.open(path, memmap=False) as hdus:
                data = next(hdu.data for hdu in hdus if hdu.data is not None)
                masks[match[1], int(match[2])] = np.asarray(data, np.uint8)
    if masks:
        return masks, "mask files"
    for exposure in delivery.exposures:
        for chip in exposure.chips if exposure.rootname in product.inputs else ():
            dq = chip.read_dq((0, chip.shape[0], 0, chip.shape[1]))
            if (dq & CR_FLAG).any():
                masks[exposure.rootname, chip.extver] = (dq & CR_FLAG == 0).astype(np.uint8)
    return masks, "DQ 4096 of the exposures" if masks else ""


def _overlap(chip: Chip, box: tuple[int, int, int, int], others: Sequence[Exposure]) -> NDArray[np.bool_]:
    """Whether at least two other exposures look where each pixel of the box looks."""
    y0, y1, x0, x1 = box
    ys, xs = np.arange(y0, y1 + STEP, STEP), np.arange(x0, x1 + STEP, STEP)
    x, y = (v.ravel().astype(float) for v in np.meshgrid(xs, ys))
    ra, dec = distortion.pixel_to_sky(chip.wcs, x, y)
    count = np.zeros(x.size, int)
    for other in others:
        seen = np.zeros(x.size, bool)
        for there in other.chips:
            ny, nx = there.shape
            px, py = distortion.sky_to_pixel(there.wcs, ra, dec)
            with np.errstate(invalid="ignore"):
                seen |= (px > 2) & (py > 2) & (px < nx - 3) & (py < ny - 3)
        count += seen
    nodes = (count >= 2).reshape(ys.size, xs.size)
    # A cell counts where its corners do.
    cells = nodes[:-1, :-1] & nodes[1:, :-1] & nodes[:-1, 1:] & nodes[1:, 1:]
    return np.kron(cells, np.ones((STEP, STEP), bool))[: y1 - y0, : x1 - x0].astype(bool)


def _source_light(chip: Chip, box: tuple[int, int, int, int], product: Delivered, level: float) -> NDArray:
    """Electrons of sources in each pixel of the box, read off the product."""
    y0, y1, x0, x1 = box
    x, y = np.meshgrid(np.arange(x0, x1, dtype=float), np.arange(y0, y1, dtype=float))
    px, py = product.grid.sky_to_pixel(*distortion.pixel_to_sky(chip.wcs, x, y))
    at = np.stack([py, px])
    sci = np.nan_to_num(product.sci - level)
    area = (chip.pixel_scale_arcsec / product.scale_arcsec) ** 2
    return scipy.ndimage.map_coordinates(sci, at, order=1, mode="constant") * area * chip.exptime


def count_rays(
    product: Delivered,
    exposures: Sequence[Exposure],
    masks: Mapping[tuple[str, int], NDArray[np.uint8]],
    truths: Mapping[str, ExposureTruth],
) -> dict[str, RayCount]:
    """Compare masks with the truth, exposure by exposure.

    Parameters
    ----------
    product : Delivered
        Shows where sources are.
    exposures : sequence of Exposure
        Its inputs.
    masks : mapping
        (rootname, extver) to uint8, 1 = good.
    truths : mapping
        By rootname.

    Returns
    -------
    dict
        By rootname. Pixels count that carry no flag but cosmic ray, lie on no satellite trail, and are seen
        by at least two other exposures. The noise that a ray's charge is measured in is that of the pixel
        without the ray: its light and the read noise. A pixel is untouched where neither it nor one of its
        eight neighbours received 1 e-.
    """
    level = float(np.nanmedian(product.sci))
    out = {}
    for exposure in exposures:
        truth = truths.get(exposure.rootname)
        if truth is None:
            continue
        total = None
        for k, chip in enumerate(exposure.chips):
            mask = masks.get((exposure.rootname, chip.extver))
            if mask is None:
                continue
            ny, nx = chip.shape
            y0, x0 = max(0, (ny - BOX) // 2), max(0, (nx - BOX) // 2)
            box = (y0, min(ny, y0 + BOX), x0, min(nx, x0 + BOX))
            cut = (slice(box[0], box[1]), slice(box[2], box[3]))
            others = [e for e in exposures if e is not exposure]
            ours = truth.cr_charge[k][cut]
            dq = chip.read_dq(box)
            full = dq & np.uint16(saturated_bits(chip)) != 0
            usable = (
                (dq & np.uint16(0xFFFF ^ CR_FLAG) == 0) & ~truth.trail[k][cut] & _overlap(chip, box, others)
            )
            usable &= ~scipy.ndimage.binary_dilation(full, np.ones((3, 3)))
            light = chip.read_sci(box) - ours
            noise = np.sqrt(np.maximum(light, 0) + chip.read_noise**2)
            flagged = mask[cut] == 0
            sources = _source_light(chip, box, product, level)
            sky_noise = float(np.median(noise))
            untouched = usable & ~scipy.ndimage.binary_dilation(ours >= 1, np.ones((3, 3)))
            above = [usable & (ours > s * noise) for s in SIGMAS]
            calm = [untouched] + [untouched & (sources > s * sky_noise) for s in SIGMAS]
            part = RayCount(
                np.array([a.sum() for a in above]),
                np.array([(a & flagged).sum() for a in above]),
                np.array([c.sum() for c in calm]),
                np.array([(c & flagged).sum() for c in calm]),
                int(usable.sum()),
                int((usable & flagged).sum()),
            )
            total = part if total is None else total + part
        if total is not None:
            out[exposure.rootname] = total
    return out


def ray_map(
    grid: OutputGrid, exposures: Sequence[Exposure], truths: Mapping[str, ExposureTruth]
) -> NDArray[np.bool_]:
    """Output pixels on which a cosmic ray of some exposure fell; bool[ny, nx]."""
    marked = np.zeros(grid.shape, bool)
    for exposure in exposures:
        if exposure.rootname in truths:
            for chip, hit in zip(exposure.chips, truths[exposure.rootname].cr_mask, strict=True):
                mark(marked, grid, chip, hit)
    return marked

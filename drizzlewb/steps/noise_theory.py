"""The correlated-noise factor that a stack's own dithers give.

The published formula holds for many evenly spread dithers. With a few, the weighted mean in each output
pixel averages unevenly, which lowers the noise of a pixel but not that of a large area. Here the overlap of
every drop with every output pixel is laid out for patches of the product and the noise followed through.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from drizzlewb import distortion
from drizzlewb.exposure import Chip, Exposure
from drizzlewb.grid import OutputGrid
from drizzlewb.steps.image_quality import BLOCK

__all__ = ["dithered_noise_factor"]

PATCH, PATCHES, SAMPLES = 48, 40, 5  # output pixels along a side, number, samples per pixel and axis


def dithered_noise_factor(
    grid: OutputGrid, exposures: Sequence[Exposure], pixfrac: float, area: NDArray[np.bool_]
) -> float:
    """Noise of large areas over what independent pixels would give, for square drops and these exposures.

    Parameters
    ----------
    grid : OutputGrid
        Of the product.
    exposures : sequence of Exposure
        Its inputs.
    pixfrac : float
        Linear size of a drop in native pixels.
    area : bool[ny, nx]
        Where all exposures overlap; patches are taken there.

    Returns
    -------
    float
        NaN where no patch has any exposure.
    """
    rows, columns = np.nonzero(area)
    if rows.size == 0 or pixfrac <= 0:
        return math.nan
    rng = np.random.default_rng(7)
    pixel, block = [], []
    for k in rng.choice(rows.size, PATCHES):
        patch = _overlaps(grid, exposures, pixfrac, int(columns[k]), int(rows[k]))
        if patch is None:
            continue
        total = np.asarray(patch.sum(axis=1)).ravel()
        # A pixel that no drop touches is not in the mean, as it is not in the measurement.
        mean = (
            scipy.sparse.diags_array(np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)) @ patch
        )
        pixel.append(float(mean.multiply(mean).sum()) / np.count_nonzero(total))
        side = PATCH // BLOCK
        cell = (np.arange(PATCH) // BLOCK)[:, None] * side + np.arange(PATCH) // BLOCK
        where = (cell.ravel(), np.arange(PATCH * PATCH))
        sums = (
            scipy.sparse.coo_array(
                (np.ones(PATCH * PATCH), where), shape=(side * side, PATCH * PATCH)
            ).tocsr()
            @ mean
        )
        block.append(float(sums.multiply(sums).sum()) / side**2)
    if not pixel:
        return math.nan
    drop = pixfrac * exposures[0].chips[0].pixel_scale_arcsec / grid.scale_arcsec
    return math.sqrt(np.mean(block) / np.mean(pixel)) / BLOCK / (1 - drop / (3 * BLOCK))


def _overlaps(
    grid: OutputGrid, exposures: Sequence[Exposure], pixfrac: float, x0: int, y0: int
) -> scipy.sparse.csr_array | None:
    """Overlap of each output pixel of a patch (rows) with each drop (columns)."""
    fine = (np.arange(PATCH * SAMPLES) + 0.5) / SAMPLES - 0.5
    u, v = np.meshgrid(fine, fine)
    owner = (
        (np.arange(PATCH * SAMPLES) // SAMPLES)[:, None] * PATCH + np.arange(PATCH * SAMPLES) // SAMPLES
    ).ravel()
    parts = []
    for exposure in exposures:
        for chip in exposure.chips:
            local = _local(grid, chip, x0, y0)
            if local is None:
                continue
            cx = local[0, 0] + local[0, 1] * u + local[0, 2] * v
            cy = local[1, 0] + local[1, 1] * u + local[1, 2] * v
            i, j = np.rint(cx), np.rint(cy)
            inside = ((np.abs(cx - i) <= pixfrac / 2) & (np.abs(cy - j) <= pixfrac / 2)).ravel()
            i, j = (i - i.min()).astype(int).ravel(), (j - j.min()).astype(int).ravel()
            wide = int(i.max()) + 1
            size = wide * (int(j.max()) + 1)
            entries = (np.full(inside.sum(), exposure.exptime), (owner[inside], (j * wide + i)[inside]))
            parts.append(scipy.sparse.coo_array(entries, shape=(PATCH * PATCH, size)).tocsr())
            break  # the other chip of this exposure lies elsewhere
    return scipy.sparse.hstack(parts).tocsr() if parts else None


def _local(grid: OutputGrid, chip: Chip, x0: int, y0: int) -> NDArray[np.float64] | None:
    """Linear map from patch to chip pixels, rows (constant, d/du, d/dv); None beside the chip."""
    reach = PATCH - 1.0
    x, y = distortion.sky_to_pixel(
        chip.wcs, *grid.pixel_to_sky(np.array([x0, x0 + reach, x0]), np.array([y0, y0, y0 + reach]))
    )
    ny, nx = chip.shape
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    if x.min() < 0 or y.min() < 0 or x.max() > nx - 1 or y.max() > ny - 1:
        return None
    return np.array(
        [
            [x[0], (x[1] - x[0]) / reach, (x[2] - x[0]) / reach],
            [y[0], (y[1] - y[0]) / reach, (y[2] - y[0]) / reach],
        ]
    )

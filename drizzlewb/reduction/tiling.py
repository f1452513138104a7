"""How large tiles are: as large as the memory budget allows and no larger than is of use."""

from collections.abc import Iterator

import numpy as np

from drizzlewb.grid import Region
from drizzlewb.steps.prepared import Placed

__all__ = ["CRMASK_SIDE", "max_overlap", "median_side", "product_side", "tiles_of"]

# px; larger tiles gain nothing. No multiple of 512: rows of float64 that lie a multiple of 4096 bytes apart
# compete for the same lines of the processor's cache.
LARGEST_SIDE = 1000
PRODUCT_SIDE = 1400  # larger: whole rows of the chips are read for each tile
SMALLEST_SIDE = 128
CRMASK_SIDE = 1024


def tiles_of(shape: tuple[int, int], side: int) -> Iterator[Region]:
    """Regions of at most side × side pixels that cover an array once, row by row.

    Parameters
    ----------
    shape : (int, int)
        Array shape (ny, nx), px.
    side : int
        Largest side of a tile, px.
    """
    ny, nx = shape
    for y0 in range(0, ny, side):
        for x0 in range(0, nx, side):
            yield Region(y0, min(y0 + side, ny), x0, min(x0 + side, nx))


def median_side(overlap: int, budget_mb: float, threads: int) -> int:
    """Side of the median's tiles, px.

    Parameters
    ----------
    overlap : int
        Exposures that are held for a tile.
    budget_mb : float
        ``memory_budget_mb``.
    threads : int
        Tiles made at a time.
    """
    return _side(8 * overlap + 80, LARGEST_SIDE, budget_mb, threads)


def product_side(columns: int, planes: int, budget_mb: float, threads: int) -> int:
    """Side of the product's tiles, px.

    Tiles side by side wait for each other until their rows can be written; a quarter as much as the budget
    is for them.

    Parameters
    ----------
    columns : int
        Width of the product, px.
    planes : int
        Planes of its context image.
    budget_mb, threads
        As for `median_side`.
    """
    waiting = 0.25e6 * budget_mb / ((8 + 4 * planes) * columns)
    return _side(100 + 4 * planes, min(PRODUCT_SIDE, int(waiting)), budget_mb, threads)


def _side(per_pixel: int, largest: int, budget_mb: float, threads: int) -> int:
    """Side of a tile: budget / (bytes per pixel × tiles in flight) is its area."""
    side = min(int(np.sqrt(budget_mb * 1e6 / (per_pixel * threads))), largest) // 8 * 8
    if side % 512 == 0:
        side -= 8
    return max(SMALLEST_SIDE, side)


def max_overlap(exposures: list[list[Placed]], shape: tuple[int, int]) -> int:
    """Largest number of exposures whose bounding boxes share a place of the grid (an upper bound)."""
    cell = max(1, max(shape) // 64)
    counts = np.zeros((shape[0] // cell + 1, shape[1] // cell + 1), int)
    for chips in exposures:
        touched = np.zeros(counts.shape, bool)
        for placed in chips:
            b = placed.bounds.clip(shape)
            if not b.empty:
                touched[b.y0 // cell : b.y1 // cell + 1, b.x0 // cell : b.x1 // cell + 1] = True
        counts += touched
    return int(counts.max())

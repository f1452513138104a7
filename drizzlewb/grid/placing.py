"""Which chip pixels lie beneath a rectangle of the output plane, and the reverse."""

import math

import numpy as np

from drizzlewb import distortion
from drizzlewb.grid.output import OutputGrid
from drizzlewb.grid.region import Region
from drizzlewb.kernels.transform import PackedWCS, inverse_points, map_points

__all__ = ["chip_box", "grid_region"]

_SIDES = 16  # intervals per side when a rectangle's border is mapped
# A unit square's border: four sides of samples (side, sample).
_STEPS = np.linspace(0.0, 1.0, _SIDES + 1)
_SQUARE_X = np.array([_STEPS, _STEPS, 0.0 * _STEPS, 0.0 * _STEPS + 1.0])
_SQUARE_Y = np.array([0.0 * _STEPS, 0.0 * _STEPS + 1.0, _STEPS, _STEPS])


def chip_box(
    chip_wcs: PackedWCS,
    chip_shape: tuple[int, int],
    grid_wcs: PackedWCS,
    region: Region,
    margin: float = 0.0,
) -> Region:
    """Bounding box of the chip's pixels that can touch a region of the output plane.

    Parameters
    ----------
    chip_wcs : PackedWCS
    chip_shape : (int, int)
        (ny, nx).
    grid_wcs : PackedWCS
        Linear TAN.
    region : Region
        Output pixels.
    margin : float
        Chip pixels to add on every side: the reach of a drop or an interpolant beyond its own pixel.

    Returns
    -------
    Region
        Inside the chip; ``Region(0, 0, 0, 0)`` if no pixel can touch.

    Notes
    -----
    The border of the region is mapped back at 64 points; the curves between them may bow by an eighth
    of the second difference between points: the whole of it, and half a pixel, are added.
    """
    if region.empty:
        return Region(0, 0, 0, 0)
    ny, nx = chip_shape
    h = distortion.homography(chip_wcs, grid_wcs)
    reach = margin + 1.0
    bx0, bx1, by0, by1, bow = _border_bounds(
        map_points, chip_wcs, h, -0.5 - reach, nx - 0.5 + reach, -0.5 - reach, ny - 0.5 + reach
    )
    if bow == math.inf:  # the chip is behind the tangent plane
        return Region(0, 0, 0, 0)
    whole = Region(0, ny, 0, nx)
    x0, x1, y0, y1 = region.x0 - 0.5, region.x1 - 0.5, region.y0 - 0.5, region.y1 - 0.5
    if math.isfinite(bow):
        # What lies outside the chip's own bounds cannot touch it, and need not be mapped back.
        x0, x1 = max(x0, bx0 - bow - 0.5), min(x1, bx1 + bow + 0.5)
        y0, y1 = max(y0, by0 - bow - 0.5), min(y1, by1 + bow + 0.5)
        if x0 >= x1 or y0 >= y1:
            return Region(0, 0, 0, 0)
    px0, px1, py0, py1, bow = _border_bounds(inverse_points, chip_wcs, h, x0, x1, y0, y1)
    if not math.isfinite(bow):
        # The border leaves the sky on which the chip's map can be inverted: take all of the chip.
        return whole
    slack = margin + bow + 0.5
    box = Region(
        math.floor(py0 - slack + 0.5),
        math.floor(py1 + slack + 0.5) + 1,
        math.floor(px0 - slack + 0.5),
        math.floor(px1 + slack + 0.5) + 1,
    )
    return box.intersect(whole)


def grid_region(
    chip_wcs: PackedWCS,
    chip_shape: tuple[int, int],
    box: Region | None,
    grid: OutputGrid,
    margin: float = 0.0,
) -> Region:
    """Bounding region of the output pixels that a box of the chip's pixels maps into.

    Parameters
    ----------
    chip_wcs : PackedWCS
    chip_shape : (int, int)
        (ny, nx).
    box : Region or None
        Chip pixels; None for the whole chip.
    grid : OutputGrid
    margin : float
        Output pixels to add on every side.

    Returns
    -------
    Region
        Inside the grid; ``Region(0, 0, 0, 0)`` if the box misses it.
    """
    box = Region(0, *chip_shape[:1], 0, chip_shape[1]) if box is None else box
    if box.empty:
        return Region(0, 0, 0, 0)
    h = distortion.homography(chip_wcs, grid.wcs)
    x0, x1, y0, y1, bow = _border_bounds(
        map_points, chip_wcs, h, box.x0 - 0.5, box.x1 - 0.5, box.y0 - 0.5, box.y1 - 0.5
    )
    if bow == math.inf:
        return Region(0, 0, 0, 0)
    if math.isnan(bow):
        # Part of the box lies behind the tangent plane: nothing smaller than the grid is safe.
        return grid.region
    slack = margin + bow + 0.5
    return Region(
        math.floor(y0 - slack + 0.5),
        math.floor(y1 + slack + 0.5) + 1,
        math.floor(x0 - slack + 0.5),
        math.floor(x1 + slack + 0.5) + 1,
    ).clip(grid.shape)


def _border_bounds(transform, wcs, h, x0, x1, y0, y1):
    """Bounds of the image of a rectangle under `map_points` or `inverse_points`, and its bow.

    The map is one-to-one, so that the image of the border bounds the image of the rectangle. The bow
    is the largest second difference between neighbouring samples: between samples the curve leaves
    its chord by at most about an eighth of it. It is NaN if some points are, infinite if all are.
    """
    x = (x0 + (x1 - x0) * _SQUARE_X).ravel()
    y = (y0 + (y1 - y0) * _SQUARE_Y).ravel()
    transform(wcs, h, x, y, x, y)
    mapped = np.stack([x, y])
    if np.isnan(mapped).all():
        return math.nan, math.nan, math.nan, math.nan, math.inf
    sides = mapped.reshape(2, 4, _SIDES + 1)
    bow = np.abs(sides[:, :, 2:] - 2.0 * sides[:, :, 1:-1] + sides[:, :, :-2]).max()
    (low_x, low_y), (high_x, high_y) = mapped.min(axis=1).tolist(), mapped.max(axis=1).tolist()
    return low_x, high_x, low_y, high_y, float(bow)

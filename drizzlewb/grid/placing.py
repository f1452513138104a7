"""Which chip pixels lie beneath a rectangle of the output plane, and the reverse."""

import math
from typing import NamedTuple

import numpy as np
from numpy.polynomial import polynomial

from drizzlewb import distortion
from drizzlewb.grid.output import OutputGrid
from drizzlewb.grid.region import Region
from drizzlewb.kernels.transform import PackedWCS, inverse_points, map_points

__all__ = ["Inverse", "chip_box", "grid_region", "near_inverse"]

_SIDES = 16  # intervals per side when a rectangle's border is mapped
# A unit square's border: four sides of samples (side, sample).
_STEPS = np.linspace(0.0, 1.0, _SIDES + 1)
_SQUARE_X = np.array([_STEPS, _STEPS, 0.0 * _STEPS, 0.0 * _STEPS + 1.0])
_SQUARE_Y = np.array([0.0 * _STEPS, 0.0 * _STEPS + 1.0, _STEPS, _STEPS])

_DEGREE = 5  # of the polynomials of `near_inverse`, in x and in y
_NODES = 16  # along each side of the lattice that they are fitted to
_BEYOND = 0.4  # of the chip's sides, by which the lattice leaves it: the corners of a turned chip's bounds
_REACH = 8.0  # chip pixels beyond its edges that belong to the chip's bounds
_NEAR = 0.5  # chip pixels: a worse fit is none


class Inverse(NamedTuple):
    """The way back from an output plane to a chip, nearly.

    Attributes
    ----------
    bounds : (float, float, float, float)
        x0, x1, y0, y1 of the chip with a margin of 8 px on the output plane.
    centre, half : (2, 1) float64
        Of the fitted lattice, output pixels.
    coefficients : (6, 6, 2) float64
        Of the chip's x and y in powers of the output's, less `centre` and over `half`.
    error : float
        Chip pixels by which they may be wrong on the chip and near it.
    """

    bounds: tuple[float, float, float, float]
    centre: np.ndarray
    half: np.ndarray
    coefficients: np.ndarray
    error: float


def near_inverse(chip_wcs: PackedWCS, chip_shape: tuple[int, int], grid_wcs: PackedWCS) -> Inverse | None:
    """Polynomials that lead from an output plane back to a chip, for `chip_box`.

    Parameters
    ----------
    chip_wcs, chip_shape, grid_wcs
        As there.

    Returns
    -------
    Inverse or None
        None where polynomials of the fifth degree are wrong by more than half a chip pixel, or the map is
        not defined all about the chip.

    Notes
    -----
    Fitted to a lattice that is mapped forward; the error is twice the largest one halfway between its
    nodes. On Hubble's cameras it is below 0.05 px.
    """
    h = distortion.homography(chip_wcs, grid_wcs)
    ny, nx = chip_shape
    *bounds, bow = _border_bounds(
        map_points, chip_wcs, h, -0.5 - _REACH, nx - 0.5 + _REACH, -0.5 - _REACH, ny - 0.5 + _REACH
    )
    if not math.isfinite(bow):
        return None
    x0, x1, y0, y1 = bounds
    steps = np.linspace(-_BEYOND, 1.0 + _BEYOND, _NODES)
    chip, plane = _lattice(chip_wcs, h, steps * nx, steps * ny)
    if not np.isfinite(plane).all():
        return None
    low, high = plane.min(axis=1, keepdims=True), plane.max(axis=1, keepdims=True)
    centre, half = (low + high) / 2.0, (high - low) / 2.0
    u, v = (plane - centre) / half
    terms = polynomial.polyvander2d(u, v, (_DEGREE, _DEGREE))
    # By normal equations: a singular value decomposition takes longer, and these are exact enough.
    fitted = np.linalg.solve(terms.T @ terms, terms.T @ chip.T).reshape(_DEGREE + 1, _DEGREE + 1, 2)
    between = (steps[1:] + steps[:-1]) / 2.0
    chip, plane = _lattice(chip_wcs, h, between * nx, between * ny)
    u, v = (plane - centre) / half
    error = 2.0 * float(abs(polynomial.polyval2d(u, v, fitted) - chip).max())
    if not error <= _NEAR:
        return None
    slack = bow + 0.5
    return Inverse((x0 - slack, x1 + slack, y0 - slack, y1 + slack), centre, half, fitted, error)


def _lattice(chip_wcs, h, x, y):
    """Chip pixels of a lattice and output pixels, each of shape (2, nodes)."""
    chip = np.stack(np.meshgrid(x, y)).reshape(2, -1)
    plane = np.empty_like(chip)
    map_points(chip_wcs, h, *chip, *plane)
    return chip, plane


def chip_box(
    chip_wcs: PackedWCS,
    chip_shape: tuple[int, int],
    grid_wcs: PackedWCS,
    region: Region,
    margin: float = 0.0,
    inverse: Inverse | None = None,
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
    inverse : Inverse, optional
        From `near_inverse`, for who asks often: quicker, and the box may be a few pixels larger.

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
    x0, x1, y0, y1 = region.x0 - 0.5, region.x1 - 0.5, region.y0 - 0.5, region.y1 - 0.5
    if inverse is not None and margin + 1.0 > _REACH:
        inverse = None
    # What lies outside the chip's own bounds cannot touch it, and need not be mapped back.
    h = distortion.homography(chip_wcs, grid_wcs) if inverse is None else None
    bounds = inverse.bounds if inverse is not None else _bounds(chip_wcs, h, nx, ny, margin + 1.0)
    x0, x1, y0, y1 = max(x0, bounds[0]), min(x1, bounds[1]), max(y0, bounds[2]), min(y1, bounds[3])
    if x0 >= x1 or y0 >= y1:
        return Region(0, 0, 0, 0)
    wrong = 0.0
    if inverse is not None:
        px0, px1, py0, py1, bow = _border_bounds(_map_back, inverse, h, x0, x1, y0, y1)
        wrong = inverse.error
    else:
        px0, px1, py0, py1, bow = _border_bounds(inverse_points, chip_wcs, h, x0, x1, y0, y1)
    if not math.isfinite(bow):
        # The border leaves the sky on which the chip's map can be inverted: take all of the chip.
        return Region(0, ny, 0, nx)
    slack = margin + bow + wrong + 0.5
    box = Region(
        math.floor(py0 - slack + 0.5),
        math.floor(py1 + slack + 0.5) + 1,
        math.floor(px0 - slack + 0.5),
        math.floor(px1 + slack + 0.5) + 1,
    )
    return box.intersect(Region(0, ny, 0, nx))


def _bounds(chip_wcs, h, nx, ny, reach):
    """Bounds on the output plane of a chip with a margin; infinite where it is in part behind the plane."""
    x0, x1, y0, y1, bow = _border_bounds(
        map_points, chip_wcs, h, -0.5 - reach, nx - 0.5 + reach, -0.5 - reach, ny - 0.5 + reach
    )
    if bow == math.inf:  # all of it is
        return math.inf, -math.inf, math.inf, -math.inf
    if math.isnan(bow):
        return -math.inf, math.inf, -math.inf, math.inf
    return x0 - bow - 0.5, x1 + bow + 0.5, y0 - bow - 0.5, y1 + bow + 0.5


def _map_back(inverse, _, x, y, out_x, out_y):
    """`inverse_points` by polynomials."""
    (cx, cy), (hx, hy) = inverse.centre[:, 0], inverse.half[:, 0]
    out_x[:], out_y[:] = polynomial.polyval2d((x - cx) / hx, (y - cy) / hy, inverse.coefficients)


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
    """Bounds of the image of a rectangle under `map_points` or one of its inverses, and its bow.

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

"""Sub-pixel phases of dithers: where the pixel grids of a stack fall on one point of the sky."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drizzlewb import distortion
from drizzlewb.errors import DataError
from drizzlewb.exposure import Chip, Exposure

__all__ = ["DitherPhases", "dither_phases"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DitherPhases:
    """Dithers at one point of the sky.

    Attributes
    ----------
    names : tuple of str
        Root names of the exposures, in stack order.
    ra, dec : float
        The point, degrees.
    dx, dy : ndarray, float64, shape (n,)
        Where the point lies on the pixels of each exposure, less where it lies on those of the first one
        that sees it, px; NaN for an exposure that does not see it, and whole chips off where it falls on
        another chip.
    """

    names: tuple[str, ...]
    ra: float
    dec: float
    dx: Array
    dy: Array

    @property
    def x(self) -> Array:
        """Fractional part of `dx` in [0, 1), px."""
        return _fraction(self.dx)

    @property
    def y(self) -> Array:
        """Fractional part of `dy` in [0, 1), px."""
        return _fraction(self.dy)

    def distinct(self, tolerance: float = 0.1) -> int:
        """How many phases differ by more than `tolerance` px, counted round the pixel's edge."""
        kept: list[tuple[float, float]] = []
        for x, y in zip(self.x, self.y, strict=True):
            if np.isnan(x) or np.isnan(y):
                continue
            if all(np.hypot(_around(x - a), _around(y - b)) > tolerance for a, b in kept):
                kept.append((float(x), float(y)))
        return len(kept)


def dither_phases(exposures: Sequence[Exposure], point: tuple[float, float] | None = None) -> DitherPhases:
    """Sub-pixel phases of a stack, each exposure relative to the first.

    Parameters
    ----------
    exposures : sequence of Exposure
        With the WCS that the stack is made with.
    point : (float, float), optional
        RA and Dec in degrees. Default, the chip centre that most exposures see; of several such the one
        nearest to the middle of the field.

    Returns
    -------
    DitherPhases

    Raises
    ------
    DataError
        No exposures, or none sees the point.

    Notes
    -----
    The point goes through the full distortion of each chip. With rotation, or a dither of many pixels
    across a distorted field, phases differ over the field: these are those at the point.
    """
    if not exposures:
        msg = "Dither phases need at least one exposure; none was given."
        raise DataError(msg)
    ra, dec = point if point is not None else _common_point(exposures)
    places = np.array([_place(exposure, ra, dec) for exposure in exposures])
    seen = np.flatnonzero(np.isfinite(places[:, 0]))
    if not seen.size:
        msg = f"No exposure sees RA {ra:.6f}, Dec {dec:.6f} deg; give a point inside the field."
        raise DataError(msg)
    dx, dy = (places - places[seen[0]]).T
    return DitherPhases(tuple(e.rootname for e in exposures), float(ra), float(dec), dx, dy)


def _common_point(exposures: Sequence[Exposure]) -> tuple[float, float]:
    centres = np.array([_centre(chip) for e in exposures for chip in e.chips])
    counts = np.zeros(len(centres), int)
    for exposure in exposures:
        seen = np.zeros(len(centres), bool)
        for chip in exposure.chips:
            seen |= _inside(chip, *distortion.sky_to_pixel(chip.wcs, *centres.T))
        counts += seen
    unit = _unit(centres)
    middle = unit.mean(axis=0)
    middle /= np.linalg.norm(middle)
    distance = np.linalg.norm(unit - middle, axis=1)
    best = np.lexsort((distance, -counts))[0]
    return float(centres[best, 0]), float(centres[best, 1])


def _centre(chip: Chip) -> tuple[float, float]:
    ny, nx = chip.shape
    ra, dec = distortion.pixel_to_sky(chip.wcs, 0.5 * (nx - 1), 0.5 * (ny - 1))
    return float(ra), float(dec)


def _place(exposure: Exposure, ra: float, dec: float) -> tuple[float, float]:
    """Zero-based pixel of a point on the chip that sees it; NaN if none does."""
    for chip in exposure.chips:
        x, y = distortion.sky_to_pixel(chip.wcs, ra, dec)
        if _inside(chip, x, y):
            return float(x), float(y)
    return np.nan, np.nan


def _inside(chip: Chip, x: Array, y: Array) -> NDArray[np.bool_]:
    ny, nx = chip.shape
    with np.errstate(invalid="ignore"):
        return (x >= -0.5) & (x < nx - 0.5) & (y >= -0.5) & (y < ny - 0.5)


def _unit(sky: Array) -> Array:
    lon, lat = np.radians(sky).T
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _fraction(shift: Array) -> Array:
    fraction = shift - np.floor(shift)
    return np.where(fraction >= 1.0, 0.0, fraction)  # -1e-17 - floor(-1e-17) rounds to 1


def _around(difference: float) -> float:
    return abs(difference - round(difference))

"""Pixels turned back into the numbers that a FITS array stores."""

import numpy as np

from drizzlewb.exposure import Plane

__all__ = ["stored_values", "stored_words"]


def stored_values(plane: Plane, values: np.ndarray) -> np.ndarray:
    """Stored numbers of an image array: the inverse of `Plane.values` with a factor of 1.

    Parameters
    ----------
    plane : Plane
        The array they are for.
    values : ndarray of float
        In the unit of the file.

    Returns
    -------
    ndarray
        Of the array's own type and byte order. Integers are rounded to the nearest, and cut to the range
        of their type; NaN becomes BLANK, or 0 where the file has none.
    """
    dtype = np.dtype(plane.dtype)
    if dtype.kind == "f" and plane.bscale == 1.0 and plane.bzero == 0.0:
        return values.astype(dtype)
    numbers = (values.astype(np.float64) - plane.bzero) / plane.bscale
    if dtype.kind == "f":
        return numbers.astype(dtype)
    limits = np.iinfo(dtype)
    undefined = ~np.isfinite(numbers)
    numbers = np.clip(np.rint(np.where(undefined, 0.0, numbers)), limits.min, limits.max).astype(dtype)
    if plane.blank is not None:
        numbers[undefined] = plane.blank
    return numbers


def stored_words(plane: Plane, words: np.ndarray) -> np.ndarray:
    """Stored numbers of a DQ array: the inverse of `Plane.words`.

    Parameters
    ----------
    plane : Plane
        The array they are for.
    words : ndarray of uint16
        DQ flags. Bit 32768 is the sign of a 16-bit array without BZERO, as in Hubble's own files.
    """
    dtype = np.dtype(plane.dtype)
    if dtype == np.dtype(">i2") and plane.bscale == 1.0:
        return (words - np.uint16(int(plane.bzero) & 0xFFFF)).view(np.int16).astype(dtype)
    return stored_values(plane, words)

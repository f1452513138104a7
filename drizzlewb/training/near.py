"""Distances on large images, a band of rows at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

__all__ = ["nearer", "within"]

BAND = 256  # rows; a distance transform takes forty times the memory of its mask


def nearer(mask: NDArray[np.bool_], scale: float, reach: float) -> NDArray[np.bool_]:
    """Pixels nearer than `reach` to a pixel of the mask, those of the mask among them.

    Parameters
    ----------
    mask : bool[ny, nx]
    scale : float
        Size of a pixel in the unit of `reach`.
    reach : float

    Returns
    -------
    bool[ny, nx]
    """
    out = np.zeros(mask.shape, bool)
    for rows, distance in _bands(mask, scale, reach):
        out[rows] = distance < reach
    return out


def within(mask: NDArray[np.bool_], scale: float, reach: float) -> NDArray[np.bool_]:
    """As `nearer`, with those that lie just at `reach`."""
    out = np.zeros(mask.shape, bool)
    for rows, distance in _bands(mask, scale, reach):
        out[rows] = distance <= reach
    return out


def _bands(
    mask: NDArray[np.bool_], scale: float, reach: float
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Rows and their distances to the mask; bands that are out of its reach are left out."""
    ny = mask.shape[0]
    margin = math.ceil(reach / scale) + 1
    for start in range(0, ny, BAND):
        stop = min(ny, start + BAND)
        low = max(0, start - margin)
        around = mask[low : min(ny, stop + margin)]
        if around.any():
            distance = scipy.ndimage.distance_transform_edt(~around)
            yield slice(start, stop), distance[start - low : stop - low] * scale

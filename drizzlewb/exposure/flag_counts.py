"""How many pixels of a chip carry each data-quality flag."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from drizzlewb.exposure.values import Chip
from drizzlewb.quality import Flag

__all__ = ["FlagCount", "flag_counts"]

_ROWS = 256


class FlagCount(NamedTuple):
    """One DQ bit and its pixels."""

    flag: Flag
    pixels: int


def flag_counts(chip: Chip, cancelled: Callable[[], bool] = lambda: False) -> tuple[list[FlagCount], int]:
    """Count the pixels of a chip by DQ flag, in one pass over the array.

    Parameters
    ----------
    chip : Chip
        Masks that are drawn on it count as 16384.
    cancelled : callable, optional
        Asked between bands of rows; when it says True, what was counted so far is returned.

    Returns
    -------
    counts : list of FlagCount
        Every bit that the detector's table names, and any other that is set, in order of bit. A pixel
        with two flags counts in both.
    flagged : int
        Pixels with any flag.
    """
    ny, nx = chip.shape
    words = np.zeros(1 << 16, np.int64)
    for y0 in range(0, ny, _ROWS):
        if cancelled():
            break
        box = chip.read_dq((y0, min(y0 + _ROWS, ny), 0, nx))
        words += np.bincount(box.ravel(), minlength=1 << 16)
    value = np.arange(1 << 16)
    known = chip.flags.by_value
    counts = []
    for bit in (1 << k for k in range(16)):
        pixels = int(words[(value & bit) != 0].sum())
        if bit in known:
            counts.append(FlagCount(known[bit], pixels))
        elif pixels:
            unnamed = Flag(bit, str(bit), "no meaning is known for this bit on this detector")
            counts.append(FlagCount(unnamed, pixels))
    return counts, int(words[1:].sum())

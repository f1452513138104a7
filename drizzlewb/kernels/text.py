"""Columns of numbers as lines of text: catalogs of half a million rows in a moment."""

import numpy as np

from drizzlewb.kernels.jit import kernel

__all__ = ["text_rows"]

_MOST = 9.0e15  # beyond it float64 does not hold every whole number


@kernel
def _fill(values, decimals, starts, out):
    """Write row k of values into out[k], each number right-aligned before the start of the next."""
    for k in range(values.shape[0]):
        for c in range(values.shape[1]):
            value = values[k, c]
            at = starts[c + 1] - 1
            if not np.isfinite(value):
                # "nan" or "inf", from its end
                for letter in (110, 97, 110) if np.isnan(value) else (102, 110, 105):
                    out[k, at] = letter
                    at -= 1
                if value < 0:
                    out[k, at] = 45
                continue
            whole = np.int64(np.rint(abs(value) * 10.0 ** decimals[c]))
            negative = value < 0 and whole > 0
            left = decimals[c]
            while True:
                out[k, at] = 48 + whole % 10
                whole //= 10
                at -= 1
                left -= 1
                if left == 0:
                    out[k, at] = 46
                    at -= 1
                if left < 0 and whole == 0:
                    break
            if negative:
                out[k, at] = 45


def text_rows(columns, decimals, ending=""):
    """Format columns line by line: fixed decimals, right-aligned, two blanks between columns.

    Parameters
    ----------
    columns : sequence of ndarray, shape (n,)
        Numbers; NaN and infinities become ``nan`` and ``inf``.
    decimals : sequence of int
        Digits after the point of each column; 0 writes whole numbers. Fewer where a column's largest
        number leaves less of float64's 15 digits.
    ending : str
        What each line ends with, after two more blanks.

    Returns
    -------
    str
        n lines, each with its newline.

    Raises
    ------
    ValueError
        If a number has more than 15 digits before its point.
    """
    values = np.column_stack([np.asarray(column, float) for column in columns])
    decimals = np.asarray(decimals, np.int64)
    if not len(values):
        return ""
    largest = np.abs(np.where(np.isfinite(values), values, 0.0)).max(0)
    if not (largest < _MOST).all():
        msg = f"Formatting a catalog: {largest.max():g} has more digits than float64 holds."
        raise ValueError(msg)
    decimals = np.minimum(decimals, np.log10(_MOST / np.maximum(largest, 1.0)).astype(int))
    whole = np.floor(np.log10(np.maximum(np.rint(largest * 10.0**decimals) / 10.0**decimals, 1.0))) + 1
    # Sign, digits, point and decimals; "-inf" fits too.
    widths = np.maximum(whole.astype(int) + (decimals > 0) + decimals + 1, 4) + 2
    starts = np.concatenate([[0], np.cumsum(widths)])
    tail = np.frombuffer((f"  {ending}\n" if ending else "\n").encode(), np.uint8)
    out = np.full((len(values), starts[-1] + tail.size), 32, np.uint8)
    out[:, starts[-1] :] = tail
    _fill(values, decimals, starts, out)
    return out.tobytes().decode()

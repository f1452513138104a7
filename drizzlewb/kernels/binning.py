"""Large images made small enough to be looked at."""

import numpy as np

from drizzlewb.kernels.jit import kernel

__all__ = ["block_mean", "block_or"]


@kernel
def block_mean(image, step, out):
    """Mean of the finite pixels of each square block.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float32
    step : int
        Side of a block, px.
    out : ndarray, shape (ceil(ny/step), ceil(nx/step)), float32
        Overwritten; NaN where a block has no finite pixel. Blocks at the upper edges may be smaller.
    """
    ny, nx = image.shape
    wide = out.shape[1]
    total = np.empty(wide, np.float32)
    count = np.empty(wide, np.int32)
    limit = np.float32(np.inf)
    for row in range(out.shape[0]):
        total[:] = 0
        count[:] = 0
        for j in range(row * step, min((row + 1) * step, ny)):
            for column in range(wide):
                t, n = np.float32(0), 0
                for i in range(column * step, min((column + 1) * step, nx)):
                    value = image[j, i]
                    if abs(value) < limit:
                        t += value
                        n += 1
                total[column] += t
                count[column] += n
        for column in range(wide):
            out[row, column] = total[column] / np.float32(count[column]) if count[column] else np.nan


@kernel
def block_or(words, step, out):
    """Bits that are set anywhere in each square block: a single flagged pixel stays visible.

    Parameters
    ----------
    words : ndarray, shape (ny, nx), uint16
    step : int
        Side of a block, px.
    out : ndarray, shape (ceil(ny/step), ceil(nx/step)), uint16
        Overwritten.
    """
    ny, nx = words.shape
    out[:, :] = 0
    for j in range(ny):
        row = out[j // step]
        for column in range(out.shape[1]):
            bits = row[column]
            for i in range(column * step, min((column + 1) * step, nx)):
                bits |= words[j, i]
            row[column] = bits

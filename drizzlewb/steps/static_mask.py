"""Static mask: pixels far below the mode of their chip, in any exposure."""

import logging

import numpy as np

from drizzlewb.kernels.statistics import MODE, clipped_statistics

__all__ = ["and_into", "threshold"]

log = logging.getLogger(__name__)

# ImageStats' own defaults, which DrizzlePac leaves as they are
_NCLIP = 3
_SIGMA = 3.0
_BINWIDTH = 0.1
_NARROW = 10.0 * float(np.finfo(np.float32).eps)


def threshold(sci: np.ndarray, static_sig: float) -> float:
    """Value below which a pixel of this chip is masked.

    Parameters
    ----------
    sci : ndarray, shape (ny, nx), float32
        The whole chip, in any unit, flagged pixels included. NaN and inf are left out.
    static_sig : float
        Number of standard deviations below the mode.

    Returns
    -------
    float
        ``mode - static_sig * rms`` in the unit of `sci`; ``-inf``, which masks nothing, where the
        pixels are all equal or none is finite.

    Notes
    -----
    ``drizzlepac.staticMask``: mode and standard deviation after 3 rounds of clipping at 3 sigma,
    histogram bins of 0.1 sigma.
    """
    flat = np.ascontiguousarray(sci, np.float32).reshape(-1)
    stats = clipped_statistics(flat, _NCLIP, _SIGMA, _SIGMA, -np.inf, np.inf, _BINWIDTH, MODE)
    width = _BINWIDTH * stats.stddev
    extent = stats.max - stats.min
    if stats.n == 0 or width < _NARROW or extent < _NARROW or width > extent:
        log.warning("static mask: the pixels of a chip are all equal or bad; it masks nothing")
        return -np.inf
    log.debug("static mask: mode %.6g, rms %.6g, static_sig %.2f", stats.mode, stats.stddev, static_sig)
    return stats.mode - static_sig * stats.stddev


def and_into(mask: np.ndarray, sci: np.ndarray, limit: float) -> None:
    """Clear the pixels of a mask that lie below a limit.

    Parameters
    ----------
    mask : ndarray, shape (ny, nx), uint8
        1 = good; changed in place. One mask serves all chips of the same detector, chip and shape.
    sci : ndarray, shape (ny, nx), float32
        The chip; a NaN is left as it is (it is bad by itself).
    limit : float
        From :func:`threshold`.
    """
    # the smallest float32 that is not below the limit: the comparison is then that of float64
    edge = np.float32(limit)
    if float(edge) < limit:
        edge = np.nextafter(edge, np.float32(np.inf))
    mask[sci < edge] = 0

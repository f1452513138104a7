"""Cosmic rays as ACS sees them (Riess 2002, ACS ISR 2002-07): rate, charge, size, shape."""

from __future__ import annotations

import math

import numpy as np
import scipy.special
from numpy.typing import NDArray

__all__ = ["MASK_LEVEL", "cosmic_rays"]

MASK_LEVEL = 30.0  # electrons above which a pixel counts as hit: about two sigma of a deep frame's noise
MINIMUM_CHARGE = 500.0
MEDIAN_EXCESS = 500.0  # median charge of an event above the minimum
CHARGE_SPREAD = 1.05  # of the logarithm of that excess
SINGLE_SHARE = 0.55  # events that come down steeply and leave no track
TRACK_MEDIAN_PX = 1.9
TRACK_SPREAD = 0.85
DIFFUSION_PX = 0.36
MEAN_PIXELS = 5.88  # above MASK_LEVEL, per event of this mixture (measured; the tests hold it)


def cosmic_rays(
    rng: np.random.Generator, shape: tuple[int, int], pixel_fraction: float
) -> tuple[NDArray[np.float32], int]:
    """Charge that cosmic rays leave on a chip.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    shape : (ny, nx)
        Chip.
    pixel_fraction : float
        Share of pixels to be hit, i.e. to receive at least `MASK_LEVEL` electrons.

    Returns
    -------
    charge : float32[ny, nx]
        Electrons.
    events : int
        Number of events that fell on the chip.

    Notes
    -----
    Each event has at least 500 electrons, 1000 in the median, with a log-normal tail; longer tracks
    carry more. Charge is laid down evenly along the track and spreads by diffusion, so that a typical
    event covers four pixels.
    """
    ny, nx = shape
    border = 12
    big = (ny + 2 * border, nx + 2 * border)
    events = int(rng.poisson(pixel_fraction * big[0] * big[1] / MEAN_PIXELS))
    image = np.zeros(big[0] * big[1])
    # In batches: a full chip has tens of thousands of events and several million deposits.
    for start in range(0, events, 20000):
        _batch(rng, min(20000, events - start), big, image)
    charge = image.reshape(big)[border : border + ny, border : border + nx].astype(np.float32)
    return charge, round(events * ny * nx / (big[0] * big[1]))


def _batch(rng: np.random.Generator, n: int, shape: tuple[int, int], image: NDArray[np.float64]) -> None:
    ny, nx = shape
    x0, y0 = rng.uniform(0, nx, n), rng.uniform(0, ny, n)
    z1, z2 = rng.standard_normal((2, n))
    charge = MINIMUM_CHARGE + MEDIAN_EXCESS * np.exp(CHARGE_SPREAD * z1)
    length = TRACK_MEDIAN_PX * np.exp(TRACK_SPREAD * (0.6 * z1 + 0.8 * z2))
    length[rng.uniform(0, 1, n) < SINGLE_SHARE] = 0.0
    length = np.minimum(length, 60.0)
    angle = rng.uniform(0, 2 * math.pi, n)
    # Points half a pixel apart along each track, each with an equal share of the charge.
    points = np.ceil(length / 0.5).astype(int) + 1
    owner = np.repeat(np.arange(n), points)
    step = np.arange(owner.size) - np.repeat(np.cumsum(points) - points, points)
    along = (step / np.maximum(points[owner] - 1, 1) - 0.5) * length[owner]
    px, py = x0[owner] + along * np.cos(angle[owner]), y0[owner] + along * np.sin(angle[owner])
    share = charge[owner] / points[owner]
    i, j = np.rint(px).astype(int), np.rint(py).astype(int)
    edges = np.arange(-1.5, 2.0)
    wx = np.diff(_normal_cdf((edges[:, None] - (px - i)) / DIFFUSION_PX), axis=0)
    wy = np.diff(_normal_cdf((edges[:, None] - (py - j)) / DIFFUSION_PX), axis=0)
    share /= wx.sum(axis=0) * wy.sum(axis=0)
    for dj in range(3):
        for di in range(3):
            ii, jj = i + di - 1, j + dj - 1
            inside = (ii >= 0) & (ii < nx) & (jj >= 0) & (jj < ny)
            np.add.at(image, jj[inside] * nx + ii[inside], (share * wx[di] * wy[dj])[inside])


def _normal_cdf(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * scipy.special.erfc(-z / math.sqrt(2))

"""Images of stars for tests of finding and measuring."""

import numpy as np
from scipy.special import erf

from drizzlewb.kernels.detection import find_peaks
from drizzlewb.kernels.starfit import fit_stars

ALL_GOOD = np.empty((0, 0), np.uint8)


def star(shape, x, y, flux, sigma):
    """A Gaussian integrated over pixels."""
    ny, nx = shape
    gx = np.diff(erf((np.arange(nx + 1) - 0.5 - x) / (np.sqrt(2) * sigma))) / 2
    gy = np.diff(erf((np.arange(ny + 1) - 0.5 - y) / (np.sqrt(2) * sigma))) / 2
    return flux * np.outer(gy, gx)


def field(n=60, seed=3, shape=(160, 200), sigma=0.85, noise=5.0, sky=80.0):
    """Isolated bright stars on a grid, shaken: positions, image."""
    rng = np.random.default_rng(seed)
    step = 18
    xs, ys = np.meshgrid(np.arange(12, shape[1] - 12, step), np.arange(12, shape[0] - 12, step))
    xy = np.column_stack([xs.ravel(), ys.ravel()])[:n] + rng.uniform(-3, 3, (min(n, xs.size), 2))
    flux = 10 ** rng.uniform(4.2, 5.0, len(xy))
    image = rng.normal(sky, noise, shape)
    for (x, y), f in zip(xy, flux, strict=True):
        image += star(shape, x, y, f, sigma)
    return xy, flux, image.astype(np.float32)


def peaks(image, filters, threshold, good=ALL_GOOD, rows=None, capacity=10_000):
    xs, ys = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
    heights = np.empty(capacity, np.float32)
    y0, y1 = rows or (0, image.shape[0])
    n = find_peaks(
        image, good, filters.weights, filters.footprint, np.float32(threshold), y0, y1, xs, ys, heights
    )
    assert n <= capacity
    return xs[:n], ys[:n], heights[:n]


def fit(image, x, y, height, half=2, sigma=0.85, free=False, good=ALL_GOOD):
    out = np.empty((len(x), 6))
    fit_stars(image, good, x, y, height, half, sigma, free, out)
    return out

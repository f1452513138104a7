"""What a product should show: the true scene on its grid, without noise.

Stars are painted with the simulator's own point-spread function, carried to the product's pixels by the
chip's local geometry and widened by the drop and by the output pixel, which is what a drizzle does to a
well-dithered stack in the mean.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
import scipy.fft
import scipy.ndimage
from astropy.table import Table
from numpy.typing import NDArray

from drizzlewb.grid import OutputGrid
from drizzlewb.kernels.render import add_stars, polyphase
from drizzlewb.training import optics, scene
from drizzlewb.training.detectors import DetectorModel
from drizzlewb.training.truth import ExposureTruth

__all__ = ["Scene", "expected_scene"]

OVERSAMPLE = 3  # samples per output pixel
FAINT_REACH, MIDDLE_REACH, BRIGHT_REACH = 14, 32, 100  # native pixels to which stars are painted
MIDDLE_ELECTRONS, BRIGHT_ELECTRONS = 2e3, 2e5  # in one exposure


class Scene(NamedTuple):
    """The true scene on a product's grid.

    `image` : float32[ny, nx], electrons/s per output pixel, without sky. `rows` : rows of the catalog (stars
    only) on or near the image; `x`, `y`, `rate` : their places (zero-based) and electrons/s. `peak` : the
    share of a star's light that falls into the fullest native pixel when it is centred there.
    """

    image: NDArray[np.float32]
    rows: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    rate: NDArray[np.float64]
    peak: float


def expected_scene(
    grid: OutputGrid,
    pixfrac: float,
    catalog: Table,
    filter_name: str,
    model: DetectorModel,
    size: str,
    truth: ExposureTruth,
    exptime: float,
) -> Scene:
    """Paint the scene on a product's grid.

    Parameters
    ----------
    grid : OutputGrid
        Of the product.
    pixfrac : float
        Linear size of a drop in native pixels.
    catalog : Table
        Truth, from `drizzlewb.training.truth.read_catalog`.
    filter_name : str
        One of the detector's.
    model, size
        Detector and size of the simulated set.
    truth : ExposureTruth
        Of one exposure: where on the detector each star lies, for the field's variation.
    exptime : float
        Of one exposure (s): decides how far a star's wings are painted.
    """
    x, y = grid.sky_to_pixel(np.asarray(catalog["ra"]), np.asarray(catalog["dec"]))
    rate = np.asarray(catalog[f"rate_{filter_name}"], float)
    to_output = _jacobian(grid, truth)
    scale = math.sqrt(abs(np.linalg.det(to_output)))
    ny, nx = grid.shape
    margin = BRIGHT_REACH * scale
    with np.errstate(invalid="ignore"):
        near = (x > -margin) & (y > -margin) & (x < nx + margin) & (y < ny + margin)
    galaxy = np.asarray(catalog["kind"]) == "galaxy"
    stars = np.flatnonzero(near & ~galaxy)
    functions = _functions(
        f"{model.instrument}/{model.detector}", filter_name, tuple(to_output.ravel().tolist()), pixfrac
    )
    mix = _mix(catalog[stars], truth, model, size)
    image = np.zeros(grid.shape, np.float32)
    electrons = rate[stars] * exptime
    classes = (
        (electrons <= MIDDLE_ELECTRONS, FAINT_REACH),
        ((electrons > MIDDLE_ELECTRONS) & (electrons <= BRIGHT_ELECTRONS), MIDDLE_REACH),
        (electrons > BRIGHT_ELECTRONS, BRIGHT_REACH),
    )
    middle = functions.shape[1] // 2
    for chosen, reach in classes:
        half = min(middle, math.ceil(reach * scale + 2) * OVERSAMPLE)
        cut = functions[:, middle - half : middle + half + 1, middle - half : middle + half + 1]
        where = stars[chosen]
        add_stars(image, x[where], y[where], rate[where], mix[chosen], polyphase(cut, OVERSAMPLE), half)
    image += _galaxies(
        catalog[near & galaxy], x[near & galaxy], y[near & galaxy], rate[near & galaxy], grid, functions
    )
    peak = float(optics.point_spread(f"{model.instrument}/{model.detector}", filter_name)[0].max())
    return Scene(image, stars, x[stars], y[stars], rate[stars], peak)


def _jacobian(grid: OutputGrid, truth: ExposureTruth) -> NDArray[np.float64]:
    """d(output pixel)/d(native pixel) in the middle of the field, mean of the chips; float64[2, 2]."""
    total = np.zeros((2, 2))
    for wcs in truth.wcs:
        ny, nx = wcs.array_shape
        cx, cy = nx / 2, ny / 2
        ra, dec = wcs.all_pix2world([cx - 8, cx + 8, cx, cx], [cy, cy, cy - 8, cy + 8], 0)
        x, y = grid.sky_to_pixel(np.asarray(ra), np.asarray(dec))
        total += np.array([[x[1] - x[0], x[3] - x[2]], [y[1] - y[0], y[3] - y[2]]]) / 16
    return total / len(truth.wcs)


@functools.lru_cache(maxsize=4)
def _functions(
    detector: str, filter_name: str, jacobian: tuple[float, ...], pixfrac: float
) -> NDArray[np.float32]:
    """Effective point-spread functions on the output grid, `OVERSAMPLE` samples per output pixel."""
    to_output = np.array(jacobian).reshape(2, 2)
    native = optics.point_spread(detector, filter_name)
    centre = native.shape[1] // 2
    scale = math.sqrt(abs(np.linalg.det(to_output)))
    half = math.ceil(BRIGHT_REACH * scale * OVERSAMPLE)
    n = scipy.fft.next_fast_len(2 * half + 1, real=True)
    axis = (np.arange(n) - half) / OVERSAMPLE
    inverse = np.linalg.inv(to_output)
    u, v = np.meshgrid(axis, axis)
    at = np.stack([inverse[1, 0] * u + inverse[1, 1] * v, inverse[0, 0] * u + inverse[0, 1] * v])
    at = at * optics.OVERSAMPLE + centre
    fx, fy = np.meshgrid(scipy.fft.rfftfreq(n, 1 / OVERSAMPLE), scipy.fft.fftfreq(n, 1 / OVERSAMPLE))
    # The drop is a parallelogram on the output grid, the output pixel a square.
    drop = [fx * to_output[0, k] * pixfrac + fy * to_output[1, k] * pixfrac for k in range(2)]
    transfer = np.sinc(drop[0]) * np.sinc(drop[1]) * np.sinc(fx) * np.sinc(fy)
    out = []
    for function in native:
        here = scipy.ndimage.map_coordinates(function, at, order=3, mode="constant", prefilter=True)
        here = scipy.fft.irfft2(scipy.fft.rfft2(here) * transfer, (n, n))[: 2 * half + 1, : 2 * half + 1]
        out.append((here * (OVERSAMPLE**2 / here.sum())).astype(np.float32))
    return np.asarray(out)


def _mix(stars: Table, truth: ExposureTruth, model: DetectorModel, size: str) -> NDArray[np.float64]:
    """Shares of the functions at each star's place on the detector."""
    corners = model.crop(size)
    ra, dec = np.asarray(stars["ra"], float), np.asarray(stars["dec"], float)
    mix, best = np.zeros((len(stars), 3)), np.full(len(stars), np.inf)
    for k, wcs in enumerate(truth.wcs):
        px, py = wcs.wcs_world2pix(ra, dec, 0)
        ny, nx = wcs.array_shape
        outside = np.hypot(
            np.maximum(np.abs(px - nx / 2) - nx / 2, 0), np.maximum(np.abs(py - ny / 2) - ny / 2, 0)
        )
        # The linear part places a star to some pixels, over which the mixture hardly changes.
        shares = optics.field_mix(px + corners[k][0], py + corners[k][1], model, k + 1)
        closer = outside < best
        mix[closer], best[closer] = shares[closer], outside[closer]
    return mix


def _galaxies(
    rows: Table, x: NDArray, y: NDArray, rate: NDArray, grid: OutputGrid, functions: NDArray[np.float32]
) -> NDArray[np.float32] | float:
    if len(rows) == 0:
        return 0.0
    mean = functions.mean(axis=0)
    half = mean.shape[0] // 2
    kernel = mean[half % OVERSAMPLE :: OVERSAMPLE, half % OVERSAMPLE :: OVERSAMPLE]
    kernel = kernel / kernel.sum()
    margin = kernel.shape[0] // 2
    shapes = (np.asarray(rows[name], float) for name in ("re", "sersic", "axis_ratio", "pa"))
    galaxies = scene.Galaxies(x, y, rate, *shapes)
    to_sky = np.broadcast_to(np.asarray(grid.wcs.cd) * 3600, (len(rows), 2, 2))
    blank = scene.render_galaxies(grid.shape, margin, galaxies, to_sky)
    shape = [scipy.fft.next_fast_len(s + kernel.shape[0], real=True) for s in blank.shape]
    smooth = scipy.fft.irfft2(scipy.fft.rfft2(blank, shape) * scipy.fft.rfft2(kernel, shape), shape)
    start = 2 * margin
    return smooth[start : start + grid.shape[0], start : start + grid.shape[1]].astype(np.float32)

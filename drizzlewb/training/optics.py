"""The telescope's point-spread function, made from its pupil, and the painting of a scene with it."""

from __future__ import annotations

import functools
import math

import numpy as np
import scipy.fft
import scipy.optimize
from numpy.typing import NDArray

from drizzlewb.kernels.render import add_stars, polyphase
from drizzlewb.training.detectors import DETECTORS, DetectorModel

__all__ = ["field_mix", "paint", "point_spread"]

OVERSAMPLE = 4
REACH_PX = 120  # where the wings are cut
CORE_PX = (9.0, 14.0)  # between these radii faint stars pass from the exact core to the smoothed wings
BRIGHT_ELECTRONS = 5e5  # above this, where stars saturate, the wings, too, are painted star by star
PRIMARY_M = 2.4
OBSCURATION = 0.33
VANE_WIDTH = 0.022  # of the primary's diameter, total width over radius as in the published pupil
# Wavefront errors of the three functions that are mixed over the field, in waves at 600 nm (rms):
# defocus, astigmatism 0°, astigmatism 45°, coma x, coma y, spherical; and blur relative to the nominal.
_ABERRATIONS = (
    ((0.010, 0.015, 0.005, 0.010, 0.005, 0.018), 0.97),
    ((0.045, 0.040, 0.000, 0.000, 0.018, 0.018), 1.03),
    ((0.015, -0.010, 0.040, 0.025, 0.000, 0.018), 1.06),
)


def _pupil(
    n: int, diameter_px: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Transmission of the pupil with anti-aliased edges, and coordinates in units of its radius."""
    axis = np.arange(n) - n // 2
    px, py = np.meshgrid(axis, axis)
    radius_px = diameter_px / 2
    r = np.hypot(px, py)
    amplitude = np.clip(radius_px - r + 0.5, 0, 1) * np.clip(r - OBSCURATION * radius_px + 0.5, 0, 1)
    for distance in (np.abs(px + py), np.abs(px - py)):
        width_px = VANE_WIDTH * radius_px
        amplitude *= 1 - np.clip(width_px / 2 - distance / math.sqrt(2) + 0.5, 0, min(1.0, width_px))
    return amplitude, px / radius_px, py / radius_px


def _wavefront(u: NDArray[np.float64], v: NDArray[np.float64], terms: tuple[float, ...]) -> NDArray:
    r2 = u * u + v * v
    shapes = (
        math.sqrt(3) * (2 * r2 - 1),
        math.sqrt(6) * (u * u - v * v),
        math.sqrt(6) * 2 * u * v,
        math.sqrt(8) * (3 * r2 - 2) * u,
        math.sqrt(8) * (3 * r2 - 2) * v,
        math.sqrt(5) * (6 * r2 * r2 - 6 * r2 + 1),
    )
    return np.tensordot(terms, shapes, 1)


@functools.lru_cache(maxsize=8)
def point_spread(detector: str, filter_name: str) -> NDArray[np.float32]:
    """Effective point-spread functions of a detector and filter.

    Diffraction by an obstructed pupil with four vanes (Fraunhofer, five wavelengths over the band),
    charge diffusion, and integration over a pixel. Coma and defocus push the light of each colour
    aside by its own amount; as distortion is calibrated on stars, filter by filter, each function is
    moved so that its core, as a fit to it finds it, is where the star is.

    Parameters
    ----------
    detector, filter_name : str
        Such as ``'ACS/WFC'`` and ``'F606W'``.

    Returns
    -------
    float32[3, s, s]
        Three functions to be mixed with `field_mix`; `OVERSAMPLE` samples per pixel, centred on
        sample s // 2; each pixel grid laid over one of them sums to 1.
    """
    model = DETECTORS[detector]
    band = model.filters[filter_name]
    n = 1024
    step_arcsec = model.idcscale / OVERSAMPLE
    gx, gy = np.meshgrid(scipy.fft.rfftfreq(n, 1 / OVERSAMPLE), scipy.fft.fftfreq(n, 1 / OVERSAMPLE))
    totals = np.zeros((len(_ABERRATIONS), n, n))
    for offset in (-0.9, -0.45, 0.0, 0.45, 0.9):
        wavelength_m = (band.pivot_nm + offset * band.width_nm / 2) * 1e-9
        diameter_px = n * math.radians(step_arcsec / 3600) * PRIMARY_M / wavelength_m
        amplitude, u, v = _pupil(n, diameter_px)
        open_ = amplitude > 0
        uo, vo = u[open_], v[open_]
        for total, (terms, _) in zip(totals, _ABERRATIONS, strict=True):
            phase = 2 * math.pi * _wavefront(uo, vo, terms) * 600e-9 / wavelength_m
            wave = np.zeros((n, n), np.complex64)
            wave[open_] = amplitude[open_] * np.exp(1j * phase)
            # The pupil's own place in the array only turns the phase, which the intensity forgets.
            field = scipy.fft.fft2(wave, overwrite_x=True)
            intensity = field.real**2 + field.imag**2
            total += intensity / intensity.sum(dtype=float)
    half = (REACH_PX + 2) * OVERSAMPLE
    axis = np.arange(-half, half + 1) / OVERSAMPLE
    edge = _fade(np.hypot(*np.meshgrid(axis, axis)), REACH_PX - 15.0, float(REACH_PX))
    c = n // 2
    transforms = []
    for total, (_, blur) in zip(totals, _ABERRATIONS, strict=True):
        sigma = model.diffusion_px * blur
        transfer = np.sinc(gx) * np.sinc(gy) * np.exp(-2 * (math.pi * sigma) ** 2 * (gx**2 + gy**2))
        transforms.append(scipy.fft.rfft2(total) * transfer)
    smooth = [scipy.fft.fftshift(scipy.fft.irfft2(t, (n, n))) for t in transforms]
    out = []
    for transform, found in zip(transforms, smooth, strict=True):
        x, y = _core(found)
        moved = transform * np.exp(2j * math.pi * (gx * x + gy * y))
        centred = scipy.fft.fftshift(scipy.fft.irfft2(moved, (n, n)))
        cut = centred[c - half : c + half + 1, c - half : c + half + 1] * edge
        out.append(cut * (OVERSAMPLE**2 / cut.sum()))
    return np.asarray(out, dtype=np.float32)


def _core(image: NDArray[np.float64]) -> tuple[float, float]:
    """Pixels from the middle sample to where fits to stars find the core, over all phases.

    Least squares of a Gaussian and a constant in 5x5 pixels, as catalogs are made.
    """
    c = image.shape[0] // 2
    offset = np.arange(-2, 3)
    jj, ii = (a.ravel() for a in np.meshgrid(offset, offset, indexing="ij"))
    top = image.max()

    def misfit(p: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y, width, height, level = p
        return height * np.exp(-0.5 * ((ii - x) ** 2 + (jj - y) ** 2) / width**2) + level - values

    found = []
    phases = np.arange(-(OVERSAMPLE // 2), OVERSAMPLE // 2 + 1)
    # A star on the edge of a pixel is in the box of either.
    share = np.where(np.abs(phases) == OVERSAMPLE // 2, 0.5, 1.0)
    for q in phases:
        for p in phases:
            values = image[c + q + jj * OVERSAMPLE, c + p + ii * OVERSAMPLE] / top
            start = np.array([-p / OVERSAMPLE, -q / OVERSAMPLE, 0.9, 1.0, 0.0])
            fit = scipy.optimize.least_squares(misfit, start, args=(values,)).x
            found.append((fit[0] + p / OVERSAMPLE, fit[1] + q / OVERSAMPLE))
    x, y = np.average(found, axis=0, weights=np.multiply.outer(share, share).ravel())
    return float(x), float(y)


def _fade(r: NDArray[np.float64], inner: float, outer: float) -> NDArray[np.float64]:
    """1 inside `inner`, 0 beyond `outer`, a cosine between."""
    t = np.clip((r - inner) / (outer - inner), 0, 1)
    return 0.5 * (1 + np.cos(math.pi * t))


def field_mix(
    x: NDArray[np.float64], y: NDArray[np.float64], model: DetectorModel, extver: int
) -> NDArray[np.float64]:
    """Shares of the three functions at full-chip pixels (x, y) of SCI `extver`; float64[n, 3], sum 1."""
    ny, nx = model.shape
    u = (x - nx / 2) / (nx / 2)
    rows = ny * len(model.chips)
    v = (y + (extver - 1) * ny - rows / 2) / (rows / 2)
    one = np.clip(0.25 + 0.30 * (u * u + v * v) + 0.12 * u * v, 0.0, 0.6)
    two = np.clip(0.20 + 0.16 * u - 0.14 * v, 0.0, 0.4)
    shares = np.stack([np.zeros_like(one), one, two], axis=1)
    shares[:, 0] = 1 - one - two
    return shares


@functools.lru_cache(maxsize=8)
def _core_and_wings(
    detector: str, filter_name: str
) -> tuple[tuple[NDArray, int], tuple[NDArray, int], NDArray[np.float32], NDArray[np.float32]]:
    """Cores for faint stars and whole functions for bright ones, each sorted by phase, with its centre;
    the field's mean wings and mean whole function at one sample a pixel.
    """
    psf = point_spread(detector, filter_name)
    half = psf.shape[1] // 2
    keep = (int(CORE_PX[1]) + 2) * OVERSAMPLE
    core = psf[:, half - keep : half + keep + 1, half - keep : half + keep + 1].astype(float)
    axis = np.arange(-keep, keep + 1) / OVERSAMPLE
    core *= _fade(np.hypot(*np.meshgrid(axis, axis)), *CORE_PX)
    mean = (0.55 * psf[0] + 0.25 * psf[1] + 0.20 * psf[2]).astype(float)
    whole = mean[half % OVERSAMPLE :: OVERSAMPLE, half % OVERSAMPLE :: OVERSAMPLE].copy()
    whole /= whole.sum()
    c = whole.shape[0] // 2
    axis = np.arange(whole.shape[0]) - c
    wings = whole * (1 - _fade(np.hypot(*np.meshgrid(axis, axis)), *CORE_PX))
    # What a core lacks of 1 is made up by the wings, so that every star keeps its flux.
    outside = wings.sum()
    for k in range(core.shape[0]):
        core[k] *= (1 - outside) * OVERSAMPLE**2 / core[k].sum()
    return (
        (polyphase(core.astype(np.float32), OVERSAMPLE), keep),
        (polyphase(psf, OVERSAMPLE), half),
        wings.astype(np.float32),
        whole.astype(np.float32),
    )


def paint(
    shape: tuple[int, int],
    model: DetectorModel,
    filter_name: str,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    counts: NDArray[np.float64],
    mix: NDArray[np.float64],
    diffuse: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Noiseless image of stars and extended sources.

    Parameters
    ----------
    shape : (ny, nx)
        Image to paint.
    model, filter_name
        Detector and filter, which fix the point-spread function.
    x, y : float64[n]
        Zero-based positions; sources up to `REACH_PX` outside count.
    counts : float64[n]
        Electrons that each star leaves on this detector (already divided by the pixel-area map).
    mix : float64[n, 3]
        Shares of the functions, from `field_mix`.
    diffuse : float32[ny + 2 REACH_PX, nx + 2 REACH_PX], optional
        Extended sources before blurring, with a margin of `REACH_PX` all round.

    Returns
    -------
    float32[ny, nx]
        Electrons.
    """
    core, psf, wings, whole = _core_and_wings(model.name, filter_name)
    ny, nx = shape
    image = np.zeros(shape, dtype=np.float32)
    bright = counts > BRIGHT_ELECTRONS
    faint = ~bright
    # Faint first: large values that come later do not swallow small ones in float32.
    add_stars(image, x[faint], y[faint], counts[faint], mix[faint], *core)
    add_stars(image, x[bright], y[bright], counts[bright], mix[bright], *psf)
    padded = (ny + 2 * REACH_PX, nx + 2 * REACH_PX)
    points = _deposit(padded, x[faint] + REACH_PX, y[faint] + REACH_PX, counts[faint])
    good = [scipy.fft.next_fast_len(s + 2 * REACH_PX, real=True) for s in padded]
    transform = scipy.fft.rfft2(points, good) * scipy.fft.rfft2(wings, good)
    if diffuse is not None:
        transform += scipy.fft.rfft2(diffuse, good) * scipy.fft.rfft2(whole, good)
    blurred = scipy.fft.irfft2(transform, good)
    c = wings.shape[0] // 2 + REACH_PX
    # The transform rings at 1e-7 of its largest value: an expectation must not be negative.
    image += np.maximum(blurred[c : c + ny, c : c + nx], 0)
    return image


def _deposit(
    shape: tuple[int, int], x: NDArray[np.float64], y: NDArray[np.float64], value: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Shared bilinearly among the four nearest pixels; enough for wings, which are smooth."""
    ny, nx = shape
    i, j = np.floor(x).astype(int), np.floor(y).astype(int)
    inside = (i >= 0) & (j >= 0) & (i < nx - 1) & (j < ny - 1)
    i, j, a, b, value = (
        i[inside],
        j[inside],
        (x - np.floor(x))[inside],
        (y - np.floor(y))[inside],
        value[inside],
    )
    out = np.zeros(ny * nx)
    for dj, di, share in ((0, 0, (1 - a) * (1 - b)), (0, 1, a * (1 - b)), (1, 0, (1 - a) * b), (1, 1, a * b)):
        out += np.bincount((j + dj) * nx + i + di, weights=value * share, minlength=ny * nx)
    return out.reshape(shape).astype(np.float32)

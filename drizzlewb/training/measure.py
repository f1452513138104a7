"""Photometry of stars on products of known truth."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.spatial
from numpy.typing import NDArray
from photutils.aperture import ApertureStats, CircularAnnulus, CircularAperture, aperture_photometry

__all__ = ["APERTURE_ARCSEC", "Photometry", "isolated", "photometry_of_residuals"]

APERTURE_ARCSEC = 0.15
ANNULUS_ARCSEC = (0.5, 0.9)
AT_ONCE = 200  # annuli measured together


class Photometry(NamedTuple):
    """Magnitude errors of stars: measured minus true.

    `which` : numbers of the given stars; `dm` : magnitudes; `theory` : expected standard error, magnitudes.
    """

    which: NDArray[np.int64]
    dm: NDArray[np.float64]
    theory: NDArray[np.float64]


def photometry_of_residuals(
    residual: NDArray[np.float32],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    flux: NDArray[np.float64],
    scale_arcsec: float,
    seconds: NDArray[np.float64],
    pixel_noise: NDArray[np.float64],
    factor: float,
) -> Photometry:
    """Aperture photometry of stars on product minus true scene.

    The scene holds each star's true light, its wings and its neighbours, so that what an aperture finds is
    the error of the star's flux.

    Parameters
    ----------
    residual : float32[ny, nx]
        Product minus scene, electrons/s; NaN where there is nothing.
    x, y, flux : float64[n]
        Places (zero-based) and true electrons/s.
    scale_arcsec : float
        Pixel size.
    seconds : float64[n]
        Exposure time at each star.
    pixel_noise : float64[n]
        Measured rms per pixel of blank sky with that exposure time.
    factor : float
        The theoretical correlated-noise factor R.
    """
    places = np.stack([x, y], axis=1)
    aperture = CircularAperture(places, APERTURE_ARCSEC / scale_arcsec)
    inner, outer = (r / scale_arcsec for r in ANNULUS_ARCSEC)
    bad = ~np.isfinite(residual)
    clean = np.where(bad, 0, residual)
    sums = np.asarray(aperture_photometry(clean, aperture)["aperture_sum"])
    holes = np.asarray(aperture_photometry(bad.astype(np.float32), aperture)["aperture_sum"])
    # photutils keeps the pixels of every annulus that it is asked about.
    sky = np.zeros(len(places))
    for k in range(0, len(places), AT_ONCE):
        some = slice(k, k + AT_ONCE)
        sky[some] = ApertureStats(clean, CircularAnnulus(places[some], inner, outer), mask=bad).median
    measured = flux + sums - sky * aperture.area
    index = np.flatnonzero((holes == 0) & np.isfinite(measured) & (measured > 0))
    flux, measured = flux[index], measured[index]
    seconds, pixel_noise = seconds[index], pixel_noise[index]
    # The sky's median over the annulus adds its own, correlated, noise.
    sky_share = aperture.area * math.pi / 2 / (math.pi * (outer**2 - inner**2))
    noise = np.sqrt(flux / seconds + aperture.area * (factor * pixel_noise) ** 2 * (1 + sky_share))
    return Photometry(index, -2.5 * np.log10(measured / flux), 1.0857 * noise / flux)


def isolated(
    x: NDArray[np.float64], y: NDArray[np.float64], flux: NDArray[np.float64], radius: float, share: float
) -> NDArray[np.bool_]:
    """Stars whose neighbours within `radius` have together less than `share` of their light."""
    tree = scipy.spatial.cKDTree(np.stack([x, y], axis=1))
    pairs = tree.query_pairs(radius, output_type="ndarray")
    near = np.zeros(x.size)
    np.add.at(near, pairs[:, 0], flux[pairs[:, 1]])
    np.add.at(near, pairs[:, 1], flux[pairs[:, 0]])
    return near < share * flux

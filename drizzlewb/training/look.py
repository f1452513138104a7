"""A product looked at once, for all rows that need it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from drizzlewb.exposure import Exposure
from drizzlewb.steps.image_quality import Noise, measured_noise, noise_factor, robust_sigma
from drizzlewb.steps.saturation import Saturation, saturation
from drizzlewb.steps.weight_check import WeightCheck, full_overlap, weigh
from drizzlewb.training.alignment_error import mean_frame
from drizzlewb.training.delivery import Delivered
from drizzlewb.training.expected import Scene, expected_scene
from drizzlewb.training.known import Known
from drizzlewb.training.measure import (
    ANNULUS_ARCSEC,
    Photometry,
    isolated,
    photometry_of_residuals,
)
from drizzlewb.training.near import nearer, within

__all__ = ["Look", "look"]

SATURATION_REACH_ARCSEC = 1.0  # so near to a saturated pixel no star is measured
FULL_WELL_SHARE = 0.8
FULL_WELL_E = 70000.0  # where the least capacious pixels of the simulated detectors begin to bleed
DETECTION_SIGMA = 10.0
BLANK_SIGMAS = (1.0, 1.5, 3.0)  # sky is where the scene is fainter, the strictest that leaves enough
CLEAN_ARCSEC = 0.18  # so far from a star no ray may have fallen, to be called clean
NEIGHBOUR_ARCSEC, NEIGHBOUR_SHARE = 0.5, 0.10


@dataclass(frozen=True)
class Look:
    """What was measured on one product.

    `area` : full overlap; `blank` : sky in it; `level`, `noise` : of the sky; `factor` : theoretical R for
    many dithers;
    `scene` : true scene or None; `residual` : product minus scene; `x`, `y`, `flux` : isolated unsaturated
    stars (flux true, or measured without truth) inside the overlap of most exposures, `clean` : those that no
    cosmic ray came near in any exposure (empty without truth); `photometry` : of those stars, or None.
    """

    product: Delivered
    area: NDArray[np.bool_]
    blank: NDArray[np.bool_]
    saturation: Saturation
    level: float
    noise: Noise
    factor: float
    scene: Scene | None
    residual: NDArray[np.float32] | None
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux: NDArray[np.float64]
    clean: NDArray[np.bool_]
    photometry: Photometry | None
    weights: WeightCheck | None

    def measured(self) -> Look:
        """Without the scene and the residual, and with the product's pixels let go: they fill the memory."""
        self.product.let_go()
        return replace(self, scene=None, residual=None)


def look(
    product: Delivered, exposures: Sequence[Exposure], known: Known | None, rays: NDArray | None = None
) -> Look:
    """Measure a product.

    Parameters
    ----------
    product : Delivered
        Whole, with a grid.
    exposures : sequence of Exposure
        Those of its inputs that are at hand.
    known : Known, optional
        Truth.
    rays : bool[ny, nx], optional
        Output pixels that a ray came near in some exposure.
    """
    sci, wht = product.sci, product.wht
    count = product.exposure_count()
    if count is None:
        count = (np.nan_to_num(wht if wht is not None else sci) > 0).astype(np.uint16)
    most = int(count.max(initial=0))
    area = full_overlap(count)
    wide = full_overlap(count, max(1, most - 2))
    scale = product.scale_arcsec
    ratio = scale / (product.native_scale_arcsec or scale)
    pixfrac = 1.0 if product.pixfrac is None else product.pixfrac
    full = saturation(product.grid, exposures)
    scene = None
    if known is not None and product.filter in known.filters and product.inputs:
        root = next((r for r in product.inputs if r in known.exposures), None)
        if root is not None:
            seconds = known.index["exposures"][root]["exptime"]
            catalog, frame = known.catalog, mean_frame(exposures, known.exposures)
            if frame is not None:
                catalog = catalog.copy()
                catalog["ra"], catalog["dec"] = frame.fitted(*(np.asarray(catalog[k]) for k in ("ra", "dec")))
            scene = expected_scene(
                product.grid, pixfrac, catalog, product.filter, known.model, known.size,
                known.exposures[root], seconds,
            )  # fmt: skip
    residual = sci - scene.image if scene is not None else None
    base = residual if residual is not None else sci
    inside = area & np.isfinite(base)
    level = float(np.median(base[inside])) if inside.any() else math.nan
    near_full = nearer(full.touched, scale, SATURATION_REACH_ARCSEC)
    sources = scene.image if scene is not None else np.nan_to_num(sci - level)
    spread = robust_sigma(base[inside])
    # With the scene subtracted, what is left of bright stars still is not sky.
    blank = inside & ~near_full
    faint = next((t for t in BLANK_SIGMAS if np.count_nonzero(blank & (sources < t * spread)) > 60000), 3.0)
    blank &= sources < faint * spread
    if scene is None:
        blank &= ~scipy.ndimage.binary_dilation(sources > 5 * spread, iterations=4) & (sources > -5 * spread)
    noise = measured_noise(base - level, blank, pixfrac / ratio)
    x, y, flux = _stars(product, scene, wide, near_full, level, spread)
    magnitude = -2.5 * np.log10(flux) if flux.size else flux
    weights = None
    if wht is not None and product.ctx is not None:
        empty = area & (sources < 3 * spread)
        stars = _unsaturated(scene, x, y, magnitude, near_full, DETECTION_SIGMA * spread / ratio**2)
        weights = weigh(wht, area, most, *stars, empty)
    photometry, clean = None, np.zeros(x.size, bool)
    factor = noise_factor(ratio, pixfrac)
    if residual is not None and x.size and math.isfinite(noise.pixel):
        share = _share(count, most, x, y)
        seconds = product.exptime * share
        photometry = photometry_of_residuals(
            residual, x, y, flux, scale, seconds, noise.pixel / np.sqrt(share), factor
        )
        if rays is not None:
            reach = np.hypot(*np.mgrid[-9:10, -9:10]) * scale <= CLEAN_ARCSEC
            around = scipy.ndimage.binary_dilation(rays, reach)
            clean = ~around[np.rint(y).astype(int), np.rint(x).astype(int)]
    return Look(
        product, area, blank, full, level, noise, factor, scene, residual, x, y, flux, clean,
        photometry, weights,
    )  # fmt: skip


def _share(count: NDArray, most: int, x: NDArray, y: NDArray) -> NDArray[np.float64]:
    """Share of the exposures that lie at each star: the commonest largest count around it."""
    around = scipy.ndimage.maximum_filter(count, 7)
    return around[np.rint(y).astype(int), np.rint(x).astype(int)] / most


def _in(mask: NDArray[np.bool_], x: NDArray, y: NDArray) -> NDArray[np.bool_]:
    i, j = np.rint(np.nan_to_num(x, nan=-1)).astype(int), np.rint(np.nan_to_num(y, nan=-1)).astype(int)
    ok = (i >= 0) & (j >= 0) & (i < mask.shape[1]) & (j < mask.shape[0])
    out = np.zeros(len(i), bool)
    out[ok] = mask[j[ok], i[ok]]
    return out


def _stars(
    product: Delivered,
    scene: Scene | None,
    wide: NDArray[np.bool_],
    near_full: NDArray[np.bool_],
    level: float,
    spread: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Isolated, unsaturated stars, brightest first."""
    scale = product.scale_arcsec
    # What lies beyond the image counts as not covered.
    rim = within(np.pad(~wide, 1, constant_values=True), scale, ANNULUS_ARCSEC[1])[1:-1, 1:-1]
    allowed = ~(rim | near_full)
    if scene is not None:
        x, y, flux = scene.x, scene.y, scene.rate
        seconds = product.exptime / max(1, len(product.inputs))
        native = (product.native_scale_arcsec or scale) / scale
        peak = scene.peak * flux
        bright = peak / native**2 > DETECTION_SIGMA * spread
        keep = (peak * seconds < FULL_WELL_SHARE * FULL_WELL_E) & bright
    else:
        from photutils.detection import DAOStarFinder

        finder = DAOStarFinder(DETECTION_SIGMA * spread, max(2.0, 0.11 / scale))
        found = finder(np.where(np.isfinite(product.sci), product.sci - level, 0)) if spread > 0 else None
        if found is None:
            return (np.zeros(0),) * 3
        names = ("x_centroid", "y_centroid") if "x_centroid" in found.colnames else ("xcentroid", "ycentroid")
        x, y = (np.asarray(found[n], float) for n in names)
        flux = np.asarray(found["flux"], float)
        keep = np.ones(x.size, bool)
    keep &= _in(allowed, x, y) & isolated(x, y, flux, NEIGHBOUR_ARCSEC / scale, NEIGHBOUR_SHARE)
    order = np.flatnonzero(keep)[np.argsort(-flux[keep], kind="stable")]
    return x[order], y[order], flux[order]


def _unsaturated(
    scene: Scene | None,
    x: NDArray,
    y: NDArray,
    magnitude: NDArray,
    near_full: NDArray[np.bool_],
    least: float,
) -> tuple[NDArray, NDArray, NDArray]:
    """Stars for the imprint test: with the truth also those that have neighbours."""
    if scene is None:
        return x, y, magnitude
    keep = (scene.rate * scene.peak > least) & ~_in(near_full, scene.x, scene.y)
    return scene.x[keep], scene.y[keep], -2.5 * np.log10(scene.rate[keep])

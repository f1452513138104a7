"""How far aligned exposures are from the truth, or, without it, from each other."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import NDArray

from drizzlewb import distortion
from drizzlewb.exposure import Exposure
from drizzlewb.training.truth import ExposureTruth

__all__ = ["AlignmentError", "Frame", "StarOffset", "alignment_errors", "mean_frame", "star_offsets"]

NODES = 9  # along each side of a chip
BOX = 2  # half a side of the box in which a star is centred, native pixels


class AlignmentError(NamedTuple):
    """Error of one exposure's WCS.

    `x`, `y` : chip pixels of the nodes (all chips one after the other); `chip` : their SCI extver; `dx`,
    `dy` : true minus fitted position in native pixels along the detector's axes; `rms_px`, `max_px` : of the
    length of that vector; `rms_mas`, `max_mas` : the same on the sky.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    chip: NDArray[np.int64]
    dx: NDArray[np.float64]
    dy: NDArray[np.float64]
    rms_px: float
    max_px: float
    rms_mas: float
    max_mas: float


class StarOffset(NamedTuple):
    """Median offset of stars from where a WCS puts them, and its error, native pixels (NaN: too few).

    `found` : stars with their brightest pixel within 1 px of that place; `looked` : stars looked for.
    """

    x: float
    y: float
    error: float
    found: int
    looked: int


def _offsets(exposure: Exposure, truth: ExposureTruth) -> tuple[NDArray, ...]:
    """Nodes and, on a tangent plane in arcsec: position of the nodes and true minus fitted."""
    parts = []
    for chip, wcs in zip(exposure.chips, truth.wcs, strict=True):
        ny, nx = chip.shape
        x, y = (v.ravel() for v in np.meshgrid(np.linspace(0, nx - 1, NODES), np.linspace(0, ny - 1, NODES)))
        true = wcs.all_pix2world(x, y, 0)
        fitted = distortion.pixel_to_sky(chip.wcs, x, y)
        parts.append(np.stack([x, y, np.full(x.size, chip.extver), *true, *fitted]))
    x, y, extver, a1, d1, a0, d0 = np.concatenate(parts, axis=1)
    east = (_wrap(a1 - a0) * np.cos(np.radians(d1))) * 3600
    north = (d1 - d0) * 3600
    return x, y, extver.astype(int), a1, d1, east, north


def _wrap(degrees: NDArray) -> NDArray:
    return (degrees + 180) % 360 - 180


def _place(ra: NDArray, dec: NDArray, centre: tuple[float, float]) -> tuple[NDArray, NDArray]:
    """Arcsec east and north of a centre (flat: a rotation of some arcsec needs no more)."""
    return _wrap(ra - centre[0]) * 3600 * math.cos(math.radians(centre[1])), (dec - centre[1]) * 3600


class Frame(NamedTuple):
    """Rigid offset, true minus fitted: shift (arcsec) and turn (rad, east of north) about a centre (deg)."""

    centre: tuple[float, float]
    east: float
    north: float
    turn: float

    def at(self, ra: NDArray, dec: NDArray) -> tuple[NDArray, NDArray]:
        """Offset (east, north) in arcsec at sky positions in degrees."""
        e, n = _place(ra, dec, self.centre)
        return self.east - self.turn * n, self.north + self.turn * e

    def fitted(self, ra: NDArray, dec: NDArray) -> tuple[NDArray, NDArray]:
        """Where the fitted frame has what truly lies at (ra, dec), degrees."""
        east, north = self.at(ra, dec)
        return ra - east / 3600 / np.cos(np.radians(dec)), dec - north / 3600


def _fit_frame(offsets: Sequence[tuple[NDArray, ...]]) -> Frame:
    ra, dec, east, north = (np.concatenate([o[k] for o in offsets]) for k in (3, 4, 5, 6))
    centre = (float(ra[0]), float(dec[0]))
    e, n = _place(ra, dec, centre)
    one, zero = np.ones_like(e), np.zeros_like(e)
    design = np.concatenate([np.stack([one, zero, -n], 1), np.stack([zero, one, e], 1)])
    shift = np.linalg.lstsq(design, np.concatenate([east, north]), rcond=None)[0]
    return Frame(centre, *shift.tolist())


def mean_frame(exposures: Sequence[Exposure], truths: Mapping[str, ExposureTruth]) -> Frame | None:
    """Rigid offset that exposures share; None where none has a truth.

    An alignment is relative: a stack may lie off the true sky as a whole and still be sound.
    """
    ours = [_offsets(e, truths[e.rootname]) for e in exposures if e.rootname in truths]
    return _fit_frame(ours) if ours else None


def alignment_errors(
    exposures: Sequence[Exposure], truths: Mapping[str, ExposureTruth], reference: str
) -> dict[str, AlignmentError]:
    """Error of each exposure's WCS beside the truth, the reference exposure's own rigid offset removed.

    Parameters
    ----------
    exposures : sequence of Exposure
        As the trainee left them.
    truths : mapping
        Truth by rootname; exposures without one are left out.
    reference : str
        Rootname whose shift and rotation against the truth are taken from all (an alignment is relative).

    Returns
    -------
    dict
        By rootname. On a grid of 9x9 nodes over each chip, corners included.
    """
    ours = [e for e in exposures if e.rootname in truths]
    measured = {e.rootname: _offsets(e, truths[e.rootname]) for e in ours}
    if reference not in measured:
        return {}
    frame = _fit_frame([measured[reference]])
    out = {}
    for exposure in ours:
        x, y, chip, ra, dec, east, north = measured[exposure.rootname]
        own_east, own_north = frame.at(ra, dec)
        east, north = east - own_east, north - own_north
        cd = np.array(exposure.chips[0].wcs.cd) * 3600
        dx, dy = np.linalg.solve(cd, np.stack([east, north]))
        mas = np.hypot(east, north) * 1000
        px = mas / 1000 / exposure.chips[0].pixel_scale_arcsec
        out[exposure.rootname] = AlignmentError(
            x, y, chip, dx, dy, _rms(px), float(px.max()), _rms(mas), float(mas.max())
        )  # fmt: skip
    return out


def _rms(values: NDArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def star_offsets(
    exposures: Sequence[Exposure], ra: NDArray[np.float64], dec: NDArray[np.float64], bits: int
) -> dict[str, StarOffset]:
    """Where stars fall in each exposure beside where its WCS puts them.

    Parameters
    ----------
    exposures : sequence of Exposure
        As the trainee left them.
    ra, dec : float64[n]
        Places of stars in a product, degrees.
    bits : int
        DQ values that do not make a pixel bad.

    Returns
    -------
    dict
        `StarOffset` by rootname. A star is centred by a parabola through its brightest pixel and the
        neighbours; the pixel phase's error averages out.
    """
    from photutils.centroids import centroid_quadratic

    out = {}
    for exposure in exposures:
        found, looked = [], 0
        for chip in exposure.chips:
            ny, nx = chip.shape
            x, y = distortion.sky_to_pixel(chip.wcs, ra, dec)
            with np.errstate(invalid="ignore"):
                inside = (x > BOX + 2) & (y > BOX + 2) & (x < nx - BOX - 3) & (y < ny - BOX - 3)
            if not inside.any():
                continue
            region = (0, ny, 0, nx)
            sci, good = chip.read_sci(region), chip.good(region, bits)
            for px, py in zip(x[inside], y[inside], strict=True):
                i, j = round(px), round(py)
                cut = (slice(j - BOX, j + BOX + 1), slice(i - BOX, i + BOX + 1))
                data = sci[cut].astype(float)
                if not good[cut].all() or not np.isfinite(data).all():
                    continue
                looked += 1
                top = np.unravel_index(np.argmax(data), data.shape)
                if min(top) == 0 or max(top) == 2 * BOX:
                    continue  # the star is not here, or outshone by a neighbour or a cosmic ray
                with warnings.catch_warnings():
                    # It says by a warning, too, what NaN says: no maximum there.
                    warnings.simplefilter("ignore", AstropyUserWarning)
                    cx, cy = centroid_quadratic(data, fit_boxsize=3)
                if math.isfinite(cx) and math.isfinite(cy):
                    found.append((i - BOX + cx - px, j - BOX + cy - py))
        offsets = np.array(found).reshape(-1, 2)
        if len(offsets) < 3:
            out[exposure.rootname] = StarOffset(math.nan, math.nan, math.nan, len(offsets), looked)
            continue
        middle = np.median(offsets, axis=0)
        spread = 1.4826 * np.median(np.abs(offsets - middle), axis=0)
        error = 1.25 * float(np.hypot(*spread)) / math.sqrt(2 * len(offsets))
        out[exposure.rootname] = StarOffset(float(middle[0]), float(middle[1]), error, len(offsets), looked)
    return out

"""One list of sources against the reference list: first offset, pairs, fit, guard rails, verdict."""

import logging
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from drizzlewb import distortion
from drizzlewb.exposure import Exposure
from drizzlewb.grid import OutputGrid
from drizzlewb.kernels.matching import Pairing
from drizzlewb.parameters.tweakreg import AlignParameters
from drizzlewb.steps.fit import GEOMETRIES, LinearFit, corrected_tan, fit_linear, iterate_fit
from drizzlewb.steps.offsets import Refused, Start, advised_radius, find_start
from drizzlewb.steps.reference import ReferenceList, looks_like_stars
from drizzlewb.steps.solution import Alignment
from drizzlewb.steps.sources import Sources
from drizzlewb.steps.verdict import Verdict, judge, trends

__all__ = ["align_lists", "moved", "reference_row"]

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

MAX_ROTATION_DEG = 2.0
MAX_SCALE = 0.005
ROUNDS = 10
SETTLED_PX = 1e-3  # pairs do not change any more
# With so many matches in one filter magnitudes must correlate.
MAGNITUDE_TEST = (10, 100)
MIN_CORRELATION = 0.5


def _empty(sources: Sources) -> dict:
    nothing = np.empty(0, np.int64)
    return {
        "sources": sources,
        "index": nothing,
        "ref_index": nothing,
        "xy": np.empty((0, 2)),
        "ref_xy": np.empty((0, 2)),
        "ref_mag": np.empty(0),
    }


def reference_row(e: Exposure, sources: Sources) -> Alignment:
    """Row of the exposure that the others are aligned to."""
    verdict = Verdict("reference", f"Reference: {len(sources)} sources; its WCS stays.")
    return Alignment(e.rootname, e.filters, e.rootname, "reference", verdict, "", None, **_empty(sources))


def align_lists(
    sources: Sources,
    listed: ReferenceList,
    plane: OutputGrid,
    pars: AlignParameters,
    *,
    same_visit: bool = False,
    exposure: Exposure | None = None,
    check: Callable[[], None] = lambda: None,
) -> Alignment:
    """Match and fit one list of sources to the reference list.

    Parameters
    ----------
    sources : Sources
        With positions on the sky by the WCS to be corrected.
    listed : ReferenceList
    plane : OutputGrid
        Whose px are those of the fit.
    pars : AlignParameters
    same_visit : bool
        Whether the reference is of the same visit.
    exposure : Exposure, optional
        To place its sources on the detector for the verdict.
    check : callable, optional
        Called between the parts of the work; it raises to stop it.

    Returns
    -------
    Alignment
        With status 'aligned' or 'refused'.
    """
    start: Start | None = None
    try:
        if not len(sources):
            msg = (
                f"{sources.name}: no sources above the threshold; lower it, look at peakmax and dqbits, or "
                "leave this exposure out."
            )
            raise Refused("sources", msg)
        xy = np.column_stack(plane.sky_to_pixel(sources.ra, sources.dec))
        usable = np.isfinite(xy).all(1)
        start = _start(sources, xy, usable, listed, plane, pars)
        check()
        return _match_and_fit(sources, xy, usable, listed, plane, pars, start, same_visit, exposure, check)
    except Refused as refusal:
        log.warning("%s", refusal)
        verdict = Verdict("refused", f"Refused at the stage '{refusal.stage}'. {refusal}")
        return Alignment(
            sources.name,
            sources.filters,
            listed.name,
            "refused",
            verdict,
            refusal.stage,
            None,
            start=start or refusal.start,
            **_empty(sources),
        )


def _units(plane: OutputGrid, pars: AlignParameters) -> tuple[float, str]:
    """Px of the plane in one unit of searchrad, and its name."""
    return (1.0 / plane.scale_arcsec, "arcsec") if pars.searchunits == "arcseconds" else (1.0, "px")


def _start(
    sources: Sources,
    xy: Array,
    usable: npt.NDArray[np.bool_],
    listed: ReferenceList,
    plane: OutputGrid,
    pars: AlignParameters,
) -> Start:
    center = plane.wcs.crpix
    if not pars.use2dhist:
        offset = np.array([pars.xoffset, pars.yoffset])
        return Start(offset, 0.0, center, None, np.zeros((0, 0), np.int64))
    unit_px, unit = _units(plane, pars)
    radius = pars.searchrad * unit_px
    far = 3 * radius + 1200.0
    low, high = (xy[usable].min(0), xy[usable].max(0)) if usable.any() else (np.zeros(2), np.zeros(2))
    overlap = ((listed.xy >= low - radius) & (listed.xy <= high + radius)).all(1)
    if not usable.any() or not overlap.any():
        gap = np.maximum(low - listed.xy, listed.xy - high).max(1).min() * plane.scale_arcsec
        distance = f"{gap:.0f} arcsec" if usable.any() and np.isfinite(gap) else "half a sky"
        msg = (
            f"{sources.name} does not overlap the reference {listed.name}: {distance} are between them. "
            "For a mosaic use expand_refcat and enforce_user_order=False; else leave this exposure out."
        )
        raise Refused("offset", msg)
    # Of a catalog of the whole sky only the part around the exposure counts.
    near = ((listed.xy >= low - far) & (listed.xy <= high + far)).all(1)
    return find_start(
        xy[usable],
        listed.xy[near],
        radius,
        flux=-sources.mag[usable],
        ref_flux=-listed.mag[near],
        starlike=looks_like_stars(sources)[usable],
        ref_starlike=listed.starlike[near],
        unit_px=unit_px,
        unit=unit,
        name=sources.name,
    )


def _fit(pars: AlignParameters, image: Array, ref: Array, center: Array) -> LinearFit:
    return iterate_fit(image, ref, pars.fitgeometry, center, pars.nclip, pars.sigma)


def _match_and_fit(
    sources: Sources,
    xy: Array,
    usable: npt.NDArray[np.bool_],
    listed: ReferenceList,
    plane: OutputGrid,
    pars: AlignParameters,
    start: Start,
    same_visit: bool,
    exposure: Exposure | None,
    check: Callable[[], None],
) -> Alignment:
    name = sources.name
    at = np.flatnonzero(usable)
    image, flux = xy[at], -sources.mag[at]
    center = plane.wcs.crpix
    predicted = start.predict(listed.xy)
    pairing = Pairing(image, listed.xy, pars.separation, flux, -listed.mag)
    previous: tuple[bytes, bytes] | None = None
    fewest = max(pars.minobj, GEOMETRIES[pars.fitgeometry][1])
    fit = None
    for _ in range(ROUNDS):
        check()
        i, j = pairing.pairs(predicted, pars.tolerance)
        if len(i) < fewest:
            _refuse_few(name, len(i), fewest, len(at), listed, pars, start.rotation)
        fit = _fit(pars, image[i], listed.xy[j], center)
        if fit.nmatch < fewest:
            _refuse_few(name, fit.nmatch, fewest, len(at), listed, pars, start.rotation)
        state = (i.tobytes(), j.tobytes())
        if state == previous:
            break
        previous, before = state, predicted
        predicted = fit.predict(listed.xy)
        if np.abs(predicted - before).max() < SETTLED_PX:
            break
    assert fit is not None
    check()
    # The same lists shifted by more than any tolerance share no star.
    away = np.array([13.7, -11.3]) * max(1.0, pars.tolerance)
    chance = len(pairing.pairs(predicted - away, pars.tolerance)[0])
    turn = None
    if fit.geometry == "shift" and len(i) > 5:
        turn = iterate_fit(image[i], listed.xy[j], "rshift", center, pars.nclip, pars.sigma)
    _guard(name, fit, turn, chance, start, plane, pars)
    warnings: list[str] = []
    mags, ref_mags = sources.mag[at[i]], listed.mag[j]
    correlation = _magnitudes(name, sources.filters, fit, mags, ref_mags, listed.filters[j], warnings)
    unadvised = {"rscale": 12, "general": 25}.get(pars.fitgeometry, 0)
    if fit.nmatch < unadvised:
        warnings.append(
            f"{fit.nmatch} stars are few for '{pars.fitgeometry}': {unadvised} and more are advised"
        )
    alternatives = {}
    for geometry, (_, least) in GEOMETRIES.items():
        if fit.nmatch >= max(least + 2, 5) and geometry != fit.geometry:
            alternatives[geometry] = fit_linear(image[i], listed.xy[j], geometry, center, used=fit.used)
    used = fit.used
    dx, dy, chip = _on_detector(sources, at[i][used], exposure)
    richer = [f for g, f in alternatives.items() if GEOMETRIES[g][0] > GEOMETRIES[fit.geometry][0]]
    too_simple = any(f.rms_px < 0.8 * fit.rms_px for f in richer)
    found = trends(fit.residuals[used], dx, dy, mags[used], chip, too_simple)
    verdict = judge(
        fit,
        1000.0 * plane.scale_arcsec,
        found,
        same_visit=same_visit,
        alternatives=alternatives,
        warnings=tuple(warnings),
    )
    return Alignment(
        name,
        sources.filters,
        listed.name,
        "aligned",
        verdict,
        "",
        fit,
        sources,
        at[i],
        j,
        image[i],
        listed.xy[j],
        ref_mags,
        start,
        chance,
        correlation,
        alternatives,
    )


def _on_detector(
    sources: Sources, index: Index, exposure: Exposure | None
) -> tuple[Array, Array, npt.NDArray[np.int16]]:
    """Positions on the plane of the exposure's first chip, whose axes are nearly the detector's."""
    ra, dec = sources.ra[index], sources.dec[index]
    if exposure is None:
        return ra, dec, sources.chip[index]
    x, y = distortion.sky_to_pixel(distortion.linear(exposure.chips[0].wcs), ra, dec)
    return x, y, sources.chip[index]


def _refuse_few(
    name: str,
    n: int,
    fewest: int,
    total: int,
    listed: ReferenceList,
    pars: AlignParameters,
    rotation: float,
) -> None:
    if rotation and pars.fitgeometry == "shift":
        change = f"the lists are rotated by {rotation:+.3f} degrees: use fitgeometry 'rscale'"
    else:
        change = (
            f"lower threshold or raise peakmax for more sources, widen tolerance ({pars.tolerance:g} px), or "
            "lower minobj if you trust so few"
        )
    msg = (
        f"{name}: {n} matches of {total} sources with {len(listed.xy)} of {listed.name}, fewer than minobj = "
        f"{fewest}: {change}."
    )
    raise Refused("matching", msg)


def _guard(
    name: str,
    fit: LinearFit,
    turn: LinearFit | None,
    chance: int,
    start: Start,
    plane: OutputGrid,
    pars: AlignParameters,
) -> None:
    """Refuse what no telescope does, and pairs that scatter as chance pairs do."""
    rounded = f"{fit.nmatch} matches, rms {fit.rms_px:.3f} px"
    if abs(fit.rotation) > MAX_ROTATION_DEG:
        msg = (
            f"{name}: the fit turns the image by {fit.rotation:+.2f} degrees ({rounded}); more than "
            f"{MAX_ROTATION_DEG:g} is no pointing error. Use a simpler fitgeometry or more sources."
        )
        raise Refused("fit", msg)
    worst = max(abs(s - 1.0) for s in fit.scales)
    if worst > MAX_SCALE:
        msg = (
            f"{name}: the fit changes the scale by {1e6 * worst:.0f} ppm ({rounded}); more than "
            f"{1e6 * MAX_SCALE:.0f} is no aberration. Use a simpler fitgeometry or more sources."
        )
        raise Refused("fit", msg)
    if pars.use2dhist:
        unit_px, unit = _units(plane, pars)
        away = fit.predict(start.center[None])[0] - start.center
        farthest = float(np.abs(away).max())
        if farthest > pars.searchrad * unit_px + 2.0:
            msg = (
                f"{name}: the fit moves the field by ({away[0]:+.1f}, {away[1]:+.1f}) px, beyond searchrad = "
                f"{pars.searchrad:g} {unit} ({rounded}): widen searchrad to "
                f"{advised_radius(farthest, unit_px):.4g} {unit} if you believe it."
            )
            raise Refused("offset", msg)
    # Uniform within the tolerance, a quarter of the pairs lie in the inner half of the radius.
    distance = np.hypot(*fit.residuals.T)
    n = len(distance)
    inner = int((distance < pars.tolerance / 2).sum())
    uniform = inner < 0.25 * n + 3.0 * math.sqrt(n * 0.1875)
    if uniform or (n < 1.5 * chance and fit.rms_px > 0.3 * pars.tolerance):
        better = turn is not None and turn.rms_px < 0.5 * fit.rms_px
        if fit.geometry == "shift" and (better or start.rotation):
            angle = turn.rotation if better and turn is not None else start.rotation
            msg = (
                f"{name}: the lists are rotated by {angle:+.3f} degrees, and a shift leaves an rms of "
                f"{fit.rms_px:.2f} px: use fitgeometry 'rscale'."
            )
            raise Refused("fit", msg)
        msg = (
            f"{name}: the {n} pairs scatter as chance pairs do (rms {fit.rms_px:.2f} px for a tolerance of "
            f"{pars.tolerance:g} px; {chance} pairs without any common star): a false match. Use fewer, "
            "brighter sources (threshold), or widen searchrad."
        )
        raise Refused("fit", msg)


def _magnitudes(
    name: str,
    filters: str,
    fit: LinearFit,
    mags: Array,
    ref_mags: Array,
    ref_filters: npt.NDArray[np.str_],
    warnings: list[str],
) -> float:
    """Correlation of the magnitudes of the pairs; in the same filter, few pairs must correlate."""
    good = fit.used & np.isfinite(mags) & np.isfinite(ref_mags)
    n = int(good.sum())
    if n < 5 or np.ptp(mags[good]) == 0 or np.ptp(ref_mags[good]) == 0:
        return float("nan")
    r = float(np.corrcoef(mags[good], ref_mags[good])[0, 1])
    if r > MIN_CORRELATION:
        return r
    same = bool(filters) and (ref_filters[good] == filters).mean() > 0.5
    low, high = MAGNITUDE_TEST
    if same and low <= n <= high:
        msg = (
            f"{name}: the magnitudes of the {n} matches do not correlate (r = {r:.2f}) although both are "
            f"{filters}: these are not the same stars. Use brighter sources (threshold), cut on sharpness "
            "(use_sharp_round), or widen searchrad."
        )
        raise Refused("magnitudes", msg)
    warnings.append(f"the magnitudes of the matches correlate poorly (r = {r:.2f})")
    return r


def moved(exposure: Exposure, fit: LinearFit, plane: OutputGrid, wcsname: str) -> Exposure:
    """Return the exposure with every chip's CRVAL and CD corrected by the fit."""
    solutions = []
    for chip in exposure.chips:
        crval, cd = corrected_tan(
            chip.wcs.crval,
            chip.wcs.cd,
            plane.wcs.crval,
            plane.wcs.cd,
            plane.wcs.crpix,
            fit.matrix,
            fit.shift,
            fit.center,
        )
        solutions.append(distortion.replace_tan(chip.wcs, crval, cd))
    return exposure.with_wcs(solutions, wcsname=wcsname or "TWEAK")

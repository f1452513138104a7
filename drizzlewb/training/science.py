"""Rows on the science in the products."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from drizzlewb.exposure import Exposure
from drizzlewb.steps.image_quality import robust_sigma, star_width
from drizzlewb.steps.noise_theory import dithered_noise_factor
from drizzlewb.training.expected import Scene
from drizzlewb.training.known import Known
from drizzlewb.training.look import Look
from drizzlewb.training.measure import Photometry
from drizzlewb.training.rays import SIGMAS, RayCount
from drizzlewb.training.roles import Role
from drizzlewb.training.rows import FAIL, GOOD, NOT_GRADED, PASS, Row, judge, not_graded

__all__ = ["noise_row", "photometry_rows", "rate_row", "ray_rows", "sky_row", "width_row", "widths"]

PART = "science"
BIAS_LIMIT, SCATTER_LIMIT, FWHM_LIMIT, NOISE_LIMIT, SKY_LIMIT = 0.005, 1.2, 0.97, 0.10, 0.02
LEAST_STARS, LEAST_WIDTHS = 30, 50
LEAST_BLANK = 0.6  # share of the field, for its noise to be measured without truth
SLOPE_LIMIT = 0.01  # magnitudes from side to side
# Completeness that passes and that is good, above 3, 5 and 10 sigma; a sound run of the peer on this
# training set reaches 0.77, 0.89, 0.95.
COMPLETENESS = ((0.70, 0.80), (0.85, 0.90), (0.92, 0.97))
# Share of untouched pixels flagged: of all, and above 3, 5 and 10 sigma of source light.
FALSE_POSITIVES = ((0.001, 0.0002), (0.005, 0.001), (0.005, 0.001), (0.01, 0.002))
RATE_RANGE = (1.0, 4.0)  # per cent of pixels per 1000 s that a mask may plausibly flag
JUMP = 1.5  # an exposure with so many times its sisters' rate has lost something other than rays


def ray_rows(role: Role, counts: Mapping[str, RayCount], source: str) -> list[Row]:
    """Completeness and false positives of the cosmic-ray masks of one product."""
    if not counts:
        why = "No masks: keep them (crmask files), or hand the product over while its run is in memory."
        return [
            not_graded(
                PART, f"cosmic rays, {role.name}", why if not source else "There is no truth to compare with."
            )
        ]
    first, *others = counts.values()
    total = sum(others, start=first)
    rows = []
    for k, sigma in enumerate(SIGMAS):
        n, least, good = int(total.hit[k]), *COMPLETENESS[k]
        name, limit = f"rays found above {sigma:.0f} sigma, {role.name}", f">= {least}; good >= {good}"
        if n < 100:
            rows.append(not_graded(PART, name, f"Only {n} pixels were hit.", limit=limit, number=n))
            continue
        value = float(total.found[k] / n)
        # Pixels of one ray are found or missed together: some six each.
        error = math.sqrt(max(value * (1 - value), 1 / n) / (n / 6))
        verdict = FAIL if value < least else GOOD if value >= good else PASS
        words = f"{100 * value:.1f} % of {n} pixels with rays flagged ({source})."
        if verdict == FAIL:
            words += " Too many are missed: lower driz_cr_snr, and see that the exposures are aligned."
        rows.append(Row(PART, name, verdict, words, value, error, limit, "", n))
    for k, (most, good) in enumerate(FALSE_POSITIVES):
        where = (
            "of all untouched pixels" if k == 0 else f"of those with sources above {SIGMAS[k - 1]:.0f} sigma"
        )
        n = int(total.clean[k])
        name, limit = f"false rays {where}, {role.name}", f"<= {100 * most:g}; good <= {100 * good:g}"
        if n < 1000:
            rows.append(not_graded(PART, name, f"Only {n} pixels.", limit=limit, unit="%", number=n))
            continue
        value = float(total.wrong[k] / n)
        verdict = FAIL if value > most else GOOD if value <= good else PASS
        words = f"{total.wrong[k]} of {n} flagged."
        if verdict == FAIL:
            words += " Star cores are taken for rays: check the alignment first, then raise driz_cr_scale."
        error = 100 * math.sqrt((total.wrong[k] + 1) / n**2)
        rows.append(Row(PART, name, verdict, words, 100 * value, error, limit, "%", n))
    return rows


def rate_row(role: Role, fractions: Mapping[str, tuple[float, float]]) -> Row:
    """Fraction of pixels flagged in each exposure, per 1000 s: none must jump against its sisters.

    `fractions` : by rootname, share of pixels flagged and exposure time in s.
    """
    name = f"flagged per exposure, {role.name}"
    limit = f"none above {JUMP} x the median; {RATE_RANGE[0]:g} to {RATE_RANGE[1]:g} % in 1000 s"
    if len(fractions) < 3:
        return not_graded(PART, name, "No masks or record tell what was flagged.", limit=limit, unit="%")
    rates = {root: 100 * share / (seconds / 1000) for root, (share, seconds) in fractions.items()}
    middle = float(np.median(list(rates.values())))
    odd = [f"{root} ({rate:.2f} %)" for root, rate in rates.items() if rate > JUMP * middle]
    n = len(rates)
    if odd:
        words = (
            f"{', '.join(odd)} against {middle:.2f} % in the median: misaligned, or crossed by a satellite."
        )
        return Row(PART, name, FAIL, words, middle, 0.0, limit, "%", n)
    if not RATE_RANGE[0] <= middle <= RATE_RANGE[1]:
        words = (
            f"{middle:.2f} % of pixels in 1000 s: "
            + ("too many" if middle > RATE_RANGE[1] else "too few")
            + " for rays."
        )
        return Row(PART, name, FAIL, words, middle, 0.0, limit, "%", n)
    return Row(PART, name, PASS, f"{middle:.2f} % of pixels in 1000 s, evenly.", middle, 0.0, limit, "%", n)


def photometry_rows(role: Role, look: Look, known: Known | None) -> list[Row]:
    """Bias, scatter, slope over the detector, and whether the stars have the filter's magnitudes."""
    names = [
        f"{what}, {role.name}" for what in ("photometric bias", "photometric scatter", "magnitude slope")
    ]
    if known is None or look.scene is None:
        return [
            not_graded(PART, name, "There is no truth to compare magnitudes with.", unit="mag")
            for name in names
        ]
    photometry = look.photometry
    if photometry is None or photometry.which.size == 0:
        return [
            not_graded(PART, name, "Only 0 isolated stars could be measured.", unit="mag", number=0)
            for name in names
        ]
    index, dm, theory = photometry.which, photometry.dm, photometry.theory
    sharp = theory < 0.02
    n = int(sharp.sum())
    swapped = _wrong_filter(look, look.scene, photometry, known)
    if swapped:
        return [Row(PART, names[0], FAIL, swapped, unit="mag", number=n)] + [
            not_graded(PART, name, "See the photometric bias.", unit="mag") for name in names[1:]
        ]
    return [
        _bias_row(names[0], look, known, dm[sharp], index[sharp]),
        *_scatter_rows(names[1], dm, theory, look.clean[index]),
        _slope_row(names[2], look, dm[sharp], theory[sharp], index[sharp]),
    ]


def _wrong_filter(look: Look, scene: Scene, photometry: Photometry, known: Known) -> str:
    """Sentence, if the stars have the magnitudes of another filter than the header says."""
    index = photometry.which
    measured = look.flux[index] * 10 ** (-0.4 * photometry.dm)
    here: dict[str, float] = {}
    which = {(x, y): row for x, y, row in zip(scene.x, scene.y, scene.rows, strict=True)}
    stars = [which[x, y] for x, y in zip(look.x[index], look.y[index], strict=True)]
    for name in known.filters:
        true = np.asarray(known.catalog[f"rate_{name}"], float)[stars]
        difference = -2.5 * np.log10(measured / true)
        here[name] = abs(float(np.median(difference))) + robust_sigma(difference)
    best = min(here, key=lambda name: here[name])
    if len(stars) >= 5 and best != look.product.filter and here[best] < 0.5 * here[look.product.filter]:
        return (
            f"{look.product.name} says {look.product.filter}, but its stars have the magnitudes of {best}: "
            "filters are swapped."
        )
    return ""


def _bias_row(name: str, look: Look, known: Known, dm: NDArray, index: NDArray) -> Row:
    n, limit = dm.size, f"|bias| <= {BIAS_LIMIT}"
    if n < 5:
        return not_graded(
            PART, name, f"Only {n} stars are bright and isolated enough.", limit=limit, unit="mag", number=n
        )
    bias, error = float(np.median(dm)), 1.25 * robust_sigma(dm) / math.sqrt(n)
    verdict = judge(abs(bias), error, BIAS_LIMIT, BIAS_LIMIT / 2)
    words = f"Measured minus true magnitude of {n} stars {bias:+.4f} ± {error:.4f}."
    if verdict == FAIL:
        words += _area_words(look, known, dm, index)
    if verdict == NOT_GRADED:
        words = f"Only {n} stars: {words}"
    return Row(PART, name, verdict, words, bias, error, limit, "mag", n)


def _area_words(look: Look, known: Known, dm: NDArray, index: NDArray) -> str:
    """Whether the errors are those of a pixel-area map left out or applied twice."""
    from drizzlewb.training.pointing import pixel_area_map, sky_to_pixel

    truth = known.exposures[next(r for r in look.product.inputs if r in known.exposures)]
    ra, dec = look.product.grid.pixel_to_sky(look.x[index], look.y[index])
    area = np.full(index.size, np.nan)
    for wcs in truth.wcs:
        ny, nx = wcs.array_shape
        x, y = sky_to_pixel(wcs, ra, dec)
        inside = (x > -60) & (y > -60) & (x < nx + 60) & (y < ny + 60)
        area[inside] = pixel_area_map(wcs, x[inside], y[inside], known.index["idcscale_arcsec"])
    # Counts of a star go as 1/area: without the map it is too bright where pixels are small.
    expected = 2.5 * np.log10(area)
    for sign, what in ((1, "left out"), (-1, "applied twice")):
        left = dm - sign * expected
        if np.nanmedian(np.abs(left)) < 0.4 * np.median(np.abs(dm)):
            return f" The errors follow the pixel-area map (PAM): it was {what}."
    return " Zero point, exposure time or flux conservation is wrong."


def _scatter_rows(name: str, dm: NDArray, theory: NDArray, clean: NDArray) -> list[Row]:
    """Scatter over theory of stars without a ray nearby; that of all stars, for information."""
    limit = f"<= {SCATTER_LIMIT} x theory"
    # Brighter than this the noise is below what the model of the stars' images is worth.
    here = (theory > 0.0015) & (theory < 0.05)
    rows = []
    for chosen, label in ((here & clean, name), (here, name.replace("scatter", "scatter with rays"))):
        n = int(chosen.sum())
        if n < LEAST_STARS:
            rows.append(not_graded(PART, label, f"Only {n} stars.", limit=limit, number=n))
            continue
        ratio = robust_sigma(dm[chosen] / theory[chosen])
        error = ratio * 1.17 / math.sqrt(n)
        if label is name:
            verdict = judge(ratio - SCATTER_LIMIT, error, 0.0) if ratio > SCATTER_LIMIT else PASS
            words = (
                f"{ratio:.2f} x theory (correlated-noise factor included), {n} stars that no ray came near."
            )
            if verdict == FAIL:
                words += " The products are noisier than photons and read-out allow."
            rows.append(Row(PART, label, verdict, words, ratio, error, limit, "x theory", n))
        else:
            words = (
                f"For information: {ratio:.2f} x theory, {n} stars; rays not wholly cleaned make the excess."
            )
            rows.append(not_graded(PART, label, words, value=ratio, error=error, unit="x theory", number=n))
    return rows


def _slope_row(name: str, look: Look, dm: NDArray, theory: NDArray, index: NDArray) -> Row:
    n, limit = dm.size, f"<= {SLOPE_LIMIT} mag over the field, or not significant (3 sigma)"
    if n < LEAST_STARS:
        return not_graded(PART, name, f"Only {n} stars.", limit=limit, unit="mag", number=n)
    middle = np.median(dm)
    keep = np.abs(dm - middle) < 4 * robust_sigma(dm)
    x, y = look.x[index][keep], look.y[index][keep]
    u, v = (x - x.mean()) / np.ptp(x), (y - y.mean()) / np.ptp(y)
    design = np.stack([np.ones_like(u), u, v], axis=1)
    weight = 1 / np.hypot(theory[keep], 0.002)
    solution = np.linalg.lstsq(design * weight[:, None], dm[keep] * weight, rcond=None)[0]
    left = dm[keep] - design @ solution
    covariance = np.linalg.inv((design * weight[:, None]).T @ (design * weight[:, None])) * np.mean(
        (left * weight) ** 2
    )
    slope = float(math.hypot(solution[1], solution[2]))
    error = float(
        math.sqrt((covariance[1, 1] * solution[1] ** 2 + covariance[2, 2] * solution[2] ** 2) / slope**2)
    )
    words = f"{slope:.4f} ± {error:.4f} mag from side to side, {n} stars."
    if slope > SLOPE_LIMIT and slope > 3 * error:
        words += " Magnitudes depend on the place: sensitivity or the pixel-area map is wrong."
        return Row(PART, name, FAIL, words, slope, error, limit, "mag", n)
    if error > SLOPE_LIMIT:
        return not_graded(
            PART, name, f"Too uncertain: {words}", value=slope, error=error, limit=limit, unit="mag", number=n
        )
    return Row(PART, name, PASS, words, slope, error, limit, "mag", n)


def widths(basic: Look, optimised: Look, most: int = 150) -> NDArray[np.float64]:
    """FWHM (arcsec) of the same stars in both products; float64[n, 2]."""
    ra, dec = optimised.product.grid.pixel_to_sky(optimised.x, optimised.y)
    bx, by = basic.product.grid.sky_to_pixel(ra, dec)
    out = []
    for x, y, u, v in zip(optimised.x, optimised.y, bx, by, strict=True):
        i, j = round(float(u)), round(float(v))
        inside = 0 <= i < basic.area.shape[1] and 0 <= j < basic.area.shape[0]
        if not inside or not basic.area[j, i] or not optimised.area[round(float(y)), round(float(x))]:
            continue
        pair = (
            star_width(basic.product.sci, u, v, basic.product.scale_arcsec),
            star_width(optimised.product.sci, x, y, optimised.product.scale_arcsec),
        )
        if all(math.isfinite(w) for w in pair):
            out.append(pair)
        if len(out) >= most:
            break
    return np.array(out).reshape(-1, 2)


def width_row(name: str, pairs: NDArray[np.float64] | None) -> Row:
    """FWHM optimised over basic."""
    limit = f"<= {FWHM_LIMIT}"
    if pairs is None:
        return not_graded(PART, name, "The basic and the optimised product are needed for that.", limit=limit)
    n = len(pairs)
    if n < LEAST_WIDTHS:
        words = f"Only {n} isolated, unsaturated stars; {LEAST_WIDTHS} are needed."
        return not_graded(PART, name, words, limit=limit, number=n)
    ratio = pairs[:, 1] / pairs[:, 0]
    value, error = float(np.median(ratio)), 1.25 * robust_sigma(ratio) / math.sqrt(n)
    first, second = np.median(pairs, axis=0)
    words = f"FWHM {first:.4f} arcsec basic, {second:.4f} optimised, the same {n} stars."
    if value > FWHM_LIMIT:
        words += " The optimised product is not sharper: scale, pixfrac or alignment is wrong."
    return Row(PART, name, PASS if value <= FWHM_LIMIT else FAIL, words, value, error, limit, "", n)


def noise_row(role: Role, look: Look, exposures: Sequence[Exposure]) -> Row:
    """Correlated-noise factor beside theory, that of the stack's own dithers if its exposures are there."""
    name, limit = f"noise factor, {role.name}", f"within {100 * NOISE_LIMIT:.0f} % of theory"
    if look.product.kernel not in ("square", "turbo", ""):
        return not_graded(PART, name, f"Theory is for square drops, not {look.product.kernel}.", limit=limit)
    noise = look.noise
    share = int(look.blank.sum()) / max(1, int(look.area.sum()))
    if look.scene is None and share < LEAST_BLANK:
        words = f"Only {100 * share:.0f} % of the field is blank: its stars' wings are in the sky."
        return not_graded(PART, name, words, limit=limit, number=noise.blocks)
    if not math.isfinite(noise.factor):
        return not_graded(
            PART, name, f"Only {noise.blocks} blocks of blank sky.", limit=limit, number=noise.blocks
        )
    theory = look.factor
    pixfrac = look.product.pixfrac
    if exposures and pixfrac:
        theory = dithered_noise_factor(look.product.grid, exposures, pixfrac, look.area)
    off, error = noise.factor / theory - 1, noise.factor_error / theory
    verdict = judge(abs(off), error, NOISE_LIMIT, NOISE_LIMIT / 2)
    words = (
        f"R measured {noise.factor:.3f} ± {noise.factor_error:.3f}, theory {theory:.3f} "
        f"(for many even dithers {look.factor:.3f}); {noise.blocks} blocks of blank sky."
    )
    if verdict == FAIL:
        words += " The scale or pixfrac is not what the header says, or the sky is not even."
    if verdict == NOT_GRADED:
        words = f"Too few blocks: {words}"
    return Row(PART, name, verdict, words, noise.factor, noise.factor_error, limit, "", noise.blocks)


def sky_row(role: Role, known: Known | None, exposures: Sequence[Exposure]) -> Row:
    """Sky left in each exposure after subtraction, relative to the others."""
    name, limit = (
        f"relative sky, {role.name}",
        f"rms <= {SKY_LIMIT} sigma of the sky, none above {3 * SKY_LIMIT:g}",
    )
    if known is None:
        return not_graded(PART, name, "There is no truth to compare sky values with.", limit=limit)
    subtracted = role.product.subtracted_e
    if not subtracted:
        return not_graded(PART, name, "Neither record nor header tells the sky subtracted.", limit=limit)
    entries, chips = known.index["exposures"], {(e.rootname, c.extver): c for e in exposures for c in e.chips}
    keys = [k for k in subtracted if k[0] in entries]
    if len({k[0] for k in keys}) < 2:
        return not_graded(PART, name, "Fewer than two exposures with truth.", limit=limit)
    seconds = np.array([entries[r]["exptime"] for r, _ in keys])
    true = np.array([entries[r]["sky_electrons"] for r, _ in keys])
    left = (true - np.array([subtracted[k] for k in keys])) / seconds
    noise = np.array([chips[k].read_noise if k in chips else 5.0 for k in keys])
    off = (left - np.median(left)) * seconds / np.sqrt(true + noise**2)
    worst = int(np.argmax(np.abs(off)))
    value, n = float(np.sqrt(np.mean(off**2))), len(keys)
    words = f"rms {value:.4f} sigma; largest {abs(off[worst]):.4f} at {keys[worst][0]}[sci,{keys[worst][1]}]."
    verdict = GOOD if value <= SKY_LIMIT / 2 else PASS if value <= SKY_LIMIT else FAIL
    if abs(off[worst]) > 3 * SKY_LIMIT:
        verdict = FAIL
    if verdict == FAIL:
        words += " The exposures' skies do not match: check skymethod and the alignment."
    return Row(PART, name, verdict, words, value, 0.0, limit, "sigma", n)

"""Rows of exercise 5: what the weight image tells."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from drizzlewb.steps.weight_check import WeightCheck
from drizzlewb.training.look import Look
from drizzlewb.training.near import within
from drizzlewb.training.roles import Role
from drizzlewb.training.rows import FAIL, GOOD, NOT_GRADED, PASS, Row, Verdict, judge, not_graded

__all__ = ["bleed_flux", "weight_rows"]

PART = "5 weights"
SATURATED = 256
BLEED_LIMIT = 0.02
HOLE_LIMIT = 0.005
REACH_ARCSEC = 0.6  # around saturated pixels, over which the light of a bleeding star is summed
RING_ARCSEC = (0.9, 1.4)


def weight_rows(role: Role, look: Look | None) -> list[Row]:
    """Rows on the weights of one product."""
    if look is None:
        return [not_graded(PART, f"weights, {role.name}", f"The {role.name} product is missing or damaged.")]
    if look.weights is None:
        words = f"{look.product.name} lacks a weight or a context image."
        return [Row(PART, f"weights, {role.name}", FAIL, words)]
    check = look.weights
    rows = [_statistics_row(role, look, check)]
    if role.kind == "optimised":
        rows += _saturation_rows(role, look)
    unit = "%"
    limit = "<= 3 % more than blank; good <= 1"
    worst = check.bins[-1]
    if check.verdict == "fail":
        failed = check.bins[np.array(check.bins["verdict"] == "fail")]
        worst = failed[np.argmax(failed["excess"])]
    rows.append(
        Row(
            PART,
            f"imprint of stars, {role.name}",
            cast("Verdict", check.verdict),
            check.words,
            100 * float(worst["excess"]),
            100 * float(worst["error"]),
            limit,
            unit,
            int(worst["stars"]),
        )
    )
    return rows


def _statistics_row(role: Role, look: Look, check: WeightCheck) -> Row:
    name = f"evenness, {role.name}"
    if not check.area.any() or not check.median > 0:
        return not_graded(PART, name, f"{look.product.name} has no area that all exposures cover.")
    ratio = check.rms / check.median
    verdict = PASS if ratio < 0.2 else FAIL
    words = (
        f"rms/median of the weight over the overlap of {check.exposures} exposures, {check.area.sum()} px."
    )
    if verdict == FAIL:
        words += " Too uneven: pixfrac is too small for the scale and the dithers."
    return Row(PART, name, verdict, words, ratio, 0.0, "< 0.2", "", int(check.area.sum()))


def _saturation_rows(role: Role, look: Look) -> list[Row]:
    name, bits = f"saturated pixels, {role.name}", look.product.final_bits
    whole = look.saturation.whole
    n = int(whole.sum())
    if n < 10 or look.product.wht is None:
        return [not_graded(PART, name, f"Only {n} output pixels are saturated in all exposures.", number=n)]
    holes = float((look.product.wht[whole] == 0).mean())
    if bits is None:
        words = f"Nothing tells final_bits; {100 * holes:.1f} % of the {n} saturated pixels have no weight."
        return [not_graded(PART, name, words, value=100 * holes, unit="%", number=n)]
    if not bits & SATURATED:
        if 1 - holes <= HOLE_LIMIT:
            words = f"final_bits {bits} takes 256 as bad, and all {n} saturated pixels have weight 0."
            return [Row(PART, name, PASS, words, 100 * holes, 0.0, "100", "%", n)]
        some = f"{100 * (1 - holes):.1f} % of {n} saturated pixels have weight"
        words = f"final_bits {bits} takes 256 as bad, but {some}."
        return [Row(PART, name, FAIL, words, 100 * holes, 0.0, "100", "%", n)]
    if holes <= HOLE_LIMIT:
        some = f"{100 * holes:.2f} % of {n} saturated pixels have no weight"
        words = f"final_bits {bits} takes 256 as good: {some}."
        rows = [Row(PART, name, GOOD if holes == 0 else PASS, words, 100 * holes, 0.0, "<= 0.5", "%", n)]
    else:
        some = f"{100 * holes:.1f} % of {n} saturated pixels are holes (weight 0)"
        words = f"final_bits {bits} takes 256 as good, but {some}."
        rows = [Row(PART, name, FAIL, words, 100 * holes, 0.0, "<= 0.5", "%", n)]
    return [*rows, _bleed_row(role, look)]


def bleed_flux(look: Look) -> NDArray[np.float64]:
    """Error of the flux of each bleeding star, star and bleed together; rows (error, x, y).

    The error is relative to the truth. Only bleeds that lie whole inside the full overlap and do not run
    into the edge of a chip.
    """
    if look.scene is None or look.residual is None:
        return np.zeros((0, 3))
    scale = look.product.scale_arcsec
    touched = look.saturation.touched
    labels, number = scipy.ndimage.label(within(touched, scale, REACH_ARCSEC))
    inner = within(touched, scale, RING_ARCSEC[0])
    out = []
    ny, nx = touched.shape
    margin = math.ceil((RING_ARCSEC[1] + 0.1) / scale)
    for label, found in enumerate(scipy.ndimage.find_objects(labels), 1):
        y0, y1 = max(0, found[0].start - margin), min(ny, found[0].stop + margin)
        x0, x1 = max(0, found[1].start - margin), min(nx, found[1].stop + margin)
        box = (slice(y0, y1), slice(x0, x1))
        star = labels[box] == label
        if not look.area[box][star].all() or look.saturation.cut[box][star].any():
            continue
        away = scipy.ndimage.distance_transform_edt(~star) * scale + REACH_ARCSEC
        ring = (away > RING_ARCSEC[0]) & (away < RING_ARCSEC[1]) & ~inner[box] & look.area[box]
        residual = look.residual[box]
        # A star at the threshold, full in one exposure by a cosmic ray, is no bleeding star.
        if (
            not look.saturation.whole[box][star].any()
            or ring.sum() < 50
            or not np.isfinite(residual[star]).all()
        ):
            continue
        sky = float(np.nanmedian(residual[ring]))
        true = float(look.scene.image[box][star].sum(dtype=float))
        error = float((residual[star] - sky).sum(dtype=float)) / true
        yy, xx = np.nonzero(star)
        out.append((error, x0 + xx.mean(), y0 + yy.mean()))
    return np.array(out).reshape(-1, 3)


def _bleed_row(role: Role, look: Look) -> Row:
    name, limit = f"flux along bleeds, {role.name}", "within 2 %"
    if look.scene is None:
        return not_graded(
            PART, name, "There is no truth to compare the flux of bleeding stars with.", limit=limit, unit="%"
        )
    stars = bleed_flux(look)
    n = len(stars)
    if n == 0:
        words = "No bleeding star lies whole inside the overlap and off the chips' edges."
        return not_graded(PART, name, words, limit=limit, unit="%", number=0)
    errors = stars[:, 0]
    middle = float(np.median(errors))
    spread = 1.25 * float(errors.std(ddof=1)) / math.sqrt(n) if n > 2 else 0.0
    verdict = judge(abs(middle), spread, BLEED_LIMIT, 0.5 * BLEED_LIMIT)
    words = f"Median error of the flux of {n} bleeding stars {100 * middle:+.2f} %."
    if verdict == FAIL:
        words += " Part of the bleed is lost: saturated pixels are masked, or taken for cosmic rays."
        given = (look.product.record or {}).get("parameters", {}).get("astrodrizzle", {})
        if given.get("combine_type") == "minmed":
            words += " minmed takes the darkest exposure where bleeds differ: set combine_type='median'."
    if verdict == NOT_GRADED:
        words += " Too few to tell."
    return Row(PART, name, verdict, words, 100 * middle, 100 * spread, limit, "%", n)

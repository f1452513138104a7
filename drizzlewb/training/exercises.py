"""Rows of the five exercises: what was asked for, and whether it was handed in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from drizzlewb.training.alignment_error import AlignmentError, StarOffset
from drizzlewb.training.delivery import Delivered, Delivery
from drizzlewb.training.known import Known
from drizzlewb.training.roles import OPTIMISED, OPTIMISED_SKY, Role, filter_in_name
from drizzlewb.training.rows import FAIL, GOOD, PASS, Row, judge, not_graded

__all__ = ["alignment_rows", "grid_row", "product_rows", "reference_exposure", "tidy_row"]

ALIGNED_PX, WELL_ALIGNED_PX = 0.10, 0.05
GRID_TOLERANCE_PX = 1e-3
LEAST_LOOKED, LOST_SHARE = 10, 0.4  # stars sought without truth; of which fewer are found, they lie elsewhere
PART1 = "1 alignment"


def reference_exposure(delivery: Delivery, known: Known | None) -> str:
    """Rootname that everything was aligned to.

    The one whose row in the shift file is all zero, else that of the programme, else the first.
    """
    ours = [e.rootname for e in delivery.exposures]
    if delivery.shifts is not None:
        still = [r for r, v in delivery.shifts.rows.items() if r in ours and v[0] == v[1] == 0]
        if len(still) == 1:
            return still[0]
    if known is not None and known.index["reference"] in ours:
        return known.index["reference"]
    return ours[0] if ours else ""


def alignment_rows(
    delivery: Delivery,
    known: Known | None,
    errors: Mapping[str, AlignmentError],
    offsets: Mapping[str, StarOffset],
    reference: str,
) -> list[Row]:
    """Exercise 1: all exposures aligned; shift file and log present."""
    ours = [e.rootname for e in delivery.exposures]
    wanted = list(known.index["exposures"]) if known is not None else []
    missing = [root for root in wanted if root not in ours]
    if not ours:
        rows = [Row(PART1, "exposures", FAIL, "No aligned exposure (*_flc.fits) was handed in.", 0, number=0)]
    elif missing:
        words = f"{len(missing)} of {len(wanted)} exposures are missing: {', '.join(missing)}."
        rows = [Row(PART1, "exposures", FAIL, words, len(ours), number=len(ours))]
    elif known is None:
        rows = [Row(PART1, "exposures", PASS, f"{len(ours)} exposures.", len(ours), number=len(ours))]
    else:
        rows = [
            Row(
                PART1,
                "exposures",
                GOOD,
                f"All {len(wanted)} exposures are there.",
                len(ours),
                number=len(ours),
            )
        ]
    rows += [Row(PART1, "file", FAIL, fault) for fault in delivery.faults]
    if errors:
        rows += _error_rows(errors, delivery, reference)
    elif ours:
        rows += _offset_rows(offsets, reference)
    return rows + [_shift_row(delivery, wanted or ours), _log_row(delivery, wanted or ours)]


def _error_rows(errors: Mapping[str, AlignmentError], delivery: Delivery, reference: str) -> list[Row]:
    limit = f"rms <= {ALIGNED_PX} px; good <= {WELL_ALIGNED_PX}"
    rows = []
    for root, error in errors.items():
        verdict = judge(error.rms_px, 0.0, ALIGNED_PX, WELL_ALIGNED_PX)
        what = "true minus fitted position on 9x9 nodes a chip"
        words = (
            f"rms {error.rms_px:.3f} px = {error.rms_mas:.1f} mas, largest {error.max_px:.3f} px ({what})."
        )
        if root == reference:
            words = f"Reference exposure, its own rigid offset removed: {words}"
        if verdict == FAIL:
            mx, my = float(error.dx.mean()), float(error.dy.mean())
            rigid = math.hypot(mx, my)
            spread = float(np.hypot(error.dx - mx, error.dy - my).max())
            cause = "as a whole" if spread < 0.5 * rigid else "by rotation, scale or skew too"
            words = f"{root} is misaligned by ({mx:+.2f}, {my:+.2f}) px {cause}: {words}"
        rows.append(Row(PART1, root, verdict, words, error.rms_px, 0.0, limit, "px", error.x.size))
    worst = max(errors, key=lambda r: errors[r].rms_px)
    value = errors[worst].rms_px
    bad = [r for r in errors if errors[r].rms_px > ALIGNED_PX]
    words = f"The worst of {len(errors)} exposures, {worst}, is {value:.3f} px off."
    if bad:
        visits = {r[4:6] for r in errors if r not in bad}
        whole = sorted({r[4:6] for r in bad} - visits)
        words = f"{len(bad)} of {len(errors)} exposures are misaligned: {', '.join(bad)}."
        if whole and len(bad) > 1:
            words += f" All of visit {', '.join(whole)} is off: it was not aligned to the other visit."
    verdict = judge(value, 0.0, ALIGNED_PX, WELL_ALIGNED_PX)
    return [Row(PART1, "all exposures", verdict, words, value, 0.0, limit, "px", len(errors)), *rows]


def _offset_rows(offsets: Mapping[str, StarOffset], reference: str) -> list[Row]:
    """Without truth: where the stars of a product fall in each exposure."""
    limit = f"offset <= {ALIGNED_PX} px; good <= {WELL_ALIGNED_PX}"
    rows = [
        not_graded(
            PART1, "error over the field", "There is no truth: only the stars' mean offset can be graded."
        )
    ]
    if reference not in offsets or not math.isfinite(offsets[reference][0]):
        n = offsets[reference].found if reference in offsets else 0
        words = f"Only {n} stars of the reference exposure could be measured on a product."
        return [*rows, not_graded(PART1, "offsets of stars", words, number=n)]
    x0, y0, e0 = offsets[reference][:3]
    for root, (x, y, e, n, looked) in offsets.items():
        if looked >= LEAST_LOOKED and n < LOST_SHARE * looked:
            lost = f"{looked - n} of {looked} stars are not within 1 px of where its WCS puts them"
            words = f"{root} is misaligned: {lost}."
            rows.append(Row(PART1, root, FAIL, words, limit=limit, unit="px", number=looked))
            continue
        if not math.isfinite(x):
            rows.append(not_graded(PART1, root, f"Only {n} stars could be measured.", number=n))
            continue
        off, error = math.hypot(x - x0, y - y0), math.hypot(e, e0) if root != reference else 0.0
        verdict = judge(off, error, ALIGNED_PX, WELL_ALIGNED_PX)
        words = f"Its stars lie ({x - x0:+.3f}, {y - y0:+.3f}) ± {error:.3f} px from those of {reference}."
        if verdict == FAIL:
            words = f"{root} is misaligned. {words}"
        rows.append(Row(PART1, root, verdict, words, off, error, limit, "px", n))
    return rows


def _shift_row(delivery: Delivery, wanted: Sequence[str]) -> Row:
    if delivery.shifts is None:
        return Row(
            PART1,
            "shift file",
            FAIL,
            "The shift file (shifts.txt) is missing: run TweakReg with shiftfile=True.",
        )
    rows, name = delivery.shifts.rows, delivery.shifts.path.name
    missing = [root for root in wanted if root not in rows]
    failed = [root for root, values in rows.items() if not all(math.isfinite(v) for v in values)]
    if failed:
        return Row(
            PART1, "shift file", FAIL, f"{name}: the fit failed (nan) for {', '.join(failed)}.", len(rows)
        )
    if missing:
        return Row(PART1, "shift file", FAIL, f"{name} has no row for {', '.join(missing)}.", len(rows))
    return Row(PART1, "shift file", PASS, f"{name} has a row for each of {len(wanted)} exposures.", len(rows))


def _log_row(delivery: Delivery, wanted: Sequence[str]) -> Row:
    if delivery.log is None:
        return Row(PART1, "log", FAIL, "The log of the alignment (tweakreg.log) is missing.")
    text = delivery.log.read_text(encoding="utf-8", errors="replace")
    unnamed = [root for root in wanted if root not in text]
    if unnamed:
        words = f"{delivery.log.name} does not mention {_few(unnamed, 6)}."
        return Row(PART1, "log", FAIL, words)
    return Row(PART1, "log", PASS, f"{delivery.log.name} is there and names all {len(wanted)} exposures.")


def _few(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "")


def product_rows(part: str, role: Role, delivery: Delivery, known: Known | None) -> list[Row]:
    """Exercises 2 to 4: the file, its filter, its exposures, its parameters."""
    product = role.delivered
    if product is None:
        return [Row(part, "product", FAIL, f"No {role.name} product (*_drc.fits) was handed in.")]
    if product.faults:
        return [Row(part, "product", FAIL, fault) for fault in product.faults]
    rows = [
        Row(
            part,
            "product",
            PASS,
            f"{product.name} is whole, {product.grid.shape[1]} x {product.grid.shape[0]} px.",
        )
    ]
    rows += [_filter_row(part, product, delivery, known), _inputs_row(part, role, delivery, known)]
    return rows + (_basic_rows(part, product) if role.kind == "basic" else _optimised_rows(part, product))


def _filter_row(part: str, product: Delivered, delivery: Delivery, known: Known | None) -> Row:
    entries = known.index["exposures"] if known is not None else {}
    seen = {
        root: entries[root]["filter"] if root in entries else delivery.filter_of(root)
        for root in product.inputs
    }
    found = sorted(set(filter(None, seen.values())))
    named = filter_in_name(product.name)
    if found and found != [product.filter]:
        words = (
            f"{product.name} says {product.filter}, but its exposures were taken through {', '.join(found)}: "
            "filters are swapped or mixed."
        )
        return Row(part, "filter", FAIL, words)
    if named and named != product.filter:
        words = f"{product.name} is named after {named}, but holds {product.filter}: filters are swapped."
        return Row(part, "filter", FAIL, words)
    return Row(
        part, "filter", PASS, f"{product.name} holds {product.filter}, as its name and its exposures say."
    )


def _inputs_row(part: str, role: Role, delivery: Delivery, known: Known | None) -> Row:
    product = role.product
    if known is not None and role.filter in known.filters:
        wanted = known.of_filter(role.filter)
    else:
        wanted = [e.rootname for e in delivery.exposures if delivery.filter_of(e.rootname) == role.filter]
    if not product.inputs:
        words = f"{product.name} does not tell its exposures (NDRIZIM, D001DATA ...)."
        return Row(part, "exposures", FAIL, words, 0, number=0)
    missing = [r for r in wanted if r not in product.inputs]
    n = len(product.inputs)
    if missing:
        words = f"{product.name} combines {n} exposures; missing: {', '.join(missing)}."
        return Row(part, "exposures", FAIL, words, n, limit=f"{len(wanted)} exposures", number=n)
    return Row(
        part,
        "exposures",
        PASS,
        f"All {n} exposures are combined.",
        n,
        limit=f"{len(wanted)} exposures",
        number=n,
    )


def _near(
    part: str, name: str, value: float | None, wanted: float, tolerance: float, unit: str, wrong: str
) -> Row:
    limit = f"{wanted:g}"
    if value is not None and abs(value) < 1e-9:
        value = 0.0
    if value is None:
        return not_graded(part, name, f"The header does not tell the {name}.", limit=limit, unit=unit)
    if abs(value - wanted) <= tolerance:
        return Row(
            part, name, PASS, f"{value:.5g}{unit and ' ' + unit}, as asked for.", value, 0.0, limit, unit
        )
    words = f"Wrong {name}: {value:.5g}{unit and ' ' + unit} where {wanted:g} was asked for. {wrong}"
    return Row(part, name, FAIL, words.strip(), value, 0.0, limit, unit)


def _basic_rows(part: str, product: Delivered) -> list[Row]:
    native = product.native_scale_arcsec
    rows = []
    if native is None:
        rows.append(
            not_graded(part, "scale", "The header does not tell the native scale (D001ISCL).", unit="arcsec")
        )
    else:
        rows.append(
            _near(
                part, "scale", product.scale_arcsec, native, 0.02 * native, "arcsec", "Leave final_scale out."
            )
        )
    return [*rows, _near(part, "pixfrac", product.pixfrac, 1.0, 1e-6, "", "The basic product takes 1.")]


def _optimised_rows(part: str, product: Delivered) -> list[Row]:
    wanted = OPTIMISED_SKY
    if not product.skymethod:
        sky = not_graded(
            part, "sky method", "No record, log or sky values: nothing tells the sky method.", limit=wanted
        )
    elif product.skymethod == wanted:
        sky = Row(part, "sky method", PASS, f"match ({product.skymethod_source}).", limit=wanted)
    else:
        words = f"Wrong sky method: {product.skymethod} ({product.skymethod_source}); set skymethod='match'."
        sky = Row(part, "sky method", FAIL, words, limit=wanted)
    angle = product.grid.orientation_deg
    return [
        sky,
        _near(
            part, "rotation", angle, OPTIMISED["rotation"], 0.01, "deg", "North is not up: set final_rot=0."
        ),
        _near(
            part, "scale", product.scale_arcsec, OPTIMISED["scale"], 3e-5, "arcsec", "Set final_scale=0.03."
        ),
        _near(part, "pixfrac", product.pixfrac, OPTIMISED["pixfrac"], 1e-6, "", "Set final_pixfrac=0.6."),
    ]


def tidy_row(part: str, delivery: Delivery) -> Row:
    """Exercise 3: intermediate files are gone; masks that were kept on purpose do not count."""
    left = delivery.leftovers
    if left:
        words = f"{len(left)} intermediate files are left: {_few(left, 4)}; set clean=True."
        return Row(part, "intermediate files", FAIL, words, len(left), 0.0, "0", "files", len(left))
    return Row(part, "intermediate files", PASS, "None is left.", 0, 0.0, "0", "files", 0)


def grid_row(part: str, blue: Role, red: Role) -> Row:
    """Exercise 4: the second filter lies exactly on the grid of the first."""
    name = "same grid"
    if not (blue.usable and red.usable):
        return not_graded(part, name, f"{blue.name} and {red.name} are needed for that.")
    a, b = blue.product.grid, red.product.grid
    if a.shape != b.shape:
        words = (
            f"{red.product.name} has {b.shape[1]} x {b.shape[0]} px, {blue.product.name} {a.shape[1]} x "
            f"{a.shape[0]}: not the same grid; set final_refimage to the first."
        )
        return Row(part, name, FAIL, words)
    x, y = (v.ravel().astype(float) for v in np.meshgrid([0, a.shape[1] - 1], [0, a.shape[0] - 1]))
    bx, by = b.sky_to_pixel(*a.pixel_to_sky(x, y))
    off = float(np.hypot(bx - x, by - y).max())
    if off > GRID_TOLERANCE_PX:
        words = (
            f"The same pixels lie up to {off:.3g} px apart: not the same grid; "
            f"set final_refimage to {blue.product.name}."
        )
        return Row(part, name, FAIL, words, off, 0.0, f"<= {GRID_TOLERANCE_PX}", "px")
    return Row(part, name, PASS, "Pixel on pixel.", off, 0.0, f"<= {GRID_TOLERANCE_PX}", "px")

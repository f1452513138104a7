"""Check cells of the notebooks: an answer is right, or the check says in words what is wrong with it.

Each function looks at what the trainee has made and hands back a `Check`. The mistakes that trainees make
most often have a sentence of their own.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from drizzlewb.exposure import Exposure
from drizzlewb.products.aligned import AlignedSolution
from drizzlewb.products.drc import Product
from drizzlewb.steps.image_quality import noise_factor
from drizzlewb.training.alignment_error import alignment_errors
from drizzlewb.training.exercises import ALIGNED_PX, grid_row
from drizzlewb.training.known import find_truth, read_known
from drizzlewb.training.roles import Role
from drizzlewb.training.rows import FAIL

__all__ = [
    "Check",
    "alignment",
    "basic",
    "effective_seconds",
    "misaligned",
    "optimised",
    "replayed",
    "same_grid",
    "sampling",
    "scale_ratio",
]

NATIVE_ARCSEC = 0.05
TOO_FEW = 15


@dataclass(frozen=True)
class Check:
    """What a check found.

    Attributes
    ----------
    passed : bool
    words : tuple of str
        Sentences: what is right, or what is wrong and where to look.
    """

    passed: bool
    words: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        return " ".join(["Right." if self.passed else "Not yet.", *self.words])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        colour, sign = ("#009E73", "✓") if self.passed else ("#D55E00", "✗")
        text = html.escape(str(self))
        return f'<div style="border-left:4px solid {colour};padding:4px 10px"><b>{sign}</b> {text}</div>'


def _right(*words: str) -> Check:
    return Check(True, words)


def _wrong(*words: str) -> Check:
    return Check(False, words)


def _number(answer: Any) -> float | Check:
    try:
        value = float(answer)
    except (TypeError, ValueError):
        return _wrong(f"{answer!r} is no number; write one, such as 1.5.")
    return value if math.isfinite(value) else _wrong(f"{value} is no finite number.")


def _is(value: float, wanted: float) -> bool:
    return abs(value - wanted) <= 0.01 * abs(wanted)


def scale_ratio(answer: Any, scale_arcsec: float = 0.03, native_arcsec: float = NATIVE_ARCSEC) -> Check:
    """Ratio of the output to the input scale.

    Parameters
    ----------
    answer : float
    scale_arcsec, native_arcsec : float
        Side of an output pixel and of a detector pixel.
    """
    value, s = _number(answer), scale_arcsec / native_arcsec
    if isinstance(value, Check):
        return value
    if _is(value, s):
        return _right(f"An output pixel is {s:g} times as wide as one of the detector.")
    if _is(value, 1 / s):
        return _wrong("That is input over output; the ratio is output over input.")
    if _is(value, s**2):
        return _wrong("That is the ratio of the areas. The ratio of the sides is its square root.")
    if _is(value, 100 * s):
        return _wrong("That is in per cent; write it as a fraction of 1.")
    if _is(value, native_arcsec - scale_arcsec):
        return _wrong("That is the difference. Divide the output scale by the input scale.")
    return _wrong(f"Divide {scale_arcsec:g} by {native_arcsec:g} arcsec.")


def effective_seconds(answer: Any, weight: float, ratio: float = 0.6) -> Check:
    """Exposure time, in seconds, that an EXP weight stands for.

    Parameters
    ----------
    answer : float
    weight : float
        From the weight image.
    ratio : float
        Output over input scale.
    """
    value, true = _number(answer), weight / ratio**2
    if isinstance(value, Check):
        return value
    if _is(value, true):
        return _right(
            f"{weight:.0f} on this grid are {true:.0f} s: the weight shrinks with the pixel's area."
        )
    if _is(value, weight):
        return _wrong("That is the weight itself; it shows seconds only where both scales are equal.")
    if _is(value, weight / ratio):
        return _wrong("You divided by the ratio of the sides; it is areas that count: divide by its square.")
    if _is(value, weight * ratio**2):
        return _wrong("You multiplied by the squared ratio: small pixels collect less, so divide.")
    if _is(value, true / 60):
        return _wrong("That is in minutes; seconds are asked for.")
    return _wrong("Divide the weight by the squared ratio of output to input scale.")


def alignment(solution: AlignedSolution | None) -> Check:
    """Whether an alignment of the whole training set is good, beside the truth where it is at hand.

    Parameters
    ----------
    solution : AlignedSolution or None
        ``session.solution`` or what `drizzlewb.align` hands back.
    """
    if solution is None:
        return _wrong("There is no alignment for the present parameters: run it, then check again.")
    rows = {a.rootname: a for a in solution.alignments}
    refused = [a for a in rows.values() if a.status == "refused"]
    if refused:
        first = refused[0]
        more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
        return _wrong(f"{first.rootname}{more} could not be aligned. {first.verdict}")
    visits = {e.visit for e in solution.exposures}
    if len(visits) == 1:
        return _wrong(
            f"Only visit {visits.pop()} is aligned. Both visits must be aligned together: give all exposures."
        )
    few = [a for a in rows.values() if a.fit is not None and a.fit.nmatch < TOO_FEW]
    if few:
        a = few[0]
        assert a.fit is not None
        return _wrong(
            f"{a.rootname} rests on {a.fit.nmatch} stars: too few to trust. Lower threshold or raise peakmax."
        )
    place = find_truth(_folder(solution.exposures), solution.exposures)
    if place is None:
        poor = [a.rootname for a in rows.values() if a.verdict.grade == "poor"]
        if poor:
            return _wrong(f"The rms of {', '.join(poor)} is above {ALIGNED_PX} px: look at the residuals.")
        return _right(f"All {len(rows)} exposures are aligned to {ALIGNED_PX} px or better.")
    known = read_known(place, list(rows))
    missing = [root for root in known.index["exposures"] if root not in rows]
    if missing:
        return _wrong(f"{len(missing)} exposures are missing: {', '.join(missing[:4])}. Align all twelve.")
    reference = next((a.rootname for a in rows.values() if a.status == "reference"), next(iter(rows)))
    errors = alignment_errors(solution.exposures, known.exposures, reference)
    worst = max(errors, key=lambda root: errors[root].rms_px)
    value = errors[worst].rms_px
    if value > ALIGNED_PX:
        dx, dy = float(errors[worst].dx.mean()), float(errors[worst].dy.mean())
        return _wrong(
            f"{worst} lies ({dx:+.2f}, {dy:+.2f}) px from the truth: a false match, or sources that are no "
            "stars. Look at its offset histogram."
        )
    return _right(f"The worst of {len(errors)} exposures, {worst}, is {value:.4f} px from the truth.")


def _folder(exposures: Sequence[Exposure]) -> Any:
    from pathlib import Path

    return Path(exposures[0].path).parent


def misaligned(answer: Any, fractions: dict[str, float]) -> Check:
    """Which exposure is misaligned, told from its share of flagged pixels.

    Parameters
    ----------
    answer : str
        A root name.
    fractions : dict
        Root name to flagged share, as ``reduction.cr_fractions()``.
    """
    roots = list(fractions)
    given = str(answer).strip().lower().removesuffix(".fits").removesuffix("_flc")
    worst = max(roots, key=lambda root: fractions[root])
    median = float(np.median(list(fractions.values())))
    if given == worst:
        return _right(
            f"{100 * fractions[worst]:.1f} % of its pixels are flagged, {100 * median:.1f} % in the others: "
            "stars that do not lie on each other look like cosmic rays."
        )
    if given in roots and fractions[given] == min(fractions.values()):
        return _wrong(f"{given} has the fewest flags. A misaligned exposure has more of them, not fewer.")
    if given in roots:
        return _wrong(
            f"{given} has {100 * fractions[given]:.1f} % flagged, like its neighbours. Which one jumps?"
        )
    if given.isdigit():
        return _wrong(f"Give the root name, not a number: one of {', '.join(roots)}.")
    if not given:
        return _wrong("Write the root name of an exposure.")
    return _wrong(f"There is no exposure {given!r}: the stack has {', '.join(roots)}.")


def basic(product: Product | None) -> Check:
    """Whether a product is the basic one: native scale, pixfrac 1."""
    return _product(product, {"final_pixfrac": 1.0}, {"final_scale": "leave final_scale out"})


def optimised(product: Product | None) -> Check:
    """Whether a product is the optimised one: match, north up, 0.03 arcsec, pixfrac 0.6."""
    wanted = {"skymethod": "match", "final_rot": 0.0, "final_scale": 0.03, "final_pixfrac": 0.6}
    return _product(product, wanted, {})


_WHY = {
    "skymethod": "in a crowded field there is no blank sky; differences in the overlaps are what counts",
    "final_rot": "0 puts north up; None leaves the detector's orientation",
    "final_scale": "0.03 arcsec gives stars the 2 to 2.5 output pixels that they need",
    "final_pixfrac": "slightly above the scale ratio: 0.6",
}


def _product(product: Product | None, wanted: dict[str, Any], absent: dict[str, str]) -> Check:
    if product is None:
        return _wrong("There is no product for the present parameters: run it, then check again.")
    values = _parameters(product)
    faults = [
        f"{name} is {values.get(name)!r}, asked for is {value!r}: {_WHY.get(name, '')}."
        for name, value in wanted.items()
        if values.get(name) != value
    ]
    faults += [
        f"{name} is {values[name]!r}: {advice}."
        for name, advice in absent.items()
        if values.get(name) is not None
    ]
    inputs = product.record.get("inputs", [])
    if len(inputs) < 6:
        faults.append(f"It combines {len(inputs)} exposures; the filter has six.")
    names = {str(entry.get("wcsname", "")) for entry in _chips(product)}
    # Of an accepted alignment the reference keeps its name in memory.
    if len(names) > 1 and "alignment" not in (product.record.get("decisions") or {}):
        faults.append("Its exposures carry different WCS solutions: accept the alignment before you run it.")
    fractions = product.record.get("results", {}).get("crfraction", {})
    if fractions:
        worst = max(fractions, key=lambda root: fractions[root])
        median = float(np.median(list(fractions.values())))
        if fractions[worst] > 2 * median:
            faults.append(
                f"{worst} has {fractions[worst] / median:.1f} times the flags of the others: misaligned?"
            )
    if faults:
        return _wrong(*faults)
    ny, nx = product.sci.shape
    return _right(f"{product.path.name}, {nx} x {ny} pixels, {len(inputs)} exposures.")


def _parameters(product: Product) -> dict[str, Any]:
    return product.parameters.flat()


def _chips(product: Product) -> list[dict[str, Any]]:
    return [chip for entry in product.record.get("inputs", []) for chip in entry.get("chips", [])]


def same_grid(first: Product | None, second: Product | None) -> Check:
    """Whether two products lie pixel on pixel."""
    from drizzlewb.training.delivery import read_product

    if first is None or second is None:
        return _wrong("Both products are needed: run them, then check again.")
    roles = [Role("optimised", p.path.stem, read_product(p.path)) for p in (first, second)]
    row = grid_row("", *roles)
    return _wrong(row.words) if row.verdict == FAIL else _right(row.words)


def sampling(scale_arcsec: Any, pixfrac: Any, exposures: int = 6, fwhm_arcsec: float = 0.075) -> Check:
    """Whether scale and pixfrac are a sensible choice for a dithered stack of ACS/WFC exposures.

    Parameters
    ----------
    scale_arcsec, pixfrac : float
    exposures : int
        How many, dithered by fractions of a pixel.
    fwhm_arcsec : float
        Width of a star.

    Notes
    -----
    The rules of the DrizzlePac Handbook: two to two and a half output pixels across a star, pixfrac slightly
    above the scale ratio.
    """
    scale, p = _number(scale_arcsec), _number(pixfrac)
    for value in (scale, p):
        if isinstance(value, Check):
            return value
    assert isinstance(scale, float)
    assert isinstance(p, float)
    if scale <= 0 or not 0 <= p <= 1:
        return _wrong("A scale is above 0 and a pixfrac between 0 and 1.")
    across, s = fwhm_arcsec / scale, scale / NATIVE_ARCSEC
    if across < 1.75:
        return _wrong(f"A star is only {across:.1f} output pixels wide: the picture stays undersampled.")
    if across > 3.5:
        return _wrong(
            f"A star is {across:.1f} output pixels wide: finer than the dithers can fill, and {1 / s**2:.0f} "
            "times the pixels for nothing."
        )
    if p < 0.9 * s:
        return _wrong(
            f"Drops of {p:g} on pixels of {s:.2g}: with {exposures} exposures the weights will have holes."
        )
    if p > s + 0.35:
        return _wrong(
            f"Drops of {p:g} smear over {p / s:.1f} output pixels: the sharpness you paid for is lost."
        )
    factor = noise_factor(s, p)
    return _right(f"A star is {across:.1f} pixels wide; neighbouring pixels share noise (R = {factor:.2f}).")


def replayed(first: Product | None, second: Product | None) -> Check:
    """Whether two products are the same, bit for bit."""
    if first is None or second is None:
        return _wrong("Both products are needed.")
    if first.path == second.path:
        return _wrong("That is the same file twice: replay it into another folder.")
    for layer in ("sci", "wht", "ctx"):
        a, b = getattr(first, layer), getattr(second, layer)
        if a.shape != b.shape:
            return _wrong(f"{layer.upper()} has other dimensions: {a.shape} and {b.shape}.")
        if a.tobytes() != b.tobytes():
            return _wrong(
                f"{layer.upper()} differs in {np.count_nonzero(a != b)} pixels: were inputs changed?"
            )
    return _right("SCI, WHT and CTX are the same to the last bit.")

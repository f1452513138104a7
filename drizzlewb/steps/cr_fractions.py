"""The fraction of flagged pixels, exposure by exposure: one that jumps is misaligned, or has a trail."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["FractionCheck", "check_fractions"]

FACTOR = 1.5
"""An exposure stands out if its rate is this many times the median of the others ..."""

LEAST = 0.003
"""... and exceeds what that rate would flag by this fraction of its pixels."""


@dataclass(frozen=True)
class FractionCheck:
    """Flagged fractions and which of them stand out.

    Attributes
    ----------
    fractions : dict
        Root name to fraction of pixels flagged.
    per_1000s : dict
        Root name to fraction in 1000 s.
    jumps : dict
        Root name to how many times the median rate of the others; those that stand out only.
    words : str
        A sentence.
    """

    fractions: dict[str, float]
    per_1000s: dict[str, float]
    jumps: dict[str, float]
    words: str


def check_fractions(fractions: Mapping[str, float], exptimes: Mapping[str, float]) -> FractionCheck:
    """Compare the flagged fraction of each exposure with that of the others.

    Rays come at a steady rate: 1.5 to 3 % of ACS/WFC pixels in 1000 s (ACS ISR 2002-07). A misaligned
    exposure differs from the median at every star, and its count jumps.

    Parameters
    ----------
    fractions : mapping
        Root name to fraction of its pixels flagged as cosmic rays.
    exptimes : mapping
        Root name to seconds.

    Returns
    -------
    FractionCheck
        With fewer than three exposures nothing stands out: there is nothing to compare with.
    """
    rate = {n: 1000.0 * f / exptimes[n] if exptimes[n] > 0 else math.nan for n, f in fractions.items()}
    jumps = {}
    for name, own in rate.items():
        others = [r for other, r in rate.items() if other != name and math.isfinite(r)]
        if len(others) < 2 or not math.isfinite(own):
            continue
        typical = float(np.median(others))
        too_many = fractions[name] - typical * exptimes[name] / 1000.0
        if own > FACTOR * typical and too_many > LEAST:
            jumps[name] = own / typical if typical > 0 else math.inf
    return FractionCheck(dict(fractions), rate, jumps, _words(fractions, rate, jumps))


def _words(fractions: Mapping[str, float], rate: dict[str, float], jumps: dict[str, float]) -> str:
    if not fractions:
        return "No masks have been made."
    if jumps:
        names = ", ".join(f"{n} ({100 * fractions[n]:.1f} %, {jumps[n]:.1f} times)" for n in jumps)
        return (
            f"Flagged far more than the others at their exposure time: {names}. Is it misaligned? "
            "Look at its stars; a satellite trail does it too."
        )
    if len(fractions) < 3:
        return "With fewer than three exposures there is nothing to compare a count with."
    low, high = (100 * f(rate.values()) for f in (min, max))
    return f"No exposure stands out: {low:.1f} to {high:.1f} % of the pixels are flagged in 1000 s."

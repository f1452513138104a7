"""What an alignment's numbers mean, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from drizzlewb.steps.fit import LinearFit

__all__ = ["CosmicRayJump", "Trend", "Verdict", "cosmic_ray_jumps", "judge", "trends"]

Array = npt.NDArray[np.float64]

GOOD_PX, POOR_PX = 0.05, 0.1
TREND_P, TREND_PX = 0.01, 0.05
BINS, PER_BIN = 8, 10
VA_PPM = 30.0
VA_YEAR_PPM = 130.0
VISIT_ROTATION_DEG = 0.001
# On the simulated small set and a plain median, 1 px off gives 1.27 times the rate of the others, 2 px 3.8;
# half a pixel does not show. Without an error the rates of 1 Mpx scatter by 3 %.
JUMP, JUMP_SIGMA = 1.2, 5.0
# ACS ISR 2002-07: rays hit 1.5 to 3 % of the pixels of ACS/WFC in 1000 s.
MOST_PER_1000S = 0.05


@dataclass(frozen=True)
class Trend:
    """Residuals that depend on something.

    Attributes
    ----------
    residual : str
        'x' or 'y'.
    against : str
        'x', 'y' or 'magnitude'.
    p : float
        Probability of so strong a rank correlation by chance.
    peak_to_peak : float
        Of the binned medians, px.
    cause : str
        The likely one.
    """

    residual: str
    against: str
    p: float
    peak_to_peak: float
    cause: str

    def __str__(self) -> str:
        return (
            f"residuals in {self.residual} depend on {self.against} "
            f"({self.peak_to_peak:.2f} px peak to peak): {self.cause}"
        )


@dataclass(frozen=True)
class Verdict:
    """Judgement of one exposure's alignment.

    Attributes
    ----------
    grade : str
        'good' (rms up to 0.05 px), 'fair' (up to 0.1 px), 'poor', 'refused' or 'reference'.
    text : str
        One sentence with the numbers.
    warnings : tuple of str
        What to look at.
    trends : tuple of Trend
        Dependences of the residuals.
    """

    grade: str
    text: str
    warnings: tuple[str, ...] = ()
    trends: tuple[Trend, ...] = ()

    def __str__(self) -> str:
        sentences = [f"{w[0].upper()}{w[1:]}{'' if w[-1] in '.?' else '.'}" for w in self.warnings]
        return " ".join([self.text, *sentences])


def _ranks(values: Array) -> Array:
    """Ranks, equal values sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - 0.5 * (counts - 1))[inverse]


def _chance(a: Array, b: Array) -> float:
    """Probability of so strong a rank correlation (Spearman's) by chance, by Student's t.

    As ``scipy.stats.spearmanr``, whose import takes longer than the alignment of a small image.
    """
    from scipy.special import stdtr  # late: slow to import, and only a trend needs it

    free = len(a) - 2
    r = float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])
    t = abs(r) * np.sqrt(free / max((1.0 + r) * (1.0 - r), 1e-300))
    return float(2.0 * stdtr(free, -t))


def _binned_range(values: Array, against: Array) -> float:
    """Peak to peak of the medians in up to 8 bins of equal numbers, ten stars each at least."""
    n_bins = min(BINS, len(values) // PER_BIN)
    if n_bins < 2:
        return 0.0
    order = np.argsort(against, kind="stable")
    edges = np.linspace(0, len(values), n_bins + 1).astype(int)
    medians = [np.median(values[order[a:b]]) for a, b in pairwise(edges)]
    return float(max(medians) - min(medians))


def trends(
    residuals: Array,
    x: Array,
    y: Array,
    mag: Array,
    chip: npt.NDArray[np.integer] | None = None,
    too_simple: bool = False,
) -> list[Trend]:
    """Dependences of the residuals on position and magnitude that matter.

    Parameters
    ----------
    residuals : ndarray, float64, shape (n, 2)
        px, of the stars in the fit.
    x, y : ndarray, float64, shape (n,)
        On the detector, px.
    mag : ndarray, float64, shape (n,)
        NaN where unknown.
    chip : ndarray of int, shape (n,), optional
        Which chip a star is on.
    too_simple : bool
        A richer geometry is known to fit markedly better: then it is the cause.

    Returns
    -------
    list of Trend
        Rank correlation with p < 0.01 *and* binned medians more than 0.05 px peak to peak: with
        thousands of stars any slope is significant, and few bins of few stars always scatter.
    """
    found = []
    for axis, name in enumerate("xy"):
        values = residuals[:, axis]
        for against, at in (("x", x), ("y", y), ("magnitude", mag)):
            good = np.isfinite(at)
            if good.sum() < 2 * PER_BIN or np.ptp(at[good]) == 0 or np.ptp(values[good]) == 0:
                continue
            size = _binned_range(values[good], at[good])
            if not size > TREND_PX:
                continue
            p = _chance(values[good], at[good])
            if not p < TREND_P:
                continue
            if against == "magnitude":
                cause = (
                    "charge-transfer losses trail faint stars"
                    if name == "y"
                    else "centres depend on brightness"
                )
            elif too_simple:
                cause = "the fitgeometry is too simple"
            elif against == "y" and _is_step(values, y, chip, size):
                cause = "a step between the chips, whose relative position is off"
            else:
                cause = "distortion that the model does not hold"
            found.append(Trend(name, against, p, size, cause))
    return found


def _is_step(values: Array, y: Array, chip: npt.NDArray[np.integer] | None, size: float) -> bool:
    """Whether medians differ between the chips while each chip is level."""
    if chip is None:
        return False
    groups = [chip == c for c in np.unique(chip)]
    if len(groups) < 2 or min(g.sum() for g in groups) < 2 * PER_BIN:
        return False
    medians = [float(np.median(values[g])) for g in groups]
    within = max(_binned_range(values[g], y[g]) for g in groups)
    return max(medians) - min(medians) > 0.6 * size and within < 0.5 * size


def judge(
    fit: LinearFit,
    scale_mas: float,
    found: list[Trend],
    *,
    same_visit: bool = False,
    alternatives: Mapping[str, LinearFit] | None = None,
    warnings: tuple[str, ...] = (),
) -> Verdict:
    """Put an accepted fit into words.

    Parameters
    ----------
    fit : LinearFit
    scale_mas : float
        Milliarcseconds in one px of the reference plane.
    found : list of Trend
    same_visit : bool
        Whether the reference is of the same visit: then no rotation is expected.
    alternatives : mapping, optional
        Fits of other geometries to the same stars.
    warnings : tuple of str
        What other stages have to say.

    Returns
    -------
    Verdict
    """
    rms = fit.rms_px
    grade = "good" if rms <= GOOD_PX else "fair" if rms <= POOR_PX else "poor"
    text = (
        f"{grade.capitalize()}: rms {rms:.3f} px ({rms * scale_mas:.1f} mas) from {fit.nmatch} stars, "
        f"position known to {fit.error_px:.4f} px."
    )
    notes = list(warnings)
    if grade == "poor":
        notes.append(
            f"an rms above {POOR_PX} px is not good enough to drizzle: look at thresholds, peakmax and the "
            "residual plots"
        )
    notes += [str(t) for t in found]
    error_ppm = 0.0
    if fit.geometry == "rscale" and np.isfinite(fit.covariance).all():
        error_ppm = 1e6 * float(np.sqrt(fit.covariance[2, 2]))
    if fit.geometry in ("rscale", "general") and abs(fit.scale_ppm) > VA_PPM + 3 * error_ppm:
        if abs(fit.scale_ppm) < VA_YEAR_PPM:
            why = "more than velocity aberration changes within an orbit (25 ppm): was VAFACTOR applied?"
        else:
            why = "more than velocity aberration ever does (100 ppm): is this the filter's distortion model?"
        notes.append(f"the scale differs by {fit.scale_ppm:+.0f} ppm, {why}")
    if same_visit and fit.geometry != "shift":
        error_deg = _rotation_error(fit)
        if abs(fit.rotation) > VISIT_ROTATION_DEG + 3 * error_deg:
            notes.append(f"a rotation of {fit.rotation:+.4f} degrees inside a visit is unusual")
    if alternatives:
        notes += _compare(fit, alternatives)
    return Verdict(grade, text, tuple(notes), tuple(found))


def _rotation_error(fit: LinearFit) -> float:
    index = {"rshift": 2, "rscale": 3, "general": 4}[fit.geometry]
    value = fit.covariance[index, index]
    return float(np.degrees(np.sqrt(value))) if np.isfinite(value) else float("inf")


def _compare(fit: LinearFit, alternatives: Mapping[str, LinearFit]) -> list[str]:
    """Advice on the geometry: one that is markedly better, or a simpler one that is as good."""
    order = ["shift", "rshift", "rscale", "general"]
    mine = order.index(fit.geometry)
    for name in order[mine + 1 :]:
        other = alternatives.get(name)
        if other is not None and other.rms_px < 0.8 * fit.rms_px and fit.rms_px - other.rms_px > 0.005:
            return [f"'{name}' fits better: rms {other.rms_px:.3f} px instead of {fit.rms_px:.3f}"]
    for name in order[:mine]:
        other = alternatives.get(name)
        if other is not None and other.rms_px < 1.02 * fit.rms_px + 0.0005:
            return [f"the simpler '{name}' does as well (rms {other.rms_px:.3f} px)"]
    return []


@dataclass(frozen=True)
class CosmicRayJump:
    """An exposure in which more pixels are flagged as cosmic rays than in the others.

    Attributes
    ----------
    rate, usual : float
        Fraction of the pixels flagged per 1000 s, here and in the median of the other exposures.
    everywhere : bool
        It is no more than in the others, but in all of them more than cosmic rays do.
    """

    rate: float
    usual: float
    everywhere: bool = False

    def __str__(self) -> str:
        if self.everywhere:
            return (
                f"{100 * self.rate:.1f} % of the pixels per 1000 s are flagged as cosmic rays, and as many "
                "in the other exposures; rays hit 1.5 to 3 %: with combine_type minmed one misaligned "
                "exposure does this to all, or driz_cr_snr is too low"
            )
        return (
            f"{100 * self.rate:.1f} % of the pixels per 1000 s are flagged as cosmic rays, in the other "
            f"exposures {100 * self.usual:.1f} %: a misaligned exposure shows itself so"
        )


def cosmic_ray_jumps(
    fractions: Mapping[str, float], exptimes: Mapping[str, float]
) -> dict[str, CosmicRayJump]:
    """Which exposures have more pixels flagged as cosmic rays than their exposure time explains.

    Parameters
    ----------
    fractions : mapping
        Root name to the fraction of the pixels that are flagged, as `Reduction.cr_fractions` and the
        record of a product have it. Exposures of one detector.
    exptimes : mapping
        Root name to seconds, for those names at least.

    Returns
    -------
    dict
        Root name to jump; empty for fewer than three exposures, where none can be told from the others.

    Notes
    -----
    Cosmic rays come at one rate, so fractions are compared per second. A jump is a rate above 1.2 times
    the median of the others that also stands out of their scatter (5 sigma, from the median deviation).
    An offset shows from about one pixel on; the fit's rms sees far smaller ones. Where the median image is
    spoilt by one exposure (minmed), all rates rise together, which only their height tells.
    """
    names = [name for name, value in fractions.items() if np.isfinite(value) and exptimes[name] > 0]
    if len(names) < 3:
        return {}
    rates = np.array([1000.0 * fractions[name] / exptimes[name] for name in names])
    found = {}
    for k, name in enumerate(names):
        others = np.delete(rates, k)
        usual = float(np.median(others))
        scatter = 1.4826 * float(np.median(np.abs(others - usual)))
        rate = float(rates[k])
        if rate > JUMP * usual and rate > usual + JUMP_SIGMA * scatter:
            found[name] = CosmicRayJump(rate, usual)
        elif usual > MOST_PER_1000S and rate > MOST_PER_1000S:
            found[name] = CosmicRayJump(rate, usual, everywhere=True)
    return found

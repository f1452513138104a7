"""The first offset of two lists of sources, and whether it can be believed.

The peak of the offset histogram counts only if it stands out from the best of its rivals and from what
shuffled lists give. Where it does not, a look at rotated lists and beyond the search radius finds out
why, so that the refusal can say what to change.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drizzlewb.errors import DataError
from drizzlewb.kernels.matching import OffsetPeak, find_peak, histogram_peak, offset_histogram

__all__ = ["Refused", "Start", "advised_radius", "believable", "find_start", "poisson_tail"]

Array = npt.NDArray[np.float64]

# Excess of the peak over that of the best rival; lists without common stars reach 1.3.
CONTRAST = 1.6
# Above this no rotation is looked for.
CLEAR = 8.0
# Expected number of such peaks by chance in the whole square.
FALSE_ALARM = 1e-4
FARTHEST_PX = 600
ROTATION_LIMIT_DEG = 1.0


class Refused(DataError):
    """An alignment that cannot be believed.

    Attributes
    ----------
    stage : str
        'sources', 'offset', 'matching', 'fit' or 'magnitudes'.
    start : Start or None
        The histogram that was looked at in vain, to be shown.
    """

    def __init__(self, stage: str, message: str, start: "Start | None" = None):
        super().__init__(message)
        self.stage = stage
        self.start = start


@dataclass(frozen=True, eq=False)
class Start:
    """A first guess: image = center + shift + R(rotation) (reference - center).

    Attributes
    ----------
    shift : ndarray, float64, shape (2,)
        px.
    rotation : float
        Degrees, in the sense of `LinearFit.rotation`.
    center : ndarray, float64, shape (2,)
        px.
    peak : OffsetPeak or None
        None where the user gave the offset.
    counts : ndarray, int64
        The offset histogram; shape (0, 0) where there is none.
    """

    shift: Array
    rotation: float
    center: Array
    peak: OffsetPeak | None
    counts: npt.NDArray[np.int64]

    def predict(self, reference: Array) -> Array:
        """Image positions of reference positions, both of shape (n, 2)."""
        return (reference - self.center) @ _turn(self.rotation).T + self.center + self.shift


def _turn(degrees: float) -> Array:
    a = math.radians(degrees)
    return np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])


def believable(peak: OffsetPeak | None, n_bins: int) -> bool:
    """Whether a peak is more than chance: `CONTRAST` and `FALSE_ALARM` both hold."""
    if peak is None or peak.contrast < CONTRAST:
        return False
    expected = max(peak.background, 1e-3)
    return n_bins * poisson_tail(peak.pairs, expected) < FALSE_ALARM


def poisson_tail(n: int, mean: float) -> float:
    """Probability of n or more events where `mean` are expected; 1 for n up to the mean.

    As ``scipy.special.gammainc(n, mean)``, whose import takes as long as the alignment of a small image.
    """
    if n <= mean:
        return 1.0
    total, k = 0.0, n
    term = math.exp(n * math.log(mean) - mean - math.lgamma(n + 1.0))
    # Beyond the mean each term is smaller than the one before.
    while term > 1e-17 * total:
        total += term
        k += 1
        term *= mean / k
    return total


def advised_radius(farthest: float, unit_px: float) -> float:
    """Search radius, in its unit, that holds an offset of so many px: a fifth more, rounded up."""
    needed = (1.2 * farthest + 2.0) / unit_px
    step = 10.0 ** math.floor(math.log10(needed)) / 2
    return math.ceil(needed / step) * step


def _brightest(positions: Array, flux: Array, count: int) -> Array:
    if len(positions) <= count:
        return positions
    if not np.isfinite(flux).any():
        return positions[:: math.ceil(len(positions) / count)]
    return positions[np.argsort(-np.nan_to_num(flux, nan=-np.inf), kind="stable")[:count]]


def _clean(positions: Array, flux: Array, starlike: npt.NDArray[np.bool_]) -> Array:
    """The 1500 brightest of the sources that look like stars, or of all if those are too few."""
    which = starlike if starlike.sum() >= 5 else np.ones(len(positions), bool)
    return _brightest(positions[which], flux[which], 1500)


def find_start(
    xy: Array,
    ref: Array,
    radius: float,
    *,
    flux: Array,
    ref_flux: Array,
    starlike: npt.NDArray[np.bool_],
    ref_starlike: npt.NDArray[np.bool_],
    unit_px: float,
    unit: str,
    name: str,
) -> Start:
    """Offset, and rotation if need be, of two lists.

    Parameters
    ----------
    xy, ref : ndarray, float64, shapes (n, 2) and (m, 2)
        Positions in the reference plane, px.
    radius : float
        ``searchrad``, px.
    flux, ref_flux : ndarray
        To choose bright sources; NaN where unknown.
    starlike, ref_starlike : ndarray, bool
        Sources that look like stars; tried where all sources together drown the peak.
    unit_px : float
        Pixels of the reference plane in one unit of ``searchrad``.
    unit : str
        'arcsec' or 'px', for the message.
    name : str
        Of the exposure.

    Returns
    -------
    Start

    Raises
    ------
    Refused
        With stage 'offset', the numbers, and what to change.
    """
    center = xy.mean(axis=0)
    clean = _clean(xy, flux, starlike), _clean(ref, ref_flux, ref_starlike)
    tries = [(xy, ref)]
    if starlike.sum() >= 5 and ref_starlike.sum() >= 5 and not (starlike.all() and ref_starlike.all()):
        tries.append((xy[starlike], ref[ref_starlike]))
    tries.append((_brightest(xy, flux, 300), _brightest(ref, ref_flux, 300)))
    best: OffsetPeak | None = None
    seen: Start | None = None
    for mine, theirs in tries:
        peak, counts = find_peak(mine, theirs, radius)
        if believable(peak, counts.size) and peak is not None and not peak.at_edge:
            if peak.contrast < CLEAR:
                # A rotation smears the peak: what is left of it may lead to a false match.
                turned = _try_rotations(*clean, radius, center)
                if turned is not None:
                    return turned
            return Start(np.array([peak.dx, peak.dy]), 0.0, center, peak, counts)
        if peak is not None and (best is None or peak.contrast > best.contrast):
            best = peak
            seen = Start(np.array([peak.dx, peak.dy]), 0.0, center, peak, counts)
    turned = _try_rotations(*clean, radius, center)
    if turned is not None:
        return turned
    beyond = _look_beyond(*clean, radius, center)
    evidence = (
        "no pair of sources lies within it"
        if best is None
        else f"best peak {best.pairs} pairs, the next {best.runner_up}, shuffled lists {best.chance}"
    )
    where = f"{name}: no common offset within searchrad = {radius / unit_px:.4g} {unit}: {evidence}."
    if beyond is not None and beyond.peak is not None:
        dx, dy = beyond.shift
        advice = advised_radius(max(abs(dx), abs(dy)), unit_px)
        turned_by = f", with the lists turned by {beyond.rotation:+.2f} degrees" if beyond.rotation else ""
        msg = (
            f"{where} A peak of {beyond.peak.pairs} pairs stands {math.hypot(dx, dy):.0f} px away "
            f"({dx:+.1f}, {dy:+.1f}){turned_by}: widen searchrad to {advice:.4g} {unit}"
            + (" (and use a fitgeometry that turns)." if beyond.rotation else ".")
        )
        found, counts = find_peak(*clean, advice * unit_px)
        if found is not None:
            seen = Start(np.array([found.dx, found.dy]), 0.0, center, found, counts)
        raise Refused("offset", msg, seen)
    msg = (
        f"{where} Nothing stands out up to {_farthest(clean[0], radius):.0f} px either, nor with rotations "
        f"up to {ROTATION_LIMIT_DEG:g} degree. Look at the sources (threshold, peakmax, conv_width, dqbits), "
        "and at whether the exposures overlap; a rotation or an offset beyond that must come out of the "
        "headers first (updatewcs, or another WCS of the file's history)."
    )
    raise Refused("offset", msg, seen)


def _try_rotations(xy: Array, ref: Array, radius: float, center: Array) -> Start | None:
    """Best believable peak over a scan of rotations about the mean position; None if none is better."""
    reach = float(np.hypot(*(xy - center).T).max()) if len(xy) else 0.0
    if reach <= 0:
        return None
    # Neighbouring angles move the outermost star by 1.5 px.
    step = max(math.degrees(1.5 / reach), 0.01)
    n = math.ceil(ROTATION_LIMIT_DEG / step)
    peaks = {}
    for k in range(-n, n + 1):
        # Turning the list back makes it parallel to the reference.
        peak = histogram_peak(offset_histogram((xy - center) @ _turn(-k * step).T + center, ref, radius))
        if peak is not None:
            peaks[k] = peak
    if not peaks:
        return None
    best = max(peaks, key=lambda k: peaks[k].significance)
    # A turn must bring together clearly more pairs than none does.
    if best == 0 or (0 in peaks and peaks[best].pairs < 1.5 * peaks[0].pairs):
        return None
    angle = best * step
    back = (xy - center) @ _turn(-angle).T + center
    peak, counts = find_peak(back, ref, radius)
    # One chance for each angle tried.
    if peak is None or peak.at_edge or not believable(peak, counts.size * (2 * n + 1)):
        return None
    # back = ref + offset, so image = center + R (ref + offset - center).
    offset = np.array([peak.dx, peak.dy])
    return Start(_turn(angle) @ offset, angle, center, peak, counts)


def _farthest(xy: Array, radius: float) -> float:
    extent = float((xy.max(axis=0) - xy.min(axis=0)).max()) if len(xy) else 0.0
    return max(radius, min(FARTHEST_PX, extent / 2))


def _look_beyond(xy: Array, ref: Array, radius: float, center: Array) -> Start | None:
    """What a larger search radius would find, without a rotation or with one."""
    far = _farthest(xy, radius)
    if far <= radius:
        return None
    peak, counts = find_peak(xy, ref, far)
    if peak is not None and believable(peak, counts.size):
        return Start(np.array([peak.dx, peak.dy]), 0.0, center, peak, counts)
    return _try_rotations(xy, ref, far, center)

"""What the figures of an alignment show, as arrays: residuals, arrows, histograms, and words for a peak.

Arrays in, arrays out; the panel draws them with bqplot, `drizzlewb.views.static` with matplotlib.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drizzlewb.exposure import Exposure
from drizzlewb.steps.offsets import believable
from drizzlewb.steps.solution import Alignment

__all__ = [
    "Residuals",
    "arrow_lines",
    "half_range",
    "in_box",
    "key_length",
    "nearest",
    "offset_words",
    "pairs_at",
    "peak_histogram",
    "residuals_of",
    "steps_of",
]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_BARB = math.radians(155.0)
_BARB_SHARE = 0.3


@dataclass(frozen=True, eq=False)
class Residuals:
    """Matched stars of one exposure, those that clipping left out included.

    Attributes
    ----------
    rootname, geometry : str
        Of the exposure and of the fit.
    index : ndarray, int64, shape (n,)
        Rows of the exposure's sources.
    x, y : ndarray, float64, shape (n,)
        Positions in the reference plane, zero-based px.
    chip_x, chip_y : ndarray, float64, shape (n,)
        Positions on the chip, zero-based px; NaN where there is no chip.
    extver : ndarray, int64, shape (n,)
        SCI extension of the chip; 0 where there is none.
    dx, dy : ndarray, float64, shape (n,)
        Image minus model, px of the reference plane.
    mag : ndarray, float64, shape (n,)
        Instrumental magnitude, -2.5 log10(flux / s); NaN where unknown.
    used : ndarray, bool, shape (n,)
        Stars in the fit; the others were clipped.
    rms_x, rms_y : float
        Scatter of the stars in the fit, px.
    """

    rootname: str
    geometry: str
    index: npt.NDArray[np.int64]
    x: Array
    y: Array
    chip_x: Array
    chip_y: Array
    extver: npt.NDArray[np.int64]
    dx: Array
    dy: Array
    mag: Array
    used: Mask
    rms_x: float
    rms_y: float

    def __len__(self) -> int:
        return len(self.dx)

    def take(self, which: Mask) -> "Residuals":
        """Return those of a mask; the scatter stays that of the fit."""
        parts = {
            name: getattr(self, name)[which]
            for name in ("index", "x", "y", "chip_x", "chip_y", "extver", "dx", "dy", "mag", "used")
        }
        return Residuals(self.rootname, self.geometry, rms_x=self.rms_x, rms_y=self.rms_y, **parts)


def residuals_of(alignment: Alignment, exposure: Exposure) -> Residuals | None:
    """Residuals of an exposure's fit; None for the reference, and where the alignment was refused.

    Parameters
    ----------
    alignment : Alignment
    exposure : Exposure
        To name the chips.
    """
    fit = alignment.fit
    if fit is None or not len(alignment.index):
        return None
    sources, at = alignment.sources, alignment.index
    chip = sources.chip[at].astype(np.int64)
    extvers = np.array([0, *(c.extver for c in exposure.chips)])
    rms_x, rms_y = fit.rms_xy
    return Residuals(
        alignment.rootname,
        fit.geometry,
        at,
        alignment.xy[:, 0],
        alignment.xy[:, 1],
        sources.x[at],
        sources.y[at],
        extvers[chip + 1],
        fit.residuals[:, 0],
        fit.residuals[:, 1],
        sources.mag[at],
        fit.used,
        rms_x,
        rms_y,
    )


def half_range(values: npt.ArrayLike, rms: float, least: float = 0.02) -> float:
    """Half-height of a residual plot, px: it holds the stars in the fit, and clipped ones near them.

    Parameters
    ----------
    values : array_like, float64
        Residuals of the stars in the fit, px.
    rms : float
        Their scatter, px.
    least : float
        Smallest half-height, px: noise of a perfect fit shall not look like a disaster.
    """
    finite = np.abs(np.asarray(values, float))
    finite = finite[np.isfinite(finite)]
    largest = float(finite.max()) if finite.size else 0.0
    return max(1.15 * largest, 4.0 * rms if math.isfinite(rms) else 0.0, least)


def key_length(rms: float) -> float:
    """Length of the arrow that explains the others, px: 1, 2 or 5 times a power of ten, near 2 rms."""
    if not (math.isfinite(rms) and rms > 0):
        return 0.01
    wanted = 2.0 * rms
    step = 10.0 ** math.floor(math.log10(wanted))
    return float(f"{min((1.0, 2.0, 5.0, 10.0), key=lambda m: abs(math.log(m * step / wanted))) * step:.1g}")


def arrow_lines(
    x: npt.ArrayLike, y: npt.ArrayLike, dx: npt.ArrayLike, dy: npt.ArrayLike, factor: float
) -> tuple[Array, Array]:
    """Arrows as one broken line.

    Parameters
    ----------
    x, y : array_like, float64, shape (n,)
        Where they start.
    dx, dy : array_like, float64, shape (n,)
        What they show.
    factor : float
        By which they are drawn longer than they are.

    Returns
    -------
    x, y : ndarray, float64, shape (6 n,)
        Shaft, then one barb, back to the tip, the other barb, then NaN, for each arrow.
    """
    x, y, dx, dy = (np.asarray(v, float) for v in (x, y, dx, dy))
    u, v = dx * factor, dy * factor
    tip_x, tip_y = x + u, y + v
    c, s = math.cos(_BARB), math.sin(_BARB)
    gap = np.full(len(x), np.nan)
    left_x, left_y = tip_x + _BARB_SHARE * (c * u - s * v), tip_y + _BARB_SHARE * (s * u + c * v)
    right_x, right_y = tip_x + _BARB_SHARE * (c * u + s * v), tip_y + _BARB_SHARE * (c * v - s * u)
    return (
        np.column_stack([x, tip_x, left_x, tip_x, right_x, gap]).ravel(),
        np.column_stack([y, tip_y, left_y, tip_y, right_y, gap]).ravel(),
    )


def in_box(
    x: npt.ArrayLike, y: npt.ArrayLike, x_range: tuple[float, float], y_range: tuple[float, float]
) -> Mask:
    """Points in a box, its edges included; NaN lies in none.

    Parameters
    ----------
    x, y : array_like, float64, shape (n,)
    x_range, y_range : (float, float)
        In either order.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    (x0, x1), (y0, y1) = sorted(x_range), sorted(y_range)
    with np.errstate(invalid="ignore"):
        return (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)


def nearest(x: npt.ArrayLike, y: npt.ArrayLike, at: tuple[float, float], within: float) -> int:
    """Index of the point nearest to a place, or -1 if none is within a distance."""
    distance = np.hypot(np.asarray(x, float) - at[0], np.asarray(y, float) - at[1])
    distance = np.where(np.isfinite(distance), distance, np.inf)
    if not distance.size:
        return -1
    k = int(np.argmin(distance))
    return k if distance[k] <= within else -1


def peak_histogram(peaks: npt.ArrayLike, bins: int = 40) -> tuple[Array, npt.NDArray[np.int64]]:
    """Histogram of the peaks of sources over logarithmic bins.

    Parameters
    ----------
    peaks : array_like, float64, shape (n,)
        In the file's own unit; what is not positive or not finite is left out.
    bins : int

    Returns
    -------
    edges : ndarray, float64, shape (bins + 1,)
        Empty where there is no peak to count.
    counts : ndarray, int64, shape (bins,)
    """
    values = np.asarray(peaks, float)
    values = values[np.isfinite(values) & (values > 0)]
    if not values.size:
        return np.empty(0), np.empty(0, np.int64)
    low, high = float(values.min()), float(values.max())
    # A little beyond both ends, so that no source lies on the border of the plot.
    edges = np.geomspace(low / 1.05, high * 1.05, bins + 1)
    return edges, np.histogram(values, edges)[0].astype(np.int64)


def steps_of(edges: Array, counts: npt.NDArray[np.int64], least: float = 0.5) -> tuple[Array, Array]:
    """Outline of a histogram, closed at both ends at the level `least`, for a logarithmic axis."""
    if not len(counts):
        return np.empty(0), np.empty(0)
    height = np.maximum(counts.astype(float), least)
    x = np.repeat(edges, 2)
    y = np.concatenate([[least], np.repeat(height, 2), [least]])
    return x, y


def pairs_at(counts: npt.NDArray[np.int64], dx: float, dy: float) -> int:
    """Pairs in the 3 x 3 bins of an offset histogram around an offset, px; 0 outside it."""
    r = counts.shape[0] // 2
    i, j = round(dx) + r, round(dy) + r
    if not counts.size or not (0 <= i < counts.shape[1] and 0 <= j < counts.shape[0]):
        return 0
    return int(counts[max(0, j - 1) : j + 2, max(0, i - 1) : i + 2].sum())


def offset_words(alignment: Alignment, scale_arcsec: float) -> tuple[str, ...]:
    """Sentences on the first offset of an exposure and on what speaks for it.

    Parameters
    ----------
    alignment : Alignment
    scale_arcsec : float
        Arcsec in one px of the reference plane.
    """
    if alignment.status == "reference":
        return ("The reference: the others are compared with it, so there is no offset to find.",)
    start = alignment.start
    if start is None:
        return ("No histogram was made: the alignment failed before it.",)
    peak = start.peak
    if peak is None:
        dx, dy = (float(v) for v in start.shift)
        return (f"The offset ({dx:+.2f}, {dy:+.2f}) px was given by hand; no histogram was made.",)
    distance = math.hypot(peak.dx, peak.dy)
    told = [
        f"Peak at ({peak.dx:+.2f}, {peak.dy:+.2f}) px, that is {distance:.2f} px or "
        f"{distance * scale_arcsec:.3f} arcsec from where the headers say.",
        f"{peak.pairs} pairs of sources agree on it (3 × 3 bins). The best rival has {peak.runner_up}, "
        f"shuffled lists without common stars reach {peak.chance}, and {peak.background:.1f} are expected by "
        "chance.",
    ]
    sure = believable(peak, start.counts.size)
    if not sure:
        told.append("That is no more than chance gives: this peak is not believed.")
    elif peak.contrast < 3.0:
        told.append(f"It stands {peak.contrast:.1f} times above its best rival: believed, but look at it.")
    else:
        told.append(f"It stands {peak.contrast:.0f} times above its best rival: a clear match.")
    if sure and alignment.status == "refused":
        told.append("The exposure was refused all the same: the verdict says why, and what to change.")
    if peak.at_edge:
        told.append("It touches the border of the search: widen searchrad.")
    if start.rotation:
        told.append(f"The lists are rotated by {start.rotation:+.3f} degrees to each other.")
    return tuple(told)

"""Which sources of two lists are the same: the histogram of their offsets, then one-to-one pairs.

The offset of two lists that share stars shows as a peak in the two-dimensional histogram of all
coordinate differences within a search radius. The peer forms all N x M differences first (17 GB for
twelve crowded exposures); here the reference list is hashed into cells of the search radius and only
neighbours are looked at, so memory is that of the histogram.
"""

from typing import NamedTuple

import numpy as np

from drizzlewb.kernels.jit import kernel
from drizzlewb.kernels.neighbours import cells, nearest, thin

__all__ = ["OffsetPeak", "Pairing", "find_peak", "histogram_peak", "match_pairs", "offset_histogram"]


@kernel
def _fill_histogram(x, y, ref_x, ref_y, order, starts, n_cells_x, n_cells_y, x0, y0, cell, radius, counts):
    """Count coordinate differences (list - reference) in 1-px bins of counts[2r+1, 2r+1]."""
    limit = radius + 0.5
    for k in range(x.size):
        ci = int((x[k] - x0) // cell)
        cj = int((y[k] - y0) // cell)
        for j in range(max(0, cj - 1), min(n_cells_y, cj + 2)):
            for i in range(max(0, ci - 1), min(n_cells_x, ci + 2)):
                c = j * n_cells_x + i
                for m in range(starts[c], starts[c + 1]):
                    dx = x[k] - ref_x[m]
                    dy = y[k] - ref_y[m]
                    if -limit <= dx < limit and -limit <= dy < limit:
                        counts[int(dy + limit), int(dx + limit)] += 1


def offset_histogram(xy, ref, radius):
    """Histogram of the differences ``xy - ref`` of all pairs within a square of half-width radius.

    Parameters
    ----------
    xy, ref : ndarray, float64, shapes (n, 2) and (m, 2)
        Positions in one plane, px.
    radius : float
        Half-width of the search, px; rounded up to whole bins.

    Returns
    -------
    ndarray, int64, shape (2*r + 1, 2*r + 1)
        ``counts[j, i]`` pairs have dx within half a pixel of ``i - r`` and dy of ``j - r``.

    Notes
    -----
    Memory is O(n + m + r^2) and time O(pairs within the radius).
    """
    r = int(np.ceil(radius))
    counts = np.zeros((2 * r + 1, 2 * r + 1), np.int64)
    if len(xy) == 0 or len(ref) == 0:
        return counts
    x, y = np.ascontiguousarray(xy[:, 0], float), np.ascontiguousarray(xy[:, 1], float)
    # Neighbouring cells cover the search square.
    _fill_histogram(x, y, *cells(ref, r + 0.5), r, counts)
    return counts


class OffsetPeak(NamedTuple):
    """The peak of an offset histogram and what speaks for and against it.

    Attributes
    ----------
    dx, dy : float
        Offset list - reference, px, from a quadratic through the peak.
    pairs : int
        Pairs in the 3 x 3 bins at the peak.
    runner_up : int
        Pairs in the best 3 x 3 bins that do not touch the peak's surroundings.
    chance : int
        The highest such number that lists without common stars give: the same lists shuffled.
    background : float
        Pairs expected by chance in 3 x 3 bins: the mean outside the peak.
    significance : float
        (pairs - background) / sqrt(max(background, 1)).
    at_edge : bool
        The peak touches the border of the searched square.
    """

    dx: float
    dy: float
    pairs: int
    runner_up: int
    chance: int
    background: float
    significance: float
    at_edge: bool

    @property
    def contrast(self):
        """Excess of the peak over the background in units of that of its best rival."""
        rival = max(self.runner_up, self.chance, self.background + 1.0) - self.background
        return (self.pairs - self.background) / rival


def _box_sum(counts):
    """Sums over 3 x 3 bins, zero beyond the border."""
    padded = np.pad(counts, 1)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]


def _refine(counts, j, i):
    """Maximum of a quadratic through the 5 x 5 bins at (j, i), as offsets (dj, di) from that bin.

    Half a bin at most: the bin is the fullest one. Where the bins have no maximum of that shape the
    offset is zero.
    """
    box = np.pad(counts, 2).astype(float)[j : j + 5, i : i + 5]
    dj, di = np.mgrid[-2:3, -2:3]
    terms = [np.ones_like(di), di, dj, di * dj, di**2, dj**2]
    design = np.stack([t.ravel() for t in terms], 1)
    _, cx, cy, cxy, cxx, cyy = np.linalg.lstsq(design, box.ravel(), rcond=None)[0]
    det = 4 * cxx * cyy - cxy**2
    if not (det > 0 and cxx < 0):
        return 0.0, 0.0
    si = (cy * cxy - 2 * cyy * cx) / det
    sj = (cx * cxy - 2 * cxx * cy) / det
    return min(max(sj, -0.5), 0.5), min(max(si, -0.5), 0.5)


def histogram_peak(counts, chance=0):
    """Peak of an offset histogram, its rival and its background.

    Parameters
    ----------
    counts : ndarray, int64, shape (2*r + 1, 2*r + 1)
        From `offset_histogram`.
    chance : int
        Highest 3 x 3 sum of the histograms of shuffled lists.

    Returns
    -------
    OffsetPeak or None
        None if no pair lies within the radius.
    """
    if not counts.any():
        return None
    r = counts.shape[0] // 2
    sums = _box_sum(counts)
    best = sums.max()
    # Several 3 x 3 boxes hold a sharp peak, chance says which holds the most: go to the fullest bin.
    j, i = np.unravel_index(np.argmax(sums), sums.shape)
    rows, columns = slice(max(0, j - 1), j + 2), slice(max(0, i - 1), i + 2)
    dj, di = np.unravel_index(np.argmax(counts[rows, columns]), counts[rows, columns].shape)
    j, i = rows.start + int(dj), columns.start + int(di)
    sj, si = _refine(counts, j, i)
    away = np.ones(sums.shape, bool)
    away[max(0, j - 5) : j + 6, max(0, i - 5) : i + 6] = False
    runner_up = int(sums[away].max()) if away.any() else 0
    background = 9.0 * float(counts[away].mean()) if away.any() else 0.0
    significance = (best - background) / np.sqrt(max(background, 1.0))
    at_edge = min(i, j, 2 * r - i, 2 * r - j) < 1
    return OffsetPeak(
        float(i - r + si),
        float(j - r + sj),
        int(best),
        runner_up,
        int(chance),
        background,
        float(significance),
        at_edge,
    )


def find_peak(xy, ref, radius, shuffles=2, seed=0):
    """Offset of two lists from the peak of their offset histogram, with its evidence.

    Parameters
    ----------
    xy, ref : ndarray, float64, shapes (n, 2) and (m, 2)
        Positions in one plane, px.
    radius : float
        Half-width of the search, px.
    shuffles : int
        Shuffled catalogs to compare with: the list turned by 180 degrees about its centre, then with
        x and y drawn from different sources. Both keep its extent and crowding.
    seed : int
        Of the random order; the same lists give the same answer.

    Returns
    -------
    peak : OffsetPeak or None
    counts : ndarray, int64
        The histogram, to be shown.
    """
    xy, ref = np.asarray(xy, float), np.asarray(ref, float)
    counts = offset_histogram(xy, ref, radius)
    if not counts.any():
        return None, counts
    chance = 0
    random = np.random.default_rng(seed)
    for k in range(shuffles):
        if k == 0:
            fake = xy.min(0) + xy.max(0) - xy
        else:
            fake = np.column_stack([random.permutation(xy[:, 0]), random.permutation(xy[:, 1])])
        chance = max(chance, int(_box_sum(offset_histogram(fake, ref, radius)).max()))
    return histogram_peak(counts, chance), counts


def match_pairs(xy, ref, tolerance, separation=0.0, priority=None, ref_priority=None):
    """One-to-one pairs of two lists: mutual nearest neighbours within tolerance.

    Parameters
    ----------
    xy, ref : ndarray, float64, shapes (n, 2) and (m, 2)
        Positions in one plane, px, with any offset already removed.
    tolerance : float
        Largest distance of a pair, px.
    separation : float
        Sources closer than this to a better one of their own list are not matched (as in IRAF's
        xyxymatch), px.
    priority, ref_priority : ndarray, optional
        Which of two close sources is better: larger (fluxes).

    Returns
    -------
    index, ref_index : ndarray, int64, shape (k,)
        ``xy[index]`` belongs to ``ref[ref_index]``; in order of index.
    """
    return Pairing(xy, ref, separation, priority, ref_priority).pairs(ref, tolerance)


class Pairing:
    """Two lists that are matched several times, as the transformation between them gets better.

    What does not change meanwhile, close sources and the order of the first list, is found once.

    Parameters
    ----------
    xy, ref : ndarray, float64, shapes (n, 2) and (m, 2)
        Positions, px; those of ref need only be right among themselves.
    separation, priority, ref_priority
        As for `match_pairs`.
    """

    def __init__(self, xy, ref, separation=0.0, priority=None, ref_priority=None):
        xy, ref = np.asarray(xy, float), np.asarray(ref, float)
        self._mine = np.flatnonzero(thin(xy, separation, priority))
        self._theirs = np.flatnonzero(thin(ref, separation, ref_priority))
        self._xy = xy[self._mine]

    def pairs(self, predicted, tolerance):
        """Mutual nearest neighbours within tolerance.

        Parameters
        ----------
        predicted : ndarray, float64, shape (m, 2)
            Where the sources of ref are expected among those of xy, px.
        tolerance : float
            Largest distance of a pair, px.

        Returns
        -------
        index, ref_index : ndarray, int64, shape (k,)
            In order of index.
        """
        places = np.asarray(predicted, float)[self._theirs]
        back = nearest(places, self._xy, tolerance)
        # Only who is the nearest of somebody can be in a mutual pair.
        asked = np.unique(back[back >= 0])
        if asked.size == 0:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        found = nearest(self._xy[asked], places, tolerance)
        mutual = back[found] == asked
        return self._mine[asked[mutual]], self._theirs[found[mutual]]

"""Sky matching: differences of sky in the overlaps of exposures, and the offsets that remove them."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from drizzlewb import distortion
from drizzlewb.exposure import Chip
from drizzlewb.kernels.blocks import N_BINS, bin_edges, histogram_statistics, overlap_histogram
from drizzlewb.kernels.statistics import MEAN, MEDIAN

__all__ = ["Blocks", "Overlaps", "find_overlaps", "match_offsets"]

_SIDES = 4  # intervals per side of a footprint: distortion bends it by less than a block between them


class Blocks(NamedTuple):
    """Histograms of the square blocks of one chip.

    Attributes
    ----------
    counts : ndarray of uint16, shape (by, bx, N_BINS)
    side : int
        Pixels per side of a block (less at the upper edges).
    centre, width : float
        Electrons: see `drizzlewb.kernels.blocks.bin_edges`.
    """

    counts: np.ndarray
    side: int
    centre: float
    width: float


class Overlaps(NamedTuple):
    """Sky of pairs of exposures where they overlap.

    Attributes
    ----------
    i, j : ndarray of int, shape (m,)
        Exposures, ``i < j``.
    sky_i, sky_j : ndarray of float64, shape (m,)
        Sky of each in the overlap, e-/s/arcsec^2: the mean over its chips, weighted by pixels.
    n_i, n_j : ndarray of float64, shape (m,)
        Pixels that it comes from, after clipping.
    """

    i: np.ndarray
    j: np.ndarray
    sky_i: np.ndarray
    sky_j: np.ndarray
    n_i: np.ndarray
    n_j: np.ndarray


class _Outline(NamedTuple):
    """A chip on its group's tangent plane (radians): corners, box, centres of blocks."""

    x: np.ndarray
    y: np.ndarray
    centre_x: np.ndarray
    centre_y: np.ndarray


def _unit(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def _block_centres(chip: Chip, blocks: Blocks) -> np.ndarray:
    """Unit vectors of the centres of a chip's blocks: shape (by, bx, 3)."""
    (ny, nx), side = chip.shape, blocks.side
    edge_y = np.minimum(np.arange(blocks.counts.shape[0] + 1) * side, ny)
    edge_x = np.minimum(np.arange(blocks.counts.shape[1] + 1) * side, nx)
    y = 0.5 * (edge_y[:-1] + edge_y[1:]) - 0.5
    x = 0.5 * (edge_x[:-1] + edge_x[1:]) - 0.5
    yy, xx = np.meshgrid(y, x, indexing="ij")
    return _unit(*distortion.pixel_to_sky(chip.wcs, xx, yy))


def _near_groups(corners: list[np.ndarray]) -> np.ndarray:
    """Number chips by neighbourhood: circles about them that touch, directly or through others."""
    middle = np.array([c.mean(axis=0) for c in corners])
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    radius = np.array([np.arccos(np.clip(c @ m, -1, 1)).max() for c, m in zip(corners, middle, strict=True)])
    apart = np.arccos(np.clip(middle @ middle.T, -1, 1))
    return components(apart <= radius[:, None] + radius[None, :])


def components(joined: np.ndarray) -> np.ndarray:
    """Number the groups that a relation joins, directly or through others.

    What ``scipy.sparse.csgraph.connected_components`` does, whose import takes a third of a second.

    Parameters
    ----------
    joined : ndarray of bool, shape (n, n)
        Symmetric.

    Returns
    -------
    ndarray of int, shape (n,)
        From 0, in the order of each group's first member.
    """
    n = len(joined)
    first = np.arange(n)  # the lowest member that each one is known to be joined with
    while True:
        lower = np.minimum(first, np.where(joined, first, n).min(axis=1, initial=n))
        lower = lower[lower]
        if np.array_equal(lower, first):
            return np.unique(first, return_inverse=True)[1]
        first = lower


def _outlines(chips: Sequence[Chip], blocks: Sequence[Blocks | None]) -> tuple[list[_Outline], np.ndarray]:
    corners = [_unit(*distortion.footprint(c.wcs, c.shape, _SIDES).T) for c in chips]
    near = _near_groups(corners)
    outlines: list = [None] * len(chips)
    for group in range(near.max() + 1):
        members = np.flatnonzero(near == group)
        pole = np.sum([corners[k].mean(axis=0) for k in members], axis=0)
        pole /= np.linalg.norm(pole)
        east = np.cross([0.0, 0.0, 1.0] if abs(pole[2]) < 0.9 else [1.0, 0.0, 0.0], pole)
        east /= np.linalg.norm(east)
        axes = np.stack([east, np.cross(pole, east), pole])
        for k in (int(member) for member in members):
            px, py, pz = axes @ corners[k].T
            cx, cy = np.empty((0, 0)), np.empty((0, 0))
            own = blocks[k]
            if own is not None:
                centres = _block_centres(chips[k], own) @ axes.T
                cx, cy = (np.ascontiguousarray(centres[..., m] / centres[..., 2]) for m in (0, 1))
            outlines[k] = _Outline(px / pz, py / pz, cx, cy)
    return outlines, near


def find_overlaps(
    chips: Sequence[Chip],
    owner: np.ndarray,
    factor: np.ndarray,
    blocks: Sequence[Blocks | None],
    clipping: tuple,
    wanted: int,
) -> Overlaps:
    """Measure the sky of all pairs of exposures where they overlap.

    Parameters
    ----------
    chips : sequence of Chip
        All chips of the stack.
    owner : ndarray of int, shape (n_chips,)
        Exposure of each chip.
    factor : ndarray of float64, shape (n_chips,)
        e-/s/arcsec^2 of one electron per pixel.
    blocks : sequence of Blocks or None
        Histograms of each chip; None where it has no usable pixel.
    clipping : tuple
        Arguments of the clipping: rounds, limits in sigma (2), limits in electrons (2), bin width.
    wanted : int
        MEAN, MEDIAN or MODE.

    Returns
    -------
    Overlaps
        Sorted by i, then j.

    Notes
    -----
    ``stsci.skypac.skymatch._calc_sky`` measures the statistic on the pixels inside the intersection
    of two footprints. Here the intersection is made of whole blocks, those whose centres lie inside
    the other chip's footprint, and the statistic comes from the sum of their histograms: the pixels
    are read once, whatever the number of pairs. The median of a different choice of pixels along the
    rim differs by a small fraction of its own error.
    """
    outlines, near = _outlines(chips, blocks)
    low = np.array([(o.x.min(), o.y.min()) for o in outlines])
    high = np.array([(o.x.max(), o.y.max()) for o in outlines])
    touching = (near[:, None] == near[None, :]) & (owner[:, None] < owner[None, :])
    for axis in (0, 1):
        touching &= low[:, None, axis] <= high[None, :, axis]
        touching &= low[None, :, axis] <= high[:, None, axis]
    edges = [bin_edges(b.centre, b.width) if b is not None else None for b in blocks]
    merged = np.empty(N_BINS, np.int32)
    nclip, lower_sigma, upper_sigma, lower, upper, binwidth = clipping

    def sky_of(a: int, inside: int) -> tuple[float, int]:
        """Sky of chip `a` inside the footprint of another: e-/s/arcsec^2, and pixels."""
        b = blocks[a]
        if b is None:
            return 0.0, 0
        other, own = outlines[inside], outlines[a]
        overlap_histogram(b.counts, own.centre_x, own.centre_y, other.x, other.y, merged)
        stats = histogram_statistics(
            merged, edges[a], nclip, lower_sigma, upper_sigma, lower, upper, binwidth, wanted
        )
        if stats.n == 0:
            return 0.0, 0
        value = stats.mean if wanted == MEAN else stats.median if wanted == MEDIAN else stats.mode
        return value * factor[a], stats.n

    rows = []
    pairs = sorted((int(owner[a]), int(owner[b]), int(a), int(b)) for a, b in np.argwhere(touching))
    for (i, j), members in itertools.groupby(pairs, key=lambda pair: pair[:2]):
        total = np.zeros(4)
        for _, _, a, b in members:
            sky_a, n_a = sky_of(a, b)
            sky_b, n_b = sky_of(b, a)
            total += (sky_a * n_a, sky_b * n_b, n_a, n_b)
        if total[2] > 0 and total[3] > 0:
            rows.append((i, j, total[0] / total[2], total[1] / total[3], total[2], total[3]))
    columns = np.array(rows, np.float64).reshape(-1, 6).T
    return Overlaps(columns[0].astype(int), columns[1].astype(int), *columns[2:])


def match_offsets(overlaps: Overlaps, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of brightness that make exposures agree in their overlaps.

    Parameters
    ----------
    overlaps : Overlaps
    n : int
        Exposures.

    Returns
    -------
    offsets : ndarray of float64, shape (n,)
        To be subtracted, e-/s/arcsec^2; the lowest of each group is 0; 0 without overlaps.
    groups : ndarray of int, shape (n,)
        Number of the group of overlapping exposures; -1 for an exposure without overlaps.

    Notes
    -----
    Least squares over pairs of ``w * ((sky_i - d_i) - (sky_j - d_j))``, w the mean number of pixels
    of the two (``skymatch._find_optimum_sky_deltas``; there by the pseudo-inverse of the equations,
    here by the n normal equations, which are as many as the exposures and not as their pairs).
    """
    o = overlaps
    offsets = np.zeros(n)
    groups = np.full(n, -1)
    if len(o.i) == 0:
        return offsets, groups
    weight = 0.5 * (o.n_i + o.n_j)
    weight = (weight / weight.max()) ** 2
    laplacian = np.zeros((n, n))
    np.add.at(laplacian, (o.i, o.j), -weight)
    np.add.at(laplacian, (o.j, o.i), -weight)
    laplacian[np.diag_indices(n)] = -laplacian.sum(axis=1)
    right = np.zeros(n)
    np.add.at(right, o.i, weight * (o.sky_i - o.sky_j))
    np.add.at(right, o.j, -weight * (o.sky_i - o.sky_j))
    joined = np.zeros((n, n), bool)
    joined[o.i, o.j] = joined[o.j, o.i] = True
    component = components(joined)
    number = 0
    for label in range(component.max() + 1):
        members = np.flatnonzero(component == label)
        if len(members) < 2:
            continue
        block = laplacian[np.ix_(members, members)]
        # The mean of a group is free: adding 1 to every element sets it to 0.
        scale = block.max()
        solved = np.linalg.solve(block + scale, right[members])
        offsets[members] = solved - solved.min()
        groups[members] = number
        number += 1
    return offsets, groups

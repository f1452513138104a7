"""Neighbours within a radius among sources in a plane: sources hashed into cells, no tree.

A few thousand sources and a radius of a pixel or two: cells of about one source each answer as fast as
a k-d tree, without the tenth of a second that importing scipy's takes, and of two neighbours at the same
distance always with the same one.
"""

from typing import NamedTuple

import numpy as np

from drizzlewb.kernels.jit import kernel

__all__ = ["Cells", "cells", "nearest", "thin"]


class Cells(NamedTuple):
    """Points in order of square cells.

    Attributes
    ----------
    x, y : ndarray, float64, shape (n,)
        The points, cell after cell (row by row), in their own order inside a cell.
    order : ndarray, int64, shape (n,)
        Where each of them stood before.
    starts : ndarray, int64, shape (nx * ny + 1,)
        First point of each cell.
    nx, ny : int
        Cells along x and y.
    x0, y0, size : float
        Corner of the first cell, and side of all, px.
    """

    x: np.ndarray
    y: np.ndarray
    order: np.ndarray
    starts: np.ndarray
    nx: int
    ny: int
    x0: float
    y0: float
    size: float


@kernel
def _by_cell(x, y, x0, y0, size, nx, ny):
    """Order of points cell after cell, and where each cell starts in it: a counting sort."""
    index = np.empty(x.size, np.int64)
    starts = np.zeros(nx * ny + 1, np.int64)
    for k in range(x.size):
        index[k] = int((y[k] - y0) // size) * nx + int((x[k] - x0) // size)
        starts[index[k] + 1] += 1
    for c in range(nx * ny):
        starts[c + 1] += starts[c]
    order = np.empty(x.size, np.int64)
    place = starts.copy()
    for k in range(x.size):
        order[place[index[k]]] = k
        place[index[k]] += 1
    return order, starts


def cells(points, size):
    """Sort points into cells.

    Parameters
    ----------
    points : ndarray, float64, shape (n, 2)
        Finite; at least one.
    size : float
        Side of a cell, px; larger where there would be more than 2048 along an axis.

    Returns
    -------
    Cells
    """
    return _cells(*np.ascontiguousarray(points.T), size)


def _cells(x, y, size):
    x0, y0 = float(x.min()), float(y.min())
    width, height = float(x.max()) - x0, float(y.max()) - y0
    size = max(float(size), max(width, height) / 2048.0)
    nx, ny = int(width // size) + 1, int(height // size) + 1
    order, starts = _by_cell(x, y, x0, y0, size, nx, ny)
    return Cells(x[order], y[order], order, starts, nx, ny, x0, y0, size)


def _fitting(points, radius):
    """Cells not smaller than the radius, which hold about one point each."""
    x, y = np.ascontiguousarray(points.T)
    return _cells(x, y, max(radius, float(np.sqrt(np.ptp(x) * np.ptp(y) / len(points)))))


@kernel
def _nearest(px, py, x, y, order, starts, nx, ny, x0, y0, size, radius, out):
    """Fill out[k] with the index of the point nearest to (px[k], py[k]) within radius, or -1."""
    for k in range(px.size):
        out[k] = -1
        # Also false for NaN.
        if not (abs(px[k] - x0) < 1e15 and abs(py[k] - y0) < 1e15):
            continue
        best = radius * radius
        ci = int((px[k] - x0) // size)
        cj = int((py[k] - y0) // size)
        for j in range(max(0, cj - 1), min(ny, cj + 2)):
            for i in range(max(0, ci - 1), min(nx, ci + 2)):
                c = j * nx + i
                for m in range(starts[c], starts[c + 1]):
                    dx = px[k] - x[m]
                    dy = py[k] - y[m]
                    distance = dx * dx + dy * dy
                    if distance < best or (distance == best and 0 <= order[m] < out[k]):
                        best = distance
                        out[k] = order[m]


def nearest(points, among, radius):
    """Index of the nearest of some points to each of others.

    Parameters
    ----------
    points : ndarray, float64, shape (n, 2)
        px. Where they lie together, `among` may reach much farther at no cost.
    among : ndarray, float64, shape (m, 2)
        px.
    radius : float
        Only what is closer than this counts, px.

    Returns
    -------
    ndarray, int64, shape (n,)
        Index into `among`, the lower one of two at the same distance; -1 where none is near, or where a
        position is not finite.
    """
    out = np.full(len(points), -1, np.int64)
    # Column by column: numpy reduces along an axis of two many times slower.
    px, py = np.ascontiguousarray(points.T)
    finite = np.isfinite(px) & np.isfinite(py)
    if not finite.any() or not len(among):
        return out
    near = np.ones(len(among), bool)
    with np.errstate(invalid="ignore"):
        for there, here in ((among[:, 0], px[finite]), (among[:, 1], py[finite])):
            near &= (there >= here.min() - radius) & (there <= here.max() + radius)
    at = np.flatnonzero(near)
    if not at.size:
        return out
    _nearest(px, py, *_fitting(among[at], radius), radius, out)
    return np.where(out >= 0, at[out], -1)


@kernel
def _thin(x, y, order, starts, nx, ny, x0, y0, size, radius, best_first, rank, keep):
    """Drop from keep what lies within radius of a kept point of lower rank; both by cell order."""
    for k in best_first:
        if not keep[k]:
            continue
        ci = int((x[k] - x0) // size)
        cj = int((y[k] - y0) // size)
        for j in range(max(0, cj - 1), min(ny, cj + 2)):
            for i in range(max(0, ci - 1), min(nx, ci + 2)):
                c = j * nx + i
                for m in range(starts[c], starts[c + 1]):
                    dx = x[k] - x[m]
                    dy = y[k] - y[m]
                    if rank[m] > rank[k] and dx * dx + dy * dy <= radius * radius:
                        keep[m] = False


def thin(xy, separation, priority=None):
    """Drop, of each pair of sources closer than separation, the one of lower priority.

    Parameters
    ----------
    xy : ndarray, float64, shape (n, 2)
        Finite, px.
    separation : float
        px.
    priority : ndarray, shape (n,), optional
        Larger is kept (a flux); without it the earlier source is kept.

    Returns
    -------
    ndarray, bool, shape (n,)
        True for sources that stay. A source that was dropped drops nobody.
    """
    keep = np.ones(len(xy), bool)
    if len(xy) < 2 or not separation > 0:
        return keep
    best_first = np.arange(len(xy)) if priority is None else np.argsort(-np.asarray(priority), kind="stable")
    rank = np.empty(len(xy), np.int64)
    rank[best_first] = np.arange(len(xy))
    sorted_ = _fitting(xy, separation)
    place = np.empty(len(xy), np.int64)
    place[sorted_.order] = np.arange(len(xy))
    kept = np.ones(len(xy), bool)
    _thin(*sorted_, separation, place[best_first], rank[sorted_.order], kept)
    keep[sorted_.order] = kept
    return keep

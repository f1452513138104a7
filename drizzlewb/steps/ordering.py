"""How much exposures overlap, and the order of alignment that follows."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from drizzlewb import distortion
from drizzlewb.exposure import Exposure
from drizzlewb.exposure.drawn import in_polygon

__all__ = ["by_overlap", "overlaps"]

SAMPLES = 160


def _coverage(exposures: Sequence[Exposure]) -> npt.NDArray[np.bool_]:
    """Which of a grid of points around the exposures lie on each one: shape (n, points)."""
    corners = [[distortion.footprint(c.wcs, c.shape) for c in e.chips] for e in exposures]
    # Points of one tangent plane; the distortion of an outline does not matter for an order.
    centre = exposures[0].chips[0].wcs
    flat = distortion.linear(centre)
    plane = [[np.column_stack(distortion.sky_to_pixel(flat, *c.T)) for c in e] for e in corners]
    every = np.concatenate([c for e in plane for c in e])
    every = every[np.isfinite(every).all(1)]
    low, high = every.min(0), every.max(0)
    gx, gy = np.meshgrid(np.linspace(low[0], high[0], SAMPLES), np.linspace(low[1], high[1], SAMPLES))
    covered = np.zeros((len(exposures), SAMPLES * SAMPLES), bool)
    for row, chips in zip(covered, plane, strict=True):
        for c in chips:
            row |= in_polygon(gx.ravel(), gy.ravel(), c)
    return covered


def overlaps(exposures: Sequence[Exposure]) -> npt.NDArray[np.float64]:
    """Common area of each pair of exposures.

    Parameters
    ----------
    exposures : sequence of Exposure

    Returns
    -------
    ndarray, float64, shape (n, n)
        As a fraction of the area of the first of the pair; 1 on the diagonal. Sampled on a grid of 160
        points a side over all exposures.
    """
    covered = _coverage(exposures).astype(np.float64)
    shared = covered @ covered.T
    return shared / np.maximum(np.diag(shared), 1.0)[:, None]


def by_overlap(exposures: Sequence[Exposure], base: Exposure, rest: Sequence[int], grow: bool) -> list[int]:
    """Order in which each next exposure is the one with the most area in common with the reference.

    Parameters
    ----------
    exposures : sequence of Exposure
    base : Exposure
        The reference, one of them or not.
    rest : sequence of int
        Which exposures to order.
    grow : bool
        The reference grows by each exposure that was taken.

    Returns
    -------
    list of int
        Ties keep the given order.
    """
    rows = _coverage([base, *exposures])
    known = rows[0].copy()
    left, order = list(rest), []
    while left:
        best = max(left, key=lambda k: (int((known & rows[k + 1]).sum()), -k))
        order.append(best)
        left.remove(best)
        if grow:
            known |= rows[best + 1]
    return order

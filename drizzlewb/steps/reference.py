"""The list that exposures are aligned to: it starts with one image or catalog and may grow."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drizzlewb.grid import OutputGrid
from drizzlewb.kernels.neighbours import nearest
from drizzlewb.steps.fit import LinearFit
from drizzlewb.steps.sources import Sources

__all__ = ["ReferenceList", "looks_like_stars"]

Array = npt.NDArray[np.float64]


def looks_like_stars(sources: Sources) -> npt.NDArray[np.bool_]:
    """Sources that fit a star about as well as half of the sources do, and are no single hot pixels.

    Cosmic rays fit several times worse; a catalog's sources count as stars.
    """
    if not np.isfinite(sources.misfit).any():
        return np.ones(len(sources), bool)
    typical = np.nanpercentile(sources.misfit, 25)
    return (sources.misfit < 3.0 * typical) & (sources.sharp < 1.0) & (sources.sharp > 0.2)


@dataclass(frozen=True, eq=False)
class ReferenceList:
    """Reference sources in the tangent plane.

    Attributes
    ----------
    name : str
        Image or catalog that it started with.
    xy : ndarray, float64, shape (n, 2)
        Zero-based px of the plane.
    mag : ndarray, float64, shape (n,)
        NaN where unknown.
    filters : ndarray of str, shape (n,)
        Filter of each magnitude; '' for catalogs.
    starlike : ndarray, bool, shape (n,)
        What looks like a star.
    plane : OutputGrid
    """

    name: str
    xy: Array
    mag: Array
    filters: npt.NDArray[np.str_]
    starlike: npt.NDArray[np.bool_]
    plane: OutputGrid

    def __len__(self) -> int:
        return len(self.xy)

    @classmethod
    def of(cls, sources: Sources, plane: OutputGrid) -> "ReferenceList":
        """Reference list of the sources of an image or catalog; those behind the plane are left out."""
        xy = np.column_stack(plane.sky_to_pixel(sources.ra, sources.dec))
        keep = np.isfinite(xy).all(1)
        filters = np.full(int(keep.sum()), sources.filters)
        return cls(sources.name, xy[keep], sources.mag[keep], filters, looks_like_stars(sources)[keep], plane)

    def grown(self, sources: Sources, plane: OutputGrid, fit: LinearFit, apart: float) -> "ReferenceList":
        """With the sources of an aligned image that are not in it yet: farther than `apart` px from all."""
        xy = fit.correct(np.column_stack(plane.sky_to_pixel(sources.ra, sources.dec)))
        finite = np.isfinite(xy).all(1)
        new = np.zeros(len(xy), bool)
        new[finite] = nearest(xy[finite], self.xy, apart) < 0
        return ReferenceList(
            self.name,
            np.concatenate([self.xy, xy[new]]),
            np.concatenate([self.mag, sources.mag[new]]),
            np.concatenate([self.filters, np.full(int(new.sum()), sources.filters)]),
            np.concatenate([self.starlike, looks_like_stars(sources)[new]]),
            plane,
        )

    def as_sources(self, name: str) -> Sources:
        """Return the list as sources on the sky, to be aligned in its turn."""
        ra, dec = self.plane.pixel_to_sky(*self.xy.T)
        return Sources.from_sky(name, ra, dec, self.mag)

"""A list of sources, of an exposure or of a catalog, and how it was found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["COLUMNS", "ChipReport", "Sources"]

Array = npt.NDArray[np.float64]

COLUMNS = ("x", "y", "ra", "dec", "flux", "mag", "peak", "height", "sharp", "round1", "round2", "misfit")
_UNITS = {"x": "pix", "y": "pix", "ra": "deg", "dec": "deg", "mag": "mag"}


@dataclass(frozen=True)
class ChipReport:
    """How the sources of one chip were found.

    Attributes
    ----------
    extver : int
        SCI extension.
    sigma_measured, sigma_tweakreg : float
        Noise of the sky by clipping, and TweakReg's sqrt(2 |mode|); in the file's unit.
    sigma : float
        The one that was used.
    threshold : float
        Smallest height of a source above its sky, in the file's unit.
    sky : float
        Clipped median, in the file's unit.
    found : int
        Maxima above the threshold.
    dropped : dict
        Reason to number of sources.
    fwhm_px : float
        Median full width at half maximum of the stars, px; NaN if fewer than five could be measured.
    left_out : mapping of str to ndarray, float64, shape (n, 3)
        Reason to x, y (zero-based px of the highest pixel) and peak (file's unit, sky included) of the
        sources that were dropped for it.
    """

    extver: int
    sigma_measured: float
    sigma_tweakreg: float
    sigma: float
    threshold: float
    sky: float
    found: int
    dropped: dict[str, int]
    fwhm_px: float
    left_out: Mapping[str, Array] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, eq=False)
class Sources:
    """A list of sources, of an exposure or of a catalog.

    Attributes
    ----------
    name : str
        Root name of the exposure, or name of the catalog.
    chip : ndarray, int16, shape (n,)
        Index into the exposure's chips; -1 where positions on the sky are all there is.
    x, y : ndarray, float64, shape (n,)
        Zero-based px on the chip; NaN without a chip.
    ra, dec : ndarray, float64, shape (n,)
        Degrees.
    flux : ndarray, float64, shape (n,)
        Above the sky, in the file's unit, summed over the detection kernel's box; of a catalog,
        10**(-0.4 mag) or its flux column; NaN where unknown.
    mag : ndarray, float64, shape (n,)
        -2.5 log10(flux / s); NaN where there is no positive flux.
    peak : ndarray, float64, shape (n,)
        Highest pixel in the kernel's box, sky included, in the file's unit.
    height, sharp, round1, round2, misfit : ndarray, float64, shape (n,)
        Height above the sky of the filtered image (file's unit); DAOFIND's sharpness and roundnesses;
        rms residual of the position fit over the star's height.
    filters : str
        Of the exposure; '' for a catalog.
    reports : tuple of ChipReport
        How they were found; empty for catalogs.
    """

    name: str
    chip: npt.NDArray[np.int16]
    x: Array
    y: Array
    ra: Array
    dec: Array
    flux: Array
    mag: Array
    peak: Array
    height: Array
    sharp: Array
    round1: Array
    round2: Array
    misfit: Array
    filters: str = ""
    reports: tuple[ChipReport, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.ra)

    def take(self, index: npt.ArrayLike) -> "Sources":
        """Return the sources of an index or mask, in its order."""
        which = np.asarray(index)
        which = which if which.size else which.astype(np.int64)
        arrays = {name: getattr(self, name)[which] for name in ("chip", *COLUMNS)}
        return Sources(self.name, filters=self.filters, reports=self.reports, **arrays)

    @property
    def sky(self) -> Array:
        """Positions on the sky, degrees: shape (n, 2)."""
        return np.column_stack([self.ra, self.dec])

    @property
    def fwhm_px(self) -> float:
        """Median width of stars over the chips, px; NaN if unknown."""
        widths = [r.fwhm_px for r in self.reports if np.isfinite(r.fwhm_px)]
        return float(np.median(widths)) if widths else float("nan")

    @property
    def advised_conv_width(self) -> float:
        """conv_width that suits the measured stars: twice their FWHM, to half a pixel; NaN if unknown."""
        return max(2.0, round(4.0 * self.fwhm_px) / 2.0) if np.isfinite(self.fwhm_px) else float("nan")

    @property
    def table(self) -> "Table":
        """All columns, with units."""
        from astropy.table import Table  # late: tables are slow to import

        table = Table({"chip": self.chip, **{name: getattr(self, name) for name in COLUMNS}})
        for name, unit in _UNITS.items():
            table[name].unit = unit
        table.meta["name"] = self.name
        return table

    @classmethod
    def from_sky(
        cls, name: str, ra: Array, dec: Array, mag: Array | None = None, **columns: object
    ) -> "Sources":
        """Sources with positions on the sky and no more than that, all else NaN."""
        n = len(ra)
        nothing = np.full(n, np.nan)
        mags = nothing if mag is None else np.asarray(mag, float)
        arrays: dict = dict.fromkeys(COLUMNS, nothing)
        arrays.update(
            chip=np.full(n, -1, np.int16),
            ra=np.asarray(ra, float),
            dec=np.asarray(dec, float),
            mag=mags,
            flux=10.0 ** (-0.4 * mags),
        )
        arrays.update(columns)
        return cls(name, **arrays)

"""The output plane and the image on it."""

import hashlib
import logging
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from drizzlewb import distortion
from drizzlewb.errors import DataError, ParameterError
from drizzlewb.grid.region import Region
from drizzlewb.kernels.transform import PackedWCS

if TYPE_CHECKING:
    from astropy.io import fits

__all__ = ["OutputGrid", "undistorted"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class OutputGrid:
    """An undistorted tangent plane and the size of the image on it.

    Attributes
    ----------
    wcs : PackedWCS
        Linear TAN.
    shape : (int, int)
        (ny, nx) in pixels.
    radesys : str
        Reference frame named in the header.
    """

    wcs: PackedWCS
    shape: tuple[int, int]
    radesys: str = "ICRS"

    def __post_init__(self):
        ny, nx = (int(n) for n in self.shape)
        if ny < 1 or nx < 1:
            msg = f"An output grid of {ny} x {nx} pixels (y, x) was asked for; it needs at least one."
            raise ParameterError(msg)
        object.__setattr__(self, "shape", (ny, nx))
        object.__setattr__(self, "wcs", distortion.linear(self.wcs))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OutputGrid) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self):
        numbers = np.concatenate([self.wcs.crpix, self.wcs.crval, self.wcs.cd.ravel()])
        return self.shape, self.radesys, numbers.tobytes()

    def digest(self) -> str:
        """SHA-256 of plane and shape, for keys and records."""
        return hashlib.sha256(repr(self._key()).encode()).hexdigest()

    @property
    def scale_arcsec(self) -> float:
        """Pixel size in arcsec: the length of the CD matrix's first column, as DrizzlePac takes it."""
        return math.hypot(self.wcs.cd[0, 0], self.wcs.cd[1, 0]) * 3600.0

    @property
    def orientation_deg(self) -> float:
        """Position angle of the y axis in degrees, east of north (ORIENTAT)."""
        return math.degrees(math.atan2(self.wcs.cd[0, 1], self.wcs.cd[1, 1]))

    @property
    def region(self) -> Region:
        """The whole image."""
        return Region(0, self.shape[0], 0, self.shape[1])

    def pixel_to_sky(self, x, y) -> tuple[NDArray, NDArray]:
        """Right ascension and declination (deg) of zero-based pixels."""
        return distortion.pixel_to_sky(self.wcs, x, y)

    def sky_to_pixel(self, ra, dec) -> tuple[NDArray, NDArray]:
        """Zero-based pixels of sky positions (deg)."""
        return distortion.sky_to_pixel(self.wcs, ra, dec)

    def region_around(self, ra: float, dec: float, size: int | tuple[int, int]) -> Region:
        """Region of `size` pixels (one number, or (ny, nx)) centred on a sky position, cut to the image.

        Raises
        ------
        DataError
            The position or all of the region lies outside the image.
        """
        ny, nx = size if isinstance(size, tuple) else (size, size)
        x, y = (float(v) for v in self.sky_to_pixel(ra, dec))
        if math.isfinite(x) and math.isfinite(y):
            x0, y0 = round(x - 0.5 * (nx - 1)), round(y - 0.5 * (ny - 1))
            region = Region(y0, y0 + int(ny), x0, x0 + int(nx)).clip(self.shape)
            if not region.empty:
                return region
        msg = (
            f"A region of {ny} x {nx} pixels around RA {ra:.6f}, Dec {dec:.6f} deg was asked for, which "
            f"lies outside the output image of {self.shape[0]} x {self.shape[1]} pixels (y, x)."
        )
        raise DataError(msg)

    @property
    def wcs_cards(self) -> list[tuple[str, str | int | float, str]]:
        """Keyword, value and comment of the plane's WCS: CTYPE, CRPIX (one-based), CRVAL, CD, ORIENTAT."""
        wcs = self.wcs
        return [
            ("WCSAXES", 2, ""),
            ("CTYPE1", "RA---TAN", ""),
            ("CTYPE2", "DEC--TAN", ""),
            ("CUNIT1", "deg", ""),
            ("CUNIT2", "deg", ""),
            ("CRPIX1", float(wcs.crpix[0] + 1.0), "x of the reference pixel, one-based"),
            ("CRPIX2", float(wcs.crpix[1] + 1.0), "y of the reference pixel, one-based"),
            ("CRVAL1", float(wcs.crval[0]), "right ascension of the reference pixel (deg)"),
            ("CRVAL2", float(wcs.crval[1]), "declination of the reference pixel (deg)"),
            *((f"CD{i + 1}_{j + 1}", float(wcs.cd[i, j]), "") for i in range(2) for j in range(2)),
            # Spelt out, since the standard's default is 0 where CRVAL2 is exactly 90.
            ("LONPOLE", 180.0, ""),
            ("ORIENTAT", self.orientation_deg, "position angle of the y axis (deg)"),
            ("RADESYS", self.radesys, ""),
        ]

    def to_header(self) -> "fits.Header":
        """FITS header of the plane: NAXISn and `wcs_cards`."""
        from astropy.io import fits  # late: slow to import

        ny, nx = self.shape
        return fits.Header([("NAXIS", 2), ("NAXIS1", nx), ("NAXIS2", ny), *self.wcs_cards])

    @classmethod
    def from_header(cls, header: "fits.Header") -> "OutputGrid":
        """Grid of an image header; of a distorted TAN image, its linear part.

        Raises
        ------
        DataError
            No NAXIS1 and NAXIS2, no celestial WCS, or a projection that is not TAN.
        """
        from astropy.io import fits  # late: slow to import
        from astropy.wcs import WCS

        shape = (header.get("NAXIS2", header.get("NPIX2")), header.get("NAXIS1", header.get("NPIX1")))
        if None in shape:
            msg = "Reading an output grid: the header has no NAXIS1 and NAXIS2; give an image's header."
            raise DataError(msg)
        # The linear part alone: a header does not bring the tables that its other cards may name.
        linear = fits.Header()
        for card in header.cards:
            if re.fullmatch(r"(CTYPE|CUNIT|CRPIX|CRVAL|CDELT|LONPOLE|LATPOLE|PV|PC|CD)[0-9_]*", card.keyword):
                linear[card.keyword] = card.value
        packed = distortion.pack(WCS(linear), shape)
        radesys = str(header.get("RADESYS", header.get("RADECSYS", "ICRS")))
        return cls(undistorted(packed, "the header"), shape, radesys)


def undistorted(packed: PackedWCS, what: str) -> PackedWCS:
    """Return the linear part of a reference WCS; `what` names it in the warning and the DataError."""
    if packed.grid_x.size:
        msg = (
            f"Making an output grid: the projection of {what} is not TAN; output planes are tangent "
            "planes. Resample it to TAN, or set the grid by ra, dec, scale, rot and size."
        )
        raise DataError(msg)
    if packed.sip_a.shape[0] > 1 or packed.npol_x.size or packed.d2im_x.size or packed.d2im_y.size:
        log.warning("The distortion of %s is left aside: its linear part gives the output plane", what)
    return distortion.linear(packed)

"""Output planes, rectangles of them, and which chip pixels lie beneath a rectangle."""

import hashlib
import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from drizzlewb import distortion
from drizzlewb.errors import DataError, ParameterError
from drizzlewb.kernels.transform import PackedWCS, inverse_points, map_points

__all__ = ["OutputGrid", "Region", "chip_box", "grid_region", "output_grid"]

log = logging.getLogger(__name__)

_SIDES = 16  # intervals per side when a rectangle's border is mapped


class Region(NamedTuple):
    """Half-open, zero-based rectangle ``[y0:y1, x0:x1]`` of an array."""

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx); zero where empty."""
        return max(self.y1 - self.y0, 0), max(self.x1 - self.x0, 0)

    @property
    def empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.y1 <= self.y0 or self.x1 <= self.x0

    def grow(self, n: int) -> "Region":
        """Return it with n pixels more on every side."""
        return Region(self.y0 - n, self.y1 + n, self.x0 - n, self.x1 + n)

    def intersect(self, other: "Region") -> "Region":
        """Return the pixels in both; ``Region(0, 0, 0, 0)`` if there are none."""
        both = Region(
            max(self.y0, other[0]), min(self.y1, other[1]), max(self.x0, other[2]), min(self.x1, other[3])
        )
        return Region(0, 0, 0, 0) if both.empty else both

    def clip(self, shape: tuple[int, int]) -> "Region":
        """Return the part inside an array of that shape (ny, nx); ``Region(0, 0, 0, 0)`` if none."""
        return self.intersect(Region(0, int(shape[0]), 0, int(shape[1])))

    def slices(self, origin: tuple[int, int] = (0, 0)) -> tuple[slice, slice]:
        """Slices of an array whose first pixel is `origin` = (y0, x0)."""
        oy, ox = origin
        return slice(self.y0 - oy, self.y1 - oy), slice(self.x0 - ox, self.x1 - ox)


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

    def to_header(self) -> fits.Header:
        """FITS header of the plane: NAXISn, CTYPE, CRPIX (one-based), CRVAL, CD, ORIENTAT, RADESYS."""
        header = fits.Header()
        header["NAXIS"] = 2
        header["NAXIS1"] = self.shape[1]
        header["NAXIS2"] = self.shape[0]
        header["WCSAXES"] = 2
        header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
        header["CUNIT1"] = header["CUNIT2"] = "deg"
        header["CRPIX1"] = (float(self.wcs.crpix[0] + 1.0), "x of the reference pixel, one-based")
        header["CRPIX2"] = (float(self.wcs.crpix[1] + 1.0), "y of the reference pixel, one-based")
        header["CRVAL1"] = (float(self.wcs.crval[0]), "right ascension of the reference pixel (deg)")
        header["CRVAL2"] = (float(self.wcs.crval[1]), "declination of the reference pixel (deg)")
        for i in range(2):
            for j in range(2):
                header[f"CD{i + 1}_{j + 1}"] = float(self.wcs.cd[i, j])
        # Spelt out, since the standard's default is 0 where CRVAL2 is exactly 90.
        header["LONPOLE"] = 180.0
        header["ORIENTAT"] = (self.orientation_deg, "position angle of the y axis (deg)")
        header["RADESYS"] = self.radesys
        return header

    @classmethod
    def from_header(cls, header: fits.Header) -> "OutputGrid":
        """Grid of an image header; of a distorted TAN image, its linear part.

        Raises
        ------
        DataError
            No NAXIS1 and NAXIS2, no celestial WCS, or a projection that is not TAN.
        """
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
        return cls(_undistorted(packed, "the header"), shape, radesys)


class _HasWCS(Protocol):
    wcs: PackedWCS
    shape: tuple[int, int]


def output_grid(
    chips: Sequence[_HasWCS],
    *,
    wcs: bool = True,
    rot: float | None = None,
    scale: float | None = None,
    ra: float | None = None,
    dec: float | None = None,
    outnx: float | None = None,
    outny: float | None = None,
    crpix1: float | None = None,
    crpix2: float | None = None,
    refimage: "OutputGrid | tuple[PackedWCS, tuple[int, int]] | None" = None,
    coeffs: bool = True,
    radesys: str = "ICRS",
) -> OutputGrid:
    """Output plane of a set of chips, as DrizzlePac makes it.

    Parameters
    ----------
    chips : sequence of objects with ``wcs`` (PackedWCS) and ``shape`` ((ny, nx))
        The chips in order; the first one gives scale and orientation of the default plane.
    wcs : bool
        False: the default plane, whatever the other parameters say (``final_wcs``,
        ``driz_sep_wcs``).
    rot : float, optional
        Position angle of the y axis in degrees.
    scale : float, optional
        Pixel size in arcsec.
    ra, dec : float, optional
        Sky position (deg) of the reference pixel.
    outnx, outny : float, optional
        Size in pixels.
    crpix1, crpix2 : float, optional
        One-based reference pixel.
    refimage : OutputGrid or (PackedWCS, (ny, nx)), optional
        Plane to start from instead of the default one; of a distorted image, its linear part.
    coeffs : bool
        False: leave the distortion of the chips aside.
    radesys : str
        Reference frame to name in headers; a reference grid's own one goes first.

    Returns
    -------
    OutputGrid

    Raises
    ------
    DataError
        No chips; chips on separate parts of the sky; no chip on the grid; a reference image whose
        projection is not TAN.
    ParameterError
        One of a pair (ra, dec), (outnx, outny), (crpix1, crpix2) without the other, or a value out of
        range.

    Notes
    -----
    Definitions: stwcs 1.7.7 ``distortion.utils.output_wcs``, drizzlepac 3.11.0
    ``wcs_functions.make_outputwcs`` (with its perfectly square CD matrix) and ``mergeWCS``. Like
    there, the default size follows from the centres of the chips' corner pixels, and CRPIX stays
    where it was when only outnx, outny are given beside a rotation.
    """
    chips = list(chips)
    if not chips:
        msg = "Making an output grid: there are no exposures; give at least one."
        raise DataError(msg)
    if wcs:
        _check_pairs(ra=ra, dec=dec, outnx=outnx, outny=outny, crpix1=crpix1, crpix2=crpix2)
        _check_ranges(rot, scale, ra, dec, outnx, outny)
    if wcs and refimage is not None:
        start, radesys = _reference(refimage, radesys)
        scale_now = start.scale_arcsec
    else:
        start, scale_now = _default_grid(chips, coeffs, radesys)
        _check_together(chips, start)
    if not wcs:
        return start
    crval = None if ra is None else (float(ra) % 360.0, float(dec))  # type: ignore[arg-type]
    crpix = None if crpix1 is None else (float(crpix1), float(crpix2))  # type: ignore[arg-type]
    size = None if outnx is None else (_round(outnx), _round(outny))  # type: ignore[arg-type]
    grid = _merge(start, scale_now, rot, scale, crval, size, crpix)
    if all(chip_box(chip.wcs, chip.shape, grid.wcs, grid.region, 1.0).empty for chip in chips):
        msg = (
            f"Making an output grid: none of the {len(chips)} chips falls on the plane of "
            f"{grid.shape[0]} x {grid.shape[1]} pixels (y, x) around RA {grid.wcs.crval[0]:.6f}, "
            f"Dec {grid.wcs.crval[1]:.6f} deg. Check the reference image, ra, dec, crpix1 and crpix2."
        )
        raise DataError(msg)
    return grid


def chip_box(
    chip_wcs: PackedWCS,
    chip_shape: tuple[int, int],
    grid_wcs: PackedWCS,
    region: Region,
    margin: float = 0.0,
) -> Region:
    """Bounding box of the chip's pixels that can touch a region of the output plane.

    Parameters
    ----------
    chip_wcs : PackedWCS
    chip_shape : (int, int)
        (ny, nx).
    grid_wcs : PackedWCS
        Linear TAN.
    region : Region
        Output pixels.
    margin : float
        Chip pixels to add on every side: the reach of a drop or an interpolant beyond its own pixel.

    Returns
    -------
    Region
        Inside the chip; ``Region(0, 0, 0, 0)`` if no pixel can touch.

    Notes
    -----
    The border of the region is mapped back at 64 points; the curves between them may bow by an eighth
    of the second difference between points: the whole of it, and half a pixel, are added.
    """
    if region.empty:
        return Region(0, 0, 0, 0)
    ny, nx = chip_shape
    h = distortion.homography(chip_wcs, grid_wcs)
    reach = margin + 1.0
    bx0, bx1, by0, by1, bow = _border_bounds(
        map_points, chip_wcs, h, -0.5 - reach, nx - 0.5 + reach, -0.5 - reach, ny - 0.5 + reach
    )
    if bow == math.inf:  # the chip is behind the tangent plane
        return Region(0, 0, 0, 0)
    whole = Region(0, ny, 0, nx)
    x0, x1, y0, y1 = region.x0 - 0.5, region.x1 - 0.5, region.y0 - 0.5, region.y1 - 0.5
    if math.isfinite(bow):
        # What lies outside the chip's own bounds cannot touch it, and need not be mapped back.
        x0, x1 = max(x0, bx0 - bow - 0.5), min(x1, bx1 + bow + 0.5)
        y0, y1 = max(y0, by0 - bow - 0.5), min(y1, by1 + bow + 0.5)
        if x0 >= x1 or y0 >= y1:
            return Region(0, 0, 0, 0)
    px0, px1, py0, py1, bow = _border_bounds(inverse_points, chip_wcs, h, x0, x1, y0, y1)
    if not math.isfinite(bow):
        # The border leaves the sky on which the chip's map can be inverted: take all of the chip.
        return whole
    slack = margin + bow + 0.5
    box = Region(
        math.floor(py0 - slack + 0.5),
        math.floor(py1 + slack + 0.5) + 1,
        math.floor(px0 - slack + 0.5),
        math.floor(px1 + slack + 0.5) + 1,
    )
    return box.intersect(whole)


def grid_region(
    chip_wcs: PackedWCS,
    chip_shape: tuple[int, int],
    box: Region | None,
    grid: OutputGrid,
    margin: float = 0.0,
) -> Region:
    """Bounding region of the output pixels that a box of the chip's pixels maps into.

    Parameters
    ----------
    chip_wcs : PackedWCS
    chip_shape : (int, int)
        (ny, nx).
    box : Region or None
        Chip pixels; None for the whole chip.
    grid : OutputGrid
    margin : float
        Output pixels to add on every side.

    Returns
    -------
    Region
        Inside the grid; ``Region(0, 0, 0, 0)`` if the box misses it.
    """
    box = Region(0, *chip_shape[:1], 0, chip_shape[1]) if box is None else box
    if box.empty:
        return Region(0, 0, 0, 0)
    h = distortion.homography(chip_wcs, grid.wcs)
    x0, x1, y0, y1, bow = _border_bounds(
        map_points, chip_wcs, h, box.x0 - 0.5, box.x1 - 0.5, box.y0 - 0.5, box.y1 - 0.5
    )
    if bow == math.inf:
        return Region(0, 0, 0, 0)
    if math.isnan(bow):
        # Part of the box lies behind the tangent plane: nothing smaller than the grid is safe.
        return grid.region
    slack = margin + bow + 0.5
    return Region(
        math.floor(y0 - slack + 0.5),
        math.floor(y1 + slack + 0.5) + 1,
        math.floor(x0 - slack + 0.5),
        math.floor(x1 + slack + 0.5) + 1,
    ).clip(grid.shape)


# A unit square's border: four sides of samples (side, sample).
_STEPS = np.linspace(0.0, 1.0, _SIDES + 1)
_SQUARE_X = np.array([_STEPS, _STEPS, 0.0 * _STEPS, 0.0 * _STEPS + 1.0])
_SQUARE_Y = np.array([0.0 * _STEPS, 0.0 * _STEPS + 1.0, _STEPS, _STEPS])


def _border_bounds(transform, wcs, h, x0, x1, y0, y1):
    """Bounds of the image of a rectangle under `map_points` or `inverse_points`, and its bow.

    The map is one-to-one, so that the image of the border bounds the image of the rectangle. The bow
    is the largest second difference between neighbouring samples: between samples the curve leaves
    its chord by at most about an eighth of it. It is NaN if some points are, infinite if all are.
    """
    x = (x0 + (x1 - x0) * _SQUARE_X).ravel()
    y = (y0 + (y1 - y0) * _SQUARE_Y).ravel()
    transform(wcs, h, x, y, x, y)
    mapped = np.stack([x, y])
    if np.isnan(mapped).all():
        return math.nan, math.nan, math.nan, math.nan, math.inf
    sides = mapped.reshape(2, 4, _SIDES + 1)
    bow = np.abs(sides[:, :, 2:] - 2.0 * sides[:, :, 1:-1] + sides[:, :, :-2]).max()
    (low_x, low_y), (high_x, high_y) = mapped.min(axis=1).tolist(), mapped.max(axis=1).tolist()
    return low_x, high_x, low_y, high_y, float(bow)


def _corners(chip, coeffs):
    ny, nx = chip.shape
    x = np.array([0.0, 0.0, nx - 1.0, nx - 1.0])
    y = np.array([0.0, ny - 1.0, ny - 1.0, 0.0])
    packed = chip.wcs if coeffs else distortion.linear(chip.wcs)
    return np.stack(distortion.pixel_to_sky(packed, x, y), axis=1)


def _centre(sky):
    """Direction of the mean of unit vectors (deg)."""
    ra, dec = np.deg2rad(sky).T
    x, y, z = (np.cos(dec) * np.cos(ra)).mean(), (np.cos(dec) * np.sin(ra)).mean(), np.sin(dec).mean()
    return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y)))


def _default_grid(chips, coeffs, radesys):
    """Plane that holds the centres of all corner pixels, and its scale in arcsec."""
    first = chips[0]
    if not coeffs and len(chips) == 1:
        crpix, crval = first.wcs.crpix, first.wcs.crval
        cd, shape = first.wcs.cd, first.shape
    else:
        sky = np.concatenate([_corners(chip, coeffs) for chip in chips])
        cd = distortion.tangent_plane(first.wcs) if coeffs else first.wcs.cd
        plane = distortion.tan_wcs(_centre(sky), (-1.0, -1.0), cd)
        x, y = distortion.sky_to_pixel(plane, sky[:, 0], sky[:, 1])
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            msg = (
                "Making an output grid: the exposures lie more than 90 degrees apart on the sky; "
                "combine one field at a time."
            )
            raise DataError(msg)
        nx, ny = math.ceil(x.max() - x.min()), math.ceil(y.max() - y.min())
        shape = (max(ny, 1), max(nx, 1))
        # CRPIX is the middle of the image; CRVAL moves so that the first corner falls on pixel zero.
        crpix = np.array([nx / 2.0, ny / 2.0])
        centred = plane._replace(crpix=crpix - 1.0)
        x, y = distortion.sky_to_pixel(centred, sky[:, 0], sky[:, 1])
        crval = distortion.pixel_to_sky(centred, crpix[0] + x.min() - 1.0, crpix[1] + y.min() - 1.0)
        crpix = crpix - 1.0
    scale = math.hypot(cd[0, 0], cd[1, 0]) * 3600.0
    angle = math.radians(math.degrees(math.atan2(cd[0, 1], cd[1, 1])))
    sin, cos = math.sin(angle), math.cos(angle)
    square = scale / 3600.0 * np.array([[-cos, sin], [sin, cos]])
    return OutputGrid(distortion.tan_wcs(crval, crpix, square), shape, radesys), scale


def _merge(grid, scale_now, rot, scale, crval, size, crpix):
    """Apply what the user set, in DrizzlePac's order; crpix is one-based, size is (nx, ny)."""
    cd, shape = grid.wcs.cd.copy(), grid.shape
    ratio = None
    if scale is not None and not np.isclose(
        scale, scale_now, rtol=10 * np.finfo(float).eps, atol=100 * np.finfo(float).tiny
    ):
        ratio = scale_now / scale
    turn = None if rot is None else grid.orientation_deg - rot
    turn = None if turn == 0.0 else turn
    old_crpix = grid.wcs.crpix + 1.0
    if size is not None:
        shape = (size[1], size[0])
        if crpix is None:
            crpix = ((size[0] + 1.0) / 2.0, (size[1] + 1.0) / 2.0)
    elif turn is None and ratio is not None:
        shape = tuple(max(1, math.ceil(ratio * n)) for n in grid.shape)
        crpix = tuple(1.0 + ratio * (old_crpix - 1.0)) if crpix is None else crpix
    elif turn is not None:
        ny, nx = grid.shape
        outline = np.array([[0.5, 0.5], [nx + 0.5, 0.5], [0.5, ny + 0.5], [nx + 0.5, ny + 0.5]]) - old_crpix
        outline = (outline * (1.0 if ratio is None else ratio)) @ _rotation(turn)
        low, high = outline.min(axis=0), outline.max(axis=0)
        shape = (max(1, math.ceil(high[1] - low[1])), max(1, math.ceil(high[0] - low[0])))
        crpix = (0.5 - low[0], 0.5 - low[1]) if crpix is None else crpix
    if ratio is not None:
        cd = cd / ratio
    if turn is not None:
        cd = cd @ _rotation(turn)
    crpix = old_crpix if crpix is None else np.array(crpix)
    crval = grid.wcs.crval if crval is None else crval
    return OutputGrid(distortion.tan_wcs(crval, crpix - 1.0, cd), shape, grid.radesys)


def _rotation(angle_deg):
    angle = math.radians(angle_deg)
    return np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


def _round(value: float) -> int:
    """Round half away from zero, as DrizzlePac rounds sizes."""
    return int(math.floor(value + 0.5))


def _undistorted(packed: PackedWCS, what: str) -> PackedWCS:
    if packed.grid_x.size:
        msg = (
            f"Making an output grid: the projection of {what} is not TAN; output planes are tangent "
            "planes. Resample it to TAN, or set the grid by ra, dec, scale, rot and size."
        )
        raise DataError(msg)
    if packed.sip_a.shape[0] > 1 or packed.npol_x.size or packed.d2im_x.size or packed.d2im_y.size:
        log.warning("The distortion of %s is left aside: its linear part gives the output plane", what)
    return distortion.linear(packed)


def _reference(refimage, radesys):
    if isinstance(refimage, OutputGrid):
        return refimage, refimage.radesys
    packed, shape = refimage
    return OutputGrid(_undistorted(packed, "the reference image"), shape, radesys), radesys


def _check_pairs(**values):
    names = list(values)
    for a, b in zip(names[::2], names[1::2], strict=True):
        if (values[a] is None) != (values[b] is None):
            given, lacking = (a, b) if values[b] is None else (b, a)
            msg = f"Output grid: {given} is {values[given]} but {lacking} is not set; give both or neither."
            raise ParameterError(msg)


def _check_ranges(rot, scale, ra, dec, outnx, outny):
    wanted = {
        "scale": (scale, scale is None or 0.0 < scale < math.inf, "a positive number of arcsec"),
        "rot": (rot, rot is None or math.isfinite(rot), "a finite number of degrees"),
        "ra": (ra, ra is None or math.isfinite(ra), "a finite number of degrees"),
        "dec": (dec, dec is None or -90.0 <= dec <= 90.0, "degrees from -90 to 90"),
        "outnx": (outnx, outnx is None or 0.5 <= outnx < math.inf, "at least 1 pixel"),
        "outny": (outny, outny is None or 0.5 <= outny < math.inf, "at least 1 pixel"),
    }
    for name, (value, right, expected) in wanted.items():
        if not right:
            msg = f"Output grid: {name} is {value}; it must be {expected}."
            raise ParameterError(msg)


def _check_together(chips, grid):
    """Refuse chips that form islands: with a quarter of their own size around them they must touch."""
    boxes = []
    for chip in chips:
        x, y = grid.sky_to_pixel(*distortion.footprint(chip.wcs, chip.shape).T)
        dx, dy = 0.25 * np.ptp(x), 0.25 * np.ptp(y)
        boxes.append((x.min() - dx, x.max() + dx, y.min() - dy, y.max() + dy))
    boxes_array = np.array(boxes)
    reached = np.zeros(len(chips), bool)
    front = [0]
    reached[0] = True
    while front:
        a = boxes_array[front.pop()]
        b = boxes_array
        touch = (a[0] <= b[:, 1]) & (b[:, 0] <= a[1]) & (a[2] <= b[:, 3]) & (b[:, 2] <= a[3])
        new = np.flatnonzero(touch & ~reached)
        reached[new] = True
        front += new.tolist()
    if reached.all():
        return
    lost = int(np.flatnonzero(~reached)[0])
    apart = np.hypot(
        boxes_array[lost, :2].mean() - boxes_array[0, :2].mean(),
        boxes_array[lost, 2:].mean() - boxes_array[0, 2:].mean(),
    )
    names = [str(getattr(chips[k], "path", f"chip {k + 1}")) for k in (0, lost)]
    msg = (
        f"Making an output grid: the exposures do not overlap: {names[1]} lies "
        f"{apart * grid.scale_arcsec / 60.0:.2f} arcmin from {names[0]}, with nothing between. Combine "
        "each field by itself, or set a reference image or the size (outnx, outny) of the grid."
    )
    raise DataError(msg)

"""Output planes of a set of exposures, as DrizzlePac makes them."""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from drizzlewb import distortion
from drizzlewb.errors import DataError, ParameterError
from drizzlewb.grid.output import OutputGrid, undistorted
from drizzlewb.grid.placing import chip_box
from drizzlewb.kernels.transform import PackedWCS

__all__ = ["output_grid"]


class _HasWCS(Protocol):
    @property
    def wcs(self) -> PackedWCS: ...

    @property
    def shape(self) -> tuple[int, int]: ...


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


def _reference(refimage, radesys):
    if isinstance(refimage, OutputGrid):
        return refimage, refimage.radesys
    packed, shape = refimage
    return OutputGrid(undistorted(packed, "the reference image"), shape, radesys), radesys


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

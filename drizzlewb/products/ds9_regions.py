"""Regions to and from DS9: footprints, output grids, sources, masks drawn by hand.

Everything is written on the sky, in degrees; so one file serves every exposure and every product.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drizzlewb import distortion
from drizzlewb.errors import DataError
from drizzlewb.exposure import Chip, Drawn, Exposure
from drizzlewb.fileio import replaced_when_whole
from drizzlewb.grid import OutputGrid
from drizzlewb.steps.regions import DS9Region, parse_regions

__all__ = [
    "circle_lines",
    "drawn_from_regions",
    "footprint_lines",
    "grid_lines",
    "mask_lines",
    "mask_outlines",
    "region_text",
    "write_regions",
]

_SIDES = 8
_ROUND = 48
_MOST_LABEL = 60


def region_text(lines: Iterable[str], frame: str = "icrs") -> str:
    """Text of a DS9 region file.

    Parameters
    ----------
    lines : iterable of str
        From the functions below.
    frame : {'icrs', 'fk5'}
        The frame that the coordinates are said to be in. Headers of today are ICRS (RADESYS); FK5 differs
        from it by 0.02 arcsec at most.
    """
    head = ["# Region file format: DS9 version 4.1, written by drizzlewb", "global width=1", frame]
    return "\n".join([*head, *lines]) + "\n"


def write_regions(
    path: str | Path, lines: Iterable[str], frame: str = "icrs", *, replace: bool = False
) -> Path:
    """Write a DS9 region file, whole or not at all.

    Raises
    ------
    DataError
        The file exists and `replace` is False, or it cannot be written.
    """
    path = Path(path).expanduser()
    if path.exists() and not replace:
        msg = f"{path} exists already; give another name, or replace it."
        raise DataError(msg)
    try:
        with replaced_when_whole(path) as part:
            part.write_text(region_text(lines, frame), encoding="utf-8")
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or error}."
        raise DataError(msg) from error
    return path


def footprint_lines(exposures: Iterable[Exposure], colour: str = "cyan") -> list[str]:
    """Outlines of all chips, with distortion: eight points along each side."""
    return [
        _polygon(distortion.footprint(chip.wcs, chip.shape, _SIDES), colour, f"{e.rootname} chip {chip.chip}")
        for e in exposures
        for chip in e.chips
    ]


def grid_lines(grid: OutputGrid, name: str = "output grid", colour: str = "white") -> list[str]:
    """Outline of an output image."""
    return [_polygon(distortion.footprint(grid.wcs, grid.shape), colour, name)]


def circle_lines(
    ra: ArrayLike, dec: ArrayLike, radius_arcsec: float = 0.3, colour: str = "green"
) -> list[str]:
    """Circles around sources at RA and Dec (degrees)."""
    ra, dec = np.broadcast_arrays(np.asarray(ra, float), np.asarray(dec, float))
    return [
        f'circle({a:.9f},{d:.9f},{radius_arcsec:.4f}") # color={colour}'
        for a, d in zip(ra.ravel(), dec.ravel(), strict=True)
    ]


def mask_lines(masks: Iterable[Drawn], exposures: Sequence[Exposure], colour: str = "red") -> list[str]:
    """Masks drawn by hand as polygons on the sky; circles on the sky stay circles.

    Raises
    ------
    DataError
        The exposure of a mask is not among `exposures`.
    """
    lines = []
    for mask in masks:
        label = f"mask {mask.exposure}"
        if mask.shape == "circle" and mask.frame == "sky":
            (ra, dec), radius = mask.points[0], mask.size
            lines.append(f'circle({ra:.9f},{dec:.9f},{radius:.4f}") # color={colour} {_text(label)}')
        else:
            lines += [_polygon(path, colour, label) for path in mask_outlines(mask, exposures)]
    return lines


def mask_outlines(mask: Drawn, exposures: Sequence[Exposure]) -> list[NDArray[np.float64]]:
    """Outlines of a mask on the sky, each of shape (n, 2) in degrees: one, or one for each piece of a line.

    Circles become polygons of 48 corners, the round ends of lines of 24. They go through the distortion of
    the chip that the mask is drawn on; those on the sky through that of the first chip.

    Raises
    ------
    DataError
        The exposure of the mask is not among `exposures`.
    """
    chip = _chip_of(mask, exposures)
    corners, size = np.array(mask.points), mask.size
    if mask.frame == "sky":
        if mask.shape == "polygon":
            return [corners]
        corners = np.column_stack(distortion.sky_to_pixel(chip.wcs, *corners.T))
        size /= chip.pixel_scale_arcsec
    if mask.shape == "polygon":
        paths = [corners]
    elif mask.shape == "circle":
        paths = [corners[0] + size * _arc(0.0, 2 * math.pi, _ROUND, closed=False)]
    else:
        paths = [_capsule(a, b, size / 2) for a, b in zip(corners[:-1], corners[1:], strict=True)]
    return [np.column_stack(distortion.pixel_to_sky(chip.wcs, *path.T)) for path in paths]


def drawn_from_regions(
    regions: str | Sequence[DS9Region], exposure: Exposure, extver: int = 0, name: str = "regions"
) -> list[Drawn]:
    """Masks of one exposure from DS9 regions.

    Parameters
    ----------
    regions : str or sequence of DS9Region
        Text of a region file, or what `drizzlewb.steps.regions.read_regions` gave.
    exposure : Exposure
    extver : int
        SCI extension that regions in image coordinates lie on; those on the sky mask all chips.
    name : str
        How messages call the source.

    Raises
    ------
    DataError
        The text cannot be understood; a region takes area away (a minus), which a mask cannot; regions in
        image coordinates and no `extver`; sizes in pixels at a position on the sky; no region at all.
    """
    found = parse_regions(regions, name) if isinstance(regions, str) else list(regions)
    if not found:
        msg = (
            f"'{name}' holds no region that covers an area; draw circles, ellipses, boxes or polygons in DS9."
        )
        raise DataError(msg)
    return [_drawn(region, exposure, extver, name) for region in found]


def _drawn(region: DS9Region, exposure: Exposure, extver: int, name: str) -> Drawn:
    where = f"Region file '{name}', line {region.line}"
    if not region.include:
        msg = f"{where}: an excluded region takes area away, which a mask cannot; leave it out."
        raise DataError(msg)
    if region.pixel_sizes:
        msg = (
            f"{where}: the position is on the sky, the size in pixels; save all in one system, fk5 or image."
        )
        raise DataError(msg)
    image = region.frame == "image"
    if image and extver not in [c.extver for c in exposure.chips]:
        known = ", ".join(str(c.extver) for c in exposure.chips)
        msg = (
            f"{where}: image coordinates need the chip that they are on: extver is {extver}, "
            f"{exposure.rootname} has {known}. Or save the regions as fk5."
        )
        raise DataError(msg)
    centre = np.array(region.numbers[:2])
    if region.shape == "polygon":
        points = np.reshape(region.numbers, (-1, 2))
    elif region.shape == "circle":
        points = centre[None]
    else:
        points = _corners(region, image)
    if image:
        points = points - 1.0  # DS9 counts from 1
    else:
        points = np.column_stack(_icrs(region.frame, points))
    size = 0.0
    if region.shape == "circle":
        size = region.numbers[2] * (1.0 if image else 3600.0)
    return Drawn(
        exposure.rootname,
        "circle" if region.shape == "circle" else "polygon",
        tuple((float(x), float(y)) for x, y in points),
        size,
        "pixel" if image else "sky",
        extver if image else 0,
    )


def _corners(region: DS9Region, image: bool) -> NDArray[np.float64]:
    """Corners of a box, or of an ellipse as a polygon, in the region's own frame."""
    x, y, a, b, angle = region.numbers
    if region.shape == "box":
        outline = np.array([(-a, -b), (a, -b), (a, b), (-a, b)]) / 2
    else:
        outline = _arc(0.0, 2 * math.pi, _ROUND, closed=False) * (a, b)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    dx, dy = np.array([[cos, -sin], [sin, cos]]) @ outline.T
    return _offset(x, y, dx, dy, image)


def _offset(x: float, y: float, dx: Any, dy: Any, image: bool) -> NDArray[np.float64]:
    if image:
        return np.column_stack([x + dx, y + dy])
    # On the sky x of a DS9 shape grows to the west, before the tangent plane is left.
    plane = distortion.tan_wcs((x, y), (0.0, 0.0), np.eye(2))
    return np.column_stack(distortion.pixel_to_sky(plane, -dx, dy))


def _icrs(frame: str, points: NDArray[np.float64]) -> tuple[Any, Any]:
    if frame in ("icrs", "fk5"):  # as drizzlewb.steps.regions reads them
        return points[:, 0], points[:, 1]
    from astropy.coordinates import SkyCoord

    sky = SkyCoord(*points.T, unit="deg", frame=frame).icrs
    return sky.ra.deg, sky.dec.deg


def _chip_of(mask: Drawn, exposures: Sequence[Exposure]) -> Chip:
    for exposure in exposures:
        if exposure.rootname == mask.exposure:
            for chip in exposure.chips:
                if mask.extver in (0, chip.extver):
                    return chip
    msg = f"A mask is drawn on {mask.exposure}, SCI extension {mask.extver}, which is not loaded."
    raise DataError(msg)


def _arc(start: float, end: float, pieces: int, *, closed: bool = True) -> NDArray[np.float64]:
    t = np.linspace(start, end, pieces + 1)[: None if closed else -1]
    return np.column_stack([np.cos(t), np.sin(t)])


def _capsule(a: NDArray[np.float64], b: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Outline of all points within a radius of a segment."""
    along = math.atan2(b[1] - a[1], b[0] - a[0])
    half = math.pi / 2
    ends = [b + radius * _arc(along - half, along + half, _ROUND // 2)]
    ends.append(a + radius * _arc(along + half, along + 3 * half, _ROUND // 2))
    return np.vstack(ends)


def _polygon(sky: NDArray[np.float64], colour: str, label: str) -> str:
    numbers = ",".join(f"{v:.9f}" for v in np.asarray(sky).ravel())
    return f"polygon({numbers}) # color={colour} {_text(label)}"


def _text(label: str) -> str:
    """A label that cannot end its braces, its line, or its region."""
    safe = "".join(c if c.isprintable() and c not in "{}#;" else " " for c in label)
    return f"text={{{safe[:_MOST_LABEL]}}}"

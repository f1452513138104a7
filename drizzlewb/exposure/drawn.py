"""Masks drawn by hand on a chip: polygons, circles and lines, on the sky or on the detector."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drizzlewb import distortion
from drizzlewb.errors import ParameterError
from drizzlewb.kernels.transform import PackedWCS

__all__ = ["DRAWN_FLAG", "Drawn", "covered", "in_polygon"]

DRAWN_FLAG = 16384
"""DQ value of a drawn mask: the bit that DrizzlePac's users set for satellite trails."""

_FEWEST = {"polygon": 3, "circle": 1, "line": 2}
_PIECES = 16  # of a line or side on the sky: distortion bends it by far less than a pixel between them


@dataclass(frozen=True)
class Drawn:
    """A mask drawn by hand on one exposure; it is a value, and part of the record.

    Attributes
    ----------
    exposure : str
        Root name of the exposure.
    shape : str
        'polygon', 'circle' or 'line' (of two or more points, with round ends).
    points : tuple of (float, float)
        Corners, centre, or points of the line: zero-based (x, y) in px, or (ra, dec) in degrees.
    size : float
        Radius of a circle, full width of a line, margin by which a polygon is grown; px, or arcsec on the
        sky.
    frame : str
        'pixel' or 'sky'.
    extver : int
        SCI extension of the chip; 0 for all chips of the exposure, in the frame 'sky'.

    Raises
    ------
    ParameterError
        An unknown shape or frame, too few points, a number that is not finite, no size.
    """

    exposure: str
    shape: str
    points: tuple[tuple[float, float], ...]
    size: float = 0.0
    frame: str = "pixel"
    extver: int = 0

    def __post_init__(self) -> None:
        where = f"The mask drawn on {self.exposure!r}"
        if self.shape not in _FEWEST or self.frame not in ("pixel", "sky"):
            msg = (
                f"{where} is a {self.shape!r} in the frame {self.frame!r}; expected a polygon, circle or "
                "line, in the frame pixel or sky."
            )
            raise ParameterError(msg)
        points = tuple((float(x), float(y)) for x, y in self.points)
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "size", float(self.size))
        fewest = _FEWEST[self.shape]
        if len(points) < fewest or (self.shape == "circle" and len(points) > 1):
            more = "" if fewest == 1 else " or more"
            msg = f"{where} has {len(points)} points; a {self.shape} needs {fewest}{more}."
            raise ParameterError(msg)
        if not all(math.isfinite(v) for point in points for v in (*point, self.size)):
            msg = f"{where} holds a number that is not finite."
            raise ParameterError(msg)
        if self.shape != "polygon" and self.size <= 0:
            what = "radius" if self.shape == "circle" else "width"
            msg = f"{where} has size {self.size:g}; a {self.shape} needs a {what} above 0."
            raise ParameterError(msg)
        if self.size < 0:
            msg = f"{where} has size {self.size:g}; the margin of a polygon is 0 or more."
            raise ParameterError(msg)
        if self.frame == "pixel" and self.extver < 1:
            msg = f"{where} is in pixels and names no chip; give extver, the number of its SCI extension."
            raise ParameterError(msg)

    def to_dict(self) -> dict:
        """Plain JSON values."""
        return {
            "exposure": self.exposure,
            "shape": self.shape,
            "points": [list(point) for point in self.points],
            "size": self.size,
            "frame": self.frame,
            "extver": self.extver,
        }


def covered(
    drawn: Drawn, wcs: PackedWCS, scale_arcsec: float, region: tuple[int, int, int, int]
) -> npt.NDArray[np.bool_]:
    """Which pixels of a box have their centre inside a drawn mask, border included.

    Parameters
    ----------
    drawn : Drawn
    wcs : PackedWCS
        Of the chip; used in the frame 'sky'.
    scale_arcsec : float
        Plate scale of the chip, by which sizes on the sky become pixels.
    region : (y0, y1, x0, x1)
        Half-open, zero-based.

    Returns
    -------
    ndarray of bool, shape (y1 - y0, x1 - x0)
    """
    y0, y1, x0, x1 = region
    inside = np.zeros((y1 - y0, x1 - x0), bool)
    corners = np.array(drawn.points, np.float64)
    size = drawn.size
    if drawn.frame == "sky":
        corners = _on_chip(corners, wcs, closed=drawn.shape == "polygon")
        size /= scale_arcsec
    if not np.isfinite(corners).all():
        return inside  # behind the chip's tangent plane
    half = {"polygon": size, "circle": size, "line": size / 2.0}[drawn.shape]
    low, high = corners.min(axis=0) - half, corners.max(axis=0) + half
    i0, i1 = max(x0, math.floor(low[0])), min(x1, math.ceil(high[0]) + 1)
    j0, j1 = max(y0, math.floor(low[1])), min(y1, math.ceil(high[1]) + 1)
    if i0 >= i1 or j0 >= j1:
        return inside
    x, y = np.arange(i0, i1, dtype=np.float64)[None, :], np.arange(j0, j1, dtype=np.float64)[:, None]
    where = (slice(j0 - y0, j1 - y0), slice(i0 - x0, i1 - x0))
    if drawn.shape == "circle":
        inside[where] = (x - corners[0, 0]) ** 2 + (y - corners[0, 1]) ** 2 <= size**2
    elif drawn.shape == "line":
        for a, b in zip(corners[:-1], corners[1:], strict=True):
            inside[where] |= _distance2(x, y, a, b) <= half**2
    else:
        inside[where] = in_polygon(x, y, corners, border=True)
        for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True) if size > 0 else ():
            inside[where] |= _distance2(x, y, a, b) <= size**2
    return inside


def _on_chip(sky: np.ndarray, wcs: PackedWCS, *, closed: bool) -> np.ndarray:
    """Chip pixels along the great circles between points on the sky (deg)."""
    ends = np.vstack([sky, sky[:1]]) if closed else sky
    lon, lat = np.radians(ends).T
    unit = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    steps = np.linspace(0.0, 1.0, _PIECES, endpoint=False)[:, None]
    path = [a + steps * (b - a) for a, b in zip(unit[:-1], unit[1:], strict=True)]
    if not closed:
        path.append(unit[-1:])
    vector = np.vstack(path)
    ra = np.degrees(np.arctan2(vector[:, 1], vector[:, 0])) % 360.0
    dec = np.degrees(np.arctan2(vector[:, 2], np.hypot(vector[:, 0], vector[:, 1])))
    return np.column_stack(distortion.sky_to_pixel(wcs, ra, dec))


def _distance2(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distance of points from a segment, px²."""
    along = b - a
    length2 = float(along @ along)
    t = ((x - a[0]) * along[0] + (y - a[1]) * along[1]) / length2 if length2 > 0 else 0.0 * (x + y)
    t = np.clip(t, 0.0, 1.0)
    return (x - a[0] - t * along[0]) ** 2 + (y - a[1] - t * along[1]) ** 2


def in_polygon(x: np.ndarray, y: np.ndarray, corners: np.ndarray, *, border: bool = False) -> np.ndarray:
    """Which points lie in a polygon with corners (m, 2): even-odd rule.

    With `border` all points on a side are inside; else those on lower and left sides may be, as in a
    tiling of the plane, so that the area is right.
    """
    inside = np.zeros(np.broadcast(x, y).shape, bool)
    on_side = np.zeros_like(inside)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        cross = (bx - ax) * (y - ay) - (by - ay) * (x - ax)  # > 0 left of the side
        upward, downward = (ay <= y) & (y < by), (by <= y) & (y < ay)
        inside ^= (upward & (cross > 0)) | (downward & (cross < 0))
        between = (x - ax) * (x - bx) + (y - ay) * (y - by) <= 0
        on_side |= (cross == 0) & between
    return inside | on_side if border else inside

"""DS9 region files: where sources may be found, and where not.

The order of the regions matters, as in DS9 and in DrizzlePac: each one adds its area, each one with a
leading minus takes its area away from what the regions before it have added. A file that only excludes
starts from the whole image.
"""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drizzlewb.errors import DataError
from drizzlewb.exposure.drawn import in_polygon

__all__ = [
    "DS9Region",
    "parse_angle",
    "parse_regions",
    "read_image_list",
    "read_regions",
    "selected",
]

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float64]
SkyToPixel = Callable[[Array, Array], tuple[Array, Array]]

_IMAGE_FRAMES = ("image", "physical")
_SKY_FRAMES = {
    "fk5": "fk5",
    "j2000": "fk5",
    "icrs": "icrs",
    "fk4": "fk4",
    "b1950": "fk4",
    "galactic": "galactic",
}
_OTHER_FRAMES = ("linear", "amplifier", "detector", "ecliptic", "wcs")
# How many numbers each shape takes; a polygon takes any even number from six.
_SHAPES = {"circle": 3, "ellipse": 5, "box": 5, "polygon": 0}
# Marks that cover no area.
_MARKS = ("text", "point", "line", "vector", "ruler", "compass", "projection", "segment")
_SIZE_UNITS = {'"': 1 / 3600, "'": 1 / 60, "d": 1.0, "r": 180 / np.pi, "": 1.0}


@dataclass(frozen=True)
class DS9Region:
    """One area of a region file.

    Attributes
    ----------
    shape : str
        'circle', 'ellipse', 'box' or 'polygon'.
    frame : str
        'image' or the name of an astropy frame.
    numbers : tuple of float
        Image: one-based px and degrees as in the file. Sky: degrees throughout. Circle x, y, r; ellipse
        x, y, semi-axes, angle; box x, y, full widths, angle; polygon x1, y1, x2, y2, …
    include : bool
        False where the area is taken away.
    line : int
        Where it stands in the file, from 1.
    pixel_sizes : bool
        Sky position, but sizes in px.
    """

    shape: str
    frame: str
    numbers: tuple[float, ...]
    include: bool = True
    line: int = 0
    pixel_sizes: bool = False

    def contains(
        self, x: npt.ArrayLike, y: npt.ArrayLike, sky_to_pixel: SkyToPixel | None = None
    ) -> np.ndarray:
        """Which points lie inside, border included.

        Parameters
        ----------
        x, y : array_like, float64
            Zero-based px.
        sky_to_pixel : callable, optional
            (ra, dec) in degrees, ICRS, to zero-based (x, y); needed for sky regions.

        Returns
        -------
        ndarray, bool

        Raises
        ------
        DataError
            For a sky region when no WCS is given.
        """
        x, y = np.asarray(x, float), np.asarray(y, float)
        if self.frame == "image":
            if self.shape == "polygon":
                corners = np.reshape(self.numbers, (-1, 2)) - 1.0
                return in_polygon(x, y, corners)
            return self._in_shape(x - (self.numbers[0] - 1.0), y - (self.numbers[1] - 1.0), self.numbers[2:])
        if sky_to_pixel is None:
            msg = f"Region in line {self.line} is in {self.frame} coordinates, but the image has no WCS."
            raise DataError(msg)
        if self.shape == "polygon":
            corners = np.reshape(self.numbers, (-1, 2))
            ra, dec = _to_icrs(self.frame, *corners.T)
            return in_polygon(x, y, np.column_stack(sky_to_pixel(ra, dec)))
        # A round or rectangular region is small: about its centre the sky is a linear map of the pixels.
        lon, lat = self.numbers[:2]
        step = 1e-3
        across = step / np.cos(np.radians(lat))
        ra, dec = _to_icrs(self.frame, np.array([lon, lon + across, lon]), np.array([lat, lat, lat + step]))
        px, py = sky_to_pixel(ra, dec)
        dx, dy = x - px[0], y - py[0]
        if self.pixel_sizes:
            return self._in_shape(dx, dy, self.numbers[2:])
        jacobian = np.array([[px[1] - px[0], px[2] - px[0]], [py[1] - py[0], py[2] - py[0]]]) / step
        inverse = np.linalg.inv(jacobian)
        east = inverse[0, 0] * dx + inverse[0, 1] * dy
        north = inverse[1, 0] * dx + inverse[1, 1] * dy
        # With north up and east to the left, as DS9 counts angles.
        return self._in_shape(-east, north, self.numbers[2:])

    def _in_shape(self, dx: np.ndarray, dy: np.ndarray, sizes: Sequence[float]) -> np.ndarray:
        if self.shape == "circle":
            return np.hypot(dx, dy) <= sizes[0]
        a, b, angle = sizes
        cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        along, across = dx * cos + dy * sin, -dx * sin + dy * cos
        if self.shape == "ellipse":
            return (along / a) ** 2 + (across / b) ** 2 <= 1.0
        return (np.abs(along) <= a / 2) & (np.abs(across) <= b / 2)


def _to_icrs(frame: str, lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # HST's WCS are ICRS; FK5 differs from it by 0.02 arcsec at most and is read as the same.
    if frame in ("icrs", "fk5"):
        return np.asarray(lon, float), np.asarray(lat, float)
    from astropy.coordinates import SkyCoord

    sky = SkyCoord(lon, lat, unit="deg", frame=frame).icrs
    return sky.ra.deg, sky.dec.deg


def selected(
    regions: Sequence[DS9Region], x: npt.ArrayLike, y: npt.ArrayLike, sky_to_pixel: SkyToPixel | None = None
) -> np.ndarray:
    """Which points a list of regions leaves in.

    Parameters
    ----------
    regions : sequence of DS9Region
        In their order in the file; none means that every point stays.
    x, y : array_like, float64
        Zero-based px.
    sky_to_pixel : callable, optional
        As in `DS9Region.contains`.

    Returns
    -------
    ndarray, bool
    """
    shape = np.broadcast(np.asarray(x), np.asarray(y)).shape
    result = np.full(shape, all(not r.include for r in regions))
    for region in regions:
        area = region.contains(x, y, sky_to_pixel)
        result = result | area if region.include else result & ~area
    return result


def read_regions(path: str | Path) -> list[DS9Region]:
    """Read a DS9 region file; see `parse_regions`."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"Region file '{path}' cannot be read ({error}); expected a text file saved by DS9."
        raise DataError(msg) from error
    return parse_regions(text, str(path))


def parse_regions(text: str, name: str = "regions") -> list[DS9Region]:
    """Read DS9 region text.

    Parameters
    ----------
    text : str
        Lines of the form ``[frame;] [+-]shape(numbers) [# properties]``. Frames image, physical, fk5,
        icrs, fk4, galactic; shapes circle, ellipse, box, polygon. Marks that cover no area (point,
        text, line, …) are passed over.
    name : str
        How messages call the source.

    Returns
    -------
    list of DS9Region

    Raises
    ------
    DataError
        With the number of the line that cannot be understood.
    """
    frame = None
    regions: list[DS9Region] = []
    for number, raw in enumerate(text.splitlines(), 1):
        body, _, comment = raw.partition("#")
        for piece in body.split(";"):
            item = piece.strip()
            word = item.lower()
            if not item or word.startswith("global") or _is_properties(item):
                continue
            if word in _IMAGE_FRAMES:
                frame = "image"
            elif word in _SKY_FRAMES:
                frame = _SKY_FRAMES[word]
            elif word in _OTHER_FRAMES:
                _fail(
                    name, number, raw, f"coordinates '{word}' are not supported; save as image, fk5 or icrs"
                )
            else:
                region = _parse_shape(item, frame, name, number, raw, "include=0" in comment.replace(" ", ""))
                if region is not None:
                    regions.append(region)
    return regions


def _is_properties(item: str) -> bool:
    """DS9 wraps its global line: what is left is a list of key=value."""
    return re.fullmatch(r"(\w+=(\"[^\"]*\"|'[^']*'|\{[^}]*\}|[^\s]+)(\s+\d+)*\s*)+", item) is not None


def _fail(name: str, number: int, raw: str, why: str) -> None:
    msg = f"Region file '{name}', line {number}: {why}. The line reads: {raw.strip()[:80]}"
    raise DataError(msg)


def _parse_shape(
    item: str, frame: str | None, name: str, number: int, raw: str, excluded: bool
) -> DS9Region | None:
    match = re.fullmatch(r"([+\-!]?)\s*([A-Za-z]+)\s*[( ]\s*(.*?)\s*\)?", item)
    if match is None:
        _fail(name, number, raw, "expected a shape such as circle(x,y,radius)")
        return None
    sign, shape, inner = match.group(1), match.group(2).lower(), match.group(3)
    if shape in _MARKS:
        log.info("%s, line %d: a %s covers no area and is passed over", name, number, shape)
        return None
    if shape not in _SHAPES:
        _fail(name, number, raw, f"shape '{shape}' is not supported; use {', '.join(_SHAPES)}")
    if "(" in item and not item.rstrip().endswith(")"):
        _fail(name, number, raw, "the closing parenthesis is missing")
    if frame is None:
        _fail(name, number, raw, "no coordinate system (image, fk5, icrs) is given before the first shape")
    words = [w for w in re.split(r"[,\s]+", inner) if w]
    expected = _SHAPES[shape]
    if shape == "polygon":
        if len(words) < 6 or len(words) % 2:
            _fail(
                name,
                number,
                raw,
                f"a polygon needs three or more pairs of numbers, found {len(words)} numbers",
            )
    elif len(words) == expected - 1 and expected == 5:
        words.append("0")
    elif len(words) != expected:
        _fail(name, number, raw, f"{shape} needs {expected} numbers, found {len(words)}")
    try:
        numbers, pixel_sizes = _numbers(shape, str(frame), words)
    except ValueError as error:
        _fail(name, number, raw, str(error))
    if shape != "polygon" and not all(v > 0 for v in numbers[2 : 4 if expected == 5 else 3]):
        _fail(name, number, raw, f"the size of a {shape} must be positive")
    include = sign not in ("-", "!") and not excluded
    return DS9Region(shape, str(frame), numbers, include, number, pixel_sizes)


def _numbers(shape: str, frame: str, words: list[str]) -> tuple[tuple[float, ...], bool]:
    """Numbers of a shape in its frame's unit, and whether sizes on the sky are in px."""
    if frame == "image":
        return tuple(_plain(w.removesuffix("i").removesuffix("p")) for w in words), False
    n_positions = len(words) if shape == "polygon" else 2
    values = [_sky(w, longitude=k % 2 == 0, frame=frame) for k, w in enumerate(words[:n_positions])]
    if shape == "polygon":
        return tuple(values), False
    sizes = words[2:] if shape == "circle" else words[2:4]
    in_pixels = all(s[-1] in "ip" for s in sizes)
    for s in sizes:
        match = re.fullmatch(r"([-+.\deE]+)([\"'drip]?)", s)
        if match is None:
            msg = f"'{s}' is not a size"
            raise ValueError(msg)
        unit = match.group(2)
        if unit in ("i", "p") and not in_pixels:
            msg = "sizes mix pixels and angles"
            raise ValueError(msg)
        values.append(_plain(match.group(1)) * (1.0 if in_pixels else _SIZE_UNITS[unit]))
    if shape != "circle":
        values.append(_plain(words[4].removesuffix("d")))
    return tuple(values), in_pixels


def _plain(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        msg = f"'{word}' is not a number"
        raise ValueError(msg) from None
    if not np.isfinite(value):
        msg = f"'{word}' is not a finite number"
        raise ValueError(msg)
    return value


def parse_angle(word: str) -> float:
    """Degrees from ``12:34:56.7`` (as written), ``12h34m56.7s`` (times 15) or ``12d34m56.7s``.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    match = re.fullmatch(r"([-+]?)(\d+)([:hd])(\d+)[:m']([\d.]+)[s\"]?", word)
    if match is None:
        msg = f"'{word}' is not an angle"
        raise ValueError(msg)
    sign, first, kind, second, third = match.groups()
    value = (float(first) + float(second) / 60 + float(third) / 3600) * (15.0 if kind == "h" else 1.0)
    return -value if sign == "-" else value


def _sky(word: str, longitude: bool, frame: str) -> float:
    """Degrees of a coordinate; a longitude written with colons is in hours, but for galactic ones."""
    try:
        value = parse_angle(word)
    except ValueError:
        return _plain(word.removesuffix("d"))
    return value * 15.0 if longitude and ":" in word and frame != "galactic" else value


def read_image_list(path: str | Path) -> dict[str, list[Path | None]]:
    """Read a file that gives, for each image, one file per chip: ``exclusions`` or ``catfile``.

    Parameters
    ----------
    path : str or Path
        Lines ``image file1 file2 …``; 'None' or a missing name: nothing for that chip. Files are looked
        up beside the list, then in the working folder.

    Returns
    -------
    dict
        Name of the image, without folder, to its files in order of SCI extension.

    Raises
    ------
    DataError
        If the list or one of the files named in it cannot be found.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"The list '{path}' cannot be read ({error}); expected lines 'image file_1 file_2'."
        raise DataError(msg) from error
    result: dict[str, list[Path | None]] = {}
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        files: list[Path | None] = []
        for word in words[1:]:
            if word.upper() in ("NONE", "INDEF"):
                files.append(None)
                continue
            found = next((p for p in (path.parent / word, Path(word)) if p.is_file()), None)
            if found is None:
                msg = f"'{path}', line {number}: file '{word}' for {words[0]} does not exist."
                raise DataError(msg)
            files.append(found)
        result[Path(words[0]).name] = files
    return result

"""What the user says about the sky: values in a file or a header keyword, masks in a catalog."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.exposure import Chip, Exposure
from drizzlewb.parameters import ReduceParameters
from drizzlewb.parameters.cleaning import Sky

__all__ = ["MaskEntry", "SkyValue", "apply_user_mask", "declared_values", "read_mask_catalog", "read_skyfile"]

log = logging.getLogger(__name__)


class SkyValue(NamedTuple):
    """Sky of one chip, electrons per pixel over the exposure.

    Attributes
    ----------
    subtracted_e : float
        What is taken off every pixel now (and added back to the blotted image).
    present_e : float
        What fell on the detector, whoever removed it: it belongs into the noise, once.
    header_e : float
        What MDRIZSKY says; divide by the chip's ``to_electrons``. Differs from `subtracted_e` only
        for a sky that the user had removed before.
    """

    subtracted_e: float
    present_e: float
    header_e: float


class MaskEntry(NamedTuple):
    """One line of a mask catalog: an image, its extensions, and a mask (path, extension) for each."""

    image: str
    extensions: list[int | tuple[str, int | str]]
    masks: list[tuple[str, int | tuple[str, int]] | None]


def _same_file(name: str, path: str, folder: Path) -> bool:
    """Whether a name in a user's file means this input."""
    if Path(name).name != Path(path).name:
        return False
    if Path(name).name == name:
        return True
    return any(place.resolve() == Path(path).resolve() for place in (Path(name), folder / name))


def read_skyfile(path: str | Path) -> tuple[dict[str, list[float]], bool]:
    """Read a file of sky values in DrizzlePac's format.

    Parameters
    ----------
    path : str or Path
        Lines ``file value [value ...]``, in the unit of the file: one value for all its chips or one
        per chip. A comment ``# applied = yes`` says that the sky has been subtracted already.

    Returns
    -------
    values : dict
        File name -> values.
    applied : bool

    Raises
    ------
    ParameterError
        The file cannot be read, or a line not understood.
    """
    try:
        lines = Path(path).read_text().splitlines()
    except OSError as error:
        msg = f"The file of sky values {str(path)!r} cannot be read: {error.strerror}. Check skyfile."
        raise ParameterError(msg) from error
    values: dict[str, list[float]] = {}
    applied = False
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            said = re.search(r"applied\s*[=:]\s*(\w+)", line)
            applied = said.group(1).lower() in ("yes", "true", "y", "t") if said else applied
            continue
        words = line.split()
        if not words:
            continue
        try:
            values[words[0]] = [float(word) for word in words[1:]]
        except ValueError:
            values[words[0]] = []
        if not values[words[0]] or not np.isfinite(values[words[0]]).all():
            msg = (
                f"Line {number} of the file of sky values {str(path)!r} is {line.strip()!r}; expected a file "
                "name and one number, or one for each chip."
            )
            raise ParameterError(msg)
    return values, applied


def declared_values(exposures: Sequence[Exposure], parameters: Sky) -> tuple[str, list[SkyValue]]:
    """Sky that is not measured: from ``skyfile``, from ``skyuser``, or none.

    Parameters
    ----------
    exposures : sequence of Exposure
    parameters : Sky
        ``skysub``, ``skyfile``, ``skyuser``.

    Returns
    -------
    method : str
        'skyfile', 'skyuser' or 'none'.
    values : list of SkyValue
        Per chip. Values of ``skyfile`` are subtracted unless the file says that they were applied. A
        header keyword named by ``skyuser`` holds what the user has subtracted: it is present in the
        noise only. ``skyuser='@file'`` reads such a file and subtracts, as DrizzlePac does. Without
        any of them nothing is subtracted, and the sky is in the pixels themselves.

    Raises
    ------
    ParameterError
        A file or an entry in it is missing; a header has no such keyword.
    """
    user = parameters.skyuser.strip()
    if parameters.skysub or user.startswith("@"):
        path = parameters.skyfile if parameters.skysub else user[1:]
        table, applied = read_skyfile(path)
        applied = applied and parameters.skysub
        values = []
        for exposure in exposures:
            entry = [v for name, v in table.items() if _same_file(name, exposure.path, Path(path).parent)]
            if not entry:
                msg = (
                    f"The file of sky values {path!r} has no line for {Path(exposure.path).name}. Add one "
                    "(with 0 if no sky is to be subtracted)."
                )
                raise ParameterError(msg)
            numbers = entry[-1] if len(entry[-1]) > 1 else entry[-1] * len(exposure.chips)
            if len(numbers) < len(exposure.chips):
                msg = (
                    f"The file of sky values {path!r} has {len(numbers)} values for "
                    f"{Path(exposure.path).name}, which has {len(exposure.chips)} chips. Give one or as many."
                )
                raise ParameterError(msg)
            for chip, number in zip(exposure.chips, numbers, strict=False):
                sky = number * chip.to_electrons
                values.append(SkyValue(0.0 if applied else sky, sky, sky))
        return ("skyfile" if parameters.skysub else "skyuser"), values
    if not user:
        return "none", [SkyValue(0.0, 0.0, 0.0) for exposure in exposures for _ in exposure.chips]
    values = []
    for exposure in exposures:
        for chip in exposure.chips:
            header = chip.header if user in chip.header else exposure.primary
            try:
                sky = float(header[user]) * chip.to_electrons
            except (KeyError, TypeError, ValueError) as error:
                msg = (
                    f"skyuser={user!r}: the header of {Path(chip.path).name}[SCI,{chip.extver}] has no such "
                    "keyword with a number. Name the keyword that holds the sky you have subtracted."
                )
                raise ParameterError(msg) from error
            values.append(SkyValue(0.0, sky, sky))
    return "skyuser", values


_ITEM = re.compile(
    r"""\s*(?:(?P<quote>['"])(?P<quoted>.*?)(?P=quote)|(?P<bare>[^,\[\]{}]*))\s*
        (?:\[(?P<one>[^\]]*)\]|\{(?P<many>[^}]*)\})?\s*(?:,|$)""",
    re.VERBOSE,
)
_EXTENSION = re.compile(r"""\(?\s*(?:(\d+)|['"]?([A-Za-z]\w*)['"]?(?:\s*,\s*(\d+|\*))?)\s*\)?\s*(?:,|$)""")


def _extensions(text: str, wildcard: bool) -> list[int | tuple[str, int | str]]:
    """Extensions in one pair of brackets: numbers or (name, version)."""
    found: list[int | tuple[str, int | str]] = []
    position = 0
    while position < len(text.rstrip()):
        match = _EXTENSION.match(text, position)
        if not match:
            raise ValueError(text)
        number, name, version = match.groups()
        if number is not None:
            found.append(int(number))
        else:
            default = "*" if wildcard else 1
            found.append((name.upper(), version if version == "*" else int(version or 0) or default))
        position = match.end()
    return found


def read_mask_catalog(path: str | Path) -> list[MaskEntry]:
    """Read a catalog of sky masks in DrizzlePac's format.

    Parameters
    ----------
    path : str or Path
        Lines ``image[ext] or image{ext,...}, mask[ext], mask[ext], ...``: one mask per extension
        of the image, in order; an empty place or ``None`` for no mask. Extensions are numbers or
        ``('sci',2)``; a name alone in braces, or ``*``, stands for all versions. Default: all SCI
        extensions, masks from extension 0. ``#`` starts a comment line.

    Returns
    -------
    list of MaskEntry

    Raises
    ------
    ParameterError
        The catalog cannot be read, or a line not understood (the peer skips such lines).
    """
    try:
        lines = Path(path).read_text().splitlines()
    except OSError as error:
        msg = f"The catalog of sky masks {str(path)!r} cannot be read: {error.strerror}. Check skymask_cat."
        raise ParameterError(msg) from error
    entries = []
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        try:
            entries.append(_mask_entry(line))
        except ValueError as error:
            msg = (
                f"Line {number} of the catalog of sky masks {str(path)!r} is {line!r}; expected "
                "'image{ext,...}, mask[ext], ...'."
            )
            raise ParameterError(msg) from error
    return entries


def _mask_entry(line: str) -> MaskEntry:
    items = []
    position = 0
    while position < len(line):
        match = _ITEM.match(line, position)
        if not match or match.end() == position:
            raise ValueError(line)
        name = match["quoted"] if match["quoted"] is not None else (match["bare"] or "").strip()
        none = match["quoted"] is None and name.upper() in ("", "NONE")
        wildcard = match["many"] is not None
        text = match["many"] if wildcard else match["one"]
        items.append((None if none else name, None if text is None else _extensions(text, wildcard)))
        position = match.end()
    image, extensions = items[0]
    if image is None:
        raise ValueError(line)
    masks: list = []
    for name, ext in items[1:]:
        masks += [None] if name is None else [(name, e) for e in (ext or [0])]
    return MaskEntry(image, extensions or [("SCI", "*")], masks)


def apply_user_mask(good: np.ndarray, chip: Chip, parameters: ReduceParameters) -> None:
    """Clear the pixels that the user's sky mask of this chip leaves out.

    Parameters
    ----------
    good : ndarray, shape of the chip, uint8
        Changed in place.
    chip : Chip
    parameters : ReduceParameters
        ``skymask_cat``; without one nothing is done. A mask is an image of the chip's shape, not 0
        where a pixel may be used.

    Raises
    ------
    ParameterError
        The catalog cannot be used.
    DataError
        A mask cannot be read or has another shape.
    """
    catalog = parameters.sky.skymask_cat.strip()
    if not catalog:
        return
    folder = Path(catalog).parent
    for entry in read_mask_catalog(catalog):
        if not _same_file(entry.image, chip.path, folder):
            continue
        place = _place_of(chip, entry.extensions)
        mask_of_chip = entry.masks[place] if place is not None and place < len(entry.masks) else None
        if mask_of_chip is None:
            continue
        name, extension = mask_of_chip
        path = next((p for p in (Path(name), folder / name) if p.is_file()), Path(name))
        try:
            mask = fits.getdata(path, extension)
        except (OSError, KeyError, IndexError, TypeError) as error:
            msg = (
                f"The sky mask {name!r} (extension {extension}) named in {catalog!r} cannot be read: {error}"
            )
            raise DataError(msg) from error
        if np.shape(mask) != good.shape:
            msg = (
                f"The sky mask {name!r} (extension {extension}) has shape {np.shape(mask)}, but "
                f"{Path(chip.path).name}[SCI,{chip.extver}] has {good.shape}."
            )
            raise DataError(msg)
        good[np.asarray(mask) == 0] = 0


def _place_of(chip: Chip, extensions: list) -> int | None:
    """Which of the catalog's extensions is this chip; ``('SCI', '*')`` counts SCI versions from 1."""
    for place, extension in enumerate(extensions):
        if isinstance(extension, tuple):
            name, version = extension
            if name == "SCI" and version == "*":
                return place + chip.extver - 1
            if name == "SCI" and version == chip.extver:
                return place
        else:
            with fits.open(chip.path) as hdus:
                hdu = hdus[extension] if extension < len(hdus) else hdus[0]
                if (hdu.name, hdu.ver) == ("SCI", chip.extver):
                    return place
    return None

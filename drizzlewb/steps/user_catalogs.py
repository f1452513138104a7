"""Catalogs that the user brings: sources of the images, or a reference on the sky.

Text tables (blanks or commas, comments after #), ECSV and FITS tables. A column is chosen by its
number, from 1 as in TweakReg, or by its name, which is read from the last comment line before the
first row, from a first row of words, or from SExtractor's ``# 1 NUMBER …`` lines.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drizzlewb import distortion
from drizzlewb.errors import DataError
from drizzlewb.exposure import Exposure
from drizzlewb.parameters.alignment import Coordinates, Reference
from drizzlewb.steps.regions import parse_angle
from drizzlewb.steps.sources import Sources

__all__ = ["SkyCatalog", "read_columns", "read_reference", "user_sources"]

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float64]
MAS_PER_DEG = 3.6e6


@dataclass(frozen=True, eq=False)
class SkyCatalog:
    """A reference catalog.

    Attributes
    ----------
    name : str
        As recorded with the solution.
    ra, dec : ndarray, float64, shape (n,)
        Degrees, at `epoch`.
    mag : ndarray, float64, shape (n,)
        Magnitudes; NaN where unknown.
    pm_ra, pm_dec : ndarray, float64, shape (n,)
        Proper motion, mas/yr, in right ascension times cos(dec); 0 where unknown.
    epoch : float
        Julian year of the positions; NaN if there are no proper motions.
    """

    name: str
    ra: Array
    dec: Array
    mag: Array
    pm_ra: Array
    pm_dec: Array
    epoch: float = float("nan")

    def __len__(self) -> int:
        return len(self.ra)

    def at(self, year: float) -> Sources:
        """Sources at a Julian year; positions as they are if there are no proper motions."""
        years = year - self.epoch if np.isfinite(self.epoch) and np.isfinite(year) else 0.0
        dec = self.dec + years * self.pm_dec / MAS_PER_DEG
        ra = self.ra + years * self.pm_ra / MAS_PER_DEG / np.cos(np.radians(self.dec))
        return Sources.from_sky(self.name, ra % 360.0, dec, self.mag)


def read_columns(
    path: str | Path, wanted: Sequence[str], hours: str | None = None
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Read columns of a table as numbers.

    Parameters
    ----------
    path : str or Path
        ``.fits``, ``.fit``, ``.ecsv``, ``.vot`` or ``.xml`` as astropy tables, all else as text.
    wanted : sequence of str
        Numbers from 1, or names.
    hours : str, optional
        The one of them that is a right ascension: written with colons it is in hours.

    Returns
    -------
    columns : dict
        The wanted columns, float64; sexagesimal positions become degrees. Rows with NaN in one of them
        are left in.
    extra : dict
        Optional columns by lower-case name, as read: pmra, pmdec, ref_epoch where they exist.

    Raises
    ------
    DataError
        If the file cannot be read, has no rows, lacks a column, or holds text where a number is due;
        with the line.
    """
    path = Path(path)
    if path.suffix.lower() in (".fits", ".fit", ".ecsv", ".vot", ".xml"):
        names, values, lines = _astropy_table(path)
    else:
        names, values, lines = _text_table(path)
    if not values or not len(values[0]):
        msg = f"Catalog '{path}' has no rows."
        raise DataError(msg)
    columns = {}
    for key in wanted:
        position = _position(path, key, names, len(values))
        columns[key] = _as_numbers(path, key, values[position], lines, key == hours)
    lower = [n.lower() for n in names]
    extra: dict[str, Array] = {
        key: _as_numbers(path, key, values[lower.index(key)], lines)
        for key in ("pmra", "pmdec", "ref_epoch")
        if key in lower
    }
    return columns, extra


def _position(path: Path, key: str, names: list[str], count: int) -> int:
    if key in names:
        return names.index(key)
    lower = [n.lower() for n in names]
    if key.lower() in lower:
        return lower.index(key.lower())
    if key.isdigit() and 1 <= int(key) <= count:
        return int(key) - 1
    known = f"; it has {count} columns" + (f": {', '.join(names)}" if names else " without names")
    msg = f"Catalog '{path}' has no column '{key}'{known}."
    raise DataError(msg)


def _as_numbers(
    path: Path, key: str, column: Sequence[Any], lines: Sequence[int], hours: bool = False
) -> Array:
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiu":
        return column.astype(float)
    result = np.empty(len(column))
    for k, word in enumerate(column):
        try:
            result[k] = float(word)
        except ValueError:
            try:
                result[k] = parse_angle(str(word)) * (15.0 if hours and ":" in str(word) else 1.0)
            except ValueError:
                msg = f"Catalog '{path}', line {lines[k]}: column '{key}' holds '{word}', expected a number."
                raise DataError(msg) from None
    return result


def _astropy_table(path: Path) -> tuple[list[str], list[Any], Sequence[int]]:
    from astropy.table import Table  # late: tables are slow to import

    try:
        table = Table.read(path)
    except Exception as error:
        # Readers of all these formats raise what they like.
        msg = f"Catalog '{path}' cannot be read as a table ({error})."
        raise DataError(msg) from error
    columns = []
    for name in table.colnames:
        values = table[name]
        plain = values.filled(np.nan) if hasattr(values, "filled") and values.dtype.kind == "f" else values
        if values.unit is not None and values.unit.physical_type == "angle":
            plain = values.to("deg")
        columns.append(np.asarray(getattr(plain, "value", plain)))
    return list(table.colnames), columns, range(1, len(table) + 1)


def _text_table(path: Path) -> tuple[list[str], list[Any], Sequence[int]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"Catalog '{path}' cannot be read ({error})."
        raise DataError(msg) from error
    comment: list[str] = []
    numbered: dict[int, str] = {}
    rows: list[list[str]] = []
    lines: list[int] = []
    names: list[str] = []
    for number, raw in enumerate(text.splitlines(), 1):
        body, _, after = raw.partition("#")
        words = [w.strip() for w in body.split(",")] if "," in body else body.split()
        if words and any(words):
            if not rows and not names and all(_is_word(w) for w in words):
                names = words
                continue
            if rows and len(words) != len(rows[0]):
                msg = f"Catalog '{path}', line {number}: {len(words)} columns, {len(rows[0])} before."
                raise DataError(msg)
            rows.append(words)
            lines.append(number)
        elif after and not rows:
            comment = after.replace(",", " ").split()
            if len(comment) >= 2 and comment[0].isdigit():
                numbered[int(comment[0]) - 1] = comment[1]
    if not names and rows:
        width = len(rows[0])
        if numbered:
            names = [numbered.get(k, "") for k in range(width)]
        elif len(comment) == width:
            names = comment
    return names, [list(c) for c in zip(*rows, strict=True)], lines


def _is_word(text: str) -> bool:
    """Whether it is a name: neither a number nor an angle."""
    try:
        float(text)
    except ValueError:
        return not text[:1].isdigit() and text[:1] not in "+-."
    return False


def _select(
    path: Path,
    first: Array,
    second: Array,
    flux: Array | None,
    units: str,
    low: float | None,
    high: float | None,
) -> tuple[npt.NDArray[np.int64], Array]:
    """Rows that are finite and within the flux limits, and their magnitudes."""
    keep = np.isfinite(first) & np.isfinite(second)
    lost = int((~keep).sum())
    if lost:
        log.warning("%s: %d of %d rows have no finite position and are left out", path, lost, len(keep))
    if not keep.any():
        msg = f"Catalog '{path}': no row has a finite position."
        raise DataError(msg)
    mag = np.full(len(first), np.nan)
    if flux is not None:
        if low is not None:
            keep &= flux >= low
        if high is not None:
            keep &= flux <= high
        if not keep.any():
            msg = f"Catalog '{path}': no row has a flux between {low} and {high}."
            raise DataError(msg)
        with np.errstate(invalid="ignore", divide="ignore"):
            mag = flux if units == "mag" else -2.5 * np.log10(np.where(flux > 0, flux, np.nan))
    elif low is not None or high is not None:
        log.warning("%s: flux limits have no effect, no flux column is named", path)
    return np.flatnonzero(keep), mag


def _brightest(
    index: npt.NDArray[np.int64], mag: Array, count: int | None, path: Path
) -> npt.NDArray[np.int64]:
    if count is None or count >= len(index):
        return index
    if not np.isfinite(mag[index]).any():
        log.warning("%s: the brightest %d cannot be chosen, no flux column is named", path, count)
        return index
    order = np.argsort(np.nan_to_num(mag[index], nan=np.inf), kind="stable")[:count]
    return np.sort(index[order])


def user_sources(exposure: Exposure, files: Sequence[Path | None], parameters: Coordinates) -> Sources:
    """Sources of an exposure from the user's catalogs (``catfile``), one file per chip.

    Parameters
    ----------
    exposure : Exposure
    files : sequence of Path or None
        In order of chip; None: no sources on that chip.
    parameters : Coordinates
        Columns, units and limits. Pixels are one-based, as DS9 and DrizzlePac count them.

    Returns
    -------
    Sources

    Raises
    ------
    DataError
        For unreadable catalogs, more files than chips, or no usable row.
    """
    if len(files) > len(exposure.chips):
        msg = f"{exposure.rootname} has {len(exposure.chips)} chips; the catfile lists {len(files)} catalogs."
        raise DataError(msg)
    wanted = [parameters.xcol, parameters.ycol, *([parameters.fluxcol] if parameters.fluxcol else [])]
    parts = []
    for k, path in enumerate(files):
        if path is None:
            continue
        columns, _ = read_columns(path, wanted, parameters.xcol if parameters.xyunits == "degrees" else None)
        first, second = columns[parameters.xcol], columns[parameters.ycol]
        flux = columns[parameters.fluxcol] if parameters.fluxcol else None
        index, mag = _select(
            path, first, second, flux, parameters.fluxunits, parameters.minflux, parameters.maxflux
        )
        wcs = exposure.chips[k].wcs
        if parameters.xyunits == "degrees":
            ra, dec = first[index], second[index]
            x, y = distortion.sky_to_pixel(wcs, ra, dec)
        else:
            x, y = first[index] - 1.0, second[index] - 1.0
            ra, dec = distortion.pixel_to_sky(wcs, x, y)
        chip = np.full(len(index), k, np.int16)
        parts.append({"ra": ra, "dec": dec, "x": x, "y": y, "chip": chip, "mag": mag[index]})
    if not parts:
        msg = f"{exposure.rootname}: the catfile names no catalog for any chip."
        raise DataError(msg)
    joined = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    keep = _brightest(
        np.arange(len(joined["ra"])), joined["mag"], parameters.nbright, files[0] or Path("catfile")
    )
    rest = {name: joined[name][keep] for name in ("x", "y", "chip")}
    return Sources.from_sky(
        exposure.rootname,
        joined["ra"][keep],
        joined["dec"][keep],
        joined["mag"][keep],
        filters=exposure.filters,
        **rest,
    )


def read_reference(path: str | Path, parameters: Reference, plane: Any = None) -> SkyCatalog:
    """Read the reference catalog (``refcat``).

    Parameters
    ----------
    path : str or Path
    parameters : Reference
        Columns, units and limits.
    plane : OutputGrid, optional
        Frame of positions in pixels (one-based), if ``refxyunits`` is 'pixels'.

    Returns
    -------
    SkyCatalog
        With proper motions where the catalog has columns pmra and pmdec (mas/yr, Gaia's names) and
        ref_epoch (Julian year).

    Raises
    ------
    DataError
        For an unreadable catalog, no usable row, pixels without a frame, positions that are none, or
        proper motions without their epoch.
    """
    path = Path(path)
    degrees = parameters.refxyunits == "degrees"
    wanted = [parameters.refxcol, parameters.refycol, *([parameters.rfluxcol] if parameters.rfluxcol else [])]
    columns, extra = read_columns(path, wanted, parameters.refxcol if degrees else None)
    first, second = columns[parameters.refxcol], columns[parameters.refycol]
    flux = columns[parameters.rfluxcol] if parameters.rfluxcol else None
    index, mag = _select(
        path, first, second, flux, parameters.rfluxunits, parameters.rminflux, parameters.rmaxflux
    )
    index = _brightest(index, mag, parameters.refnbright, path)
    ra, dec = first[index], second[index]
    if not degrees:
        if plane is None:
            msg = f"Catalog '{path}' is in pixels, which needs a refimage that says of what."
            raise DataError(msg)
        ra, dec = plane.pixel_to_sky(ra - 1.0, dec - 1.0)
    elif np.abs(dec).max() > 90 or ra.min() < -360 or ra.max() > 360:
        msg = (
            f"Catalog '{path}': columns {parameters.refxcol} and {parameters.refycol} are no right ascension "
            f"and declination in degrees (up to {ra.max():.6g} and {dec.max():.6g}); look at refxcol, "
            "refycol, refxyunits."
        )
        raise DataError(msg)
    still = np.zeros(len(index))
    pm_ra, pm_dec, epoch = still, still, float("nan")
    if "pmra" in extra and "pmdec" in extra:
        if "ref_epoch" not in extra:
            msg = (
                f"Catalog '{path}' has proper motions (pmra, pmdec) but no column ref_epoch, the Julian year "
                "of its positions; add it, or rename the columns if they are not to be used."
            )
            raise DataError(msg)
        pm_ra, pm_dec = np.nan_to_num(extra["pmra"][index]), np.nan_to_num(extra["pmdec"][index])
        epochs = extra["ref_epoch"][index]
        epoch = float(np.median(epochs))
        # To one epoch for all, so that `at` has one number to subtract.
        years = epoch - epochs
        dec = dec + years * pm_dec / MAS_PER_DEG
        ra = ra + years * pm_ra / MAS_PER_DEG / np.cos(np.radians(dec))
    return SkyCatalog(path.name, ra % 360.0, dec, mag[index], pm_ra, pm_dec, epoch)

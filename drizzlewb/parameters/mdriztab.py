"""Rows of an MDRIZTAB reference table as presets."""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.parameters.astrodrizzle import ReduceParameters
from drizzlewb.parameters.presets import Preset

_RENAMED = {"subsky": "skysub", "crbitval": "crbit", "readnoise": "rdnoise"}
_BOTH_FRAMES = ("refimage", "bits", "ra", "dec")
_NULL_INTEGER = -2147483647
"""What MDRIZTAB writes for "no value" in a column of integers."""


def mdriztab_presets(path: str | os.PathLike, detector: str = "") -> tuple[list[Preset], list[str]]:
    """Read the presets of an MDRIZTAB table.

    Parameters
    ----------
    path : path-like
        FITS table with the columns ``filter``, ``numimages`` and a parameter in each other column.
    detector : str, optional
        Which detector it is for, as in `drizzlewb.instruments.DETECTORS`.

    Returns
    -------
    presets : list of Preset
        One per row: the table's values, on top of DrizzlePac's defaults.
    left_out : list of str
        Columns that are no parameters today.

    Raises
    ------
    DataError
        No such file, or no such table.
    ParameterError
        A row holds an impossible value; the message names the row.

    Notes
    -----
    Columns are read as ``drizzlepac/mdzhandler.py`` reads them: NaN, -2147483647 and blank text are "no
    value", and the four names without a step (`_BOTH_FRAMES`) count for the single and the final frame. A row
    holds for its number of exposures up to that of the next row of the same filter.
    """
    from astropy.io import fits  # reading a table is rare, importing astropy is not free

    name = Path(path).name
    try:
        with fits.open(path, memmap=False) as hdus:
            tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)]
            if not tables or not {"filter", "numimages"} <= {c.lower() for c in tables[0].columns.names}:
                msg = f"{name} is no MDRIZTAB: expected a table with the columns filter and numimages"
                raise DataError(msg)
            columns = [c.lower() for c in tables[0].columns.names]
            rows = [dict(zip(columns, row, strict=True)) for row in tables[0].data]
    except OSError as error:
        msg = f"cannot read MDRIZTAB {path}: {error}"
        raise DataError(msg) from None
    left_out: set[str] = set()
    presets = []
    for number, row in enumerate(rows, 1):
        least = int(row["numimages"])
        same = sorted(int(r["numimages"]) for r in rows if r["filter"] == row["filter"])
        later = [n for n in same if n > least]
        try:
            keywords = _keywords(row, left_out)
            ReduceParameters.from_keywords(keywords)
        except ParameterError as error:
            msg = f"row {number} of {name}: {error}"
            raise ParameterError(msg) from None
        filters = str(row["filter"]).strip()
        presets.append(
            Preset(
                f"MDRIZTAB {name}, {filters}, {least} or more",
                f"MDRIZTAB {name}, row {number}",
                keywords,
                detector,
                (least, later[0] - 1 if later else 1_000_000),
                "" if filters.upper() == "ANY" else filters,
            )
        )
    return presets, sorted(left_out)


def mdriztab_for(path: str | os.PathLike, detector: str, filters: str, number: int) -> list[Preset]:
    """Rows of an MDRIZTAB that hold for a stack: those of its filter, or else those for any.

    Parameters
    ----------
    path : path-like
        As for `mdriztab_presets`.
    detector, filters : str
        As in `drizzlewb.exposure.Exposure`; clear positions of a filter wheel do not count.
    number : int
        Exposures in the stack.

    Returns
    -------
    list of Preset
        One row as a rule; columns that are no parameters today are named in its source.

    Raises
    ------
    DataError
        No row suits; see also `mdriztab_presets`.

    Notes
    -----
    DrizzlePac chooses the row in the same way (``drizzlepac/mdzhandler.py``).
    """
    presets, left_out = mdriztab_presets(path, detector)
    own = [p for p in presets if p.filters and _names(p.filters) == _names(filters)]
    chosen = [
        p for p in own or [p for p in presets if not p.filters] if p.exposures[0] <= number <= p.exposures[1]
    ]
    if not chosen:
        rows = ", ".join(f"{p.filters or 'ANY'} from {p.exposures[0]}" for p in presets) or "none"
        msg = f"{Path(path).name} has no row for {number} exposures in {filters}; its rows: {rows}."
        raise DataError(msg)
    told = f"; without its columns {', '.join(left_out)}, which are no parameters" if left_out else ""
    return [replace(p, source=p.source + told) for p in chosen]


def _names(filters: str) -> set[str]:
    names = re.split(r"[\s,;/+]+", filters.strip().upper())
    return {name for name in names if name and not name.startswith("CLEAR")}


def _keywords(row: dict[str, Any], left_out: set[str]) -> dict[str, Any]:
    known = ReduceParameters.places()
    keywords: dict[str, Any] = {}
    for column, cell in row.items():
        if column in ("filter", "numimages", "shiftfile", "mdriztab"):
            continue
        value = _cell(cell)
        name = _RENAMED.get(column, column)
        if name == "coeffs":
            value = value is not None
        names = [f"driz_sep_{name}", f"final_{name}"] if name in _BOTH_FRAMES else [name]
        for one in names:
            if one not in known:
                left_out.add(column)
            elif value is not None:
                keywords[one] = value
    # A frame switch that the table leaves off must not be turned on by a value beside it.
    for switch in ("driz_sep_wcs", "final_wcs"):
        keywords.setdefault(switch, False)
    return keywords


def _cell(cell: Any) -> Any:
    """Typed value of a table cell; None for "no value"."""
    if isinstance(cell, (bytes, str)):
        text = cell.decode("ascii", "replace") if isinstance(cell, bytes) else str(cell)
        return None if text.strip() in ("", "INDEF", "None") else text.strip()
    if isinstance(cell, (bool, np.bool_)):
        return bool(cell)
    if isinstance(cell, (int, np.integer)):
        return None if int(cell) == _NULL_INTEGER else int(cell)
    number = float(cell)
    if np.isnan(number):
        return None
    # Columns are float32; 0.7 must not become 0.699999988.
    return float(str(np.float32(number))) if isinstance(cell, np.float32) else number

"""WCSCORR: the table in which stwcs keeps the history of a file's WCS solutions.

Columns and meaning are those of ``stwcs/wcsutil/wcscorr.py``, so that its tools go on with our rows.
"""

from collections.abc import Sequence

import numpy as np
from astropy.io import fits

from drizzlewb.products.cards import Cards
from drizzlewb.products.fitsparts import Part, from_hdu
from drizzlewb.products.wcscards import OPUS, alternate_keys, linear_terms

__all__ = ["with_rows"]

_TEXTS = {"WCS_ID": 40, "WCS_key": 1, "HDRNAME": 24, "SIPNAME": 24, "NPOLNAME": 24, "D2IMNAME": 24,
          "CTYPE1": 24, "CTYPE2": 24, "Catalog": 40, "DESCRIP": 128}  # fmt: skip
_ORDER = ("WCS_ID", "EXTVER", "WCS_key", "HDRNAME", "SIPNAME", "NPOLNAME", "D2IMNAME", "CRVAL1", "CRVAL2",
          "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2", "CTYPE1", "CTYPE2", "ORIENTAT", "PA_V3",
          "RMS_RA", "RMS_Dec", "NMatch", "Catalog", "DESCRIP")  # fmt: skip
_NEEDED = {"WCS_ID", "EXTVER", "SIPNAME", "HDRNAME", "NPOLNAME", "D2IMNAME"}


def with_rows(parts: Sequence[Part], science: Sequence[int]) -> list[Part]:
    """Return the HDUs with a row in WCSCORR for the primary solution of each science extension.

    Without a table one is made that holds the alternate solutions too. As in stwcs there is none in
    files without SCI extensions and in drizzled products.

    Parameters
    ----------
    parts : sequence of Part
        The HDUs, the new solution in their headers.
    science : sequence of int
        Which of them got a new solution.
    """
    parts = list(parts)
    primary = parts[0].cards
    if parts[science[0]].name != "SCI" or "NDRIZIM" in primary or "D001DATA" in primary:
        return parts
    at = next((k for k, part in enumerate(parts) if part.name == "WCSCORR"), None)
    table = parts[at].hdu() if at is not None else None
    if table is not None and not set(table.columns.names) >= _NEEDED:
        table = None  # of an old stwcs, which replaces it too
    rows = []
    if table is None:
        chips = [part for part in parts if part.name == "SCI"]
        keys = alternate_keys(chips[0].cards)
        ordered = sorted(keys, key=lambda k: k != OPUS)
        rows += [_row(primary, p.cards, p.ver, key) for key in ordered for p in chips]
    rows += [_row(primary, parts[k].cards, parts[k].ver, " ") for k in science]
    part = from_hdu(_filled(table, rows, len(science)))
    if at is None:
        parts.append(part)
    else:
        parts[at] = part
    return parts


def _root(name: str, suffix: str) -> str:
    """Root of a reference file; NOMODEL without one."""
    base = name.split("$")[-1].rsplit("/", 1)[-1].strip()
    if not base or base.upper() in ("N/A", "NONE"):
        return "NOMODEL"
    return base.split(suffix)[0].removesuffix(".fits")


def _row(primary: Cards, chip: Cards, extver: int, key: str) -> dict[str, object]:
    a = key.strip()
    pix, val, cd = linear_terms(chip, key)
    idc = _root(primary.string("IDCTAB"), "_idc")
    sip = primary.string("SIPNAME")
    if idc not in sip:
        sip = f"{primary.string('ROOTNAME')}_{idc}"
    row: dict[str, object] = {
        "WCS_ID": chip.string("WCSNAME" + a),
        "EXTVER": extver,
        "WCS_key": a if a == OPUS else "",
        "HDRNAME": chip.string("HDRNAME" + a) if len(a) < 2 else "",
        "SIPNAME": sip,
        "NPOLNAME": _root(primary.string("NPOLFILE"), "_npl"),
        "D2IMNAME": _root(primary.string("D2IMFILE"), "_d2i"),
        "CTYPE1": chip.string("CTYPE1" + a),
        "CTYPE2": chip.string("CTYPE2" + a),
        "ORIENTAT": float(np.degrees(np.arctan2(cd[0, 1], cd[1, 1]))),
        "PA_V3": primary.number("PA_V3", 0.0),
        "RMS_RA": chip.number("CRDER1" + a, 0.0),
        "RMS_Dec": chip.number("CRDER2" + a, 0.0),
        "NMatch": int(chip.number("NMATCH" + a, 0.0)),
        "Catalog": chip.string("CATALOG" + a),
        "DESCRIP": primary.string("DESCRIP"),
    }
    for k in (0, 1):
        row[f"CRPIX{k + 1}"], row[f"CRVAL{k + 1}"] = pix[k], val[k]
        row[f"CD{k + 1}_1"], row[f"CD{k + 1}_2"] = cd[k]
    return row


def _format(name: str) -> str:
    if name in _TEXTS:
        return f"{_TEXTS[name]}A"
    return {"EXTVER": "I", "NMatch": "J"}.get(name, "D")


def _filled(table: fits.BinTableHDU | None, rows: list[dict[str, object]], chips: int) -> fits.BinTableHDU:
    """Write rows into the first empty ones of a table, made longer when it has too few."""
    if table is None:
        columns = fits.ColDefs([fits.Column(name, _format(name)) for name in _ORDER])
        header = fits.Header([("EXTNAME", "WCSCORR", "Table with WCS Update history"), ("EXTVER", 1)])
        used, room = 0, len(rows) + 4 * chips
    else:
        columns, header = table.columns, table.header
        ids = np.char.strip(np.asarray(table.data["WCS_ID"]).astype(str))
        filled = np.flatnonzero((ids != "") & (ids != "0.0"))
        used = int(filled[-1]) + 1 if len(filled) else 0
        room = max(len(ids), used + len(rows) + 1)
    new = fits.BinTableHDU.from_columns(columns, header=header, nrows=room)
    for name in columns.names:
        values = new.data[name]
        if table is not None:
            values[: min(used, len(table.data))] = table.data[name][:used]
        if values.dtype.kind in "US":
            values[used:] = ""
        else:
            values[used:] = 1 if name in ("CD1_1", "CD2_2") else 0
        for k, row in enumerate(rows):
            if name in row:
                value = row[name]
                values[used + k] = str(value)[: _TEXTS[name]] if name in _TEXTS else value
    new.header["TROWS"] = (used + len(rows), "Number of updated rows in table")
    return new

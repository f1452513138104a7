"""The WCS that Hubble's calibrated images carry, packed from its cards without astropy.

TAN or TAN-SIP with a CD matrix, NPOL and D2IM tables: nearly every file. astropy's WCS takes several
times longer to import and to make than an exposure takes to open, so it is asked only where a header
says anything else.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drizzlewb.distortion.packing import idc_plane, packed_terms, sip_arrays
from drizzlewb.distortion.sky import check_linear
from drizzlewb.kernels.transform import PackedWCS

__all__ = ["LookupTable", "pack_cards", "wcs_cards"]

# All that wcslib or astropy would make something of in the primary WCS of an image.
_WCS = re.compile(
    r"(?P<key>(?:CTYPE|CRPIX|CRVAL|CUNIT|CDELT|CROTA|CPDIS|CQDIS|CPERR|CQERR|NAXIS)\d*"
    r"|(?:CD|PC|PV|PS)\d+_\d+|D[PQ]\d+|D2IM(?:DIS|ERR|EXT)?\d*|[AB]P?_(?:ORDER|\d+_\d+)"
    r"|WCSAXES|LONPOLE|AXISCORR|AMD[XY]\d+|PLTRA[HMS]|PLTDEC[DMS]) *= *"
    r"(?:'(?P<text>(?:[^']|'')*)'|(?P<number>[^/ ]+))"
)
_RECORD = re.compile(r"([A-Z0-9.]+): +([-+0-9.DE]+) *$")
_UNDERSTOOD = re.compile(
    r"(CTYPE|CRPIX|CRVAL|CUNIT)[12]|CD[12]_[12]|NAXIS[12]?|WCSAXES|LONPOLE|[AB]_(ORDER|\d+_\d+)"
    r"|CPDIS[12]|CPERR[12]|DP[12]\..*|D2IM(DIS|ERR)[12]|D2IM[12]\..*|D2IMEXT"
)


class LookupTable(NamedTuple):
    """A distortion table with the axes that its header gives it, as astropy's ``DistortionLookupTable``.

    `data` : float32[ny, nx]. `crpix`, `crval`, `cdelt` : (x, y), one-based.
    """

    data: NDArray[np.float32]
    crpix: tuple[float, float]
    crval: tuple[float, float]
    cdelt: tuple[float, float]


def wcs_cards(text: str) -> dict[str, str | float] | None:
    """Cards of a header that describe its primary WCS.

    Parameters
    ----------
    text : str
        80 characters a card.

    Returns
    -------
    dict or None
        Keyword to text or number; a record-valued card ``DP1 = 'EXTVER: 1'`` is under 'DP1.EXTVER'. None
        where a keyword comes twice or a value cannot be read: which one holds is for astropy to say.
    """
    found: dict[str, str | float] = {}
    for at in range(0, len(text), 80):
        match = _WCS.match(text[at : at + 80])
        if match is None:
            continue
        key = match["key"]
        value: str | float
        if match["number"] is None:
            value = match["text"].rstrip()
            record = _RECORD.match(value) if key.startswith(("DP", "DQ", "D2IM")) else None
            if record is not None:
                key, value = f"{key}.{record[1]}", _number(record[2])
        else:
            value = _number(match["number"])
        if key in found or value != value:
            return None
        found[key] = value
    return found


def _number(text: str) -> float:
    try:
        return float(text.replace("D", "E"))
    except ValueError:
        return float("nan")


def pack_cards(
    text: str,
    tables: Mapping[tuple[str, int], LookupTable],
    shape: tuple[int, int],
    header=None,
    primary=None,
) -> PackedWCS | None:
    """Pack the WCS of a science header.

    Parameters
    ----------
    text : str
        Its cards, 80 characters each.
    tables : mapping
        The file's distortion tables by EXTNAME ('WCSDVARR', 'D2IMARR') and EXTVER.
    shape, header, primary
        As for `drizzlewb.distortion.pack`.

    Returns
    -------
    PackedWCS or None
        The same bits as `drizzlewb.distortion.pack` makes of astropy's WCS; None for anything but an
        equatorial TAN or TAN-SIP with a CD matrix in degrees and tables by lookup.

    Raises
    ------
    DataError
        As `drizzlewb.distortion.pack`.
    """
    c = wcs_cards(text)
    if c is None or any(_UNDERSTOOD.fullmatch(key) is None for key in c):
        return None
    ctypes = (c.get("CTYPE1"), c.get("CTYPE2"))
    with_sip = ctypes == ("RA---TAN-SIP", "DEC--TAN-SIP")
    numbers = [c.get(key) for key in ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2")]
    numbers += [c.get(f"CD{i}_{j}") for i in (1, 2) for j in (1, 2)]
    if (
        not (with_sip or ctypes == ("RA---TAN", "DEC--TAN"))
        or not all(isinstance(value, float) for value in numbers)
        or any(c.get(key, "deg") != "deg" for key in ("CUNIT1", "CUNIT2"))
        or c.get("LONPOLE", 180.0) != 180.0
        or c.get("WCSAXES", 2.0) != 2.0
        or c.get("NAXIS", 2.0) not in (0.0, 2.0)
    ):
        return None
    crpix1, crpix2, crval1, crval2, *cd = (float(value) for value in numbers if value is not None)
    if not abs(crval2) < 90.0:  # LONPOLE is 0 there unless a card says otherwise
        return None
    crpix, crval = np.array([crpix1, crpix2]) - 1.0, np.array([crval1, crval2])
    matrix = np.array(cd).reshape(2, 2)
    check_linear(crval, matrix)
    crval[0] %= 360.0
    sip = _sip(c) if with_sip else ()
    lookups = _lookups(c, tables)
    if sip is None or lookups is None or (not with_sip and any(key[:2] in ("A_", "B_") for key in c)):
        return None
    return packed_terms(
        crpix,
        crval,
        matrix,
        sip_arrays(*sip, crpix) if sip else (crpix.copy(), np.zeros((1, 1)), np.zeros((1, 1))),
        lookups,
        shape,
        idc_plane(header, primary),
    )


def _sip(c: Mapping[str, str | float]) -> tuple[NDArray, NDArray] | None:
    polynomials = []
    for name in "AB":
        order = c.get(f"{name}_ORDER")
        if not isinstance(order, float) or not order.is_integer() or not 2 <= order <= 9:
            return None
        m = int(order)
        coefficients = np.zeros((m + 1, m + 1))
        for i in range(m + 1):
            for j in range(m - i + 1):
                value = c.get(f"{name}_{i}_{j}", 0.0)
                if not isinstance(value, float):
                    return None
                coefficients[i, j] = value
        polynomials.append(coefficients)
    return polynomials[0], polynomials[1]


def _lookups(
    c: Mapping[str, str | float], tables: Mapping[tuple[str, int], LookupTable]
) -> list[LookupTable | None] | None:
    """Tables of NPOL in x and y, and of D2IM in x and y; None where astropy must decide."""
    found: list[LookupTable | None] = []
    for kind, record, error, extname in (
        ("CPDIS", "DP", "CPERR", "WCSDVARR"),
        ("D2IMDIS", "D2IM", "D2IMERR", "D2IMARR"),
    ):
        for axis in (1, 2):
            if f"{kind}{axis}" not in c:
                found.append(None)
                continue
            error_value = c.get(f"{error}{axis}", 0.0)
            version = c.get(f"{record}{axis}.EXTVER", 1.0)
            if (
                str(c[f"{kind}{axis}"]).lower() != "lookup"
                or c.get(f"{record}{axis}.AXIS.{axis}") != float(axis)
                or not isinstance(error_value, float)
                or not error_value >= 0.0
                or not isinstance(version, float)
                or (extname, int(version)) not in tables
            ):
                return None
            found.append(tables[extname, int(version)])
    return found

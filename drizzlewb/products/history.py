"""The WCS solutions that a file holds: primary, alternates, headerlets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from drizzlewb import distortion
from drizzlewb.errors import DataError
from drizzlewb.products import wcscards as wc
from drizzlewb.products.cards import Cards
from drizzlewb.products.fitsparts import Part, read_parts, science_parts

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["WCSSolution", "headerlet_hdus", "headerlet_solution", "history_table", "wcs_history"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WCSSolution:
    """One WCS solution that a file holds.

    Attributes
    ----------
    name : str
        WCSNAME; '' if it has none.
    place : str
        'primary', the letter of an alternate, or 'HDRLET,n'.
    active : bool
        Whether it is the primary one.
    kind : str
        WCSTYPE, in words.
    rms_ra_mas, rms_dec_mas : float
        Scatter of the fit on the sky, mas; NaN if not known.
    nmatch : int
        Stars in the fit; 0 if not known.
    offset_mas : tuple of float
        Where the first chip's reference pixel lies, east and north of its place by the active solution,
        mas; by the linear terms.
    crval : tuple
        (ra, dec) of each chip's reference pixel, deg.
    hdrname, catalog, author, descrip, date : str
        Of a headerlet, or as the header says; '' if not known.
    """

    name: str
    place: str
    active: bool
    kind: str
    rms_ra_mas: float
    rms_dec_mas: float
    nmatch: int
    offset_mas: tuple[float, float]
    crval: tuple[tuple[float, float], ...]
    hdrname: str = ""
    catalog: str = ""
    author: str = ""
    descrip: str = ""
    date: str = ""


def wcs_history(path: str | Path) -> list[WCSSolution]:
    """All WCS solutions of a file: the primary, the alternates by letter, the headerlets.

    Parameters
    ----------
    path : path
        FITS file, also ``.fits.gz``.

    Raises
    ------
    DataError
        The file cannot be read, or no extension has a celestial WCS.
    """
    parts = read_parts(path)
    chips = [parts[k].cards for k in science_parts(path, parts)]
    active = wc.linear_terms(chips[0])
    found = [_solution(chips, key, active) for key in (" ", *wc.alternate_keys(chips[0]))]
    found += [_headerlet(part, active) for part in parts if part.kind == "HDRLET"]
    return found


def _solution(
    chips: Sequence[Cards], key: str, active: tuple[Array, Array, Array], **more: str
) -> WCSSolution:
    a, first = key.strip(), chips[0]
    rms = wc.rms_mas(first, key)
    nmatch = first.number("NMATCH" + a, first.number("NMATCHES", 0) if not a else 0)
    facts = {
        "place": a or "primary",
        "hdrname": first.string("HDRNAME" + a),
        "catalog": first.string("CATALOG" + a),
        **more,
    }
    return WCSSolution(
        name=first.string("WCSNAME" + a),
        active=not a and "place" not in more,
        kind=first.string("WCSTYPE" + a) or wc.wcs_type(first.string("WCSNAME" + a)),
        rms_ra_mas=rms[0],
        rms_dec_mas=rms[1],
        nmatch=int(nmatch),
        offset_mas=_offset(active, wc.linear_terms(first, key)),
        crval=tuple((cards.number(f"CRVAL1{a}"), cards.number(f"CRVAL2{a}")) for cards in chips),
        **facts,
    )


def _offset(active: tuple[Array, Array, Array], other: tuple[Array, Array, Array]) -> tuple[float, float]:
    (pix, val, _), (pix2, val2, cd2) = active, other
    if not (np.isfinite(pix2).all() and np.isfinite(val2).all() and np.linalg.det(cd2) != 0):
        return float("nan"), float("nan")
    ra, dec = distortion.pixel_to_sky(distortion.tan_wcs(val2, pix2 - 1, cd2), pix[0] - 1, pix[1] - 1)
    east = (float(ra) - val[0] + 180.0) % 360.0 - 180.0
    return float(east * np.cos(np.radians(val[1])) * 3.6e6), float((float(dec) - val[1]) * 3.6e6)


def headerlet_hdus(part: Part) -> fits.HDUList:
    """The FITS file inside a headerlet extension.

    Raises
    ------
    DataError
        It cannot be read.
    """
    try:
        return fits.HDUList.fromstring(part.read())
    except OSError as error:
        msg = f"headerlet extension {part.ver} ({part.cards.string('HDRNAME')}) is damaged: {error}."
        raise DataError(msg) from error


def headerlet_solution(
    hdus: fits.HDUList, place: str = "headerlet", active: tuple[Array, Array, Array] | None = None
) -> WCSSolution:
    """The solution in an open headerlet.

    Raises
    ------
    DataError
        It has no SIPWCS extension.
    """
    top = _cards_of(hdus[0])
    chips = [_cards_of(h) for h in hdus if h.name == "SIPWCS"]
    if not chips:
        msg = f"headerlet {top.string('HDRNAME')} ({place}) holds no SIPWCS extension; it is damaged."
        raise DataError(msg)
    more = {name: top.string(name.upper()) for name in ("hdrname", "catalog", "author", "descrip", "date")}
    found = _solution(chips, " ", active or wc.linear_terms(chips[0]), place=place, **more)
    ra, dec = wc.rms_mas(top)
    name = top.string("WCSNAME") or found.name
    return replace(
        found,
        name=name,
        kind=wc.wcs_type(name),
        nmatch=int(top.number("NMATCH", 0)) or found.nmatch,
        rms_ra_mas=ra if ra > 0 else found.rms_ra_mas,
        rms_dec_mas=dec if dec > 0 else found.rms_dec_mas,
    )


def _cards_of(hdu: fits.PrimaryHDU | fits.ImageHDU) -> Cards:
    return Cards("".join(card.image for card in hdu.header.cards))


def _headerlet(part: Part, active: tuple[Array, Array, Array]) -> WCSSolution:
    with headerlet_hdus(part) as hdus:
        return headerlet_solution(hdus, f"HDRLET,{part.ver}", active)


def history_table(path: str | Path) -> "Table":
    """`wcs_history` as a table for people: one row per solution, RMS and offsets in mas."""
    from astropy.table import Table  # late: tables are slow to import

    rows = wcs_history(path)
    table = Table(
        {
            "place": [s.place for s in rows],
            "active": [s.active for s in rows],
            "wcsname": [s.name for s in rows],
            "kind": [s.kind for s in rows],
            "rms_ra": [s.rms_ra_mas for s in rows],
            "rms_dec": [s.rms_dec_mas for s in rows],
            "nmatch": [s.nmatch for s in rows],
            "east": [s.offset_mas[0] for s in rows],
            "north": [s.offset_mas[1] for s in rows],
            "catalog": [s.catalog for s in rows],
            "hdrname": [s.hdrname for s in rows],
        }
    )
    for name in ("rms_ra", "rms_dec", "east", "north"):
        table[name].unit = "mas"
    table.meta["file"] = str(path)
    return table

"""WCS solutions in the headers of a file: listed, written, activated, taken back.

Every function here that writes replaces the file as a whole (`drizzlewb.products.fitsparts`) and leaves in
it what is needed to `revert`. Pixels are copied as bytes.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.table import Table

from drizzlewb import distortion
from drizzlewb.errors import DataError, ParameterError
from drizzlewb.products import wcscards as wc
from drizzlewb.products.cards import Cards
from drizzlewb.products.fitsparts import Part, read_parts, science_parts
from drizzlewb.products.undo import commit, undo_last
from drizzlewb.products.wcscorr import with_rows

__all__ = [
    "Change",
    "FitNumbers",
    "WCSSolution",
    "activate",
    "history_table",
    "revert_file",
    "wcs_history",
    "write_solution",
]

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float64]

UNNAMED = "PRE-TWEAKREG"
"""WCSNAME under which TweakReg archives a solution that has none."""


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


@dataclass(frozen=True)
class FitNumbers:
    """How a solution was fitted, for the header.

    Attributes
    ----------
    rms_ra_mas, rms_dec_mas : float
        Scatter along east and north, mas.
    nmatch : int
        Stars in the fit.
    geometry, catalog : str
        FITGEOM; name of the reference catalog.
    """

    rms_ra_mas: float
    rms_dec_mas: float
    nmatch: int
    geometry: str = ""
    catalog: str = ""


@dataclass(frozen=True)
class Change:
    """What was done to one file.

    Attributes
    ----------
    path, action : str
        The file; 'apply', 'activate', 'tweakback', 'headerlet', 'updatewcs' or 'revert'.
    before, after : str
        WCSNAME of the primary solution.
    archived : str
        Letter of the alternate that holds the earlier solution; '' if none was made.
    """

    path: str
    action: str
    before: str
    after: str
    archived: str = ""

    def __str__(self) -> str:
        kept = f", the earlier solution is alternate {self.archived}" if self.archived else ""
        return f"{self.path}: {self.action}, {self.before or 'unnamed'} -> {self.after or 'unnamed'}{kept}"


# Reading ------------------------------------------------------------------------------------------------


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
    return east * np.cos(np.radians(val[1])) * 3.6e6, (float(dec) - val[1]) * 3.6e6


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


def _headerlet(part: Part, active: tuple[Array, Array, Array]) -> WCSSolution:
    with headerlet_hdus(part) as hdus:
        top = Cards("".join(card.image for card in hdus[0].header.cards))
        chips = [Cards("".join(card.image for card in h.header.cards)) for h in hdus if h.name == "SIPWCS"]
    if not chips:
        msg = f"headerlet extension {part.ver} ({part.cards.string('HDRNAME')}) holds no SIPWCS."
        raise DataError(msg)
    more = {"place": f"HDRLET,{part.ver}"}
    more |= {name: top.string(name.upper()) for name in ("hdrname", "catalog", "author", "descrip", "date")}
    found = _solution(chips, " ", active, **more)
    ra, dec = wc.rms_mas(top)
    facts = {
        "name": top.string("WCSNAME") or found.name,
        "nmatch": int(top.number("NMATCH", found.nmatch)) or found.nmatch,
        "rms_ra_mas": ra if ra > 0 else found.rms_ra_mas,
        "rms_dec_mas": dec if dec > 0 else found.rms_dec_mas,
    }
    return WCSSolution(**{**found.__dict__, **facts, "kind": wc.wcs_type(str(facts["name"]))})


def history_table(path: str | Path) -> Table:
    """`wcs_history` as a table for people: one row per solution, RMS and offsets in mas."""
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


# Writing ------------------------------------------------------------------------------------------------


def write_solution(
    path: str | Path,
    solutions: Mapping[int, tuple[npt.ArrayLike, npt.ArrayLike]],
    wcsname: str = "TWEAK",
    *,
    reusename: bool = False,
    fit: FitNumbers | None = None,
    kind: str = "",
    action: str = "apply",
) -> Change:
    """Make a solution the primary WCS of a file; the earlier one becomes an alternate.

    Parameters
    ----------
    path : path
        The file, which is replaced as a whole.
    solutions : mapping
        SCI extver to CRVAL (deg, shape (2,)) and CD (deg/px, shape (2, 2)). CRPIX and distortion stay.
    wcsname : str
        Name of the solution.
    reusename : bool
        A solution of that name may be replaced: a primary one is then not archived, an alternate one goes.
    fit : FitNumbers, optional
        Written as RMS_RA, RMS_DEC (mas), CRDER1, CRDER2 (deg), NMATCHES and NMATCH, FITGEOM, CATALOG.
    kind : str
        WCSTYPE; by default from the name.
    action : str
        For the record.

    Raises
    ------
    ParameterError
        The name is taken and `reusename` is False, or is no name.
    DataError
        No celestial WCS, no such extension, no letter left, or the file is read-only.

    Notes
    -----
    The cards are those of DrizzlePac (``updatehdr.update_wcs``, ``align_utils``). The earlier solution
    keeps its name, with '-1' behind it if another alternate has that name already; one that is an
    alternate already is not archived twice.
    """
    parts = read_parts(path)
    chosen = {parts[k].ver: k for k in science_parts(path, parts)}
    missing = sorted(set(solutions) - set(chosen))
    if missing:
        msg = f"{path}: there is no science extension {missing}; it has {sorted(chosen)}."
        raise DataError(msg)
    science = [chosen[ver] for ver in sorted(solutions)]
    headers = [parts[k].cards for k in science]
    name = _checked_name(path, wcsname, headers, parts, reusename)
    before = headers[0].string("WCSNAME")
    if reusename:
        for cards in headers:
            for key, other in wc.names(cards).items():
                if key != " " and other.upper() == name.upper():
                    wc.drop_solution(cards, key)
    replaced = reusename and before.upper() == name.upper()
    key = "" if replaced else _archive(headers, taken=[name])
    for ver, cards in zip(sorted(solutions), headers, strict=True):
        crval, cd = (np.asarray(v, float) for v in solutions[ver])
        wc.set_linear(cards, crval, cd)
        numbers = (
            {}
            if fit is None
            else {
                "rms_ra_mas": fit.rms_ra_mas,
                "rms_dec_mas": fit.rms_dec_mas,
                "nmatch": fit.nmatch,
                "geometry": fit.geometry,
                "catalog": fit.catalog,
            }
        )
        wc.set_fit(cards, name, kind=kind, **numbers)
    _commit(path, parts, science, headers, action, before, name)
    change = Change(str(path), action, before, name, key)
    log.info("%s", change)
    return change


def _commit(
    path: str | Path,
    parts: Sequence[Part],
    science: Sequence[int],
    headers: Sequence[Cards],
    action: str,
    before: str,
    after: str,
) -> None:
    new = list(parts)
    for k, cards in zip(science, headers, strict=True):
        new[k] = new[k].with_text(cards.text)
    if action != "activate":  # which makes no new solution
        new = with_rows(new, science)
    commit(path, parts, new, action, before, after)


def _checked_name(
    path: str | Path, wcsname: str, headers: Sequence[Cards], parts: Sequence[Part], reusename: bool
) -> str:
    name = wcsname.strip() or "TWEAK"
    if not name.isascii() or not name.isprintable() or len(name) > 60:
        msg = f"wcsname is {wcsname!r}; it must be printable ASCII of at most 60 characters."
        raise ParameterError(msg)
    taken = wc.taken_names(headers)
    taken |= {p.cards.string("WCSNAME").upper() for p in parts if p.kind == "HDRLET"}
    if name.upper() in taken and not reusename:
        msg = (
            f"{path} has a solution with WCSNAME '{name}' already. Give another wcsname (for instance "
            f"'{wc.unused_name(name, taken)}'), or reusename=True to replace it."
        )
        raise ParameterError(msg)
    return name


def _archive(headers: Sequence[Cards], taken: Sequence[str] = ()) -> str:
    """Copy the primary solution of all headers to an alternate; '' if it is one already."""
    first = headers[0]
    before = first.string("WCSNAME") or UNNAMED
    for key, name in wc.names(first).items():
        if key == " " or name.upper() != before.upper():
            continue
        if all(key in wc.alternate_keys(c) and wc.same_solution(c, " ", key) for c in headers):
            return ""
    key = wc.free_key(headers)
    others = {n.upper() for c in headers for k, n in wc.names(c).items() if k != " "} | {*taken}
    name = wc.unused_name(before, others)
    for cards in headers:
        wc.archive(cards, key, name)
    return key


def activate(path: str | Path, name: str | None = None, *, place: str | None = None) -> Change:
    """Make one of a file's own solutions the primary one; the present one is archived.

    Parameters
    ----------
    path : path
        The file, which is replaced as a whole.
    name : str, optional
        WCSNAME of the solution (case does not count).
    place : str, optional
        Instead of a name, or to tell solutions of one name apart: a letter, or 'HDRLET,n'.

    Returns
    -------
    Change
        With ``before == after`` if the solution was active already and nothing was written.

    Raises
    ------
    ParameterError
        No such solution, or several of that name.
    DataError
        The file cannot be written; a headerlet is wanted and stwcs (extra ``hst``) is missing.
    """
    history = wcs_history(path)
    wanted = _wanted(path, history, name, place)
    if wanted.active:
        return Change(str(path), "activate", wanted.name, wanted.name)
    if wanted.place.startswith("HDRLET"):
        from drizzlewb.products.headerlets import restore_headerlet

        return restore_headerlet(path, int(wanted.place.split(",")[1]))
    parts = read_parts(path)
    key = wanted.place
    # Chips that have no such alternate belong to another exposure in the file.
    science = [k for k in science_parts(path, parts) if key in wc.alternate_keys(parts[k].cards)]
    headers = [parts[k].cards for k in science]
    before = headers[0].string("WCSNAME")
    archived = _archive(headers)
    for cards in headers:
        wc.restore(cards, key)
    sip = "A_ORDER" in headers[0] or "B_ORDER" in headers[0]
    if sip and not headers[0].string("CTYPE1").endswith("-SIP"):
        log.warning(
            "%s: solution '%s' is meant without distortion, but the header's SIP coefficients stay and most "
            "programs apply them; run updatewcs before measuring with it",
            path,
            wanted.name,
        )
    _commit(path, parts, science, headers, "activate", before, wanted.name)
    change = Change(str(path), "activate", before, wanted.name, archived)
    log.info("%s", change)
    return change


def _wanted(
    path: str | Path, history: Sequence[WCSSolution], name: str | None, place: str | None
) -> WCSSolution:
    if name is None and place is None:
        msg = "activate needs the name of a solution, or its place: a letter or 'HDRLET,n'."
        raise ParameterError(msg)
    found = [
        s
        for s in history
        if (name is None or s.name.upper() == name.strip().upper())
        and (place is None or s.place.upper() == place.strip().upper())
    ]
    if not found:
        listed = "; ".join(f"{s.name or 'unnamed'} ({s.place})" for s in history)
        msg = f"{path} has no solution {name or ''} {f'at {place}' if place else ''}; it has {listed}."
        raise ParameterError(msg.replace("  ", " "))
    # The primary and its archived copy, or its headerlet, are one solution.
    for kind in (lambda s: s.active, lambda s: len(s.place) == 1):
        these = [s for s in found if kind(s)]
        if len(these) == 1:
            return these[0]
        if these:
            found = these
            break
    if len(found) > 1:
        listed = ", ".join(s.place for s in found)
        msg = f"{path} has {len(found)} solutions with WCSNAME '{name}'; say which by its place: {listed}."
        raise ParameterError(msg)
    return found[0]


def revert_file(path: str | Path) -> Change:
    """Take back the last change that was made here to the WCS of a file.

    The WCS cards become what they were, character by character; the extensions too.

    Raises
    ------
    DataError
        There is nothing to revert, another program has changed the WCS since, or the file is read-only.
    """
    step = undo_last(path, read_parts(path))
    change = Change(str(path), "revert", step.after, step.before)
    log.info("%s", change)
    return change

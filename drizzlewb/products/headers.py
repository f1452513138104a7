"""WCS solutions in the headers of a file: written, activated, taken back.

Every function here that writes replaces the file as a whole (`drizzlewb.products.fitsparts`) and leaves in
it what is needed to `revert`. Pixels are copied as bytes.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.products import wcscards as wc
from drizzlewb.products.cards import Cards
from drizzlewb.products.fitsparts import Part, read_parts, science_parts
from drizzlewb.products.history import WCSSolution, wcs_history
from drizzlewb.products.undo import commit, read_steps, undo_last
from drizzlewb.products.wcscorr import with_rows

__all__ = [
    "Change",
    "FitNumbers",
    "Prepared",
    "activate",
    "archive_primary",
    "last_action",
    "prepare_solution",
    "revert_file",
    "write_solution",
]

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float64]

UNNAMED = "PRE-TWEAKREG"
"""WCSNAME under which TweakReg archives a solution that has none."""


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


@dataclass(frozen=True)
class Prepared:
    """A change of a file that has been checked and not yet been written."""

    path: str
    parts: Sequence[Part]
    science: Sequence[int]
    headers: Sequence[Cards]
    change: Change

    def write(self) -> Change:
        """Replace the file; the change."""
        new = list(self.parts)
        for k, cards in zip(self.science, self.headers, strict=True):
            new[k] = new[k].with_text(cards.text)
        c = self.change
        if c.action != "activate":  # which makes no new solution
            new = with_rows(new, self.science)
        commit(self.path, self.parts, new, c.action, c.before, c.after)
        log.info("%s", c)
        return c


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
    return prepare_solution(
        path, solutions, wcsname, reusename=reusename, fit=fit, kind=kind, action=action
    ).write()


def prepare_solution(
    path: str | Path,
    solutions: Mapping[int, tuple[npt.ArrayLike, npt.ArrayLike]],
    wcsname: str = "TWEAK",
    *,
    reusename: bool = False,
    fit: FitNumbers | None = None,
    kind: str = "",
    action: str = "apply",
) -> Prepared:
    """`write_solution` up to the writing: everything is checked and nothing touched."""
    parts = read_parts(path)
    chosen = {parts[k].ver: k for k in science_parts(path, parts)}
    missing = sorted(set(solutions) - set(chosen))
    if missing:
        msg = f"{path}: there is no science extension {missing}; it has {sorted(chosen)}."
        raise DataError(msg)
    vers = sorted(solutions)
    headers = [parts[chosen[ver]].cards for ver in vers]
    name = _checked_name(path, wcsname, headers, parts, reusename)
    before = headers[0].string("WCSNAME")
    if reusename:
        for cards in headers:
            for key, other in wc.names(cards).items():
                if key != " " and other.upper() == name.upper():
                    wc.drop_solution(cards, key)
    replaced = reusename and before.upper() == name.upper()
    key = "" if replaced else archive_primary(headers, taken=[name])
    for ver, cards in zip(vers, headers, strict=True):
        crval, cd = (np.asarray(v, float) for v in solutions[ver])
        wc.set_linear(cards, crval, cd)
        wc.set_fit(cards, name, kind=kind, **(asdict(fit) if fit is not None else {}))
    change = Change(str(path), action, before, name, key)
    return Prepared(str(path), parts, [chosen[ver] for ver in vers], headers, change)


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


def archive_primary(headers: Sequence[Cards], taken: Sequence[str] = ()) -> str:
    """Copy the primary solution of headers to an alternate in place; its letter, '' if it is one already."""
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
    archived = archive_primary(headers)
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
    change = Change(str(path), "activate", before, wanted.name, archived)
    return Prepared(str(path), parts, science, headers, change).write()


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


def last_action(path: str | Path) -> str:
    """What `revert_file` would take back: 'apply', 'activate' ... (`Change.action`); '' for nothing."""
    steps = read_steps(read_parts(path))
    return steps[-1].action if steps else ""


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

"""Distortion from reference files into headers, by stwcs: IDCTAB, NPOLFILE, D2IMFILE; no network."""

import contextlib
import gzip
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from drizzlewb.errors import DataError
from drizzlewb.products import wcscards as wc
from drizzlewb.products.cards import Cards
from drizzlewb.products.fitsparts import Part, check_writable, read_parts, science_parts, write_parts
from drizzlewb.products.headers import Change, archive_primary
from drizzlewb.products.with_stwcs import edited, quiet, stwcs_module

__all__ = ["Outlook", "reference_files", "update_wcs", "updatewcs_outlook"]

log = logging.getLogger(__name__)

_KEYWORDS = ("IDCTAB", "NPOLFILE", "D2IMFILE", "OFFTAB")
_ABSENT = ("", "N/A", "NONE", "UNKNOWN")


@dataclass(frozen=True)
class Outlook:
    """What `update_wcs` would do to a file.

    Attributes
    ----------
    path : str
        The file.
    before, after : str
        WCSNAME of the primary solution, now and then.
    files : dict
        Keyword to the name of the reference file in the header.
    missing : tuple of str
        Which of them are not in the folder.
    fitted : bool
        The present solution is a fit (to Gaia, for instance): it is replaced only on request.
    new_model : bool
        The IDCTAB differs from that of the present solution; all solutions of the old one are then kept
        as headerlets.
    """

    path: str
    before: str
    after: str
    files: dict[str, str]
    missing: tuple[str, ...]
    fitted: bool
    new_model: bool


def reference_files(primary: Cards) -> dict[str, str]:
    """Reference files that a primary header names: keyword to name, as it stands there."""
    named = {k: primary.string(k) for k in _KEYWORDS}
    used = {k: name for k, name in named.items() if name.upper() not in _ABSENT}
    if primary.string("INSTRUME") != "WFPC2":
        used.pop("OFFTAB", None)
    else:
        # stwcs makes WFPC2's D2IMFILE itself, of the older DGEOFILE.
        old = [n for k in ("DGEOFILE", "ODGEOFIL") if (n := primary.string(k)).upper() not in _ABSENT]
        if old:
            used.pop("D2IMFILE", None)
            used["DGEOFILE"] = old[0]
    return used


def _base(name: str) -> str:
    return os.path.basename(name.split("$")[-1])


def _found(folder: Path, name: str) -> Path | None:
    for candidate in (folder / _base(name), folder / f"{_base(name)}.gz"):
        if candidate.is_file():
            return candidate
    return None


def updatewcs_outlook(path: str | Path, folder: str | Path) -> Outlook:
    """Tell what `update_wcs` would do, and what is missing for it; nothing is written.

    Raises
    ------
    DataError
        The file cannot be read, or names no IDCTAB.
    """
    parts = read_parts(path)
    first = parts[science_parts(path, parts)[0]].cards
    files = reference_files(parts[0].cards)
    if "IDCTAB" not in files:
        msg = f"{path} names no IDCTAB in its primary header: there is no distortion to put into it."
        raise DataError(msg)
    missing = tuple(_base(name) for name in files.values() if _found(Path(folder), name) is None)
    root = _base(files["IDCTAB"]).split("_idc")[0].removesuffix(".fits")
    before = first.string("WCSNAME")
    fitted = "FIT_" in before.upper() or "FITNAME" in first or first.number("NMATCHES", 0) > 0
    present = first.string("IDCTAB")
    known = present.upper() not in _ABSENT or "A_ORDER" in first
    new_model = known and _base(present) != _base(files["IDCTAB"])
    return Outlook(str(path), before, f"IDC_{root}", files, missing, fitted, new_model)


def update_wcs(
    files: str | Path | Sequence[str | Path],
    folder: str | Path,
    *,
    replace_fit: bool = False,
    vacorr: bool = True,
    tddcorr: bool = True,
    npolcorr: bool = True,
    d2imcorr: bool = True,
) -> list[Change]:
    """Make the WCS of files anew from the pipeline's solution and the reference files in a folder.

    Parameters
    ----------
    files : path or sequence of path
        Each is replaced as a whole, and can be reverted.
    folder : path
        Where the reference files are that the primary headers name (IDCTAB, NPOLFILE, D2IMFILE; OFFTAB and
        DGEOFILE for WFPC2), also as ``.gz``.
    replace_fit : bool
        Replace also solutions that were fitted (FIT_..., TWEAK); otherwise such files are left alone.
    vacorr, tddcorr, npolcorr, d2imcorr : bool
        Which corrections stwcs makes.

    Returns
    -------
    list of Change
        WCSNAME before and after, one for each file; action 'kept' for a fit that was left alone. The earlier
        solution stays as an alternate; with another IDCTAB, as a headerlet.

    Raises
    ------
    DataError
        A reference file is missing (nothing is written then), a file is read-only, stwcs is missing or gave
        up.
    """
    tool = stwcs_module("updatewcs", "updating the distortion")
    paths = [files] if isinstance(files, (str, os.PathLike)) else list(files)
    plans = [updatewcs_outlook(path, folder) for path in paths]
    lacking: dict[str, list[str]] = {}
    for plan in plans:
        if not plan.fitted or replace_fit:
            check_writable(plan.path)
            for name in plan.missing:
                lacking.setdefault(name, []).append(os.path.basename(plan.path))
    if lacking:
        told = "; ".join(f"{name} (named by {', '.join(who)})" for name, who in lacking.items())
        msg = (
            f"reference files are missing in {folder}: {told}. Fetch them (https://hst-crds.stsci.edu) into "
            "that folder. Nothing is written."
        )
        raise DataError(msg)
    corrections = {"vacorr": vacorr, "tddcorr": tddcorr, "npolcorr": npolcorr, "d2imcorr": d2imcorr}
    changes = []
    for plan in plans:
        if plan.fitted and not replace_fit:
            log.warning(
                "%s: the fitted solution '%s' is kept; replace_fit=True replaces it", plan.path, plan.before
            )
            changes.append(Change(plan.path, "kept", plan.before, plan.before))
        else:
            changes.append(_updated(tool, plan, Path(folder), corrections))
    return changes


def _updated(tool, plan: Outlook, folder: Path, corrections: dict[str, bool]) -> Change:
    key = ""

    def edit(copy: Path) -> None:
        nonlocal key
        key = _set_aside(copy, plan)
        with _references(folder, plan):
            tool.updatewcs(str(copy), checkfiles=False, use_db=False, **corrections)

    def finish(headers: list[Cards]) -> None:
        nonlocal key
        first = headers[0]
        name = first.string("WCSNAME")
        for other, alternate in wc.names(first).items():
            if other == " " or alternate.upper() != name.upper():
                continue
            same = all(wc.same_solution(cards, " ", other) for cards in headers)
            have = [n for k, n in wc.names(first).items() if k != other]
            for cards in headers:
                if same:
                    wc.drop_solution(cards, other)
                else:
                    cards.put(f"WCSNAME{other}", wc.unused_name(alternate, have))
            key = "" if same and other == key else key
        for cards in headers:
            wc.set_fit(cards, name)

    doing = f"updating the distortion of {plan.path}"
    before, after = edited(plan.path, edit, "updatewcs", doing, finish, corr=True)
    change = Change(plan.path, "updatewcs", before, after, key)
    log.info("%s", change)
    return change


def _set_aside(copy: Path, plan: Outlook) -> str:
    """Archive the primary solution before stwcs starts from the pipeline's: letter of the alternate or ''."""
    parts = read_parts(copy)
    science = science_parts(copy, parts)
    if plan.new_model:
        # An alternate would be read with the new distortion, which is not what it was made with.
        # stwcs deletes them all.
        tool = stwcs_module("wcsutil.headerlet", "keeping the earlier solution")
        with quiet(f"keeping the earlier solutions of {plan.path}"):
            for key, name in wc.names(parts[science[0]].cards).items():
                if key != wc.OPUS and name:
                    tool.archive_as_headerlet(str(copy), name, wcskey=key, wcsname=name, logging=False)
        return ""
    headers = [parts[k].cards for k in science]
    if not any("IDCTAB" in c or "A_ORDER" in c or "WCSNAME" in c for c in headers):
        return ""  # fresh from the pipeline: stwcs keeps that solution itself, as OPUS
    key = archive_primary(headers)
    new: list[Part] = list(parts)
    for k, cards in zip(science, headers, strict=True):
        new[k] = new[k].with_text(cards.text)
    write_parts(copy, new)
    return key


@contextlib.contextmanager
def _references(folder: Path, plan: Outlook) -> Iterator[None]:
    """Point stwcs's variables (jref, iref ...) to the folder; packed files are unpacked for the while."""
    variables = {name.split("$")[0] for name in plan.files.values() if "$" in name}
    with tempfile.TemporaryDirectory(prefix="drizzlewb-") as scratch:
        for name in plan.files.values():
            source = _found(folder, name)
            if source is None:
                continue
            target = Path(scratch) / _base(name)
            if source.suffix == ".gz":
                with gzip.open(source, "rb") as packed, open(target, "wb") as plain:
                    shutil.copyfileobj(packed, plain)
            else:
                shutil.copyfile(source, target)
        wanted = dict.fromkeys(variables, scratch + os.sep)
        wanted["ASTROMETRY_STEP_CONTROL"] = "OFF"
        old = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in old.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

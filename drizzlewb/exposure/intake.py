"""From what the user names to exposures: files, globs, ``@lists`` and association tables.

`read_exposures` is the door; `intake` is the same and hands the warnings over too.
"""

import glob
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from drizzlewb.errors import DataError
from drizzlewb.exposure.checks import Warning_, check, refuse_mixtures
from drizzlewb.exposure.opening import open_file, split_name
from drizzlewb.exposure.values import Exposure

__all__ = ["Intake", "Spec", "intake", "named_files", "read_exposures"]

log = logging.getLogger(__name__)

Spec = str | os.PathLike | Exposure | Iterable["str | os.PathLike | Exposure"]
"""What `read_exposures` takes."""

_MEMBER_SUFFIXES = ("flc", "flt", "c0m", "cal", "crj")


class Intake(NamedTuple):
    """Exposures, and what a user should know about them."""

    exposures: list[Exposure]
    warnings: list[Warning_]


class Named(NamedTuple):
    """One file that the user named, and its weight image ('' if none)."""

    path: str
    weight_map: str


def read_exposures(spec: Spec, *, mixed_detectors: bool = False) -> list[Exposure]:
    """Exposures from one file, many, a glob, an ``@list`` or an association table.

    Parameters
    ----------
    spec : str, path, Exposure, or a list of these
        A file name; a glob (``"*_flc.fits"``); names separated by commas; ``"@files.txt"`` (one name a
        line, ``#`` begins a comment, an optional second column names a weight image; relative to the
        list's folder, else to the current one); ``"..._asn.fits"``
        (its present members, FLC before FLT).
        Exposures pass through.
    mixed_detectors : bool
        Let detectors differ; else they are refused, as one stack needs one detector.

    Returns
    -------
    list of Exposure
        In the order given, files of a glob by name. Headers only were read.

    Raises
    ------
    DataError
        A file is missing, named twice or cannot be used (`drizzlewb.exposure.open_file`); a glob
        matches nothing; FLC is mixed with FLT, or units or detectors are mixed; no exposure has a
        positive exposure time.

    Notes
    -----
    A file (or image set) whose EXPTIME is zero or negative is left out with a warning, as drizzlepac
    does, unless nothing remains. Warnings go to the log; `intake` returns them.
    """
    taken = intake(spec, mixed_detectors=mixed_detectors)
    for warning in taken.warnings:
        log.warning("%s", warning.text)
    return taken.exposures


def intake(spec: Spec, *, mixed_detectors: bool = False) -> Intake:
    """Like `read_exposures`, with the warnings on load as a list; nothing is logged."""
    exposures: list[Exposure] = []
    warnings: list[Warning_] = []
    for item in _items(spec):
        if isinstance(item, Exposure):
            exposures.append(item)
            continue
        opened = open_file(item.path, item.weight_map)
        exposures.extend(opened.exposures)
        warnings.extend(Warning_("exptime", sentence, (item.path,)) for sentence in opened.left_out)
    if not exposures:
        reasons = "; ".join(warning.text for warning in warnings)
        msg = f"no exposure is left to work on: {reasons or 'no file was named'}"
        raise DataError(msg)
    refuse_mixtures(exposures, mixed_detectors=mixed_detectors)
    return Intake(exposures, warnings + check(exposures))


def named_files(spec: Spec) -> list[Named]:
    """Files that a spec names, globs, lists and associations resolved; Exposures are not allowed in it."""
    return [item for item in _items(spec) if isinstance(item, Named)]


def _items(spec: Spec) -> list[Named | Exposure]:
    many = [spec] if isinstance(spec, (str, os.PathLike, Exposure)) else list(spec)
    items: list[Named | Exposure] = []
    for one in many:
        if isinstance(one, Exposure):
            items.append(one)
        elif isinstance(one, (str, os.PathLike)):
            items.extend(_resolve(os.path.expanduser(os.fspath(one))))
        else:
            msg = f"cannot read exposures from {one!r}: expected a file name, a list of them or exposures"
            raise DataError(msg)
    return _distinct(items)


def _distinct(items: list[Named | Exposure]) -> list[Named | Exposure]:
    """Refuse files named twice; drop the DQ files (c1m) whose c0m is there too."""
    places: dict[str, str] = {}
    for item in items:
        if isinstance(item, Named):
            real = os.path.realpath(item.path)
            if real in places:
                also = "" if places[real] == item.path else f" (also as {places[real]})"
                msg = f"{item.path} is named twice{also}; each exposure must be given once"
                raise DataError(msg)
            places[real] = item.path
    sciences = {_stem(i.path) for i in items if isinstance(i, Named) and split_name(i.path)[1] == "c0m"}

    def is_companion(item: Named | Exposure) -> bool:
        return isinstance(item, Named) and split_name(item.path)[1] == "c1m" and _stem(item.path) in sciences

    return [item for item in items if not is_companion(item)]


def _stem(path: str) -> str:
    return os.path.join(os.path.dirname(path), split_name(path)[0])


def _resolve(text: str) -> Iterator[Named]:
    """Files behind one text; names that exist as they stand win over any reading of their characters."""
    if os.path.lexists(text):
        if split_name(text)[1] == "asn":
            yield from _members(text)
        else:
            yield Named(text, "")
    elif text.startswith("@"):
        yield from _listed(text[1:])
    elif "," in text:
        for part in text.split(","):
            if part.strip():
                yield from _resolve(part.strip())
    elif glob.has_magic(text):
        found = sorted(glob.glob(text))
        if not found:
            msg = f"no file matches {text!r} (looked in {os.path.abspath(os.path.dirname(text) or '.')})"
            raise DataError(msg)
        for path in found:
            yield from _resolve(path)
    else:
        msg = f"no such file: {text}"
        raise DataError(msg)


def _listed(path: str) -> Iterator[Named]:
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read the list @{path}: {getattr(error, 'strerror', None) or error}"
        raise DataError(msg) from None
    folder = os.path.dirname(path)
    count = 0
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip()
        if not os.path.lexists(_at(folder, entry)):  # a name may hold the comment sign
            entry = entry.split("#", 1)[0].strip()
        if not entry:
            continue
        count += 1
        for name, weight in _columns(folder, entry):
            if not os.path.lexists(name) and not glob.has_magic(name):
                msg = f"@{path}, line {number}: no such file: {name}"
                raise DataError(msg)
            if weight and not os.path.isfile(weight):
                msg = f"@{path}, line {number}: no such weight image: {weight}"
                raise DataError(msg)
            for named in _resolve(name):
                yield Named(named.path, weight)
    if not count:
        msg = f"the list @{path} names no file"
        raise DataError(msg)


def _columns(folder: str, entry: str) -> Iterator[tuple[str, str]]:
    """One or two names in a line; a name with blanks is one name if it exists so."""
    if os.path.lexists(_at(folder, entry)):
        yield _at(folder, entry), ""
        return
    words = entry.split()
    for k in range(1, len(words)):
        name, weight = _at(folder, " ".join(words[:k])), _at(folder, " ".join(words[k:]))
        if os.path.lexists(name):
            yield name, weight
            return
    yield _at(folder, words[0] if len(words) == 2 else entry), ""


def _at(folder: str, name: str) -> str:
    """A name in a list: beside the list, or, as DrizzlePac has it, from where we stand."""
    name = os.path.expanduser(name)
    beside = os.path.join(folder, name)
    return name if not os.path.lexists(beside) and os.path.lexists(name) else beside


def _members(path: str) -> Iterator[Named]:
    """Present exposures of an association table, all with one suffix."""
    from astropy.io import fits  # late: slow to import

    try:
        with fits.open(path, memmap=False) as opened:
            table = next(hdu.data for hdu in opened if isinstance(hdu, fits.BinTableHDU))
            rows = [(str(r["MEMNAME"]), str(r["MEMTYPE"]), bool(r["MEMPRSNT"])) for r in table]
    except (StopIteration, KeyError, OSError, ValueError) as error:
        msg = f"{path} is no association table (MEMNAME, MEMTYPE, MEMPRSNT): {error}"
        raise DataError(msg) from None
    exposed = [name for name, kind, present in rows if present and kind.strip().upper().startswith("EXP")]
    names = [name.strip().lower() for name in exposed]
    if not names:
        msg = f"{path}: the association has no exposure that is present (MEMTYPE EXP-..., MEMPRSNT true)"
        raise DataError(msg)
    folder = os.path.dirname(path)
    best: dict[str, str] = {}
    for suffix in _MEMBER_SUFFIXES:
        found: dict[str, str] = {}
        for name in names:
            for ending in (".fits", ".fits.gz"):
                candidate = os.path.join(folder, f"{name}_{suffix}{ending}")
                if os.path.exists(candidate):
                    found.setdefault(name, candidate)
        if len(found) > len(best):
            best = found
        if len(found) == len(names):
            break
    missing = [name for name in names if name not in best]
    if missing:
        msg = (
            f"{path}: no file for {', '.join(missing)} (looked for {missing[0]}_flc.fits, _flt, _c0m, _cal, "
            f"_crj in {os.path.abspath(folder or '.')})"
        )
        raise DataError(msg)
    for name in names:
        yield Named(best[name], "")

"""A session as one human-readable file (JSON), and back; what is not understood is refused."""

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from drizzlewb import __version__
from drizzlewb.distortion import replace_tan
from drizzlewb.errors import DataError, DrizzlewbError, ParameterError
from drizzlewb.exposure import Exposure, read_exposures
from drizzlewb.fileio import replaced_when_whole
from drizzlewb.parameters.exchange import DEFAULTS, MAX_BYTES, SESSION_KIND, parse_json
from drizzlewb.parameters.keywords import shown
from drizzlewb.session.history import Change
from drizzlewb.session.plain import (
    applied,
    difference,
    fields_of,
    numbers_of,
    refused,
    selection_from_json,
    selection_to_json,
    state_from_json,
    state_to_json,
    texts_of,
)
from drizzlewb.session.state import State

if TYPE_CHECKING:
    from drizzlewb.session.session import Session

__all__ = ["KIND", "SCHEMA", "open_session", "save"]

KIND = SESSION_KIND
SCHEMA = 1

S = TypeVar("S", bound="Session")


def _exposure_to_json(exposure: Exposure) -> dict[str, Any]:
    path = Path(os.path.abspath(exposure.path))
    return {
        "file": path.name,
        "folder": str(path.parent),
        "rootname": exposure.rootname,
        "bytes": exposure.files[0][1] if exposure.files else 0,
        "weight_map": exposure.weight_map,
        "wcs": [
            {
                "extver": chip.extver,
                "wcsname": chip.wcsname,
                "crval": chip.wcs.crval.tolist(),
                "cd": chip.wcs.cd.ravel().tolist(),
            }
            for chip in exposure.chips
        ],
    }


def _change_to_json(change: Change, other: State) -> dict[str, Any]:
    return {
        "name": change.name,
        "where": change.where,
        "time": change.time,
        "live": change.live,
        "names": list(change.names),
        "state": difference(change.before if other == change.after else change.after, other),
    }


def to_document(session: "Session") -> dict[str, Any]:
    """A session as plain values: what it is now, and how each step of its history differs."""
    with session.lock:
        past, future = [], []
        # Each step says what was otherwise on its far side, seen from the present.
        for change in reversed(session.history.past):
            past.append(_change_to_json(change, change.after))
        for change in reversed(session.history.future):
            future.append(_change_to_json(change, change.before))
        return {
            "kind": KIND,
            "schema": SCHEMA,
            "drizzlewb": __version__,
            "defaults": DEFAULTS,
            "exposures": [_exposure_to_json(e) for e in session.exposures],
            "state": state_to_json(session.state),
            "undo": past,
            "redo": future,
            "selection": selection_to_json(session.selection),
        }


def save(session: "Session", path: str | os.PathLike) -> None:
    """Write a session to a file, whole or not at all.

    Raises
    ------
    DataError
        The file cannot be written.
    """
    text = json.dumps(to_document(session), indent=1, ensure_ascii=False, allow_nan=False)
    try:
        with replaced_when_whole(Path(path)) as part:
            part.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        msg = f"The session cannot be saved to {path}: {error.strerror or error}."
        raise DataError(msg) from error


def _history(rows: list[Any], present: State, *, forwards: bool) -> list[Change]:
    """Steps in the file's order, from the present outwards: forwards those that were undone."""
    kinds = {"name": str, "where": str, "time": str, "live": bool, "names": list, "state": dict}
    near, found = present, []
    for row in rows:
        v = fields_of(row, "a step of the history", kinds)
        far = applied(v["state"], near)
        before, after = (near, far) if forwards else (far, near)
        names = texts_of(v["names"], "the history")
        found.append(Change(v["name"], v["where"], v["time"], before, after, v["live"], names))
        near = far
    return found


def read_document(path: Path) -> dict[str, Any]:
    """Read the JSON of a session file, as far as this version understands it.

    Raises
    ------
    DataError
        Missing, unreadable, too large, or no session.
    ParameterError
        Written by a later drizzlewb, or something in it is not understood.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            limit = MAX_BYTES / 2**20
            msg = f"{path.name} has {size / 2**20:.0f} MB, more than the {limit:.0f} MB of a session file."
            raise DataError(msg)
        text = path.read_bytes()
    except OSError as error:
        msg = f"The session file {path} cannot be read: {error.strerror or error}."
        raise DataError(msg) from None
    try:
        document = parse_json(text)
    except ParameterError as error:
        msg = str(error).replace("the parameter file", f"the session file {path.name}")
        raise DataError(msg[0].upper() + msg[1:] + ".") from None
    if document.get("kind") != KIND:
        msg = f"{path.name} is no session file: its kind is {shown(document.get('kind'))}, not {KIND!r}."
        raise DataError(msg)
    schema = document.get("schema")
    if isinstance(schema, bool) or not isinstance(schema, int) or schema < 1:
        msg = f"{path.name}: schema {shown(schema)} of the session file is no version number."
        raise DataError(msg)
    if schema > SCHEMA:
        by = shown(document.get("drizzlewb"))
        msg = f"{path.name} has schema {schema} (drizzlewb {by}), this one knows {SCHEMA}: update drizzlewb."
        raise ParameterError(msg)
    fields_of(
        document,
        "its outermost level",
        {
            "kind": str,
            "schema": int,
            "drizzlewb": str,
            "defaults": str,
            "exposures": list,
            "state": dict,
            "undo": list,
            "redo": list,
            "selection": dict,
        },
    )
    if document["defaults"] != DEFAULTS:
        said = shown(document["defaults"])
        raise refused(f"differences from the defaults of {said}, not of {DEFAULTS}")
    return document


# ---------------------------------------------------------------- exposures
_WCS_KINDS = {"extver": int, "wcsname": str, "crval": list, "cd": list}


def _entry(value: Any) -> dict[str, Any]:
    kinds = {"file": str, "folder": str, "rootname": str, "bytes": int, "weight_map": str, "wcs": list}
    entry = fields_of(value, "an exposure", kinds)
    name = entry["file"]
    if not name or name in (".", "..") or any(c in name for c in "/\\\0"):
        msg = (
            f"The session file names the exposure {shown(name)}, a path that leaves its folder; "
            "a bare file name is expected."
        )
        raise ParameterError(msg)
    if not os.path.isabs(entry["folder"]) or ".." in Path(entry["folder"]).parts:
        msg = f"The session file names the folder {shown(entry['folder'])}; expected an absolute path."
        raise ParameterError(msg)
    for wcs in entry["wcs"]:
        fields_of(wcs, "the WCS of an exposure", _WCS_KINDS)
    return entry


def _exposures(entries: list[dict[str, Any]], folder: Path | None) -> tuple[list[Exposure], list[str]]:
    """Exposures, with the WCS that they had in the session, and sentences about what has changed."""
    places = [(folder or Path(e["folder"])) / e["file"] for e in entries]
    missing = [str(p) for p in places if not p.is_file()]
    if missing:
        listed = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        msg = (
            f"The exposures of the session are not where they were: {listed} missing. If they were moved, "
            "say where to: Session.open(path, folder=...)."
        )
        raise DataError(msg)
    exposures, notes = [], []
    for entry, path in zip(entries, places, strict=True):
        found = [e for e in read_exposures([path], mixed_detectors=True) if e.rootname == entry["rootname"]]
        if not found:
            msg = f"{path} no longer holds the exposure {shown(entry['rootname'])} of the session."
            raise DataError(msg)
        exposure = dataclasses.replace(found[0], weight_map=entry["weight_map"])
        if exposure.files and exposure.files[0][1] != entry["bytes"]:
            notes.append(f"{path.name} has {exposure.files[0][1]} bytes and had {entry['bytes']}.")
        exposures.append(_with_wcs(exposure, entry["wcs"], notes))
    return exposures, notes


def _with_wcs(exposure: Exposure, solutions: list[dict[str, Any]], notes: list[str]) -> Exposure:
    """Copy with the WCS of the session, which may have been in memory only."""
    said = {w["extver"]: w for w in solutions}
    packed, names = [], []
    for chip in exposure.chips:
        if chip.extver not in said:
            raise refused(f"no WCS of {exposure.rootname}[SCI,{chip.extver}]")
        wcs = said[chip.extver]
        crval = np.array(numbers_of(wcs["crval"], 2, "a WCS"))
        cd = np.array(numbers_of(wcs["cd"], 4, "a WCS")).reshape(2, 2)
        same = np.array_equal(crval, chip.wcs.crval) and np.array_equal(cd, chip.wcs.cd)
        packed.append(chip.wcs if same else replace_tan(chip.wcs, crval, cd))
        names.append(wcs["wcsname"])
    if all(a is c.wcs for a, c in zip(packed, exposure.chips, strict=True)):
        return exposure
    notes.append(
        f"{Path(exposure.path).name} carries the WCS {exposure.wcsname!r}; the session's own, {names[0]!r}, "
        "is used in memory. Session.reload() takes those of the files."
    )
    return exposure.with_wcs(packed, wcsname=names[0])


def open_session(
    cls: type[S], path: str | os.PathLike, *, folder: str | os.PathLike | None = None, **options: Any
) -> S:
    """See `drizzlewb.session.session.Session.open`."""
    document = read_document(Path(path))
    entries = [_entry(e) for e in document["exposures"]]
    state = state_from_json(document["state"])
    state.check()
    past = _history(document["undo"], state, forwards=False)
    future = _history(document["redo"], state, forwards=True)
    selection = selection_from_json(document["selection"])
    exposures, notes = _exposures(entries, Path(folder).expanduser() if folder is not None else None)
    loaded = {e.rootname for e in exposures}
    for name in [m for plan in state.products for m in plan.members] + list(state.alignment.members):
        if name not in loaded:
            raise refused(f"{shown(name)}, which is none of its exposures")
    if "cache" in options:
        options["folder"] = options.pop("cache")
    session = cls(**options)
    try:
        session.restore(exposures, state, past[::-1], future[::-1], selection, notes)
    except DrizzlewbError:
        session.cancel()
        raise
    return session

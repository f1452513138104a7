"""What it takes to undo a change of a file's WCS, kept in the file itself.

The table extension WCSUNDO has one row for every change made here, the last one at the end: its date,
what was done, the names of the solutions, and a record (JSON, compressed) of the cards and extensions as
they were. So a change and the way back are written in one stroke.
"""

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from drizzlewb.errors import DataError
from drizzlewb.products.cards import Cards
from drizzlewb.products.fitsparts import Part, from_hdu, write_parts

__all__ = ["UNDO", "Step", "commit", "read_steps", "undo_last"]

UNDO = "WCSUNDO"
_PIXELS = ("SCI", "ERR", "DQ", "WHT", "CTX")
_FREE = ("", "COMMENT", "HISTORY", "NEXTEND")


@dataclass(frozen=True)
class Step:
    """One change of a file that can be undone.

    Attributes
    ----------
    date : str
        UT, ISO.
    action : str
        'apply', 'activate', 'tweakback', 'headerlet' or 'updatewcs'.
    before, after : str
        WCSNAME of the primary solution.
    record : bytes
        Compressed JSON.
    """

    date: str
    action: str
    before: str
    after: str
    record: bytes


def read_steps(parts: Sequence[Part]) -> list[Step]:
    """Changes that can be undone, the oldest first."""
    for part in parts:
        if part.name == UNDO:
            table = part.hdu().data
            return [
                Step(
                    str(row["DATE"]),
                    str(row["ACTION"]),
                    str(row["BEFORE"]),
                    str(row["AFTER"]),
                    np.asarray(row["RECORD"], np.uint8).tobytes(),
                )
                for row in table
            ]
    return []


def _steps_part(steps: Sequence[Step]) -> Part:
    records = np.empty(len(steps), object)
    records[:] = [np.frombuffer(step.record, np.uint8) for step in steps]
    columns = [fits.Column("DATE", "19A", array=[s.date for s in steps])]
    columns += [
        fits.Column(name, "68A", array=[getattr(s, name.lower()) for s in steps])
        for name in ("ACTION", "BEFORE", "AFTER")
    ]
    columns.append(fits.Column("RECORD", "PB()", array=records))
    hdu = fits.BinTableHDU.from_columns(columns, name=UNDO)
    hdu.header["EXTVER"] = 1
    hdu.header["COMMENT"] = "Earlier WCS cards of this file, by which drizzlewb can revert."
    return from_hdu(hdu)


def commit(
    path: str | Path, old: Sequence[Part], new: Sequence[Part], action: str, before: str, after: str
) -> None:
    """Write a changed file together with the record that undoes the change.

    Parameters
    ----------
    path : path
        The file.
    old, new : sequence of Part
        As it is, and as it shall be (without WCSUNDO, which is taken over from `old`).
    action, before, after : str
        As in `Step`.

    Raises
    ------
    DataError
        Pixels would change, or the file cannot be written.
    """
    kept = [part for part in new if part.name != UNDO]
    kept[0] = _with_nextend(kept[0], len(kept))
    record = _difference(old, kept)
    packed = zlib.compress(json.dumps(record).encode(), 9)
    date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    steps = [*read_steps(old), Step(date, action, before, after, packed)]
    write_parts(path, [*kept, _steps_part(steps)])


def _with_nextend(primary: Part, extensions: int) -> Part:
    cards = primary.cards
    if "NEXTEND" not in cards:
        return primary
    cards.put("NEXTEND", extensions)
    return primary.with_text(cards.text)


def _difference(old: Sequence[Part], new: Sequence[Part]) -> dict[str, Any]:
    """What is needed to make the old file of the new one."""
    rest = list(new)
    entries: list[dict[str, Any]] = []
    for part in old:
        if part.name == UNDO:
            continue
        entry: dict[str, Any] = {"name": part.name, "ver": part.ver}
        found = next((q for q in rest if q.label == part.label), None)
        same = found is not None and _same_data(part, found)
        if part.name in _PIXELS and not same:
            msg = f"pixels of [{part.name},{part.ver}] would change; nothing is written."
            raise DataError(msg)
        if found is not None:
            rest.remove(found)
        if found is None or not same:
            data = base64.b64encode(part.read()).decode()
            entry |= {"kind": part.kind, "old": part.text, "data": data, "replaced": found is not None}
        elif found.text != part.text:
            entry |= {"old": part.text, "new": found.text}
        entries.append(entry)
    return {"hdus": entries, "added": [part.label for part in rest]}


def _same_data(a: Part, b: Part) -> bool:
    if a.path and (a.path, a.offset, a.nbytes) == (b.path, b.offset, b.nbytes):
        return True
    return a.nbytes == b.nbytes and a.read() == b.read()


def undo_last(path: str | Path, parts: Sequence[Part]) -> Step:
    """Take back the last change of a file.

    Headers that nobody touched since become what they were, to the byte; in others the cards that the
    change had touched are put back.

    Raises
    ------
    DataError
        There is nothing to undo, another program has changed the WCS since, or the file cannot be
        written.
    """
    steps = read_steps(parts)
    if not steps:
        msg = (
            f"{path}: nothing to revert, no WCS was written here. To go back to a solution that another "
            "program has archived, activate it by its name."
        )
        raise DataError(msg)
    record = json.loads(zlib.decompress(steps[-1].record))
    rest = [part for part in parts if part.name != UNDO]
    added = {tuple(label) for label in record["added"]}
    result: list[Part] = []
    exact = True
    for entry in record["hdus"]:
        found = next((q for q in rest if q.label == (entry["name"], entry["ver"])), None)
        if "data" in entry:
            if found is not None and entry["replaced"]:
                rest.remove(found)
            content = base64.b64decode(entry["data"])
            kind = entry["kind"]
            result.append(Part(entry["name"], entry["ver"], kind, entry["old"], content, nbytes=len(content)))
            continue
        if found is None:
            # Another program has removed it since; it is not ours to bring back.
            exact = False
            continue
        rest.remove(found)
        if "new" in entry and found.text == entry["new"]:
            found = found.with_text(entry["old"])
        elif "new" in entry:
            exact = False
            found = found.with_text(_merged(path, found, entry["old"], entry["new"]))
        result.append(found)
    later = [part for part in rest if part.label not in added]
    result += later
    if len(steps) > 1:
        result.append(_steps_part(steps[:-1]))
    if later or not exact:
        result[0] = _with_nextend(result[0], len(result) - 1)
    write_parts(path, result)
    return steps[-1]


def _merged(path: str | Path, part: Part, old_text: str, new_text: str) -> str:
    """Put back the cards that the change had touched, in a header that was changed since."""
    old, new, now = Cards(old_text), Cards(new_text), part.cards
    touched = [
        k
        for k in dict.fromkeys([*old.keywords(), *new.keywords()])
        if k not in _FREE and old.images(k) != new.images(k)
    ]
    for keyword in touched:
        if now.images(keyword) != new.images(keyword):
            msg = (
                f"{path}[{part.name},{part.ver}]: {keyword} was changed by another program after this "
                "solution was written, so it cannot be reverted: activate an earlier solution by its name."
            )
            raise DataError(msg)
    for keyword in touched:
        before = old.images(keyword)
        if not before:
            now.drop(keyword)
        elif keyword in now and len(before) == 1:
            now.put_image(keyword, before[0])
        else:
            now.drop(keyword)
            for image in before:
                now.append(image)
    return now.text

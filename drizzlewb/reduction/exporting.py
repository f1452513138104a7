"""Parameters out, in every form, from whatever holds some: a parameter file, a record, a product."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from drizzlewb.errors import DataError, DrizzlewbError, ParameterError
from drizzlewb.fileio import replaced_when_whole
from drizzlewb.parameters import AlignParameters, ReduceParameters
from drizzlewb.parameters.exchange import MAX_BYTES, parse_json, read_parameters, to_json
from drizzlewb.parameters.scripts import drizzlepac_script, drizzlewb_script
from drizzlewb.parameters.teal import to_cfg
from drizzlewb.products.drc import record_parameters, refuse_existing
from drizzlewb.reduction.replay import KIND, load_record

__all__ = ["FORMS", "Source", "decision_words", "export", "read_source", "wcs_words", "write_texts"]

FORMS = ("json", "python", "drizzlepac", "cfg")
"""Our JSON; a script for drizzlewb; a script for DrizzlePac; TEAL's files."""


class Source(NamedTuple):
    """What can be exported.

    Attributes
    ----------
    reduce : ReduceParameters or None
    align : AlignParameters or None
        None where nothing is known of that task.
    files : tuple of str or None
        Files that were combined; None if not known: a script then takes those of its command line.
    align_files : tuple of str or None
        Files that were aligned, if these are others.
    decisions : tuple of str
        Sentences on what was done by hand, and on the WCS that the files must carry.
    notes : tuple of str
        Sentences to show: what was read differently from what the source says.
    """

    reduce: ReduceParameters | None
    align: AlignParameters | None
    files: tuple[str, ...] | None = None
    align_files: tuple[str, ...] | None = None
    decisions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def export(source: Source, to: str, *, stem: str = "parameters") -> dict[str, str]:
    """Write parameters in one of the `FORMS`.

    Parameters
    ----------
    source : Source
    to : str
        'json', 'python', 'drizzlepac' or 'cfg'.
    stem : str
        First part of the file's name; TEAL's files have names of their own.

    Returns
    -------
    dict of str to str
        File name to text: one file, but for 'cfg' one for each task and section.

    Raises
    ------
    ParameterError
        DrizzlePac lacks what a parameter says, or there is no such form.
    """
    reduce, align, files = source.reduce, source.align, source.files
    if to == "json":
        return {f"{stem}.json": to_json(reduce, align) + "\n"}
    if to == "cfg":
        return to_cfg(reduce, align)
    if to not in FORMS:
        msg = f"There is no form {to!r} of parameters: expected one of {', '.join(FORMS)}."
        raise ParameterError(msg)
    script = drizzlewb_script if to == "python" else drizzlepac_script
    text = script(files, reduce, align, align_files=source.align_files, decisions=source.decisions)
    return {f"{stem}_{'drizzlewb' if to == 'python' else 'drizzlepac'}.py": text}


def read_source(path: str | os.PathLike) -> Source:
    """Read what can be exported from a file.

    Parameters
    ----------
    path : path-like
        ``.json`` (parameters of ours of any schema, or a record), ``.py``, ``.cfg``, or a product in FITS
        (its RECORD table).

    Raises
    ------
    DataError
        The file is missing, unreadable, or holds no parameters.
    ParameterError
        Its content is refused.
    """
    path = Path(path)
    if path.suffix.lower() in (".fits", ".fit") or _is_record(path):
        document = load_record(path)
        reduce = record_parameters(document).replace(output=Path(document["output"]).name)
        files = tuple(str(entry["name"]) for entry in document["inputs"])
        decisions = (
            *wcs_words((e["chips"][0]["wcsname"], e["rootname"]) for e in document["inputs"] if e["chips"]),
            *decision_words(document.get("decisions", {})),
        )
        return Source(reduce, None, files, None, decisions)
    found = read_parameters(path)
    return Source(found.reduce, found.align, notes=found.notes)


def _is_record(path: Path) -> bool:
    if path.suffix.lower() != ".json":
        return False
    try:
        return path.stat().st_size <= MAX_BYTES and parse_json(path.read_bytes()).get("kind") == KIND
    except (OSError, DrizzlewbError):
        return False  # whoever reads the file as parameters says what is wrong with it


def wcs_words(names: Iterable[tuple[str, str]]) -> list[str]:
    """Say which WCS the files must carry for the same product: of (WCSNAME, root name) pairs."""
    carried: dict[str, list[str]] = {}
    for wcsname, rootname in names:
        carried.setdefault(wcsname or "without a name", []).append(rootname)
    told = "; ".join(f"{name} ({', '.join(roots)})" for name, roots in carried.items())
    return [f"the files must carry the WCS that was used: {told}"] if told else []


def decision_words(decisions: Mapping[str, Any]) -> list[str]:
    """Say what was decided by hand, as a record holds it, a sentence each.

    Raises
    ------
    DataError
        The decisions are damaged.
    """
    try:
        said = []
        alignment = decisions.get("alignment")
        if alignment is not None:
            stars = len(alignment["rejected_stars"])
            brushed = f", {stars} star{'s' if stars != 1 else ''} left out" if stars else ""
            names = ", ".join(alignment["accepted"])
            said.append(f"by hand: alignment to {alignment['reference']} accepted for {names}{brushed}")
        for mask in decisions.get("masks", ()):
            place = f"[SCI,{mask['extver']}]" if mask.get("extver") else ""
            points = json.dumps(mask["points"])
            size = f", size {mask['size']:g}" if mask.get("size") else ""
            frame = mask.get("frame", "pixel")
            said.append(
                f"by hand: {mask['shape']} drawn on {mask['exposure']}{place}, {frame} {points}{size}"
            )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        msg = f"The decisions of the record are damaged ({type(error).__name__}: {error})."
        raise DataError(msg) from None
    return said


def write_texts(
    texts: Mapping[str, str], folder: str | os.PathLike = ".", *, replace: bool = False
) -> list[Path]:
    """Write what `export` made to a folder.

    Parameters
    ----------
    texts : mapping
        File name to text.
    folder : path-like
    replace : bool
        May existing files be replaced?

    Raises
    ------
    DataError
        A file exists and `replace` is False (nothing is written then), the folder is missing, or the system
        refuses.
    """
    folder = Path(folder)
    if not folder.is_dir():
        msg = f"The folder {folder} for the export does not exist; make it first."
        raise DataError(msg)
    refuse_existing(folder, texts, replace=replace)
    for name, text in texts.items():
        try:
            with replaced_when_whole(folder / name) as part:
                part.write_text(text, encoding="utf-8")
        except OSError as error:
            msg = f"{folder / name} cannot be written: {error.strerror or error}."
            raise DataError(msg) from error
    return [folder / name for name in texts]

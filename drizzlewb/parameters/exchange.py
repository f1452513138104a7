"""Parameters in and out: the five-key dict, and JSON. Scripts and .cfg files are in `scripts` and `teal`.

Every other form is a rendering of the dict. Parameter files are data: parsed, never evaluated.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.parameters.astrodrizzle import GRID_SWITCHES, ReduceParameters
from drizzlewb.parameters.composite import Composite
from drizzlewb.parameters.declare import Parameter, bits_text
from drizzlewb.parameters.keywords import AVERAGED, shown, without_call_arguments
from drizzlewb.parameters.tweakreg import AlignParameters

KEYS = ("tweakreg", "imagefindcfg", "refimagefindcfg", "astrodrizzle", "drizzlewb")
SCHEMA = 1
KIND = "drizzlewb parameters"
SESSION_KIND = "drizzlewb session"
DEFAULTS = "DrizzlePac 3.11.0"
MAX_BYTES = 64 * 2**20
"""A record of thousands of exposures stays far below."""

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""Schema number → function that turns such a document into the next schema's."""

FORCED: dict[str, dict[str, Any]] = {
    "astrodrizzle": {"stepsize": 0, "resetbits": "0"},
    "tweakreg": {"interactive": False},
}
"""What DrizzlePac is told whatever our value: the exact map; leave the files' DQ alone; do not wait."""


class ParameterSet(NamedTuple):
    """Parameters read from a file or dict.

    Attributes
    ----------
    reduce : ReduceParameters or None
    align : AlignParameters or None
        None where the source says nothing about that task.
    notes : tuple of str
        Sentences to show: what was left out or read differently.
    """

    reduce: ReduceParameters | None
    align: AlignParameters | None
    notes: tuple[str, ...] = ()


def peer_value(parameter: Parameter, value: Any) -> Any:
    """Write a typed value as DrizzlePac takes it: pairs, bits, weights and overrides as strings."""
    if parameter.kind == "pair":
        return f"{value[0]!r} {value[1]!r}"
    if parameter.kind == "bits":
        return bits_text(value)
    if parameter.kind == "weight":
        return value if isinstance(value, str) else repr(value)
    if parameter.name in AVERAGED:
        return "" if value is None else repr(value)
    return value


def rendered(model: Composite, sections: Iterable[str]) -> dict[str, Any]:
    """Values of some sections by name, as DrizzlePac takes them; never ``input``."""
    return {
        name: peer_value(parameter, getattr(model.__dict__[section], name))
        for name, places in model.places().items()
        for section, parameter in places
        if section in sections and name != "input"
    }


def dict_of_task(model: Composite, sections: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Keywords for DrizzlePac, and ``task.name`` → our value for what it is told otherwise or not at all."""
    values = rendered(model, sections)
    kept = {}
    for name, forced in FORCED[model.task].items():
        if values[name] != forced:
            kept[f"{model.task}.{name}"] = values[name]
            values[name] = forced
    if isinstance(model, ReduceParameters):
        for section, switch in GRID_SWITCHES.items():
            if not model[switch]:
                # AstroDrizzle turns the switch on when it is given any other keyword of the step.
                for name in type(model.__dict__[section]).model_fields:
                    if name != switch and values.pop(name) not in (None, ""):
                        kept[f"{model.task}.{name}"] = model[name]
    return values, kept


def to_dict(
    reduce: ReduceParameters | None = None, align: AlignParameters | None = None
) -> dict[str, dict[str, Any]]:
    """Make the five-key dict that reproduces a run here and, key by key, in DrizzlePac.

    Parameters
    ----------
    reduce, align : ReduceParameters, AlignParameters, optional
        The dicts of a task that is not given stay empty.

    Returns
    -------
    dict
        Keys `KEYS`. ``AstroDrizzle(files, **d['astrodrizzle'])`` and ``TweakReg(files, **d['tweakreg'],
        imagefindcfg=d['imagefindcfg'], refimagefindcfg=d['refimagefindcfg'])`` take it as it is; plain
        values only. ``d['drizzlewb']`` holds what DrizzlePac does not know, and under ``kept`` our value of
        what DrizzlePac is told otherwise (`FORCED`) or must not be told (a frame whose switch is off).
    """
    out: dict[str, dict[str, Any]] = {key: {} for key in KEYS}
    kept: dict[str, Any] = {}
    if align is not None:
        ours = ("imagefind", "refimagefind", "extra")
        out["tweakreg"], kept = dict_of_task(
            align, [s for s in AlignParameters.model_fields if s not in ours]
        )
        out["imagefindcfg"] = rendered(align, ("imagefind",))
        out["refimagefindcfg"] = rendered(align, ("refimagefind",))
        out["drizzlewb"] |= rendered(align, ("extra",))
    if reduce is not None:
        sections = [s for s in ReduceParameters.model_fields if s != "extra"]
        out["astrodrizzle"], more = dict_of_task(reduce, sections)
        kept |= more
        out["drizzlewb"] |= rendered(reduce, ("extra",))
    if kept:
        out["drizzlewb"]["kept"] = kept
    return out


def from_dict(parameters: Mapping[str, Any]) -> ParameterSet:
    """Read a five-key dict, ours or made for DrizzlePac; keys may be missing.

    Parameters
    ----------
    parameters : mapping
        Any of `KEYS`, each a dict of keywords. A flat dict of AstroDrizzle or TweakReg keywords is taken
        too, where every name belongs to one of them.

    Returns
    -------
    ParameterSet

    Raises
    ------
    ParameterError
        Unknown or obsolete names (with the nearest), wrong types, values out of range.

    Notes
    -----
    As in DrizzlePac, a frame keyword with a value turns its switch on even beside ``final_wcs=False``, and a
    source-finding name among TweakReg's keywords sets imagefind only.
    """
    if not isinstance(parameters, Mapping):
        msg = f"parameters must be a dict with the keys {', '.join(KEYS)}, not {shown(parameters)}"
        raise ParameterError(msg)
    if not any(key in ("tweakreg", "astrodrizzle", "drizzlewb") for key in parameters) and (
        not parameters or any(key not in KEYS for key in parameters)
    ):
        return _from_flat(parameters)
    for key, value in parameters.items():
        if key not in KEYS or not isinstance(value, Mapping):
            msg = f"{shown(key)} in a parameter dict: expected the keys {', '.join(KEYS)}, each a dict"
            raise ParameterError(msg)
    notes: list[str] = []
    cleaned = {
        key: without_call_arguments(parameters.get(key, {}), notes) for key in KEYS if key != "drizzlewb"
    }
    ours = dict(parameters.get("drizzlewb", {}))
    kept = ours.pop("kept", {})
    if not isinstance(kept, Mapping):
        msg = f"drizzlewb.kept must be a dict, not {shown(kept)}"
        raise ParameterError(msg)
    reduce_keywords, align_keywords = cleaned["astrodrizzle"], cleaned["tweakreg"]
    _switch_on(reduce_keywords, notes)
    for name in [n for n in align_keywords if n in AlignParameters.places()]:
        if AlignParameters.places()[name][0].section == "imagefind":
            align_keywords[f"imagefind.{name}"] = align_keywords.pop(name)
            notes.append(f"{name} among TweakReg's keywords sets imagefind only, as in DrizzlePac")
    for section in ("imagefind", "refimagefind"):
        align_keywords |= {f"{section}.{name}": value for name, value in cleaned[f"{section}cfg"].items()}
    for name, value in ours.items():
        places = [t for t in (ReduceParameters, AlignParameters) if "extra" in _sections(t, name)]
        if not places:
            ReduceParameters.from_keywords({f"drizzlewb.{name}": value})  # raises, with the nearest name
        target = reduce_keywords if places[0] is ReduceParameters else align_keywords
        target[f"drizzlewb.{name}"] = value
    for qualified, value in kept.items():
        task, _, name = str(qualified).partition(".")
        target = {"astrodrizzle": reduce_keywords, "tweakreg": align_keywords}.get(task, {})
        # Somebody who edited the dict by hand is right: ours counts only where the export still stands
        # (compared as texts, for a .cfg file holds texts).
        if target and str(target.get(name)) == str(FORCED.get(task, {}).get(name)):
            target[name] = value
    return ParameterSet(
        ReduceParameters.from_keywords(reduce_keywords) if reduce_keywords else None,
        AlignParameters.from_keywords(align_keywords) if align_keywords else None,
        tuple(notes),
    )


def _sections(task: type[Composite], name: str) -> list[str]:
    return [place.section for place in task.places().get(name, ())]


def _switch_on(keywords: dict[str, Any], notes: list[str]) -> None:
    for section, switch in GRID_SWITCHES.items():
        given = [
            name
            for name, value in keywords.items()
            if name != switch
            and section in _sections(ReduceParameters, name)
            and value not in (None, "", "INDEF")
        ]
        if given and keywords.get(switch) in (False, "no", "False"):
            keywords[switch] = True
            notes.append(f"{switch} was off but is turned on by {given[0]}, as in DrizzlePac")


def _from_flat(keywords: Mapping[str, Any]) -> ParameterSet:
    """Read keywords of one task's Python call: the task that knows more of the names."""
    known = {
        key: sum(name in task.places() for name in keywords)
        for key, task in (("astrodrizzle", ReduceParameters), ("tweakreg", AlignParameters))
    }
    if not keywords:
        msg = f"the parameter dict is empty: expected the keys {', '.join(KEYS)}"
        raise ParameterError(msg)
    if known["tweakreg"] <= known["astrodrizzle"]:
        return from_dict({"astrodrizzle": dict(keywords)})
    given = dict(keywords)
    psets: dict[str, Any] = {
        key: given.pop(key) or {} for key in ("imagefindcfg", "refimagefindcfg") if key in given
    }
    return from_dict({"tweakreg": given, **psets})


def to_json(
    reduce: ReduceParameters | None = None, align: AlignParameters | None = None, *, indent: int | None = 1
) -> str:
    """Write the five-key dict as JSON with a schema version."""
    document = {"schema": SCHEMA, "kind": KIND, "defaults": DEFAULTS, "parameters": to_dict(reduce, align)}
    return json.dumps(document, indent=indent, allow_nan=False)


def from_json(text: str | bytes) -> ParameterSet:
    """Read parameters from JSON: ours of any schema so far, a product's record, or a bare dict.

    Raises
    ------
    ParameterError
        Not JSON, too large, too deep, doubled keys, a schema of the future, or a faulty parameter.
    """
    document = parse_json(text)
    if document.get("kind") == SESSION_KIND:
        msg = (
            "this is a session, which may hold many products: open it (drizzlewb.Session.open) and export one"
        )
        raise ParameterError(msg)
    if "parameters" not in document:
        return from_dict(document)
    schema = document.get("schema", SCHEMA)
    if isinstance(schema, bool) or not isinstance(schema, int) or schema < 1:
        msg = f"schema {shown(schema)} of the parameter file is not a version number; expected 1 to {SCHEMA}"
        raise ParameterError(msg)
    if schema > SCHEMA:
        msg = f"the parameter file has schema {schema}, this drizzlewb knows up to {SCHEMA}: update drizzlewb"
        raise ParameterError(msg)
    while schema < SCHEMA:
        document = UPGRADES[schema](document)
        schema += 1
    return from_dict(document["parameters"])


def parse_json(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object strictly: size, depth, doubled keys, NaN and other numbers that JSON lacks.

    Raises
    ------
    ParameterError
        With one sentence.
    """
    if len(text) > MAX_BYTES:
        msg = f"the parameter file is larger than the {MAX_BYTES / 2**20:.0f} MB allowed"
        raise ParameterError(msg)
    try:
        document = json.loads(text, object_pairs_hook=_no_doubles, parse_constant=_no_constant)
    except RecursionError:
        msg = "the parameter file is nested too deeply: parameters are dicts of plain values"
        raise ParameterError(msg) from None
    except UnicodeDecodeError:
        msg = "the parameter file is not a text: expected JSON in UTF-8"
        raise ParameterError(msg) from None
    except ParameterError:
        raise
    except ValueError as error:
        msg = f"the parameter file is not JSON: {error}"
        raise ParameterError(msg) from None
    if not isinstance(document, dict):
        msg = f"the parameter file holds {shown(document)}: expected a JSON object"
        raise ParameterError(msg)
    return document


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        msg = f"the parameter file says {shown(double)} twice"
        raise ParameterError(msg)
    return found


def _no_constant(name: str) -> Any:
    msg = f"the parameter file holds {name}, which is no JSON number"
    raise ParameterError(msg)


def read_parameters(path: str | os.PathLike) -> ParameterSet:
    """Read parameters from a file: ``.json`` (ours or a record), ``.py`` (a script) or ``.cfg`` (TEAL).

    Raises
    ------
    DataError
        The file is missing or unreadable.
    ParameterError
        Its content is refused; the message begins with the file's name.
    """
    from drizzlewb.parameters import scripts, teal

    path = Path(path)
    readers = {".json": from_json, ".py": scripts.from_script, ".cfg": teal.from_cfg}
    if path.suffix.lower() not in readers:
        msg = f"{path.name}: parameters are read from .json, .py or .cfg files"
        raise ParameterError(msg)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            msg = f"{path.name} has {size / 2**20:.0f} MB, more than the {MAX_BYTES / 2**20:.0f} MB allowed"
            raise ParameterError(msg)
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        msg = f"cannot read the parameter file {path}: {error.strerror or error}"
        raise DataError(msg) from None
    except UnicodeDecodeError:
        msg = f"{path.name} is not a text in UTF-8: parameters are read from .json, .py or .cfg files"
        raise ParameterError(msg) from None
    try:
        return readers[path.suffix.lower()](text)
    except ParameterError as error:
        msg = f"{path.name}: {error}"
        raise ParameterError(msg) from None

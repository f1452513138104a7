"""TEAL's .cfg files, in and out: a text of ``name = value`` lines in sections, parsed as data."""

import re
from collections.abc import Iterable
from typing import Any

from drizzlewb import __version__
from drizzlewb.errors import ParameterError
from drizzlewb.parameters import astrodrizzle, tweakreg
from drizzlewb.parameters.astrodrizzle import ReduceParameters
from drizzlewb.parameters.composite import Composite
from drizzlewb.parameters.exchange import (
    FORCED,
    MAX_BYTES,
    ParameterSet,
    dict_of_task,
    from_dict,
    rendered,
    to_dict,
)
from drizzlewb.parameters.keywords import shown
from drizzlewb.parameters.scripts import refuse_what_the_peer_lacks
from drizzlewb.parameters.tweakreg import AlignParameters

TASKS = {
    "astrodrizzle": "astrodrizzle",
    "tweakreg": "tweakreg",
    "imagefindpars": "imagefindcfg",
    "refimagefindpars": "refimagefindcfg",
    "drizzlewb": "drizzlewb",
}
"""Task named in a file → key of the five-key dict."""

PSET_SECTIONS = {
    "_SOURCE FINDING PARS_": "imagefindcfg",
    "_REF IMAGE SOURCE FINDING PARS_": "refimagefindcfg",
}
"""Sections that TweakReg adds when it saves the parameters of a run."""

_LINE = re.compile(r"^\s*(?P<name>[\w.]+|\"[^\"]*\"|'[^']*')\s*=\s*(?P<value>.*)$")
_SECTION = re.compile(r"^\s*\[\s*(?P<name>[^\[\]]+?)\s*\]\s*(#.*)?$")


def to_cfg(reduce: ReduceParameters | None = None, align: AlignParameters | None = None) -> dict[str, str]:
    """Write TEAL's files, one per key of the five-key dict.

    Parameters
    ----------
    reduce, align : ReduceParameters, AlignParameters, optional
        Only the files of the tasks that are given are made.

    Returns
    -------
    dict of str to str
        File name → text: ``astrodrizzle.cfg``, ``tweakreg.cfg``, ``imagefindpars.cfg``,
        ``refimagefindpars.cfg``, and ``drizzlewb.cfg`` with what DrizzlePac does not know. In ``~/.teal``
        DrizzlePac finds them by itself.

    Raises
    ------
    ParameterError
        If DrizzlePac lacks what a parameter says, or a text holds both kinds of quotes.
    """
    refuse_what_the_peer_lacks(reduce, align)
    files = {}
    kept: dict[str, Any] = {}
    if align is not None:
        files["tweakreg.cfg"] = _task_text(align, tweakreg.CFG_SECTIONS, kept)
        for name, key in (("imagefindpars", "imagefind"), ("refimagefindpars", "refimagefind")):
            files[f"{name}.cfg"] = _head(name) + _lines(rendered(align, (key,)))
    if reduce is not None:
        files["astrodrizzle.cfg"] = _task_text(reduce, astrodrizzle.CFG_SECTIONS, kept)
    ours = to_dict(reduce, align)["drizzlewb"]
    ours.pop("kept", None)
    files["drizzlewb.cfg"] = _head("drizzlewb") + _lines(ours) + "\n[kept]\n" + _lines(kept)
    return files


def _task_text(model: Composite, sections: dict[str, str], kept: dict[str, Any]) -> str:
    told, otherwise = dict_of_task(model, sections)
    forced = {f"{model.task}.{name}" for name in FORCED[model.task]}
    # A frame whose switch is off stays in the file: only keywords of a call would turn it on.
    kept |= {name: value for name, value in otherwise.items() if name in forced}
    text = _head(model.task)
    for section, title in sections.items():
        values = rendered(model, (section,))
        values = {name: told.get(name, value) for name, value in values.items()}
        if section == "general":
            values = {"input": "", **values}
        text += (f"\n[{title}]\n" if title else "") + _lines(values)
    return text


def _head(task: str) -> str:
    return f"# Made by drizzlewb {__version__}\n_task_name_ = {task}\n"


def _lines(values: dict[str, Any]) -> str:
    return "".join(f"{name} = {_quoted(name, value)}\n" for name, value in values.items())


def _quoted(name: str, value: Any) -> str:
    if not isinstance(value, str):
        return repr(value)
    if '"' in value and "'" in value:
        msg = f"{name} = {shown(value)} holds both kinds of quotes, which a .cfg file cannot hold"
        raise ParameterError(msg)
    return f"'{value}'" if '"' in value else f'"{value}"'


def from_cfg(texts: str | Iterable[str]) -> ParameterSet:
    """Read one or several .cfg files, saved by TEAL or written by `to_cfg`.

    Parameters
    ----------
    texts : str or iterable of str
        Contents of the files; each names its task in ``_task_name_``.

    Raises
    ------
    ParameterError
        A line that is no ``name = value``, a name given twice, an unknown task, a faulty parameter.

    Notes
    -----
    Values are read as text and typed by the declarations. TEAL's rules and buttons (names that begin with an
    underscore) are skipped; nothing is evaluated.
    """
    found: dict[str, dict[str, Any]] = {}
    for text in [texts] if isinstance(texts, str) else texts:
        for key, values in parse_cfg(text).items():
            if key in found:
                msg = f"two .cfg files are for {key}: give one of each"
                raise ParameterError(msg)
            found[key] = values
    for section, switch in astrodrizzle.GRID_SWITCHES.items():
        # In a file, unlike in a call, the values of a frame do not turn its switch on.
        values = found.get("astrodrizzle", {})
        if str(values.get(switch, "")).lower() in ("false", "no"):
            dormant = {
                name: values.pop(name)
                for name, places in ReduceParameters.places().items()
                if places[0].section == section and name != switch and name in values
            }
            kept = found.setdefault("drizzlewb", {}).setdefault("kept", {})
            kept |= {
                f"astrodrizzle.{n}": v
                for n, v in dormant.items()
                if v.strip().lower() not in ("", "none", "indef")
            }
    return from_dict(found)


def parse_cfg(text: str) -> dict[str, dict[str, Any]]:
    """Parse one .cfg text to keywords by key of the five-key dict; all values stay texts."""
    if len(text) > MAX_BYTES // 16:
        msg = f"the .cfg file is larger than the {MAX_BYTES // 16 / 2**20:.0f} MB allowed"
        raise ParameterError(msg)
    task, section = "", ""
    rows: list[tuple[int, str, str, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if header := _SECTION.match(line):
            section = header["name"]
        elif entry := _LINE.match(line):
            name, value = entry["name"].strip("\"'"), _value(entry["value"], number)
            if name == "_task_name_":
                task = value.rpartition(".")[2]
            elif name == "input" and value in ("", "*flt.fits"):
                continue  # DrizzlePac's default: nothing that would be left out
            elif section != "_RULES_" and not name.startswith("_"):
                rows.append((number, section, name, value))
        else:
            msg = f"line {number} of the .cfg file is no 'name = value': {shown(line)}"
            raise ParameterError(msg)
    if task not in TASKS:
        what = f"names the task {shown(task)}" if task else "names no task (_task_name_)"
        msg = f"the .cfg file {what}: expected one of {', '.join(TASKS)}"
        raise ParameterError(msg)
    found: dict[str, dict[str, Any]] = {TASKS[task]: {}}
    for number, section, name, value in rows:
        values = found.setdefault(PSET_SECTIONS.get(section, TASKS[task]), {})
        if task == "drizzlewb" and section == "kept":
            values = values.setdefault("kept", {})
            if not isinstance(values, dict):
                msg = "the .cfg file gives kept as a value and as a section"
                raise ParameterError(msg)
        if name in values:
            msg = f"line {number} of the .cfg file gives {name} a second time"
            raise ParameterError(msg)
        values[name] = value
    return found


def _value(text: str, number: int) -> str:
    """Value of a line: quotes and comment removed."""
    text = text.strip()
    for quote in ('"""', "'''", '"', "'"):
        if text.startswith(quote):
            end = text.find(quote, len(quote))
            if end < 0:
                msg = f"line {number} of the .cfg file opens a quote that it does not close"
                raise ParameterError(msg)
            rest = text[end + len(quote) :].strip()
            if rest and not rest.startswith("#"):
                msg = f"line {number} of the .cfg file goes on after its quoted value: {shown(rest)}"
                raise ParameterError(msg)
            return text[len(quote) : end]
    return text.partition("#")[0].strip()

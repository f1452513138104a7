"""The parameter reference of the documentation, generated from the declarations."""

from typing import Any

from drizzlewb.parameters import astrodrizzle, tweakreg
from drizzlewb.parameters.astrodrizzle import ReduceParameters
from drizzlewb.parameters.composite import Composite
from drizzlewb.parameters.declare import Parameter, declared
from drizzlewb.parameters.exchange import DEFAULTS, peer_value
from drizzlewb.parameters.tweakreg import AlignParameters

_TITLES = {
    "imagefind": "imagefindpars",
    "refimagefind": "refimagefindpars",
    "extra": "drizzlewb (what DrizzlePac does not know)",
}


def reference() -> str:
    """Write the parameter reference in Markdown.

    Returns
    -------
    str
        One heading per task and section, one entry per parameter.
    """
    parts = [
        "# Parameters\n",
        f"Names, meanings and defaults are those of {DEFAULTS}; each is declared once in "
        "`drizzlewb/parameters`, and this page is generated from the declarations. *Feeds* says what is made "
        "again when the parameter changes; what is computed from that is made again too.\n",
    ]
    for title, task, titles in (
        ("Reduction (AstroDrizzle)", ReduceParameters, astrodrizzle.CFG_SECTIONS),
        ("Alignment (TweakReg)", AlignParameters, tweakreg.CFG_SECTIONS),
    ):
        parts.append(f"## {title}\n")
        for section in task.model_fields:
            parts.append(_section(task, section, titles.get(section) or _TITLES.get(section, "general")))
    return "\n".join(parts)


def _section(task: type[Composite], section: str, title: str) -> str:
    model: Any = task.model_fields[section].annotation
    head = f"### {title} (`{section}`)\n\n{model.__doc__}\n"
    if section == "refimagefind":
        return head + "\nThe same parameters as `imagefind`, for the reference image; they feed refsources.\n"
    return head + "".join(entry(parameter) for parameter in declared(model).values())


def entry(parameter: Parameter) -> str:
    """Write one parameter as a Markdown paragraph."""
    default = peer_value(parameter, parameter.default)
    unit = (
        f", in {parameter.unit}"
        if parameter.unit not in ("", "1") and parameter.unit not in parameter.allowed
        else ""
    )
    feeds = ", ".join(parameter.feeds) or "nothing"
    lines = [
        f"\n**`{parameter.name}`** = `{default!r}` — {parameter.meaning}.",
        f"{parameter.allowed[0].upper()}{parameter.allowed[1:]}{unit}. Feeds {feeds}.",
    ]
    if parameter.status != "honoured":
        lines.append(f"*{parameter.status.capitalize()}*: {parameter.reason}.")
    if parameter.advice:
        lines.append(parameter.advice)
    lines.append(f"[{parameter.source}]")
    return " ".join(line if line.endswith((".", "]")) else line + "." for line in lines) + "\n"

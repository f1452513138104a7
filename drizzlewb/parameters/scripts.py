"""Python scripts that reproduce a run, here or in DrizzlePac; and back: parsed as data, never run."""

import ast
import re
from collections.abc import Sequence
from typing import Any

from drizzlewb import __version__
from drizzlewb.errors import ParameterError
from drizzlewb.parameters.astrodrizzle import ReduceParameters
from drizzlewb.parameters.composite import Composite
from drizzlewb.parameters.exchange import DEFAULTS, KEYS, MAX_BYTES, ParameterSet, from_dict, to_dict
from drizzlewb.parameters.keywords import shown
from drizzlewb.parameters.tweakreg import AlignParameters

LACKING = {
    ("final_kernel", "lanczos2"): "DrizzlePac offers no lanczos2 kernel: choose lanczos3 or square",
    ("driz_sep_kernel", "lanczos2"): "DrizzlePac offers no lanczos2 kernel: choose lanczos3 or turbo",
    ("fitgeometry", "rshift"): "TweakReg has no rshift geometry: choose shift or rscale",
}
"""Values that DrizzlePac lacks, and the sentence that refuses to export them."""

_INTERPOLATED = re.compile(r"%\([^)]*\)s")


def refuse_what_the_peer_lacks(*models: Composite | None) -> None:
    """Raise ParameterError if DrizzlePac cannot do what the parameters say."""
    faults = []
    for model in models:
        values = model.flat() if model is not None else {}
        for (name, value), sentence in LACKING.items():
            if values.get(name) == value:
                faults.append(f"{name} = {value!r} cannot be exported: {sentence}")
        for name, value in values.items():
            if isinstance(value, str) and _INTERPOLATED.search(value):
                faults.append(
                    f"{name} = {shown(value)} cannot be exported: DrizzlePac would replace the "
                    "%(...)s in it; choose another name"
                )
    if faults:
        raise ParameterError("; ".join(faults))


def not_reproduced(
    reduce: ReduceParameters | None, align: AlignParameters | None, decisions: Sequence[str] = ()
) -> list[str]:
    """Say what DrizzlePac will do differently from drizzlewb with these parameters, a sentence each.

    Parameters
    ----------
    reduce, align : ReduceParameters, AlignParameters or None
    decisions : sequence of str, optional
        Further sentences: what was accepted, rejected or drawn by hand.
    """
    said = []
    if align is not None:
        if align.extra.noise == "measured" and (align.imagefind.computesig or align.refimagefind.computesig):
            said.append(
                "threshold is in units of a measured noise here, of sqrt(2 |mode|) in TweakReg: it will find "
                "other sources"
            )
        if align.extra.avoid_saturated:
            said.append(
                "stars next to saturated pixels are left out here; TweakReg leaves out only what peakmax or "
                "dqbits exclude"
            )
        if align.extra.visit_as_one:
            said.append("a visit moves as one body here; TweakReg fits each exposure alone")
        if align.interactive:
            said.append("interactive is set to False, so that the script does not wait")
        if reduce is not None and not align.updatehdr:
            said.append("updatehdr is set to True: AstroDrizzle finds the fitted WCS in the files only")
    if reduce is not None:
        if reduce.driz_cr and not reduce.peer_noise:
            said.append(
                "the noise of the cosmic-ray test counts the sky once here; DrizzlePac counts it twice with "
                "localmin and globalmin, and flags fewer"
            )
        if reduce.final_wht_type == "IVM" and not reduce.peer_noise:
            said.append(
                "IVM weights use the sky on the detector here; DrizzlePac uses MDRIZSKY, 0 for the faintest"
            )
        if reduce["median"]:
            said.append(
                "combine_maskpt is relative to a mean weight computed from the exposure, not measured"
            )
        if reduce.resetbits:
            said.append(
                f"resetbits is '0': here {reduce.resetbits} is cleared in memory, DrizzlePac would rewrite "
                "your files; if they carry such flags, clear them in copies first"
            )
        if reduce.equalise:
            said.append(
                "equalise is done by photeq, which rewrites pixels and PHOTFLAM of the input files, and sees "
                "no sky that the headers may already declare"
            )
        if reduce.proc_unit == "electrons":
            said.append("PHOTFLAM and PHOTFNU follow the electrons here; DrizzlePac leaves them as they are")
        said.append("DrizzlePac writes MDRIZSKY and cosmic-ray flags into the input files: run it on copies")
    return [*said, *decisions]


def _comment(lines: Sequence[str]) -> str:
    return "".join(f"# {line}\n" for text in lines for line in _printable(text).splitlines() or [""])


def _printable(text: str) -> str:
    """A text that cannot leave its comment line: line breaks and control characters as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _literal(value: Any, indent: str = "") -> str:
    """Write plain values as Python source, one item a line."""
    inner = indent + "    "
    if isinstance(value, dict) and value:
        rows = "".join(f"{inner}{key!r}: {_literal(item, inner)},\n" for key, item in value.items())
        return f"{{\n{rows}{indent}}}"
    if isinstance(value, list) and value:
        return "[\n" + "".join(f"{inner}{_literal(item, inner)},\n" for item in value) + f"{indent}]"
    return repr(value)


def _files(
    files: Sequence[str] | None, align_files: Sequence[str] | None, align: AlignParameters | None
) -> tuple[str, str]:
    """Lines that name the input files, and the name of the list that is aligned."""
    if files is None:
        return "\nfiles = sys.argv[1:]  # python SCRIPT FILE...\n", "files"
    lines = f"\nfiles = {_literal([str(f) for f in files])}\n"
    if align is None or align_files is None or list(align_files) == list(files):
        return lines, "files"
    return lines + f"\nalign_files = {_literal([str(f) for f in align_files])}\n", "align_files"


def drizzlepac_script(
    files: Sequence[str] | None,
    reduce: ReduceParameters | None = None,
    align: AlignParameters | None = None,
    *,
    align_files: Sequence[str] | None = None,
    decisions: Sequence[str] = (),
) -> str:
    """Write the Python script that does the same in DrizzlePac.

    Parameters
    ----------
    files : sequence of str or None
        Input files, as the script shall name them; None, those of its command line.
    reduce, align : ReduceParameters, AlignParameters, optional
        The script calls the tasks that are given. With both, TweakReg updates the headers, whatever
        ``updatehdr`` says: AstroDrizzle would not know of the alignment otherwise.
    align_files : sequence of str, optional
        Files to align, if these are not the files to combine.
    decisions : sequence of str, optional
        Sentences on what was done by hand; listed as not reproduced.

    Raises
    ------
    ParameterError
        If DrizzlePac lacks what a parameter says.
    """
    refuse_what_the_peer_lacks(reduce, align)
    parts = [
        _comment(
            [
                f"Made by drizzlewb {__version__} for {DEFAULTS}. What DrizzlePac cannot reproduce:",
                *(f"- {sentence}" for sentence in not_reproduced(reduce, align, decisions)),
            ]
        ),
        "\n",
    ]
    if files is None:
        parts.append("import sys\n\n")
    if reduce is not None:
        parts.append("from drizzlepac.astrodrizzle import AstroDrizzle\n")
        if reduce.equalise:
            parts.append("from drizzlepac.photeq import photeq\n")
    if align is not None:
        parts.append("from drizzlepac.tweakreg import TweakReg\n")
    named, aligned = _files(files, align_files, align)
    parts += [named, f"\nparameters = {_literal(to_dict(reduce, align))}\n\n"]
    if align is not None:
        keywords = "parameters['tweakreg']"
        if reduce is not None and not align.updatehdr:
            keywords = f"{{**{keywords}, 'updatehdr': True}}"
        parts.append(
            f"TweakReg(\n    {aligned},\n    configobj='defaults',\n"
            "    imagefindcfg=parameters['imagefindcfg'],\n"
            f"    refimagefindcfg=parameters['refimagefindcfg'],\n    **{keywords},\n)\n"
        )
    if reduce is not None:
        if reduce.equalise:
            parts.append("photeq(files=','.join(files), readonly=False)\n")
        parts.append("AstroDrizzle(files, configobj='defaults', **parameters['astrodrizzle'])\n")
    return "".join(parts)


def drizzlewb_script(
    files: Sequence[str] | None,
    reduce: ReduceParameters | None = None,
    align: AlignParameters | None = None,
    *,
    align_files: Sequence[str] | None = None,
    decisions: Sequence[str] = (),
) -> str:
    """Write the Python script that does the same in drizzlewb, without a screen; see `drizzlepac_script`."""
    head = [f"Made by drizzlewb {__version__}."]
    if decisions:
        head += ["What parameters alone do not reproduce (a record does):", *(f"- {d}" for d in decisions)]
    named, aligned = _files(files, align_files, align)
    parts = [
        _comment(head),
        "\nimport sys\n" if files is None else "",
        "\nimport drizzlewb as dw\nfrom drizzlewb.parameters.exchange import from_dict\n",
        named,
        f"\nparameters = {_literal(to_dict(reduce, align))}\n\n",
        "chosen = from_dict(parameters)\n",
    ]
    if align is None:
        parts.append("exposures = dw.read_exposures(files)\n")
    else:
        several = ", mixed_detectors=True" if aligned != "files" else ""
        parts.append(
            f"solution = dw.align(dw.read_exposures({aligned}{several}), parameters=chosen.align)\n"
            "exposures = solution.exposures\n"
        )
        if align.updatehdr:
            parts.append("solution.apply()\n")
        if aligned != "files":
            parts.append(
                "combined = {e.rootname for e in dw.read_exposures(files)}\n"
                "exposures = [e for e in exposures if e.rootname in combined]\n"
            )
    if reduce is not None:
        name = "" if reduce["output"] else ", output='final'"  # DrizzlePac's name where none is given
        parts.append(f"product = dw.reduce(exposures, parameters=chosen.reduce{name})\n")
    return "".join(parts)


def from_script(text: str) -> ParameterSet:
    """Read parameters from a Python script, as data.

    Parameters
    ----------
    text : str
        A script that `drizzlepac_script` or `drizzlewb_script` made (its dict ``parameters`` is read); or
        anybody's script that calls ``AstroDrizzle(...)`` or ``TweakReg(...)`` with plain values.

    Raises
    ------
    ParameterError
        No parameters, a value that would have to be computed, or a faulty parameter.

    Notes
    -----
    The text is parsed to a syntax tree; only literals are read from it. Nothing is run.
    """
    if len(text) > MAX_BYTES // 16:
        msg = f"the script is larger than the {MAX_BYTES // 16 / 2**20:.0f} MB allowed"
        raise ParameterError(msg)
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        msg = f"the script is not Python: {error}"
        raise ParameterError(msg) from None
    except (RecursionError, MemoryError):
        msg = "the script is nested too deeply: parameters are dicts of plain values"
        raise ParameterError(msg) from None
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == ["parameters"]:
            value = _plain(node.value, "parameters")
            if isinstance(value, dict) and set(value) <= set(KEYS):
                return from_dict(value)
    found: dict[str, dict[str, Any]] = {}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if name in ("AstroDrizzle", "TweakReg"):
                key = name.lower()
                if key in found:
                    msg = f"the script calls {name} more than once: keep one call"
                    raise ParameterError(msg)
                found[key] = _call(call, name)
    if not found:
        msg = "the script holds no dict `parameters` and no call of AstroDrizzle or TweakReg"
        raise ParameterError(msg)
    for key in ("imagefindcfg", "refimagefindcfg"):
        pset = found.get("tweakreg", {}).pop(key, None)
        if pset is not None:
            found[key] = pset
    return from_dict(found)


def _call(node: ast.Call, name: str) -> dict[str, Any]:
    keywords: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            keywords |= _plain(keyword.value, f"** of {name}")
        elif keyword.arg not in ("input", "files"):
            keywords[keyword.arg] = _plain(keyword.value, keyword.arg)
    return keywords


def _plain(node: ast.expr, what: str) -> Any:
    """Read a literal; dict(a=1) counts as one."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "dict" and not node.args:
        return _call(node, "dict")
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError, SyntaxError):
        code = shown(ast.unparse(node)[:80])
        msg = f"{what} in the script is {code}: only plain values are read, nothing is run"
        raise ParameterError(msg) from None

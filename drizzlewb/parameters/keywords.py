"""From flat keywords to typed values: the border where DrizzlePac's strings are still allowed."""

import difflib
import os
import re
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

from drizzlewb.errors import ParameterError
from drizzlewb.parameters.declare import Parameter, bits_mask

AVERAGED = ("gain", "rdnoise", "exptime")
"""Overrides of header values, for which DrizzlePac takes a list and averages it."""

BLANK = ("", "none", "indef")
_YES = ("yes", "true", "y")
_NO = ("no", "false", "n")

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60
_short.maxlist = _short.maxtuple = _short.maxdict = 4

OBSOLETE = {
    "subsky": "skysub",
    "crbitval": "crbit",
    "readnoise": "rdnoise",
    "bits": "driz_sep_bits and final_bits",
    "ra": "final_ra (and driz_sep_ra)",
    "dec": "final_dec (and driz_sep_dec)",
    "workinplace": "",
    "hmin": "threshold",
    "fwhmpsf": "conv_width",
    "datamin": "peakmin",
    "datamax": "peakmax",
    "rfluxmin": "rminflux",
    "rfluxmax": "rmaxflux",
    "findmode": "catfile",
    "gencatalog": "catfile",
    "undistort": "",
}
"""Names of MultiDrizzle, tweakshifts and early DrizzlePac, and what to write today ("" if nothing)."""

CALL_ARGUMENTS: dict[str, tuple[tuple[Any, ...], str]] = {
    "input": ((None,), "give the files as the first argument"),
    "files": ((None,), "give the files as the first argument"),
    "configobj": ((None, "defaults"), "read a .cfg file with drizzlewb.parameters.exchange.from_cfg"),
    "editpars": ((False, None), "there is no TEAL window: the workbench's panels edit parameters"),
    "mdriztab": ((False, None), "MDRIZTAB rows are presets: choose one by name and look at the differences"),
    "updatewcs": ((False, None), "update the distortion first, as a step of its own"),
    "wcsmap": ((None,), "the pixel map is exact already"),
}
"""Arguments of the Python calls that are no parameters: values without effect; a sentence for others."""


def shown(value: Any) -> str:
    """Show a value in a message, shortened."""
    return _short.repr(value)


def coerce(parameter: Parameter, value: Any) -> Any:
    """Turn a keyword's value, possibly one of DrizzlePac's strings, into the declared type.

    Parameters
    ----------
    parameter : Parameter
        The declaration.
    value
        Python or NumPy value, or a string: ``'3.5 3.0'``, ``'yes'``, ``'INDEF'``, ``''``, ``'0.03'``.

    Returns
    -------
    bool, int, float, str, tuple of float or None

    Raises
    ------
    ParameterError
        If the value cannot be read as that type; ranges are checked by the model.
    """
    if hasattr(value, "tolist") and not isinstance(value, (bytes, memoryview)):
        value = value.tolist()  # NumPy scalars and arrays
    blank = value is None or (isinstance(value, str) and value.strip().lower() in BLANK)
    try:
        if parameter.kind == "bits":
            return bits_mask(value)
        if parameter.name == "keep" and isinstance(value, (list, tuple)):
            value = ",".join(map(str, value))
        if parameter.kind == "text":
            return _text(value)
        if blank:
            if parameter.optional:
                return None
            if parameter.kind == "choice" and value in parameter.choices:
                return value
            msg = "empty"
            raise ValueError(msg)
        if parameter.name in AVERAGED and isinstance(value, str) and "," in value:
            return _average(value)
        return _READERS[parameter.kind](value)
    except (ValueError, TypeError, OverflowError, ZeroDivisionError) as error:
        raise refusal(parameter, value, str(error)) from None


def refusal(parameter: Parameter, value: Any, detail: str = "") -> ParameterError:
    """Make the error for an impossible value: name, value, what is allowed, unit."""
    if value == "tophat":
        return ParameterError(
            f"{parameter.name} = 'tophat': DrizzlePac lists this kernel and raises on it, drizzlewb does "
            f"not have "
            "it; use 'square', 'turbo' or 'point'"
        )
    why = f" ({detail})" if parameter.kind in ("bits", "pair", "text") and detail else ""
    unit = (
        f" [{parameter.unit}]"
        if parameter.unit not in ("", "1") and parameter.unit not in parameter.allowed
        else ""
    )
    return ParameterError(
        f"{parameter.name} = {shown(value)} is not possible: expected {parameter.allowed}{unit}{why}"
    )


def _text(value: Any) -> str:
    if value is None or (isinstance(value, str) and value.strip() in ("INDEF", "None")):
        return ""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        msg = "not a text"
        raise TypeError(msg)
    return str(value)


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else None
    if word in _YES or word in _NO:
        return word in _YES
    msg = "not a switch"
    raise ValueError(msg)


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        msg = "a switch"
        raise TypeError(msg)
    if isinstance(value, str):
        return int(value)
    if isinstance(value, float) and not value.is_integer():
        msg = "a fraction"
        raise ValueError(msg)
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool):
        msg = "a switch"
        raise TypeError(msg)
    return float(value)


def _average(text: str) -> float:
    """Mean of one value per amplifier, without the zeros, as DrizzlePac takes it."""
    numbers = [n for n in map(float, filter(None, map(str.strip, text.split(",")))) if n]
    return sum(numbers) / len(numbers)


def _pair(value: Any) -> tuple[float, float]:
    if isinstance(value, str):
        value = [word for word in re.split(r"[,;\s]+", value.strip("()[] \t")) if word]
    if isinstance(value, (bool, int, float)):
        msg = "one number, two are needed"
        raise TypeError(msg)
    numbers = tuple(_number(item) for item in value)
    if len(numbers) != 2:
        msg = f"{len(numbers)} number(s), two are needed"
        raise ValueError(msg)
    return numbers


def _weight(value: Any) -> float | str:
    if isinstance(value, str) and value.strip().lower() in ("exptime", "expsq"):
        return value.strip().lower()
    number = _number(value)
    if not 0 < number < float("inf"):
        msg = "a weight must be above 0"
        raise ValueError(msg)
    return number


def _choice(value: Any) -> str:
    if not isinstance(value, str):
        msg = "not a text"
        raise TypeError(msg)
    return value.strip()


_READERS = {
    "switch": _switch,
    "integer": _integer,
    "number": _number,
    "pair": _pair,
    "weight": _weight,
    "choice": _choice,
}


def unknown(name: str, known: Iterable[str], task: str) -> ParameterError:
    """Make the error for an unknown name, with what was probably meant."""
    if name in OBSOLETE:
        now = OBSOLETE[name]
        advice = f"write {now}" if now else "there is nothing to set any more"
        return ParameterError(f"{name} is an obsolete name of DrizzlePac's forerunners: {advice}")
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    return ParameterError(f"{shown(name)[1:-1]} is not a parameter of {task}{hint}")


def without_call_arguments(keywords: Mapping[str, Any], notes: list[str] | None = None) -> dict[str, Any]:
    """Leave out arguments of DrizzlePac's Python calls that have no effect here.

    Parameters
    ----------
    keywords : mapping
        By name.
    notes : list of str, optional
        Where an argument asks for something, the sentence that says what to do instead goes here.

    Raises
    ------
    ParameterError
        The same sentence, if there are no `notes`.
    """
    kept = {}
    for name, value in keywords.items():
        if not isinstance(name, str):
            msg = f"parameter names are texts, not {shown(name)}"
            raise ParameterError(msg)
        if name in CALL_ARGUMENTS:
            harmless, sentence = CALL_ARGUMENTS[name]
            plain = value
            if isinstance(value, str):
                word = value.strip().lower()
                plain = None if word in BLANK else False if word in _NO else word
            if not any(plain is h or (isinstance(plain, str) and plain == h) for h in harmless):
                msg = f"{name} = {shown(value)}: {sentence}"
                if notes is None:
                    raise ParameterError(msg)
                notes.append(msg)
        else:
            kept[name] = value
    return kept

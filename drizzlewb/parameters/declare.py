"""How a parameter is declared: once, with all that a form, a help page or a cache key needs.

A field of a step's model is declared by `param`; `declared` reads the declarations back as `Parameter`
rows. Type, choices and "may be None" come from the field's annotation, so nothing is said twice.
"""

import types
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from drizzlewb.quality import ALL_BITS, NAMELESS, good_bit_mask

ARRAYS = ("static", "sky", "median", "crmask", "product")
"""What a parameter may feed: two pre-pass results and the three tiled arrays, in order of computation."""

ALIGNMENT_RESULTS = ("sources", "refsources", "solution")
"""What a parameter of the alignment may feed: sources of the images, of the reference, and the fit."""

RESULTS = ARRAYS + ALIGNMENT_RESULTS

STATUSES = ("honoured", "mapped", "ignored")


def bits_mask(value: Any) -> int | None:
    """Read DQ bits in any form that DrizzlePac takes.

    Parameters
    ----------
    value : int, str, iterable of int or None
        ``336``, ``'336'``, ``'256,64,16'``, ``'256+64+16'``, ``'~4096'``, ``'~(4+8)'``, ``[256, 64]``;
        None, ``''``, ``'None'`` and ``'INDEF'`` mean that DQ is not looked at.

    Returns
    -------
    int or None
        Sum of the bits (0..65535), or None where DQ is not looked at. ``'~4096'`` becomes its 16-bit
        complement, 61439.

    Raises
    ------
    ParameterError
        See `drizzlewb.quality.good_bit_mask`, which reads them; without a detector flags have no names.
    """
    if value is None or (isinstance(value, str) and value.strip().upper() in ("", "NONE", "INDEF")):
        return None
    return good_bit_mask(value, NAMELESS)


def bits_text(mask: int | None) -> str:
    """Write DQ bits as DrizzlePac reads them: ``'336'``, ``'~4096'`` above 15 bits, ``''`` for None.

    The complement is used above 32767 because DQ arrays on disk are signed.
    """
    if mask is None:
        return ""
    return f"~{mask ^ ALL_BITS}" if mask > 0x7FFF else str(mask)


def _positive(pair: tuple[float, float]) -> tuple[float, float]:
    if min(pair) <= 0:
        msg = "both numbers must be greater than 0"
        raise ValueError(msg)
    return pair


def _not_negative(pair: tuple[float, float]) -> tuple[float, float]:
    if min(pair) < 0:
        msg = "both numbers must be at least 0"
        raise ValueError(msg)
    return pair


def _single_bit(value: int) -> int:
    if value & (value - 1):
        msg = f"must be a single DQ bit (a power of two) or 0, not {value}"
        raise ValueError(msg)
    return value


Bits = Annotated[int | None, BeforeValidator(bits_mask), "bits"]
"""DQ bits as one number 0..65535; None where DQ is not looked at."""

BitsOrNone = Annotated[int, BeforeValidator(lambda value: bits_mask(value) or 0), "bits"]
"""DQ bits to act upon; None and 0 are the same, none."""

SingleBit = Annotated[int, AfterValidator(_single_bit)]
PositivePair = Annotated[tuple[float, float], AfterValidator(_positive), "pair"]
Pair = Annotated[tuple[float, float], AfterValidator(_not_negative), "pair"]
WeightScale = Literal["exptime", "expsq"] | float
"""Weight scaling: by exposure time, its square, or one number for all."""


def param(
    default: Any,
    *,
    meaning: str,
    source: str,
    feeds: str | tuple[str, ...],
    unit: str = "",
    advice: str = "",
    status: str = "honoured",
    reason: str = "",
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Any:
    """Declare one parameter as a pydantic field.

    Parameters
    ----------
    default
        DrizzlePac's default, as a typed Python value.
    meaning : str
        One line.
    source : str
        Where the definition or the advice comes from.
    feeds : str or tuple of str
        The arrays or results (`RESULTS`) whose cache key holds this parameter; ``()`` if none depends on
        it.
    unit : str, optional
        Unit of a number, "1" if it has none; "" for text, choices and switches.
    advice : str, optional
        What practitioners do with it, and where documents and code disagree.
    status : {'honoured', 'mapped', 'ignored'}, optional
        What drizzlewb does with it; `reason` is required unless honoured.
    ge, gt, le, lt : float, optional
        Range.

    Returns
    -------
    pydantic.fields.FieldInfo
    """
    feeds = (feeds,) if isinstance(feeds, str) else tuple(feeds)
    unknown = set(feeds) - set(RESULTS)
    if unknown or status not in STATUSES or bool(reason) != (status != "honoured"):
        msg = f"faulty declaration ({meaning!r}): feeds {feeds}, status {status!r}, reason {reason!r}"
        raise TypeError(msg)
    bounds: Any = {k: v for k, v in (("ge", ge), ("gt", gt), ("le", le), ("lt", lt)) if v is not None}
    info: Any = {
        "unit": unit,
        "meaning": meaning,
        "advice": advice,
        "source": source,
        "feeds": list(feeds),
        "status": status,
        "reason": reason,
        "range": bounds,
    }
    return Field(default, description=meaning, json_schema_extra={"drizzlewb": info}, **bounds)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter, as forms, help, documentation and cache keys read it.

    Attributes
    ----------
    name : str
        DrizzlePac's name.
    kind : str
        'switch', 'choice', 'integer', 'number', 'text', 'pair', 'bits' or 'weight'.
    optional : bool
        Whether None is a value.
    choices : tuple of str
        Allowed texts, in DrizzlePac's order; empty if free.
    ge, gt, le, lt : float or None
        Range.
    feeds : tuple of str
        Arrays that depend on it.
    """

    name: str
    kind: str
    optional: bool
    default: Any
    choices: tuple[str, ...]
    unit: str
    meaning: str
    advice: str
    source: str
    feeds: tuple[str, ...]
    status: str
    reason: str
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    @property
    def allowed(self) -> str:
        """What values are allowed, in words."""
        none = ", or None" if self.optional else ""
        if self.kind == "switch":
            return "True or False"
        if self.kind == "choice":
            return "one of " + ", ".join(repr(c) for c in self.choices) + none
        if self.kind == "bits":
            return "DQ bits: 0 to 65535, a list such as '256,64,16', '~4096', or None (DQ not looked at)"
        if self.kind == "weight":
            return "'exptime', 'expsq' or a number above 0"
        if self.kind == "integer" and self.unit == "DQ bit":
            return "a single DQ bit (a power of two up to 32768) or 0"
        unit = f" {self.unit}" if self.unit not in ("", "1") else ""
        bounds = (("at least", self.ge), ("above", self.gt), ("at most", self.le), ("below", self.lt))
        limits = [f"{word} {bound:.10g}" for word, bound in bounds if bound is not None]
        what = {"integer": "an integer", "number": "a number", "text": "a text", "pair": "two numbers"}[
            self.kind
        ]
        if limits:
            what += " " + " and ".join(limits) + unit
        elif unit:
            what += f" in{unit}"
        return what + none


def _unwrap(annotation: Any, metadata: Iterable[Any]) -> tuple[str, bool, tuple[str, ...]]:
    """Kind, optional and choices of a field's annotation."""
    for tag in metadata:
        if tag in ("bits", "pair"):
            return tag, tag == "bits", ()
    if get_origin(annotation) is Annotated:
        base, *more = get_args(annotation)
        return _unwrap(base, more)
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [p for p in get_args(annotation) if p is not type(None)]
        optional = len(parts) < len(get_args(annotation))
        if len(parts) > 1:
            return "weight", optional, ()
        kind, _, choices = _unwrap(parts[0], ())
        return kind, optional, choices
    if get_origin(annotation) is Literal:
        return "choice", False, get_args(annotation)
    return {bool: "switch", int: "integer", float: "number", str: "text"}.get(annotation, "other"), False, ()


@cache
def declared(model: type[BaseModel]) -> dict[str, Parameter]:
    """Read the declarations of one step's model.

    Parameters
    ----------
    model : type
        A model whose fields were declared by `param`.

    Returns
    -------
    dict of str to Parameter
        In order of declaration.
    """
    rows = {}
    renamed = getattr(model, "renamed_feeds", {})
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra
        assert isinstance(extra, dict)
        info: Any = extra["drizzlewb"]
        kind, optional, choices = _unwrap(field.annotation, field.metadata)
        rows[name] = Parameter(
            name=name,
            kind=kind,
            optional=optional,
            default=field.default,
            choices=choices,
            unit=info["unit"],
            meaning=info["meaning"],
            advice=info["advice"],
            source=info["source"],
            feeds=tuple(renamed.get(feed, feed) for feed in info["feeds"]),
            status=info["status"],
            reason=info["reason"],
            **info["range"],
        )
    return rows

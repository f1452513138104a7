"""A table with units as ECSV text, without astropy.table, whose import takes longer than an alignment.

The format is that of astropy's APE 6: a YAML header in comments, then rows separated by blanks.
"""

import json
import math
from collections.abc import Mapping, Sequence

__all__ = ["Meta", "ecsv_text"]

Meta = str | int | float | Mapping[str, str]
"""What the metadata of a table may hold."""

_TYPES = {bool: "bool", int: "int64", float: "float64", str: "string"}


def ecsv_text(
    columns: Mapping[str, Sequence[bool | int | float | str]],
    units: Mapping[str, str],
    meta: Mapping[str, Meta],
) -> str:
    """Text of an ECSV table.

    Parameters
    ----------
    columns : mapping
        Name to values, all of one Python type (bool, int, float or str) and as many in each; at least one
        row.
    units : mapping
        Name to unit, for those that have one.
    meta : mapping
        Texts, numbers, or mappings of texts.

    Returns
    -------
    str
        What ``Table.read(..., format="ascii.ecsv")`` reads back with equal values, types, units and meta.

    Raises
    ------
    TypeError
        A value of another type.
    """
    lines = ["%ECSV 1.0", "---", "datatype:"]
    for name, values in columns.items():
        unit = f"unit: {_yaml(units[name])}, " if name in units else ""
        lines.append(f"- {{name: {_yaml(name)}, {unit}datatype: {_type(values)}}}")
    if meta:
        lines.append("meta: !!omap")
    for name, value in meta.items():
        if isinstance(value, Mapping):
            inside = ", ".join(f"{_yaml(k)}: {_yaml(v)}" for k, v in value.items())
            lines.append(f"- {_yaml(name)}: {{{inside}}}")
        else:
            lines.append(f"- {_yaml(name)}: {_yaml(value)}")
    lines.append("schema: astropy-2.0")
    rows = [" ".join(_cell(name) for name in columns)]
    rows += [" ".join(map(_cell, row)) for row in zip(*columns.values(), strict=True)]
    return "".join(f"# {line}\n" for line in lines) + "".join(f"{row}\n" for row in rows)


def _type(values: Sequence[bool | int | float | str]) -> str:
    kinds = {type(value) for value in values}
    if len(kinds) != 1 or not kinds <= _TYPES.keys():
        found = sorted(kind.__name__ for kind in kinds)
        msg = f"a column of ECSV holds {found}: expected one of bool, int, float, str"
        raise TypeError(msg)
    return _TYPES[kinds.pop()]


def _yaml(value: str | int | float) -> str:
    """A text in double quotes, which JSON and YAML write alike; a number as YAML 1.1 reads it."""
    if isinstance(value, str):
        # JSON writes characters beyond 16 bits as two, which YAML would not join again.
        return json.dumps(value, ensure_ascii=not value.isprintable())
    if isinstance(value, float):
        if math.isnan(value):
            return ".nan"
        if math.isinf(value):
            return ".inf" if value > 0 else "-.inf"
        text = repr(value)
        mantissa, e, exponent = text.partition("e")
        if e and "." not in mantissa:
            mantissa += ".0"
        return f"{mantissa}{e}{exponent}"
    return str(value)


def _cell(value: bool | int | float | str) -> str:
    text = value if isinstance(value, str) else repr(value)
    if not isinstance(value, str) or (text and not set(text) & set(" \"'\t\n\r#,")):
        return text
    return '"' + text.replace('"', '""') + '"'

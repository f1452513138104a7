"""Parameters, each declared once; see DESIGN section 4.

The names below are loaded when they are first used: an alignment needs no model of a reduction.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drizzlewb.parameters.astrodrizzle import ReduceParameters
    from drizzlewb.parameters.presets import reduce_parameters
    from drizzlewb.parameters.tweakreg import AlignParameters

__all__ = ["AlignParameters", "ReduceParameters", "reduce_parameters"]

_HOME = {"AlignParameters": "tweakreg", "ReduceParameters": "astrodrizzle", "reduce_parameters": "presets"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)

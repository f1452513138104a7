"""Align, clean and drizzle Hubble images, watch every step, keep what reproduces it.

The names below are loaded when they are first used, so that ``import drizzlewb`` is quick and needs
no widget library.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "read_exposures": "drizzlewb.exposure",
    "exposure_table": "drizzlewb.exposure",
    "align": "drizzlewb.products.aligned",
    "check_weights": "drizzlewb.steps.weight_check",
    "replay": "drizzlewb.reduction.replay",
    "Session": "drizzlewb.session",
    "Workbench": "drizzlewb.workbench",
    "AlignParameters": "drizzlewb.parameters",
    "reduce": "drizzlewb.reduction.run",
    "preview": "drizzlewb.reduction.run",
    "Reduction": "drizzlewb.reduction.engine",
    "Product": "drizzlewb.products.drc",
    "ReduceParameters": "drizzlewb.parameters",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    msg = f"module 'drizzlewb' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})

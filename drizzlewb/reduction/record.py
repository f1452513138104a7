"""The record of a reduction: everything that makes the same product again."""

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

import numpy as np

from drizzlewb import __version__
from drizzlewb.grid import OutputGrid
from drizzlewb.parameters.exchange import to_dict
from drizzlewb.reduction.schedule import map_unordered

__all__ = ["SCHEMA", "make_record"]

SCHEMA = 1


def versions() -> dict[str, str]:
    """Versions that a product's bits may depend on."""
    found = {name: importlib.metadata.version(name) for name in ("numpy", "numba", "astropy")}
    return {
        "drizzlewb": __version__,
        **found,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def _grid_record(grid: OutputGrid) -> dict[str, Any]:
    header = grid.to_header()
    cards = {k: header[k] for k in header if k not in ("COMMENT", "HISTORY", "")}
    return {"shape": list(grid.shape), "wcs": cards}


def _solution(chip: Any) -> dict[str, Any]:
    """WCS solution of one chip, as used."""
    return {
        "extver": chip.extver,
        "crpix": (np.asarray(chip.wcs.crpix) + 1).tolist(),
        "crval": np.asarray(chip.wcs.crval).tolist(),
        "cd": np.asarray(chip.wcs.cd).tolist(),
        "exptime": chip.exptime,
        "gain": chip.gain,
        "read_noise": chip.read_noise,
    }


def make_record(reduction: Any, root: str) -> dict[str, Any]:
    """The record of a reduction, complete before any pixel is made.

    Parameters
    ----------
    reduction : Reduction
        The reduction; input files are read once for their SHA-256.
    root : str
        Root name of the product.

    Returns
    -------
    dict
        Plain JSON values: schema, versions, all parameters, inputs (name, size, SHA-256 over the
        arrays and the header values used, WCS of each chip), both grids.
    """
    exposures = reduction.exposures
    needs_err = reduction.parameters.final.final_wht_type == "ERR"
    digests: dict[int, str] = {}

    def digest(index: int) -> tuple[int, str]:
        reduction.cancel.check()
        return index, exposures[index].digest(err=needs_err)

    for done, (index, value) in enumerate(
        map_unordered(digest, range(len(exposures)), reduction.cancel, reduction.threads), 1
    ):
        digests[index] = value
        reduction.progress("checksums", done, len(exposures), exposures[index].rootname)
    return {
        "schema": SCHEMA,
        "kind": "drizzlewb record",
        "versions": versions(),
        "output": root,
        "parameters": to_dict(reduction.parameters),
        "inputs": [
            {
                "name": Path(exposure.path).name,
                "rootname": exposure.rootname,
                "bytes": sum(size for _, size, _ in exposure.files),
                "sha256": digests[index],
                "chips": [_solution(chip) for chip in exposure.chips],
            }
            for index, exposure in enumerate(exposures)
        ],
        "grids": {
            "separate": _grid_record(reduction.separate_grid),
            "final": _grid_record(reduction.final_grid),
        },
    }

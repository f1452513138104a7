"""The record of a reduction: everything that makes the same product again."""

import hashlib
import importlib.metadata
import platform
from pathlib import Path
from typing import Any

import numpy as np

from drizzlewb import __version__
from drizzlewb.distortion import tan_wcs
from drizzlewb.grid import OutputGrid
from drizzlewb.kernels.transform import PackedWCS
from drizzlewb.parameters.exchange import to_dict
from drizzlewb.reduction.schedule import map_unordered

__all__ = [
    "NUMBERS",
    "SCHEMA",
    "chip_record",
    "distortion_digest",
    "grid_of_record",
    "make_record",
    "versions",
]

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
    plane = {name: np.asarray(getattr(grid.wcs, name)).tolist() for name in ("crpix", "crval", "cd")}
    # The cards are for people and other programs; the plane, zero-based, is exact to the last bit.
    return {"shape": list(grid.shape), "wcs": cards, "radesys": grid.radesys, "plane": plane}


def grid_of_record(entry: dict[str, Any]) -> OutputGrid:
    """Return the grid of a record, bit for bit."""
    plane = entry["plane"]
    wcs = tan_wcs(plane["crval"], plane["crpix"], plane["cd"])
    return OutputGrid(wcs, tuple(entry["shape"]), entry["radesys"])


NUMBERS = (
    "exptime",
    "to_electrons",
    "gain",
    "read_noise",
    "dark",
    "mdrizsky",
    "photflam",
    "photplam",
    "photzpt",
)
"""Header values of a chip that the product depends on, by their names in `Chip`."""


def distortion_digest(wcs: PackedWCS) -> str:
    """SHA-256 of all that a chip's WCS holds beside its tangent point and matrix."""
    digest = hashlib.sha256()
    for name in wcs._fields:
        if name not in ("crval", "cd"):
            array = np.ascontiguousarray(getattr(wcs, name))
            digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


def chip_record(chip: Any) -> dict[str, Any]:
    """Return WCS solution, header values and drawn masks of one chip, as used."""
    return {
        "extver": chip.extver,
        "wcsname": chip.wcsname,
        "crpix": (np.asarray(chip.wcs.crpix) + 1).tolist(),
        "crval": np.asarray(chip.wcs.crval).tolist(),
        "cd": np.asarray(chip.wcs.cd).tolist(),
        "distortion": distortion_digest(chip.wcs),
        **{name: getattr(chip, name) for name in NUMBERS},
        **({"drawn": [mask.to_dict() for mask in chip.drawn]} if chip.drawn else {}),
    }


def make_record(reduction: Any, root: str, decisions: dict[str, Any] | None = None) -> dict[str, Any]:
    """The record of a reduction, complete before any pixel is made.

    Parameters
    ----------
    reduction : Reduction
        The reduction; input files are read once for their SHA-256.
    root : str
        Root name of the product.
    decisions : dict, optional
        What was decided by hand; plain JSON values.

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
                "chips": [chip_record(chip) for chip in exposure.chips],
            }
            for index, exposure in enumerate(exposures)
        ],
        "grids": {
            "separate": _grid_record(reduction.separate_grid),
            "final": _grid_record(reduction.final_grid),
        },
        **({"decisions": decisions} if decisions else {}),
    }

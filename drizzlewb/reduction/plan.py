"""What a reduction is made of before any pixel is read: grids, checks, keys."""

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.exposure import Exposure
from drizzlewb.grid import OutputGrid, output_grid
from drizzlewb.kernels.transform import PackedWCS
from drizzlewb.parameters import ReduceParameters
from drizzlewb.steps.sky_user import read_mask_catalog

__all__ = ["array_keys", "check_plan", "final_grid", "read_grid", "separate_grid"]

log = logging.getLogger(__name__)


def read_grid(name: str) -> OutputGrid:
    """Grid of a reference image: its SCI extension, or the one named as ``file.fits[sci,1]``.

    Raises
    ------
    DataError
        The file is missing, is not FITS, or has no image with a celestial WCS.
    """
    path, _, extension = name.removesuffix("]").partition("[")
    try:
        with fits.open(path, memmap=False) as hdus:
            if extension:
                label, _, number = extension.partition(",")
                hdu = hdus[int(label)] if label.isdigit() else hdus[label, int(number or 1)]
            elif "SCI" in hdus:
                hdu = hdus["SCI"]
            else:
                images = [h for h in hdus if h.is_image and h.header.get("NAXIS") == 2]
                hdu = images[0] if images else hdus[0]
            return OutputGrid.from_header(hdu.header)
    except (OSError, KeyError, IndexError, ValueError) as error:
        msg = f"The reference image {name} cannot be used ({error}). Give a FITS image, such as a product."
        raise DataError(msg) from error


def _grid(exposures: Sequence[Exposure], parameters: Any, prefix: str) -> OutputGrid:
    """Grid from the parameters of one of the two sections that share their names but for a prefix."""
    chips = [chip for exposure in exposures for chip in exposure.chips]

    def value(name: str) -> Any:
        return getattr(parameters, f"{prefix}_{name}")

    refimage = value("refimage")
    return output_grid(
        chips,
        wcs=value("wcs"),
        refimage=read_grid(refimage) if refimage and value("wcs") else None,
        **{name: value(name) for name in ("rot", "scale", "ra", "dec", "outnx", "outny", "crpix1", "crpix2")},
    )


def separate_grid(exposures: Sequence[Exposure], parameters: ReduceParameters) -> OutputGrid:
    """Grid of the separate images and the median (``driz_sep_wcs`` and its family).

    As in DrizzlePac, it is the default grid of the exposures unless ``driz_sep_wcs`` is set.
    """
    return _grid(exposures, parameters.separate_grid, "driz_sep")


def final_grid(exposures: Sequence[Exposure], parameters: ReduceParameters) -> OutputGrid:
    """Grid of the product (``final_wcs`` and its family)."""
    return _grid(exposures, parameters.final_grid, "final")


def check_plan(exposures: Sequence[Exposure], parameters: ReduceParameters) -> None:
    """Refuse what cannot work, before any pixel is read.

    Raises
    ------
    DataError
        No exposure; exposures whose units differ.
    ParameterError
        Steps switched off that a later step needs.
    """
    if not exposures:
        msg = "There is nothing to drizzle: the list of exposures is empty."
        raise DataError(msg)
    units: dict[str, str] = {}
    for exposure in exposures:
        for chip in exposure.chips:
            units.setdefault(chip.unit, exposure.rootname)
    if len(units) > 1:
        found = ", ".join(f"{unit} ({root})" for unit, root in units.items())
        msg = (
            f"The exposures are in different units: {found}. One product needs one unit: "
            "recalibrate them alike, or drizzle them apart."
        )
        raise DataError(msg)
    if parameters.cosmicray.driz_cr:
        off = [
            name
            for name, on in (
                ("driz_separate", parameters.separate.driz_separate),
                ("median", parameters.median.median),
                ("blot", parameters.blot.blot),
            )
            if not on
        ]
        if off:
            msg = (
                f"driz_cr=True compares each exposure with the blotted median, but {', '.join(off)} is off. "
                f"Switch {', '.join(off)} on, or set driz_cr=False."
            )
            raise ParameterError(msg)


def _wcs_digest(wcs: PackedWCS) -> str:
    digest = hashlib.sha256()
    for part in wcs:
        array = np.ascontiguousarray(part)
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _grid_identity(grid: OutputGrid) -> list:
    return [grid.digest()]


def _named_files(exposures: Sequence[Exposure], parameters: ReduceParameters) -> dict[str, list]:
    """Files that parameters name, with size and time: they may be edited under the same name."""
    p = parameters.sky
    user = p.skyuser.strip()
    sky: list[str | Path] = []
    if p.skysub or user.startswith("@"):
        sky.append(p.skyfile if p.skysub else user[1:])
    if p.skysub and p.skymask_cat.strip():
        folder = Path(p.skymask_cat).parent
        masks = [mask for entry in read_mask_catalog(p.skymask_cat.strip()) for mask in entry.masks if mask]
        sky += [p.skymask_cat.strip(), *(name for name, _ in masks), *(folder / name for name, _ in masks)]
    weights = [e.weight_map for e in exposures] if parameters.final.final_wht_type == "IVM" else []
    return {"sky": _states(sky), "weights": _states(weights)}


def _states(names: Iterable[str | Path]) -> list:
    found = []
    for path in (Path(name) for name in names if str(name)):
        if path.is_file():
            state = path.stat()
            found.append([str(path), state.st_size, state.st_mtime_ns])
    return found


def array_keys(
    exposures: Sequence[Exposure], parameters: ReduceParameters, separate: OutputGrid, final: OutputGrid
) -> dict[str, str]:
    """Keys of the pre-pass and the three arrays: equal keys mean equal pixels.

    A key is a hash of what feeds an array: exposure identities (path, size, mtime), their WCS, the
    parameters declared as feeding it, identities of the files that these name, and the key upstream.
    So a change of ``driz_cr_snr`` leaves the median's key as it was, and a change of ``final_pixfrac``
    leaves both.

    Returns
    -------
    dict
        ``prepass``, ``median``, ``crmask`` and ``product``, each 32 hexadecimal digits.
    """
    inputs = [[e.identity, [_wcs_digest(c.wcs) for c in e.chips]] for e in exposures]

    def key(*parts: object) -> str:
        text = json.dumps(parts, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    named = _named_files(exposures, parameters)
    keys = {
        "prepass": key(
            inputs,
            parameters.feeding("static"),
            parameters.feeding("sky"),
            parameters.separate.driz_sep_bits,
            named["sky"],
        )
    }
    keys["median"] = key(keys["prepass"], parameters.feeding("median"), _grid_identity(separate))
    keys["crmask"] = key(keys["median"], parameters.feeding("crmask"))
    upstream = keys["crmask"] if parameters.cosmicray.driz_cr else keys["prepass"]
    keys["product"] = key(upstream, parameters.feeding("product"), _grid_identity(final), named["weights"])
    return keys

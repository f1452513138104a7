"""The truth that lies beside simulated exposures, written and read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray

from drizzlewb.errors import DataError
from drizzlewb.training.pointing import chip_wcs

__all__ = ["ExposureTruth", "read_catalog", "read_index", "read_truth"]

INDEX_NAME = "truth.json"
CATALOG_NAME = "truth_catalog.fits"


@dataclass(frozen=True)
class ExposureTruth:
    """What really happened to one exposure; one entry per SCI extension in each tuple.

    `wcs` : astropy WCS of the true pointing. `cr_charge` : float32[ny, nx], electrons that cosmic rays left.
    `cr_mask` : bool[ny, nx], at least `drizzlewb.training.cosmicrays.MASK_LEVEL` electrons. `defects` :
    uint16[ny, nx], data-quality bits of the detector's own. `trail` : bool[ny, nx], satellite trail.
    `scene` : float32[ny, nx] or None, expected electrons of stars and galaxies, without sky.
    `header` : primary header of the truth file.
    """

    rootname: str
    header: fits.Header
    wcs: tuple[WCS, ...]
    cr_charge: tuple[NDArray[np.float32], ...]
    cr_mask: tuple[NDArray[np.bool_], ...]
    defects: tuple[NDArray[np.uint16], ...]
    trail: tuple[NDArray[np.bool_], ...]
    scene: tuple[NDArray[np.float32], ...] | None


def charge_table(charge: NDArray[np.float32], extver: int) -> fits.BinTableHDU:
    """Pixels that cosmic rays touched (at least 1 e-), as a table: x, y (zero-based), electrons."""
    y, x = np.nonzero(charge >= 1)
    columns = [
        fits.Column("x", "I", array=x.astype(np.int16)),
        fits.Column("y", "I", array=y.astype(np.int16)),
        fits.Column("electrons", "E", array=charge[y, x]),
    ]
    return fits.BinTableHDU.from_columns(columns, name="CRCHARGE", ver=extver)


def read_index(folder: Path | str) -> dict[str, Any]:
    """`truth.json` of a simulated set.

    Raises
    ------
    DataError
        There is none, or it cannot be read.
    """
    path = Path(folder) / INDEX_NAME
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"reading the truth of a training set: {path} cannot be read ({error}); simulate the set again."
        raise DataError(msg) from error


def read_catalog(folder: Path | str) -> Table:
    """`truth_catalog.fits` of a simulated set: see `drizzlewb.training.scene.make_catalog` for columns.

    For each filter it has ``mag_<filter>`` (VEGAmag) and ``rate_<filter>`` (electrons/s on a pixel of
    IDCSCALE squared, i.e. what a drizzled product in electrons/s sums to).
    """
    path = Path(folder) / CATALOG_NAME
    if not path.is_file():
        msg = f"reading the truth of a training set: {path} is not there; simulate the set again."
        raise DataError(msg)
    table = Table.read(path, format="fits", hdu=1)
    table.convert_bytestring_to_unicode()
    return table


def read_truth(path: Path | str) -> ExposureTruth:
    """Truth of one exposure from ``<rootname>_truth.fits``.

    Raises
    ------
    DataError
        The file is not there or is not a truth file.
    """
    path = Path(path)
    try:
        hdul = fits.open(path, memmap=False)
    except OSError as error:
        msg = f"reading the truth of an exposure: {path} cannot be opened ({error})."
        raise DataError(msg) from error
    with hdul:
        if "CHIPS" not in hdul[0].header:
            msg = f"reading the truth of an exposure: {path} is not a truth file (no CHIPS keyword)."
            raise DataError(msg)
        tables = [hdu.copy() for hdu in hdul if hdu.name in ("D2IMARR", "WCSDVARR")]
        wcs, charge, mask, flaws, trails, scenes = [], [], [], [], [], []
        for extver in range(1, hdul[0].header["CHIPS"] + 1):
            crmask = hdul["CRMASK", extver]
            shape = crmask.data.shape
            wcs.append(chip_wcs(crmask.header, shape, tables))
            rows = hdul["CRCHARGE", extver].data
            plane = np.zeros(shape, np.float32)
            plane[rows["y"], rows["x"]] = rows["electrons"]
            charge.append(plane)
            mask.append((crmask.data & 1).astype(bool))
            trails.append((crmask.data & 2).astype(bool))
            flaws.append(hdul["DEFECTS", extver].data.astype(np.uint16))
            if ("SCENE", extver) in hdul:
                scenes.append(hdul["SCENE", extver].data.astype(np.float32))
        return ExposureTruth(
            rootname=hdul[0].header["ROOTNAME"],
            header=hdul[0].header.copy(),
            wcs=tuple(wcs),
            cr_charge=tuple(charge),
            cr_mask=tuple(mask),
            defects=tuple(flaws),
            trail=tuple(trails),
            scene=tuple(scenes) or None,
        )

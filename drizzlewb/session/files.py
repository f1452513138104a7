"""Files of products: found again in the cache, brought to the user's folder."""

import json
import shutil
from pathlib import Path
from typing import Any

from astropy.io import fits

from drizzlewb.errors import DataError
from drizzlewb.fileio import replaced_when_whole
from drizzlewb.products.drc import Product, check_room, refuse_existing
from drizzlewb.session.cache import Cache

__all__ = ["deliver", "recall"]

_END = "_record.json"


def recall(cache: Cache, key: str) -> Product | None:
    """Product of a key, made by an earlier session with the same folder; None if there is none.

    The record is written last, so that it marks a complete product.
    """
    folder = cache.product_folder(key) if cache.persistent else None
    records = list(folder.glob(f"*{_END}")) if folder is not None and folder.is_dir() else []
    if len(records) != 1:
        return None
    paths = sorted(p for p in folder.iterdir() if p.suffix == ".fits")  # type: ignore[union-attr]
    science = [p for p in paths if not p.name.endswith(("_wht.fits", "_ctx.fits"))]
    products = [p for p in science if p.name.startswith(records[0].name.removesuffix(_END) + "_dr")]
    try:
        record = json.loads(records[0].read_text(encoding="utf-8"))
    except ValueError:
        return None
    if len(products) != 1:
        return None
    return Product(products[0], (*paths, records[0]), record, None)


def deliver(product: Any, stem: str, folder: Path, *, replace: bool) -> list[Path]:
    """Copy the files of a product to a folder under a root name, the record last.

    Parameters
    ----------
    product : Product
    stem : str
        Root name there.
    folder : Path
    replace : bool
        May existing files be replaced?

    Returns
    -------
    list of Path
        The files, the science image first.

    Raises
    ------
    DataError
        A file exists already, the folder is missing or cannot be written, or the disk has too little room.
    """
    record = next(p for p in product.paths if p.name.endswith(_END))
    old = record.name.removesuffix(_END)
    files = sorted(product.paths, key=lambda p: (p == record, p != product.path, p.name))
    names = {
        p: f"{stem}{p.name.removeprefix(old)}" if p.name.startswith(f"{old}_") else p.name for p in files
    }
    check_room(folder, sum(p.stat().st_size for p in files))
    refuse_existing(folder, names.values(), replace=replace)
    written = []
    for source, name in names.items():
        target = folder / name
        try:
            with replaced_when_whole(target) as part:
                shutil.copyfile(source, part)
                if name != source.name and source.suffix == ".fits":
                    fits.setval(part, "FILENAME", value=name)
        except OSError as error:
            msg = f"{target} cannot be written: {error.strerror or error}."
            raise DataError(msg) from error
        written.append(target)
    return written

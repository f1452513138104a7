"""The combined product on disk: written tile by tile, complete or absent."""

import io
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from drizzlewb.errors import DataError
from drizzlewb.fileio import RowBands, open_binary, replaced_when_whole, write_at
from drizzlewb.grid import OutputGrid
from drizzlewb.parameters import ReduceParameters
from drizzlewb.parameters.exchange import from_dict
from drizzlewb.products.blend import table_hdu
from drizzlewb.steps.final import Tile

__all__ = ["Part", "Product", "ProductWriter", "product_names", "record_table"]

BLOCK = 2880  # bytes; FITS files are made of blocks of this size
_ROW = 128  # characters of the record in each row of its table


def product_names(root: str, suffix: str, build: bool) -> dict[str, str]:
    """DrizzlePac's file names: one file, or ``_sci``, ``_wht`` and ``_ctx`` apart.

    Parameters
    ----------
    root : str
        ``output``.
    suffix : str
        ``drc`` for FLC input, ``drw`` for WFPC2, ``drz`` otherwise.
    build : bool
        One multi-extension file?
    """
    stem = root[: -len(f"_{suffix}.fits")] if root.endswith(f"_{suffix}.fits") else root.removesuffix(".fits")
    if build:
        name = f"{stem}_{suffix}.fits"
        return {"sci": name, "wht": name, "ctx": name, "record": f"{stem}_record.json"}
    parts = {part: f"{stem}_{suffix}_{part}.fits" for part in ("sci", "wht", "ctx")}
    return {**parts, "record": f"{stem}_record.json"}


def record_table(record: dict) -> fits.BinTableHDU:
    """The JSON record as a binary table of fixed-width text rows."""
    text = json.dumps(record, ensure_ascii=True, sort_keys=True)
    rows = [text[i : i + _ROW] for i in range(0, len(text), _ROW)]
    column = fits.Column("JSON", f"{_ROW}A", array=np.array(rows, dtype=f"S{_ROW}"))
    table = table_hdu([column], "RECORD")
    table.header["RECLEN"] = (len(text), "characters of JSON in this table")
    return table


def read_record(hdus: fits.HDUList) -> dict:
    """The record of an open product.

    Raises
    ------
    DataError
        The product has no RECORD table, or it is damaged.
    """
    if "RECORD" not in hdus:
        msg = f"{hdus.filename()} has no RECORD table: it was not made by drizzlewb."
        raise DataError(msg)
    table = hdus["RECORD"]
    text = "".join(row.ljust(_ROW) for row in table.data["JSON"])[: table.header["RECLEN"]]
    try:
        return json.loads(text)
    except ValueError as error:
        msg = f"The RECORD table of {hdus.filename()} is damaged: {error}."
        raise DataError(msg) from error


@dataclass
class Part:
    """One image extension whose pixels arrive in tiles.

    Attributes
    ----------
    key : {'sci', 'wht', 'ctx'}
        Which array of a tile it takes.
    header : astropy.io.fits.Header
        Complete header, without structural cards.
    shape : tuple of int
        Array shape; (ny, nx), or (planes, ny, nx).
    dtype : str
        Big-endian dtype as stored.
    """

    key: str
    header: fits.Header
    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Bytes of pixels, without padding."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    def header_bytes(self, *, primary: bool) -> bytes:
        """Header block as it stands in the file."""
        structure = fits.Header()
        if primary:
            structure["SIMPLE"] = (True, "conforms to FITS standard")
        else:
            structure["XTENSION"] = ("IMAGE", "Image extension")
        structure["BITPIX"] = -32 if self.dtype == ">f4" else 32
        structure["NAXIS"] = len(self.shape)
        for axis, length in enumerate(reversed(self.shape), 1):
            structure[f"NAXIS{axis}"] = length
        if primary:
            structure["EXTEND"] = True
        else:
            structure["PCOUNT"] = 0
            structure["GCOUNT"] = 1
            structure["EXTNAME"] = self.key.upper()
            structure["EXTVER"] = 1
        structure.extend(self.header, strip=False, end=True)
        return structure.tostring().encode("ascii")

    def planes(self, fd: int, offset: int) -> list[RowBands]:
        """Its two-dimensional images in a file whose pixels begin at an offset (bytes)."""
        ny, nx = self.shape[-2:]
        count = int(np.prod(self.shape[:-2], dtype=np.int64))
        return [RowBands(fd, offset + 4 * ny * nx * plane, nx, self.dtype) for plane in range(count)]


@dataclass
class _File:
    path: Path
    part_path: Path
    fd: int


class ProductWriter:
    """Writes product files tile by tile under temporary names, and renames them when complete.

    Headers are complete before any pixel. Tiles may come from any thread in any order; those side by side
    have the same rows, and wait in memory for each other.

    Parameters
    ----------
    folder : Path
        Where the product goes.
    layout : dict of Path name to (head, list of Part, tail)
        For each file: leading HDU bytes (may be empty, then the first part is the primary HDU), its
        image parts and the bytes that follow them.
    replace : bool
        May existing files be replaced?

    Raises
    ------
    DataError
        A file exists already and ``replace`` is False; the folder cannot be written; the disk has too
        little room. Nothing has been written then.
    """

    def __init__(
        self, folder: Path, layout: Mapping[str, tuple[bytes, Sequence[Part], bytes]], *, replace: bool
    ) -> None:
        self.folder = Path(folder)
        self._files: list[_File] = []
        self._planes: dict[str, list[RowBands]] = {}
        plan = []
        for name, (head, parts, tail) in layout.items():
            offset = len(head)
            pieces: list[tuple[int, bytes]] = [(0, head)] if head else []
            offsets = {}
            for index, part in enumerate(parts):
                header = part.header_bytes(primary=not head and index == 0)
                pieces.append((offset, header))
                offsets[part.key] = offset + len(header)
                offset = _padded(offset + len(header) + part.nbytes)
            pieces.append((offset, tail))
            plan.append((name, list(parts), pieces, offsets, offset + len(tail)))
        check_room(self.folder, sum(size for *_, size in plan))
        refuse_existing(self.folder, layout, replace=replace)
        try:
            for name, parts, pieces, offsets, size in plan:
                path = self.folder / name
                part_path = path.with_name(path.name + ".part")
                part_path.unlink(missing_ok=True)
                file = _File(path, part_path, open_binary(part_path, write=True))
                self._files.append(file)
                os.ftruncate(file.fd, size)
                for offset, data in pieces:
                    write_at(file.fd, np.frombuffer(data, np.uint8), offset)
                for part in parts:
                    self._planes[part.key] = part.planes(file.fd, offsets[part.key])
        except OSError as error:
            self.abort()
            msg = f"The product cannot be written in {self.folder}: {error.strerror}. Choose another folder."
            raise DataError(msg) from error

    @property
    def paths(self) -> list[Path]:
        """Files of the product."""
        return [file.path for file in self._files]

    @property
    def part_paths(self) -> list[Path]:
        """Where the files are until they are complete."""
        return [file.part_path for file in self._files]

    def write(self, tile: Tile) -> None:
        """Put the pixels of a tile in their place; its arrays are kept for a while and must not change."""
        y0, x0 = tile.region.y0, tile.region.x0
        for key, planes in self._planes.items():
            values = getattr(tile, key)
            for plane, pixels in zip(planes, values if values.ndim == 3 else values[np.newaxis], strict=True):
                plane.put(y0, x0, pixels)

    def finish(self) -> None:
        """Give the complete files their names.

        They are not forced to the disk first: that would take as long as the run itself, and a product
        that a power failure spoils can be made again. A killed process leaves all or nothing.
        """
        for planes in self._planes.values():
            for plane in planes:
                plane.check_finished()
        for file in self._files:
            os.close(file.fd)
            file.fd = -1
        for file in self._files:
            os.replace(file.part_path, file.path)

    def abort(self) -> None:
        """Remove whatever was begun."""
        for file in self._files:
            if file.fd >= 0:
                os.close(file.fd)
                file.fd = -1
            file.part_path.unlink(missing_ok=True)


def refuse_existing(folder: Path, names: Iterable[str], *, replace: bool) -> None:
    """Refuse to overwrite a product unless told to.

    Raises
    ------
    DataError
        A file of that name exists and ``replace`` is False.
    """
    for name in names:
        if not replace and (folder / name).exists():
            msg = (
                f"{folder / name} exists already and was left alone. "
                "Say replace=True (--replace on the command line) to replace it, or choose another output."
            )
            raise DataError(msg)


def check_room(folder: Path, nbytes: int) -> None:
    """Refuse a product that the disk has no room for.

    Raises
    ------
    DataError
        The folder is missing or cannot be written, or the disk has too little room.
    """
    folder = Path(folder)
    if not folder.is_dir():
        msg = f"The folder {folder} for the product does not exist. Make it first, or choose another output."
        raise DataError(msg)
    if not os.access(folder, os.W_OK):
        msg = f"The folder {folder} cannot be written to. Choose a folder you may write to."
        raise DataError(msg)
    free = shutil.disk_usage(folder).free
    if nbytes > free:
        msg = (
            f"The product needs {nbytes / 1e9:.2f} GB but the disk of {folder} has {free / 1e9:.2f} GB left. "
            "Choose a coarser final_scale, a smaller final_outnx/final_outny, or another disk."
        )
        raise DataError(msg)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def hdu_bytes(*hdus: fits.hdu.base._BaseHDU) -> bytes:
    """Bytes of HDUs as they stand in a file, for use as head or tail of a layout."""
    stream = io.BytesIO()
    first, *rest = hdus
    if isinstance(first, fits.PrimaryHDU):
        fits.HDUList([first, *rest]).writeto(stream)
        return stream.getvalue()
    fits.HDUList([fits.PrimaryHDU(), first, *rest]).writeto(stream)
    return stream.getvalue()[BLOCK:]


@dataclass(frozen=True)
class Product:
    """A finished product.

    Attributes
    ----------
    path : Path
        The file that holds SCI.
    paths : tuple of Path
        All files of the product, the record's included.
    record : dict
        What reproduces the product, and what was measured while it was made.
    reduction : object or None
        The reduction that made it, while it is in memory: median and masks can be looked at.
    """

    path: Path
    paths: tuple[Path, ...]
    record: dict
    reduction: Any = None

    @classmethod
    def open(cls, path: Path | str) -> "Product":
        """A product on disk, by the file that holds SCI.

        Raises
        ------
        DataError
            Not a drizzlewb product, or damaged.
        """
        path = Path(path)
        with fits.open(path) as hdus:
            record = read_record(hdus)
        paths = [path]
        if path.name.endswith("_sci.fits"):
            paths += [path.with_name(path.name.replace("_sci.fits", f"_{k}.fits")) for k in ("wht", "ctx")]
        return cls(path, tuple(p for p in paths if p.exists()), record)

    def _image(self, key: str) -> tuple[Any, Any]:
        """Pixels in native byte order and header of a part; None twice where the product has none."""
        path = self.path
        if path.name.endswith("_sci.fits"):
            path = path.with_name(path.name.replace("_sci.fits", f"_{key}.fits"))
            if not path.exists():
                return None, None
            with fits.open(path, memmap=False) as hdus:
                return hdus[0].data.astype(hdus[0].data.dtype.newbyteorder("=")), hdus[0].header
        with fits.open(path, memmap=False) as hdus:
            if key.upper() not in hdus:
                return None, None
            hdu = hdus[key.upper()]
            return hdu.data.astype(hdu.data.dtype.newbyteorder("=")), hdu.header

    @cached_property
    def sci(self) -> np.ndarray:
        """Science image, float32, (y, x), in the units of its BUNIT."""
        return self._image("sci")[0]

    @cached_property
    def wht(self) -> np.ndarray:
        """Weight image, float32, (y, x)."""
        return self._image("wht")[0]

    @cached_property
    def ctx(self) -> np.ndarray | None:
        """Context image, uint32, (y, x) or (planes, y, x); None when ``context=False``."""
        data = self._image("ctx")[0]
        return None if data is None else data.view(np.uint32)

    @cached_property
    def header(self) -> fits.Header:
        """Header of the science image."""
        return self._image("sci")[1]

    @cached_property
    def grid(self) -> OutputGrid:
        """Grid of the product."""
        return OutputGrid.from_header(self.header)

    @property
    def parameters(self) -> ReduceParameters:
        """Parameters that it was made with, as its record holds them."""
        return record_parameters(self.record)

    @property
    def wcs(self):  # noqa: ANN201 -- astropy's WCS is untyped
        """Celestial WCS of the product (`astropy.wcs.WCS`)."""
        from astropy.wcs import WCS

        return WCS(self.grid.to_header())

    @property
    def crmask(self) -> dict[tuple[str, int], np.ndarray]:
        """Cosmic-ray masks by (rootname, SCI extver): uint8, 1 = good, 0 = cosmic ray.

        Raises
        ------
        DataError
            The reduction is no longer in memory.
        """
        if self.reduction is None:
            msg = (
                f"The masks of {self.path.name} went with the run that made it. Replay it "
                "(drizzlewb.replay), or ask for them as files with keep=('crmask',)."
            )
            raise DataError(msg)
        chips = [(e.rootname, c.extver) for e in self.reduction.exposures for c in e.chips]
        return {name: self.reduction.crmask(number) for number, name in enumerate(chips)}


def record_parameters(record: Mapping[str, Any]) -> ReduceParameters:
    """Parameters of the reduction that a record is of.

    Raises
    ------
    DataError
        It holds none.
    ParameterError
        They are not possible.
    """
    found = from_dict(record["parameters"]).reduce
    if found is None:
        msg = "The record holds no parameters of a reduction."
        raise DataError(msg)
    return found


def write_record(path: Path, record: dict) -> None:
    """Write the JSON record beside a product, whole or not at all."""
    with replaced_when_whole(path) as part:
        part.write_text(json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False))

"""Where the parts of a FITS file lie: a scan of its headers that reads no pixel."""

import gzip
import os
import zlib
from collections.abc import Container
from dataclasses import dataclass, replace
from functools import cached_property
from typing import BinaryIO, cast

from drizzlewb.errors import DataError
from drizzlewb.exposure.cards import Cards
from drizzlewb.exposure.plane import Plane, damaged

__all__ = ["HDU", "scan"]

_BLOCK = 2880
_DTYPES = {8: "|u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_LAYOUT = {b"SIMPLE", b"XTENSION", b"BITPIX", b"PCOUNT", b"GCOUNT", b"GROUPS", b"EXTNAME", b"EXTVER",
           b"BSCALE", b"BZERO", b"BLANK", b"PIXVALUE", b"NPIX1", b"NPIX2", b"ZIMAGE"}  # fmt: skip


@dataclass(frozen=True)
class HDU:
    """One header and where its data lie.

    Attributes
    ----------
    number : int
        Position in the file, 0 for the primary.
    name, ver : str, int
        EXTNAME (upper case; 'PRIMARY' for a primary without one) and EXTVER.
    kind : str
        'PRIMARY', 'IMAGE', 'BINTABLE', ...
    text : str
        All cards, 80 characters each, without padding.
    layout : dict
        The cards that say how the data are stored.
    offset, nbytes : int
        First byte of the data in the (unpacked) file, and their number without padding.
    content : bytes
        The data themselves where the scan was asked to keep them, else empty.
    """

    number: int
    name: str
    ver: int
    kind: str
    text: str
    layout: dict
    offset: int
    nbytes: int
    content: bytes = b""

    @cached_property
    def header(self) -> Cards:
        """The cards by keyword."""
        return Cards(self.text)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in numpy's order, () where there are no data."""
        naxis = int(self.layout.get("NAXIS", 0))
        return tuple(int(self.layout.get(f"NAXIS{k}", 0)) for k in range(naxis, 0, -1))

    def plane(self, path: str, shape: tuple[int, int] | None = None) -> "Plane":
        """The two-dimensional image in this HDU.

        An HDU without pixels whose cards NPIX1, NPIX2 and PIXVALUE stand for a constant array (STScI's
        null-data extensions) gives a constant plane; where even these are missing it is zero over
        `shape`.

        Raises
        ------
        DataError
            The HDU is no two-dimensional image.
        """
        c = self.layout
        found = self.shape
        if not found and (shape is not None or "NPIX1" in c):
            ny, nx = (
                int(c.get("NPIX2", shape[0] if shape else 0)),
                int(c.get("NPIX1", shape[1] if shape else 0)),
            )
            return Plane(path, 0, "", (ny, nx), constant=float(c.get("PIXVALUE", 0)))
        if len(found) != 2 or 0 in found:
            msg = f"{path}[{self.name},{self.ver}]: expected an image of two axes, found axes {found}"
            raise DataError(msg)
        blank = c.get("BLANK")
        return Plane(
            path,
            self.offset,
            _DTYPES[int(c["BITPIX"])],
            (found[0], found[1]),
            float(c.get("BSCALE", 1.0)),
            float(c.get("BZERO", 0.0)),
            None if blank is None or int(c["BITPIX"]) < 0 else int(blank),
        )


def scan(path: str, keep: Container[str] = ()) -> list[HDU]:
    """Headers of a FITS file and where their data lie; no pixel is read.

    The data of the extensions named in `keep` are kept as bytes: the small tables of a distortion.

    A ``.gz`` file is decompressed as a stream on the way, for nothing else tells where its parts lie.

    Raises
    ------
    DataError
        The file is absent, a directory, not FITS, tile-compressed, or shorter than its headers say.
    """
    if os.path.isdir(path):
        msg = f"{path} is a directory; name the files in it, e.g. {os.path.join(path, '*_flc.fits')}"
        raise DataError(msg)
    packed = path.lower().endswith(".gz")
    try:
        with gzip.open(path, "rb") if packed else open(path, "rb") as stream:
            return _scan(path, cast(BinaryIO, stream), None if packed else os.path.getsize(path), keep)
    except FileNotFoundError:
        msg = f"no such file: {path}"
        raise DataError(msg) from None
    except gzip.BadGzipFile:
        msg = f"{path} is not FITS: its name ends in .gz but it is no gzip file"
        raise DataError(msg) from None
    except (EOFError, zlib.error) as error:
        raise damaged(path, error) from None
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror or error}"
        raise DataError(msg) from None


def _scan(path: str, stream: BinaryIO, size: int | None, keep: Container[str]) -> list[HDU]:
    hdus: list[HDU] = []
    position = 0
    while True:
        first = stream.read(_BLOCK)
        if not hdus and not first.startswith(b"SIMPLE  ="):
            msg = f"{path} is not FITS: a FITS file begins with 'SIMPLE  =', this one with {first[:9]!r}"
            raise DataError(msg)
        if len(first) < _BLOCK or (hdus and not first.startswith(b"XTENSION")):
            if not hdus:
                msg = f"{path} is truncated: its first header needs {_BLOCK} bytes, the file has {len(first)}"
                raise DataError(msg)
            return hdus  # what follows the last HDU is allowed and has no meaning
        header = bytearray()
        layout: dict[str, str | int | float | bool] = {}
        block: bytes = first
        end = -1
        while end < 0:
            end = _cards(block, layout)
            header += block if end < 0 else block[:end]
            position += _BLOCK
            if end < 0:
                block = stream.read(_BLOCK)
                if len(block) < _BLOCK:
                    msg = f"{path} is truncated: header {len(hdus)} has no END within {position} bytes"
                    raise DataError(msg)
        hdu = _hdu(path, len(hdus), header.decode("ascii", "replace"), layout, position)
        end_of_data = hdu.offset + hdu.nbytes
        missing = size is not None and end_of_data > size
        if hdu.name in keep and not missing:
            hdu = replace(hdu, content=stream.read(hdu.nbytes))
            missing = len(hdu.content) < hdu.nbytes
        elif size is None and hdu.nbytes:
            # Seeking beyond the end of a gzip stream stops there in silence: read the last byte.
            stream.seek(end_of_data - 1)
            missing = not stream.read(1)
        if missing:
            msg = (
                f"{path} is truncated: {hdu.name},{hdu.ver} ends at byte {end_of_data}, "
                f"the file has {stream.tell() if size is None else size} bytes; fetch it again"
            )
            raise DataError(msg)
        hdus.append(hdu)
        position += -(-hdu.nbytes // _BLOCK) * _BLOCK
        stream.seek(position)


def _cards(block: bytes, layout: dict) -> int:
    """Note the cards of a block that tell the layout; position of the END card, or -1."""
    for at in range(0, _BLOCK, 80):
        key = block[at : at + 8].rstrip()
        if key == b"END":
            return at
        if (key in _LAYOUT or key.startswith(b"NAXIS")) and block[at + 8 : at + 10] == b"= ":
            name = key.decode()
            if name not in layout:
                layout[name] = _value(block[at + 10 : at + 80].decode("ascii", "replace"))
    return -1


def _value(text: str) -> str | int | float | bool:
    text = text.strip()
    if text.startswith("'"):
        return text[1:].split("'")[0].strip()
    text = text.split("/")[0].strip()
    if text in ("T", "F"):
        return text == "T"
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text.upper().replace("D", "E"))
    except ValueError:
        return text


def _hdu(path: str, index: int, text: str, layout: dict, offset: int) -> HDU:
    kind = str(layout.get("XTENSION", "PRIMARY")).upper()
    name = str(layout.get("EXTNAME", "PRIMARY" if index == 0 else "")).upper()
    ver = layout.get("EXTVER", 1)
    if layout.get("ZIMAGE") is True:
        msg = (
            f"{path}[{index}] is tile-compressed, which cannot be read by position; unpack it first "
            f"(funpack, or astropy.io.fits.open(...).writeto(...))"
        )
        raise DataError(msg)
    try:
        naxis = int(layout.get("NAXIS", 0))
        axes = [int(layout[f"NAXIS{k}"]) for k in range(1, naxis + 1)]
        bits = abs(int(layout["BITPIX"]))
    except (KeyError, ValueError, TypeError):
        msg = f"{path}[{index}]: the header lacks BITPIX or one of its NAXIS cards; the file is damaged"
        raise DataError(msg) from None
    nbytes = 0
    if axes:
        if layout.get("GROUPS") is True and axes[0] == 0:
            axes = axes[1:]
        count = 1
        for n in axes:
            count *= n
        nbytes = bits // 8 * int(layout.get("GCOUNT", 1)) * (int(layout.get("PCOUNT", 0)) + count)
    return HDU(
        index, name, int(ver) if isinstance(ver, (int, float)) else 1, kind, text, layout, offset, nbytes
    )

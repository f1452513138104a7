"""Boxes of images read by seek: no open handle in the value, no memory map, no astropy.

A `Plane` is path, byte offset, type and shape: small, picklable, safe to read from many threads.
"""

import atexit
import gzip
import hashlib
import logging
import os
import shutil
import tempfile
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drizzlewb.errors import DataError
from drizzlewb.fileio import open_binary, read_at

__all__ = ["Plane", "damaged", "set_scratch_folder", "unpacked"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plane:
    """A two-dimensional array inside a FITS file.

    Attributes
    ----------
    path : str
        The file; for a name that ends in .gz the offset counts in the unpacked file.
    offset : int
        First byte of the array.
    dtype : str
        Type in the file (big-endian); '' for a constant.
    shape : tuple of int
        (ny, nx).
    bscale, bzero : float
        Value = stored * bscale + bzero.
    blank : int or None
        Stored integer that stands for 'undefined'.
    constant : float or None
        The one value of all pixels, if the file stores none.
    """

    path: str
    offset: int
    dtype: str
    shape: tuple[int, int]
    bscale: float = 1.0
    bzero: float = 0.0
    blank: int | None = None
    constant: float | None = None

    def raw(self, region: tuple[int, int, int, int]) -> np.ndarray:
        """Stored values of a box, native byte order, C-contiguous; see `values` for what they mean."""
        y0, y1, x0, x1 = (int(v) for v in region)
        ny, nx = self.shape
        if not (0 <= y0 <= y1 <= ny and 0 <= x0 <= x1 <= nx):
            msg = f"region y {y0}:{y1}, x {x0}:{x1} leaves the image of {ny} rows and {nx} columns"
            raise IndexError(msg)
        dtype = np.dtype(self.dtype)
        out = np.empty((y1 - y0, x1 - x0), dtype.newbyteorder("="))
        if out.size:
            with _handle(unpacked(self.path)) as fd:
                try:
                    _read_box(fd, dtype, out, self.offset, nx, y0, x0)
                except EOFError as error:
                    msg = f"{self.path}: the file has become shorter since it was opened ({error})"
                    raise DataError(msg) from None
        return out

    def values(self, region: tuple[int, int, int, int], factor: float = 1.0) -> np.ndarray:
        """Box of the array as float32, C-contiguous, times a factor; BLANK becomes NaN.

        Parameters
        ----------
        region : (y0, y1, x0, x1)
            Half-open, zero-based, inside the image.
        factor : float
            Multiplied in float32 for float32 data, in float64 before rounding otherwise.
        """
        y0, y1, x0, x1 = region
        if self.constant is not None:
            return np.full((y1 - y0, x1 - x0), self.constant * factor, np.float32)
        raw = self.raw(region)
        if raw.dtype == np.float32 and self.bscale == 1.0 and self.bzero == 0.0:
            if factor != 1.0:
                np.multiply(raw, np.float32(factor), out=raw)
            return raw
        values = raw.astype(np.float64)
        values *= self.bscale * factor
        values += self.bzero * factor
        if self.blank is not None:
            values[raw == self.blank] = np.nan
        with np.errstate(over="ignore"):  # a value beyond float32 is infinite and so a bad pixel
            return values.astype(np.float32)

    def words(self, region: tuple[int, int, int, int]) -> np.ndarray:
        """Box of a DQ array: the lower 16 bits as uint16, C-contiguous."""
        y0, y1, x0, x1 = region
        if self.constant is not None:
            return np.full((y1 - y0, x1 - x0), int(self.constant) & 0xFFFF, np.uint16)
        raw = self.raw(region)
        if raw.dtype.kind == "f":
            raw = np.nan_to_num(raw).astype(np.int64)
        if self.bscale == 1.0 and raw.dtype == np.int16:
            words = raw.view(np.uint16)
            if self.bzero:
                words += np.uint16(int(self.bzero) & 0xFFFF)
            return words
        return ((raw.astype(np.int64) * int(self.bscale) + int(self.bzero)) & 0xFFFF).astype(np.uint16)

    def stored_bytes(self, rows: int = 256) -> Iterator[bytes | memoryview]:
        """The array as it stands in the file, in pieces, each valid until the next; for a digest."""
        if self.constant is not None:
            yield repr((self.shape, self.constant)).encode()
            return
        ny, nx = self.shape
        dtype = np.dtype(self.dtype)
        buffer = np.empty((rows, nx), dtype)
        with _handle(unpacked(self.path)) as fd:
            for y0 in range(0, ny, rows):
                piece = buffer[: min(rows, ny - y0)]
                read_at(fd, piece, self.offset + y0 * nx * dtype.itemsize)
                yield piece.data.cast("B")


_POSITIONED = hasattr(os, "preadv")
_WASTE = 1 << 15  # bytes of a row that are read in vain rather than calling once more


def _read_box(fd: int, dtype: np.dtype, out: np.ndarray, offset: int, nx: int, y0: int, x0: int) -> None:
    """Fill `out` from an image of `dtype` and of row length nx.

    Whole rows in large reads, also where only a part is wanted: a call costs about as much as copying
    8 kB, and each one may have to wait for the interpreter's lock. Row by row only in very wide images.
    """
    rows, columns = out.shape
    size = out.itemsize
    if _POSITIONED and (nx - columns) * size > _WASTE:
        start, step = offset + (y0 * nx + x0) * size, columns * size
        flat = out.data.cast("B")
        for k in range(rows):
            piece = flat[k * step : (k + 1) * step]
            if os.preadv(fd, [piece], start + k * nx * size) != step:
                read_at(fd, out[k], start + k * nx * size)  # goes on to the end or says why not
        if not dtype.isnative:
            out.byteswap(inplace=True)
        return
    at_once = max(1, (1 << 19) // (nx * size))  # half a megabyte stays in the cache
    buffer = np.empty((min(at_once, rows), nx), dtype)
    for k in range(0, rows, at_once):
        n = min(at_once, rows - k)
        read_at(fd, buffer[:n], offset + (y0 + k) * nx * size)
        out[k : k + n] = buffer[:n, x0 : x0 + columns]


# ---------------------------------------------------------------------------------------------------
# Open files. A reader holds the handle, the cache holds it too: it closes when the last one lets go.


class _Handle:
    def __init__(self, path: str):
        self.fd = open_binary(path)

    def __enter__(self) -> int:
        return self.fd

    def __exit__(self, *_: object) -> None:
        pass

    def __del__(self) -> None:
        fd, self.fd = getattr(self, "fd", -1), -1
        if fd >= 0:
            os.close(fd)


_handles: OrderedDict[tuple, _Handle] = OrderedDict()
_handles_lock = threading.Lock()
_MAX_HANDLES = 32


def _handle(path: str) -> _Handle:
    if os.name == "nt":  # an open file could not be replaced there
        return _Handle(path)
    try:
        state = os.stat(path)
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise DataError(msg) from None
    # A file that was replaced is another file: device, inode and time are part of the key.
    key = (path, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
    with _handles_lock:
        handle = _handles.get(key)
        if handle is None:
            handle = _handles[key] = _Handle(path)
            for old in [k for k in _handles if k[0] == path and k != key]:
                del _handles[old]
            while len(_handles) > _MAX_HANDLES:
                _handles.popitem(last=False)
        else:
            _handles.move_to_end(key)
        return handle


# ---------------------------------------------------------------------------------------------------
# Compressed files are unpacked once.

_scratch: str | None = None
_unpacked: dict[tuple[str, int, int], str] = {}
_unpack_lock = threading.Lock()
_unpacking: dict[tuple[str, int, int], threading.Lock] = {}


def set_scratch_folder(folder: str | Path | None) -> None:
    """Folder for unpacked files from now on; None: a temporary one that goes when the process ends."""
    global _scratch
    with _unpack_lock:
        if folder is not None:
            os.makedirs(folder, exist_ok=True)
        _scratch = None if folder is None else os.fspath(folder)
        _unpacked.clear()


def _scratch_folder() -> str:
    global _scratch
    if _scratch is None:
        _scratch = tempfile.mkdtemp(prefix="drizzlewb-")
        atexit.register(shutil.rmtree, _scratch, ignore_errors=True)
    return _scratch


def unpacked(path: str) -> str:
    """Path of the plain file: the same path, or for ``.gz`` a copy unpacked to the scratch folder once.

    Raises
    ------
    DataError
        The file is absent, or its compressed stream is damaged or cut short.
    """
    if not path.lower().endswith(".gz"):
        return path
    try:
        state = os.stat(path)
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise DataError(msg) from None
    key = (path, state.st_size, state.st_mtime_ns)
    ready = _unpacked.get(key)
    if ready is not None and os.path.exists(ready):
        return ready
    with _unpack_lock:
        folder = _scratch_folder()
        os.makedirs(folder, exist_ok=True)
        lock = _unpacking.setdefault(key, threading.Lock())
    with lock:
        ready = _unpacked.get(key)
        if ready is None or not os.path.exists(ready):
            digest = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
            ready = os.path.join(folder, f"{digest}_{os.path.basename(path)[:-3]}")
            part = f"{ready}.{os.getpid()}.part"
            log.info("unpacking %s", path)
            try:
                with gzip.open(path, "rb") as packed, open(part, "wb") as plain:
                    shutil.copyfileobj(packed, plain, 1 << 20)
                os.replace(part, ready)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                _remove(part)
                raise damaged(path, error) from None
            _unpacked[key] = ready
        return ready


def _remove(path: str) -> None:
    if os.path.exists(path):
        os.remove(path)


def damaged(path: str, error: Exception) -> DataError:
    """Error for a compressed file that cannot be unpacked."""
    msg = f"{path} is truncated or damaged: its compressed stream ends early ({error}); fetch it again"
    return DataError(msg)

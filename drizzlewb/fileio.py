"""Positioned reads and writes that threads may do side by side, and files that appear whole."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

__all__ = ["RowBands", "open_binary", "read_at", "replaced_when_whole", "write_at", "write_box"]

_HAS_POSITIONED_IO = hasattr(os, "preadv") and hasattr(os, "pwrite")
_seek_lock = threading.Lock()  # Windows: one file position is shared by all threads


def open_binary(path: Path | str, *, write: bool = False) -> int:
    """File descriptor of a binary file; for writing, the file is made when it is absent."""
    flags = (os.O_RDWR | os.O_CREAT) if write else os.O_RDONLY
    return os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666)


def read_at(fd: int, out: np.ndarray, offset: int) -> None:
    """Fill a C-contiguous array with the bytes that start at an offset.

    Parameters
    ----------
    fd : int
        File descriptor.
    out : ndarray
        Any dtype; its bytes are overwritten as they stand in the file.
    offset : int
        Bytes from the start of the file.

    Raises
    ------
    EOFError
        The file ends before the array is full.
    """
    view = out.data.cast("B")
    while len(view):
        if _HAS_POSITIONED_IO:
            n = os.preadv(fd, [view], offset)
        else:
            with _seek_lock:
                os.lseek(fd, offset, os.SEEK_SET)
                piece = os.read(fd, len(view))
            n = len(piece)
            view[:n] = piece
        if n == 0:
            msg = f"the file ends {len(view)} bytes too early, at byte {offset}"
            raise EOFError(msg)
        view = view[n:]
        offset += n


def write_at(fd: int, values: np.ndarray, offset: int) -> None:
    """Write the bytes of a C-contiguous array at an offset (bytes from the start of the file)."""
    view = values.data.cast("B")
    while len(view):
        if _HAS_POSITIONED_IO:
            n = os.pwrite(fd, view, offset)
        else:
            with _seek_lock:
                os.lseek(fd, offset, os.SEEK_SET)
                n = os.write(fd, view)
        view = view[n:]
        offset += n


def write_box(fd: int, values: np.ndarray, offset: int, row_bytes: int) -> None:
    """Write a C-contiguous 2-D array as a box of a larger image.

    Parameters
    ----------
    fd : int
        File descriptor.
    values : ndarray
        The box, in the byte order of the file.
    offset : int
        Where its first pixel stands, bytes from the start of the file.
    row_bytes : int
        Bytes of a whole row of the image.
    """
    rows, columns = values.shape
    step = columns * values.itemsize
    if step == row_bytes:
        write_at(fd, values, offset)
        return
    if not _HAS_POSITIONED_IO:
        for k, row in enumerate(values):
            write_at(fd, row, offset + k * row_bytes)
        return
    view, put = values.data.cast("B"), os.pwrite
    for k in range(rows):
        if put(fd, view[k * step : (k + 1) * step], offset + k * row_bytes) != step:
            write_at(fd, values[k], offset + k * row_bytes)  # goes on to the end or says why not


class RowBands:
    """An image in a file whose pixels come box by box and are written as whole rows.

    Boxes side by side wait in memory until they fill their rows: the system takes a long piece five times
    as fast as the same bytes in pieces of a few kilobytes. Boxes of zeros alone are not kept, and rows of
    zeros not written; the file must hold them.

    Parameters
    ----------
    fd : int
        File descriptor.
    offset : int
        Where the image begins, bytes from the start of the file.
    columns : int
        Length of its rows, px.
    dtype : str
        As stored.
    """

    def __init__(self, fd: int, offset: int, columns: int, dtype: str) -> None:
        self._fd, self._offset, self._columns, self._dtype = fd, offset, columns, np.dtype(dtype)
        self._lock = threading.Lock()
        self._waiting: dict[int, list[tuple[int, np.ndarray]]] = {}
        self._left: dict[int, int] = {}

    def put(self, y0: int, x0: int, values: np.ndarray) -> None:
        """Put a box at row y0, column x0. Boxes side by side begin and end at the same rows.

        The array is kept and must not change. Unsigned integers are stored with their bits as they are.
        """
        some = bool(values.any())
        with self._lock:
            if some:
                self._waiting.setdefault(y0, []).append((x0, values))
            left = self._left.pop(y0, self._columns) - values.shape[1]
            if left > 0:
                self._left[y0] = left
                return
            boxes = self._waiting.pop(y0, [])
        if not boxes:
            return
        row_bytes = self._columns * self._dtype.itemsize
        at_once = max(1, (1 << 20) // row_bytes)  # a megabyte stays in the cache
        rows = len(values)
        buffer = np.zeros((min(at_once, rows), self._columns), self._dtype)
        for k in range(0, rows, at_once):
            piece = buffer[: min(at_once, rows - k)]
            for x, box in boxes:
                np.copyto(piece[:, x : x + box.shape[1]], box[k : k + at_once], casting="unsafe")
            write_at(self._fd, piece, self._offset + (y0 + k) * row_bytes)

    def check_finished(self) -> None:
        """Raise RuntimeError if rows still wait for a box."""
        if self._left:
            msg = f"the rows that begin at {sorted(self._left)} were never filled"
            raise RuntimeError(msg)


@contextmanager
def replaced_when_whole(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """A temporary path beside a file; it takes the file's name only if the block ends well.

    Links are resolved first, so that the file which a link points to is replaced and not the link.

    Parameters
    ----------
    path : Path
    shared : bool
        Several threads or processes may replace the file at the same time: each writes a temporary file of
        its own, and the last one wins. Otherwise its name is fixed, so that one left by a killed process
        is written over.
    """
    target = Path(os.path.realpath(path))
    own = f".{os.getpid()}-{threading.get_ident()}" if shared else ""
    part = target.with_name(f"{target.name}{own}.part")
    try:
        yield part
        with open(part, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)

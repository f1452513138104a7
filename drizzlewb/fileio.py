"""Positioned reads and writes that threads may do side by side, and files that appear whole."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

__all__ = ["open_binary", "read_at", "replaced_when_whole", "write_at", "write_box"]

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

"""Scratch arrays on disk, made tile by tile."""

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from drizzlewb.fileio import open_binary, read_at, replaced_when_whole, write_at
from drizzlewb.grid import Region

__all__ = ["ChipStack", "TiledArray"]


_LAYOUT = 2  # where pixels lie in the file; one that was laid out in another way is not taken over


class TiledArray:
    """A 2-D array in one scratch file, of which some tiles are already made.

    Writing a tile is idempotent: a tile is a pure function of the run, so that two threads which
    make the same one write the same bytes. Reads and writes are positioned, hence thread-safe; no
    memory map is used, because mapped pages count as resident memory.

    Parameters
    ----------
    path : Path
        Scratch file; a ``.tiles`` file beside it remembers which tiles are valid.
    shape : (int, int)
        (ny, nx), px.
    dtype : numpy dtype
        Element type, native byte order.
    side : int
        Tile side, px.
    """

    def __init__(self, path: Path, shape: tuple[int, int], dtype: DTypeLike, side: int) -> None:
        self.path = Path(path)
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.side = side
        self._tiles_across = -(-shape[1] // side)
        self._lock = threading.Lock()
        self._valid = np.zeros((-(-shape[0] // side), self._tiles_across), dtype=bool)
        self._recall()
        self._fd = open_binary(self.path, write=True)
        os.ftruncate(self._fd, shape[0] * shape[1] * self.dtype.itemsize)

    @property
    def _map_path(self) -> Path:
        return self.path.with_suffix(".tiles")

    def _recall(self) -> None:
        """Take over the tiles of an earlier process, if its file fits this array exactly."""
        try:
            saved = json.loads(self._map_path.read_text())
            fits = (
                saved["layout"] == _LAYOUT
                and saved["shape"] == list(self.shape)
                and saved["side"] == self.side
                and saved["dtype"] == self.dtype.str
                and self.path.stat().st_size == self.shape[0] * self.shape[1] * self.dtype.itemsize
            )
        except (OSError, ValueError, KeyError, TypeError):
            return
        if fits:
            self._valid.flat[saved["valid"]] = True

    def remember(self) -> None:
        """Write the map of valid tiles beside the data, for a later process."""
        with self._lock:
            state = {
                "layout": _LAYOUT,
                "shape": list(self.shape),
                "side": self.side,
                "dtype": self.dtype.str,
                "valid": np.flatnonzero(self._valid).tolist(),
            }
            with replaced_when_whole(self._map_path, shared=True) as part:
                part.write_text(json.dumps(state))

    def close(self) -> None:
        """Close the scratch file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()

    def under(self, region: Region) -> list[Region]:
        """Tiles that a region touches, row by row."""
        region = region.clip(self.shape)
        if region.empty:
            return []
        side, (ny, nx) = self.side, self.shape
        return [
            Region(y0, min(y0 + side, ny), x0, min(x0 + side, nx))
            for y0 in range(region.y0 // side * side, region.y1, side)
            for x0 in range(region.x0 // side * side, region.x1, side)
        ]

    def missing(self, region: Region) -> list[Region]:
        """Tiles under a region that are not made yet, row by row."""
        tiles = self.under(region)
        with self._lock:
            return [t for t in tiles if not self._valid[t.y0 // self.side, t.x0 // self.side]]

    def _place(self, region: Region) -> int:
        """Where a tile begins in the file, bytes: tiles lie one behind the other, each in one piece."""
        row, column = region.y0 // self.side, region.x0 // self.side
        height = min(self.side, self.shape[0] - row * self.side)
        return (row * self.side * self.shape[1] + column * self.side * height) * self.dtype.itemsize

    def write(self, region: Region, values: np.ndarray) -> None:
        """Store the pixels of one whole tile and mark it valid."""
        write_at(self._fd, np.ascontiguousarray(values, dtype=self.dtype), self._place(region))
        with self._lock:
            self._valid[region.y0 // self.side, region.x0 // self.side] = True

    def read(self, region: Region) -> np.ndarray:
        """Pixels of a region whose tiles are all valid, as a new C-contiguous array."""
        out = np.empty(region.shape, dtype=self.dtype)
        for tile in self.under(region):
            wanted = tile.intersect(region)
            # The rows wanted of a tile lie together in the file, whatever its columns.
            rows = np.empty((wanted.y1 - wanted.y0, tile.x1 - tile.x0), self.dtype)
            skipped = (wanted.y0 - tile.y0) * rows.shape[1] * self.dtype.itemsize
            read_at(self._fd, rows, self._place(tile) + skipped)
            out[wanted.slices((region.y0, region.x0))] = rows[:, wanted.x0 - tile.x0 : wanted.x1 - tile.x0]
        return out


class ChipStack:
    """An image of each chip of a stack in one `TiledArray`, one above the other.

    Each chip starts at a tile of its own.

    Parameters
    ----------
    path, dtype, side
        As for `TiledArray`.
    shapes : sequence of (int, int)
        (ny, nx) of each chip, px.
    """

    def __init__(self, path: Path, shapes: Sequence[tuple[int, int]], dtype: DTypeLike, side: int) -> None:
        self._shapes = list(shapes)
        self._rows = max(-(-ny // side) * side for ny, _ in shapes)
        whole = (self._rows * len(shapes), max(nx for _, nx in shapes))
        self._array = TiledArray(path, whole, dtype, side)

    def _place(self, number: int, box: Region) -> Region:
        row = number * self._rows
        return Region(box.y0 + row, box.y1 + row, box.x0, box.x1)

    def missing(self, number: int, box: Region) -> list[Region]:
        """Pieces of chip ``number`` under a box of it that are not made yet, row by row."""
        row = number * self._rows
        tiles = self._array.missing(self._place(number, box))
        return [Region(t.y0 - row, t.y1 - row, t.x0, t.x1).clip(self._shapes[number]) for t in tiles]

    def write(self, number: int, piece: Region, values: np.ndarray) -> None:
        """Store one of the pieces that `missing` tells."""
        place = self._place(number, piece)
        (tile,) = self._array.under(place)
        if tile.shape != piece.shape:  # at the edge of a chip that is narrower or lower than another
            whole = np.zeros(tile.shape, values.dtype)
            whole[: piece.shape[0], : piece.shape[1]] = values
            place, values = tile, whole
        self._array.write(place, values)

    def read(self, number: int, box: Region) -> np.ndarray:
        """Pixels of a box whose pieces are all there, as a new C-contiguous array."""
        return self._array.read(self._place(number, box))

    def remember(self) -> None:
        """Write down what is there, for a later process."""
        self._array.remember()

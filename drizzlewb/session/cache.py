"""Results by key, bounded in memory and on disk: what is used least recently goes first."""

import contextlib
import logging
import os
import re
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Cache", "Result", "nbytes_of"]

log = logging.getLogger(__name__)

MOST_RESULTS = 256
"""Each median and mask holds two open files."""

_ARRAY = re.compile(r"(?:median|crmask)-([0-9a-f]{32})\.(?:bin|tiles)")
_DEEPEST = 8


@dataclass(frozen=True, eq=False)
class Result:
    """What a step made.

    Attributes
    ----------
    step : str
    key : str
        Of the inputs and parameters that it was made from.
    value : object
    seconds : float
        Wall seconds that it took; 0 if it came from the disk.
    """

    step: str
    key: str
    value: Any
    seconds: float = 0.0


def nbytes_of(value: Any, _seen: set[int] | None = None, _depth: int = 0) -> int:
    """Bytes of the arrays that a result holds, each counted once."""
    seen = set() if _seen is None else _seen
    if value is None or isinstance(value, (str, int, float, bool, Path)) or id(value) in seen:
        return 0
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        return int(value.nbytes) if value.base is None else nbytes_of(value.base, seen, _depth + 1)
    if _depth > _DEEPEST:
        return 0
    if isinstance(value, dict):
        parts: Any = value.values()
    elif isinstance(value, (tuple, list, set, frozenset)):
        parts = value
    elif is_dataclass(value):
        parts = [getattr(value, f.name) for f in fields(value)]
    elif hasattr(value, "__dict__"):
        parts = list(vars(value).values())
    else:
        return 0
    return sum(nbytes_of(part, seen, _depth + 1) for part in parts)


class Cache:
    """Results of a session.

    Parameters
    ----------
    folder : Path, optional
        Where scratch arrays and products lie; they stay there and are found again by their keys. Default,
        a temporary folder that goes with this object.
    memory_mb, disk_gb : float
        Limits. What is in use now (pinned) stays even beyond them.
    """

    def __init__(
        self, folder: Path | None = None, *, memory_mb: float = 1000.0, disk_gb: float = 20.0
    ) -> None:
        self.memory_bytes = int(memory_mb * 1e6)
        self.disk_bytes = int(disk_gb * 1e9)
        self._lock = threading.RLock()
        self._results: OrderedDict[tuple[str, str], tuple[Result, int]] = OrderedDict()
        self._given = Path(folder).expanduser().resolve() if folder is not None else None
        self._made: Path | None = None

    @property
    def folder(self) -> Path:
        """Folder of the scratch files, made when first needed."""
        with self._lock:
            if self._made is None:
                if self._given is not None:
                    self._given.mkdir(parents=True, exist_ok=True)
                    self._made = self._given
                else:
                    own = tempfile.TemporaryDirectory(prefix="drizzlewb-session-", ignore_cleanup_errors=True)
                    weakref.finalize(self, own.cleanup)
                    self._made = Path(own.name)
                (self._made / "arrays").mkdir(exist_ok=True)
                (self._made / "products").mkdir(exist_ok=True)
            return self._made

    @property
    def persistent(self) -> bool:
        """Whether the folder outlives this object."""
        return self._given is not None

    @property
    def arrays(self) -> Path:
        """Folder of medians and masks."""
        return self.folder / "arrays"

    def product_folder(self, key: str) -> Path:
        """Folder of the files of one product."""
        return self.folder / "products" / key

    def get(self, step: str, key: str) -> Result | None:
        """Result of a step, None if it is not there; it counts as used."""
        with self._lock:
            found = self._results.get((step, key))
            if found is None:
                return None
            self._results.move_to_end((step, key))
            return found[0]

    def has(self, step: str, key: str) -> bool:
        """Whether a result is there."""
        return (step, key) in self._results

    def put(self, result: Result, pinned: Collection[str] = ()) -> None:
        """Keep a result; forget others if there are too many."""
        with self._lock:
            self._results[result.step, result.key] = (result, nbytes_of(result.value))
            self._results.move_to_end((result.step, result.key))
            self._forget({*pinned, result.key})

    def _forget(self, pinned: Collection[str]) -> None:
        used = sum(size for _, size in self._results.values())
        for place in list(self._results):
            if used <= self.memory_bytes and len(self._results) <= MOST_RESULTS:
                return
            if place[1] not in pinned:
                used -= self._results.pop(place)[1]

    @property
    def memory_used(self) -> int:
        """Bytes of the arrays held."""
        with self._lock:
            return sum(size for _, size in self._results.values())

    def drop(self, key: str) -> None:
        """Forget all results of a key."""
        with self._lock:
            for place in [p for p in self._results if p[1] == key]:
                del self._results[place]

    # ---------------------------------------------------------------- disk
    def tidy(self, pinned: Collection[str]) -> list[str]:
        """Delete what was used least recently until the files fit the limit.

        Parameters
        ----------
        pinned : collection of str
            Keys that stay.

        Returns
        -------
        list of str
            Keys that were deleted.
        """
        with self._lock:
            if self._made is None:
                return []
            groups: dict[str, tuple[float, int, list[Path]]] = {}
            for path in self.arrays.iterdir():
                match = _ARRAY.fullmatch(path.name)
                if match:  # nothing else is ever touched
                    _add(groups, match[1], path)
            for path in (self.folder / "products").iterdir():
                if re.fullmatch(r"[0-9a-f]{32}", path.name) and path.is_dir():
                    _add(groups, path.name, path)
            total = sum(size for _, size, _ in groups.values())
            gone = []
            for key, (_, size, paths) in sorted(groups.items(), key=lambda item: item[1][0]):
                if total <= self.disk_bytes:
                    break
                if key in pinned:
                    continue
                for path in paths:
                    if path.is_dir():
                        shutil.rmtree(path, ignore_errors=True)
                    else:
                        with contextlib.suppress(OSError):  # Windows keeps what is open
                            path.unlink()
                self.drop(key)
                total -= size
                gone.append(key)
            return gone

    def touch(self, key: str) -> None:
        """Count the files of a key as used now."""
        with self._lock:
            if self._made is None:
                return
            names = [self.arrays / f"{kind}-{key}.bin" for kind in ("median", "crmask")]
            for path in [*names, self.product_folder(key)]:
                if path.exists():
                    os.utime(path)


def _add(groups: dict[str, tuple[float, int, list[Path]]], key: str, path: Path) -> None:
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    when, size, paths = groups.get(key, (0.0, 0, []))
    stats = [f.stat() for f in files]
    # Scratch files are sparse: what they take is what counts.
    taken = sum(getattr(s, "st_blocks", -(-s.st_size // 512)) * 512 for s in stats)
    when = max([when, path.stat().st_mtime])
    groups[key] = (when, size + taken, [*paths, path])

"""Training sets on disk: simulated once and kept in a cache, or fetched from the archive."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import logging
import os
import shutil
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import astropy
import numpy as np
import scipy

import drizzlewb
from drizzlewb.errors import DataError, ParameterError
from drizzlewb.training.archive import ArchiveFile, Progress, Unreachable, check_fits, download
from drizzlewb.training.programme import PROGRAMME
from drizzlewb.training.simulate import FORMAT, simulate
from drizzlewb.training.solutions import activate_solution

__all__ = ["CACHE_VARIABLE", "cache_folder", "fetch_training_set", "training_set"]

log = logging.getLogger(__name__)

CACHE_VARIABLE = "DRIZZLEWB_CACHE"
MARKER = "complete.json"
STALE_SECONDS = 600.0  # a builder that gave no sign of life for so long is taken for dead
DOWNLOAD_URL = "https://mast.stsci.edu/api/v0.1/Download/file?uri="
Lister = Callable[[], list[ArchiveFile]]


def cache_folder() -> Path:
    """Folder that drizzlewb keeps reusable files in; not made here.

    The environment variable ``DRIZZLEWB_CACHE`` moves it. Else: ``$XDG_CACHE_HOME/drizzlewb`` or
    ``~/.cache/drizzlewb`` on Linux, ``~/Library/Caches/drizzlewb`` on macOS,
    ``%LOCALAPPDATA%\\drizzlewb\\Cache`` on Windows.
    """
    moved = os.environ.get(CACHE_VARIABLE, "").strip()
    if moved:
        return Path(moved).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "")
        return (Path(base) if base else Path.home() / "AppData" / "Local") / "drizzlewb" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "drizzlewb"
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The base directory specification: a relative path there is to be ignored.
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return root / "drizzlewb"


def training_set(
    size: str = "small",
    *,
    folder: Path | str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> list[Path]:
    """Make the simulated training set, or find it in the cache.

    Parameters
    ----------
    size : {'tiny', 'small', 'full'}
        Size of each chip; see `drizzlewb.training.simulate.simulate`.
    folder : path, optional
        Copy the set there, to work on; files already there are replaced. Without it the cached files
        themselves are returned: they are shared and write-protected.
    progress : callable, optional
        Called with (step, done, total, message) while the set is made.
    **options
        Other parameters of `simulate`, such as ``seed`` or ``detector``.

    Returns
    -------
    list of Path
        The exposures; the truth lies beside them.

    Raises
    ------
    ParameterError
        Unknown size or option.
    DataError
        The cache folder cannot be written.

    Notes
    -----
    Safe when several processes ask at once: one makes the set in a folder of its own and renames it when
    it is complete, the others wait for that. A lock whose owner died is taken over.
    """
    values = _options(size, options)
    root = cache_folder() / "training"
    name = f"{values['detector'].replace('/', '-').lower()}-{size}-{_digest(values)}"
    home = root / name
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = (
            f"making a training set: the cache folder {root} cannot be written ({error}); "
            f"set {CACHE_VARIABLE} to a folder that can."
        )
        raise DataError(msg) from error
    while not _complete(home):
        with _lock(root / (name + ".lock"), lambda: _complete(home)) as mine:
            if mine is not None and not _complete(home):
                _build(home, values, progress, mine)
    files = json.loads((home / MARKER).read_text(encoding="utf-8"))["exposures"]
    if folder is None:
        return [home / file for file in files]
    goal = Path(folder)
    goal.mkdir(parents=True, exist_ok=True)
    for source in sorted(home.iterdir()):
        if source.name != MARKER:
            _copy(source, goal / source.name)
    return [goal / file for file in files]


def _options(size: str, options: dict[str, Any]) -> dict[str, Any]:
    """All parameters of `simulate`, defaults filled in."""
    known = inspect.signature(simulate).parameters
    unknown = sorted(set(options) - (set(known) - {"out", "size", "progress"}))
    if unknown:
        msg = (
            f"making a training set: {', '.join(unknown)} is not a parameter; "
            f"choose from {', '.join(sorted(set(known) - {'out', 'size', 'progress'}))}."
        )
        raise ParameterError(msg)
    values = {key: parameter.default for key, parameter in known.items() if key not in ("out", "progress")}
    values |= options
    values["size"] = size
    if values["exposures"] is not None:
        values["exposures"] = sorted(values["exposures"])
    return values


def _digest(values: dict[str, Any]) -> str:
    """Key of a set: what it was asked for and what makes it."""
    made_by = [FORMAT, drizzlewb.__version__, np.__version__, scipy.__version__, astropy.__version__]
    text = json.dumps([values, made_by], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _complete(home: Path) -> bool:
    """Whether a set is there with every file at the size it had when it was made."""
    try:
        sizes = json.loads((home / MARKER).read_text(encoding="utf-8"))["sizes"]
    except (OSError, ValueError, KeyError):
        return False
    for name, size in sizes.items():
        try:
            if (home / name).stat().st_size != size:
                return False
        except OSError:
            return False
    return True


def _build(home: Path, values: dict[str, Any], progress: Progress | None, alive: Callable[[], None]) -> None:
    work = home.with_name(f"{home.name}.{uuid.uuid4().hex[:8]}.tmp")

    def beat(step: str, done: int, total: int, message: str) -> None:
        alive()
        if progress is not None:
            progress(step, done, total, message)

    try:
        files = simulate(work, progress=beat, **values)
        sizes = {path.name: path.stat().st_size for path in sorted(work.iterdir())}
        record = {"exposures": [path.name for path in files], "sizes": sizes}
        (work / MARKER).write_text(json.dumps(record, indent=1), encoding="utf-8")
        for path in work.iterdir():
            path.chmod(0o444)
        if home.exists():  # a damaged set, or one that another process has just finished
            if _complete(home):
                return
            _discard(home)
        try:
            os.rename(work, home)
        except OSError:
            if not _complete(home):
                raise
    finally:
        _discard(work)


def _discard(folder: Path) -> None:
    """Remove a folder, write-protected files and all; nothing happens if it is not there."""
    if not folder.exists():
        return
    # Renamed first: a reader never finds half of it under its name.
    away = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}.old")
    try:
        os.rename(folder, away)
    except OSError:
        away = folder
    for path in away.iterdir():
        with contextlib.suppress(OSError):
            path.chmod(0o644)
    shutil.rmtree(away, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(target.name + ".part")
    shutil.copyfile(source, part)
    os.replace(part, target)


@contextlib.contextmanager
def _lock(path: Path, done: Callable[[], bool]) -> Iterator[Callable[[], None] | None]:
    """Hold a lock file; yields a function that shows we are alive, or None if others finished the work.

    The lock only saves work: that a set is whole rests on the final rename.
    """
    owner = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4().hex}"
    while True:
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            if done():
                yield None
                return
            if _dead(path):
                log.warning("taking over %s from a process that is gone", path.name)
                with contextlib.suppress(OSError):
                    path.unlink()
                continue
            time.sleep(0.1)
            continue
        except PermissionError:  # Windows: another process is just deleting it
            time.sleep(0.1)
            continue
        with os.fdopen(handle, "w", encoding="utf-8") as sink:
            sink.write(owner)
        break

    def alive() -> None:
        with contextlib.suppress(OSError):
            os.utime(path)

    try:
        yield alive
    finally:
        with contextlib.suppress(OSError):
            if path.read_text(encoding="utf-8") == owner:
                path.unlink()


def _dead(path: Path) -> bool:
    """Whether the owner of a lock is gone: no such process here, or silent for too long."""
    try:
        age = time.time() - path.stat().st_mtime
        words = path.read_text(encoding="utf-8").split()
    except OSError:
        return False
    if age > STALE_SECONDS:
        return True
    if len(words) < 2 or not words[1].isdigit():
        return age > 10  # its owner died between making and filling it
    if words[0] != socket.gethostname() or sys.platform == "win32":
        return False
    try:
        os.kill(int(words[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def fetch_training_set(
    wcs: str | None = "IDC",
    *,
    folder: Path | str | None = None,
    lister: Lister | None = None,
    progress: Progress | None = None,
    timeout: float = 60.0,
    retries: int = 5,
    pause: float = 1.0,
) -> list[Path]:
    """Fetch the real exposures of programme 9815 from the archive.

    Parameters
    ----------
    wcs : str or None
        Solution to make active in the copies: ``'IDC'`` (the default) is the distortion-only one. Files
        from the archive come aligned to Gaia, so that there would be nothing left to align. Every other
        solution stays in the file as an alternate. None leaves the files as they come.
    folder : path, optional
        Where the copies go; in the cache folder if left out. The files as fetched stay in the cache.
    lister : callable, optional
        Returns the files to fetch; asks the archive through astroquery (extra ``archive``) if left out.
    progress : callable, optional
        Called with (step, done, total, message).
    timeout, retries, pause
        See `drizzlewb.training.archive.download`.

    Returns
    -------
    list of Path
        The twelve exposures.

    Raises
    ------
    DataError
        astroquery is not installed, the archive cannot be reached, or what it sends cannot be used; the
        message says what to do.
    """
    original = cache_folder() / "archive" / "9815"
    try:
        fetched = _at_hand(original) or _fetch(
            lister or _archive_list, original, progress, timeout=timeout, retries=retries, pause=pause
        )
    except Unreachable as error:
        msg = (
            f"{error} Or put the files j8ny0*_flc.fits of programme 9815 into {original} by hand, "
            "or use training_set(), which needs no network."
        )
        raise Unreachable(msg) from error
    goal = Path(folder) if folder is not None else original / (wcs or "as-fetched")
    goal.mkdir(parents=True, exist_ok=True)
    copies = []
    for source in fetched:
        # Made ready under another name: a copy under its own name has the solution that was asked for.
        work = goal / (source.name + ".new")
        shutil.copyfile(source, work)
        if wcs is not None:
            name = activate_solution(work, wcs)
            log.warning("%s: active WCS is now %s; all others are kept as alternates", source.name, name)
        os.replace(work, goal / source.name)
        copies.append(goal / source.name)
    return copies


def _at_hand(original: Path) -> list[Path]:
    """All twelve files if they lie there, whole, from an earlier time or put there by hand; else []."""
    paths = [original / f"{plan.rootname}_flc.fits" for plan in PROGRAMME]
    return paths if all(path.is_file() and not check_fits(path) for path in paths) else []


def _fetch(lister: Lister, original: Path, progress: Progress | None, **patience: Any) -> list[Path]:
    wanted = [f"{plan.rootname}_flc.fits" for plan in PROGRAMME]
    items = {item.name: item for item in lister()}
    missing = [name for name in wanted if name not in items]
    if missing:
        msg = f"fetching programme 9815: the archive does not list {', '.join(missing)}; try again later."
        raise DataError(msg)
    fetched = []
    for number, name in enumerate(wanted, start=1):
        fetched.append(download(items[name], original, progress=progress, **patience))
        if progress is not None:
            progress("fetch", number, len(wanted), name)
    return fetched


def _archive_list() -> list[ArchiveFile]:
    """Ask the archive for the FLC files of programme 9815 (through astroquery)."""
    try:
        from astroquery.mast import Observations
    except ImportError as error:
        msg = (
            "fetching programme 9815 needs astroquery: pip install 'drizzlewb[archive]'. "
            "Without it, training_set() makes a simulated set and needs no network."
        )
        raise DataError(msg) from error
    try:
        found = Observations.query_criteria(
            obs_collection="HST", proposal_id="9815", instrument_name="ACS/WFC"
        )
        products = Observations.get_product_list(found)
    except Exception as error:
        # astroquery raises whatever its HTTP layer does; all of it means that there is no answer.
        msg = f"fetching programme 9815: the archive could not be asked ({error})."
        raise Unreachable(msg) from error
    items = {}
    for row in products:
        name = str(row["productFilename"])
        if name.endswith("_flc.fits"):
            items[name] = ArchiveFile(name, DOWNLOAD_URL + str(row["dataURI"]), int(row["size"] or 0))
    return list(items.values())

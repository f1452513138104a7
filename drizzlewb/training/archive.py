"""Downloading files over HTTP: resumable, verified, patient with a slow or broken line."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from astropy.io import fits

from drizzlewb.errors import DataError

__all__ = ["ArchiveFile", "Unreachable", "check_fits", "download"]

log = logging.getLogger(__name__)

CHUNK = 1 << 18
Progress = Callable[[str, int, int, str], None]


class ArchiveFile(NamedTuple):
    """A file to fetch: `name` on disk, `url`, `size` in bytes (0 unknown), `md5` ('' unknown)."""

    name: str
    url: str
    size: int = 0
    md5: str = ""


class Unreachable(DataError):
    """The server could not be reached, or the line broke more often than we try."""


class _Stale(Exception):
    """What was there of a file does not belong to what the server has now."""


def download(
    item: ArchiveFile,
    folder: Path,
    *,
    progress: Progress | None = None,
    timeout: float = 60.0,
    retries: int = 5,
    pause: float = 1.0,
) -> Path:
    """Fetch one file into a folder, going on where an earlier try stopped.

    Parameters
    ----------
    item : ArchiveFile
        What to fetch. A file of that name, size and (if known) MD5 that is there already is kept.
    folder : Path
        Where to; made if needed. A part that is not complete stays as ``<name>.part``.
    progress : callable, optional
        Called with (step, bytes done, bytes in all, name).
    timeout : float
        Seconds without a byte after which the line counts as broken.
    retries : int
        Tries after the first.
    pause : float
        Seconds before the second try; doubles with each, up to 30.

    Returns
    -------
    Path
        The file, verified: its size, its MD5 if known, and that every FITS extension is whole.

    Raises
    ------
    Unreachable
        The server cannot be reached, or the line broke `retries` times without a byte more.
    DataError
        The server refuses the file, or what it sends is not what it lists.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / item.name
    if target.is_file():
        fault = _fault(target, item)
        if not fault:
            return target
        log.warning("%s: %s; fetching it again", item.name, fault)
        target.unlink()
    part = folder / (item.name + ".part")
    tag = folder / (item.name + ".part.etag")
    failures, wrong = 0, 0
    while True:
        before = part.stat().st_size if part.is_file() else 0
        try:
            _transfer(item, part, tag, timeout, progress)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500 and error.code not in (408, 416, 429):
                msg = (
                    f"fetching {item.name}: the archive answered {error.code} {error.reason} to {item.url}; "
                    "check that the file is still offered under that address."
                )
                raise DataError(msg) from error
            if error.code == 416:
                _forget(part, tag)
            reason: object = f"{error.code} {error.reason}"
        except _Stale:
            _forget(part, tag)
            reason = "the file changed on the server"
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error or type(error).__name__
        else:
            fault = _fault(part, item)
            if not fault:
                os.replace(part, target)
                tag.unlink(missing_ok=True)
                return target
            _forget(part, tag)
            wrong += 1
            if wrong > 1:
                msg = f"fetching {item.name}: what {item.url} sends is not usable: {fault}."
                raise DataError(msg)
            reason = fault
        after = part.stat().st_size if part.is_file() else 0
        # A line that breaks but brings something each time is slow, not dead.
        failures = 0 if after > before else failures + 1
        if failures > retries:
            msg = (
                f"fetching {item.name}: the archive could not be reached ({reason}). "
                "Check the network and start again: it goes on where it stopped."
            )
            raise Unreachable(msg)
        log.info("%s: %s; trying again at byte %d", item.name, reason, after)
        time.sleep(min(30.0, pause * 2 ** max(failures - 1, 0)))


def _transfer(item: ArchiveFile, part: Path, tag: Path, timeout: float, progress: Progress | None) -> None:
    """One try: append to the part, or start it over where the server does not resume."""
    have = part.stat().st_size if part.is_file() else 0
    if item.size and have == item.size:
        return
    if item.size and have > item.size:
        raise _Stale
    request = urllib.request.Request(item.url, headers={"User-Agent": "drizzlewb"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        if tag.is_file():
            request.add_header("If-Range", tag.read_text(encoding="utf-8"))
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        if answer.status == 206:
            start = answer.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
            if start != str(have):
                raise _Stale
            mode = "ab"
        else:
            mode, have = "wb", 0
        etag = answer.headers.get("ETag", "")
        if etag and not etag.startswith("W/"):
            tag.write_text(etag, encoding="utf-8")
        elif mode == "wb":
            tag.unlink(missing_ok=True)
        length = answer.headers.get("Content-Length")
        total = item.size or (have + int(length) if length else 0)
        with open(part, mode) as sink:
            # read1: what has come is kept even if the line goes silent before a chunk is full.
            while chunk := answer.read1(CHUNK):
                sink.write(chunk)
                have += len(chunk)
                if progress is not None:
                    progress("download", have, total, item.name)
    if length and total and have < total:
        msg = f"the line broke at byte {have} of {total}"
        raise ConnectionError(msg)


def _forget(part: Path, tag: Path) -> None:
    part.unlink(missing_ok=True)
    tag.unlink(missing_ok=True)


def _fault(path: Path, item: ArchiveFile) -> str:
    """What is wrong with a fetched file; '' if nothing."""
    size = path.stat().st_size
    if item.size and size != item.size:
        return f"it has {size} bytes where the archive lists {item.size}"
    if item.md5:
        with open(path, "rb") as source:
            digest = hashlib.file_digest(source, "md5").hexdigest()
        if digest != item.md5:
            return f"its MD5 is {digest} where the archive lists {item.md5}"
    return check_fits(path)


def check_fits(path: Path) -> str:
    """Return what is wrong with a FITS file, '' if it is whole: every extension lies inside the file."""
    size = path.stat().st_size
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # astropy warns of a truncated file; we return it
            with fits.open(path, memmap=False, lazy_load_hdus=False) as hdul:
                for hdu in hdul:
                    info = hdu.fileinfo()
                    if info["datLoc"] + info["datSpan"] > size:
                        return f"it ends inside extension {hdu.name or 'PRIMARY'},{hdu.ver}"
                if not any(hdu.name == "SCI" for hdu in hdul):
                    return "it has no SCI extension"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"it is not a readable FITS file ({error})"
    return ""

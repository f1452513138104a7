"""stwcs let loose on a copy of a file: what it changed in headers and extensions is taken over, whole.

stwcs (extra ``hst``) is imported when it is first needed. It prints, logs and warns as it likes; here all
that goes to our log.
"""

import contextlib
import gc
import importlib
import io
import logging
import os
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from drizzlewb.errors import DataError, DrizzlewbError
from drizzlewb.products.cards import Cards
from drizzlewb.products.fitsparts import Part, check_writable, read_parts, science_parts, write_parts
from drizzlewb.products.undo import UNDO, commit
from drizzlewb.products.wcscorr import with_rows

__all__ = ["edited", "quiet", "rootname", "stwcs_module", "write_parts_anew"]

log = logging.getLogger(__name__)

# stwcs sets loggers, environment and standard output for the whole process.
_one_at_a_time = threading.RLock()

_PIXELS = ("SCI", "ERR", "DQ", "SDQ", "SAMP", "TIME", "WHT", "CTX")
_STORAGE = ("BITPIX", "BSCALE", "BZERO", "NAXIS", "NAXIS1", "NAXIS2")


def stwcs_module(name: str, wanted: str) -> ModuleType:
    """Module of stwcs, e.g. ``wcsutil.headerlet``.

    Parameters
    ----------
    name : str
        Path below ``stwcs``.
    wanted : str
        What it is needed for, for the message.

    Raises
    ------
    DataError
        stwcs is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(f"stwcs.{name}" if name else "stwcs")
    except ImportError as error:
        msg = f"{wanted} needs stwcs, which is not installed: pip install 'drizzlewb[hst]' ({error})."
        raise DataError(msg) from error


@contextlib.contextmanager
def quiet(doing: str) -> Iterator[None]:
    """Let stwcs work: one at a time, its prints to the log, its errors in a sentence.

    Raises
    ------
    DataError
        Instead of whatever stwcs raises.
    """
    said = io.StringIO()
    astropy_log = logging.getLogger("astropy")
    level = astropy_log.level
    with _one_at_a_time:
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(said), _listening(said):
                warnings.simplefilter("ignore")
                yield
        except DrizzlewbError:
            raise
        except Exception as error:  # stwcs raises many kinds, some without text
            heard = " ".join(said.getvalue().split())[-300:]
            reason = str(error) or heard or type(error).__name__
            msg = f"{doing}: stwcs gave up ({' '.join(reason.split())}). Nothing is written."
            _let_go(error)
            raise DataError(msg) from error
        finally:
            astropy_log.setLevel(level)
            for line in said.getvalue().splitlines():
                if line.strip():
                    log.debug("stwcs: %s", line.strip())


def _let_go(error: BaseException) -> None:
    """Close the files that stwcs has left open: its frames hold them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traceback.clear_frames(error.__traceback__)
        gc.collect()


@contextlib.contextmanager
def _listening(stream: io.StringIO) -> Iterator[None]:
    """Let stwcs's loggers speak to a stream instead of the terminal and ``headerlet.log``."""
    ear = logging.StreamHandler(stream)
    ear.setLevel(logging.WARNING)
    names = [n for n in list(logging.root.manager.loggerDict) if n.split(".")[0] == "stwcs"]
    loggers = [logging.getLogger(n) for n in names]
    before = [(one.handlers, one.propagate) for one in loggers]
    module = sys.modules.get("stwcs.wcsutil.headerlet")
    opens_file = getattr(module, "init_logging", None)
    try:
        if opens_file is not None:
            # Its functions call each other without passing on that no file is wanted.
            module.init_logging = lambda *_, **__: None  # type: ignore[union-attr]
        for one in loggers:
            one.handlers, one.propagate = [ear], False
        yield
    finally:
        if opens_file is not None:
            module.init_logging = opens_file  # type: ignore[union-attr]
        for one, (handlers, propagate) in zip(loggers, before, strict=True):
            one.handlers, one.propagate = handlers, propagate


def edited(
    path: str | Path,
    edit: Callable[[Path], None],
    action: str,
    doing: str,
    finish: Callable[[list[Cards]], None] | None = None,
    *,
    corr: bool = False,
) -> tuple[str, str]:
    """Let a function edit a copy of a file, and take its headers and extensions over.

    Parameters
    ----------
    path : path
        The file; replaced as a whole, and only if something has changed.
    edit : callable
        Gets the path of an unpacked copy with the same name in a temporary folder.
    action : str
        For the record.
    doing : str
        What is being done, for messages.
    finish : callable, optional
        Gets the cards of the science extensions afterwards, to correct them.
    corr : bool
        Add rows to WCSCORR.

    Returns
    -------
    before, after : str
        WCSNAME of the primary solution.

    Raises
    ------
    DataError
        stwcs failed, pixels would change, or the file cannot be written.
    """
    check_writable(path)
    old = read_parts(path)
    with tempfile.TemporaryDirectory(prefix="drizzlewb-") as folder:
        copy = Path(folder) / Path(path).name.removesuffix(".gz")
        write_parts_anew(copy, [part for part in old if part.name != UNDO])
        with quiet(doing):
            edit(copy)
        new = [_without_folder(_with_old_pixels(part, old), folder) for part in read_parts(copy)]
        new = _numbered(new)
        if finish is not None:
            science = science_parts(path, new)
            headers = [new[k].cards for k in science]
            finish(headers)
            for k, cards in zip(science, headers, strict=True):
                new[k] = new[k].with_text(cards.text)
        if corr:
            new = with_rows(new, science_parts(path, new))
        before, after = _wcsname(path, old), _wcsname(path, new)
        without_undo = [part for part in old if part.name != UNDO]
        if [p.text for p in new] != [p.text for p in without_undo]:
            commit(path, old, new, action, before, after)
    return before, after


def _without_folder(part: Part, folder: str) -> Part:
    """Names of files in the temporary folder without the folder."""
    if folder not in part.text:
        return part
    cards = part.cards
    for keyword in ("D2IMFILE", "D2IMEXT", "NPOLFILE", "NPOLEXT", "IDCTAB"):
        if cards.string(keyword).startswith(folder):
            cards.put(keyword, os.path.basename(cards.string(keyword)))
    return part.with_text(cards.text)


def _numbered(parts: list[Part]) -> list[Part]:
    """Give headerlets that stwcs has attached under a used EXTVER one of their own."""
    seen: set[int] = set()
    result = []
    for part in parts:
        if part.kind == "HDRLET":
            if part.ver in seen:
                ver = max(p.ver for p in parts if p.kind == "HDRLET") + 1
                ver = max(ver, max(seen) + 1)
                cards = part.cards
                cards.put("EXTVER", ver)
                part = replace(part, ver=ver, text=cards.text)
            seen.add(part.ver)
        result.append(part)
    return result


def write_parts_anew(path: Path, parts: Sequence[Part]) -> None:
    """Write HDUs to a file that does not exist yet."""
    path.touch(mode=0o600)
    write_parts(path, parts)


def _wcsname(path: str | Path, parts: Sequence[Part]) -> str:
    return parts[science_parts(path, parts)[0]].cards.string("WCSNAME")


def _with_old_pixels(part: Part, old: Sequence[Part]) -> Part:
    """The copy's cards over the file's own pixels."""
    if part.name not in _PIXELS:
        return part
    found = next((p for p in old if p.label == part.label), None)
    if found is None or found.nbytes != part.nbytes:
        return part  # which `commit` refuses
    cards, was = part.cards, found.cards
    for keyword in _STORAGE:
        image = was.image(keyword)
        if image is None:
            cards.drop(keyword)
        elif cards.image(keyword) != image:
            cards.put_image(keyword, image)
    return Part(
        part.name, part.ver, part.kind, cards.text, found.data, found.path, found.offset, found.nbytes
    )


def rootname(path: str | Path, cards: Cards) -> str:
    """ROOTNAME of a file, else its name without endings."""
    name = os.path.basename(path).removesuffix(".gz").removesuffix(".fits")
    return cards.string("ROOTNAME").lower() or name

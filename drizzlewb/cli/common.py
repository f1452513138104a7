"""What several commands share: exit statuses, the progress bar, ``name=value``."""

import argparse
import sys
from pathlib import Path
from typing import Any

from drizzlewb.errors import DataError

SIZES = ("tiny", "small", "full")
EXIT_OK, EXIT_OURS, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 0, 1, 2, 130


class Bar:
    """Progress of the running step as one line on standard error (the `Progress` protocol)."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self._bar: Any = None
        self._step = ""

    def __call__(self, step: str, done: int, total: int, message: str = "") -> None:
        """Draw what the engine reports."""
        if self.quiet:
            return
        from tqdm import tqdm

        if step != self._step:
            self.close()
            self._step = step
            self._bar = tqdm(
                total=total, desc=f"{step:22s}", unit="", leave=True, file=sys.stderr, disable=None
            )
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Leave the last line as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self._step = ""


def setting(text: str) -> tuple[str, str]:
    """Read ``name=value`` (a type of argparse)."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        msg = f"{text!r} is not of the form name=value"
        raise argparse.ArgumentTypeError(msg)
    return name.strip(), value.strip()


def source_of(path: Path, *, quiet: bool = False) -> Any:
    """Read a file that holds parameters; sentences on what it says in vain go to standard error."""
    from drizzlewb.reduction.exporting import read_source

    source = read_source(path)
    for note in () if quiet else source.notes:
        print(f"note: {note}", file=sys.stderr)
    return source


def parameters_of(path: Path | None, task: str, *, quiet: bool) -> Any:
    """Parameters of a task, 'align' or 'reduce', from the file of ``--params``; None without a file."""
    if path is None:
        return None
    found = getattr(source_of(path, quiet=quiet), task)
    if found is None:
        other = {"align": "AstroDrizzle", "reduce": "TweakReg"}[task]
        msg = f"{path} holds parameters of {other}'s work only, none for drizzlewb {task}."
        raise DataError(msg)
    return found

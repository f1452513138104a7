"""What several commands share: exit statuses, the progress bar, ``name=value``."""

import argparse
import sys
from typing import Any

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

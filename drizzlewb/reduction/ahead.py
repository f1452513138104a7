"""Kernels of later steps, compiled by a second process while the first steps run.

Only when the cache has no machine code of the square kernel, once after an installation: numba compiles in
one thread at a time, and a second process takes a third of the waiting away.
"""

import atexit
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from drizzlewb.kernels.early import compile_later_steps, later_steps_are_compiled

__all__ = ["compile_ahead", "wait"]

log = logging.getLogger(__name__)

LONGEST = 120.0  # s; a second process that takes longer is of no help

# Only kernels are imported there: half a second.
_CODE = f"import {compile_later_steps.__module__} as early; early.{compile_later_steps.__name__}()"

_process: subprocess.Popen | None = None


def compile_ahead() -> None:
    """Begin `compile_later_steps` in a process of its own, unless that was begun or done before."""
    global _process  # one for all reductions of this process
    if _process is not None or later_steps_are_compiled() or not _runs_python():
        return
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    try:
        _process = subprocess.Popen(
            [sys.executable, "-c", _CODE],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # Windows
        )
    except OSError as error:
        log.info("no second process to compile in (%s): all is compiled in this one", error)


def _runs_python() -> bool:
    """Whether the program of this process is Python, and no application that has it inside."""
    return Path(sys.executable or "").name.startswith("python") and not getattr(sys, "frozen", False)


def wait(check: Callable[[], None] = lambda: None) -> None:
    """Wait until the process of `compile_ahead` has ended, well or not; what it left is compiled when needed.

    Parameters
    ----------
    check : callable, optional
        Called while waiting; it raises to stop.
    """
    if _process is None or _process.returncode is not None:
        return
    until = time.monotonic() + LONGEST
    while _process.poll() is None:
        check()
        if time.monotonic() > until:
            _process.kill()
        time.sleep(0.02)
    if _process.returncode:
        log.info(
            "the second process ended with status %d: what it left is compiled here", _process.returncode
        )


@atexit.register
def _end() -> None:
    if _process is not None and _process.poll() is None:
        _process.kill()
        _process.wait()

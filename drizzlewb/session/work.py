"""Work in the background: handles, and workers that do one thing at a time."""

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from drizzlewb.errors import Cancelled
from drizzlewb.reduction.schedule import Cancel

__all__ = ["Handle", "Worker"]

log = logging.getLogger(__name__)

NICE = 10
"""How far a worker that steps back does so (0 not at all, 19 most)."""

SWITCH_S = 0.001
"""Seconds after which it hands the interpreter to another thread that wants it."""


class Handle:
    """Work that was asked for: to look at, wait for, or cancel.

    Attributes
    ----------
    kind : str
        'align', 'run', 'preview', or what is measured aside ('sampling', 'sweep' ...).
    where : str
        'alignment', or the name of the product.
    steps : tuple of str
        Steps that it makes.
    state : str
        'waiting', 'running', 'done', 'failed', 'cancelled' (on request) or 'superseded' (by a newer
        preview). It is 'cancelled' at once; the thread stops at its next poll.
    progress : (str, int, int, str)
        Step, done, total, message of the work as last reported.
    error : BaseException or None
        Why it failed.
    """

    def __init__(
        self, kind: str, where: str, steps: tuple[str, ...], work: Callable[["Handle"], Any]
    ) -> None:
        self.kind = kind
        self.where = where
        self.steps = steps
        self.state = "waiting"
        self.progress: tuple[str, int, int, str] = ("", 0, 0, "")
        self.error: BaseException | None = None
        self.cancelling = Cancel()
        self._work = work
        self._value: Any = None
        self._finished = threading.Event()
        self._lock = threading.RLock()
        self._callbacks: list[Callable[[Handle], None]] = []

    def __repr__(self) -> str:
        step, done, total, _ = self.progress
        more = f", {step} {done}/{total}" if self.state == "running" and total else ""
        return f"<{self.kind} of {self.where}: {self.state}{more}>"

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state not in ("waiting", "running")

    def cancel(self) -> None:
        """Stop it: the session stays as it was before it began. Nothing happens when it is over."""
        self.drop("cancelled")

    def drop(self, state: str) -> None:
        """Stop it and call it 'cancelled' or 'superseded'."""
        with self._lock:
            if self.over:
                return
            waiting = self.state == "waiting"
            self.state = state
            self.cancelling.set()
        self._tell()
        if waiting:
            self._finished.set()

    def cancelled(self) -> bool:
        """Whether the work should stop, for steps that ask."""
        return self.over

    def wait(self, timeout: float | None = None) -> "Handle":
        """Wait until its thread has come to rest.

        Raises
        ------
        TimeoutError
            Not within `timeout` seconds.
        """
        if not self._finished.wait(timeout):
            msg = f"{self!r} did not end within {timeout:g} s"
            raise TimeoutError(msg)
        return self

    def result(self, timeout: float | None = None) -> Any:
        """What it made.

        Raises
        ------
        Cancelled
            It was cancelled, or superseded by a newer preview.
        TimeoutError
            Not within `timeout` seconds.
        Exception
            Whatever made it fail.
        """
        self.wait(timeout)
        if self.error is not None:
            raise self.error
        if self.state != "done":
            msg = f"The {self.kind} of {self.where} was {self.state}; the session is as it was."
            raise Cancelled(msg)
        return self._value

    def on_change(self, callback: Callable[["Handle"], None]) -> None:
        """Call back, with the handle, whenever its state or progress changes; from any thread."""
        self._callbacks.append(callback)

    def report(self, step: str, done: int, total: int, message: str = "") -> None:
        """Take a progress report (the `Progress` protocol)."""
        self.progress = (step, done, total, message)
        self._tell()

    def _tell(self) -> None:
        for callback in tuple(self._callbacks):
            try:
                callback(self)
            except Exception:
                log.exception("an observer of %r failed", self)  # it must not spoil the work

    def settle(self, state: str, value: Any = None, error: BaseException | None = None) -> bool:
        """Say how it ended; False if it was cancelled before that, and nothing may come of it."""
        with self._lock:
            if self.over:
                return False
            self.state, self._value, self.error = state, value, error
            return True

    def run(self) -> None:
        """Do the work, in the thread of a worker."""
        with self._lock:
            if self.over:
                self._finished.set()
                return
            self.state = "running"
        self._tell()
        try:
            value = self._work(self)
        except Cancelled as error:
            # Cancelled from outside, or by the work itself: both leave nothing behind.
            log.debug("%r: %s", self, error)
            self.settle("cancelled")
        except BaseException as error:  # noqa: BLE001 -- kept as the result of the step
            if not self.settle("failed", error=error):
                log.debug("%r went on to fail", self, exc_info=True)
        else:
            self.settle("done", value)
        self._finished.set()
        self._tell()


class Worker:
    """One thread that does handles in order; it ends when there is nothing to do.

    Parameters
    ----------
    name : str
        Of the thread.
    newest_wins : bool
        A new handle supersedes all that wait and the one that runs.
    steps_back : bool
        Leave the interpreter, and on Linux the cores, to other threads and programs that want them.
    """

    def __init__(self, name: str, *, newest_wins: bool = False, steps_back: bool = False) -> None:
        self.name = name
        self.newest_wins = newest_wins
        self.steps_back = steps_back
        self._lock = threading.Lock()
        self._waiting: list[Handle] = []
        self._current: Handle | None = None
        self._thread: threading.Thread | None = None

    def submit(self, handle: Handle) -> Handle:
        """Put work in the queue."""
        old: list[Handle] = []
        with self._lock:
            if self.newest_wins:
                old = [*self._waiting, *([self._current] if self._current else [])]
                self._waiting.clear()
            self._waiting.append(handle)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name=self.name, daemon=True)
                self._thread.start()
        for other in old:
            other.drop("superseded")
        return handle

    @property
    def handles(self) -> list[Handle]:
        """What runs and what waits."""
        with self._lock:
            return [*([self._current] if self._current else []), *self._waiting]

    def _loop(self) -> None:
        if self.steps_back:
            # A click takes the interpreter back and forth many times, and waits for it each time.
            sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_S))
            if sys.platform == "linux":
                # Of this thread alone, and of those that it starts.
                with contextlib.suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        while True:
            with self._lock:
                self._current = None
                if not self._waiting:
                    self._thread = None
                    return
                self._current = self._waiting.pop(0)
            self._current.run()

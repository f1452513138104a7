"""Run independent tasks on threads, report progress, stop when asked."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Protocol, TypeVar

from drizzlewb.errors import Cancelled

__all__ = ["Cancel", "Progress", "map_unordered", "no_progress", "thread_count"]

T = TypeVar("T")
R = TypeVar("R")


class Progress(Protocol):
    """What long work reports to: a bar, a widget or a log implement it.

    Parameters
    ----------
    step : str
        Name of the step in plain words ("median", "cosmic rays", …).
    done, total : int
        Tasks finished and tasks in the step.
    message : str
        One line about what was just finished; may be empty.
    """

    def __call__(self, step: str, done: int, total: int, message: str = "") -> None: ...  # noqa: D102


def no_progress(step: str, done: int, total: int, message: str = "") -> None:
    """Report to nobody."""


class Cancel:
    """A flag that one thread raises and the workers poll; they can be asked to rest a while, too."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._rests_until = 0.0

    def set(self) -> None:
        """Ask the running work to stop at its next poll."""
        self._event.set()

    def rest(self, seconds: float) -> None:
        """Ask the running work to wait at its next poll, for so long from now."""
        self._rests_until = max(self._rests_until, time.monotonic() + seconds)

    @property
    def asked(self) -> bool:
        """Has somebody asked to stop?"""
        return self._event.is_set()

    def check(self) -> None:
        """Rest if somebody asked for it; raise `Cancelled` if somebody asked to stop."""
        while not self._event.is_set() and (left := self._rests_until - time.monotonic()) > 0.0:
            self._event.wait(left)
        if self._event.is_set():
            msg = "Stopped on request; nothing half-made was left behind."
            raise Cancelled(msg)


def thread_count(threads: int | None = None) -> int:
    """Threads to use: what was asked for, or the cores that this process may run on."""
    if threads is not None:
        return max(1, threads)
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # macOS and Windows have no affinity call
        return max(1, os.cpu_count() or 1)


def map_unordered(
    function: Callable[[T], R], tasks: Iterable[T], cancel: Cancel | None = None, threads: int | None = None
) -> Iterator[R]:
    """Apply a function to tasks on a thread pool, yielding results as they finish.

    At most two tasks a thread are queued, so neither the results nor a lazy iterable of tasks
    piles up in memory. The first error stops the queue and is raised here; so does a cancel.

    Parameters
    ----------
    function : callable
        Called with one task; it must be safe to run in several threads at once.
    tasks : iterable
        Consumed lazily.
    cancel : Cancel, optional
        Polled between tasks; tasks poll it themselves where they take long.
    threads : int, optional
        Pool size; default, the cores available.

    Yields
    ------
    object
        Results in order of completion.
    """
    cancel = cancel or Cancel()
    count = thread_count(threads)
    if count == 1:
        for task in tasks:
            cancel.check()
            yield function(task)
        return
    stream = iter(tasks)
    with ThreadPoolExecutor(count, thread_name_prefix="drizzlewb") as pool:
        pending = set()
        try:
            while True:
                cancel.check()
                for task in stream:
                    pending.add(pool.submit(function, task))
                    if len(pending) >= 2 * count:
                        break
                if not pending:
                    return
                finished, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
        finally:
            for future in pending:
                future.cancel()

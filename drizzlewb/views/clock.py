"""A clock that calls a function a few times a second, from a thread of its own."""

import threading
from collections.abc import Callable

__all__ = ["Clock"]


class Clock:
    """Calls a function at a rate until it is stopped.

    It runs beside the kernel's main thread, so that it goes on while a cell is executed.

    Parameters
    ----------
    tick : callable
    rate : float
        Calls a second.
    """

    def __init__(self, tick: Callable[[], None], rate: float = 2.0) -> None:
        self.rate = rate
        self._tick = tick
        self._stop = threading.Event()
        self._stop.set()
        self._lock = threading.Lock()

    @property
    def runs(self) -> bool:
        """Whether it runs."""
        return not self._stop.is_set()

    def start(self) -> None:
        """Start; nothing happens if it runs."""
        with self._lock:
            if self.runs:
                return
            self._stop = threading.Event()
            threading.Thread(
                target=self._loop, args=(self._stop,), name="drizzlewb-blink", daemon=True
            ).start()

    def stop(self) -> None:
        """Stop; a call that is on its way is let through."""
        with self._lock:
            self._stop.set()

    def _loop(self, stop: threading.Event) -> None:
        while not stop.wait(1.0 / max(self.rate, 0.1)):
            self._tick()

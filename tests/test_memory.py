from types import SimpleNamespace

import numpy as np
import pytest

from drizzlewb import memory


def test_the_library_is_asked(monkeypatch):
    asked = []
    monkeypatch.setattr(
        memory.ctypes, "CDLL", lambda _: SimpleNamespace(malloc_trim=lambda pad: asked.append(pad.value))
    )
    memory.give_back()
    assert asked == [0]


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_another_library_is_left_alone(monkeypatch, error):
    def none(_):
        raise error

    monkeypatch.setattr(memory.ctypes, "CDLL", none)
    memory.give_back()


def test_arrays_stay_as_they_are():
    held = [np.full(100_000, k) for k in range(20)]
    del held[::2]
    memory.give_back()
    assert [int(a[0]) for a in held] == list(range(1, 20, 2))

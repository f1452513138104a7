"""What the first kernel loads."""

import gc
import importlib
import os
import subprocess
import sys

import numba
import pytest
from numba.core import event

from drizzlewb.kernels.jit import is_compiled  # its module registers what is tested here

CODE = """
import sys
import numpy as np
from drizzlewb.kernels.drizzle import finish

sums, out = np.ones((2, 3, 3)), np.empty((2, 3, 3), np.float32)
finish(*sums, 0.0, *out)
assert "scipy.linalg" not in sys.modules, "scipy.linalg was loaded"
import numba

@numba.njit
def product(a, b):
    return a @ b

assert (product(np.eye(2), np.full((2, 2), 3.0)) == 3.0).all()
import scipy.linalg.cython_blas
assert scipy.linalg.cython_blas.__file__
"""


def test_kernels_do_without_scipy_linalg_and_leave_it_to_others():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Thresholds(event.Listener):
    """How often garbage is looked for when a compilation begins."""

    def __init__(self):
        self.seen = []

    def on_start(self, event):
        self.seen.append(gc.get_threshold())

    def on_end(self, event):
        pass


def undefined(x):
    return x + no_such_name  # noqa: F821


@pytest.mark.parametrize("threshold", [(700, 10, 10), (50_000, 10, 10), (0, 10, 10)])
def test_garbage_is_looked_for_less_often_only_while_compiling(threshold):
    before = gc.get_threshold()
    listener = Thresholds()
    event.register("numba:compile", listener)
    try:
        gc.set_threshold(*threshold)
        assert numba.njit(lambda x: x + 1)(1) == 2
        assert gc.get_threshold() == threshold
        with pytest.raises(numba.TypingError):
            numba.njit(undefined)(1)
        assert gc.get_threshold() == threshold
    finally:
        event.unregister("numba:compile", listener)
        gc.set_threshold(*before)
    expected = 0 if threshold[0] == 0 else max(threshold[0], 20_000)
    assert [first for first, *_ in listener.seen] == [expected, expected]


SOURCE = """
from drizzlewb.kernels.jit import kernel

@kernel
def twice(x):
    return x + x
"""


def test_is_compiled_sees_memory_cache_and_stale_cache(tmp_path, monkeypatch):
    source = tmp_path / "doubling.py"
    source.write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    first = importlib.import_module("doubling").twice
    assert not is_compiled(first)
    first(1.0)
    assert is_compiled(first)
    del sys.modules["doubling"]
    again = importlib.import_module("doubling").twice
    assert not again.signatures
    assert is_compiled(again)
    later = source.stat().st_mtime + 3600
    os.utime(source, (later, later))
    assert not is_compiled(again)
    assert is_compiled(first)
    assert is_compiled(first.py_func)  # numba switched off

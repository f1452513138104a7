"""The decorators under which every kernel is compiled."""

import gc
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import numba
from numba.core import event

__all__ = ["inner", "is_compiled", "kernel"]


def _load_array_functions():
    """Let numba load its array functions, which it does before the first kernel, without scipy.linalg.

    To know whether scipy has BLAS it imports all of scipy.linalg, a third of a second. Kernels here need
    no linear algebra; those of others find BLAS as ever, as it is looked up when it is called.
    """
    name = "scipy.linalg.cython_blas"
    if name in sys.modules:
        return
    sys.modules[name] = ModuleType(name)
    try:
        with suppress(ImportError):
            import numba.np.arraymath  # noqa: F401
    finally:
        del sys.modules[name]


_load_array_functions()


class _FewerCollections(event.Listener):
    """Look for garbage less often while something is compiled.

    The compiler makes objects by the million and few cycles of them, so that a tenth of its time went into
    looking. Events come under numba's own lock: nothing else is compiled meanwhile.
    """

    def __init__(self):
        self._depth = 0
        self._before = ()

    def on_start(self, event):
        if self._depth == 0:
            self._before = gc.get_threshold()
            if self._before[0] > 0:  # 0: the caller has switched it off
                gc.set_threshold(*map(max, self._before, (20_000, 20, 50)))
        self._depth += 1

    def on_end(self, event):
        self._depth -= 1
        if self._depth == 0:
            gc.set_threshold(*self._before)


event.register("numba:compile", _FewerCollections())

# fastmath stays off: its default assumes that there is no NaN and so breaks masks. Threads run
# kernels side by side over regions, hence nogil; prange would cost compile time and 4 ms a call.
# Nothing calls kernels from C: without the wrapper for that, a twentieth less is compiled.
kernel = numba.njit(cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)

# For what only kernels call: without the code by which Python would call it, and without a file in the
# cache, as its machine code is part of that of its callers.
inner = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, nogil=True, error_model="numpy")


def is_compiled(function):
    """Whether machine code of a kernel is there: in memory, or in a cache file newer than its source.

    Parameters
    ----------
    function : Dispatcher
        Made by `kernel`.

    Returns
    -------
    bool
        True, too, where numba is switched off.
    """
    if not hasattr(function, "stats") or function.signatures:
        return True
    code = function.py_func.__code__
    source = Path(code.co_filename)
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    pattern = f"{source.stem}.{function.py_func.__qualname__}-{code.co_firstlineno}.{python}*.nbi"
    written = source.stat().st_mtime
    return any(index.stat().st_mtime > written for index in Path(function.stats.cache_path).glob(pattern))

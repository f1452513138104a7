"""The decorators under which every kernel is compiled."""

import sys
from contextlib import suppress
from types import ModuleType

import numba

__all__ = ["inner", "kernel"]


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

# fastmath stays off: its default assumes that there is no NaN and so breaks masks. Threads run
# kernels side by side over regions, hence nogil; prange would cost compile time and 4 ms a call.
# Nothing calls kernels from C: without the wrapper for that, a twentieth less is compiled.
kernel = numba.njit(cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)

# For what only kernels call: without the code by which Python would call it, and without a file in the
# cache, as its machine code is part of that of its callers.
inner = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, nogil=True, error_model="numpy")

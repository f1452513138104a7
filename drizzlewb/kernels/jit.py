"""The decorators under which every kernel is compiled."""

import numba

__all__ = ["inner", "kernel"]

# fastmath stays off: its default assumes that there is no NaN and so breaks masks. Threads run
# kernels side by side over regions, hence nogil; prange would cost compile time and 4 ms a call.
# Nothing calls kernels from C: without the wrapper for that, a twentieth less is compiled.
kernel = numba.njit(cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)

# For what only kernels call: without the code by which Python would call it, and without a file in the
# cache, as its machine code is part of that of its callers.
inner = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, nogil=True, error_model="numpy")

"""The one decorator under which every kernel is compiled."""

import numba

__all__ = ["kernel"]

# fastmath stays off: its default assumes that there is no NaN and so breaks masks. Threads run
# kernels side by side over regions, hence nogil; prange would cost compile time and 4 ms a call.
kernel = numba.njit(cache=True, nogil=True, error_model="numpy")

"""Memory handed back to the system."""

import ctypes

__all__ = ["give_back"]


def give_back() -> None:
    """Hand free memory back to the system.

    glibc keeps freed images for later ones, in pieces that the later ones may not fit into: after some
    products of a session a few hundred megabytes lie idle. Nothing is done where another C library runs.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return
    trim(ctypes.c_size_t(0))

"""Working memory that a thread reuses from tile to tile."""

import threading

import numpy as np
from numpy.typing import DTypeLike

__all__ = ["scratch_buffer"]


_local = threading.local()


def scratch_buffer(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """An uninitialised array of this thread's own, whose memory the next call of the same name reuses.

    The first touch of fresh memory costs more than the drizzling of it, so tiles share theirs.
    """
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64))
    pool = _local.__dict__.setdefault("pool", {})
    held = pool.get((name, dtype))
    if held is None or held.size < size:
        held = pool[name, dtype] = np.empty(size, dtype=dtype)
    return held[:size].reshape(shape)

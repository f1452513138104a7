"""Kernels of later steps, compiled before anything is there that they could be called with."""

import numpy as np

from drizzlewb.kernels.drizzle import finish
from drizzlewb.kernels.jit import is_compiled
from drizzlewb.kernels.median import KINDS, combine
from drizzlewb.kernels.overlap import _square, compile_square

__all__ = ["compile_later_steps", "later_steps_are_compiled"]


def compile_later_steps():
    """Compile the median and the square kernel, in this order, for the types that the steps give them.

    Without the map from chip to output: it belongs to the first steps as well.
    """
    image, sums, out = np.zeros((1, 1), np.float32), np.zeros((1, 1)), np.zeros((1, 1), np.float32)
    one, none = np.ones(1), np.zeros(1)
    combine(
        image[np.newaxis], image[np.newaxis], none, KINDS["median"], 0, 0, -np.inf, np.inf, none, none, one,
        4.0, 3.0, 1, out, 1,
    )  # fmt: skip
    compile_square()
    finish(sums, sums, np.float32(0), image, out)


def later_steps_are_compiled():
    """Whether the machine code of the square kernel, the longest to compile, is there."""
    return is_compiled(_square)

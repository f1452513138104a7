"""The engine: whole-image numbers, three tiled arrays, and the product made of them."""

from drizzlewb.reduction.engine import Reduction
from drizzlewb.reduction.run import Cutout, preview, reduce

__all__ = ["Cutout", "Reduction", "preview", "reduce"]

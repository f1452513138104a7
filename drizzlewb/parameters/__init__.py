"""Parameters, each declared once; see DESIGN section 4."""

from drizzlewb.parameters.astrodrizzle import ReduceParameters
from drizzlewb.parameters.presets import reduce_parameters

__all__ = ["ReduceParameters", "reduce_parameters"]

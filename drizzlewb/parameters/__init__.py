"""Parameters, each declared once; see DESIGN section 4."""

from drizzlewb.parameters.astrodrizzle import ReduceParameters
from drizzlewb.parameters.presets import reduce_parameters
from drizzlewb.parameters.tweakreg import AlignParameters

__all__ = ["AlignParameters", "ReduceParameters", "reduce_parameters"]

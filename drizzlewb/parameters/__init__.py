"""Parameters, each declared once; see DESIGN section 4."""

from drizzlewb.parameters.astrodrizzle import ReduceParameters

__all__ = ["ReduceParameters"]

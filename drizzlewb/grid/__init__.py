"""Output planes, rectangles of them, and which chip pixels lie beneath a rectangle."""

from drizzlewb.grid.making import output_grid
from drizzlewb.grid.output import OutputGrid
from drizzlewb.grid.placing import Inverse, chip_box, grid_region, near_inverse
from drizzlewb.grid.region import Region

__all__ = ["Inverse", "OutputGrid", "Region", "chip_box", "grid_region", "near_inverse", "output_grid"]

"""Distortion of chips: an astropy WCS packed for the kernels, and sky coordinates from it."""

from drizzlewb.distortion.packing import pack
from drizzlewb.distortion.plain import LookupTable, pack_cards
from drizzlewb.distortion.sky import (
    footprint,
    homography,
    linear,
    pixel_to_pixel,
    pixel_to_sky,
    replace_tan,
    sky_to_pixel,
    tan_wcs,
)
from drizzlewb.distortion.undistorted import pixel_area_map, plate_scale, tangent_plane

__all__ = [
    "LookupTable",
    "footprint",
    "homography",
    "linear",
    "pack",
    "pack_cards",
    "pixel_area_map",
    "pixel_to_pixel",
    "pixel_to_sky",
    "plate_scale",
    "replace_tan",
    "sky_to_pixel",
    "tan_wcs",
    "tangent_plane",
]

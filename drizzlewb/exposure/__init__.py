"""Exposures: what the user names becomes values whose pixels are read box by box.

`read_exposures` is the door. ``values`` has Chip and Exposure; ``plane`` reads boxes; ``fitsfile`` scans
headers; ``opening`` turns a file into exposures; ``intake`` resolves names, lists and associations;
``checks`` refuses mixtures and warns; ``flag_counts`` counts DQ bits; ``overrides`` sets other gains,
noises and times; ``equalising`` brings chips to one PHOTFLAM.
"""

from drizzlewb.exposure.checks import Warning_, check, exposure_table, refuse_mixtures, wcs_family
from drizzlewb.exposure.drawn import DRAWN_FLAG, Drawn
from drizzlewb.exposure.equalising import equalised
from drizzlewb.exposure.flag_counts import FlagCount, flag_counts
from drizzlewb.exposure.intake import Intake, intake, named_files, read_exposures
from drizzlewb.exposure.opening import open_file
from drizzlewb.exposure.overrides import with_instrument_overrides
from drizzlewb.exposure.plane import Plane, set_scratch_folder, unpacked
from drizzlewb.exposure.values import Chip, Exposure

__all__ = [
    "DRAWN_FLAG",
    "Chip",
    "Drawn",
    "Exposure",
    "FlagCount",
    "Intake",
    "Plane",
    "Warning_",
    "check",
    "equalised",
    "exposure_table",
    "flag_counts",
    "intake",
    "named_files",
    "open_file",
    "read_exposures",
    "refuse_mixtures",
    "set_scratch_folder",
    "unpacked",
    "wcs_family",
    "with_instrument_overrides",
]

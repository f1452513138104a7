"""The demonstration: training set, basic and optimised products, a report with pictures."""

import logging
from collections.abc import Sequence
from pathlib import Path

from drizzlewb.distortion import pack
from drizzlewb.exposure import Exposure
from drizzlewb.training.truth import read_truth

__all__ = ["demo", "with_true_wcs"]

log = logging.getLogger(__name__)

BASIC = {"final_wcs": True, "final_rot": 0.0}
OPTIMISED = {
    "skymethod": "match",
    "final_wcs": True,
    "final_rot": 0.0,
    "final_scale": 0.03,
    "final_pixfrac": 0.6,
}


def with_true_wcs(exposures: Sequence[Exposure]) -> list[Exposure]:
    """Copies of simulated exposures that carry the WCS under which they were simulated.

    Raises
    ------
    DataError
        The truth file of an exposure is missing.
    """
    aligned = []
    for exposure in exposures:
        truth = read_truth(Path(exposure.path).with_name(f"{exposure.rootname}_truth.fits"))
        solutions = [pack(wcs, chip.shape) for wcs, chip in zip(truth.wcs, exposure.chips, strict=True)]
        aligned.append(exposure.with_wcs(solutions, wcsname="TRUTH"))
    return aligned

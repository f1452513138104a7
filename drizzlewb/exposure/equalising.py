"""Chips of unlike sensitivity brought to one PHOTFLAM, in memory, as DrizzlePac's photeq does in files."""

import dataclasses
from collections.abc import Sequence

from drizzlewb.errors import DataError
from drizzlewb.exposure.values import Chip, Exposure

__all__ = ["equalised", "flux_per_electron"]


def flux_per_electron(chip: Chip) -> float:
    """Flux of a source that gives one electron per second: PHOTFLAM over electrons per unit; 0 if unknown."""
    return chip.photflam / (chip.gain if chip.unit.startswith("counts") else 1.0)


def equalised(exposures: Sequence[Exposure]) -> list[Exposure]:
    """Copies whose pixels count the same flux: that of the first chip of the first exposure.

    Pixels (SCI, ERR) are scaled by PHOTFLAM over the first chip's, so that a product's one PHOTFLAM is
    right for every chip. The noise model takes the scaled values for electrons, which is wrong by half the
    scaling: about 1 % where WFPC2's chips differ by 0.027 mag. The files and PHOTFLAM of the exposures stay.

    Parameters
    ----------
    exposures : sequence of Exposure
        Of one detector and filter.

    Returns
    -------
    list of Exposure

    Raises
    ------
    DataError
        A chip has no PHOTFLAM.

    Notes
    -----
    Source: ``drizzlepac/photeq.py``, whose pixels are the same (tested).
    """
    for chip in (c for e in exposures for c in e.chips):
        if not chip.photflam > 0:
            msg = f"Equalising PHOTFLAM: {chip.label} has none; switch equalise off, or add it to the header."
            raise DataError(msg)
    reference = flux_per_electron(exposures[0].chips[0])
    return [
        dataclasses.replace(
            exposure,
            chips=tuple(
                dataclasses.replace(
                    chip, to_electrons=chip.to_electrons * (flux_per_electron(chip) / reference)
                )
                for chip in exposure.chips
            ),
        )
        for exposure in exposures
    ]

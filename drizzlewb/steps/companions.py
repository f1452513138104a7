"""Files that go with an exposure for inverse-variance weights: its flat, and the user's own maps."""

import logging
import os
from pathlib import Path

from drizzlewb.errors import DataError
from drizzlewb.exposure import Chip, Exposure, Plane
from drizzlewb.exposure.fitsfile import scan

__all__ = ["flat_plane", "user_weight_plane"]

log = logging.getLogger(__name__)


def user_weight_plane(exposure: Exposure, chip: Chip) -> Plane | None:
    """The user's inverse-variance map of a chip: extension ``IVM,extver`` of the file named in the @list.

    Returns
    -------
    Plane or None
        None if the exposure came without such a file.

    Raises
    ------
    DataError
        The file has no such extension, or one of another shape.
    """
    if not exposure.weight_map:
        return None
    found = [h for h in scan(exposure.weight_map) if (h.name, h.ver) == ("IVM", chip.extver)]
    if not found:
        msg = (
            f"The weight map {exposure.weight_map} of {exposure.rootname} has no extension "
            f"IVM,{chip.extver}. "
            "Give each chip's map as an image extension of that name."
        )
        raise DataError(msg)
    plane = found[0].plane(exposure.weight_map, chip.shape)
    if plane.shape != chip.shape:
        msg = (
            f"The weight map {exposure.weight_map}[IVM,{chip.extver}] has shape {plane.shape} (y, x), but "
            f"{chip.label} has {chip.shape}. Make a map of the chip's own shape."
        )
        raise DataError(msg)
    return plane


def flat_plane(exposure: Exposure, chip: Chip) -> Plane | None:
    """The pixel-to-pixel flat named by PFLTFILE, where it lies on this machine and fits the chip.

    DrizzlePac's ``imageObject.getflat``; names such as ``jref$x_pfl.fits`` are looked for in the folder
    that the environment variable names. A flat that cannot be found counts as 1, which the log says.
    """
    name = str(exposure.primary.get("PFLTFILE", "")).strip()
    if name in ("", "N/A"):
        return None
    variable, dollar, rest = name.partition("$")
    path = Path(os.environ.get(variable, ""), rest) if dollar else Path(name)
    if (dollar and variable not in os.environ) or not path.is_file():
        log.info("%s: the flat %s is not on this machine; IVM weights take it as 1", exposure.rootname, name)
        return None
    for hdu in scan(str(path)):
        if (hdu.name, hdu.ver) == ("SCI", chip.extver):
            plane = hdu.plane(str(path), chip.shape)
            if plane.shape == chip.shape:
                return plane
    log.info("%s: the flat %s does not fit %s; IVM weights take it as 1", exposure.rootname, name, chip.label)
    return None

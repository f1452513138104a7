"""What a product will be, before it is made."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drizzlewb import distortion
from drizzlewb.exposure import Exposure
from drizzlewb.grid import OutputGrid
from drizzlewb.reduction.run import planned_bytes
from drizzlewb.session.runs import Runs

__all__ = ["Planned", "outline", "planned"]


@dataclass(frozen=True, eq=False)
class Planned:
    """A product that is planned.

    Attributes
    ----------
    grid : OutputGrid
        Final grid.
    exposures : tuple of Exposure
        Its stack, with accepted WCS.
    image_bytes, scratch_bytes : int
        Of its files, and of median and masks beneath it.
    scale_ratio : float
        Output pixel over the first chip's pixel.
    turn_deg : float
        Angle of the first chip's x axis on the output grid, counter-clockwise.
    """

    grid: OutputGrid
    exposures: tuple[Exposure, ...] = field(repr=False)
    image_bytes: int
    scratch_bytes: int
    scale_ratio: float
    turn_deg: float


def planned(runs: Runs, name: str) -> Planned:
    """Plan of a product as it is set now; errors as those of `session.keys.product_keys`."""
    keys = runs.session.derived.product(name)
    job = runs.job(name, keys)
    separate = keys.separate or keys.grid
    images, scratch = planned_bytes(job.exposures, job.parameters, keys.grid, separate)
    chip = job.exposures[0].chips[0]
    y, x = (0.5 * (n - 1) for n in chip.shape)
    u, v = keys.grid.sky_to_pixel(*distortion.pixel_to_sky(chip.wcs, [x, x + 1.0], [y, y]))
    turn = float(np.degrees(np.arctan2(v[1] - v[0], u[1] - u[0])))
    ratio = keys.grid.scale_arcsec / chip.pixel_scale_arcsec
    return Planned(keys.grid, job.exposures, images, scratch, ratio, turn)


def outline(grid: OutputGrid, sky: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places on the sky as offsets east and north from the middle of a grid.

    Parameters
    ----------
    grid : OutputGrid
    sky : float64[n, 2]
        RA and Dec, degrees.

    Returns
    -------
    float64[n, 2]
        Arcsec, east and north positive, on the tangent plane of the grid's middle.
    """
    ny, nx = grid.shape
    middle = [float(v) for v in grid.pixel_to_sky(0.5 * (nx - 1), 0.5 * (ny - 1))]
    plane = distortion.tan_wcs(middle, (0.0, 0.0), np.eye(2) / 3600.0)
    return np.stack(distortion.sky_to_pixel(plane, sky[:, 0], sky[:, 1]), axis=1)

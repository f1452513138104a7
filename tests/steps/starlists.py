"""Lists of sources with a known transformation between them, for the tests of matching and fits."""

import numpy as np

from drizzlewb import distortion
from drizzlewb.grid import OutputGrid
from drizzlewb.steps.sources import Sources

SCALE = 0.05
SIZE = 2000


def plane(size=SIZE, scale_arcsec=SCALE):
    """Tangent plane, north up, zero-based CRPIX at its middle."""
    cd = scale_arcsec / 3600 * np.diag([-1.0, 1.0])
    middle = (size - 1) / 2
    return OutputGrid(distortion.tan_wcs((150.0, 2.0), (middle, middle), cd), (size, size))


def turn(degrees, scale=1.0):
    """Matrix of a rotation in the sense of LinearFit.rotation."""
    a = np.radians(degrees)
    return scale * np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])


def on_sky(name, xy, mag, filters="F606W", grid=None):
    """Sources at pixels of the plane."""
    ra, dec = (grid or plane()).pixel_to_sky(*np.asarray(xy).T)
    return Sources.from_sky(name, ra, dec, mag, filters=filters)


def pair(
    n_common=200,
    n_other=100,
    shift=(7.3, -4.1),
    rotation=0.0,
    scale=1.0,
    scatter=0.03,
    seed=0,
    size=SIZE,
    filters=("F606W", "F606W"),
):
    """Image and reference sources: n_common stars shared, n_other in each list alone.

    The image's WCS is wrong by the transformation: its sources lie at c + shift + R (reference - c).
    """
    rng = np.random.default_rng(seed)
    center = np.full(2, (size - 1) / 2)
    ref = rng.uniform(20, size - 20, (n_common + n_other, 2))
    mag = rng.uniform(-10, -5, n_common + n_other)
    image = rng.uniform(20, size - 20, (n_common + n_other, 2))
    image_mag = rng.uniform(-10, -5, n_common + n_other)
    moved = (ref[:n_common] - center) @ turn(rotation, scale).T + center + shift
    image[:n_common] = moved + rng.normal(0, scatter, (n_common, 2))
    image_mag[:n_common] = mag[:n_common] + rng.normal(0, 0.1, n_common)
    grid = plane(size)
    return on_sky("img", image, image_mag, filters[0], grid), on_sky("ref", ref, mag, filters[1], grid), grid

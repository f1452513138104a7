"""Gaia's stars around some exposures, from the archive."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from drizzlewb import distortion
from drizzlewb.errors import DataError
from drizzlewb.exposure import Exposure
from drizzlewb.steps.user_catalogs import SkyCatalog

__all__ = ["gaia_catalog"]

Array = npt.NDArray[np.float64]


def gaia_catalog(
    exposures: Sequence[Exposure], *, margin_arcsec: float = 10.0, faintest: float = 21.5
) -> SkyCatalog:
    """Gaia DR3 stars in the field of some exposures, with proper motions, from the archive.

    Parameters
    ----------
    exposures : sequence of Exposure
    margin_arcsec : float
        Around the field.
    faintest : float
        G magnitude.

    Returns
    -------
    SkyCatalog

    Raises
    ------
    DataError
        If astroquery is not installed, the archive does not answer, or has no star there.
    """
    corners = np.concatenate([distortion.footprint(c.wcs, c.shape) for e in exposures for c in e.chips])
    try:
        from astroquery.gaia import Gaia
    except ImportError as error:
        msg = "A Gaia catalog needs astroquery: install drizzlewb[archive], or give a refcat file."
        raise DataError(msg) from error
    unit = np.radians(corners)
    vectors = np.column_stack(
        [np.cos(unit[:, 1]) * np.cos(unit[:, 0]), np.cos(unit[:, 1]) * np.sin(unit[:, 0]), np.sin(unit[:, 1])]
    )
    mean = vectors.mean(0) / np.linalg.norm(vectors.mean(0))
    radius = np.degrees(np.arccos(np.clip(vectors @ mean, -1, 1)).max()) + margin_arcsec / 3600
    ra, dec = np.degrees(np.arctan2(mean[1], mean[0])) % 360, np.degrees(np.arcsin(mean[2]))
    query = (
        "SELECT ra, dec, phot_g_mean_mag, pmra, pmdec, ref_epoch FROM gaiadr3.gaia_source "
        f"WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE({ra:.8f}, {dec:.8f}, {radius:.8f})) "
        f"AND phot_g_mean_mag < {faintest}"
    )
    try:
        table = Gaia.launch_job_async(query).get_results()
    except Exception as error:
        # Network, time-out or service: all the user can do is try later or bring a file.
        msg = f"The Gaia archive gave no catalog ({error}); try again later, or give a refcat file."
        raise DataError(msg) from error
    if not len(table):
        where = f"within {radius * 3600:.0f} arcsec of {ra:.5f} {dec:.5f}"
        msg = f"Gaia DR3 has no star brighter than G = {faintest} {where}."
        raise DataError(msg)

    def column(name: str, missing: float) -> Array:
        values = np.ma.asarray(table[name]).astype(float)
        return np.nan_to_num(np.ma.filled(values, missing), nan=missing)

    return SkyCatalog(
        "GAIADR3",
        column("ra", 0.0),
        column("dec", 0.0),
        column("phot_g_mean_mag", 99.0),
        column("pmra", 0.0),
        column("pmdec", 0.0),
        float(np.median(column("ref_epoch", 2016.0))),
    )

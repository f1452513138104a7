import builtins
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table
from factory import write
from numpy.testing import assert_array_equal

from drizzlewb.errors import DataError
from drizzlewb.exposure.intake import read_exposures
from drizzlewb.steps.gaia import gaia_catalog


@pytest.fixture
def exposure(tmp_path):
    return read_exposures(str(write(tmp_path / "j8ny01svq_flc.fits", "ACS/WFC")))[0]


def test_gaia_without_astroquery_says_what_to_install(exposure, monkeypatch):
    true_import = builtins.__import__

    def no_astroquery(name, *args, **kwargs):
        if name.startswith("astroquery"):
            raise ImportError(name)
        return true_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_astroquery)
    with pytest.raises(DataError, match=r"install drizzlewb\[archive\], or give a refcat file"):
        gaia_catalog([exposure])


def test_gaia_catalog_from_a_stand_in_for_the_archive(exposure, monkeypatch):
    asked = []
    table = Table(
        {
            "ra": [150.1, 150.11],
            "dec": [2.2, 2.21],
            "phot_g_mean_mag": [18.0, 19.0],
            "pmra": np.ma.masked_invalid([5.0, np.nan]),
            "pmdec": np.ma.masked_invalid([-5.0, np.nan]),
            "ref_epoch": [2016.0, 2016.0],
        },
        masked=True,
    )

    class Gaia:
        @staticmethod
        def launch_job_async(query):
            asked.append(query)
            return SimpleNamespace(get_results=lambda: table)

    monkeypatch.setitem(__import__("sys").modules, "astroquery", SimpleNamespace())
    monkeypatch.setitem(__import__("sys").modules, "astroquery.gaia", SimpleNamespace(Gaia=Gaia))
    catalog = gaia_catalog([exposure])
    assert "CIRCLE(150.1" in asked[0]
    assert_array_equal(catalog.pm_ra, [5, 0])
    assert catalog.epoch == 2016
    table.remove_rows([0, 1])
    with pytest.raises(DataError, match="has no star brighter"):
        gaia_catalog([exposure])
    Gaia.launch_job_async = staticmethod(lambda query: 1 / 0)
    with pytest.raises(DataError, match="archive gave no catalog"):
        gaia_catalog([exposure])

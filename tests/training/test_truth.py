import pytest
from astropy.io import fits

from drizzlewb.errors import DataError
from drizzlewb.training.truth import read_catalog, read_index, read_truth


def test_missing_truth_is_said(tmp_path):
    with pytest.raises(DataError, match="truth.json cannot be read"):
        read_index(tmp_path)
    with pytest.raises(DataError, match="truth_catalog.fits is not there"):
        read_catalog(tmp_path)
    with pytest.raises(DataError, match="cannot be opened"):
        read_truth(tmp_path / "j8ny01svq_truth.fits")
    fits.PrimaryHDU().writeto(tmp_path / "x_truth.fits")
    with pytest.raises(DataError, match="not a truth file"):
        read_truth(tmp_path / "x_truth.fits")


def test_catalog_names_its_columns_and_units(tiny):
    catalog = read_catalog(tiny[0].parent)
    assert {"id", "ra", "dec", "kind", "mag_F606W", "rate_F606W", "rate_F814W"} <= set(catalog.colnames)
    assert catalog["ra"].unit == "deg"
    assert set(catalog["kind"]) == {"cluster", "field", "galaxy"}

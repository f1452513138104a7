from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table
from factory import write
from numpy.testing import assert_allclose, assert_array_equal

from drizzlewb import distortion
from drizzlewb.errors import DataError
from drizzlewb.exposure.intake import read_exposures
from drizzlewb.parameters.alignment import Coordinates, Reference
from drizzlewb.steps.user_catalogs import read_columns, read_reference, user_sources


def save(tmp_path, text, name="cat.txt"):
    path = tmp_path / name
    path.write_text(text)
    return path


class TestReadColumns:
    def test_blanks_commas_and_names(self, tmp_path):
        for text in (
            "# x y mag\n1 2 3\n4 5 6\n",
            "# x, y, mag\n1, 2, 3\n4, 5, 6\n",
            "x y mag\n1 2 3\n4 5 6\n",
            "#   1 x  first\n#   2 y  second\n#   3 mag\n1 2 3  # a remark\n\n4 5 6\n",
        ):
            path = save(tmp_path, text)
            by_name, _ = read_columns(path, ["MAG", "x"])
            by_number, _ = read_columns(path, ["3", "1"])
            assert_array_equal(by_name["MAG"], [3, 6])
            assert_array_equal(by_number["1"], by_name["x"])

    @pytest.mark.parametrize("suffix", ["fits", "ecsv"])
    def test_tables(self, tmp_path, suffix):
        path = tmp_path / f"cat.{suffix}"
        Table({"RA": [1.0, 2.0], "DEC": [3.0, 4.0]}).write(path)
        columns, _ = read_columns(path, ["ra", "2"])
        assert_array_equal(columns["ra"], [1, 2])
        assert_array_equal(columns["2"], [3, 4])

    def test_sexagesimal(self, tmp_path):
        path = save(tmp_path, "12:00:00 -30:30:00\n")
        columns, _ = read_columns(path, ["1", "2"], hours="1")
        assert_allclose([columns["1"][0], columns["2"][0]], [180, -30.5])

    def test_a_missing_column(self, tmp_path):
        path = save(tmp_path, "# x y\n1 2\n")
        with pytest.raises(DataError, match="no column 'flux'; it has 2 columns: x, y"):
            read_columns(path, ["flux"])
        with pytest.raises(DataError, match="no column '3'"):
            read_columns(path, ["3"])

    def test_text_where_a_number_is_due(self, tmp_path):
        path = save(tmp_path, "# x y\n1 2\n3 star\n")
        with pytest.raises(DataError, match="line 3: column '2' holds 'star', expected a number"):
            read_columns(path, ["1", "2"])

    def test_ragged_empty_absent(self, tmp_path):
        with pytest.raises(DataError, match="line 2: 2 columns, 3 before"):
            read_columns(save(tmp_path, "1 2 3\n4 5\n"), ["1"])
        with pytest.raises(DataError, match="has no rows"):
            read_columns(save(tmp_path, "# nothing\n"), ["1"])
        with pytest.raises(DataError, match="cannot be read"):
            read_columns(tmp_path / "none.txt", ["1"])
        with pytest.raises(DataError, match="cannot be read as a table"):
            read_columns(save(tmp_path, "no table", "cat.fits"), ["1"])


@pytest.fixture
def exposure(tmp_path):
    return read_exposures(str(write(tmp_path / "j8ny01svq_flc.fits", "ACS/WFC")))[0]


class TestUserSources:
    def test_pixels_are_one_based(self, tmp_path, exposure):
        one = save(tmp_path, "11 6 100\n21 7 1000\n", "one.txt")
        found = user_sources(exposure, [one, one], Coordinates(fluxcol="3"))
        assert_array_equal(found.x, [10, 20, 10, 20])
        assert_array_equal(found.chip, [0, 0, 1, 1])
        ra, dec = distortion.pixel_to_sky(exposure.chips[1].wcs, 10, 5)
        assert_allclose([found.ra[2], found.dec[2]], [ra, dec])
        assert_allclose(found.mag[:2], [-5, -7.5])

    def test_degrees(self, tmp_path, exposure):
        ra, dec = distortion.pixel_to_sky(exposure.chips[0].wcs, 10.0, 5.0)
        path = save(tmp_path, f"{ra:.10f} {dec:.10f}\n")
        found = user_sources(exposure, [path], Coordinates(xyunits="degrees"))
        assert_allclose([found.x[0], found.y[0]], [10, 5], atol=1e-4)

    def test_limits_and_the_brightest(self, tmp_path, exposure):
        path = save(tmp_path, "".join(f"{k} {k} {k}\n" for k in range(1, 11)))
        found = user_sources(exposure, [path], Coordinates(fluxcol="3", minflux=3, maxflux=8, nbright=2))
        assert_array_equal(found.x, [6, 7])
        found = user_sources(exposure, [path], Coordinates(fluxcol="3", fluxunits="mag", nbright=2))
        assert_array_equal(found.x, [0, 1])

    def test_nan_rows_are_left_out_and_said(self, tmp_path, exposure, caplog):
        path = save(tmp_path, "1 2\nnan 3\n4 5\n")
        assert len(user_sources(exposure, [path], Coordinates())) == 2
        assert "1 of 3 rows have no finite position" in caplog.text
        with pytest.raises(DataError, match="no row has a finite position"):
            user_sources(exposure, [save(tmp_path, "nan nan\n")], Coordinates())

    def test_refusals(self, tmp_path, exposure):
        path = save(tmp_path, "1 2 3\n")
        with pytest.raises(DataError, match="has 2 chips; the catfile lists 3"):
            user_sources(exposure, [path] * 3, Coordinates())
        with pytest.raises(DataError, match="names no catalog"):
            user_sources(exposure, [None], Coordinates())
        with pytest.raises(DataError, match="no row has a flux between 10"):
            user_sources(exposure, [path], Coordinates(fluxcol="3", minflux=10))


class TestReference:
    def test_the_published_gaia_catalog(self, shared_data, tmp_path):
        import tarfile

        with tarfile.open(shared_data / "tweakreg_goldens" / "align_to_catalogs.tar.gz") as tar:
            text = tar.extractfile("align_to_catalogs/gaia.cat").read().decode()
        catalog = read_reference(save(tmp_path, text, "gaia.cat"), Reference(rfluxcol="3", refnbright=100))
        assert len(catalog) == 100
        assert catalog.name == "gaia.cat"
        assert (np.abs(catalog.ra - 290.2) < 0.2).all()

    def test_proper_motions(self, tmp_path):
        path = tmp_path / "gaia.ecsv"
        Table({"ra": [10.0], "dec": [60.0], "pmra": [36.0], "pmdec": [-72.0], "ref_epoch": [2016.0]}).write(
            path
        )
        catalog = read_reference(path, Reference(refxcol="ra", refycol="dec"))
        then = catalog.at(2006.0)
        # Ten years back: -360 mas along RA, +720 along Dec.
        assert_allclose((then.ra - 10.0) * np.cos(np.radians(60)) * 3.6e6, -360, rtol=1e-6)
        assert_allclose((then.dec - 60.0) * 3.6e6, 720, rtol=1e-6)
        assert_allclose(catalog.at(np.nan).ra, 10.0)

    def test_epochs_that_differ_are_brought_together(self, tmp_path):
        path = save(
            tmp_path, "# ra dec pmra pmdec ref_epoch\n10 0 0 360 2000\n11 0 0 360 2010\n12 0 0 360 2010\n"
        )
        catalog = read_reference(path, Reference())
        assert catalog.epoch == 2010
        assert_allclose(catalog.dec * 3.6e6, [3600, 0, 0], atol=1e-6)

    def test_proper_motions_without_epoch(self, tmp_path):
        path = save(tmp_path, "# ra dec pmra pmdec\n10 0 0 360\n")
        with pytest.raises(DataError, match="no column ref_epoch"):
            read_reference(path, Reference())

    def test_no_positions_on_the_sky(self, tmp_path):
        with pytest.raises(DataError, match="are no right ascension and declination in degrees"):
            read_reference(save(tmp_path, "1000 2000\n"), Reference())

    def test_pixels_need_a_plane(self, tmp_path, exposure):
        path = save(tmp_path, "31 21\n")
        with pytest.raises(DataError, match="needs a refimage"):
            read_reference(path, Reference(refxyunits="pixels"))
        plane = SimpleNamespace(pixel_to_sky=lambda x, y: (x / 10, y / 10))
        catalog = read_reference(path, Reference(refxyunits="pixels"), plane)
        assert_allclose([catalog.ra[0], catalog.dec[0]], [3, 2])

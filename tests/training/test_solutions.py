import shutil

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from drizzlewb.errors import DataError
from drizzlewb.training.solutions import activate_solution, solution_names

pytestmark = pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")


@pytest.mark.parametrize("name", ["sample_ipppssoot_flc", "sample_svm_flc", "sample_ipppssoot_flt"])
def test_a_file_of_the_archive_gets_its_distortion_only_solution_back(shared_data, tmp_path, name):
    path = tmp_path / f"{name}.fits"
    with fits.open(shared_data / "hap_samples" / f"{name}.fits.gz") as hdul:
        hdul.writeto(path, output_verify="silentfix")
    with fits.open(path) as before:
        chosen = activate_solution(path)
        assert chosen.startswith("IDC_")
        assert "-" not in chosen
        with fits.open(path) as after:
            assert [hdu.name for hdu in after] == [hdu.name for hdu in before]
            for hdu in [h for h in before if h.name == "SCI"]:
                old, new = hdu.header, after["SCI", hdu.ver].header
                assert new["WCSNAME"] == chosen
                for key in ("CRVAL1", "CRVAL2", "CD1_1", "CD1_2", "CD2_1", "CD2_2", "CRPIX1"):
                    assert new[key] == old[key + "A"]
                assert {k: v for k, v in new.items() if k[:2] in ("A_", "B_")} == {
                    k: v for k, v in old.items() if k[:2] in ("A_", "B_")
                }
                # Every name is still there, the one that was active under a new key, digits and all.
                assert set(solution_names(old).values()) == set(solution_names(new).values())
                key = next(k for k, v in solution_names(new).items() if v == old["WCSNAME"])
                assert key
                assert new["CRVAL1" + key] == old["CRVAL1"]
                assert new["CD2_1" + key] == old["CD2_1"]
                assert "RMS_RA" not in new
                assert new["RMS_RA" + key] == old["RMS_RA"]
                assert new["WCSTYPE"] == old["WCSTYPEA"]


def test_both_ways_is_the_same_sky(tiny, tmp_path):
    path = tmp_path / tiny[0].name
    shutil.copy(tiny[0], path)
    with fits.open(path, mode="update") as hdul:
        for v in (1, 2):
            h = hdul["SCI", v].header
            keys = ("CRPIX", "CRVAL", "CTYPE", "CUNIT")
            for key in [f"{k}{i}" for k in keys for i in (1, 2)] + ["CD1_1", "CD1_2", "CD2_1", "CD2_2"]:
                h[key + "B"] = h[key]
            h["WCSNAMEB"] = "TWEAK"
            h["CRVAL1B"] += 2e-4

    def sky():
        with fits.open(path) as hdul:
            return np.array(WCS(hdul["SCI", 2].header, hdul).all_pix2world([3.0, 200.0], [5.0, 100.0], 0))

    start = sky()
    assert activate_solution(path, "TWEAK") == "TWEAK"
    moved = sky()
    np.testing.assert_allclose(moved[0] - start[0], 2e-4, rtol=0.01)
    assert activate_solution(path) == "IDC_qbu1641sj"
    np.testing.assert_array_equal(sky(), start)
    once = path.read_bytes()
    assert activate_solution(path) == "IDC_qbu1641sj"  # nothing to do
    assert fits.FITSDiff(fits.HDUList.fromstring(once), str(path)).identical
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name]


def test_what_is_not_there_is_said(tiny, tmp_path):
    path = tmp_path / tiny[0].name
    shutil.copy(tiny[0], path)
    with pytest.raises(DataError, match=r"\[SCI,1\] carries no solution 'HSC30'; it has IDC_qbu1641sj, OPUS"):
        activate_solution(path, "HSC30")
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(DataError, match="empty.fits has no SCI extension"):
        activate_solution(tmp_path / "empty.fits")

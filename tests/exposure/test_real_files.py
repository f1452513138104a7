"""The real files: what their headers say, and pixels as astropy reads them."""

import numpy as np
import pytest
from astropy.io import fits

from drizzlewb.errors import DataError
from drizzlewb.exposure import intake, read_exposures


def same_pixels(exposure, dq_name="DQ", dq_path=None):
    with fits.open(exposure.path) as opened, fits.open(dq_path or exposure.path) as flags:
        for chip in exposure.chips:
            ny, nx = chip.shape
            box = (ny // 3, ny, 0, nx - nx // 4)
            part = np.s_[box[0] : box[1], box[2] : box[3]]
            sci = opened["SCI", chip.extver].data[part] * np.float32(chip.to_electrons)
            np.testing.assert_array_equal(chip.read_sci(box), sci)
            words = flags[dq_name, chip.extver].data[part].astype(np.uint16)
            np.testing.assert_array_equal(chip.read_dq(box), words)


def test_hrc(shared_data):
    taken = intake(str(shared_data / "hrc_ngc104" / "*_flt.fits.gz"))
    exposures = taken.exposures
    assert [e.rootname for e in exposures] == ["j8bt05njq", "j8bt06o6q", "j8bt09jcq"]
    assert [e.filters for e in exposures] == ["F555W", "F606W", "F330W"]
    assert [e.exptime for e in exposures] == [60.0, 60.0, 66.0]
    assert {(e.detector, e.target, e.date_obs, e.unit) for e in exposures} == {
        ("ACS/HRC", "NGC104", "2002-04-13", "electrons")
    }
    chip = exposures[0].chips[0]
    assert (chip.shape, chip.cte_dir, chip.nominal) == ((1024, 1024), -1, ("gain", "read_noise"))
    assert chip.pixel_scale_arcsec == pytest.approx(0.025, rel=1e-3)
    same_pixels(exposures[0])
    # Made from raw files: no amplifier's read noise is in the header, and that is said.
    assert [w.code for w in taken.warnings] == ["nominal"]


def test_wfpc2(shared_data):
    folder = shared_data / "wfpc2_omegacen"
    exposure = read_exposures(str(folder / "*.fits.gz"))[0]
    assert [c.chip for c in exposure.chips] == [1, 2, 3, 4]
    assert [c.to_electrons for c in exposure.chips] == [7.12, 7.12, 6.90, 7.10]
    assert [c.unit for c in exposure.chips] == ["counts"] * 4
    assert [round(c.pixel_scale_arcsec, 3) for c in exposure.chips] == [0.046, 0.1, 0.1, 0.1]
    assert (exposure.filters, exposure.visit, exposure.suffix) == ("F555W", "01", "c0m")
    same_pixels(exposure, "SDQ", folder / "u40x010hm_c1m.fits.gz")


def test_the_shadow_takes_no_pixel_that_the_flags_call_good(shared_data):
    """So that the drizzled reference, made from the flags alone, stays comparable."""
    for chip in read_exposures(shared_data / "wfpc2_omegacen" / "u40x010hm_c0m.fits.gz")[0].chips:
        box = (0, 800, 0, 800)
        flags_alone = (chip.read_dq(box) == 0).astype(np.uint8)
        np.testing.assert_array_equal(chip.good(box, 0), flags_alone)
        assert chip.good(box, None).mean() == pytest.approx(0.89, abs=0.03)


def test_archive_headers(shared_data):
    folder = shared_data / "hap_samples"
    uvis = read_exposures(folder / "sample_svm_flc.fits.gz")[0]
    assert [(c.extver, c.chip) for c in uvis.chips] == [(1, 2), (2, 1)]
    assert uvis.wcsname == "IDC_2731450pi-FIT_SVM_GAIAeDR3"
    assert uvis.chips[0].mdrizsky == pytest.approx(17.624, abs=1e-3)
    assert uvis.chips[0].wcs.npol_x.shape == uvis.chips[0].wcs.d2im_x.shape == (10, 10)
    same_pixels(uvis)
    infrared = read_exposures(folder / "sample_svm_flt.fits.gz")[0]
    assert infrared.unit == "electrons/s"
    assert infrared.chips[0].to_electrons == infrared.exptime == pytest.approx(699.232, abs=1e-3)
    same_pixels(infrared)
    both = intake([folder / "sample_svm_flc.fits.gz", folder / "sample_ipppssoot_flc.fits.gz"])
    assert {w.code for w in both.warnings} == {"wcs-family", "mdrizsky"}
    product = read_exposures(folder / "sample_mvm_drc.fits.gz")[0]
    assert (product.detector, product.unit) == ("generic", "electrons/s")


def test_pixels_without_flags_of_their_shape_are_refused(shared_data):
    path = shared_data / "acs_wfc_distortion" / "j94f05bgq_flt_zeros.fits.gz"
    with pytest.raises(DataError, match="SCI,1 has 2048 rows and 4096 columns but DQ,1 has 2 and 2"):
        read_exposures(path)


def test_reference_files_are_no_exposures(shared_data):
    for path in sorted((shared_data / "reffiles").glob("*.fits.gz")):
        with pytest.raises(DataError, match="no SCI extension"):
            read_exposures(path)

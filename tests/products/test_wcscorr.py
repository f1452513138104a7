import numpy as np
from astropy.io import fits

from drizzlewb.products.fitsparts import from_hdu, read_parts, science_parts
from drizzlewb.products.wcscorr import with_rows


def table(parts):
    return next(p for p in parts if p.name == "WCSCORR").hdu()


def test_rows_are_added_behind_the_used_ones(svm_flc):
    """And the table grows when it is full, without losing a row."""
    parts = read_parts(svm_flc)
    science = science_parts(svm_flc, parts)
    before = table(parts)
    for k in range(1, 6):
        parts = with_rows(parts, science)
        now = table(parts)
        assert now.header["TROWS"] == before.header["TROWS"] + 2 * k
        used = now.data[: now.header["TROWS"]]
        assert [str(n) for n in used["WCS_ID"][:8]] == [str(n) for n in before.data["WCS_ID"][:8]]
        assert np.array_equal(used["CRVAL1"][:8], before.data["CRVAL1"][:8])
        assert str(used["WCS_ID"][-1]) == "IDC_2731450pi-FIT_SVM_GAIAeDR3"
        assert (used["SIPNAME"][-1], used["NPOLNAME"][-1]) == ("ib4606c6q_2731450pi", "y7b1516qi")
        # stwcs looks for the first empty row.
        assert str(now.data["WCS_ID"][now.header["TROWS"]]) == ""
    assert now.columns.formats == before.columns.formats


def test_outdated_table_is_replaced(svm_flt):
    parts = read_parts(svm_flt)
    old = fits.BinTableHDU.from_columns([fits.Column("WCS_ID", "40A", array=["OPUS"])], name="WCSCORR")
    parts = [from_hdu(old) if p.name == "WCSCORR" else p for p in parts]
    new = table(with_rows(parts, science_parts(svm_flt, parts)))
    names = [str(n) for n in new.data["WCS_ID"][: new.header["TROWS"]]]
    assert names[0] == "OPUS"
    assert names[-1] == "IDC_w3m18525i-FIT_SVM_GAIAeDR3"
    assert len(names) == 5


def test_drizzled_products_have_none(shared_data):
    path = shared_data / "hap_samples" / "sample_mvm_drc.fits.gz"
    parts = read_parts(path)
    assert with_rows(parts, science_parts(path, parts)) == parts

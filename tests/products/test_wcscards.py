import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from drizzlewb.errors import DataError
from drizzlewb.products import wcscards as wc
from drizzlewb.products.cards import Cards


def header(**more) -> Cards:
    rows = {
        "WCSAXES": 2, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 100.5, "CRPIX2": 50.25,
        "CRVAL1": 150.123456789012, "CRVAL2": -12.3456789012, "CD1_1": -1.1e-5, "CD1_2": 2.2e-6,
        "CD2_1": 2.1e-6, "CD2_2": 1.2e-5, "ORIENTAT": 10.0, "WCSNAME": "OLD", "RADESYS": "ICRS", **more,
    }  # fmt: skip
    return Cards("".join(fits.Card(k, v).image for k, v in rows.items() if v is not None))


def test_archive_is_readable_by_astropy_and_exact():
    cards = header(RMS_RA=3.5, NMATCHES=77)
    wc.archive(cards, "B", "KEPT")
    old, new = (WCS(fits.Header.fromstring(cards.text), key=k) for k in " B")
    assert np.array_equal(old.wcs.cd, new.wcs.cd)
    assert np.array_equal(old.wcs.crval, new.wcs.crval)
    assert cards.get("WCSNAMEB") == "KEPT"
    assert cards.get("RMS_RAB") == 3.5
    assert cards.get("NMATCHB") == 77  # NMATCHES has no room for a letter
    assert wc.same_solution(cards, " ", "B")


def test_restore_is_the_inverse_of_archive():
    cards = header(RMS_RA=3.5, RMS_DEC=2.5, NMATCHES=77)
    before = {k: cards.image(k) for k in ("CRVAL1", "CRVAL2", "CD1_1", "CD2_2", "RMS_RA")}
    wc.archive(cards, "A", "OLD")
    wc.set_linear(cards, np.array([151.0, -13.0]), np.eye(2) * 1e-5)
    wc.set_fit(cards, "NEW", rms_ra_mas=9.0, rms_dec_mas=8.0, nmatch=5, geometry="shift", catalog="GAIA")
    assert not wc.same_solution(cards, " ", "A")
    wc.restore(cards, "A")
    assert {k: cards.image(k) for k in before} == before
    assert cards.get("WCSNAME") == "OLD"
    assert cards.get("NMATCHES") == 77
    assert "FITGEOM" not in cards
    assert "CATALOG" not in cards
    assert cards.get("ORIENTAT") == pytest.approx(np.degrees(np.arctan2(2.2e-6, 1.2e-5)))


def test_fit_cards_are_drizzlepacs():
    cards = header()
    wc.set_fit(cards, "TWEAK", rms_ra_mas=3.6, rms_dec_mas=7.2, nmatch=55, geometry="rscale", catalog="GAIA")
    assert cards.get("RMS_RA") == 3.6
    assert "mas" in cards.comment("RMS_RA")
    assert cards.get("CRDER1") == pytest.approx(1e-6, rel=1e-12)
    assert cards.get("CRDER2") == pytest.approx(2e-6, rel=1e-12)
    assert (cards.get("NMATCHES"), cards.get("NMATCH")) == (55, 55)
    assert (cards.get("FITGEOM"), cards.get("CATALOG"), cards.get("FITNAME")) == ("rscale", "GAIA", "TWEAK")
    assert cards.get("WCSTYPE") == "user-defined"
    assert wc.rms_mas(cards) == pytest.approx((3.6, 7.2))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"RMS_RA": 9.9, "RMS_DEC": 10.4}, (9.9, 10.4)),  # the pipeline: mas
        ({"RMS_RA": 1e-6, "RMS_DEC": 2e-6}, (3.6, 7.2)),  # TweakReg: degrees
        ({"CRDER1": 1e-6, "CRDER2": 2e-6}, (3.6, 7.2)),
        ({"CRDER1": 12.6, "CRDER2": 12.9}, (12.6, 12.9)),  # seen in archive files
        ({"RMS_RA": 0.0, "RMS_DEC": -1.0}, (np.nan, np.nan)),
        ({}, (np.nan, np.nan)),
    ],
)
def test_rms_in_whatever_unit(rows, expected):
    assert wc.rms_mas(header(**rows)) == pytest.approx(expected, nan_ok=True)


def test_pc_becomes_cd():
    cards = header(
        CD1_1=None, CD1_2=None, CD2_1=None, CD2_2=None, CDELT1=-1e-5, CDELT2=1e-5, PC1_1=0.8, PC1_2=0.6,
        PC2_1=-0.6, PC2_2=0.8,
    )  # fmt: skip
    _, _, cd = wc.linear_terms(cards)
    assert np.allclose(cd, WCS(fits.Header.fromstring(cards.text)).pixel_scale_matrix, rtol=1e-14)
    wc.set_linear(cards, np.array([1.0, 2.0]), cd)
    assert "PC1_1" not in cards
    assert "CDELT1" not in cards
    assert np.array_equal(WCS(fits.Header.fromstring(cards.text)).wcs.cd, cd)


def test_crota_becomes_cd():
    rows = {f"CD{i}_{j}": None for i in (1, 2) for j in (1, 2)}
    cards = header(**rows, CDELT1=-1e-5, CDELT2=2e-5, CROTA2=30.0)
    _, _, cd = wc.linear_terms(cards)
    assert np.allclose(cd, WCS(fits.Header.fromstring(cards.text)).pixel_scale_matrix, rtol=1e-12)


def test_sip_without_its_ctype_gets_it():
    cards = header(A_ORDER=2, A_2_0=1e-6, B_ORDER=2, B_0_2=1e-6)
    wc.set_linear(cards, np.array([1.0, 2.0]), np.eye(2) * 1e-5)
    assert (cards.get("CTYPE1"), cards.get("CTYPE2")) == ("RA---TAN-SIP", "DEC--TAN-SIP")


def test_no_letter_left():
    cards = header()
    for key in wc.KEYS:
        if key != "O":
            assert wc.free_key([cards]) == key
            wc.archive(cards, key, f"N{key}")
    with pytest.raises(DataError, match="25 alternate"):
        wc.free_key([cards])
    wc.drop_solution(cards, "Q")
    assert wc.free_key([cards]) == "Q"


@pytest.mark.parametrize(
    "name",
    [
        "TWEAK",
        "IDC_2731450pi",
        "IDC_2731450pi-HSC30",
        "IDC_x-FIT_SVM_GAIAeDR3",
        "IDC_x-FIT_REL_GAIADR2",
        "OPUS",
    ],
)
def test_wcs_types_are_drizzlepacs(name):
    updatehdr = pytest.importorskip("drizzlepac.updatehdr")
    assert wc.wcs_type(name) == updatehdr.interpret_wcsname_type(name)


def test_unused_names():
    assert wc.unused_name("TWEAK", ["OTHER"]) == "TWEAK"
    assert wc.unused_name("Tweak", ["TWEAK", "tweak-1"]) == "Tweak-2"

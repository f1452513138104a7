"""The WCS packed from its cards against the one that astropy makes, bit by bit."""

import re
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from drizzlewb import distortion
from drizzlewb.distortion.plain import wcs_cards
from drizzlewb.exposure import opening
from drizzlewb.exposure.fitsfile import scan


def images(path):
    """Science headers of a file, the file's tables, and its primary header."""
    hdus = scan(str(path), keep=("D2IMARR", "WCSDVARR"))
    tables = opening._lookup_tables(hdus)
    return [(hdu, tables, hdus[0].header) for hdu in hdus if hdu.name == "SCI"]


def by_astropy(text, tables, shape, header, primary):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wcs = WCS(fits.Header.fromstring(text), fobj=tables.for_astropy())
    return distortion.pack(wcs, shape, header, primary)


def assert_same_bits(one, other):
    for name in one._fields:
        a, b = getattr(one, name), getattr(other, name)
        assert a.dtype == b.dtype
        assert np.array_equal(a, b, equal_nan=True), name


def check(path, count):
    found = images(path)
    for hdu, tables, primary in found:
        mine = distortion.pack_cards(hdu.text, tables.lookups, hdu.shape, hdu.header, primary)
        assert mine is not None
        assert_same_bits(mine, by_astropy(hdu.text, tables, hdu.shape, hdu.header, primary))
    assert len(found) == count


def test_simulated_files(tiny_set):
    for path in sorted(tiny_set.glob("*_flc.fits")):
        check(path, 2)


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("hrc_ngc104/*_flt.fits.gz", 1),
        ("hap_samples/**/*_fl?.fits*", None),
        ("wfpc2_omegacen/**/*c0m.fits*", 4),
    ],
)
def test_real_files(shared_data, pattern, count):
    paths = sorted(shared_data.glob(pattern))
    assert paths
    for path in paths:
        check(path, len(images(path)) if count is None else count)


def card(keyword, value):
    return str(fits.Card(keyword, value))


@pytest.fixture
def plain(tiny_set):
    """Cards of a science header without its tables; the packed WCS has SIP alone."""
    hdu, _, _ = images(sorted(tiny_set.glob("*_flc.fits"))[0])[0]
    cards = [hdu.text[k : k + 80] for k in range(0, len(hdu.text), 80)]
    return [c for c in cards if not re.match(r"CPDIS|CPERR|DP\d|D2IM|HISTORY|COMMENT", c)]


def pack(cards):
    return distortion.pack_cards("".join(cards), {}, (100, 120))


def test_numbers_in_any_spelling(plain):
    changed = [c for c in plain if not c.startswith(("CRVAL1", "CD1_2", "LONPOLE"))]
    changed += [
        "CRVAL1  =   -1.0150000000000D+02".ljust(80),
        "CD1_2   = 1E-5 / deg".ljust(80),
        card("LONPOLE", 180),
    ]
    packed = pack(changed)
    assert packed.crval[0] == 258.5
    assert packed.cd[0, 1] == 1e-5
    # wcslib itself drops an exponent that is written with a D.
    text = "".join(changed).replace("D+02", "E+02")
    assert_same_bits(packed, by_astropy(text, opening._Tables({}, []), (100, 120), None, None))


@pytest.mark.parametrize(
    "more",
    [
        ("PV1_1", 1.0), ("PC1_1", 1.0), ("CDELT1", 1.0), ("CROTA2", 30.0), ("LONPOLE", 0.0), ("WCSAXES", 3),
        ("CTYPE3", "FREQ"), ("CUNIT1", "arcsec"), ("CQDIS1", "Lookup"), ("CPDIS1", "Polynomial"),
        ("CPDIS1", "Lookup"), ("D2IMDIS1", "Lookup"), ("AXISCORR", 1),
        ("AP_ORDER", 3), ("CRVAL1", 10.0), ("CRPIX1", "12"), ("AMDX1", 1.0), ("PLTRAH", 3),
    ],
)  # fmt: skip
def test_anything_else_is_left_to_astropy(plain, more):
    keyword, value = more
    assert pack(plain) is not None
    if keyword in ("CUNIT1", "LONPOLE", "WCSAXES", "CRPIX1"):
        plain = [c for c in plain if not c.startswith(keyword.ljust(8))]
    assert pack([*plain, card(keyword, value)]) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"(CTYPE\d  = '..---?TAN)-SIP", r"\1    "),  # SIP coefficients under a linear CTYPE
        (r"(CTYPE\d  = '..---?)TAN", r"\1ZEA"),
        (r"^A_ORDER.*", ""),
        (r"(B_ORDER = *)\d", r"\g<1>1"),
        (r"(CRVAL2  = *)[-.\d]+", r"\g<1>90.0"),
        (r"(CD2_2   = *)[-.\dE]+", r"\g<1>abc"),
        (r"^CD2_1 .*", ""),
    ],
)
def test_changed_cards_are_left_to_astropy(plain, old, new):
    changed = [re.sub(old, new, c).ljust(80) for c in plain]
    assert changed != plain
    assert pack(changed) is None


def test_record_valued_cards():
    text = card("DP1", "EXTVER: 3.0") + card("DP1", "AXIS.1: 1") + card("DP2", "EXTVER: 4")
    assert wcs_cards(text) == {"DP1.EXTVER": 3.0, "DP1.AXIS.1": 1.0, "DP2.EXTVER": 4.0}


def test_tables_that_are_turned_or_missing(tiny_set):
    hdu, tables, _ = images(sorted(tiny_set.glob("*_flc.fits"))[0])[0]
    assert distortion.pack_cards(hdu.text, tables.lookups, hdu.shape) is not None
    assert distortion.pack_cards(hdu.text, {}, hdu.shape) is None
    turned = hdu.text.replace("'AXIS.1: 1", "'AXIS.1: 2")
    assert turned != hdu.text
    assert distortion.pack_cards(turned, tables.lookups, hdu.shape) is None


def test_a_singular_matrix_is_refused(plain):
    changed = [re.sub(r"^(CD\d_\d   = *)[-.\dE+]+", r"\g<1>0.0", c).ljust(80) for c in plain]
    with pytest.raises(distortion.sky.DataError, match="CD matrix"):
        pack(changed)

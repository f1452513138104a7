"""Cards by keyword against astropy's Header."""

import re

import pytest
from astropy.io import fits

from drizzlewb.exposure.cards import Cards
from drizzlewb.exposure.fitsfile import scan

ODD = "".join(
    line.ljust(80)
    for line in (
        "SIMPLE  =                    T / comment",
        "NAME    = 'it''s / not a comment  '",
        "NOTHING =                      / undefined",
        "EMPTY   = ''",
        "LONG    = 'first part, &'",
        "CONTINUE  'second part, &' / and",
        "CONTINUE  'third'",
        "TWICE   =                    1",
        "TWICE   =                    2",
        "FLOAT   =             1.5D-03",
        "EXPONENT=                 1E5",
        "LOWER   =                1e-5",
        "POINT   =                  .5 / half",
        "DOT     =                  -3. / no digits behind it",
        "SPACED  =                - 3.5",
        "ZEROS   =                 0042",
        "SIGNED  =                   +7/ no blank",
        "FLAG    =                    F",
        "BLANK   = '     '",
        "PADDED  = '  left and right  '   / T",
        "COLON   = 'time: 12 s'         / no record",
        "RATIO   = '12:30:05.5'",
        "COMPLEX = (1.0, 2.0)",
        "SLASH   = 'a/b' / it's one",
        "COMMENT = 3",
        "HISTORY of nothing",
    )
)


def same(text):
    cards, header = Cards(text), fits.Header.fromstring(text)
    for keyword in cards:
        if keyword in ("COMMENT", "HISTORY", "") or re.fullmatch(r"(D2IM|DP)\d", keyword):
            continue
        mine, theirs = cards[keyword], header[keyword]
        assert mine == theirs, keyword
        assert type(mine) is type(theirs), keyword
    return cards


def test_odd_cards():
    cards = same(ODD)
    assert cards["LONG"] == "first part, second part, third"
    assert cards["NOTHING"] is None
    assert cards["PADDED"] == "  left and right"
    assert cards["EXPONENT"] == 1e5
    assert cards.get("ABSENT", 7) == 7
    assert "TWICE" in cards
    assert cards["TWICE"] == 1
    with pytest.raises(KeyError):
        cards["ABSENT"]


@pytest.mark.filterwarnings("ignore")
def test_headers_of_simulated_files(tiny_set):
    for hdu in scan(str(sorted(tiny_set.glob("*_flc.fits"))[0])):
        assert len(same(hdu.text)) > 10


@pytest.mark.filterwarnings("ignore")
def test_headers_of_real_files(shared_data):
    for path in sorted(shared_data.glob("hap_samples/**/*_fl?.fits*"))[:3]:
        for hdu in scan(str(path)):
            same(hdu.text)

import math

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from drizzlewb.products.cards import Cards, card_as_astropy, card_image


def text_of(*cards: tuple) -> str:
    return "".join(fits.Card(*card).image for card in cards)


def test_untouched_cards_stay_to_the_byte():
    odd = "CRVAL1  =   1.378394533767E+02 / odd digits".ljust(80)
    text = odd + "              / A SECTION".ljust(80) + text_of(("A", 1), ("HISTORY", "was here")) + " " * 80
    cards = Cards(text)
    assert cards.text == text
    cards.put("A", 2)
    assert cards.text == text.replace(fits.Card("A", 1).image, fits.Card("A", 2).image)


def test_long_strings_are_one_card():
    value = "x" * 150
    text = text_of(("NAME", value, "a comment"), ("AFTER", 3))
    assert "CONTINUE" in text
    cards = Cards(text)
    assert cards.get("NAME") == value
    cards.copy("NAME", "OTHER", after="NAME")
    assert cards.keywords() == ["NAME", "OTHER", "AFTER"]
    assert fits.Header.fromstring(cards.text)["OTHER"] == value
    cards.drop("NAME")
    assert cards.text == text_of(("OTHER", value, "a comment"), ("AFTER", 3))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_all_their_bits(value):
    image = card_image("CD1_1", value, "partial")
    assert len(image) == 80
    assert fits.Card.fromstring(image).value == value
    assert math.copysign(1, fits.Card.fromstring(image).value) == math.copysign(1, value)


def test_new_cards_go_before_the_blank_end():
    cards = Cards(text_of(("A", 1)) + " " * 160)
    cards.put("B", 2)
    cards.put("C", 3, after="A")
    assert cards.keywords() == ["A", "C", "B", "", ""]


def test_values_with_defaults():
    cards = Cards(text_of(("N", 3), ("S", "text  "), ("T", True), ("U", None)))
    assert cards.number("N") == 3.0
    assert math.isnan(cards.number("S"))
    assert math.isnan(cards.number("T"))
    assert cards.get("U", "none") == "none"
    assert cards.string("S") == "text"
    assert cards.string("missing") == ""
    assert cards.image("missing") is None
    assert not cards.copy("missing", "N")


@pytest.mark.parametrize("value", [1, "abc", True, 2.5])
def test_put_keeps_the_comment(value):
    cards = Cards(text_of(("K", 7, "said before")))
    cards.put("K", value)
    assert cards.get("K") == value
    assert cards.comment("K") == "said before"


@pytest.mark.parametrize(
    ("value", "comment"),
    [
        (True, ""), (False, "no"), (0, ""), (-12, "x"), (10**19, ""), (10**30, "long"), (1.0, ""), (-0.0, ""),
        (5.8516391295281e-06, ""), (-1.2596013419557123e-05, "cut"), (-114.91782743012051, "angle"),
        (1e300, ""), (-1.2345678901234567e-300, ""), (1e16, ""), (123456789012345680.0, ""),
        (np.float64(0.1), ""), ("", "none"), ("a", ""), ("it's", "quoted"), ("RA---TAN", ""), (" left", "c"),
        ("longer than twenty characters", "c"), ("x" * 68, ""), ("x" * 69, ""), ("x" * 40, "y" * 40),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Card is too long")
def test_cards_as_astropy_writes_them(value, comment):
    assert card_as_astropy("KEY_1", value, comment) == fits.Card("KEY_1", value, comment or None).image


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "naïve", "two\nlines"])
def test_what_no_card_can_hold(value):
    with pytest.raises(ValueError):
        card_as_astropy("KEY", value)

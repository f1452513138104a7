"""DQ bits by number, by DrizzlePac's texts and by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drizzlewb.errors import ParameterError
from drizzlewb.quality import ALL_BITS, TABLES, flag_names, good_bit_mask

ACS = TABLES["ACS"]


@pytest.mark.parametrize(
    ("bits", "mask"),
    [
        (0, 0),
        (336, 336),
        ("336", 336),
        ("256,64,16", 336),
        ("256+64+16", 336),
        ([256, 64, 16], 336),
        (("256", "16"), 272),
        ("~4096", ALL_BITS & ~4096),
        ("~256,64", ALL_BITS & ~320),
        ("~(256,64)", ALL_BITS & ~320),
        (-17, ALL_BITS & ~16),
        ("~0", ALL_BITS),
        (None, ALL_BITS),
        ("None", ALL_BITS),
        ("INDEF", ALL_BITS),
        ("", ALL_BITS),
        ("hot,saturated", 272),
        ("~cr_drizzle", ALL_BITS & ~4096),
        (" Warm + 16 ", 80),
    ],
)
def test_forms_of_bits(bits, mask):
    assert good_bit_mask(bits, ACS) == mask


@pytest.mark.parametrize(
    "bits", [0, 336, "336", "256,64,16", "256+64+16", "~4096", "~256,64", [256, 64, 16], -17]
)
def test_forms_agree_with_the_peer(bits):
    """drizzlepac hands ``*_bits`` to stsci.tools.bitmask, which astropy took over."""
    from astropy.nddata.bitmask import interpret_bit_flags

    assert good_bit_mask(bits, ACS) == interpret_bit_flags(bits) & ALL_BITS


@given(st.integers(0, ALL_BITS))
def test_a_number_is_its_own_mask_however_it_is_written(value):
    flags = [1 << k for k in range(16) if value >> k & 1]
    assert good_bit_mask(value, ACS) == value
    assert good_bit_mask(str(value), ACS) == value
    assert good_bit_mask(f"~{value}", ACS) == ALL_BITS & ~value
    if flags:
        assert good_bit_mask(",".join(map(str, flags)), ACS) == value


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ("saturaded", "unknown DQ flag 'saturaded' for ACS.*did you mean 'saturated'"),
        ("hot;64", "unknown DQ flag"),
        ("336,64", "336 is no single flag"),
        (-16, "bitwise ~15.*'~16'"),
        (70000, "do not fit into 16 bits"),
    ],
)
def test_bits_that_cannot_be_meant(bits, message):
    with pytest.raises(ParameterError, match=message):
        good_bit_mask(bits, ACS)


def test_a_name_belongs_to_its_detector():
    assert good_bit_mask("warm_repaired", TABLES["WFPC2"]) == 1024
    with pytest.raises(ParameterError, match="warm_repaired"):
        good_bit_mask("warm_repaired", ACS)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)
def test_each_table_names_single_bits_once_and_says_where_from(table):
    values = [flag.value for flag in table.flags]
    assert values == sorted(set(values))
    assert all(v & (v - 1) == 0 and 0 < v <= 32768 for v in values)
    assert len(table.by_name) == len(values)
    assert all(flag.meaning for flag in table.flags)
    assert table.source


def test_names_of_a_value():
    assert flag_names(16 | 256 | 4096, ACS) == ("hot", "saturated", "cr_drizzle")
    assert flag_names(0, ACS) == ()
    assert flag_names(64, TABLES["WFPC2"]) == ("64",)

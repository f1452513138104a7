"""Numbers as text: the kernel against Python's own formatting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from drizzlewb.kernels.text import text_rows


@settings(deadline=None)  # the first call compiles
@given(
    arrays(np.float64, st.tuples(st.integers(1, 12), st.just(3)), elements=st.floats(-99999.0, 99999.0)),
    st.lists(st.integers(0, 9), min_size=3, max_size=3),
)
def test_same_numbers_as_python(values, decimals):
    lines = text_rows(values.T, decimals).splitlines()
    assert len(lines) == len(values)
    assert len({len(line) for line in lines}) == 1  # columns stay below each other
    for line, row in zip(lines, values, strict=True):
        for text, value, digits in zip(line.split(), row, decimals, strict=True):
            assert len(text.partition(".")[2]) == digits
            # A tie may fall either way: half a unit of the last digit, and the rounding of the product.
            assert abs(float(text) - value) <= 0.5 * 10.0**-digits + 1e-11 * abs(value)
            assert not text.startswith("-") or value < 0


def test_layout_and_special_values():
    text = text_rows(
        [[1.0, -20.5, np.nan], [3, 10, 999], [np.inf, -np.inf, 0.0049]], [4, 0, 2], "from the list"
    )
    rows = [line.split(maxsplit=3) for line in text.splitlines()]
    assert rows == [
        ["1.0000", "3", "inf", "from the list"],
        ["-20.5000", "10", "-inf", "from the list"],
        ["nan", "999", "0.00", "from the list"],
    ]


@pytest.mark.parametrize("value", [9.99999, 99.99996, 999999.999999])
def test_a_number_rounded_up_to_one_digit_more_keeps_its_place(value):
    first, second = text_rows([[value, value], [-7.0, -7.0]], [4, 1]).splitlines()
    assert first == second
    assert [float(t) for t in first.split()] == [round(value, 4), -7.0]


def test_no_rows_and_too_many_digits():
    assert text_rows([[], []], [1, 2]) == ""
    assert text_rows([[1e12, 0.5]], [6]).split() == ["1000000000000.000", "0.500"]
    with pytest.raises(ValueError, match="more digits than float64 holds"):
        text_rows([[1e16]], [0])


def test_no_minus_before_zero():
    assert text_rows([[-0.00001]], [3]) == "   0.000\n"

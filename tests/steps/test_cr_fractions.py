"""Which exposure stands out by its count of cosmic rays."""

import pytest

from drizzlewb.steps.cr_fractions import check_fractions

SAME = {"a": 0.02, "b": 0.021, "c": 0.019, "d": 0.02}
TIME = dict.fromkeys(SAME, 1000.0)


def test_steady_rates():
    check = check_fractions(SAME, TIME)
    assert not check.jumps
    assert check.words.startswith("No exposure stands out: 1.9 to 2.1 %")


def test_a_misaligned_exposure_stands_out_alone():
    check = check_fractions({**SAME, "c": 0.05}, TIME)
    assert list(check.jumps) == ["c"]
    assert check.jumps["c"] == pytest.approx(2.5)
    assert "c (5.0 %, 2.5 times)" in check.words
    assert "misaligned" in check.words


def test_long_exposures_have_more_rays_and_do_not_stand_out():
    check = check_fractions({**SAME, "c": 0.06}, {**TIME, "c": 3000.0})
    assert not check.jumps
    assert check.per_1000s["c"] == pytest.approx(0.02)


def test_small_differences_and_small_stacks():
    assert not check_fractions({"a": 0.001, "b": 0.001, "c": 0.003}, TIME).jumps  # twice, of nothing
    assert "nothing to compare" in check_fractions({"a": 0.02, "b": 0.09}, TIME).words
    assert check_fractions({}, {}).words == "No masks have been made."

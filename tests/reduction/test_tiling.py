"""Sizes of tiles: within the memory budget, whatever the size of the product."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drizzlewb.reduction.tiling import SMALLEST_SIDE, median_side, product_side, tiles_of


@given(ny=st.integers(1, 90), nx=st.integers(1, 90), side=st.integers(1, 40))
def test_tiles_cover_every_pixel_once(ny, nx, side):
    count = np.zeros((ny, nx), int)
    for tile in tiles_of((ny, nx), side):
        assert max(tile.shape) <= side
        count[tile.slices()] += 1
    assert (count == 1).all()


@given(
    columns=st.integers(100, 100_000),
    planes=st.integers(1, 8),
    budget=st.floats(50, 4000),
    threads=st.integers(1, 32),
)
def test_tiles_of_the_product_and_those_that_wait_fit_the_budget(columns, planes, budget, threads):
    side = product_side(columns, planes, budget, threads)
    assert SMALLEST_SIDE <= side <= 1400
    if side > SMALLEST_SIDE:
        assert side**2 * (100 + 4 * planes) * threads <= budget * 1e6
        assert side * columns * (8 + 4 * planes) <= 0.25 * budget * 1e6


@pytest.mark.parametrize(("overlap", "smaller"), [(6, 6), (100, 12), (600, 100)])
def test_tiles_of_the_median_shrink_with_the_stack(overlap, smaller):
    side = median_side(overlap, 500.0, 2)
    assert side**2 * (8 * overlap + 80) * 2 <= 500e6
    assert side <= median_side(smaller, 500.0, 2) <= 1000


@given(overlap=st.integers(1, 200), budget=st.floats(50, 4000), threads=st.integers(1, 32))
def test_no_side_of_the_median_falls_into_few_sets_of_the_cache(overlap, budget, threads):
    assert median_side(overlap, budget, threads) % 512 != 0


@pytest.mark.parametrize("columns", [10_172, 20_345])  # whose share of the budget is 1024 and 512 rows
def test_nor_does_one_of_the_product(columns):
    assert int(0.25 * 500e6 / (12 * columns)) % 512 == 0
    assert product_side(columns, 1, 500.0, 2) % 512 != 0

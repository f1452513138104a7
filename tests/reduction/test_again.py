"""Reductions that share all but the product, regions shared among threads, and parts of a stack."""

import numpy as np
import pytest

from drizzlewb.grid import Region
from drizzlewb.parameters.presets import reduce_parameters
from drizzlewb.reduction.engine import Reduction

CHOICE = {"final_scale": 0.04, "final_rot": 0.0, "final_pixfrac": 0.6, "driz_cr": True}
REGION = Region(150, 350, 180, 380)


@pytest.fixture(scope="module")
def reduction(tiny_f606w, tmp_path_factory):
    parameters = reduce_parameters(tiny_f606w, **CHOICE)
    made = Reduction(tiny_f606w, parameters, folder=tmp_path_factory.mktemp("again"), threads=1)
    made.prepare()
    return made


def same(one, two):
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one[1:], two[1:], strict=True))


def test_threads_change_no_bit_of_a_region(reduction):
    one = reduction.product(REGION, threads=1)
    assert one.wht.any()
    for threads in (2, 3, 8):
        many = reduction.product(REGION, threads=threads)
        assert many.region == one.region
        assert same(one, many)


@pytest.mark.parametrize(
    "change",
    [{"final_pixfrac": 0.9}, {"final_scale": 0.05}, {"final_kernel": "turbo"}, {"driz_cr_snr": (6.0, 5.0)}],
)
def test_other_final_parameters_give_the_bits_of_a_fresh_reduction(reduction, tiny_f606w, change):
    parameters = reduction.parameters.replace(change)
    fresh = Reduction(tiny_f606w, parameters, folder=reduction.folder, threads=1)
    again = reduction.again(reduction.exposures, parameters, fresh.final_grid)
    assert again is not None
    assert again.keys == fresh.keys
    assert again.prepare() is reduction.prepare()
    region = Region(100, 250, 120, 300)
    assert same(again.product(region), fresh.product(region))
    assert reduction.parameters.final.final_pixfrac == 0.6  # the first one is as it was


def test_nothing_is_shared_where_more_differs(reduction, tiny_f606w):
    grid = reduction.final_grid
    for change in ({"combine_type": "median"}, {"skymethod": "match"}, {"final_wht_type": "IVM"}):
        assert reduction.again(reduction.exposures, reduction.parameters.replace(change), grid) is None
    assert reduction.again(reduction.exposures[:5], reduction.parameters, grid) is None
    unprepared = Reduction(tiny_f606w, reduction.parameters, folder=reduction.folder)
    assert unprepared.again(unprepared.exposures, reduction.parameters, grid) is None


def test_halves_of_a_stack_have_the_masks_of_the_whole(reduction):
    whole = reduction.product(REGION)
    odd, even = (reduction.product(REGION, only=range(k, 6, 2)) for k in (0, 1))
    assert np.allclose(odd.wht + even.wht, whole.wht, rtol=1e-5, atol=1e-2)
    assert not (odd.ctx & even.ctx).any()
    assert np.array_equal(odd.ctx | even.ctx, whole.ctx)
    mean = odd.wht * np.nan_to_num(odd.sci) + even.wht * np.nan_to_num(even.sci)
    covered = whole.wht > 0
    assert np.allclose(mean[covered] / whole.wht[covered], whole.sci[covered], rtol=1e-4, atol=1e-4)

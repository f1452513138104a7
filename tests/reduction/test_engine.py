"""The preview is the product: same bits for any region, tile size, thread count and order."""

import os
import threading

import factory
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drizzlewb import read_exposures
from drizzlewb.errors import Cancelled, DataError
from drizzlewb.grid import Region
from drizzlewb.parameters import ReduceParameters
from drizzlewb.reduction import Reduction, tiling
from drizzlewb.reduction import engine as engine_module
from drizzlewb.reduction.schedule import Cancel
from drizzlewb.steps import final, median

KEYWORDS = {
    "skymethod": "match",
    "driz_sep_bits": 336,
    "final_bits": 336,
    "final_wcs": True,
    "final_rot": 20.0,
    "final_scale": 0.04,
    "final_pixfrac": 0.7,
    "driz_cr_ctegrow": 3,
}
SMALL = {**KEYWORDS, "final_outnx": 260, "final_outny": 330}


def assembled(reduction):
    """The whole product as arrays, from tiles in order of completion."""
    reduction.prepare()
    reduction.make_masks()
    shape = reduction.final_grid.shape
    sci, wht = np.full(shape, -1, np.float32), np.full(shape, -1, np.float32)
    planes = 1 + (sum(len(e.chips) for e in reduction.exposures) - 1) // 32
    ctx = np.zeros((planes, *shape), np.uint32)
    for tile in reduction.product_tiles():
        where = tile.region.slices()
        sci[where], wht[where] = tile.sci, tile.wht
        ctx[(slice(None), *where)] = tile.ctx
    return sci, wht, ctx


@pytest.fixture(scope="module")
def whole(tiny_f606w):
    return assembled(Reduction(tiny_f606w, ReduceParameters.from_keywords(KEYWORDS), threads=1))


def test_the_product_holds_something(whole):
    sci, wht, ctx = whole
    assert np.isfinite(sci).mean() > 0.3
    assert (np.isnan(sci) == (wht == 0)).all()
    assert (ctx.any(axis=0) == (wht > 0)).all()
    assert np.bitwise_or.reduce(ctx, axis=None) == 2**12 - 1  # every chip of six exposures contributes


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_region_has_the_bits_of_the_product(tiny_f606w, whole, data):
    ny, nx = whole[0].shape
    y0 = data.draw(st.integers(0, ny - 1))
    x0 = data.draw(st.integers(0, nx - 1))
    region = Region(
        y0, min(ny, y0 + data.draw(st.integers(1, 90))), x0, min(nx, x0 + data.draw(st.integers(1, 90)))
    )
    threads = data.draw(st.sampled_from([1, 2, 4]))
    parameters = ReduceParameters.from_keywords(KEYWORDS)
    tile = Reduction(tiny_f606w, parameters, threads=threads).product(region)
    where = region.slices()
    np.testing.assert_array_equal(tile.sci, whole[0][where])
    np.testing.assert_array_equal(tile.wht, whole[1][where])
    np.testing.assert_array_equal(tile.ctx, whole[2][(slice(None), *where)])


@pytest.mark.parametrize(("side", "crside", "threads"), [(64, 64, 3), (200, 128, 2), (37, 50, 4)])
def test_tile_size_and_threads_change_no_bit(tiny_f606w, whole, monkeypatch, side, crside, threads):
    monkeypatch.setattr(tiling, "LARGEST_SIDE", side)
    monkeypatch.setattr(tiling, "PRODUCT_SIDE", side)
    monkeypatch.setattr(tiling, "SMALLEST_SIDE", side)
    monkeypatch.setattr(tiling, "CRMASK_SIDE", crside)
    again = assembled(Reduction(tiny_f606w, ReduceParameters.from_keywords(KEYWORDS), threads=threads))
    for ours, theirs in zip(again, whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kernel", ["turbo", "point", "gaussian", "lanczos2", "lanczos3"])
def test_other_kernels_tile_too(tiny_f606w, kernel, monkeypatch):
    parameters = ReduceParameters.from_keywords(
        {**SMALL, "final_kernel": kernel, "driz_sep_kernel": "square"}
    )
    one = assembled(Reduction(tiny_f606w, parameters, threads=1))
    monkeypatch.setattr(tiling, "LARGEST_SIDE", 61)
    monkeypatch.setattr(tiling, "PRODUCT_SIDE", 61)
    monkeypatch.setattr(tiling, "SMALLEST_SIDE", 61)
    two = assembled(Reduction(tiny_f606w, parameters, threads=3))
    for ours, theirs in zip(two, one, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("side", [16, 1024])
def test_masks_of_chips_of_different_sizes(tmp_path, monkeypatch, side):
    """A subarray beside full frames: each cosmic ray is flagged where it fell."""
    monkeypatch.setattr(tiling, "CRMASK_SIDE", side)
    shapes = [(40, 60), (40, 60), (30, 44)]
    rays = [(7, 50), (30, 9), (25, 33)]
    files = []
    for k, (shape, ray) in enumerate(zip(shapes, rays, strict=True)):
        sci = factory.pixels(shape, seed=k)
        sci[ray] += 3000.0
        files.append(
            factory.write(tmp_path / f"jtest0{k}_flt.fits", "ACS/HRC", shape=shape, sci=[sci], sip=False)
        )
    reduction = Reduction(read_exposures(files), ReduceParameters.from_keywords({"static": False}))
    for number, (shape, ray) in enumerate(zip(shapes, rays, strict=True)):
        mask = reduction.crmask(number)
        assert mask.shape == shape
        flagged = np.argwhere(mask == 0)
        assert ray in map(tuple, flagged.tolist())
        assert len(flagged) < 12
        assert (np.abs(flagged - ray).max(axis=1) <= 2).all()


@pytest.mark.parametrize(("module", "kernel"), [(final, "drizzle_box"), (median, "single_region")])
def test_cancel_is_polled_inside_a_tile(tiny_f606w, monkeypatch, module, kernel):
    """A tile of full-size chips takes longer than a user waits: no second chip is drizzled."""
    reduction = Reduction(tiny_f606w, ReduceParameters.from_keywords(KEYWORDS), threads=1)
    reduction.prepare()
    drizzled = []
    original = getattr(module, kernel)

    def drizzle(*arguments):
        drizzled.append(1)
        reduction.cancel.set()
        return original(*arguments)

    if module is final:
        reduction.make_masks()
    monkeypatch.setattr(module, kernel, drizzle)
    with pytest.raises(Cancelled):
        reduction.product(reduction.final_grid.region)
    assert len(drizzled) == 1


def test_a_later_reduction_finds_the_tiles_of_an_earlier_one(tiny_f606w, tmp_path, monkeypatch):
    first = Reduction(tiny_f606w, ReduceParameters.from_keywords(KEYWORDS), folder=tmp_path)
    first.make_masks()
    monkeypatch.setattr(engine_module, "median_region", None)  # making another tile would fail
    monkeypatch.setattr(engine_module.cosmicray_step, "crmask_box", None)
    changed = ReduceParameters.from_keywords({**KEYWORDS, "final_pixfrac": 0.9})
    again = Reduction(tiny_f606w, changed, folder=tmp_path)
    assert np.isfinite(again.product(again.final_grid.region).sci).any()


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        ({"final_pixfrac": 0.5}, {"product"}),
        ({"driz_cr_snr": "5.0 4.0"}, {"crmask", "product"}),
        ({"blot_interp": "linear"}, {"crmask", "product"}),
        ({"combine_nhigh": 1}, {"median", "crmask", "product"}),
        ({"driz_sep_pixfrac": 0.9}, {"median", "crmask", "product"}),
        ({"skymethod": "localmin"}, {"prepass", "median", "crmask", "product"}),
        ({"output": "elsewhere"}, set()),
        ({"num_cores": 1}, set()),
    ],
)
def test_keys_say_what_a_parameter_makes_stale(tiny_f606w, change, stale):
    before = Reduction(tiny_f606w, ReduceParameters.from_keywords(KEYWORDS)).keys
    after = Reduction(tiny_f606w, ReduceParameters.from_keywords({**KEYWORDS, **change})).keys
    assert {name for name in before if before[name] != after[name]} == stale


def test_cancel_in_the_middle(tiny_f606w):
    cancel = Cancel()
    steps = []

    def progress(step, done, total, message=""):
        steps.append(step)
        if step == "separate and median":
            cancel.set()

    reduction = Reduction(
        tiny_f606w, ReduceParameters.from_keywords(KEYWORDS), progress=progress, cancel=cancel, threads=2
    )
    with pytest.raises(Cancelled):
        reduction.make_masks()
    assert "cosmic rays" not in steps


def test_scratch_goes_with_the_reduction(tiny_f606w, tmp_path):
    reduction = Reduction(tiny_f606w, ReduceParameters.from_keywords(KEYWORDS), beside=tmp_path)
    reduction.prepare()
    assert list(tmp_path.iterdir())
    del reduction
    assert not list(tmp_path.iterdir())


def test_a_region_outside_the_grid_is_refused(tiny_f606w):
    reduction = Reduction(tiny_f606w, ReduceParameters.from_keywords(KEYWORDS))
    with pytest.raises(DataError, match="outside the output grid"):
        reduction.product(Region(-50, -1, 0, 10))


def test_two_previews_at_once(tiny_f606w, whole):
    reduction = Reduction(tiny_f606w, ReduceParameters.from_keywords(KEYWORDS), threads=2)
    ny, nx = whole[0].shape
    regions = [
        Region(ny // 3, ny // 3 + 80, nx // 3, nx // 3 + 80),
        Region(ny // 2, ny // 2 + 80, nx // 2, nx // 2 + 80),
    ]
    tiles = {}
    workers = [
        threading.Thread(target=lambda r=r: tiles.setdefault(r, reduction.product(r))) for r in regions
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for region, tile in tiles.items():
        np.testing.assert_array_equal(tile.sci, whole[0][region.slices()])
    assert len(tiles) == 2
    assert os.path.isdir(reduction.folder)

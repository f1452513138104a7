"""Combination of a stack: twin, peer, tiling, bad pixels, few good values."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from drizzlewb.kernels.median import KINDS, combine, margin

INF = np.inf


def stack_of(n, shape=(40, 70), seed=2):
    """Sky of 0.01 e-/s with cosmic rays; 10 % of the pixels empty."""
    rng = np.random.default_rng(seed)
    stack = rng.normal(0.01, 0.02, (n, *shape))
    hit = rng.random(stack.shape) < 0.05
    stack[hit] += rng.exponential(2.0, hit.sum())
    weight = np.where(rng.random(stack.shape) < 0.1, 0.0, rng.normal(500.0, 30.0, stack.shape))
    weight[:, :, :3] = 0.0
    weight[1:, :, 3:6] = 0.0
    stack[weight == 0] = 0.0
    return stack.astype(np.float32), weight.astype(np.float32)


def numbers(n, seed=4):
    rng = np.random.default_rng(seed)
    return rng.uniform(20, 60, n), rng.uniform(4, 5, n), rng.uniform(450, 550, n)


def run(stack, weight, kind, *, least=150.0, nlow=0, nhigh=0, limits=(-INF, INF), grow=1):
    n = len(stack)
    stack, weight = np.ascontiguousarray(stack), np.ascontiguousarray(weight)
    out = np.full(stack.shape[1:], -99.0, np.float32)
    sky, noise, exptime = numbers(n)
    combine(
        stack, weight, np.full(n, least), KINDS[kind], nlow, nhigh, *limits, sky, noise, exptime,
        4.0, 3.0, grow, out, 0,
    )  # fmt: skip
    return out


def twin(stack, weight, kind, *, least=150.0, nlow=0, nhigh=0, limits=(-INF, INF), grow=1, nsigma=(4.0, 3.0)):
    """The definitions, one pixel after the other."""
    n, ny, nx = stack.shape
    minmed = kind.endswith("minmed")
    finite = np.isfinite(stack) & np.isfinite(weight)
    good = finite & (weight > max(least, 0.0))
    if kind == "sum":
        return np.where(np.isfinite(stack), stack, 0).sum(axis=0)
    if minmed:
        nlow, nhigh = 0, 1 if n > 2 else 0
    else:
        good &= (stack >= limits[0]) & (stack < limits[1])
    average = kind in ("mean", "imean") or (minmed and n == 2)
    out = np.zeros((ny, nx), np.float32)
    minimum = np.zeros((ny, nx), np.float32)
    for j in range(ny):
        for i in range(nx):
            values = np.sort(stack[good[:, j, i], j, i].astype(np.float64))
            low, high = nlow, nhigh
            while not average and len(values) and low + high >= len(values):
                low, high = max(low - 1, 0), max(high - 1, 0)
            kept = values[low : len(values) - high]
            if len(kept):
                out[j, i] = kept.mean() if average else np.median(kept)
            elif kind.startswith("i") and not len(values):
                filling = stack[:, j, i][np.isfinite(stack[:, j, i]) & (stack[:, j, i] != 0)]
                out[j, i] = filling[0] if len(filling) else 0
            minimum[j, i] = values[0] if len(values) else out[j, i]
    if not minmed:
        return out
    sky, noise, exptime = numbers(n)
    w = np.where(finite, weight, 0)
    total = w.sum(axis=0)
    background = (w * (sky / exptime)[:, None, None]).sum(axis=0)
    variance = out * total + background + (good * (noise**2)[:, None, None]).sum(axis=0)
    rms = np.sqrt(np.maximum(variance, 0))
    hit = [minimum * total < out * total - s * rms for s in nsigma]
    near = ndimage.binary_dilation(hit[0], np.ones((2 * grow + 1,) * 2)) if grow else np.zeros_like(hit[0])
    return np.where(np.where(near, hit[1], hit[0]) & good.any(axis=0), minimum, out)


def agree(ours, theirs):
    # float32 sums in another order: a comparison may tip at a pixel, a value by one unit in the last place
    close = np.isclose(ours, theirs, rtol=3e-7, atol=1e-9)
    return (~close).sum() <= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_equals_its_twin(kind, n):
    stack, weight = stack_of(n)
    for nlow, nhigh in ((0, 0), (0, 1), (1, 1), (2, 0)):
        ours = run(stack, weight, kind, nlow=nlow, nhigh=nhigh)
        assert agree(ours, twin(stack, weight, kind, nlow=nlow, nhigh=nhigh))


@pytest.mark.parametrize("grow", [0, 1, 3])
def test_minmed_takes_minima_near_others(grow):
    stack, weight = stack_of(4)
    ours = run(stack, weight, "minmed", grow=grow)
    assert agree(ours, twin(stack, weight, "minmed", grow=grow))
    plain = run(stack, weight, "median", nhigh=1)
    assert 0.001 < (ours != plain).mean() < 0.2


def test_rows_longer_than_the_lanes():
    stack, weight = stack_of(3, (2, 1300))
    for kind in ("median", "minmed", "imean"):
        assert agree(run(stack, weight, kind), twin(stack, weight, kind))


def test_limits():
    stack, weight = stack_of(5)
    limits = (-0.02, 0.5)
    for kind in ("median", "mean", "imedian"):
        assert agree(run(stack, weight, kind, limits=limits), twin(stack, weight, kind, limits=limits))
    assert (run(stack, weight, "minmed", limits=limits) == run(stack, weight, "minmed")).all()


def test_without_masks_empty_pixels_are_still_no_values():
    stack, weight = stack_of(3)
    stack += np.float32(5.0) * (weight > 0)
    out = run(stack, weight, "median", least=-1.0)
    assert (out[(weight > 0).any(axis=0)] > 4.0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["stack", "weight"])
def test_bad_pixels_are_as_if_masked(kind, bad, where):
    stack, weight = stack_of(4)
    place = np.random.default_rng(8).random(stack.shape) < 0.02
    clean_stack, clean_weight = stack.copy(), weight.copy()
    clean_weight[place] = 0.0
    if where == "stack" or kind not in ("sum", "imedian", "imean", "iminmed"):
        # a value whose weight alone is bad may still fill a pixel, and is part of the sum
        clean_stack[place] = 0.0
    (stack if where == "stack" else weight)[place] = bad
    ours = run(stack, weight, kind)
    assert np.isfinite(ours).all()
    assert (ours == run(clean_stack, clean_weight, kind)).all()


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from(sorted(KINDS)), st.integers(0, 3))
def test_any_tile_gives_the_same_bits(data, kind, grow):
    stack, weight = stack_of(4)
    whole = run(stack, weight, kind, grow=grow)
    ny, nx = whole.shape
    edge = margin(KINDS[kind], grow)
    y0, x0 = data.draw(st.integers(0, ny - 1)), data.draw(st.integers(0, nx - 1))
    y1, x1 = data.draw(st.integers(y0 + 1, ny)), data.draw(st.integers(x0 + 1, nx))
    top, left = max(y0 - edge, 0), max(x0 - edge, 0)
    box = np.s_[:, top : y1 + edge, left : x1 + edge]
    part = run(stack[box], weight[box], kind, grow=grow)
    assert (part[y0 - top : y1 - top, x0 - left : x1 - left] == whole[y0:y1, x0:x1]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_images_that_do_not_touch_can_be_left_out(kind):
    stack, weight = stack_of(4)
    stack[2:], weight[2:] = 0.0, 0.0
    whole = run(stack, weight, kind)
    sky, noise, exptime = numbers(4)
    out = np.empty_like(whole)
    combine(
        stack[:2].copy(), weight[:2].copy(), np.full(2, 150.0), KINDS[kind], 0, 0, -INF, INF,
        sky[:2].copy(), noise[:2].copy(), exptime[:2].copy(), 4.0, 3.0, 1, out, 4,
    )  # fmt: skip
    assert (out == whole).all()


def test_margin():
    assert margin(KINDS["minmed"], 2) == margin(KINDS["iminmed"], 2) == 2
    assert margin(KINDS["median"], 2) == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [2, 3, 4, 6, 11])
def test_equals_the_peer(kind, n):
    """Bit for bit numcombine and min_med, where a pixel has a good value (see combine for the rest)."""
    numcombine = pytest.importorskip("stsci.image.numcombine")
    minmed = pytest.importorskip("drizzlepac.minmed")
    stack, weight = stack_of(n)
    masks = weight < 150.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peer casts the memory that it is about to fill
        if kind.endswith("minmed"):
            sky, noise, exptime = (list(values) for values in numbers(n))
            peer = minmed.min_med(
                stack, weight, noise, exptime, sky, weight_masks=masks, combine_grow=1, combine_nsigma1=4,
                combine_nsigma2=3, fillval=kind == "iminmed",
            )  # fmt: skip
            cases = [(0, 0, peer)]
        else:
            pairs = [(low, high) for low, high in ((0, 0), (0, 1), (1, 1)) if low + high < n]
            cases = [
                (low, high, numcombine.num_combine(stack, masks, kind, nlow=low, nhigh=high))
                for low, high in pairs
            ]
    some = (~masks).any(axis=0)
    for low, high, expected in cases:
        assert (run(stack, weight, kind, nlow=low, nhigh=high) == expected)[some].all()


def test_golden_median(shared_data):
    """AstroDrizzle's minmed of the real exposures, from its own single images, bit for bit.

    Its weight limit, 0.3 of the mean of each finished image, cannot be had from cut-outs: weights
    fall from full to nothing within a few pixels, so those pixels are left out whose weight is
    neither above 0.45 nor below 0.15 of the full one.
    """
    sky = np.array([47.419353, 145.19354, 5.903226])
    with np.load(shared_data / "hrc_ngc104" / "astrodrizzle-3.11.0" / "golden.npz") as golden:
        roots = ("j8bt05njq", "j8bt06o6q", "j8bt09jcq")
        stack = np.stack([golden[f"{root}_single_sci"] for root in roots]).astype(np.float32)
        weight = np.stack([golden[f"{root}_single_wht"] for root in roots]).astype(np.float32)
        peer = golden["med"].astype(np.float32)
    full = np.median(weight, axis=(1, 2))
    ratio = weight / full[:, None, None]
    out = np.empty_like(peer)
    combine(
        stack, weight, 0.3 * full, KINDS["minmed"], 0, 0, -INF, INF, sky, np.full(3, 4.7),
        np.array([60.0, 60.0, 66.0]), 4.0, 3.0, 1, out,
    )  # fmt: skip
    unclear = ndimage.binary_dilation(((ratio > 0.15) & (ratio < 0.45)).any(axis=0), np.ones((3, 3)))
    unclear[[0, -1]] = unclear[:, [0, -1]] = True  # grown from pixels outside the cut-out
    assert unclear.mean() < 0.05
    assert (out[~unclear] != peer[~unclear]).sum() == 0

"""Cosmic rays against the blot: twin, peer, borders, sub-boxes, bad pixels, growth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from drizzlewb.kernels.cosmicray import cosmic_rays, grow, limits, margin, noise_background

SNR, SCALE = (3.5, 3.0), (1.2, 0.7)


def twin_derivative(blot):
    """Largest difference to four neighbours; shifted copies hold 0 where the peer leaves them empty."""
    ny, nx = blot.shape
    slope = np.zeros_like(blot)
    for source, target in (
        (np.s_[: ny - 1, : nx - 2], np.s_[: ny - 1, 1 : nx - 1]),
        (np.s_[: ny - 1, 1 : nx - 1], np.s_[: ny - 1, : nx - 2]),
        (np.s_[: ny - 2, : nx - 1], np.s_[1 : ny - 1, : nx - 1]),
        (np.s_[1 : ny - 1, : nx - 1], np.s_[: ny - 2, : nx - 1]),
    ):
        shifted = np.zeros_like(blot)
        shifted[target] = blot[source]
        slope = np.maximum(slope, np.abs(blot - shifted))
    return slope


def twin(sci, blot, background, read_noise, snr=SNR, scale=SCALE):
    slope = twin_derivative(blot)
    difference = np.abs(sci - blot)
    noise = np.sqrt(np.abs(blot + np.float32(background)) + np.float32(read_noise**2))
    first = difference <= np.float32(scale[0]) * slope + np.float32(snr[0]) * noise
    second = difference <= np.float32(scale[1]) * slope + np.float32(snr[1]) * noise
    return (second | ndimage.minimum_filter(first, 3, mode="nearest")).astype(np.uint8)


def run(sci, blot, background=0.0, read_noise=5.0, *, box=None, snr=SNR, scale=SCALE):
    y0, y1, x0, x1 = box or (0, sci.shape[0], 0, sci.shape[1])
    out = np.empty((y1 - y0, x1 - x0), np.uint8)
    cosmic_rays(
        np.ascontiguousarray(sci[y0:y1, x0:x1]),
        np.ascontiguousarray(blot[y0:y1, x0:x1]),
        y0,
        x0,
        *sci.shape,
        background,
        read_noise,
        *snr,
        *scale,
        out,
    )
    return out


def scene(shape=(90, 120), seed=3):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    blot = np.full(shape, 60.0)
    for _ in range(12):
        cy, cx = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        blot += rng.exponential(3000.0) * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 3.0)
    blot = blot.astype(np.float32)
    sci = rng.normal(blot, np.sqrt(blot + 25)).astype(np.float32)
    hit = rng.random(shape) < 0.03
    sci[hit] += rng.exponential(200.0, hit.sum()).astype(np.float32)
    return sci, blot


@pytest.mark.parametrize("background", [0.0, 60.0, -30.0])
def test_equals_its_twin(background):
    sci, blot = scene()
    ours = run(sci, blot, background)
    assert 0.005 < 1 - ours.mean() < 0.1
    assert (ours == twin(sci, blot, background, 5.0)).all()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_box_gives_the_chips_pixels(data):
    sci, blot = scene()
    whole = run(sci, blot)
    (ny, nx), edge = sci.shape, margin(1, 0)
    y0 = data.draw(st.integers(0, ny - 1))
    x0 = data.draw(st.integers(0, nx - 1))
    y1 = data.draw(st.integers(y0 + 1, ny))
    x1 = data.draw(st.integers(x0 + 1, nx))
    g = (max(y0 - edge, 0), min(y1 + edge, ny), max(x0 - edge, 0), min(x1 + edge, nx))
    part = run(sci, blot, box=g)
    assert (part[y0 - g[0] : y1 - g[0], x0 - g[2] : x1 - g[2]] == whole[y0:y1, x0:x1]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["sci", "blot"])
def test_a_bad_pixel_harms_no_neighbour(bad, where):
    sci, blot = scene()
    place = np.zeros(sci.shape, bool)
    place[0, 0] = place[40, 50] = place[89, 119] = place[12, 1] = True
    # The definition: the pixel passes, and takes no part in its neighbours' derivatives.
    image = {"sci": sci, "blot": blot}[where]
    image[place] = bad
    ours = run(sci, blot)
    near = ndimage.binary_dilation(place, np.ones((3, 3)), iterations=2)
    assert (ours[place] == 1).all()
    if where == "sci":
        # as if it equalled the blot
        sci[place] = blot[place]
        assert (ours == run(sci, blot)).all()
    else:
        # beyond the reach of derivative and 3 x 3 test nothing changes
        assert (ours[~near] == run(*scene())[~near]).all()
        # a clean neighbour stays good
        flat = np.full((9, 9), 50.0, np.float32)
        hole = flat.copy()
        hole[4, 4] = bad
        assert run(flat, hole).all()


def test_noise_background():
    assert noise_background(80.0, 80.0) == 0.0  # localmin: the blot has it all
    assert noise_background(80.0, 30.0) == 50.0  # match: the blot has its offset
    assert noise_background(80.0, 0.0) == 80.0  # removed by the user
    assert noise_background(80.0, 80.0, peer_parity=True) == 80.0  # the peer: twice


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5])
def test_growth_equals_convolution(size):
    rng = np.random.default_rng(5)
    mask = (rng.random((30, 41)) > 0.04).astype(np.uint8)
    mask[0, 0] = mask[29, 40] = mask[0, 20] = 0
    out = np.empty_like(mask)
    grow(mask, size, 0, 0, out)
    if size < 1:
        assert (out == mask).all()
        return
    signal = pytest.importorskip("scipy.signal")
    kernel = np.ones((size, size), int)
    expected = signal.convolve2d(mask, kernel, boundary="symm", mode="same") >= size**2
    assert (out == expected).all()


def test_even_sides_grow_off_centre():
    mask = np.ones((7, 7), np.uint8)
    mask[3, 3] = 0
    out = np.empty_like(mask)
    grow(mask, 2, 0, 0, out)
    assert np.argwhere(out == 0).tolist() == [[3, 3], [3, 4], [4, 3], [4, 4]]


@pytest.mark.parametrize(("direction", "rows"), [(1, [2, 3, 4, 5]), (-1, [5, 6, 7, 8]), (0, [5])])
def test_tail(direction, rows):
    mask = np.ones((11, 5), np.uint8)
    mask[5, 2] = 0
    out = np.empty_like(mask)
    grow(mask, 1, 3, direction, out)
    assert np.argwhere(out == 0).tolist() == [[row, 2] for row in rows]


def test_margin():
    assert margin(1, 0) == 2
    assert margin(3, 0) == 3
    assert margin(4, 0) == 4
    assert margin(1, 7) == 9


def test_equals_the_peer():
    """drizzlepac.drizCR, its arithmetic on arrays: derivative and convolutions are the peer's own."""
    deriv = pytest.importorskip("drizzlepac.quickDeriv")
    signal = pytest.importorskip("scipy.signal")
    sci, blot = scene((200, 260), seed=11)
    slope = deriv.qderiv(blot)
    assert (slope == twin_derivative(blot)).all()
    difference = np.absolute(sci - blot)
    noise = np.sqrt(np.abs(blot + 60.0) + 5.0**2)
    first = difference <= SCALE[0] * slope + SNR[0] * noise
    all_good = signal.convolve2d(first, np.ones((3, 3), np.uint16), boundary="symm", mode="same") >= 9
    peer = (difference <= SCALE[1] * slope + SNR[1] * noise) | all_good
    assert (run(sci, blot, 60.0) == peer).all()


def test_golden_masks(shared_data):
    """AstroDrizzle's masks of the real exposures, from its own blots: the same but for nothing.

    That run counted the sky twice (localmin), with read noise 4.7. The stored cut-outs lack the
    neighbours at their rims, so two pixels are left out there; where the cut touches the border of
    the chip the border's rule is tested too.
    """
    from astropy.io import fits

    folder = shared_data / "hrc_ngc104"
    sky = {"j8bt05njq": 47.419353, "j8bt06o6q": 145.19354, "j8bt09jcq": 5.903226}
    with np.load(folder / "astrodrizzle-3.11.0" / "golden.npz") as golden:
        for root, value in sky.items():
            y0, y1, x0, x1 = golden[f"{root}_in_slice"]
            sci = fits.getdata(folder / f"{root}_flt.fits.gz", ("SCI", 1)).astype(np.float32)
            blot = np.full(sci.shape, np.nan, np.float32)
            blot[y0:y1, x0:x1] = golden[f"{root}_blt"]
            ours = run(sci, blot, noise_background(value, value, peer_parity=True), 4.7)
            peer = np.unpackbits(golden[f"{root}_crmask_full"], axis=1)
            inner = np.s_[y0 + 2 * (y0 > 0) : y1 - 2 * (y1 < 1024), x0 + 2 * (x0 > 0) : x1 - 2 * (x1 < 1024)]
            assert 1 - peer[inner].mean() > 0.001
            assert (ours[inner] != peer[inner]).sum() == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 50), st.integers(0, 40), st.booleans())
def test_limits_are_those_of_the_test(y0, x0, whole):
    sci, blot = scene()
    box = (0, 90, 0, 120) if whole else (y0, y0 + 35, x0, x0 + 45)
    part = np.ascontiguousarray(blot[box[0] : box[1], box[2] : box[3]])
    first, second = np.empty_like(part), np.empty_like(part)
    limits(part, box[0], box[2], *blot.shape, 60.0, 5.0, SNR[0], SCALE[0], first)
    limits(part, box[0], box[2], *blot.shape, 60.0, 5.0, SNR[1], SCALE[1], second)
    difference = np.abs(sci[box[0] : box[1], box[2] : box[3]] - part)
    near = ndimage.maximum_filter((difference > first).astype(np.uint8), 3, mode="constant")
    expected = 1 - ((difference > second) & (near > 0)).astype(np.uint8)
    ours = run(sci, blot, 60.0, box=box)
    inner = (slice(None), slice(None)) if whole else (slice(2, -2), slice(2, -2))
    assert (ours == expected)[inner].all()
    assert (ours == 0).any()

import numpy as np
import pytest
from scipy import ndimage

from drizzlewb.training import detector as silicon
from drizzlewb.training.cosmicrays import MASK_LEVEL, cosmic_rays
from drizzlewb.training.detectors import DETECTORS

WFC, IR = DETECTORS["ACS/WFC"], DETECTORS["WFC3/IR"]
SHAPE = (256, 256)


def clean(shape):
    zero = np.zeros(shape, np.float32)
    return silicon.Defects(np.zeros(shape, np.uint16), zero, zero, zero, np.ones(shape, np.float32))


def expose(light, sky=150.0, exptime=1000.0, cr=0.0, model=WFC, seed=1, flaws=None):
    rng = np.random.default_rng(seed)
    flaws = flaws or clean(light.shape)
    return silicon.expose(rng, model, 1, (1920, 1000), light, sky, exptime, flaws, cr)


def test_noise_is_poisson_and_read_noise_of_each_amplifier():
    frame = expose(np.zeros((1024, 256), np.float32))
    dark = WFC.dark_rate * 1000
    # corner x0 = 1920: the amplifiers change over at column 128
    for half, amp in ((frame.sci[:, :128], "C"), (frame.sci[:, 128:], "D")):
        n = half.size
        sigma2 = 150 + dark + WFC.read_noise[amp] ** 2
        assert half.mean() == pytest.approx(150, abs=4 * np.sqrt(sigma2 / n))
        assert half.var() == pytest.approx(sigma2, rel=4 * np.sqrt(2 / n))
    assert frame.err.mean() == pytest.approx(np.sqrt(150 + dark + 25.4), rel=0.01)
    assert not frame.dq.any()


def test_cosmic_ray_rate_charge_and_size():
    rng = np.random.default_rng(2)
    charge, events = cosmic_rays(rng, (2048, 2048), 0.002)
    blobs, n = ndimage.label(charge > 0.5, np.ones((3, 3)))
    index = np.arange(1, n + 1)
    total = ndimage.sum(charge, blobs, index)
    size = ndimage.sum(charge >= MASK_LEVEL, blobs, index).astype(int)
    assert n == pytest.approx(events, rel=0.08)  # few overlap at so low a rate
    assert np.median(total) == pytest.approx(1000, rel=0.10)
    # Each event has at least 500 electrons; those cut by the edge, or beside it, have less.
    assert np.quantile(total, 0.02) > 480
    assert np.quantile(total, 0.99) > 4000
    counts = np.bincount(size)
    assert counts.argmax() == 4
    assert 3 < size.mean() < 8
    assert (size > 12).mean() > 0.02  # tracks
    assert (charge >= 0).all()


@pytest.mark.parametrize("percent", [1.5, 2.0, 3.0])
def test_cosmic_ray_fraction_of_pixels(percent):
    frame = expose(np.zeros((1024, 1024), np.float32), exptime=1142.0, cr=percent)
    hit = (frame.cr >= MASK_LEVEL).mean()
    assert hit == pytest.approx(percent / 100 * 1.142, rel=0.06)
    np.testing.assert_allclose(expose(np.zeros(SHAPE, np.float32)).cr, 0)


def test_bleeding_keeps_charge_and_runs_along_columns():
    charge = np.full((200, 9), 100.0, np.float32)
    charge[100, 4] = 1e6
    charge[99, 4] = 2e5
    well = np.full(charge.shape, 80000.0, np.float32)
    before = charge.sum(axis=0, dtype=float)
    full = silicon.bleed(charge, well)
    np.testing.assert_allclose(charge.sum(axis=0, dtype=float), before, rtol=1e-6)
    assert charge.max() == pytest.approx(80000)
    rows = np.flatnonzero(full[:, 4])
    assert rows.size == rows[-1] - rows[0] + 1 == pytest.approx(1.2e6 / 80000, abs=1.5)
    assert (rows[0] + rows[-1]) / 2 == pytest.approx(99.7, abs=1.5)
    assert not full[:, [0, 1, 2, 3, 5, 6, 7, 8]].any()


def test_charge_that_reaches_the_end_of_the_chip_is_lost():
    charge = np.zeros((20, 3), np.float32)
    charge[1, 1] = 1e7
    silicon.bleed(charge, np.full(charge.shape, 80000.0, np.float32))
    assert charge[:, 1].sum() == pytest.approx(20 * 80000)


def test_saturated_pixels_are_flagged_and_flux_is_that_of_the_star():
    light = np.zeros(SHAPE, np.float32)
    light[127:130, 127:130] = 2e5
    frame = expose(light, sky=0.0, exptime=10.0)
    assert (frame.dq & silicon.FULL_WELL).any()
    assert not (frame.dq & silicon.A_TO_D).any()  # at gain 2 the well is full before the converter is
    assert frame.sci.sum(dtype=float) == pytest.approx(1.8e6, rel=0.01)
    limit = silicon.full_well_map(WFC, 1, (1920, 1000), SHAPE)
    assert (frame.sci < limit + 60).all()


def test_converter_saturates_first_at_gain_one():
    light = np.zeros(SHAPE, np.float32)
    light[128, 128] = 1e6
    import dataclasses

    frame = expose(light, exptime=10.0, model=dataclasses.replace(WFC, ccdgain=1.0))
    top = frame.dq & silicon.A_TO_D != 0
    assert top.any()
    assert frame.sci[top].max() < 65535


def test_defects_are_fixed_and_of_the_right_number():
    flaws = silicon.defects(WFC, 1, 7)
    again = silicon.defects(WFC, 1, 7)
    np.testing.assert_array_equal(flaws.dq, again.dq)
    assert (silicon.defects(WFC, 2, 7).dq != flaws.dq).any()
    share = {bit: (flaws.dq & bit != 0).mean() for bit in (4, 16, 32, 64, 128, 1024)}
    assert share[16] == pytest.approx(silicon.HOT_SHARE, rel=0.05)
    assert share[64] == pytest.approx(silicon.WARM_SHARE, rel=0.05)
    assert share[32] == pytest.approx(silicon.UNSTABLE_SHARE, rel=0.05)
    assert 0.0003 < share[4] < 0.004
    assert 0 < share[128] + share[1024] < 0.006
    assert not (flaws.dq & (256 | 2048 | 4096)).any()  # what an exposure does is not the detector's own
    crop = flaws.crop((100, 50), (30, 40))
    np.testing.assert_array_equal(crop.dq, flaws.dq[50:80, 100:140])


def test_defects_show_in_the_frame():
    flaws = silicon.defects(WFC, 1, 7).crop((0, 0), (1024, 1024))
    frame = expose(np.zeros((1024, 1024), np.float32), flaws=flaws)
    sound = frame.sci[flaws.dq == 0]
    hot = frame.sci[flaws.dq == 16]
    dead = frame.sci[flaws.dq == 4]
    assert hot.std() > 2 * sound.std()
    assert np.median(dead[np.abs(dead) < 60]) < 100 < np.median(sound)
    # Error and data quality tell the truth: sound pixels scatter as ERR says.
    pull = (frame.sci - 150)[flaws.dq == 0] / frame.err[flaws.dq == 0]
    assert pull.std() == pytest.approx(1, abs=0.02)


def test_infrared_frames_are_rates_without_bleeding():
    flaws = silicon.defects(IR, 1, 7)
    light = np.full(IR.shape, 0.0, np.float32)
    light[500, 500] = 1e7
    frame = silicon.expose(np.random.default_rng(1), IR, 1, (0, 0), light, 450.0, 499.0, flaws, 2.0)
    good = flaws.dq == 0
    good[480:520, 480:520] = False
    assert np.median(frame.sci[good]) == pytest.approx(450 / 499, rel=0.01)
    assert not frame.cr.any()
    assert (frame.dq & 512 != 0).mean() > 0.001  # blobs
    assert np.median(frame.sci[flaws.dq & 512 != 0]) < np.median(frame.sci[good])
    assert (flaws.dq & 4 != 0).mean() > 0.002  # unbonded pixels and the death star
    assert frame.sci[490:511, 500].argmax() == 10
    assert frame.sci[480, 500] < 3

"""Static mask: threshold against its definition and the peer, in any number of exposures."""

import numpy as np
import pytest

from drizzlewb.steps.static_mask import and_into, threshold


def chip(seed=0, shape=(200, 300)):
    rng = np.random.default_rng(seed)
    sci = rng.normal(50.0, 8.0, shape).astype(np.float32)
    sci[rng.random(shape) < 0.05] += 400.0
    sci[10, 20] = -70.0
    return sci


def test_threshold_lies_static_sig_below_the_mode():
    limit = threshold(chip(), 4.0)
    # the mode of 60,000 pixels in bins of 0.8 e- scatters by half a bin or so
    assert limit == pytest.approx(50.0 - 4 * 8.0, abs=2.0)
    assert threshold(chip(), 3.0) - limit == pytest.approx(8.0, rel=0.05)


def test_bad_pixels_do_not_move_it_and_stay_unmasked():
    sci = chip()
    limit = threshold(sci, 4.0)
    spoiled = sci.copy()
    spoiled[5, 5], spoiled[6, 6], spoiled[7, 7] = np.nan, np.inf, -np.inf
    assert threshold(spoiled, 4.0) == pytest.approx(limit, abs=0.5)
    mask = np.ones(sci.shape, np.uint8)
    and_into(mask, spoiled, limit)
    assert mask[5, 5] == 1  # a NaN is no low pixel; it is bad by itself
    assert mask[7, 7] == 0


def test_and_over_exposures():
    mask = np.ones((200, 300), np.uint8)
    chips = [chip(seed) for seed in range(3)]
    chips[2][30, 40] = -500.0
    for sci in chips:
        and_into(mask, sci, threshold(sci, 4.0))
    expected = np.all([sci >= threshold(sci, 4.0) for sci in chips], axis=0)
    assert (mask == expected).all()
    assert mask[10, 20] == mask[30, 40] == 0


@pytest.mark.parametrize("value", [0.0, 7.5])
def test_a_flat_chip_masks_nothing(value, caplog):
    sci = np.full((50, 60), value, np.float32)
    mask = np.ones(sci.shape, np.uint8)
    and_into(mask, sci, threshold(sci, 4.0))
    assert mask.all()
    assert "masks nothing" in caplog.text


def test_limit_between_two_float32_numbers():
    low = np.float32(1.0)
    high = np.nextafter(low, np.float32(2.0))
    mask = np.ones((1, 2), np.uint8)
    and_into(mask, np.array([[low, high]]), (float(low) + float(high)) / 2)
    assert mask.tolist() == [[0, 1]]


def test_equals_the_peer(shared_data):
    """drizzlepac.staticMask on real chips: the threshold within 1e-4 sigma, no pixel differs."""
    imagestats = pytest.importorskip("stsci.imagestats")
    from astropy.io import fits

    for root in ("j8bt05njq", "j8bt06o6q", "j8bt09jcq"):
        sci = fits.getdata(shared_data / "hrc_ngc104" / f"{root}_flt.fits.gz", ("SCI", 1)).astype(np.float32)
        stats = imagestats.ImageStats(sci, nclip=3, fields="mode", lower=np.nanmin(sci), upper=np.nanmax(sci))
        peer = stats.mode - 4.0 * stats.stddev
        assert threshold(sci, 4.0) == pytest.approx(peer, abs=1e-4 * stats.stddev)
        mask = np.ones(sci.shape, np.uint8)
        and_into(mask, sci, threshold(sci, 4.0))
        assert (mask == (sci >= peer)).all()

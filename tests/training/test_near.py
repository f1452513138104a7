import numpy as np
import pytest
import scipy.ndimage

from drizzlewb.training import near


@pytest.mark.parametrize("reach", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_bands_give_what_the_whole_image_gives(monkeypatch, reach, seed):
    monkeypatch.setattr(near, "BAND", 37)
    mask = np.random.default_rng(seed).random((301, 83)) < 3e-4
    distance = scipy.ndimage.distance_transform_edt(~mask) * 0.03
    np.testing.assert_array_equal(near.nearer(mask, 0.03, reach), distance < reach)
    np.testing.assert_array_equal(near.within(mask, 0.03, reach), distance <= reach)
    if reach < 1.0:  # a distance of whole pixels
        assert near.within(mask, 0.03, reach).sum() > near.nearer(mask, 0.03, reach).sum()


def test_nothing_is_near_to_nothing():
    assert not near.within(np.zeros((20, 20), bool), 0.03, 1.0).any()

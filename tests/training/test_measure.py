import numpy as np
import pytest

from drizzlewb.training import measure


def measured(count, seed=3):
    rng = np.random.default_rng(seed)
    residual = rng.normal(0.0, 0.01, (300, 300)).astype(np.float32)
    x, y = rng.uniform(60, 240, (2, count))
    flux, seconds, noise = np.full(count, 50.0), np.full(count, 1000.0), np.full(count, 0.01)
    return measure.photometry_of_residuals(residual, x, y, flux, 0.03, seconds, noise, 1.0)


def test_batches_change_nothing(monkeypatch):
    whole = measured(25)
    monkeypatch.setattr(measure, "AT_ONCE", 7)
    for a, b in zip(measured(25), whole, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("count", [0, 1])
def test_few_stars(count):
    assert len(measured(count)[0]) == count

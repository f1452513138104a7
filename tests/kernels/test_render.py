import numpy as np
import pytest

from drizzlewb.kernels.render import add_stars, polyphase


def keys(t):
    """Cubic convolution with a = -1/2, Keys (1981), at a distance of t samples."""
    t = abs(t)
    if t < 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    if t < 2:
        return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return 0.0


def add_stars_twin(image, x, y, flux, mix, psf, oversample):
    """Definition: interpolate the mixed function at each pixel's offset from the star."""
    out = image.astype(float)
    half = psf.shape[1] // 2
    reach = half // oversample - 1
    for n in range(x.size):
        function = np.tensordot(mix[n], psf, 1)
        for j in range(image.shape[0]):
            for i in range(image.shape[1]):
                if not (abs(i - x[n]) <= reach and abs(j - y[n]) <= reach):
                    continue
                u, v = half + (i - x[n]) * oversample, half + (j - y[n]) * oversample
                for b in range(int(v) - 1, int(v) + 3):
                    for a in range(int(u) - 1, int(u) + 3):
                        out[j, i] += flux[n] * function[b, a] * keys(u - a) * keys(v - b)
    return out


@pytest.fixture(scope="module")
def functions():
    axis = (np.arange(-40, 41)) / 4
    r2 = axis[:, None] ** 2 + axis**2
    shapes = [np.exp(-r2 / 2 / s**2) / (2 * np.pi * s**2) for s in (0.8, 1.1)]
    shapes[1] *= 1 + 0.2 * axis  # lopsided, so that a flipped axis is seen
    return np.asarray(shapes, np.float32)


def test_polyphase_sorts_without_loss(functions):
    phases = polyphase(functions, 4)
    assert phases.shape == (2, 4, 4, 21, 21)
    assert phases[1, 3, 2, 5, 7] == functions[1, 4 * 5 + 3, 4 * 7 + 2]
    assert phases.sum(dtype=float) == pytest.approx(functions.sum(dtype=float), rel=1e-6)


def test_add_stars_is_its_definition(functions):
    rng = np.random.default_rng(3)
    x = np.array([5.0, 11.37, -1.2, 18.9, 7.5, 60.0])
    y = np.array([6.0, 3.81, 8.4, 15.6, -0.5, 4.0])
    flux = rng.uniform(10, 1000, x.size)
    share = rng.uniform(0, 1, x.size)
    mix = np.stack([share, 1 - share], axis=1)
    image = rng.uniform(0, 1, (17, 21)).astype(np.float32)
    expected = add_stars_twin(image, x, y, flux, mix, functions, 4)
    add_stars(image, x, y, flux, mix, polyphase(functions, 4), functions.shape[1] // 2)
    # float32 sums of 32 terms of both signs: some units in the last place of the brightest pixel
    np.testing.assert_allclose(image, expected, rtol=0, atol=1e-6 * flux.max())


def test_a_star_far_away_changes_nothing(functions):
    image = np.zeros((4, 4), np.float32)
    mix = np.ones((1, 2))
    add_stars(image, np.array([99.0]), np.array([2.0]), np.array([1e9]), mix, polyphase(functions, 4), 40)
    assert not image.any()

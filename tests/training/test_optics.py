import numpy as np
import pytest

from drizzlewb.training import optics
from drizzlewb.training.detectors import DETECTORS

WFC = DETECTORS["ACS/WFC"]


def paint_one(counts, x, y, filter_name="F606W", shape=(260, 260)):
    x, y, counts = (np.array([value], float) for value in (x, y, counts))
    mix = optics.field_mix(x + 1900, y + 900, WFC, 1)
    return optics.paint(shape, WFC, filter_name, x, y, counts, mix)


def fwhm(profile, step):
    i = int(np.argmax(profile < profile[0] / 2))
    return 2 * step * (i - 1 + (profile[i - 1] - profile[0] / 2) / (profile[i - 1] - profile[i]))


@pytest.mark.parametrize("counts", [3e3, 1e6], ids=["faint", "bright"])
def test_flux_is_kept_at_every_phase(counts):
    rng = np.random.default_rng(5)
    for x, y in rng.uniform(129.5, 130.5, (6, 2)):
        # 5e-6: the third-order interpolation of a band-limited function at four samples a pixel
        assert paint_one(counts, x, y).sum(dtype=float) == pytest.approx(counts, rel=5e-6)


def test_faint_and_bright_stars_have_the_same_core():
    bright = paint_one(1e6, 130.3, 129.8) / 1e6
    faint = paint_one(1e5, 130.3, 129.8) / 1e5
    # Wings of faint stars are those of the middle of the field: 1e-4 of the flux at 10 px, not more.
    assert np.abs(bright - faint).max() < 5e-5
    assert np.abs(bright - faint)[122:138, 122:138].max() < 2e-3 * bright.max()


def test_centroid_falls_where_the_star_is():
    for x, y in ((130.0, 130.0), (130.42, 129.77)):
        image = paint_one(1e6, x, y).astype(float)
        yy, xx = np.indices(image.shape)
        near = np.hypot(xx - 130, yy - 130) < 40
        total = image[near].sum()
        # Coma moves the centroid a little; what matters is that it moves with the star.
        cx, cy = (image * xx)[near].sum() / total - x, (image * yy)[near].sum() / total - y
        assert abs(cx) < 0.15
        assert abs(cy) < 0.15
        if x == 130.0:
            first = cx, cy
    assert (cx, cy) == pytest.approx(first, abs=0.01)


@pytest.mark.parametrize(("filter_name", "low", "high"), [("F606W", 1.75, 2.1), ("F814W", 1.85, 2.2)])
def test_width_is_that_of_acs(filter_name, low, high):
    psf = optics.point_spread("ACS/WFC", filter_name)
    half = psf.shape[1] // 2
    for k in range(3):
        for profile in (psf[k, half, half:], psf[k, half:, half]):
            assert low < fwhm(profile, 1 / optics.OVERSAMPLE) < high


def test_red_light_is_wider_and_wings_are_there():
    v, i = (optics.point_spread("ACS/WFC", name)[0] for name in ("F606W", "F814W"))
    half = v.shape[0] // 2
    assert i[half, half] < 0.9 * v[half, half]
    axis = np.arange(-half, half + 1) / optics.OVERSAMPLE
    r = np.hypot(*np.meshgrid(axis, axis))
    energy = [v[r < radius].sum() / 16 for radius in (2.0, 10.0, 60.0)]
    # Sirianni et al. (2005): 0.5 arcsec holds about 0.92 to 0.96 of the light.
    assert energy[0] < 0.85
    assert 0.92 < energy[1] < 0.97
    assert energy[2] > 0.99


def test_diffraction_spikes_lie_on_the_diagonals():
    psf = optics.point_spread("ACS/WFC", "F606W")[0]
    half = psf.shape[0] // 2
    far = np.arange(30, 60) * optics.OVERSAMPLE
    diagonal = psf[half + (far / np.sqrt(2)).astype(int), half + (far / np.sqrt(2)).astype(int)].mean()
    assert diagonal > 3 * psf[half, half + far].mean()


def test_mix_changes_slowly_and_sums_to_one():
    x, y = np.meshgrid(np.linspace(0, 4095, 9), np.linspace(0, 2047, 5))
    for extver in (1, 2):
        mix = optics.field_mix(x.ravel(), y.ravel(), WFC, extver)
        assert (mix >= 0).all()
        np.testing.assert_allclose(mix.sum(axis=1), 1)
        assert np.ptp(mix[:, 1]) > 0.2
    step = optics.field_mix(np.array([100.0, 164.0]), np.array([50.0, 50.0]), WFC, 1)
    assert np.abs(np.diff(step, axis=0)).max() < 0.03

import numpy as np
import pytest

from drizzlewb.kernels.starfit import fit_stars
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


def test_light_moves_with_the_star():
    first = None
    for x, y in ((130.0, 130.0), (130.42, 129.77)):
        image = paint_one(1e6, x, y).astype(float)
        yy, xx = np.indices(image.shape)
        near = np.hypot(xx - 130, yy - 130) < 40
        total = image[near].sum()
        # Coma puts more light on one side, but by the same amount at every phase.
        c = (image * xx)[near].sum() / total - x, (image * yy)[near].sum() / total - y
        assert np.hypot(*c) < 0.15
        first = first or c
    assert c == pytest.approx(first, abs=0.01)


def fitted_offset(filter_name, x, y, extver):
    """Mean over 100 phases of fitted minus true positions of stars at a place of the detector."""
    phase = (np.arange(10) + 0.5) / 10 - 0.5
    px, py = (
        a.ravel() for a in np.meshgrid(40.0 + 40 * np.arange(10) + phase, 40.0 + 40 * np.arange(10) + phase)
    )
    mix = optics.field_mix(np.full(px.size, x), np.full(px.size, y), WFC, extver)
    image = optics.paint((440, 440), WFC, filter_name, px, py, np.full(px.size, 2e4), mix)
    xs, ys = np.rint(px).astype(np.int32), np.rint(py).astype(np.int32)
    everywhere = np.empty((0, 0), np.uint8)
    width = 0.75
    out = np.empty((px.size, 6))
    for free in (True, False):
        fit_stars(image, everywhere, xs, ys, image[ys, xs], 2, width, free, out)
        width = float(np.median(out[:, 4]))
    return out[:, 0] - px, out[:, 1] - py


def test_stars_are_measured_where_they_are():
    """As distortion is calibrated filter by filter, colours must not fall aside of each other.

    Without centring the two filters were (0.014, 0.010) px apart.
    """
    for extver, y in ((1, 20.0), (1, 2000.0), (2, 1000.0), (2, 2040.0)):
        for x in (20.0, 2048.0, 4080.0):
            both = []
            for filter_name in ("F606W", "F814W"):
                dx, dy = fitted_offset(filter_name, x, y, extver)
                both.append((dx.mean(), dy.mean()))
                # Single phases: what an undersampled Gaussian cannot follow.
                assert max(dx.std(), dy.std()) < 0.01
            assert np.abs(both).max() < 1e-3
            assert np.abs(np.subtract(*both)).max() < 1e-3


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

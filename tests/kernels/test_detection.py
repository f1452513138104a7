import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_stars import ALL_GOOD, field, fit, peaks
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import correlate, maximum_filter
from scipy.spatial import cKDTree

from drizzlewb.kernels.detection import FWHM_PER_SIGMA, find_peaks, matched_filter
from drizzlewb.kernels.shapes import shape_statistics


def twin_peaks(image, filters, threshold):
    """find_peaks with scipy: filter, then maximum over the footprint."""
    ky, kx = filters.weights.shape
    ry, rx = ky // 2, kx // 2
    density = correlate(image.astype(float), filters.weights.astype(float), mode="constant")
    density[:ry], density[-ry:], density[:, :rx], density[:, -rx:] = -np.inf, -np.inf, -np.inf, -np.inf
    highest = maximum_filter(density, footprint=filters.footprint, mode="constant", cval=-np.inf)
    return density, np.argwhere((density == highest) & (density > threshold))


class TestMatchedFilter:
    def test_gives_the_height_of_its_own_gaussian_whatever_the_sky(self):
        filters = matched_filter(3.5, nsigma=1.5, ratio=0.8, theta=30)
        box = 7.0 + 42.0 * filters.gaussian
        assert_allclose((filters.weights * box).sum(), 42.0, rtol=1e-5)
        assert abs(filters.weights.sum()) < 1e-6

    def test_noise_is_that_of_the_filtered_image(self):
        filters = matched_filter(3.0)
        white = np.random.default_rng(0).normal(0, 1, (300, 300))
        assert_allclose(correlate(white, filters.weights.astype(float)).std(), filters.noise, rtol=0.03)

    def test_major_axis_turns_from_x_to_y(self):
        along_x = matched_filter(6.0, ratio=0.5, theta=0).gaussian
        along_y = matched_filter(6.0, ratio=0.5, theta=90).gaussian
        assert along_x.shape[1] > along_x.shape[0]
        assert_allclose(along_x, along_y.T, atol=1e-12)

    @pytest.mark.parametrize("bad", [{"fwhm": 0}, {"fwhm": 3, "nsigma": -1}, {"fwhm": 3, "ratio": 0}])
    def test_refuses_what_has_no_size(self, bad):
        with pytest.raises(ValueError, match="fwhm > 0"):
            matched_filter(**bad)

    @pytest.mark.parametrize(("fwhm", "ratio", "theta"), [(3.5, 1, 0), (2.5, 1, 0), (6.0, 0.7, 40)])
    def test_equals_drizzlepacs_kernel(self, fwhm, ratio, theta):
        findobj = pytest.importorskip("drizzlepac.findobj")
        nx, ny, a, b, c, f = findobj.gausspars(fwhm, 1.5, ratio, theta)
        ours = matched_filter(fwhm, 1.5, ratio, theta)
        y, x = np.mgrid[:ny, :nx]
        peer = findobj.gaussian1(1.0, nx // 2, ny // 2, a, b, c)(x, y)
        assert_allclose(ours.gaussian, peer, atol=1e-12)
        assert ours.weights.shape == (ny, nx)


class TestFindPeaks:
    @settings(max_examples=25, deadline=None)
    @given(
        st.integers(0, 2**31),
        st.sampled_from([2.0, 3.5, 5.2]),
        st.sampled_from([0.0, 1.0, 3.0]),
    )
    def test_equals_its_twin_on_noise(self, seed, fwhm, threshold):
        image = np.random.default_rng(seed).normal(0, 1, (37, 45)).astype(np.float32)
        filters = matched_filter(fwhm)
        density, expected = twin_peaks(image, filters, threshold)
        x, y, height = peaks(image, filters, threshold)
        assert_array_equal(np.column_stack([y, x]), expected)
        assert_allclose(height, density[y, x], rtol=1e-4, atol=1e-5)

    def test_bands_join_to_the_whole(self):
        _, _, image = field()
        filters = matched_filter(3.5)
        whole = peaks(image, filters, 20)
        parts = [peaks(image, filters, 20, rows=(y, min(y + 33, 160))) for y in range(0, 160, 33)]
        for a, b in zip(whole, zip(*parts, strict=True), strict=True):
            assert_array_equal(a, np.concatenate(b))

    def test_finds_every_star_once(self):
        xy, _, image = field()
        x, y, _ = peaks(image, matched_filter(3.0), 200)
        distance, index = cKDTree(np.column_stack([x, y])).query(xy)
        assert distance.max() < 1.0
        assert len(np.unique(index)) == len(xy) == len(x)

    def test_a_plateau_counts_once(self):
        image = np.zeros((20, 20), np.float32)
        image[10, 10:12] = 100.0
        x, _, _ = peaks(image, matched_filter(2.0), 1)
        assert len(x) == 1

    def test_a_peak_on_a_bad_pixel_is_dropped(self):
        _, _, image = field()
        filters = matched_filter(3.5)
        x, y, _ = peaks(image, filters, 200)
        good = np.ones(image.shape, np.uint8)
        good[y[3], x[3]] = 0
        x2, y2, _ = peaks(image, filters, 200, good)
        assert_array_equal(x2, np.delete(x, 3))
        assert_array_equal(y2, np.delete(y, 3))

    def test_says_how_many_when_the_arrays_are_short(self):
        _, _, image = field()
        filters = matched_filter(3.5)
        few = np.empty(5, np.int32), np.empty(5, np.int32), np.empty(5, np.float32)
        n = find_peaks(image, ALL_GOOD, filters.weights, filters.footprint, np.float32(200), 0, 160, *few)
        x, *_ = peaks(image, filters, 200)
        assert n == len(x)
        assert_array_equal(few[0], x[:5])


def test_same_stars_as_drizzlepacs_findstars():
    """Its definition differs in two ways: one source per island, and marginal fits for positions."""
    findobj = pytest.importorskip("drizzlepac.findobj")
    xy, _, image = field(n=80)
    theirs, fluxes = findobj.findstars(image, 3.5, 100.0, 80.0)
    theirs = np.array([s[:2] for s in theirs], float)
    filters = matched_filter(3.5)
    x, y, h = peaks(image, filters, 100)
    out = fit(image, x, y, h)
    distance, index = cKDTree(out[:, :2]).query(theirs)
    # Their marginal fits scatter by 0.02 to 0.05 px about the truth at this sampling.
    assert len(theirs) == len(x)
    assert distance.max() < 0.15
    shapes = shape_statistics(image, filters, x, y, h)
    assert_allclose(shapes.flux[index], fluxes, rtol=1e-5)
    truth = cKDTree(xy)
    assert np.median(truth.query(out[:, :2])[0]) < np.median(truth.query(theirs)[0])


def test_fwhm_constant():
    assert_allclose(np.exp(-0.5 * (0.5 * FWHM_PER_SIGMA) ** 2), 0.5)

import numpy as np
import pytest
from factory import write
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial import cKDTree
from scipy.special import erf

from drizzlewb.errors import Cancelled, DataError
from drizzlewb.exposure.intake import read_exposures
from drizzlewb.parameters.imagefind import ImageFind
from drizzlewb.steps.regions import parse_regions
from drizzlewb.steps.sources import Sources, find_sources, sky_noise

SIGMA = 0.85
SHAPE = (220, 260)


def scene(n=60, seed=0, sky=100.0, shape=SHAPE, faintest=4.0, sigma=SIGMA):
    """Stars of 1e4 to 1e5 electrons on a noisy sky: x, y, flux, image."""
    rng = np.random.default_rng(seed)
    xy = np.empty((0, 2))
    while len(xy) < n:
        new = rng.uniform(12, np.array(shape[::-1]) - 13)
        if len(xy) == 0 or np.hypot(*(xy - new).T).min() > 12:
            xy = np.vstack([xy, new])
    flux = 10 ** rng.uniform(faintest, faintest + 1.0, n)
    light = np.full(shape, sky)
    for (x, y), f in zip(xy, flux, strict=True):
        gx = np.diff(erf((np.arange(shape[1] + 1) - 0.5 - x) / (np.sqrt(2) * sigma))) / 2
        gy = np.diff(erf((np.arange(shape[0] + 1) - 0.5 - y) / (np.sqrt(2) * sigma))) / 2
        light += f * np.outer(gy, gx)
    image = rng.poisson(light) + rng.normal(0, 5.0, shape)
    return xy, flux, image.astype(np.float32)


def exposure_of(tmp_path, image, name="j8bt05njq_flt.fits", kind="ACS/HRC", **more):
    path = write(tmp_path / name, kind, sci=[image], **more)
    return read_exposures(str(path))[0]


def separation(sources, xy):
    return cKDTree(np.column_stack([sources.x, sources.y])).query(xy)


class TestSkyNoise:
    @pytest.mark.parametrize("seed", range(3))
    def test_gaussian_sky(self, seed):
        image = np.random.default_rng(seed).normal(50, 13.8, (500, 1000)).astype(np.float32)
        median, sigma, _ = sky_noise(image)
        assert_allclose(median, 50, atol=0.1)
        # The place of the top of a histogram of 500,000 pixels is known to 0.05 sigma.
        assert_allclose(sigma, 13.8, rtol=0.05)

    def test_stars_and_their_light_do_not_raise_it(self):
        rng = np.random.default_rng(1)
        image = rng.normal(50, 13.8, (500, 1000)) + rng.exponential(6, (500, 1000))
        image[rng.random(image.shape) < 0.05] += rng.exponential(2000)
        assert_allclose(sky_noise(image.astype(np.float32))[1], 13.8, rtol=0.1)

    def test_tweakregs_mode(self):
        stats = pytest.importorskip("stsci.imagestats")
        image = np.random.default_rng(5).normal(160, 13, (400, 700)).astype(np.float32)
        peer = stats.ImageStats(image, nclip=3, fields="mode", binwidth=0.01).mode
        # A mode from bins of 0.01 sigma hangs on single pixels: the same one comes out only roughly.
        assert_allclose(sky_noise(image)[2], peer, atol=0.35 * 13)

    def test_level_and_empty_images(self):
        assert sky_noise(np.full((50, 50), 7, np.float32))[:2] == (7.0, 0.0)
        assert np.isnan(sky_noise(np.full((50, 50), np.nan, np.float32))[0])


class TestFindSources:
    def test_all_stars_and_nothing_else(self, tmp_path):
        xy, flux, image = scene()
        found = find_sources(exposure_of(tmp_path, image), ImageFind(threshold=40.0))
        distance, index = separation(found, xy)
        assert len(found) == len(xy)
        assert distance.max() < 0.1
        bright = flux > 3e4
        assert np.sqrt(np.mean(distance[bright] ** 2) / 2) < 0.02
        # 5 x 5 pixels hold 99 % of such a star.
        assert_allclose(found.flux[index], flux, rtol=0.06)
        assert_allclose(found.mag[index], -2.5 * np.log10(flux / 500.0), atol=0.06)

    def test_width_of_the_stars_and_advice(self, tmp_path):
        _, _, image = scene(120, sigma=0.9)
        found = find_sources(exposure_of(tmp_path, image), ImageFind(threshold=40.0))
        seen = 2.3548 * np.hypot(0.9, np.sqrt(1 / 12))
        assert_allclose(found.fwhm_px, seen, rtol=0.02)
        assert found.advised_conv_width == 4.5

    def test_what_was_dropped_keeps_place_and_peak(self, tmp_path):
        _, _, image = scene()
        exposure = exposure_of(tmp_path, image)
        every = find_sources(exposure, ImageFind(threshold=40.0))
        found = find_sources(exposure, ImageFind(threshold=40.0, peakmax=5000.0))
        (report,) = found.reports
        assert {why: len(lost) for why, lost in report.left_out.items()} == report.dropped
        lost = report.left_out["peakmax"]
        assert len(lost) == len(every) - len(found) > 0
        assert (lost[:, 2] >= 5000.0).all()
        bright = every.take(every.peak >= 5000.0)
        assert_allclose(np.sort(lost[:, 2]), np.sort(bright.peak))
        distance, _ = separation(bright, lost[:, :2])
        assert distance.max() < 1.0

    def test_sky_positions_are_those_of_astropy(self, tmp_path):
        from astropy.wcs import WCS

        _, _, image = scene(20)
        exposure = exposure_of(tmp_path, image)
        found = find_sources(exposure, ImageFind(threshold=40.0))
        sky = WCS(exposure.chips[0].header).all_pix2world(np.column_stack([found.x, found.y]), 0)
        assert_allclose(found.sky, sky, atol=1e-9)

    def test_limits_are_in_the_files_unit(self, tmp_path):
        xy, flux, image = scene()
        seconds = 250.0
        rate = exposure_of(tmp_path, image / seconds, kind="WFC3/IR", exptime=seconds)
        electrons = exposure_of(tmp_path, image, name="j8bt06njq_flt.fits", exptime=seconds)
        a = find_sources(electrons, ImageFind(threshold=40.0, peakmax=5000.0, fluxmin=13000.0))
        b = find_sources(rate, ImageFind(threshold=40.0, peakmax=5000.0 / seconds, fluxmin=13000.0 / seconds))
        assert len(a) == len(b) < len(xy)
        assert_allclose(a.x, b.x, atol=1e-3)
        assert_allclose(a.flux, b.flux * seconds, rtol=1e-4)
        assert_allclose(a.mag, b.mag, atol=1e-4)
        assert a.peak.max() < 5000
        assert a.reports[0].dropped["peakmax"] > 0

    def test_threshold_is_in_sigma_of_what_is_chosen(self, tmp_path):
        _, _, image = scene()
        exposure = exposure_of(tmp_path, image)
        measured = find_sources(exposure, ImageFind(threshold=40.0)).reports[0]
        peer = find_sources(exposure, ImageFind(threshold=40.0), noise="tweakreg").reports[0]
        mine = find_sources(exposure, ImageFind(threshold=40.0, computesig=False, skysigma=20.0)).reports[0]
        assert_allclose(measured.sigma, np.hypot(10, 5), rtol=0.1)
        assert_allclose(peer.sigma, np.sqrt(2 * 100), rtol=0.03)
        assert peer.sigma_measured == measured.sigma_measured == measured.sigma
        assert mine.threshold == 800.0
        none = find_sources(exposure, ImageFind(threshold=None, computesig=False, skysigma=20.0)).reports[0]
        assert_allclose(none.threshold, 400.0)

    def test_nan_is_a_bad_pixel_and_not_a_source(self, tmp_path):
        xy, _, image = scene()
        clean = find_sources(exposure_of(tmp_path, image), ImageFind(threshold=40.0))
        x, y = np.rint(xy[0]).astype(int)
        image[y, x + 8] = np.nan
        image[y + 6, x] = np.inf
        image[0] = np.nan
        found = find_sources(exposure_of(tmp_path, image), ImageFind(threshold=40.0))
        assert len(found) == len(clean)
        assert_allclose(found.x, clean.x, atol=0.01)

    def test_dq(self, tmp_path):
        xy, _, image = scene()
        x, y = np.rint(xy).astype(int).T
        words = np.zeros(image.shape, np.int16)
        words[y[0], x[0]] = 16
        words[y[1], x[1]] = 4
        exposure = exposure_of(tmp_path, image, dq=[words])
        for bits, lost in ((None, 0), (0, 2), (16, 1), (20, 0)):
            found = find_sources(exposure, ImageFind(threshold=40.0, dqbits=bits))
            assert len(found) == len(xy) - lost

    def test_near_saturation(self, tmp_path):
        xy, _, image = scene()
        x, y = np.rint(xy[0]).astype(int)
        words = np.zeros(image.shape, np.int16)
        words[y + 2, x] = 256
        exposure = exposure_of(tmp_path, image, dq=[words])
        found = find_sources(exposure, ImageFind(threshold=40.0))
        assert len(found) == len(xy) - 1
        assert found.reports[0].dropped == {"near saturation": 1}
        kept = find_sources(exposure, ImageFind(threshold=40.0), avoid_saturated=False)
        assert len(kept) == len(xy)

    def test_sharpness_and_roundness(self, tmp_path):
        xy, _, image = scene()
        line, hit = (slice(40, 60), 100), (130, 200)
        image[line[1], line[0]] += 4000.0
        image[hit[1], hit[0]] += 9000.0
        exposure = exposure_of(tmp_path, image)
        every = find_sources(exposure, ImageFind(threshold=40.0))
        cut = find_sources(exposure, ImageFind(threshold=40.0, use_sharp_round=True))
        assert separation(every, [hit])[0] < 1
        assert separation(cut, [hit])[0] > 3
        assert not ((np.abs(cut.y - 100) < 2) & (cut.x > 41) & (cut.x < 58)).any()
        apart = (np.abs(xy[:, 1] - 100) > 8) | (xy[:, 0] > 70)
        apart &= np.hypot(*(xy - hit).T) > 8
        assert separation(cut, xy[apart])[0].max() < 0.1

    def test_regions(self, tmp_path):
        xy, _, image = scene()
        area = parse_regions("image\n-circle(100,100,40)")
        found = find_sources(exposure_of(tmp_path, image), ImageFind(threshold=40.0), regions=[area])
        outside = np.hypot(*(xy - 99).T) > 40
        assert len(found) == outside.sum()
        assert np.hypot(found.x - 99, found.y - 99).min() > 40

    def test_the_brightest(self, tmp_path):
        _, flux, image = scene()
        found = find_sources(exposure_of(tmp_path, image), ImageFind(threshold=40.0), nbright=10)
        assert len(found) == 10
        assert_allclose(np.sort(found.flux)[::-1], np.sort(flux)[::-1][:10], rtol=0.06)
        # In the order of the whole list.
        assert (np.diff(np.rint(found.y)) >= 0).all()

    def test_no_sources(self, tmp_path):
        image = np.random.default_rng(0).normal(100, 10, SHAPE).astype(np.float32)
        found = find_sources(exposure_of(tmp_path, image), ImageFind(threshold=20.0))
        assert len(found) == 0
        assert len(found.table) == 0
        assert np.isnan(found.advised_conv_width)

    def test_refusals(self, tmp_path):
        exposure = exposure_of(tmp_path, np.full(SHAPE, np.nan, np.float32))
        with pytest.raises(DataError, match="no finite pixel"):
            find_sources(exposure)
        exposure = exposure_of(tmp_path, np.ones(SHAPE, np.float32), name="j8bt07njq_flt.fits")
        with pytest.raises(DataError, match="skysigma must be above 0"):
            find_sources(exposure, ImageFind(computesig=False, skysigma=0.0))
        with pytest.raises(Cancelled, match="cancelled at"):
            find_sources(exposure, cancelled=lambda: True)

    def test_two_chips(self, tmp_path):
        (xy1, _, one), (xy2, _, two) = scene(30, seed=1), scene(40, seed=2)
        path = write(tmp_path / "j8ny01svq_flc.fits", "ACS/WFC", sci=[one, two])
        found = find_sources(read_exposures(str(path))[0], ImageFind(threshold=40.0))
        assert_array_equal(np.bincount(found.chip), [len(xy1), len(xy2)])
        assert separation(found.take(found.chip == 1), xy2)[0].max() < 0.1

    def test_same_sources_as_tweakregs_finder(self, tmp_path):
        """With its own noise rule, on a field without blends or saturation."""
        findobj = pytest.importorskip("drizzlepac.findobj")
        xy, _, image = scene(seed=4)
        sigma = 14.0
        theirs, _ = findobj.findstars(image, 3.5, 20 * sigma, sigma**2)
        found = find_sources(
            exposure_of(tmp_path, image), ImageFind(threshold=20.0, computesig=False, skysigma=sigma)
        )
        assert len(found) == len(theirs) == len(xy)


class TestSources:
    def test_table_has_units(self, tmp_path):
        _, _, image = scene(20)
        table = find_sources(exposure_of(tmp_path, image), ImageFind(threshold=40.0)).table
        assert str(table["ra"].unit) == "deg"
        assert str(table["x"].unit) == "pix"
        assert table.meta["name"] == "j8bt05njq"

    def test_from_the_sky(self):
        sources = Sources.from_sky(
            "cat", np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([20.0, np.nan])
        )
        assert_array_equal(sources.chip, [-1, -1])
        assert_allclose(sources.flux[0], 1e-8)
        assert np.isnan(sources.flux[1])
        assert len(sources.take([1])) == 1

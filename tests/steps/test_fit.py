import tarfile

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.steps.fit import GEOMETRIES, corrected_tan, fit_linear, iterate_fit


def rows(text):
    """Numbers of a .match file."""
    return np.array(
        [[float(v) for v in line.split()[:14]] for line in text if line.strip() and line[0] != "#"]
    )


def turned(angle_deg, scale=1.0):
    a = np.radians(angle_deg)
    return scale * np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])


def positions(n=200, seed=0, size=4000.0):
    return np.random.default_rng(seed).uniform(0, size, (n, 2))


MODELS = {
    "shift": np.eye(2),
    "rshift": turned(0.3),
    "rscale": turned(-0.2, 1.00003),
    "general": turned(0.1) @ np.array([[1.0002, 1e-4], [0.0, 0.9999]]),
}


class TestFitLinear:
    @pytest.mark.parametrize("geometry", GEOMETRIES)
    def test_recovers_an_exact_transformation(self, geometry):
        ref, center, shift = positions(), np.array([2048.0, 1024.0]), np.array([-30.0, 12.5])
        image = (ref - center) @ MODELS[geometry].T + center + shift
        fit = fit_linear(image, ref, geometry, center)
        assert_allclose(fit.matrix, MODELS[geometry], atol=1e-12)
        assert_allclose(fit.shift, shift, atol=1e-9)
        assert_allclose(fit.residuals, 0, atol=1e-9)
        assert_allclose(fit.predict(ref), image, atol=1e-9)
        assert_allclose(fit.correct(image), ref, atol=1e-9)

    @settings(max_examples=30, deadline=None)
    @given(st.sampled_from(sorted(GEOMETRIES)), st.integers(0, 2**31), st.integers(4, 30))
    def test_no_neighbouring_model_fits_better(self, geometry, seed, n):
        rng = np.random.default_rng(seed)
        ref = rng.uniform(-100, 100, (n, 2))
        image = ref + rng.normal(0, 1, (n, 2)) + [5, -3]
        weights = rng.uniform(0.5, 2, n)
        fit = fit_linear(image, ref, geometry, (1.0, 2.0), weights)

        def cost(matrix, shift):
            res = image - ((ref - fit.center) @ matrix.T + fit.center + shift)
            return (weights[:, None] * res**2).sum()

        best = cost(fit.matrix, fit.shift)
        steps = {
            "shift": [],
            "rshift": [turned(1e-3)],
            "rscale": [turned(1e-3), np.eye(2) * (1 + 1e-5)],
            "general": [np.eye(2) + 1e-5 * np.outer(a, b) for a in np.eye(2) for b in np.eye(2)],
        }[geometry]
        for step in steps:
            for s in (step, np.linalg.inv(step)):
                assert cost(s @ fit.matrix, fit.shift) >= best * (1 - 1e-12)
        for d in (-1e-3, 1e-3):
            assert cost(fit.matrix, fit.shift + [d, 0]) >= best * (1 - 1e-12)
            assert cost(fit.matrix, fit.shift + [0, d]) >= best * (1 - 1e-12)

    def test_scatter_and_error_of_the_mean_are_apart(self):
        rng = np.random.default_rng(2)
        ref = positions(400)
        shifts, errors, scatters = [], [], []
        for _ in range(200):
            fit = fit_linear(ref + rng.normal(0, 0.05, ref.shape), ref, "rscale", ref.mean(0))
            shifts.append(fit.shift)
            errors.append(fit.error_px)
            scatters.append(fit.rms_px)
        assert_allclose(np.mean(scatters), 0.05, rtol=0.01)
        # 400 shifts estimate their own spread to 4 %.
        assert_allclose(np.std(shifts), np.mean(errors), rtol=0.1)

    @pytest.mark.parametrize("geometry", GEOMETRIES)
    def test_covariance_is_the_spread_of_the_parameters(self, geometry):
        rng = np.random.default_rng(4)
        ref = rng.uniform(-50, 80, (60, 2))
        weights = rng.uniform(0.5, 4, 60)
        found, covariances = [], []
        for _ in range(400):
            noise = rng.normal(0, 0.1, ref.shape) / np.sqrt(weights)[:, None]
            fit = fit_linear(ref + noise, ref, geometry, (0, 0), weights)
            m, (dx, dy) = fit.matrix, fit.shift
            found.append(
                {
                    "shift": [dx, dy],
                    "rshift": [dx, dy, np.arctan2(m[1, 0], m[0, 0])],
                    "rscale": [dx, dy, m[0, 0], m[1, 0]],
                    "general": [dx, m[0, 0], m[0, 1], dy, m[1, 0], m[1, 1]],
                }[geometry]
            )
            covariances.append(fit.covariance)
        expected = np.sqrt(np.diag(np.mean(covariances, axis=0)))
        # 400 trials: the spread is known to 3.5 %; four times that over six parameters.
        assert_allclose(np.std(found, axis=0), expected, rtol=0.15)

    def test_weights_decide_between_two_groups(self):
        ref = positions(10)
        image = ref.copy()
        image[:5] += 1.0
        fit = fit_linear(image, ref, "shift", weights=[3.0] * 5 + [1.0] * 5)
        assert_allclose(fit.shift, 0.75)

    def test_refusals(self):
        ref = positions(5)
        with pytest.raises(ParameterError, match="choose one of shift, rshift, rscale, general"):
            fit_linear(ref, ref, "cubic")
        with pytest.raises(DataError, match="2 matches are left, 'general' needs at least 3"):
            fit_linear(ref[:2], ref[:2], "general")
        with pytest.raises(DataError, match="NaN or infinity"):
            fit_linear(np.where(ref > 2000, np.nan, ref), ref, "shift")
        line = np.column_stack([np.arange(9.0), 2 * np.arange(9.0)])
        with pytest.raises(DataError, match="on one line"):
            fit_linear(line, line, "general")
        with pytest.raises(DataError, match="on one point"):
            fit_linear(np.ones((4, 2)), np.ones((4, 2)), "rscale")
        with pytest.raises(DataError, match="mirror images"):
            fit_linear(ref * [-1, 1], ref, "rscale")

    def test_a_line_of_stars_still_gives_a_rotation(self):
        line = np.column_stack([np.arange(9.0), 2 * np.arange(9.0)])
        fit = fit_linear(line @ turned(0.5).T, line, "rscale")
        assert_allclose(fit.rotation, 0.5, atol=1e-9)


class TestIterateFit:
    def test_outliers_go_and_residuals_stay_for_all(self):
        rng = np.random.default_rng(1)
        ref = positions(200)
        image = ref + rng.normal(0, 0.03, ref.shape) + [3, 4]
        image[:10] += rng.uniform(0.5, 0.9, (10, 2))
        fit = iterate_fit(image, ref, "rscale", (2000, 2000), nclip=5)
        assert not fit.used[:10].any()
        assert fit.nmatch > 180
        assert fit.residuals.shape == (200, 2)
        assert_allclose(fit.residuals[:10], image[:10] - fit.predict(ref)[:10])
        assert_allclose(fit.rms_px, 0.03, rtol=0.15)

    @pytest.mark.parametrize("off", [{"nclip": 0}, {"nclip": None}, {"sigma": None}])
    def test_no_clipping(self, off):
        ref = positions(50)
        image = ref.copy()
        image[0] += 9
        assert iterate_fit(image, ref, "shift", **off).used.all()

    @pytest.mark.parametrize("geometry", ["shift", "rscale", "general"])
    def test_equals_drizzlepac(self, geometry):
        linearfit = pytest.importorskip("drizzlepac.linearfit")
        rng = np.random.default_rng(7)
        ref = positions(300)
        image = (ref - 2000) @ turned(0.01, 1.00001).T + 2000 + [1.5, -2.5] + rng.normal(0, 0.05, ref.shape)
        image[:40] += rng.uniform(-1, 1, (40, 2))
        index = np.arange(300)
        peer = linearfit.iter_fit_all(
            image.copy(), ref.copy(), index, index, mode=geometry, center=np.array([2000.0, 2000.0])
        )
        fit = iterate_fit(image, ref, geometry, (2000, 2000))
        assert_array_equal(np.flatnonzero(fit.used), peer["img_indx"])
        assert_allclose(fit.shift, peer["offset"], atol=1e-8)
        assert_allclose(fit.matrix, np.array(peer["fit_matrix"]).T, atol=1e-12)
        assert_allclose(fit.rms_xy, peer["rms"], atol=1e-9)
        if geometry != "shift":
            assert_allclose(fit.rotation % 360, peer["rot"], atol=1e-8)
            assert_allclose(fit.scale, peer["scale"][0], atol=1e-12)


@pytest.fixture(scope="module")
def goldens(shared_data):
    """Members of the published TweakReg runs by name."""
    members = {}
    for name in ("align_multiple_visits", "align_to_catalogs"):
        with tarfile.open(shared_data / "tweakreg_goldens" / f"{name}.tar.gz") as tar:
            for member in tar.getmembers():
                if member.name.endswith((".match", "shifts.txt", ".txt")):
                    members[member.name.split("/")[-1]] = tar.extractfile(member).read().decode().splitlines()
    return members


def recorded(goldens, shiftfile, image):
    line = next(line for line in goldens[shiftfile] if line.startswith(image))
    return [float(v) for v in line.split()[1:]]


PUBLISHED = [
    ("j9irw4b1q", "shift_general.txt"),
    ("j9irw5kaq", "shift_general.txt"),
    ("ibwb01xrq", "Gaia_shifts.txt"),
    ("ibwb01xxq", "Gaia_shifts.txt"),
    ("ibwb01xqq", "Gaia_shifts.txt"),
]


@pytest.mark.parametrize(("image", "shiftfile"), PUBLISHED)
def test_published_lists_refit_to_their_recorded_result(goldens, image, shiftfile):
    table = rows(goldens[f"{image}_flc_catalog_fit.match"])
    assert len(table) >= 380
    fit = fit_linear(table[:, 2:4], table[:, :2], "general")
    dx, dy, rotation, scale, xrms, yrms = recorded(goldens, shiftfile, image)
    # Positions are printed to 1e-6 px; the issue allows 0.001 px.
    assert_allclose(fit.rms_xy, [xrms, yrms], atol=2e-6)
    assert_allclose(fit.shift, [dx, dy], atol=2e-6)
    assert_allclose([fit.rotation % 360, fit.scale], [rotation, scale], atol=1e-6)


@pytest.mark.parametrize("image", ["j9irw4b1q", "j9irw5kaq"])
@pytest.mark.parametrize(
    ("geometry", "shiftfile"), [("rscale", "shift_searchrad.txt"), ("general", "shift_general.txt")]
)
def test_published_matches_clip_to_the_recorded_result(goldens, image, geometry, shiftfile):
    """From the unclipped matches, with the clipping of the recorded run (3 rounds of 3 sigma)."""
    table = rows(
        [line.rsplit(None, 1)[0] for line in goldens[f"{image}_flc_xy_catalog.match"] if line[0] != "#"]
    )
    final = rows(goldens[f"{image}_flc_catalog_fit.match"])
    first = np.flatnonzero((table[:, 8] == final[0, 12]) & (table[:, 9] == final[0, 13]))[0]
    center = table[first, :2] - final[0, :2]
    fit = iterate_fit(table[:, 2:4], table[:, :2], geometry, center)
    dx, dy, rotation, scale, xrms, yrms = recorded(goldens, shiftfile, image)
    if geometry == "general":
        assert fit.nmatch == len(final)
    assert_allclose(fit.rms_xy, [xrms, yrms], atol=2e-6)
    assert_allclose(fit.shift, [dx, dy], atol=2e-6)
    assert_allclose([fit.rotation % 360, fit.scale], [rotation, scale], atol=1e-6)


@pytest.fixture(scope="module")
def uvis(shared_data):
    folder = shared_data / "tweakwcs_fixtures"
    ref = np.loadtxt(folder / "ref.cat")
    chips = []
    for k in (1, 2):
        header = fits.Header.fromfile(folder / f"wfc3_uvis{k}.hdr", padding=False)
        chips.append((WCS(header), np.loadtxt(folder / f"wfc3_uvis{k}.cat")))
    return ref, chips


EXACT = [
    (
        (83.206917667519, -67.73275818507248),
        [[3.93222694902149e-06, -1.0106698270131359e-05], [-1.0377001075437075e-05, -4.577945148472431e-06]],
    ),
    (
        (83.15167050722597, -67.74220306069903),
        [[3.834449806681195e-06, -9.996495217498745e-06], [-1.0348147451241423e-05, -4.503496019301529e-06]],
    ),
]


class TestCorrectedTan:
    @pytest.mark.parametrize("plane", [0, 1])
    def test_two_chips_of_tweakwcs(self, uvis, plane):
        """Both chips as one body, all matched by order, general fit without clipping; either chip's plane."""
        ref, chips = uvis
        w = chips[plane][0]
        sky = np.concatenate([wcs.all_pix2world(xy, 0) for wcs, xy in chips])
        center = w.wcs.crpix - 1
        fit = fit_linear(w.wcs_world2pix(sky, 0), w.wcs_world2pix(ref, 0), "general", center)
        # The peer's scale is that of the correction, image to reference.
        assert_allclose(1 / fit.scale, 1.0025, atol=2e-8)
        for (wcs, _), (crval, cd) in zip(chips, EXACT, strict=True):
            new, new_cd = corrected_tan(
                wcs.wcs.crval, wcs.wcs.cd, w.wcs.crval, w.wcs.cd, center, fit.matrix, fit.shift, center
            )
            # In the other chip's plane the fit itself differs by its nonlinear terms, 2e-9 deg.
            assert_allclose(new, crval, atol=1e-8, rtol=0)
            if plane == 0:
                assert_allclose(new_cd, cd, rtol=1e-8)
            else:
                assert_allclose(new_cd, cd, rtol=1e-6, atol=1e-11)

    def test_nothing_to_correct_changes_nothing(self, uvis):
        _, chips = uvis
        (a, _), (b, _) = chips
        crval, cd = corrected_tan(
            a.wcs.crval, a.wcs.cd, b.wcs.crval, b.wcs.cd, (5, 6), np.eye(2), (0, 0), (1, 2)
        )
        assert_allclose(crval, a.wcs.crval, atol=1e-12)
        assert_allclose(cd, a.wcs.cd, rtol=1e-12, atol=1e-18)

    @pytest.mark.parametrize("dec", [-89.999, -72.0, 0.0, 45.0, 89.999])
    @pytest.mark.parametrize("ra", [0.0001, 180.0, 359.9999])
    def test_stars_fall_on_the_reference(self, ra, dec):
        """Apply a known correction anywhere on the sky, the pole and RA 0 included."""

        def tan(crval, cd, crpix):
            w = WCS(naxis=2)
            w.wcs.ctype = "RA---TAN", "DEC--TAN"
            w.wcs.crval, w.wcs.cd, w.wcs.crpix = crval, cd, crpix
            return w

        cd = 0.05 / 3600 * turned(33) @ np.diag([-1.0, 1.0])
        chip, plane = tan((ra, dec), cd, (2048, 1024)), tan((ra, dec), cd @ turned(7), (2000, 2000))
        center, matrix, shift = np.array([1999.0, 1999.0]), turned(0.02, 1.0001), np.array([40.0, -25.0])
        new, new_cd = corrected_tan(
            chip.wcs.crval, cd, plane.wcs.crval, plane.wcs.cd, plane.wcs.crpix - 1, matrix, shift, center
        )
        pixels = np.array([[2047.0, 1023.0], [0, 0], [4095, 2047], [1000, 1500]])
        seen = plane.wcs_world2pix(chip.wcs_pix2world(pixels, 0), 0)
        expected = (seen - center - shift) @ np.linalg.inv(matrix).T + center
        fitted = tan(new, new_cd, (2048, 1024))
        got = plane.wcs_world2pix(fitted.wcs_pix2world(pixels, 0), 0)
        # Exact at CRPIX; elsewhere the correction of a plane is linear in another one to second order:
        # shift x offset / (206265/0.05) px = 47 x 2300 / 4e6 ... times the angle between the planes.
        assert_allclose(got[0], expected[0], atol=1e-6)
        assert_allclose(got, expected, atol=2e-4)

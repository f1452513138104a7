import numpy as np
import pytest

from drizzlewb.steps.fit import fit_linear
from drizzlewb.steps.verdict import Verdict, _chance, cosmic_ray_jumps, judge, trends


def stars(n=400, scatter=0.02, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.uniform(0, 4000, n),
        rng.uniform(0, 4000, n),
        rng.uniform(-10, -5, n),
        rng.normal(0, scatter, (n, 2)),
    )


class TestTrends:
    @pytest.mark.parametrize("seed", range(5))
    def test_noise_has_none(self, seed):
        x, y, mag, residuals = stars(seed=seed)
        assert trends(residuals, x, y, mag) == []

    @pytest.mark.parametrize("slope", [0.0, 0.05, 0.4, 100.0])
    @pytest.mark.parametrize("digits", [0, 9])
    def test_probability_is_spearmans(self, slope, digits):
        """Ties included."""
        from scipy.stats import spearmanr

        rng = np.random.default_rng(4)
        a = rng.normal(0, 2, 90).round(digits)
        b = slope * a + rng.normal(0, 1, 90).round(digits)
        np.testing.assert_allclose(_chance(a, b), spearmanr(a, b).pvalue, rtol=1e-9, atol=1e-300)

    def test_significant_but_small_slopes_do_not_count(self):
        x, y, mag, residuals = stars(5000)
        residuals[:, 0] += 1e-5 * (x - 2000)
        from scipy.stats import spearmanr

        assert spearmanr(residuals[:, 0], x).pvalue < 1e-6
        assert trends(residuals, x, y, mag) == []

    @pytest.mark.parametrize(
        ("axis", "against", "cause"),
        [
            (0, "x", "distortion"),
            (1, "x", "distortion"),
            (1, "magnitude", "charge-transfer"),
            (0, "magnitude", "bright"),
        ],
    )
    def test_causes(self, axis, against, cause):
        x, y, mag, residuals = stars()
        values = {"x": (x - 2000) / 2000, "magnitude": (mag + 7.5) / 2.5}[against]
        residuals[:, axis] += 0.08 * values
        (trend,) = trends(residuals, x, y, mag)
        assert (trend.residual, trend.against) == ("xy"[axis], against)
        assert cause in str(trend)
        assert trend.p < 0.01
        assert 0.1 < trend.peak_to_peak < 0.2

    def test_a_step_between_chips(self):
        x, y, mag, residuals = stars()
        chip = (y > 2000).astype(int)
        residuals[:, 0] += 0.1 * chip
        (trend,) = trends(residuals, x, y, mag, chip)
        assert "step between the chips" in trend.cause
        residuals[:, 0] += 0.1 * (y / 4000 - chip)
        (trend,) = trends(residuals, x, y, mag, chip)
        assert "distortion" in trend.cause

    def test_a_fit_that_is_too_simple(self):
        x, y, mag, residuals = stars()
        residuals[:, 1] += 0.1 * x / 4000
        (trend,) = trends(residuals, x, y, mag, too_simple=True)
        assert trend.cause == "the fitgeometry is too simple"

    def test_too_few_stars_to_tell(self):
        x, y, mag, residuals = stars(15)
        residuals[:, 0] += x / 1000
        assert trends(residuals, x, y, mag) == []


def fitted(geometry="rscale", n=300, scatter=0.03, matrix=None, seed=0):
    rng = np.random.default_rng(seed)
    ref = rng.uniform(0, 4000, (n, 2))
    image = (ref - 2000) @ (np.eye(2) if matrix is None else matrix).T + 2000 + rng.normal(0, scatter, (n, 2))
    fits = {g: fit_linear(image, ref, g, (2000, 2000)) for g in ("shift", "rshift", "rscale", "general")}
    return fits.pop(geometry), fits


class TestJudge:
    @pytest.mark.parametrize(("scatter", "grade"), [(0.03, "good"), (0.08, "fair"), (0.3, "poor")])
    def test_grades(self, scatter, grade):
        fit, _ = fitted(scatter=scatter)
        verdict = judge(fit, 50.0, [])
        assert verdict.grade == grade
        assert verdict.text.startswith(grade.capitalize())
        assert ("not good enough to drizzle" in str(verdict)) == (grade == "poor")
        assert f"rms {fit.rms_px:.3f} px ({50 * fit.rms_px:.1f} mas) from 300 stars" in verdict.text

    def test_scale(self):
        for ppm, text in ((5, None), (60, "VAFACTOR"), (400, "distortion model")):
            fit, _ = fitted(matrix=np.eye(2) * (1 + 1e-6 * ppm))
            verdict = str(judge(fit, 50.0, []))
            if text is None:
                assert "scale" not in verdict
            else:
                assert text in verdict

    def test_rotation_inside_a_visit(self):
        a = np.radians(0.01)
        fit, _ = fitted(matrix=np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]))
        assert "inside a visit" in str(judge(fit, 50.0, [], same_visit=True))
        assert "inside a visit" not in str(judge(fit, 50.0, [], same_visit=False))

    def test_a_better_geometry_is_named(self):
        a = np.radians(0.01)
        fit, others = fitted("shift", matrix=np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]))
        assert "'rshift' fits better" in str(judge(fit, 50.0, [], alternatives=others))

    def test_a_simpler_geometry_is_named(self):
        fit, others = fitted("general")
        assert "simpler 'shift' does as well" in str(judge(fit, 50.0, [], alternatives=others))

    def test_sentences(self):
        verdict = Verdict("good", "Good.", ("a warning", "was it?"))
        assert str(verdict) == "Good. A warning. Was it?"


class TestCosmicRayJumps:
    TIMES = {"a": 1142.0, "b": 1142.0, "c": 1185.0, "d": 1185.0, "e": 339.0, "f": 339.0}

    def fractions(self, **factors):
        """Rates that scatter by a few per cent, as rays on a megapixel do."""
        rng = np.random.default_rng(1)
        return {n: 1.6e-5 * t * rng.normal(1, 0.03) * factors.get(n, 1) for n, t in self.TIMES.items()}

    def test_exposure_times_differ(self):
        assert cosmic_ray_jumps(self.fractions(), self.TIMES) == {}

    @pytest.mark.parametrize("name", ["a", "f"])
    def test_one_stands_out(self, name):
        found = cosmic_ray_jumps(self.fractions(**{name: 1.35}), self.TIMES)
        assert list(found) == [name]
        assert not found[name].everywhere
        assert found[name].rate / found[name].usual == pytest.approx(1.35, rel=0.1)
        assert "a misaligned exposure shows itself so" in str(found[name])
        assert f"{100 * found[name].usual:.1f} %" in str(found[name])

    def test_two_of_six_stand_out(self):
        assert set(cosmic_ray_jumps(self.fractions(b=2, e=3), self.TIMES)) == {"b", "e"}

    def test_rates_that_scatter_widely_have_no_jump(self):
        times = dict.fromkeys("abcdef", 500.0)
        rates = dict(zip("abcdef", [0.01, 0.013, 0.016, 0.02, 0.024, 0.027], strict=True))
        assert cosmic_ray_jumps(rates, times) == {}

    def test_all_too_high(self):
        """One exposure 2 px off under minmed, as measured on the small set."""
        rates = dict(zip("abcdef", [0.0643, 0.0643, 0.0691, 0.0657, 0.058, 0.0631], strict=True))
        found = cosmic_ray_jumps(rates, dict.fromkeys("abcdef", 1142.0))
        assert set(found) == set("abcdef")
        assert all(jump.everywhere for jump in found.values())
        assert "combine_type minmed" in str(found["a"])

    def test_too_few_to_tell(self):
        assert cosmic_ray_jumps({"a": 0.01, "b": 0.09}, self.TIMES) == {}

"""The sampling adviser against a real drizzle of the same exposures, and its pure functions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drizzlewb.errors import DataError
from drizzlewb.grid import output_grid
from drizzlewb.parameters.presets import reduce_parameters
from drizzlewb.reduction.engine import Reduction
from drizzlewb.steps.sampling import (
    Sampling,
    advice,
    evenness,
    expected_cr_fraction,
    knee,
    predict_sampling,
    rescaled,
    scales_around,
)
from drizzlewb.steps.weight_check import exposure_count, full_overlap

TOLERANCE = 0.15  # of rms/median: the prediction stands on 16 patches and on rays at random


def test_the_prediction_is_what_a_real_drizzle_of_the_same_exposures_gives(tiny_f606w, tmp_path):
    own = [n for n, e in enumerate(tiny_f606w) for _ in e.chips]
    found, predicted = [], []
    for scale, pixfrac in ((0.03, 0.5), (0.03, 0.9), (0.05, 0.6)):
        parameters = reduce_parameters(
            tiny_f606w, final_scale=scale, final_rot=0.0, final_pixfrac=pixfrac, final_kernel="square"
        )
        reduction = Reduction(tiny_f606w, parameters, folder=tmp_path)
        tile = reduction.product(reduction.final_grid.region)
        area = full_overlap(exposure_count(tile.ctx, own))
        found.append(evenness(tile.wht[area]))
        made = predict_sampling(
            tiny_f606w, reduction.final_grid, [scale], [pixfrac], bits=parameters.final.final_bits,
            cr_fractions=list(reduction.cr_fractions().values()),
        )  # fmt: skip
        assert made.exposures == 6
        predicted.append((made.rms_over_median[0, 0], made.holes[0, 0]))
    for (rms, holes), (rms_predicted, holes_predicted) in zip(found, predicted, strict=True):
        assert rms_predicted == pytest.approx(rms, rel=TOLERANCE)
        assert holes_predicted == pytest.approx(holes, abs=0.002)
    assert found[0][0] > 1.5 * found[1][0]  # the choices do differ


def test_without_rays_and_flags_full_drops_on_native_pixels_are_nearly_even(tiny_f606w):
    grid = output_grid([c for e in tiny_f606w for c in e.chips], rot=0.0)
    made = predict_sampling(
        tiny_f606w, grid, [0.05], [0.01, 1.0], bits=None, cr_fractions=[0.0] * 6, places=6
    )
    assert made.rms_over_median[0, 1] < 0.03
    assert made.rms_over_median[0, 0] > 5 * made.rms_over_median[0, 1]  # points fall unevenly
    lost = predict_sampling(tiny_f606w, grid, [0.05], [1.0], bits=None, cr_fractions=[0.1] * 6, places=6)
    assert lost.rms_over_median[0, 0] > 2 * made.rms_over_median[0, 1]


def test_the_prediction_is_the_same_each_time(tiny_f606w):
    grid = output_grid([c for e in tiny_f606w for c in e.chips], rot=20.0)
    one, two = (predict_sampling(tiny_f606w, grid, [0.04], [0.5], places=3) for _ in range(2))
    assert one.rms_over_median[0, 0] == two.rms_over_median[0, 0]


def test_no_exposure_on_the_grid(tiny_f606w):
    chip = tiny_f606w[0].chips[0]
    grid = output_grid([chip], rot=0.0)
    away = type(grid)(grid.wcs._replace(crval=grid.wcs.crval + np.array([1.0, 0.0])), grid.shape)
    with pytest.raises(DataError, match="no exposure lies on the output grid"):
        predict_sampling(tiny_f606w, away, [0.05], [0.5])


def test_work_can_be_stopped(tiny_f606w):
    def check():
        raise KeyboardInterrupt

    grid = output_grid([c for e in tiny_f606w for c in e.chips])
    with pytest.raises(KeyboardInterrupt):
        predict_sampling(tiny_f606w, grid, [0.05], [0.5], check=check)


@given(st.floats(0.3, 3.0))
def test_another_scale_leaves_the_sky_where_it_was(factor):
    grid = output_grid([Chip()], rot=10.0)
    other = rescaled(grid, grid.scale_arcsec * factor)
    assert other.scale_arcsec == pytest.approx(grid.scale_arcsec * factor)
    ra, dec = grid.pixel_to_sky(-0.5, -0.5)  # the lower left corner of both
    x, y = other.sky_to_pixel(ra, dec)
    assert (float(x), float(y)) == pytest.approx((-0.5, -0.5), abs=1e-6)
    assert other.shape[0] >= grid.shape[0] / factor - 1e-9


class Chip:
    shape = (60, 80)

    @property
    def wcs(self):
        from drizzlewb.distortion import tan_wcs

        return tan_wcs((150.0, 2.0), (40.0, 30.0), np.array([[-1.4e-5, 0.0], [0.0, 1.4e-5]]))


def test_evenness():
    rms, holes = evenness(np.array([0.0, 1.0, 1.0, 2.0]))
    assert rms == pytest.approx(math.sqrt(0.5))
    assert holes == 0.25
    assert evenness(np.array([0.0, 0.0, 1.0]))[0] == math.inf
    assert math.isnan(evenness(np.zeros(0))[0])


def test_the_knee_of_a_curve():
    x = np.linspace(0.1, 1.0, 10)
    assert knee(x, np.maximum(0.6 - x, 0.0) + 0.01) == pytest.approx(0.6, abs=0.051)
    assert knee(x, 1.0 - 0.5 * x) is None  # a straight line has none
    assert knee(x, x) is None
    assert knee(x[:2], x[:2]) is None
    bent = np.maximum(0.6 - x, 0.0) + 0.01
    assert knee(np.append(x, 1.1), np.append(bent, np.inf)) == pytest.approx(0.6, abs=0.051)


def test_scales_hold_the_present_one_once():
    scales = scales_around(0.05, 0.03)
    assert scales.count(0.03) == 1
    assert 0.0333 in scales_around(0.05, 0.0333)
    assert list(scales) == sorted(scales)


def test_rays_by_time_and_detector(tiny_f606w):
    from dataclasses import replace

    assert expected_cr_fraction(tiny_f606w[0]) == pytest.approx(0.0251, abs=0.0002)
    assert expected_cr_fraction(replace(tiny_f606w[0], detector="WFC3/IR")) == 0.0


def test_advice_says_rule_and_way_out():
    pixfracs = np.array([0.2, 0.6, 1.0])
    rms = np.array([[0.5, 0.15, 0.1]])
    made = Sampling(np.array([0.03]), pixfracs, rms, 0 * rms, 1.5 + 0 * rms, 6, 16, 0.02, "square")
    assert "inside the rule of 0.2" in advice(made, 0.03, 0.6)
    words = advice(made, 0.03, 0.3)
    assert "beyond the rule" in words
    assert "from pixfrac 0.60 on" in words
    never = Sampling(np.array([0.03]), pixfracs, rms + 0.3, 0 * rms, rms, 6, 16, 0.02, "square")
    assert "take larger pixels" in advice(never, 0.03, 0.6)

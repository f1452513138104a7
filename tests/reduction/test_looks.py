"""What is looked at has the bits of what a run makes."""

import numpy as np
import pytest

from drizzlewb.errors import DataError
from drizzlewb.grid import Region
from drizzlewb.parameters import ReduceParameters
from drizzlewb.reduction import Reduction
from drizzlewb.reduction.looks import Pieces, masked_box, preview_region
from drizzlewb.steps import cosmicray

KEYWORDS = {"skymethod": "match", "driz_sep_bits": 336, "final_bits": 336, "driz_cr_ctegrow": 2}


def reduction_of(exposures, folder=None, **keywords):
    return Reduction(
        exposures, ReduceParameters.from_keywords({**KEYWORDS, **keywords}), threads=2, folder=folder
    )


@pytest.fixture(scope="module")
def made(tiny_f606w):
    reduction = reduction_of(tiny_f606w)
    reduction.make_masks()
    return reduction


@pytest.mark.parametrize("keywords", [{}, {"driz_cr_snr": "6 5"}, {"blot_interp": "linear"}], ids=str)
def test_a_region_under_other_thresholds_is_that_of_a_run(tiny_f606w, tmp_path, keywords):
    ny, nx = reduction_of(tiny_f606w).final_grid.shape
    region = Region(ny // 2 - 40, ny // 2 + 45, nx // 2 - 50, nx // 2 + 30)
    run = reduction_of(tiny_f606w, **keywords)
    expected = run.product(region, 2.0)
    looked = reduction_of(tiny_f606w, tmp_path, **keywords)
    pieces = Pieces()
    for _ in range(2):  # the second from the pieces
        tile = preview_region(looked, region, 2.0, pieces)
        np.testing.assert_array_equal(tile.sci, expected.sci)
        np.testing.assert_array_equal(tile.wht, expected.wht)
        np.testing.assert_array_equal(tile.ctx, expected.ctx)
    assert not list(tmp_path.glob("crmask-*"))  # a dragged threshold leaves no files


def test_other_thresholds_take_the_blot_from_the_pieces_and_another_interpolant_does_not(
    tiny_f606w, monkeypatch
):
    ny, nx = reduction_of(tiny_f606w).final_grid.shape
    region = Region(ny // 2 - 40, ny // 2 + 45, nx // 2 - 50, nx // 2 + 30)
    pieces, blots = Pieces(), []
    real = cosmicray.blotted_median
    monkeypatch.setattr(cosmicray, "blotted_median", lambda *a: blots.append(a) or real(*a))
    for keywords, blots_anew in (
        ({}, True), ({"driz_cr_snr": "6 5"}, False), ({"driz_cr_scale": "2 1", "driz_cr_grow": 1}, False),
        ({"blot_interp": "linear"}, True), ({"blot_addsky": False, "blot_skyval": 3.0}, False),
        ({"skymethod": "localmin"}, True),
    ):  # fmt: skip
        blots.clear()
        looked = reduction_of(tiny_f606w, **keywords)
        tile = preview_region(looked, region, 1.0, pieces)
        assert bool(blots) == blots_anew, keywords
        expected = reduction_of(tiny_f606w, **keywords).product(region)
        np.testing.assert_array_equal(tile.sci, expected.sci, err_msg=str(keywords))
        np.testing.assert_array_equal(tile.wht, expected.wht, err_msg=str(keywords))


def test_a_smaller_region_comes_from_the_pieces(tiny_f606w, monkeypatch):
    reduction, pieces = reduction_of(tiny_f606w), Pieces()
    ny, nx = reduction.final_grid.shape
    large = Region(ny // 2 - 40, ny // 2 + 45, nx // 2 - 50, nx // 2 + 30)
    whole = preview_region(reduction, large, 1.0, pieces)
    monkeypatch.setattr("drizzlewb.steps.cosmicray.crmask_box", None)
    small = Region(large.y0 + 5, large.y1 - 9, large.x0 + 3, large.x1)
    part = preview_region(reduction, small, 1.0, pieces)
    np.testing.assert_array_equal(part.sci, whole.sci[small.slices((large.y0, large.x0))])


def test_pieces_are_bounded():
    pieces = Pieces(most_bytes=250)
    for k in range(5):
        pieces.put("key", k, Region(0, 10, 0, 10), np.full((10, 10), k, np.uint8))
    assert [pieces.get("key", k, Region(1, 3, 2, 4)) is not None for k in range(5)] == [False] * 3 + [
        True
    ] * 2
    assert pieces.get("other", 4, Region(1, 3, 2, 4)) is None
    assert pieces.get("key", 4, Region(1, 11, 2, 4)) is None
    assert (pieces.get("key", 4, Region(1, 3, 2, 4)) == 4).all()


def test_a_box_of_a_chip_is_that_of_the_masks(made, tiny_f606w):
    other = reduction_of(tiny_f606w)
    for number, box in ((0, Region(0, 50, 0, 70)), (3, Region(20, 90, 100, 9999))):
        seen = masked_box(other, number, box)
        box = box.clip(seen.chip.shape)
        assert seen.box == box
        np.testing.assert_array_equal(seen.mask, made.crmask(number, box))
        np.testing.assert_array_equal(seen.blot, made.blot(number, box))
        np.testing.assert_array_equal(seen.sci, seen.chip.read_sci(box))
        assert (seen.clean[seen.mask == 0] == seen.blot[seen.mask == 0]).all()
        assert seen.fraction == pytest.approx(1 - seen.mask.mean())
        assert 0 < seen.fraction < 0.2


def test_what_cannot_be_looked_at(tiny_f606w, made):
    with pytest.raises(DataError, match="outside"):
        masked_box(made, 0, Region(9000, 9010, 0, 10))
    with pytest.raises(DataError, match="outside the output grid"):
        preview_region(made, Region(-50, -10, 0, 10), 1.0, Pieces())
    with pytest.raises(DataError, match="driz_cr=True"):
        masked_box(reduction_of(tiny_f606w, driz_cr=False), 0, Region(0, 10, 0, 10))


@pytest.mark.parametrize(
    ("keywords", "shared"),
    [
        ({"driz_cr_snr": "6 5"}, True),
        ({"blot_interp": "linear", "driz_cr_grow": 3}, True),
        ({"final_pixfrac": 0.7}, True),
        ({"driz_cr": False}, True),
        ({"combine_type": "median"}, False),
        ({"skymethod": "localmin"}, False),
    ],
    ids=str,
)
def test_other_thresholds_share_the_median(made, tiny_f606w, keywords, shared):
    parameters = ReduceParameters.from_keywords({**KEYWORDS, **keywords})
    other = made.again(tiny_f606w, parameters, made.final_grid)
    assert (other is not None) == shared
    if other is not None:
        fresh = reduction_of(tiny_f606w, **keywords)
        ny, nx = fresh.final_grid.shape
        region = Region(ny // 2, ny // 2 + 30, nx // 2, nx // 2 + 40)
        ours, theirs = other.product(region), fresh.product(region)
        np.testing.assert_array_equal(ours.sci, theirs.sci)
        np.testing.assert_array_equal(ours.wht, theirs.wht)
        assert other.cr_fractions().keys() == fresh.cr_fractions().keys()
        assert other.cr_fractions() == pytest.approx(fresh.cr_fractions(), abs=0)

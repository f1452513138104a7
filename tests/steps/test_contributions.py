"""Why this pixel: the rows add up to the product, for every kernel, weight and mask."""

import numpy as np
import pytest

from drizzlewb.errors import DataError
from drizzlewb.exposure import Drawn
from drizzlewb.parameters import ReduceParameters
from drizzlewb.reduction import Reduction
from drizzlewb.reduction.looks import why
from drizzlewb.steps.contributions import SIDE

KEYWORDS = {
    "skymethod": "match",
    "driz_sep_bits": 336,
    "final_bits": 256,
    "final_wcs": True,
    "final_rot": 20.0,
    "final_scale": 0.04,
    "final_pixfrac": 0.8,
    "driz_cr_grow": 3,
}


def reduction_of(exposures, **keywords):
    return Reduction(exposures, ReduceParameters.from_keywords({**KEYWORDS, **keywords}), threads=1)


@pytest.fixture(scope="module")
def drawn(tiny_f606w):
    """A trail over the first exposure."""
    first = tiny_f606w[0]
    trail = Drawn(first.rootname, "line", ((0, 40), (250, 150)), size=40, extver=1)
    return [first.with_drawn([trail]), *tiny_f606w[1:]]


@pytest.fixture(scope="module")
def square(drawn):
    reduction = reduction_of(drawn)
    reduction.make_masks()
    return reduction


def places(reduction, count, seed=5):
    """Random pixels of a product, and the product there: half of them where little came through."""
    rng = np.random.default_rng(seed)
    ny, nx = reduction.final_grid.shape
    tile = reduction.product(type(reduction.final_grid.region)(0, ny, 0, nx))
    covered = np.argwhere(tile.wht > 0)
    poor = np.argwhere((tile.wht > 0) & (tile.wht < 0.5 * np.median(tile.wht[tile.wht > 0])))
    chosen = [*covered[rng.integers(len(covered), size=count)], *poor[rng.integers(len(poor), size=count)]]
    return [(int(x), int(y), tile.sci[y, x], tile.wht[y, x]) for y, x in chosen]


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"final_kernel": "turbo"},
        {"final_kernel": "point"},
        {"final_kernel": "gaussian"},
        {"final_kernel": "lanczos3"},
        {"final_pixfrac": 1.0, "final_wht_type": "IVM"},
        {"final_wht_type": "ERR"},
        {"driz_cr": False, "median": False},
    ],
    ids=str,
)
def test_the_rows_add_up_to_the_product(drawn, square, keywords):
    reduction = reduction_of(drawn, **keywords) if keywords else square
    times = {e.rootname: e.exptime for e in drawn}
    scale = reduction.final_grid.scale_arcsec
    areas = {(e.rootname, c.extver): (scale / c.pixel_scale_arcsec) ** 2 for e in drawn for c in e.chips}
    for x, y, sci, wht in places(reduction, 6):
        told = why(reduction, x, y, "ELECTRONS/S", 1.0)
        assert (np.float32(told.sci), np.float32(told.wht)) == (sci, wht)
        rows = told.table
        used = rows[rows["verdict"] == "used"]
        seconds = np.array([times[root] for root in used["exposure"]])
        assert rows["share"].sum() == pytest.approx(1.0)
        assert (rows["share"][rows["verdict"] != "used"] == 0).all()
        # once more, as the definition says it: the weighted mean of rates, times the output pixel's area
        rate = (used["electrons"] - used["sky"]) / seconds
        area = np.array([areas[root, extver] for root, extver in used["exposure", "extver"]])
        weight = used["overlap"] * used["weight"]
        assert told.sci == pytest.approx(np.sum(weight * rate * area) / np.sum(weight), rel=3e-5)
        assert told.wht == pytest.approx(np.sum(weight), rel=1e-6)


def test_every_row_says_what_became_of_its_pixel(drawn, square):
    seen = set()
    chips = {
        (e.rootname, c.extver): (n, c) for n, (e, c) in enumerate((e, c) for e in drawn for c in e.chips)
    }
    for x, y, _, _ in places(square, 60, seed=8):
        told = why(square, x, y, "ELECTRONS/S", 1.0)
        for k, row in enumerate(told.table):
            number, chip = chips[row["exposure"], row["extver"]]
            i, j = int(row["x"]), int(row["y"])
            box = (j, j + 1, i, i + 1)
            ray = square.crmask(number, type(square.final_grid.region)(*box))[0, 0] == 0
            bad = chip.good(box, 256)[0, 0] == 0
            verdict = row["verdict"]
            assert ray == ("cosmic ray" in verdict)
            assert bad == ("DQ" in verdict or "drawn" in verdict)
            assert (row["dq"] & 16384 != 0) == ("drawn by hand" in verdict)
            assert (verdict == "used") == (row["weight"] > 0)
            assert row["electrons"] == chip.read_sci(box)[0, 0]
            if verdict == "used":
                assert row["difference"] <= max(row["limit_first"], row["limit_second"])
            if verdict.endswith("cosmic ray"):
                assert row["difference"] > row["limit_second"]
            cut = told.cutout(k)
            assert cut.sci[j - cut.box.y0, i - cut.box.x0] == row["electrons"]
            assert cut.blot[j - cut.box.y0, i - cut.box.x0] == pytest.approx(row["blot"])
            assert (cut.mask[j - cut.box.y0, i - cut.box.x0] == 0) == ray
            assert cut.box.y1 - j > SIDE // 2 or cut.box.y1 == chip.shape[0]
            assert i - cut.box.x0 >= SIDE // 2 or cut.box.x0 == 0
            seen.update(verdict.removeprefix("masked: ").split("; "))
    for reason in ("used", "cosmic ray", "beside a cosmic ray (grown)", "drawn by hand"):
        assert reason in seen
    assert any(reason.startswith("DQ ") for reason in seen)


def test_a_pixel_that_nothing_reaches(square):
    tile = square.product(square.final_grid.region)
    y, x = np.argwhere(tile.wht == 0)[0]
    told = why(square, int(x), int(y), "ELECTRONS/S", 1.0)
    assert np.isnan(told.sci)
    assert told.wht == 0
    assert not (told.table["verdict"] == "used").any() if len(told.table) else True


def test_a_pixel_outside_is_refused(square):
    with pytest.raises(DataError, match="outside the output grid: x runs from 0"):
        why(square, -1, 5, "ELECTRONS/S", 1.0)

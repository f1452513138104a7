from types import SimpleNamespace

import numpy as np
import pytest

from drizzlewb import read_exposures, reduce
from drizzlewb.errors import DataError
from drizzlewb.products.drc import Product
from drizzlewb.steps.saturation import saturated_bits, saturation
from drizzlewb.steps.weight_check import (
    check_weights,
    core_ratio,
    exposure_count,
    full_overlap,
    source_imprint,
    weigh,
)

SHAPE = (400, 420)


def field(n=300, seed=3):
    """Even weights with noise, and n places well inside."""
    rng = np.random.default_rng(seed)
    wht = (1000 * rng.normal(1, 0.02, SHAPE)).astype(np.float32)
    x, y = rng.uniform(15, SHAPE[1] - 15, n), rng.uniform(15, SHAPE[0] - 15, n)
    return wht, x, y, rng.uniform(-8, -2, n), np.ones(SHAPE, bool)


def damage(wht, x, y, which, share=0.5):
    for i, j in zip(np.rint(x[which]).astype(int), np.rint(y[which]).astype(int), strict=True):
        wht[j, i] *= share
    return wht


def test_exposure_count_counts_exposures_not_chips():
    rng = np.random.default_rng(0)
    ctx = rng.integers(0, 2**32, (2, 5, 6), dtype=np.uint32)
    owner = [k // 2 for k in range(40)]
    count = exposure_count(ctx, owner)
    for j in range(5):
        for i in range(6):
            seen = {owner[k] for k in range(40) if ctx[k // 32, j, i] >> np.uint32(k % 32) & np.uint32(1)}
            assert count[j, i] == len(seen)
    assert (exposure_count(ctx[0], owner[:32]) <= 16).all()


def test_full_overlap_holds_pixels_that_lost_an_exposure():
    count = np.full(SHAPE, 6, np.uint16)
    count[:, :100] = 5
    count[200:204, 250:254] = 4  # a cosmic ray
    area = full_overlap(count)
    assert area[200:204, 250:254].all()
    assert not area[:, :102].any()
    assert area[50, 110]
    assert full_overlap(count, 5)[200, 50]


def test_core_ratio_is_what_its_name_says():
    wht, x, y, _, _ = field(20)
    got = core_ratio(wht, x, y)
    for k in range(20):
        i, j = round(x[k]), round(y[k])
        near = [
            wht[j + b, i + a]
            for b in range(-9, 10)
            for a in range(-9, 10)
            if 5 <= np.hypot(a, b) <= 9
        ]  # fmt: skip
        assert got[k] == pytest.approx(wht[j - 1 : j + 2, i - 1 : i + 2].min() / np.median(near), rel=1e-6)


def test_even_weights_are_good():
    wht, x, y, magnitude, everywhere = field()
    check = weigh(wht, everywhere, 6, x, y, magnitude, everywhere)
    assert check.verdict == "good"
    assert check.bins[-1]["excess"] == 0
    assert check.median == pytest.approx(1000, rel=0.01)
    assert check.rms == pytest.approx(20, rel=0.05)
    assert check.holes == 0
    assert len(check.damaged) == 0
    assert "rms/median 0.020" in str(check)


def test_damaged_cores_fail_and_are_marked():
    wht, x, y, magnitude, everywhere = field()
    which = np.arange(300) < 30
    check = weigh(damage(wht, x, y, which), everywhere, 6, x, y, magnitude, everywhere)
    assert check.verdict == "fail"
    assert check.bins[-1]["fraction"] == pytest.approx(0.1, abs=0.01)
    assert "raise driz_cr_scale" in check.words
    marked = {tuple(p) for p in check.damaged}
    assert {(a, b) for a, b in zip(x[which], y[which], strict=True)} <= marked


def test_damage_in_one_magnitude_bin_is_seen_though_the_whole_is_sound():
    wht, x, y, magnitude, everywhere = field(2000)
    bright = np.flatnonzero(magnitude < -7)
    damage(wht, x, y, bright[:30])
    check = weigh(wht, everywhere, 6, x, y, magnitude, everywhere)
    assert check.bins[-1]["excess"] < 0.03
    assert check.verdict == "fail"
    assert "magnitude -8 to -7" in check.words


def test_losses_that_blank_places_share_do_not_count():
    wht, x, y, magnitude, everywhere = field(600)
    rng = np.random.default_rng(5)
    hits = rng.uniform(size=SHAPE) < 0.01  # rays everywhere, on stars as beside them
    wht[hits] *= 0.5
    bins, damaged = source_imprint(wht, x, y, magnitude, everywhere, everywhere)
    whole = bins[-1]
    # Nine pixels with 1 % each.
    assert whole["fraction"] == pytest.approx(1 - 0.99**9, abs=0.03)
    assert whole["blank"] == pytest.approx(1 - 0.99**9, abs=0.015)
    assert abs(whole["excess"]) < 3 * whole["error"]
    assert len(damaged) == round(whole["fraction"] * whole["stars"])


def test_few_stars_are_not_graded():
    wht, x, y, magnitude, everywhere = field(12)
    check = weigh(wht, everywhere, 6, x, y, magnitude, everywhere)
    assert check.verdict == "not graded"
    assert "Only 12 unsaturated stars" in check.words
    # Forty sound stars cannot tell 3 %; forty ruined ones can.
    wht, x, y, magnitude, everywhere = field(40)
    wht[np.random.default_rng(1).uniform(size=SHAPE) < 0.01] *= 0.5
    assert weigh(wht, everywhere, 6, x, y, magnitude, everywhere).verdict == "not graded"
    damage(wht, x, y, np.ones(40, bool))
    assert weigh(wht, everywhere, 6, x, y, magnitude, everywhere).verdict == "fail"


def test_no_overlap_is_not_graded():
    wht, x, y, magnitude, everywhere = field(30)
    check = weigh(wht, ~everywhere, 0, x, y, magnitude, everywhere)
    assert check.verdict == "not graded"
    assert np.isnan(check.median)


def test_same_seed_same_places():
    wht, x, y, magnitude, everywhere = field(100)
    wht[np.random.default_rng(1).uniform(size=SHAPE) < 0.02] *= 0.5
    one, two, other = (
        source_imprint(wht, x, y, magnitude, everywhere, everywhere, seed=s)[0][-1]["blank"]
        for s in (1, 1, 2)
    )
    assert one == two
    assert one != other


# ---------------------------------------------------------------- on a product


@pytest.fixture(scope="module")
def product(tiny_f606w, tmp_path_factory):
    return reduce(tiny_f606w, output=tmp_path_factory.mktemp("weights") / "F606W", combine_type="median")


def test_product_is_checked(product):
    check = check_weights(product)
    assert check.exposures == 6
    # 7024 s over the area of these pixels, 0.96 to 0.98 of the nominal one.
    assert 7024 < check.median < 7400
    assert check.verdict in ("good", "pass", "not graded")
    assert check.bins[-1]["stars"] > 20
    assert check.area.sum() > 10000


def test_product_on_disk_is_checked_without_its_inputs(product):
    check = check_weights(Product.open(product.path))
    assert check.median == check_weights(product).median
    assert check.bins[-1]["stars"] > 20


def test_ruined_product_fails(product):
    check = check_weights(product)
    rows, columns = np.nonzero((product.sci > 1.0) & check.area)
    wht = product.wht.copy()
    wht[rows, columns] *= 0.6
    ruined = SimpleNamespace(
        sci=product.sci, wht=wht, ctx=product.ctx, grid=product.grid, record=product.record,
        reduction=product.reduction, path=product.path,
    )  # fmt: skip
    assert check_weights(ruined).verdict == "fail"


def test_no_context_is_said(product):
    bare = SimpleNamespace(ctx=None, path="x_drc.fits")
    with pytest.raises(DataError, match="no context image"):
        check_weights(bare)


def test_saturation_lies_where_the_flags_are(product, tiny_set):
    exposures = read_exposures(str(tiny_set / "j8ny01svq_flc.fits"))
    full = saturation(product.grid, exposures)
    chip = exposures[0].chips[0]
    assert saturated_bits(chip) == 256 | 2048
    flagged = sum(int((c.read_dq((0, 128, 0, 256)) & 256 != 0).sum()) for c in exposures[0].chips)
    assert flagged > 50
    # One output pixel per native pixel here; the map is wider by one on each side, the cores narrower.
    assert full.touched.sum() > flagged
    assert 0 < full.whole.sum() < flagged
    assert (full.touched | ~full.whole).all()

"""Sky of chips and of real exposures; the golden values of AstroDrizzle."""

from types import SimpleNamespace

import numpy as np
import pytest

from drizzlewb import read_exposures
from drizzlewb.parameters import ReduceParameters
from drizzlewb.steps import sky

GOLDEN = (47.4194, 145.194, 5.90323)  # MDRIZSKY in astrodrizzle.log, six digits
ROOTS = ("j8bt05njq", "j8bt06o6q", "j8bt09jcq")


def measure(sci, good=None, block=0, **keywords):
    p = ReduceParameters.from_keywords(keywords)
    return sky.measure_chip(sci, np.ones(sci.shape, np.uint8) if good is None else good, p.sky, block)


@pytest.fixture
def chip():
    rng = np.random.default_rng(5)
    sci = rng.normal(40.0, 8.0, (150, 170)).astype(np.float32)
    stars = rng.random(sci.shape) < 0.03
    sci[stars] += rng.exponential(900.0, stars.sum()).astype(np.float32)
    return sci


@pytest.mark.parametrize(("stat", "tolerance"), [("median", 0.2), ("mean", 0.3), ("mode", 2.0)])
def test_level_and_noise(chip, stat, tolerance):
    m = measure(chip, skystat=stat)
    assert m.value_e == pytest.approx(40.0, abs=tolerance)
    assert m.sigma_e == pytest.approx(8.0, rel=0.05)
    assert 0.95 * chip.size < m.n < chip.size


def test_masked_and_bad_pixels_are_left_out(chip):
    good = np.ones(chip.shape, np.uint8)
    good[:, :40] = 0
    reference = measure(np.ascontiguousarray(chip[:, 40:]))
    chip[:, :40] = 5000.0
    assert measure(chip, good)[:3] == reference[:3]
    chip[:, :40] = np.nan
    assert measure(chip)[:3] == reference[:3]


def test_limits_are_electrons(chip):
    m = measure(chip, skylower=30.0, skyupper=50.0, skyclip=0)
    inside = chip[(chip >= 30) & (chip <= 50)]
    assert m.n == inside.size
    assert m.value_e == np.median(inside)


def test_no_usable_pixel(chip):
    m = measure(chip, np.zeros(chip.shape, np.uint8), block=32)
    assert (m.n, m.blocks) == (0, None)
    assert np.isnan(m.value_e)


def test_blocks_hold_every_good_pixel(chip):
    good = (np.random.default_rng(1).random(chip.shape) > 0.2).astype(np.uint8)
    m = measure(chip, good, block=64, skymethod="match")
    assert m.blocks.counts.sum() == good.sum()
    assert m.blocks.centre == pytest.approx(40.0, abs=0.3)


def exposures(n=2, exptime=(100.0, 50.0), scale=(0.05, 0.05)):
    return [
        SimpleNamespace(
            path=f"e{k}.fits", rootname=f"e{k}",
            chips=(SimpleNamespace(path=f"e{k}.fits", extver=1, exptime=exptime[k],
                                   pixel_scale_arcsec=scale[k], to_electrons=1.5),),
        )
        for k in range(n)
    ]  # fmt: skip


def test_globalmin_follows_time_and_pixel_area():
    measures = [sky.ChipSky(40.0, 8.0, 1000), sky.ChipSky(30.0, 8.0, 1000)]
    p = ReduceParameters.from_keywords({"skymethod": "globalmin"})
    solution = sky.solve(exposures(scale=(0.05, 0.1)), measures, p)
    # 40 e- in 100 s on 0.05" is 160 e-/s/arcsec^2; 30 e- in 50 s on 0.1" is 60
    assert [v.subtracted_e for v in solution.values] == pytest.approx([15.0, 30.0])
    assert [v.present_e for v in solution.values] == pytest.approx([40.0, 30.0])


def test_table_speaks_the_files_unit():
    p = ReduceParameters.from_keywords({"skymethod": "localmin"})
    solution = sky.solve(exposures(), [sky.ChipSky(40.0, 8.0, 1000), sky.ChipSky(np.nan, np.nan, 0)], p)
    table = solution.table()
    assert table["MDRIZSKY"].tolist() == pytest.approx([40.0 / 1.5, 0.0])
    assert table["subtracted_e"].tolist() == pytest.approx([40.0, 0.0])
    assert table["n"].tolist() == [1000, 0]
    assert np.isnan(solution.residual_matrix()).all()


def test_declared_sky_needs_no_measures():
    p = ReduceParameters.from_keywords({"skysub": False})
    solution = sky.solve(exposures(), [None, None], p)
    assert solution.method == "none"
    assert [v.subtracted_e for v in solution.values] == [0.0, 0.0]
    assert len(solution.table()) == 2


@pytest.fixture(scope="module")
def hrc(shared_data):
    found = read_exposures([shared_data / "hrc_ngc104" / f"{root}_flt.fits.gz" for root in ROOTS])
    pixels = []
    for e in found:
        whole = (0, *e.chips[0].shape[:1], 0, e.chips[0].shape[1])
        pixels.append((e.chips[0].read_sci(whole), e.chips[0].good(whole, 0)))
    return found, pixels


def hrc_solution(hrc, method):
    p = ReduceParameters.from_keywords({"skymethod": method})
    side = sky.block_side(3, p)
    return sky.solve(hrc[0], [sky.measure_chip(*box, p.sky, side) for box in hrc[1]], p)


def test_golden_localmin(hrc):
    """The values in AstroDrizzle's log of the real exposures, to the six digits printed there."""
    ours = [v.subtracted_e for v in hrc_solution(hrc, "localmin").values]
    assert ours == pytest.approx(GOLDEN, rel=5e-6)


@pytest.mark.parametrize(
    ("method", "peer"),
    [
        ("globalmin", (5.366569, 5.366569, 5.903226)),
        ("match", (116.372735, 227.577455, 0.0)),
        ("globalmin+match", (33.988822, 145.193542, -90.622304)),
    ],
)
def test_real_exposures_as_skypac(hrc, method, peer):
    """stsci.skypac 1.0.12 on the same pixels (DQ == 0), its results written down here.

    globalmin to the last digit of float32. The core of 47 Tuc is no blank sky: it falls by tens of
    electrons over a block, so that the rim of an overlap matters to the match methods: 2 e-, or
    0.02 of the sky's sigma (92 and 262 e-, of unresolved stars) on the exposures that have it.
    """
    solution = hrc_solution(hrc, method)
    ours = [v.subtracted_e for v in solution.values]
    assert ours == pytest.approx(peer, abs=1e-5 if method == "globalmin" else 2.0)

"""Sky matching: offsets recovered on simulated mosaics, groups, and the peer's skymatch."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from drizzlewb.distortion import tan_wcs
from drizzlewb.parameters import ReduceParameters
from drizzlewb.steps import sky
from drizzlewb.steps.sky_match import Overlaps, components, match_offsets

SCALE = 0.05
NY, NX = 240, 320


def exposure(number, dx, dy, *, exptime=100.0, level=0.5, angle=0.0, seed=0, chips=1, ra=150.0, dec=20.0):
    """An exposure of blank sky of `level` e-/s/px with noise of 3 e-, offset by (dx, dy) px."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    cd = SCALE / 3600 * np.array([[-c, s], [s, c]])
    made, pixels = [], []
    for k in range(chips):
        crpix = (NX / 2 - dx, NY / 2 - dy - k * (NY + 10))
        wcs = tan_wcs((ra, dec), crpix, cd)
        rng = np.random.default_rng((seed, number, k))
        sci = rng.normal(level * exptime, 3.0, (NY, NX)).astype(np.float32)
        stars = rng.random(sci.shape) < 0.02
        sci[stars] += rng.exponential(500.0, stars.sum()).astype(np.float32)
        pixels.append(sci)
        made.append(
            SimpleNamespace(
                path=f"e{number}_flt.fits", extver=k + 1, shape=(NY, NX), wcs=wcs, exptime=exptime,
                pixel_scale_arcsec=SCALE, to_electrons=1.0, crpix=crpix, cd=cd,
            )
        )  # fmt: skip
    return SimpleNamespace(
        path=f"e{number}_flt.fits", rootname=f"e{number}", chips=tuple(made), pixels=pixels
    )


def solve(exposures, *, block=None, good=None, **keywords):
    p = ReduceParameters.from_keywords({"skysub": True, **keywords})
    n = sum(len(e.chips) for e in exposures)
    side = sky.block_side(n, p) if block is None else block
    measures = [
        sky.measure_chip(sci, np.ones(sci.shape, np.uint8) if good is None else good, p.sky, side)
        for e in exposures
        for sci in e.pixels
    ]
    return sky.solve(exposures, measures, p)


def per_second(solution, exposures):
    times = [c.exptime for e in exposures for c in e.chips]
    return np.array([v.subtracted_e for v in solution.values]) / times


LEVELS = (0.50, 0.62, 0.41, 0.80)


@pytest.fixture(scope="module")
def mosaic():
    """Four exposures of two chips, rotated, of different exposure times; the sky steps by level."""
    shifts = ((0, 0), (90, 40), (-60, 70), (30, -80))
    times = (100.0, 150.0, 80.0, 120.0)
    return [
        exposure(k, *shifts[k], exptime=times[k], level=LEVELS[k], angle=3 * k, chips=2) for k in range(4)
    ]


@pytest.mark.parametrize("stat", ["median", "mean", "mode"])
def test_match_recovers_the_steps(mosaic, stat):
    solution = solve(mosaic, skymethod="match", skystat=stat)
    steps = np.repeat(np.array(LEVELS) - min(LEVELS), 2)
    # An overlap has 50,000 pixels of 3 e-: 0.017 e- on a median, 2e-4 e-/s; the mode scatters by a
    # tenth of a sigma.
    tolerance = {"median": 1e-3, "mean": 3e-3, "mode": 1e-2}[stat]
    assert per_second(solution, mosaic) == pytest.approx(steps, abs=tolerance)
    assert min(v.subtracted_e for v in solution.values) == 0.0
    assert solution.groups.tolist() == [0, 0, 0, 0]


def test_present_is_what_was_measured(mosaic):
    local = solve(mosaic, skymethod="localmin")
    for method in ("match", "globalmin+match", "globalmin"):
        solution = solve(mosaic, skymethod=method)
        assert [v.present_e for v in solution.values] == [v.present_e for v in local.values]
        assert all(v.header_e == v.subtracted_e for v in solution.values)


def test_globalmin_match_adds_the_lowest_matched_sky(mosaic):
    match = per_second(solve(mosaic, skymethod="match"), mosaic)
    both = per_second(solve(mosaic, skymethod="globalmin+match"), mosaic)
    assert both - match == pytest.approx(np.full(8, min(LEVELS)), abs=2e-3)
    assert np.ptp(both - match) < 1e-12


def test_localmin_takes_the_lower_chip_for_both():
    e = exposure(0, 0, 0, chips=2)
    e.pixels[1] += 7.0
    solution = solve([e], skymethod="localmin")
    low = min(m.value_e for m in solution.measures)
    assert [v.subtracted_e for v in solution.values] == [low, low]


def test_globalmin_is_one_brightness(mosaic):
    rates = per_second(solve(mosaic, skymethod="globalmin"), mosaic)
    assert np.ptp(rates) < 1e-12
    assert rates[0] == pytest.approx(min(LEVELS), abs=1e-3)


def test_residuals_vanish_after_matching(mosaic):
    solution = solve(mosaic, skymethod="match")
    sigma = 3.0 / 80.0 / SCALE**2  # of the shortest exposure, per pixel
    before = solution.residual_matrix(after=False)
    after = solution.residual_matrix()
    assert np.isnan(np.diag(after)).all()
    assert np.array_equal(after, -after.T, equal_nan=True)
    assert np.nanmax(np.abs(before)) > 2 * sigma
    assert np.nanmax(np.abs(after)) < 0.02 * sigma


def test_blocks_of_any_side_agree(mosaic):
    fine = per_second(solve(mosaic, skymethod="match", block=16), mosaic)
    coarse = per_second(solve(mosaic, skymethod="match", block=64), mosaic)
    assert coarse == pytest.approx(fine, abs=1e-3)


def test_groups_are_matched_each_by_itself(caplog):
    exposures = [
        exposure(0, 0, 0, level=0.5), exposure(1, 100, 0, level=0.6),
        exposure(2, 0, 0, level=1.5, ra=150.1), exposure(3, 100, 0, level=1.8, ra=150.1),
        exposure(4, 0, 0, level=3.0, ra=330.0, dec=-60.0),
    ]  # fmt: skip
    solution = solve(exposures, skymethod="match")
    assert solution.groups.tolist() == [0, 0, 1, 1, -1]
    assert per_second(solution, exposures) == pytest.approx([0, 0.1, 0, 0.3, 0], abs=2e-3)
    assert "e4 overlaps no other exposure" in caplog.text
    assert "2 groups" in caplog.text
    both = solve(exposures, skymethod="globalmin+match")
    assert per_second(both, exposures) == pytest.approx([0.5, 0.6, 1.5, 1.8, 3.0], abs=2e-3)


def test_identical_footprints_and_a_blind_chip(caplog):
    exposures = [exposure(k, 0, 0, level=0.5 + 0.1 * k) for k in range(3)]
    exposures[2].pixels[0][:] = np.nan
    solution = solve(exposures, skymethod="match")
    assert per_second(solution, exposures) == pytest.approx([0, 0.1, 0], abs=2e-3)
    assert solution.groups.tolist() == [0, 0, -1]
    assert "e2 has no pixel to measure the sky on" in caplog.text


def test_one_exposure_alone():
    e = [exposure(0, 0, 0, level=0.5)]
    assert per_second(solve(e, skymethod="match"), e) == pytest.approx([0.0])
    assert per_second(solve(e, skymethod="globalmin+match"), e) == pytest.approx([0.5], abs=1e-3)


def test_block_side():
    sides = [
        sky.block_side(n, ReduceParameters.from_keywords({"skymethod": "match"}))
        for n in (1, 2, 12, 200, 4000)
    ]
    assert sides[0] == 0
    assert sides[1:] == sorted(sides[1:])
    assert 16 <= sides[1] < sides[-1] <= 255
    assert sky.block_side(12, ReduceParameters.from_keywords({"skymethod": "localmin"})) == 0
    assert sky.block_side(12, ReduceParameters.from_keywords({"skymethod": "match", "skysub": False})) == 0


def pseudo_inverse(o, n):
    """The peer's equations, one a pair, solved for the least squares of least norm."""
    w = 0.5 * (o.n_i + o.n_j)
    k = np.zeros((len(w), n))
    k[np.arange(len(w)), o.i] = w
    k[np.arange(len(w)), o.j] = -w
    return np.linalg.pinv(k, rcond=1e-12) @ (w * (o.sky_i - o.sky_j))


@pytest.mark.parametrize("seed", range(5))
def test_offsets_are_those_of_the_pseudo_inverse(seed):
    rng = np.random.default_rng(seed)
    n = 9
    i, j = np.triu_indices(n, 1)
    keep = rng.random(len(i)) < 0.4
    keep[j == i + 1] = True
    i, j = i[keep], j[keep]
    level = rng.normal(100, 20, n)
    noise = rng.normal(0, 0.5, (2, len(i)))
    pixels = 10.0 ** rng.uniform(2, 6, (2, len(i)))
    o = Overlaps(i, j, level[i] + noise[0], level[j] + noise[1], *pixels)
    offsets, groups = match_offsets(o, n)
    expected = pseudo_inverse(o, n)
    assert offsets == pytest.approx(expected - expected.min(), abs=1e-6)
    assert (groups == 0).all()


def test_a_hundred_mutually_overlapping_exposures_are_solved_by_their_equations():
    n = 100
    i, j = np.triu_indices(n, 1)
    level = np.random.default_rng(1).normal(100, 20, n)
    o = Overlaps(i, j, level[i], level[j], np.full(len(i), 1e5), np.full(len(i), 1e5))
    assert match_offsets(o, n)[0] == pytest.approx(level - level.min(), abs=1e-9)


@pytest.mark.parametrize("method", ["localmin", "globalmin", "match", "globalmin+match"])
def test_equals_skypac(mosaic, method, tmp_path, monkeypatch):
    """stsci.skypac on the same pixels. localmin and globalmin: one unit of float32; the match methods
    choose pixels along the rim of an overlap in another way, and read medians from bins of
    sigma/20: 0.01 sigma of the pixels, about twice the error of such a median."""
    skymatch = pytest.importorskip("stsci.skypac.skymatch")
    pytest.importorskip("spherical_geometry")
    from astropy.io import fits

    monkeypatch.chdir(tmp_path)
    lines = []
    for e in mosaic:
        hdus = fits.HDUList([fits.PrimaryHDU()])
        hdus[0].header["EXPTIME"] = e.chips[0].exptime
        for chip, sci in zip(e.chips, e.pixels, strict=True):
            header = fits.Header()
            header["BUNIT"], header["PAMSCALE"] = "ELECTRONS", SCALE
            header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
            header["CRVAL1"], header["CRVAL2"] = 150.0, 20.0
            header["CRPIX1"], header["CRPIX2"] = (value + 1 for value in chip.crpix)
            for a in (0, 1):
                for b in (0, 1):
                    header[f"CD{a + 1}_{b + 1}"] = chip.cd[a, b]
            hdus.append(fits.ImageHDU(sci, header, name="SCI", ver=chip.extver))
        hdus.writeto(e.path)
        lines.append(e.path)
    (tmp_path / "list.txt").write_text("\n".join(lines))
    skymatch.skymatch(
        "@list.txt", skymethod=method, skystat="median", nclip=5, lsigma=4.0, usigma=4.0, binwidth=0.1,
        skyuser_kwd="MDRIZSKY", units_kwd="BUNIT", readonly=False, subtractsky=False, dq_bits=None,
        clobber=True, clean=True, verbose=False, flog=None,
    )  # fmt: skip
    peer = np.array([fits.getval(e.path, "MDRIZSKY", ("SCI", k)) for e in mosaic for k in (1, 2)])
    ours = np.array([v.subtracted_e for v in solve(mosaic, skymethod=method).values])
    tolerance = 0.01 * 3.0 if "match" in method else 1e-5
    assert ours == pytest.approx(peer, abs=tolerance)


@given(n=st.integers(1, 30), links=st.integers(0, 40), seed=st.integers(0, 1000))
def test_groups_are_those_of_scipy(n, links, seed):
    joined = np.zeros((n, n), bool)
    i, j = np.random.default_rng(seed).integers(0, n, (2, links))
    joined[i, j] = joined[j, i] = True
    np.testing.assert_array_equal(components(joined), connected_components(joined, directed=False)[1])


def test_a_long_chain_is_one_group():
    n = 200
    order = np.random.default_rng(5).permutation(n)
    joined = np.zeros((n, n), bool)
    joined[order[1:], order[:-1]] = joined[order[:-1], order[1:]] = True
    assert (components(joined) == 0).all()

"""The star-core meter against a scene whose ruined cores are known."""

import dataclasses

import numpy as np
import pytest

from drizzlewb.grid import Region
from drizzlewb.steps.contributions import Masked
from drizzlewb.steps.star_cores import count_cores, star_cores


def scene(chip, ruined=0.0, rays=0.002, seed=4):
    """Stars on a grid with offsets, of which some have a flagged core; rays at random."""
    rng = np.random.default_rng(seed)
    ny, nx = 240, 230
    y, x = np.mgrid[:ny, :nx].astype(float)
    blot = np.full((ny, nx), 50.0)
    places = [
        (i + rng.uniform(-2, 2), j + rng.uniform(-2, 2))
        for i in range(12, nx - 12, 16)
        for j in range(12, ny - 12, 16)
    ]
    for i, j in places:
        blot += rng.uniform(400, 5000) * np.exp(-((x - i) ** 2 + (y - j) ** 2) / (2 * 0.95**2))
    mask = np.where(rng.random((ny, nx)) < rays, 0, 1).astype(np.uint8)
    bad = rng.random(len(places)) < ruined
    for (i, j), hit in zip(places, bad, strict=True):
        if hit:
            mask[round(j), round(i)] = 0
    box = Region(3, 3 + ny, 5, 5 + nx)
    image = blot.astype(np.float32)
    return Masked("root", chip, box, image, image, mask), np.array(places), bad


@pytest.fixture
def chip(tiny_f606w):
    """A chip without a DQ array: no star is near saturation."""
    return dataclasses.replace(tiny_f606w[0].chips[0], dq=None)


def test_finds_the_stars_and_the_ruined_ones(chip):
    masked, places, bad = scene(chip, ruined=0.2, rays=0.0)
    counts = count_cores(masked)
    far = np.hypot(counts.x[:, None] - 5 - places[:, 0], counts.y[:, None] - 3 - places[:, 1])
    assert len(counts.x) == len(places)
    nearest = far.argmin(axis=1)
    assert (far.min(axis=1) < 1).all()
    np.testing.assert_array_equal(counts.hit, bad[nearest])
    assert not counts.blank.any()


def test_verdicts(chip):
    clean = star_cores([count_cores(scene(chip, seed=s)[0]) for s in range(20)])
    assert clean.verdict in ("good", "pass")
    assert clean.hit > 0  # rays fall on stars too, as often as on blank places
    assert abs(clean.hit / clean.stars - clean.blank) < 0.01
    ruined = star_cores([count_cores(scene(chip, ruined=0.15, seed=s)[0]) for s in range(4)])
    assert ruined.verdict == "fail"
    assert "driz_cr_scale" in ruined.words
    assert ruined.bins["excess"][-1] == pytest.approx(0.15, abs=0.05)
    assert ruined.bins["stars"][-1] == ruined.stars >= ruined.bins["stars"][:-1].sum() > 0


def test_few_stars_are_counted_and_not_graded(chip):
    masked, places, _ = scene(chip)
    part = Region(0, 60, 0, 60)
    small = dataclasses.replace(
        masked, box=part, **{n: getattr(masked, n)[part.slices()] for n in ("sci", "blot", "mask")}
    )
    meter = star_cores([count_cores(small)])
    assert 0 < meter.stars < 20
    assert meter.verdict == "not graded"
    assert f"of {meter.stars} star cores" in meter.words


def test_a_box_without_anything(chip):
    box = Region(0, 5, 0, 5)
    none = np.zeros((5, 5), np.float32)
    meter = star_cores([count_cores(Masked("root", chip, box, none, none, np.ones((5, 5), np.uint8)))])
    assert (meter.stars, meter.verdict) == (0, "not graded")
    assert meter.words.startswith("No unsaturated star")


def test_saturated_stars_are_left_out(tiny_f606w):
    chip = tiny_f606w[0].chips[0]
    ny, nx = chip.shape
    dq = chip.read_dq((0, ny, 0, nx))
    assert (dq & 256).any()
    box = Region(0, ny, 0, nx)
    sci = chip.read_sci(box)
    masked = Masked("root", chip, box, sci, sci, np.ones(box.shape, np.uint8))
    counts = count_cores(masked)
    i, j = counts.x.astype(int), counts.y.astype(int)
    assert len(i)
    assert not (dq[j, i] & (256 | 2048)).any()

import numpy as np
import pytest

from drizzlewb.training import scene

CATALOG = scene.make_catalog(9815)
STARS = CATALOG[CATALOG["kind"] != "galaxy"]


def test_same_seed_same_sky():
    again = scene.make_catalog(9815)
    for name in CATALOG.colnames:
        np.testing.assert_array_equal(CATALOG[name], again[name])
    assert len(scene.make_catalog(1)) != len(CATALOG)


def test_colour_magnitude_diagram_is_that_of_an_old_cluster():
    cluster = CATALOG[CATALOG["kind"] == "cluster"]
    v, vi = np.asarray(cluster["m606"]), np.asarray(cluster["m606"] - cluster["m814"])
    turnoff = np.median(vi[(v > 17.8) & (v < 18.2)])
    for low, high in ((15.5, 16.5), (22.5, 23.5)):  # giants and lower main sequence are redder
        assert np.median(vi[(v > low) & (v < high)]) > turnoff + 0.25
    assert ((v > 14.5) & (v < 15.0) & (abs(vi - 1.12) < 0.12)).sum() > 5  # red clump
    assert ((v > 23) & (vi < 0.75)).sum() > 50  # white dwarfs
    faint, bright = ((v > a) & (v < a + 1) for a in (24, 20))
    assert faint.sum() > 1.5 * bright.sum()


def test_density_falls_from_the_centre():
    dx = (STARS["ra"] - scene.CENTRE[0]) * np.cos(np.radians(scene.CENTRE[1])) * 3600
    r = np.hypot(dx, (STARS["dec"] - scene.CENTRE[1]) * 3600)
    inner = (r < 40).sum() / 40**2
    outer = ((r > 120) & (r < 160)).sum() / (160**2 - 120**2)
    assert 1.2 < inner / outer < 2.5


def test_rates_in_other_bands_follow_the_colour():
    red = scene.magnitudes(CATALOG, (1.0, 0.0))
    np.testing.assert_allclose(red, CATALOG["m814"])
    assert np.median(scene.magnitudes(STARS, (1.95, -0.05)) - STARS["m814"]) < -0.5


def test_galaxies_keep_their_flux_and_shape():
    one = [np.array([v]) for v in (40.3, 35.7, 5000.0, 0.5, 1.0, 0.5, 90.0)]
    turn = np.array([[[-0.05, 0.0], [0.0, 0.05]]])  # x runs west, y north
    image = scene.render_galaxies((80, 90), 20, scene.Galaxies(*one), turn).astype(float)
    assert image.shape == (120, 130)
    assert image.sum() == pytest.approx(5000, rel=1e-5)
    yy, xx = np.indices(image.shape)
    assert (image * xx).sum() / 5000 == pytest.approx(60.3, abs=0.05)
    assert (image * yy).sum() / 5000 == pytest.approx(55.7, abs=0.05)
    spread = [np.sqrt((image * (a - c) ** 2).sum() / 5000) for a, c in ((xx, 60.3), (yy, 55.7))]
    assert spread[0] / spread[1] == pytest.approx(2, rel=0.1)  # long axis east-west: along x

"""The three real HRC exposures, step by step beside the arrays of AstroDrizzle 3.11.

The peer mapped pixels by its default 10-px grid (stepsize=10), which is off by up to 4e-3 output px; we map
each pixel exactly. Where a difference follows from that, the tolerance is that shift times the image's slope:
stars are steep, so the tolerance is stated on quantiles as well as on the worst pixel.
"""

import numpy as np
import pytest

from drizzlewb import read_exposures
from drizzlewb.grid import Region
from drizzlewb.parameters import ReduceParameters
from drizzlewb.reduction import Reduction
from drizzlewb.steps.cosmicray import blot_box, median_under
from drizzlewb.steps.median import single_region

ROOTS = ("j8bt05njq", "j8bt06o6q", "j8bt09jcq")

AS_THE_PEER = {
    "static": False,
    "skymethod": "localmin",
    "driz_sep_kernel": "turbo",
    "combine_type": "minmed",
    "combine_nhigh": 0,
    "driz_cr_snr": "3.5 3.0",
    "driz_cr_scale": "1.2 0.7",
    "final_kernel": "square",
    "final_pixfrac": 0.8,
    "final_wcs": True,
    "final_scale": 0.025,
    "final_rot": 0.0,
    "final_bits": 0,
    "driz_sep_bits": 0,
    "gain": 2.0,
    "rdnoise": 4.7,
    "peer_noise": True,
}


@pytest.fixture(scope="module")
def golden(shared_data):
    with np.load(shared_data / "hrc_ngc104" / "astrodrizzle-3.11.0" / "golden.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def reduction(shared_data):
    exposures = read_exposures([shared_data / "hrc_ngc104" / f"{root}_flt.fits.gz" for root in ROOTS])
    return Reduction(exposures, ReduceParameters.from_keywords(AS_THE_PEER))


def cut(golden, name):
    return Region(*(int(v) for v in golden[name]))


def close_but_for_steep_pixels(ours, theirs, *, typical, worst):
    """Median and largest absolute difference, relative to the noise of the peer's image."""
    noise = 1.4826 * np.median(np.abs(theirs - np.median(theirs)))
    difference = np.abs(ours - theirs) / noise
    assert np.median(difference) < typical
    assert np.percentile(difference, 99.9) < worst


def test_grids_have_the_peers_size(reduction, golden):
    assert reduction.final_grid.shape == (2357, 2543)
    assert reduction.separate_grid.shape == tuple(golden["med_shape"])


def test_sky_equals_mdrizsky(reduction, shared_data):
    # MDRIZSKY values as the peer logged them
    log = (shared_data / "hrc_ngc104" / "astrodrizzle-3.11.0" / "astrodrizzle.log").read_text()
    for chips in reduction.prepare().chips:
        for chip in chips:
            root = reduction.exposures[chip.exposure].rootname
            lines = [line for line in log.splitlines() if "Applying sky value of" in line and root in line]
            value = float(lines[-1].split("Applying sky value of")[1].split()[0])
            assert chip.sky_subtracted == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("index", range(3))
def test_single_images(reduction, golden, index):
    reduction.prepare()
    region = cut(golden, "med_slice")
    sci, wht = np.empty(region.shape, np.float32), np.empty(region.shape, np.float32)
    single_region(reduction._on_separate[index], region, reduction.parameters, sci, wht)
    theirs = golden[f"{ROOTS[index]}_single_wht"]
    np.testing.assert_array_equal(wht > 0, theirs > 0)
    assert np.abs(wht - theirs).max() < 1e-3 * theirs.max()
    # Without weight the peer leaves the value of whatever drop came first; ours is 0.
    assert (sci[wht == 0] == 0).all()
    good = wht > 0
    close_but_for_steep_pixels(sci[good], golden[f"{ROOTS[index]}_single_sci"][good], typical=1e-3, worst=0.1)


@pytest.mark.parametrize("index", range(3))
def test_weight_below_which_the_median_masks(reduction, index):
    """The peer takes a fraction of the mean of the drizzled weights above 1e-8; we compute that mean."""
    reduction.prepare()
    whole = Region(0, reduction.separate_grid.shape[0], 0, reduction.separate_grid.shape[1])
    sci, wht = np.empty(whole.shape, np.float32), np.empty(whole.shape, np.float32)
    single_region(reduction._on_separate[index], whole, reduction.parameters, sci, wht)
    measured = 0.3 * wht[wht > 1e-8].mean(dtype=float)
    # Pixels at the rim that drops only touch count as covered there: 0.06 to 0.18 % here.
    assert reduction._mask_weights[index] == pytest.approx(measured, rel=0.005)


def test_median(reduction, golden):
    close_but_for_steep_pixels(
        reduction.median(cut(golden, "med_slice")), golden["med"], typical=1e-3, worst=0.1
    )


@pytest.mark.parametrize("index", range(3))
def test_blot(reduction, golden, index):
    reduction.prepare()
    box = cut(golden, f"{ROOTS[index]}_in_slice")
    placed = reduction._on_separate[index][0]
    under = median_under(placed, box, reduction.parameters)
    blotted = blot_box(placed, box, reduction.median(under), (under.y0, under.x0), reduction.parameters)
    blotted += np.float32(placed.prepared.sky_subtracted)
    close_but_for_steep_pixels(blotted, golden[f"{ROOTS[index]}_blt"], typical=1e-3, worst=0.1)


@pytest.mark.parametrize("index", range(3))
def test_cosmic_ray_mask(reduction, golden, index):
    theirs = np.unpackbits(golden[f"{ROOTS[index]}_crmask_full"], axis=1)[:, :1024]
    ours = reduction.crmask(index)
    # Pixels within the map's error of a threshold fall either way: 1, 5 and 1 of 1,048,576 here.
    assert np.count_nonzero(ours != theirs) <= 20


def test_product(reduction, golden):
    tile = reduction.product(cut(golden, "out_slice"))
    theirs, weight = golden["drz_sci"], golden["drz_wht"]
    assert np.array_equal(np.isnan(tile.sci), np.isnan(theirs))
    good = np.isfinite(theirs)
    close_but_for_steep_pixels(tile.sci[good], theirs[good], typical=1e-3, worst=0.1)
    assert np.abs(tile.wht - weight).max() < 1e-3 * weight.max()
    # Drops that end within the map's error of a pixel's border: 2 of 90,000 here.
    assert np.count_nonzero(tile.ctx[0] != golden["drz_ctx"].astype(np.uint32)) <= 10

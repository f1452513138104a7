"""The real WFPC2 exposure of omega Cen, final step alone, beside the arrays of AstroDrizzle 3.11.

Where the two differ, and why:

- *A factor.* AstroDrizzle combines electrons and divides the sum by the gain of the chip that came last (WF4,
  7.10). We divide by that of the first chip (PC, 7.12), whose PHOTFLAM stands in the product's header. And as
  the file has no BUNIT, AstroDrizzle takes its counts for a rate and does not divide by the exposure time of
  100 s; its product is in counts for 100 s, though ``final_units`` was cps. Peer = ours x 100 x 7.12 / 7.10.
- *The map.* The golden cut was mapped by a grid of 10 px; ours is exact. With ``stepsize=0`` the peer agrees
  to the rounding of float32 (`test_the_exact_peer`).
- *Pixels without weight.* Ours are NaN; the peer keeps the value of whatever flagged drop came first.
"""

import gzip
import os
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import maximum_filter, minimum_filter

import drizzlewb as dw
from drizzlewb.grid import OutputGrid, Region
from drizzlewb.parameters import ReduceParameters
from drizzlewb.reduction import Reduction

NAME = "u40x010hm_c0m.fits"
FINAL_ONLY = {
    "static": False,
    "skysub": False,
    "driz_separate": False,
    "median": False,
    "blot": False,
    "driz_cr": False,
    "final_kernel": "square",
    "final_pixfrac": 1.0,
    "final_wht_type": "EXP",
    "final_bits": 0,
    "final_wcs": True,
    "final_scale": 0.1,
    "final_rot": 0.0,
}
GAIN_FIRST, GAIN_LAST, EXPTIME = 7.12, 7.10, 100.0
PEER_OVER_OURS = EXPTIME * GAIN_FIRST / GAIN_LAST
PC_PHOTFLAM = 3.482944e-18
PARAMETERS = ReduceParameters.from_keywords(FINAL_ONLY)


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "wfpc2_omegacen"


@pytest.fixture(scope="module")
def exposures(folder):
    return dw.read_exposures(folder / f"{NAME}.gz")


@pytest.fixture(scope="module")
def golden(folder):
    with np.load(folder / "astrodrizzle_golden_cut.npz") as arrays:
        return {name: arrays[name].astype(np.float32) for name in ("sci", "wht")} | {
            "region": Region(*(int(v) for v in arrays["out_slice"]))
        }


@pytest.fixture(scope="module")
def product(exposures, tmp_path_factory):
    return dw.reduce(exposures, PARAMETERS, output=tmp_path_factory.mktemp("wfpc2") / "wf", build=True)


@pytest.fixture(scope="module")
def cut(product, golden):
    where = golden["region"].slices()
    return product.sci[where], product.wht[where]


def test_the_grid_is_the_peers(product, folder):
    theirs = OutputGrid.from_header(peer_header(folder))
    assert product.grid.shape == theirs.shape == (1929, 1917)
    corners_x, corners_y = np.array([0.0, 1916.0, 0.0, 1916.0]), np.array([0.0, 0.0, 1928.0, 1928.0])
    x, y = theirs.sky_to_pixel(*product.grid.pixel_to_sky(corners_x, corners_y))
    np.testing.assert_allclose([x, y], [corners_x, corners_y], rtol=0, atol=1e-6)


def peer_header(folder):
    return fits.Header.fromtextfile(folder / "drw.hdr")


def test_unit_and_zero_point_belong_to_the_first_chip(product, exposures, folder):
    chips = exposures[0].chips
    assert [c.gain for c in chips] == [GAIN_FIRST, 7.12, 6.90, GAIN_LAST]
    assert {c.unit for c in chips} == {"counts"}  # though the file has no BUNIT
    assert product.path.name == "wf_drw.fits"
    header = product.header
    assert header["BUNIT"] == "COUNTS/S"
    assert header["PHOTFLAM"] == pytest.approx(PC_PHOTFLAM, rel=1e-9)
    # The peer writes the mean of the chips' zero points beside counts of the last chip's gain.
    theirs = peer_header(folder)["PHOTFLAM"]
    assert theirs == pytest.approx(np.mean([c.photflam for c in chips]), rel=1e-9)


def test_electrons_keep_the_magnitudes(product, exposures, tmp_path):
    electrons = dw.reduce(exposures, PARAMETERS, output=tmp_path / "e", proc_unit="electrons", build=True)
    assert electrons.header["BUNIT"] == "ELECTRONS/S"
    assert electrons.header["PHOTFLAM"] == pytest.approx(PC_PHOTFLAM / GAIN_FIRST, rel=1e-9)
    np.testing.assert_allclose(
        electrons.sci * electrons.header["PHOTFLAM"], product.sci * product.header["PHOTFLAM"],
        rtol=1e-6, atol=1e-6 * PC_PHOTFLAM,
    )  # fmt: skip


def test_weight(cut, golden):
    _, wht = cut
    assert wht.max() == pytest.approx(golden["wht"].max(), rel=1e-4)
    # Drops that end within the map's error of a pixel's border: 2 of 90,000, of weight 1e-4 s and less.
    differing = (wht > 0) != (golden["wht"] > 0)
    assert np.count_nonzero(differing) <= 4
    assert wht[differing].max(initial=0) < 1e-3
    assert wht.sum(dtype=float) == pytest.approx(golden["wht"].sum(dtype=float), rel=2e-5)
    difference = np.abs(wht - golden["wht"])
    assert np.median(difference) < 2e-4 * wht.max()
    # Most at the edges of bad pixels, where a map's error is an area gained or lost.
    assert difference.max() < 0.015 * wht.max()


def test_science(cut, golden):
    sci, wht = cut
    theirs = golden["sci"]
    np.testing.assert_array_equal(np.isnan(sci), wht == 0)
    good = np.isfinite(sci)
    ratio = theirs[good] / sci[good]
    assert np.median(ratio) == pytest.approx(PEER_OVER_OURS, rel=2e-5)
    ours = sci * np.float32(PEER_OVER_OURS)
    flux_ours = (ours * wht)[good].sum(dtype=float)
    flux_theirs = (theirs * golden["wht"])[good].sum(dtype=float)
    assert flux_ours == pytest.approx(flux_theirs, rel=2e-4)
    # The map's error in output pixels: the difference over the range of values around, where all of the
    # neighbourhood is covered. It is 2e-4 px typically and 0.016 px at worst, at the corner of the PC.
    filled = np.where(good, ours, 0)
    slope = maximum_filter(filled, 3) - minimum_filter(filled, 3)
    inside = minimum_filter(wht, 3) > 0.2 * np.median(wht)
    assert inside.mean() > 0.95
    shift = (np.abs(ours - theirs) / slope)[inside]
    assert np.median(shift) < 5e-4
    assert np.percentile(shift, 99) < 3e-3
    assert shift.max() < 0.03
    noise = 1.4826 * np.median(np.abs(theirs - np.median(theirs)))
    difference = np.abs(ours - theirs)[good] / noise
    assert np.median(difference) < 1e-3
    assert np.percentile(difference, 99) < 0.1


def unpacked(folder, target):
    """Copies of the exposure and its flags, unpacked; the path of the exposure."""
    for part in (NAME, NAME.replace("c0m", "c1m")):
        (target / part).write_bytes(gzip.decompress((folder / f"{part}.gz").read_bytes()))
    return target / NAME


def test_the_pyramids_shadow_is_masked_whatever_the_bits(folder, tmp_path):
    path = unpacked(folder, tmp_path)

    def made():
        parameters = ReduceParameters.from_keywords({**FINAL_ONLY, "final_bits": None})
        reduction = Reduction(dw.read_exposures(path), parameters)
        return reduction.product(reduction.final_grid.region, 1 / GAIN_FIRST)

    before = made()
    with fits.open(path, mode="update") as hdus:
        for chip in range(1, 5):  # within the shadow on every chip
            hdus["SCI", chip].data[:15] = 1e9
            hdus["SCI", chip].data[:, :25] = 1e9
    after = made()
    np.testing.assert_array_equal(after.sci, before.sci)
    np.testing.assert_array_equal(after.wht, before.wht)
    with fits.open(path, mode="update") as hdus:
        hdus["SCI", 4].data[300, 300] = 1e9  # outside it such a value is seen
    assert np.nanmax(made().sci) > 1e5 > np.nanmax(before.sci)


PEER = """
from astropy.io import fits
fits.setval("u40x010hm_c0m.fits", "MDRIZTAB", value="N/A")
from drizzlepac import astrodrizzle
astrodrizzle.AstroDrizzle(["u40x010hm_c0m.fits"], output="wf", configobj="defaults", build=False,
    context=True, clean=False, preserve=False, resetbits="0", updatewcs=False, mdriztab=False, num_cores=1,
    stepsize=0, **{keywords})
"""


@pytest.mark.long
def test_the_exact_peer(folder, product, tmp_path):
    pytest.importorskip("drizzlepac", reason="the peer is not installed (extra 'peers')")
    unpacked(folder, tmp_path)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PEER.replace("{keywords}", repr(FINAL_ONLY))],
        cwd=tmp_path, env={**os.environ, "ASTROMETRY_STEP_CONTROL": "OFF", "MPLBACKEND": "Agg"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    sci, wht, ctx = (fits.getdata(tmp_path / f"wf_drw_{part}.fits") for part in ("sci", "wht", "ctx"))
    np.testing.assert_array_equal(product.wht > 0, wht > 0)
    np.testing.assert_array_equal(product.ctx, ctx.astype(np.int32).view(np.uint32))
    assert np.abs(product.wht - wht).max() <= 1e-6 * wht.max()
    good = wht > 0
    ours = product.sci[good] * PEER_OVER_OURS
    noise = 1.4826 * np.median(np.abs(sci[good] - np.median(sci[good])))
    assert (np.abs(ours - sci[good]) - 1e-5 * np.abs(sci[good])).max() <= 1e-3 * noise

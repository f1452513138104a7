"""The whole engine beside the installed AstroDrizzle, on simulated exposures of the training set.

The peer runs in a process of its own with an exact pixel map (stepsize=0), so that differences are those of
float32 sums: it keeps a running mean in float32, we divide float64 sums once.
"""

import os

import numpy as np
import pytest
from astrodrizzle_peer import run_peer
from astropy.io import fits

import drizzlewb as dw
from drizzlewb.distortion import pixel_to_sky
from drizzlewb.parameters import ReduceParameters
from drizzlewb.reduction import Reduction

pytest.importorskip("drizzlepac", reason="the peer is not installed (extra 'peers')")

FINAL_ONLY = {
    "static": False,
    "skysub": False,
    "driz_separate": False,
    "median": False,
    "blot": False,
    "driz_cr": False,
    "final_wcs": True,
    "final_scale": 0.04,
    "final_rot": 0.0,
    "final_pixfrac": 0.8,
    "final_bits": 336,
}
CHAIN = {
    "skymethod": "localmin",
    "driz_sep_bits": "336",
    "final_bits": "336",
    "combine_type": "minmed",
    "final_wcs": True,
    "final_scale": 0.04,
    "final_rot": 0.0,
    "final_pixfrac": 0.8,
}


@pytest.fixture(scope="module")
def files(tiny_set):
    return sorted(tiny_set.glob("j8ny01*_flc.fits"))[:4]


def noise(image):
    values = image[np.isfinite(image)]
    return 1.4826 * np.median(np.abs(values - np.median(values)))


def assert_final_parity(product, peer, where=None):
    """The tolerances of float32 sums: 1e-5 of the value plus 1e-3 of the sky's noise."""
    sci, wht, ctx = peer
    where = np.ones(sci.shape, bool) if where is None else where
    assert product.sci.shape == sci.shape
    np.testing.assert_array_equal((product.wht > 0)[where], (wht > 0)[where])
    # Ours is NaN exactly where nothing has weight. The peer keeps the value of whatever bad pixel came
    # first there (update_data sets the value where the old weight is 0, whatever the new one).
    np.testing.assert_array_equal(np.isnan(product.sci), product.wht == 0)
    assert not np.isnan(sci[wht > 0]).any()
    good = where & (wht > 0)
    excess = np.abs(product.sci - sci)[good] - (1e-5 * np.abs(sci)[good] + 1e-3 * noise(sci))
    assert excess.max() <= 0
    assert np.abs(product.wht - wht)[where].max() <= 1e-5 * wht.max()
    # A drop that only touches a pixel's border may count or not: single pixels.
    assert np.count_nonzero((product.ctx != ctx) & where) <= 1e-4 * ctx.size


@pytest.mark.parametrize("kernel", ["square", "turbo", "point"])
def test_the_final_step_alone(files, tmp_path, kernel):
    keywords = {**FINAL_ONLY, "final_kernel": kernel}
    peer = run_peer(files, tmp_path, keywords)
    product = dw.reduce(
        dw.read_exposures(files), ReduceParameters(), output=tmp_path / "ours", resetbits=0, **keywords
    )
    assert_final_parity(product, peer)


@pytest.mark.parametrize("kind", ["IVM", "ERR"])
def test_other_weights(files, tmp_path, kind):
    keywords = {**FINAL_ONLY, "final_wht_type": kind}
    peer = run_peer(files, tmp_path, keywords)
    product = dw.reduce(
        dw.read_exposures(files),
        ReduceParameters(),
        output=tmp_path / "ours",
        resetbits=0,
        peer_noise=True,
        **keywords,
    )
    assert_final_parity(product, peer)


@pytest.fixture(scope="module")
def chain(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    peer = run_peer(files, folder, CHAIN)
    reduction = Reduction(
        dw.read_exposures(files),
        ReduceParameters.from_keywords({**CHAIN, "resetbits": 0, "peer_noise": True}),
    )
    return folder, peer, reduction


def peer_masks(folder, reduction):
    for number, (exposure, chip) in enumerate((e, c) for e in reduction.exposures for c in e.chips):
        path = folder / f"{exposure.rootname}_sci{chip.extver}_crmask.fits"
        yield number, chip, fits.getdata(path).astype(np.uint8)


def test_the_whole_chain_flags_the_same_cosmic_rays(chain):
    folder, _, reduction = chain
    differing = total = flagged = 0
    for number, _, mask in peer_masks(folder, reduction):
        ours = reduction.crmask(number)
        differing += np.count_nonzero(ours != mask)
        flagged += np.count_nonzero(mask == 0)
        total += mask.size
    assert flagged > 0.01 * total
    assert differing <= 1e-4 * total


def test_the_whole_chain_gives_the_same_product(chain, tmp_path):
    folder, peer, reduction = chain
    product = dw.reduce(reduction.exposures, reduction.parameters, output=tmp_path / "ours")
    # Where no pixel contributes whose mask differs, the final step's own tolerances hold.
    touched = np.zeros(peer[0].shape, bool)
    for number, chip, mask in peer_masks(folder, reduction):
        y, x = np.nonzero(reduction.crmask(number) != mask)
        px, py = product.grid.sky_to_pixel(*pixel_to_sky(chip.wcs, x.astype(float), y.astype(float)))
        for cx, cy in zip(np.round(px).astype(int), np.round(py).astype(int), strict=True):
            touched[max(cy - 3, 0) : cy + 4, max(cx - 3, 0) : cx + 4] = True
    assert touched.mean() < 0.01
    assert_final_parity(product, peer, ~touched)


def test_sky_equals_the_peers(chain):
    folder, _, reduction = chain
    for chips in reduction.prepare().chips:
        for prepared in chips:
            header = fits.getheader(
                folder / os.path.basename(prepared.chip.path), ("SCI", prepared.chip.extver)
            )
            assert prepared.sky_subtracted == pytest.approx(header["MDRIZSKY"], rel=1e-5)

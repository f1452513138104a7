"""The whole engine beside the installed AstroDrizzle, on simulated exposures of the training set.

The peer runs in a process of its own with an exact pixel map (stepsize=0), so that differences are those of
float32 sums: it keeps a running mean in float32, we divide float64 sums once.
"""

import os

import numpy as np
import pytest
from astrodrizzle_peer import assert_final_parity, peer_masks, run_peer, touched_pixels
from astropy.io import fits

import drizzlewb as dw
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
    touched = touched_pixels(product, folder, reduction)
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

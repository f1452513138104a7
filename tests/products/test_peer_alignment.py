"""AstroDrizzle on headers that drizzlewb aligned, and on headers that TweakReg aligned: the same stars."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astrodrizzle_peer import run_peer
from astropy.io import fits
from astropy.wcs import WCS

from drizzlewb.kernels.starfit import fit_stars
from drizzlewb.products.aligned import align
from drizzlewb.training.pointing import sky_to_pixel
from drizzlewb.training.simulate import simulate
from drizzlewb.training.truth import read_catalog, read_truth

pytestmark = pytest.mark.long  # TweakReg once and AstroDrizzle twice on six exposures of 1 Mpx
pytest.importorskip("drizzlepac", reason="the extra 'peers' is not installed")

FINDING = {"threshold": 50.0, "conv_width": 3.5, "peakmax": 70000.0}
MATCHING = {"searchrad": 1.0, "tolerance": 1.0, "separation": 0.5, "minobj": 15, "fitgeometry": "rscale"}
TWEAKREG = """
import json, sys
from drizzlepac.tweakreg import TweakReg
files, finding, matching = json.loads(sys.argv[1])
TweakReg(files, configobj="defaults", interactive=False, updatewcs=False, updatehdr=True, wcsname="TWEAK",
    reusename=True, see2dplot=False, residplot="No plot", imagefindcfg=finding, refimagefindcfg=finding,
    **matching)
"""
FINAL_ONLY = {
    **dict.fromkeys(("static", "skysub", "driz_separate", "median", "blot", "driz_cr"), False),
    "final_wcs": True, "final_scale": 0.05, "final_rot": 0.0, "final_outnx": 1500, "final_outny": 1500,
    "final_pixfrac": 1.0, "final_bits": 336,
}  # fmt: skip


def stars(folder, first, wcs):
    """Bright, isolated stars: where they must lie in the product, by the first exposure's own header."""
    catalog = read_catalog(folder)
    truth = read_truth(folder / f"{first.name[:9]}_truth.fits")
    places = []
    with fits.open(first) as hdus:
        for chip in (1, 2):
            ny, nx = hdus["SCI", chip].data.shape
            stated = WCS(hdus["SCI", chip].header, hdus)
            px, py = sky_to_pixel(truth.wcs[chip - 1], np.asarray(catalog["ra"]), np.asarray(catalog["dec"]))
            inside = (px > 40) & (px < nx - 40) & (py > 40) & (py < ny - 40)
            rate = np.asarray(catalog["rate_F606W"])
            good = inside & (np.asarray(catalog["kind"]) != "galaxy") & (rate > 5) & (rate < 100)
            x, y = wcs.wcs_world2pix(*stated.all_pix2world(px, py, 0), 0)
            for n in np.flatnonzero(good):
                near = (np.hypot(x - x[n], y - y[n]) < 8) & (np.arange(x.size) != n)
                if rate[near].sum() < 0.02 * rate[n]:
                    places.append((x[n], y[n]))
    return np.array(places)


def positions(image, places):
    """Fitted centres around the places, px; NaN where no star fits."""
    pixels = np.ascontiguousarray(np.nan_to_num(image), np.float32)
    out = np.full((len(places), 6), np.nan)
    ny, nx = image.shape
    inside = ((places > 10) & (places < [nx - 10, ny - 10])).all(1)
    xs, ys = np.rint(places[inside].T).astype(np.int32)
    good = np.isfinite(image).astype(np.uint8)
    fitted = np.empty((len(xs), 6))
    fit_stars(pixels, good, xs, ys, pixels[ys, xs], 3, 1.0, False, fitted)
    out[inside] = fitted
    return out[:, :2]


@pytest.mark.filterwarnings("ignore")
def test_stars_lie_at_the_same_places(tmp_path):
    simulate(tmp_path / "small", size="small")
    files = sorted((tmp_path / "small").glob("j8ny01*_flc.fits"))
    copies = {}
    for program in ("ours", "theirs"):
        (tmp_path / program).mkdir()
        copies[program] = [Path(shutil.copy(f, tmp_path / program)) for f in files]
    solution = align(
        [str(p) for p in copies["ours"]], noise="tweakreg", wcsname="TWEAK", **FINDING, **MATCHING
    )
    solution.apply(folder=None)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TWEAKREG,
         json.dumps([[p.name for p in copies["theirs"]], FINDING, MATCHING])],
        cwd=tmp_path / "theirs", capture_output=True, text=True, check=False,
        env={**os.environ, "ASTROMETRY_STEP_CONTROL": "OFF", "MPLBACKEND": "Agg"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    with fits.open(files[0]) as hdus:
        ra, dec = hdus["SCI", 1].header["CRVAL1"], hdus["SCI", 1].header["CRVAL2"]
    centred = {**FINAL_ONLY, "final_ra": ra, "final_dec": dec}
    found = {}
    for program, paths in copies.items():
        with fits.open(paths[1]) as hdus:
            assert hdus["SCI", 1].header["WCSNAME"] == "TWEAK"
        folder = tmp_path / f"{program}_drizzled"
        folder.mkdir()
        sci, _, _ = run_peer(paths, folder, centred)
        wcs = WCS(fits.getheader(folder / "peer_drc_sci.fits"))
        places = stars(tmp_path / "small", files[0], wcs)
        found[program] = positions(sci, places)
    apart = found["ours"] - found["theirs"]
    both = apart[np.isfinite(apart).all(1)]
    assert len(both) > 100
    rms = np.sqrt((both**2).mean(0))
    told = f"{len(both)} stars: mean {both.mean(0)}, rms {rms}, most {np.abs(both).max(0)} px"
    assert (np.abs(both.mean(0)) <= 0.005).all(), told
    assert (rms <= 0.005).all(), told

"""The installed AstroDrizzle in a process of its own, for tests that compare with it."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
from astropy.io import fits

from drizzlewb.distortion import pixel_to_sky

PEER = """
import json, sys
from drizzlepac import astrodrizzle
files, keywords = json.loads(sys.argv[1])
astrodrizzle.AstroDrizzle(files, configobj="defaults", output="peer", build=False, context=True,
    preserve=False, clean=False, resetbits="0", updatewcs=False, mdriztab=False, stepsize=0, num_cores=1,
    **keywords)
"""


def environment():
    """The user's, without network and windows."""
    return {**os.environ, "ASTROMETRY_STEP_CONTROL": "OFF", "MPLBACKEND": "Agg"}


def run_script(path):
    """Run an exported script as its user would: the file, in its folder, in a process of its own."""
    done = subprocess.run(
        [sys.executable, path.name],
        cwd=path.parent, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def run_peer(files, folder, keywords):
    """Run it on copies of files in a folder; SCI, WHT and CTX of its product, whose root is ``peer``."""
    for path in files:
        shutil.copy(path, folder)
        # The peer crashes on the name N/A of a flat; one that is not there counts as 1.
        fits.setval(folder / path.name, "PFLTFILE", value="absent_pfl.fits")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PEER, json.dumps([[p.name for p in files], keywords])],
        cwd=folder, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    sci, wht, ctx = (fits.getdata(folder / f"peer_drc_{part}.fits") for part in ("sci", "wht", "ctx"))
    return sci.astype(np.float32), wht.astype(np.float32), ctx.astype(np.int32).view(np.uint32)


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


def peer_masks(folder, reduction):
    for number, (exposure, chip) in enumerate((e, c) for e in reduction.exposures for c in e.chips):
        path = folder / f"{exposure.rootname}_sci{chip.extver}_crmask.fits"
        yield number, chip, fits.getdata(path).astype(np.uint8)


def touched_pixels(product, folder, reduction):
    """Output pixels near input pixels whose masks differ: bool[ny, nx]."""
    touched = np.zeros(product.sci.shape, bool)
    for number, chip, mask in peer_masks(folder, reduction):
        y, x = np.nonzero(reduction.crmask(number) != mask)
        px, py = product.grid.sky_to_pixel(*pixel_to_sky(chip.wcs, x.astype(float), y.astype(float)))
        for cx, cy in zip(np.round(px).astype(int), np.round(py).astype(int), strict=True):
            touched[max(cy - 3, 0) : cy + 4, max(cx - 3, 0) : cx + 4] = True
    return touched

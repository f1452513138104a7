"""The real TweakReg and AstroDrizzle accept the files as they are, and find what the truth says."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from drizzlewb.training.pointing import sky_to_pixel
from drizzlewb.training.truth import read_catalog, read_truth

pytestmark = pytest.mark.long  # both peers together take half a minute
pytest.importorskip("drizzlepac", reason="the extra 'peers' is not installed")

SCRIPT = """
import sys
from drizzlepac.tweakreg import TweakReg
from drizzlepac.astrodrizzle import AstroDrizzle
files = sys.argv[1:]
finding = {'threshold': 20.0, 'conv_width': 3.5, 'peakmax': 70000}
TweakReg(files, configobj='defaults', interactive=False, updatewcs=False, updatehdr=True,
         wcsname='TWEAK', reusename=True, shiftfile=True, outshifts='shifts.txt', searchrad=2.0,
         imagefindcfg=finding, refimagefindcfg=finding, see2dplot=False, residplot='No plot',
         fitgeometry='rscale', refimage=files[0])
AstroDrizzle([f for f in files if f.startswith('j8ny01')], configobj='defaults', output='v', build=True,
             updatewcs=False, mdriztab=False, resetbits='0', num_cores=1, in_memory=False,
             preserve=False, clean=True, skymethod='localmin', driz_sep_bits='336', final_bits='336',
             final_wcs=True, final_scale=0.05, final_rot=0.0)
"""


@pytest.fixture(scope="module")
def peer_run(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("peer")
    names = [tiny[i].name for i in (0, 1, 2, 6)]
    for name in names:
        shutil.copy(tiny[0].with_name(name), folder / name)
    settings = {"ASTROMETRY_STEP_CONTROL": "OFF", "MPLBACKEND": "Agg"}
    command = [sys.executable, "-c", SCRIPT, *names]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | settings, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder, names


def test_tweakreg_finds_the_error_of_the_headers(peer_run, tiny):
    folder, names = peer_run
    reference = read_truth(tiny[0].with_name(names[0][:9] + "_truth.fits")).wcs
    for name in names[1:]:
        true = read_truth(tiny[0].with_name(name[:9] + "_truth.fits")).wcs
        for chip in (0, 1):
            # Stars fall on pixel p of this exposure and q of the reference; both headers must agree on them.
            x, y = (a.ravel() for a in np.meshgrid(np.linspace(0, 255, 5), np.linspace(0, 127, 5)))
            ra, dec = true[chip].all_pix2world(x, y, 0)
            qx, qy = sky_to_pixel(reference[chip], ra, dec)
            with fits.open(folder / name) as a, fits.open(folder / names[0]) as b:
                fitted = WCS(a["SCI", chip + 1].header, a).all_pix2world(x, y, 0)
                wanted = WCS(b["SCI", chip + 1].header, b).all_pix2world(qx, qy, 0)
            miss = (np.array(fitted) - wanted) * 3600 / 0.05
            miss[0] *= np.cos(np.radians(37.77))
            # Some fifty stars of 0.05 px scatter on a frame of 256 px
            assert np.sqrt((miss**2).sum(axis=0).mean()) < 0.1


def test_astrodrizzle_keeps_the_flux(peer_run, tiny):
    folder, names = peer_run
    catalog = read_catalog(tiny[0].parent)
    truth = read_truth(tiny[0].with_name(names[0][:9] + "_truth.fits"))
    with fits.open(folder / "v_drc.fits") as drc, fits.open(folder / names[0]) as first:
        sci, wcs = drc["SCI"].data.astype(float), WCS(drc["SCI"].header)
        stated = WCS(first["SCI", 1].header, first)
    stars = catalog[catalog["kind"] != "galaxy"]
    px, py = sky_to_pixel(truth.wcs[0], np.asarray(stars["ra"]), np.asarray(stars["dec"]))
    x, y = wcs.wcs_world2pix(*stated.all_pix2world(px, py, 0), 0)
    rate = np.asarray(stars["rate_F606W"])
    ratio = []
    yy, xx = np.indices(sci.shape)
    for n in np.flatnonzero((px > 12) & (px < 243) & (py > 12) & (py < 115) & (rate > 15) & (rate < 300)):
        others = (np.hypot(x - x[n], y - y[n]) < 14) & (np.arange(x.size) != n)
        if rate[others].sum() > 0.03 * rate[n]:
            continue
        r = np.hypot(xx - x[n], yy - y[n])
        sky = np.nanmedian(sci[(r > 8) & (r < 13)])
        ratio.append(np.nansum(sci[r < 5] - sky) / rate[n])
    assert len(ratio) >= 4
    # A radius of 5 px holds 0.92 of the light; the annulus takes up some of the wings.
    assert np.median(ratio) == pytest.approx(0.915, abs=0.02)

"""The installed AstroDrizzle in a process of its own, for tests that compare with it."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
from astropy.io import fits

PEER = """
import json, sys
from drizzlepac import astrodrizzle
files, keywords = json.loads(sys.argv[1])
astrodrizzle.AstroDrizzle(files, configobj="defaults", output="peer", build=False, context=True,
    preserve=False, clean=False, resetbits="0", updatewcs=False, mdriztab=False, stepsize=0, num_cores=1,
    **keywords)
"""


def run_peer(files, folder, keywords):
    """Run it on copies of files in a folder; SCI, WHT and CTX of its product, whose root is ``peer``."""
    for path in files:
        shutil.copy(path, folder)
        # The peer crashes on the name N/A of a flat; one that is not there counts as 1.
        fits.setval(folder / path.name, "PFLTFILE", value="absent_pfl.fits")
    environment = {**os.environ, "ASTROMETRY_STEP_CONTROL": "OFF", "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PEER, json.dumps([[p.name for p in files], keywords])],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    sci, wht, ctx = (fits.getdata(folder / f"peer_drc_{part}.fits") for part in ("sci", "wht", "ctx"))
    return sci.astype(np.float32), wht.astype(np.float32), ctx.astype(np.int32).view(np.uint32)

"""drizzlewb and DrizzlePac do the training's exercises on the same simulated exposures, graded alike.

``DRIZZLEWB_BENCH_SIZE`` chooses the size of the set (default tiny; small takes some minutes).
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PEER = """
import json, sys
from drizzlepac.astrodrizzle import AstroDrizzle
from drizzlepac.tweakreg import TweakReg
files, alignment, runs = json.loads(sys.argv[1])
finding = {"threshold": alignment["threshold"], "conv_width": alignment["conv_width"]}
TweakReg(files, configobj="defaults", interactive=False, updatewcs=False, updatehdr=True, wcsname="TWEAK",
         shiftfile=True, outshifts="shifts.txt", imagefindcfg=finding, refimagefindcfg=finding,
         see2dplot=False, residplot="No plot", refimage=files[0], searchrad=1.0)
for name, members, keywords in runs:
    AstroDrizzle(members, configobj="defaults", output=name, build=True, context=True, updatewcs=False,
                 mdriztab=False, resetbits="0", num_cores=1, preserve=False, clean=True, stepsize=0,
                 driz_sep_bits="336", final_bits="336", **keywords)
"""


def run_peer(folder: Path, size: str) -> None:
    """TweakReg and AstroDrizzle on a copy of the set, with the parameters of our demonstration."""
    from drizzlewb import read_exposures
    from drizzlewb.training.datasets import training_set
    from drizzlewb.training.demo import ALIGNMENT, RUNS

    files = training_set(size, folder=folder)
    exposures = read_exposures(files)
    runs = []
    for name, (filter_name, keywords) in RUNS.items():
        members = [Path(e.path).name for e in exposures if filter_name in e.filters]
        more = {"final_refimage": "F606W_opt_drc.fits[sci,1]"} if name == "F814W_opt" else {}
        runs.append((name, members, {**keywords, **more}))
    alignment = {name: ALIGNMENT[name] for name in ("threshold", "conv_width")}
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PEER, json.dumps([[p.name for p in files], alignment, runs])],
        cwd=folder,
        env={**os.environ, "ASTROMETRY_STEP_CONTROL": "OFF", "MPLBACKEND": "Agg"},
        check=True,
        capture_output=True,
    )


def shown(row) -> str:
    """Verdict and number of a row of a grade."""
    if row is None:
        return "absent"
    value = row.value
    number = f" {value:.4g}" if isinstance(value, float) else ""
    return f"{row.verdict}{number}"


def main() -> None:
    from drizzlewb.training.demo import demo
    from drizzlewb.training.grade import grade

    size = os.environ.get("DRIZZLEWB_BENCH_SIZE", "tiny")
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
        mine = demo(ours, size).grade
        run_peer(Path(theirs), size)
        peers = grade(theirs)
        by_name = {(row.part, row.name): row for row in peers.rows}
        print(f"{'':52s} {'drizzlewb':24s} DrizzlePac")
        for row in mine.rows:
            other = shown(by_name.get((row.part, row.name)))
            print(f"{row.part + ', ' + row.name:52s} {shown(row):24s} {other}")
        print(f"{'in all':52s} {mine.counts}\n{'':52s} {peers.counts}")


if __name__ == "__main__":
    main()

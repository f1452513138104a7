"""drizzlewb and TweakReg on the same exposures with the same parameters, in turn.

Twelve simulated ACS/WFC exposures, 1024x512 a chip; with ``python -m benchmarks.alignment full``, or
DRIZZLEWB_BENCH_FULL=1, also twelve full-size ones at threshold 50 (or DRIZZLEWB_BENCH_THRESHOLD), for which
TweakReg needs the machine alone: 16 bytes for every pair of a source and a reference source, which are up to
28 GB here at threshold 50, 17 GB at 75 and 13 GB at 100.

Both find sources, match, fit, and write catalogs and shift file; each run is a process of its own, and its
CPU time and peak memory are the operating system's account of it. Both must find the same shifts.
"""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.reduce import DATA, ROUNDS, exposures, run

THRESHOLD = float(os.environ.get("DRIZZLEWB_BENCH_THRESHOLD", "50"))
FINDING = {"threshold": 50.0, "conv_width": 3.5, "peakmax": 70000.0}
MATCHING = {"searchrad": 1.0, "tolerance": 1.0, "separation": 0.5, "minobj": 15, "fitgeometry": "rscale"}
AT_LEAST = {"small": 5.0, "full": 20.0}
MOST_MB = 1000.0
SAME_PX = 0.02  # TweakReg itself is wrong by up to 0.01 px on the small frames

OURS = """
import json, sys, time
import drizzlewb as dw
dw.align
print("IMPORTED", time.process_time())
files, output, (finding, matching) = json.loads(sys.argv[1])
solution = dw.align(dw.read_exposures(files), noise="tweakreg", shiftfile=True, **finding, **matching)
solution.write(".")
print([a.status for a in solution.alignments])
"""

PEER = """
import json, sys, time
from drizzlepac.tweakreg import TweakReg
print("IMPORTED", time.process_time())
files, output, (finding, matching) = json.loads(sys.argv[1])
TweakReg(files, configobj="defaults", interactive=False, updatewcs=False, updatehdr=False, shiftfile=True,
    see2dplot=False, residplot="No plot", imagefindcfg=finding, refimagefindcfg=finding, **matching)
"""


def shifts(path: Path) -> dict[str, list[float]]:
    """Dx, dy (px), rotation (degrees), scale, rms x, rms y by file name, from a shift file."""
    rows = [line.split() for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {Path(row[0]).name: [float(v) for v in row[1:]] for row in rows}


def compare(ours: Path, theirs: Path) -> float:
    """Largest difference of the shifts, px; RuntimeError if the two disagree."""
    mine, peer = shifts(ours), shifts(theirs)
    if mine.keys() != peer.keys():
        raise RuntimeError(f"aligned by one of the two only: {sorted(mine.keys() ^ peer.keys())}")
    worst = max(abs(mine[name][k] - peer[name][k]) for name in mine for k in (0, 1))
    if not worst < SAME_PX:
        raise RuntimeError(f"the shifts differ by up to {worst:.4f} px")
    return worst


def small() -> list[Path]:
    from drizzlewb.training.simulate import FORMAT, simulate

    folder = DATA / f"small-{FORMAT}"
    if not (folder / "truth.json").exists():
        simulate(folder, size="small")
    return sorted(folder.glob("*_flc.fits"))


def measure(size: str, files: list[Path], rounds: int) -> None:
    finding = FINDING | ({"threshold": THRESHOLD} if size == "full" else {})
    keywords = (finding, MATCHING)
    with tempfile.TemporaryDirectory(dir=DATA) as work_name:
        work = Path(work_name)
        names = [shutil.copy(f, work) and f.name for f in files]
        warm = work / "warm"
        warm.mkdir()
        run(OURS, [str(work / n) for n in names[:2]], "", keywords, warm)
        print(f"{size}: {len(names)} exposures, threshold {finding['threshold']:g}")
        for turn in range(rounds):
            results = []
            for label, code in (("drizzlewb", OURS), ("TweakReg", PEER)):
                folder = work / f"{label}{turn}"
                folder.mkdir()
                for name in names:
                    os.link(work / name, folder / name)
                results.append(run(code, names, "", keywords, folder))
                r = results[-1]
                imports = float(re.search(r"^IMPORTED (\S+)", r["stdout"], flags=re.M)[1])
                r["work"] = r["cpu"] - imports
                print(
                    f"  {label:10s} wall {r['wall']:7.1f} s  CPU {r['cpu']:7.1f} s, {r['work']:.1f} s of it "
                    f"after the imports  peak {r['peak_mb']:6.0f} MB",
                    flush=True,
                )
            ours, peer = results
            ratio = peer["cpu"] / ours["cpu"]
            worst = compare(work / f"drizzlewb{turn}" / "shifts.txt", work / f"TweakReg{turn}" / "shifts.txt")
            print(
                f"  {'ratio':10s} wall {peer['wall'] / ours['wall']:7.1f}    CPU {ratio:7.1f}  "
                f"after the imports {peer['work'] / ours['work']:.1f}"
            )
            print(f"  shifts agree to {worst:.4f} px")
            missed = [] if ratio >= AT_LEAST[size] else [f"{AT_LEAST[size]:g} times less CPU"]
            missed += [] if ours["peak_mb"] <= MOST_MB else [f"{MOST_MB:g} MB"]
            print(f"  {'MISSED: ' + ', '.join(missed) if missed else 'within the limits'}")


def main() -> None:
    if sys.argv[1:] != ["full"]:
        measure("small", small(), ROUNDS)
    if "full" in sys.argv[1:] or os.environ.get("DRIZZLEWB_BENCH_FULL"):
        measure("full", exposures(12), 1)
    else:
        print("full: not measured (DRIZZLEWB_BENCH_FULL=1: 28 GB of memory, see the module)")


if __name__ == "__main__":
    main()

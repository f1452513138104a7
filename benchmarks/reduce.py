"""drizzlewb and AstroDrizzle on the same full-size ACS/WFC exposures, in turn.

Six simulated exposures, 0.03 arcsec, pixfrac 0.6, globalmin+match. Each run is a process of its own;
its CPU time and peak memory are the operating system's own account of it (peers' worker processes
included). Then peak memory of drizzlewb for 6 and 12 exposures and for twice the output.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = Path(os.environ.get("DRIZZLEWB_BENCH_DATA", Path(__file__).resolve().parents[1] / "bench-data"))
ROUNDS = int(os.environ.get("DRIZZLEWB_BENCH_ROUNDS", "2"))

COMMON = {
    "skymethod": "globalmin+match",
    "driz_sep_bits": "336",
    "final_bits": "336",
    "combine_type": "minmed",
    "final_wcs": True,
    "final_scale": 0.03,
    "final_rot": 0.0,
    "final_pixfrac": 0.6,
    "build": True,
}

OURS = """
import json, sys
import drizzlewb as dw
files, output, keywords = json.loads(sys.argv[1])
product = dw.reduce(dw.read_exposures(files), output=output, **keywords)
print(json.dumps(product.record["results"]))
"""

PEER = """
import json, os, sys
from drizzlepac import astrodrizzle
files, output, keywords = json.loads(sys.argv[1])
astrodrizzle.AstroDrizzle(files, output=output, configobj="defaults", context=True, preserve=False,
    clean=False, resetbits="0", updatewcs=False, mdriztab=False, **keywords)
"""


def run(code: str, files: list[str], output: str, keywords: dict, cwd: Path) -> dict:
    """Wall, CPU and peak memory of one process."""
    environment = {**os.environ, "ASTROMETRY_STEP_CONTROL": "OFF", "MPLBACKEND": "Agg"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    if hasattr(os, "sync"):
        os.sync()  # neither pays for writing to the disk what the other has left in memory
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    launcher = (
        "import resource, subprocess, sys\n"
        "command = [sys.executable, '-c', sys.argv[1], sys.argv[2]]\n"
        "done = subprocess.run(command, capture_output=True, text=True)\n"
        "sys.stdout.write(done.stdout); sys.stderr.write(done.stderr[-3000:] if done.returncode else '')\n"
        "print('PEAK', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        "raise SystemExit(done.returncode)"
    )
    done = subprocess.run(
        [sys.executable, "-c", launcher, code, json.dumps([files, output, keywords])],
        cwd=cwd, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(done.stderr)
    lines = done.stdout.strip().splitlines()
    return {
        "wall": wall,
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mb": int(lines[-1].split()[1]) / 1024,
        "stdout": "\n".join(lines[:-1]),
    }


def peer_steps(log: str) -> dict[str, float]:
    """Seconds per step from AstroDrizzle's own summary table."""
    steps = {}
    for name, seconds in re.findall(r"\]\s+(\w[\w ]+?)\s+(\d+\.\d+) sec$", log, flags=re.M):
        steps[name.strip()] = float(seconds)
    return steps


def exposures(count: int) -> list[Path]:
    from drizzlewb.training.simulate import simulate

    folder = DATA / "full"
    found = sorted(folder.glob("*_flc.fits")) if folder.is_dir() else []
    if len(found) < 12:
        DATA.mkdir(parents=True, exist_ok=True)
        simulate(folder, size="full")
        found = sorted(folder.glob("*_flc.fits"))
    f606w = [p for p in found if "j8ny01" in p.name]
    return (f606w + [p for p in found if p not in f606w])[:count]


def main() -> None:
    files = [str(p) for p in exposures(6)]
    with tempfile.TemporaryDirectory(dir=DATA) as work_name:
        work = Path(work_name)
        run(OURS, files[:1], str(work / "warm"), {**COMMON, "driz_cr": False}, work)
        ours, theirs = [], []
        for turn in range(ROUNDS):
            ours.append(run(OURS, files, str(work / f"ours{turn}"), COMMON, work))
            peer = work / f"peer{turn}"
            peer.mkdir()
            copies = [shutil.copy(f, peer) for f in files]
            theirs.append(run(PEER, [Path(c).name for c in copies], "peer", COMMON, peer))
            theirs[-1]["log"] = (peer / "astrodrizzle.log").read_text()
            shutil.rmtree(peer)
        for a, b in zip(ours, theirs, strict=True):
            for name, r in (("drizzlewb", a), ("AstroDrizzle", b)):
                print(
                    f"{name:13s} wall {r['wall']:7.1f} s  CPU {r['cpu']:7.1f} s  peak {r['peak_mb']:6.0f} MB"
                )
            print(f"{'ratio':13s} wall {b['wall'] / a['wall']:7.1f}    CPU {b['cpu'] / a['cpu']:7.1f}")
        print("drizzlewb steps:", json.loads(ours[-1]["stdout"].splitlines()[-1])["seconds"])
        print("AstroDrizzle steps:", peer_steps(theirs[-1]["log"]))
        print("peak memory (MB):")
        for label, count, extra in (
            ("6 exposures", 6, {}),
            ("12 exposures", 12, {}),
            ("6 exposures, twice the output", 6, {"final_scale": 0.03 / 2**0.5}),
        ):
            r = run(OURS, [str(p) for p in exposures(count)], str(work / "memory"), {**COMMON, **extra}, work)
            print(f"  {label:32s} {r['peak_mb']:6.0f}")
            for path in work.glob("memory*"):
                path.unlink()


if __name__ == "__main__":
    main()

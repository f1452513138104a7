"""What starting costs: ``import drizzlewb``, the engine's imports, and the first compilation."""

import os
import statistics
import subprocess
import sys
import tempfile
import time

FIRST_REDUCE = """
import os, sys, time
from pathlib import Path
from drizzlewb.training.simulate import simulate
folder = Path(sys.argv[1])
files = simulate(folder, size="tiny", exposures=["j8ny01svq", "j8ny01szq", "j8ny01t5q"])
import drizzlewb as dw
times, cpu = [], []
for _ in range(2):
    started, before = time.perf_counter(), sum(os.times()[:4])
    dw.reduce(dw.read_exposures(files), output=folder / "product", replace=True, skymethod="globalmin+match")
    times.append(time.perf_counter() - started)
    cpu.append(sum(os.times()[:4]) - before)
print(times[0] - times[1], times[0], times[1], cpu[0] - cpu[1])
"""


def wall(code: str, **environment: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **environment})
    return time.perf_counter() - started


def main() -> None:
    wall("import drizzlewb")
    bare = statistics.median(wall("pass") for _ in range(5))
    for code in ("import drizzlewb", "from drizzlewb import read_exposures, reduce"):
        times = [wall(code) for _ in range(5)]
        print(
            f"{code:45s} {statistics.median(times):.2f} s wall (median of 5; bare interpreter {bare:.2f} s)"
        )
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as folder:
        for state in ("empty", "warm"):
            done = subprocess.run(
                [sys.executable, "-c", FIRST_REDUCE, folder],
                check=True,
                capture_output=True,
                text=True,
                env={**os.environ, "NUMBA_CACHE_DIR": cache},
            )
            extra, first, second, cpu = map(float, done.stdout.split()[-4:])
            print(
                f"first reduce, {state} cache: {first:.2f} s; second {second:.2f} s; compiling {extra:.2f} s "
                f"(CPU of both processes {cpu:.2f} s)"
            )


if __name__ == "__main__":
    main()

"""All measurements, one after another: ``python -m benchmarks [NAME ...]``."""

import importlib
import sys
import time

ALL = (
    "imports",
    "kernels",
    "cleaning",
    "alignment",
    "training",
    "interactive",
    "workbench",
    "cancel",
    "notebooks",
    "reduce",
)


def main() -> int:
    names = sys.argv[1:] or list(ALL)
    unknown = set(names) - set(ALL)
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
        return 2
    sys.argv[1:] = []  # the names are ours; a benchmark run by itself has options of its own
    for name in names:
        started = time.perf_counter()
        print(f"== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()
        print(f"-- {name}: {time.perf_counter() - started:.0f} s\n", flush=True)
    return 0


raise SystemExit(main())

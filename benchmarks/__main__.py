"""All measurements, one after another: ``python -m benchmarks [NAME ...]``."""

import importlib
import sys
import time

ALL = ("imports", "kernels", "cleaning", "alignment", "training", "reduce")


def main() -> int:
    names = sys.argv[1:] or ALL
    unknown = set(names) - set(ALL)
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
        return 2
    for name in names:
        started = time.perf_counter()
        print(f"== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()
        print(f"-- {name}: {time.perf_counter() - started:.0f} s\n", flush=True)
    return 0


raise SystemExit(main())

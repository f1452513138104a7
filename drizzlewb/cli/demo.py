"""``drizzlewb demo``: everything once, on simulated exposures."""

import argparse
import time
from pathlib import Path
from typing import Any

from drizzlewb.cli.common import EXIT_OK, SIZES, Bar
from drizzlewb.cli.reduce import summary


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "demo", help="training set, products and a page with pictures, in one folder"
    )
    parser.add_argument("--size", choices=SIZES, default="small", help="size of the training set")
    parser.add_argument("--out", type=Path, default=Path("drizzlewb-demo"), help="folder for the results")
    parser.add_argument("--threads", type=int, help="worker threads (never changes a pixel)")
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress bar and no summary")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, cancel: Any) -> int:
    """Carry it out; the exit status."""
    from drizzlewb.training.demo import demo

    started = time.perf_counter()
    bar = Bar(arguments.quiet)
    try:
        result = demo(arguments.out, arguments.size, threads=arguments.threads, progress=bar, cancel=cancel)
    finally:
        bar.close()
    if not arguments.quiet:
        counts = result.grade.counts
        print(f"Aligned      {len(result.solution.exposures)} exposures to {result.solution.reference}\n")
        for product in result.products.values():
            print(summary(product), end="\n\n")
        print("Grade        " + ", ".join(f"{n} {verdict}" for verdict, n in counts.items()))
        print(f"Page         {result.report}")
        print(f"The demonstration took {time.perf_counter() - started:.1f} s.")
    return EXIT_OK

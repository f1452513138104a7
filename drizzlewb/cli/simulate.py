"""``drizzlewb simulate``: the training exposures."""

import argparse
from pathlib import Path
from typing import Any

from drizzlewb.cli.common import EXIT_OK, SIZES, Bar


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("simulate", help="write the simulated training exposures and their truth")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder, made if it is not there")
    parser.add_argument(
        "--size", choices=SIZES, default="small", help="256x128, 1024x512 or 4096x2048 px a chip"
    )
    parser.add_argument("--seed", type=int, help="same seed, same bytes")
    parser.add_argument("--visit-offset-px", type=float, help="how far visit 02 is off")
    parser.add_argument("--cr-percent", type=float, help="pixels hit by cosmic rays in 1000 s, per cent")
    parser.add_argument("--detector", help="ACS/WFC, WFC3/UVIS, WFC3/IR or ACS/HRC")
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress bar and no summary")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, cancel: Any) -> int:
    """Carry it out; the exit status."""
    from drizzlewb.training.simulate import simulate

    bar = Bar(arguments.quiet)

    def progress(step: str, done: int, total: int, message: str = "") -> None:
        cancel.check()
        bar(step, done, total, message)

    options = {
        name: getattr(arguments, name)
        for name in ("seed", "visit_offset_px", "cr_percent", "detector")
        if getattr(arguments, name) is not None
    }
    try:
        files = simulate(arguments.out, arguments.size, progress=progress, **options)
    finally:
        bar.close()
    if not arguments.quiet:
        print(f"{len(files)} exposures and their truth in {arguments.out}")
    return EXIT_OK

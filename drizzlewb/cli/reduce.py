"""``drizzlewb reduce``: AstroDrizzle's work from the shell."""

import argparse
from pathlib import Path
from typing import Any

from drizzlewb.cli.common import EXIT_OK, Bar, parameters_of, setting


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("reduce", help="clean and combine exposures into one product")
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="FITS files, globs, @lists or association tables"
    )
    parser.add_argument("--output", "-o", required=True, help="root name of the product, with its folder")
    parser.add_argument(
        "--params", type=Path, metavar="P.json", help="parameters, record or product to start from"
    )
    parser.add_argument(
        "--set", type=setting, action="append", default=[], metavar="NAME=VALUE",
        help="one parameter under DrizzlePac's name; may be given many times",
    )  # fmt: skip
    parser.add_argument("--replace", action="store_true", help="replace an existing product of this name")
    parser.add_argument("--threads", type=int, help="worker threads (never changes a pixel)")
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress bar and no summary")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, cancel: Any) -> int:
    """Carry it out; the exit status."""
    import drizzlewb as dw
    from drizzlewb.reduction.replay import is_record_of

    exposures = dw.read_exposures(arguments.files)
    parameters = parameters_of(arguments.params, "reduce", quiet=arguments.quiet)
    bar = Bar(arguments.quiet)
    try:
        if arguments.params and not arguments.set and is_record_of(arguments.params, exposures):
            product = dw.replay(
                arguments.params,
                exposures,
                output=arguments.output,
                replace=arguments.replace,
                threads=arguments.threads,
                progress=bar,
                cancel=cancel,
            )
            if not arguments.quiet:
                bar.close()
                print(summary(product))
            return EXIT_OK
        product = dw.reduce(
            exposures,
            parameters,
            output=arguments.output,
            replace=arguments.replace,
            threads=arguments.threads,
            progress=bar,
            cancel=cancel,
            **dict(arguments.set),
        )
    finally:
        bar.close()
    if not arguments.quiet:
        print(summary(product))
    return EXIT_OK


def _sky_words(rows: list[dict[str, Any]]) -> list[str]:
    """Subtracted sky of each exposure; of each chip where they differ."""
    chips: dict[str, list[float]] = {}
    for row in rows:
        chips.setdefault(row["chip"].partition("[")[0], []).append(row["subtracted_e"])
    return [
        f"{root} " + "/".join(dict.fromkeys(f"{v:.4g}" for v in values)) for root, values in chips.items()
    ]


def summary(product: Any) -> str:
    """Closing summary of a product, in lines for a terminal."""
    results = product.record["results"]
    ny, nx = results["shape"]
    names = [entry["rootname"] for entry in product.record["inputs"]]
    lines = [
        f"Product      {product.path}",
        f"             {nx} x {ny} px, {results['bytes'] / 1e6:.1f} MB, {results['unit']}",
        f"Exposures    {len(names)}: {' '.join(names)}",
        "Sky (e)      " + "  ".join(_sky_words(results["sky"])),
    ]
    if results["crfraction"]:
        flagged = "  ".join(f"{root} {100 * f:.2f} %" for root, f in results["crfraction"].items())
        lines.append("Cosmic rays  " + flagged)
    w = results["weight"]
    if "median" in w:
        lines.append(
            f"Weight       median {w['median']:.5g}, rms/median {w['rms'] / w['median']:.3f}, "
            f"max {w['max']:.5g}, covered {100 * w['covered']:.1f} %"
        )
    seconds = dict(results["seconds"])
    total = seconds.pop("total")
    lines.append(
        "Seconds      " + ", ".join(f"{k} {v:.2f}" for k, v in seconds.items()) + f"; in all {total:.2f}"
    )
    if results["peak_memory_mb"]:
        lines.append(f"Memory       {results['peak_memory_mb']:.0f} MB at most")
    return "\n".join(lines)

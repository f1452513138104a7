"""The command line: ``drizzlewb reduce``, ``simulate``, ``demo`` and their sisters."""

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drizzlewb import __version__
from drizzlewb.errors import Cancelled, DataError, DrizzlewbError

__all__ = ["main"]

SIZES = ("tiny", "small", "full")
EXIT_OK, EXIT_OURS, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 0, 1, 2, 130


class Bar:
    """Progress of the running step as one line on standard error (the `Progress` protocol)."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self._bar: Any = None
        self._step = ""

    def __call__(self, step: str, done: int, total: int, message: str = "") -> None:
        """Draw what the engine reports."""
        if self.quiet:
            return
        from tqdm import tqdm

        if step != self._step:
            self.close()
            self._step = step
            self._bar = tqdm(
                total=total, desc=f"{step:22s}", unit="", leave=True, file=sys.stderr, disable=None
            )
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Leave the last line as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self._step = ""


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        msg = f"{text!r} is not of the form name=value"
        raise argparse.ArgumentTypeError(msg)
    return name.strip(), value.strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="drizzlewb", description="Align, clean and drizzle Hubble images.")
    parser.add_argument("--version", action="version", version=f"drizzlewb {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the log on standard error")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    align = commands.add_parser(
        "align",
        help="align exposures on their stars (TweakReg's work)",
        description="Align exposures on their stars: to the first of them, to refimage or to refcat. Headers "
        "are written with --apply only. Exit status 0 if every exposure was aligned; 2, and nothing "
        "written, if one was refused (see --partial).",
    )
    align.add_argument(
        "files", nargs="+", metavar="FILE", help="FITS files, globs, @lists or association tables"
    )
    align.add_argument("--params", type=Path, metavar="P.json", help="parameters (JSON) to start from")
    align.add_argument(
        "--set", type=_setting, action="append", default=[], metavar="NAME=VALUE",
        help="one parameter under TweakReg's name; refimagefind.NAME for the reference image alone",
    )  # fmt: skip
    what = align.add_mutually_exclusive_group()
    what.add_argument(
        "--apply", action="store_true", help="write the fitted WCS into the headers (updatehdr=True)"
    )
    what.add_argument("--revert", action="store_true", help="take back the last change of these files")
    align.add_argument(
        "--partial", action="store_true", help="go on with the others if some exposures are refused: status 0"
    )
    align.add_argument(
        "--out", type=Path, metavar="DIR",
        help="folder for log, table, catalogs and shift file (with --apply or shiftfile=True: this one)",
    )  # fmt: skip
    align.add_argument("--quiet", "-q", action="store_true", help="no progress bar and no table")
    align.set_defaults(run=_align)

    reduce = commands.add_parser("reduce", help="clean and combine exposures into one product")
    reduce.add_argument(
        "files", nargs="+", metavar="FILE", help="FITS files, globs, @lists or association tables"
    )
    reduce.add_argument("--output", "-o", required=True, help="root name of the product, with its folder")
    reduce.add_argument("--params", type=Path, metavar="P.json", help="parameters (JSON) to start from")
    reduce.add_argument(
        "--set", type=_setting, action="append", default=[], metavar="NAME=VALUE",
        help="one parameter under DrizzlePac's name; may be given many times",
    )  # fmt: skip
    reduce.add_argument("--replace", action="store_true", help="replace an existing product of this name")
    reduce.add_argument("--threads", type=int, help="worker threads (never changes a pixel)")
    reduce.add_argument("--quiet", "-q", action="store_true", help="no progress bar and no summary")
    reduce.set_defaults(run=_reduce)

    simulate = commands.add_parser("simulate", help="write the simulated training exposures and their truth")
    simulate.add_argument("out", type=Path, metavar="OUT", help="folder, made if it is not there")
    simulate.add_argument(
        "--size", choices=SIZES, default="small", help="256x128, 1024x512 or 4096x2048 px a chip"
    )
    simulate.add_argument("--seed", type=int, help="same seed, same bytes")
    simulate.add_argument("--visit-offset-px", type=float, help="how far visit 02 is off")
    simulate.add_argument("--cr-percent", type=float, help="pixels hit by cosmic rays in 1000 s, per cent")
    simulate.add_argument("--detector", help="ACS/WFC, WFC3/UVIS, WFC3/IR or ACS/HRC")
    simulate.add_argument("--quiet", "-q", action="store_true", help="no progress bar and no summary")
    simulate.set_defaults(run=_simulate)

    grade = commands.add_parser(
        "grade", help="grade a trainee's folder: alignment, products, weights, science"
    )
    grade.add_argument(
        "folder", type=Path, metavar="DIR", help="aligned exposures, shift file, log and products"
    )
    grade.add_argument("--truth", type=Path, metavar="DIR", help="folder of the truth files (default: DIR)")
    grade.add_argument("--report", type=Path, metavar="PAGE.html", help="also write a page with figures")
    grade.add_argument("--json", type=Path, metavar="GRADE.json", help="also write the grades as JSON")
    grade.set_defaults(run=_grade)

    demo = commands.add_parser("demo", help="training set, products and a page with pictures, in one folder")
    demo.add_argument("--size", choices=SIZES, default="small", help="size of the training set")
    demo.add_argument("--out", type=Path, default=Path("drizzlewb-demo"), help="folder for the results")
    demo.add_argument("--threads", type=int, help="worker threads (never changes a pixel)")
    demo.add_argument("--quiet", "-q", action="store_true", help="no progress bar and no summary")
    demo.set_defaults(run=_demo)
    return parser


def _align(arguments: argparse.Namespace, cancel: Any) -> int:
    import drizzlewb as dw
    from drizzlewb.parameters.exchange import read_parameters
    from drizzlewb.products.aligned import revert

    if arguments.revert:
        for change in revert(arguments.files):
            if not arguments.quiet:
                print(change)
        return EXIT_OK
    given = read_parameters(arguments.params).align if arguments.params else None
    parameters = (given or dw.AlignParameters()).replace(dict(arguments.set))
    apply = arguments.apply or parameters.updatehdr
    folder = arguments.out or (Path() if apply or parameters.shiftfile else None)
    if folder is not None and not folder.is_dir():
        msg = f"The folder {folder} for log and catalogs does not exist; make it first."
        raise DataError(msg)
    bar = Bar(arguments.quiet)
    try:
        # The shift file waits, as the rest, until it is known whether any exposure was refused.
        solution = dw.align(
            dw.read_exposures(arguments.files),
            parameters,
            progress=bar,
            cancelled=lambda: cancel.asked,
            shiftfile=False,
        )
    finally:
        bar.close()
    if not arguments.quiet:
        print(alignment_summary(solution))
    refused = [a for a in solution.alignments if a.status == "refused"]
    if refused and not (arguments.partial and solution.fits):
        names = ", ".join(f"{a.rootname} ({a.stage})" for a in refused)
        msg = (
            f"{len(refused)} of {len(solution.alignments)} exposures refused: {names}. Nothing was written: "
            "change what the verdicts say, leave them out, or go on without them (--partial)."
        )
        raise DataError(msg)
    if apply:
        for change in solution.apply(folder=folder, shiftfile=parameters.shiftfile):
            if not arguments.quiet:
                print(change)
    elif folder is not None:
        solution.write(folder, shiftfile=parameters.shiftfile)
    return EXIT_OK


def alignment_summary(solution: Any) -> str:
    """Table and verdicts of an alignment, in lines for a terminal."""
    lines = [
        f"Reference    {solution.reference}, {1000 * solution.plane.scale_arcsec:.2f} mas/px",
        f"{'exposure':12s} {'filter':14s} {'status':9s} {'stars':>6s} {'matches':>7s} {'dx px':>9s} "
        f"{'dy px':>9s} {'turn deg':>9s} {'scale ppm':>9s} {'rms px':>7s} {'rms mas':>7s}",
    ]
    for row in solution.table:
        numbers = ""
        if row["status"] == "aligned":
            numbers = (
                f"{row['dx']:9.3f} {row['dy']:9.3f} {row['rotation']:9.5f} {row['scale_ppm']:9.2f} "
                f"{row['rms_px']:7.4f} {row['rms_mas']:7.2f}"
            )
        lines.append(
            f"{row['rootname']:12s} {row['filter']:14s} {row['status']:9s} {row['nsources']:6d} "
            f"{row['nmatch']:7d} {numbers}".rstrip()
        )
    lines += [f"{row['rootname']:12s} {row['verdict']}" for row in solution.table]
    return "\n".join(lines)


def _simulate(arguments: argparse.Namespace, cancel: Any) -> int:
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


def _grade(arguments: argparse.Namespace, cancel: Any) -> int:
    from drizzlewb.training.grade import grade

    marks = grade(arguments.folder, arguments.truth)
    cancel.check()
    for row in marks.rows:
        print(f"{row.verdict:10s}  {row.part:16s}  {row.name:32s}  {row.words}")
    print(", ".join(f"{n} {verdict}" for verdict, n in marks.counts.items()))
    if arguments.json:
        arguments.json.write_text(marks.to_json(), encoding="utf-8")
    if arguments.report:
        marks.write_report(arguments.report)
    return EXIT_OK


def _demo(arguments: argparse.Namespace, cancel: Any) -> int:
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


def _reduce(arguments: argparse.Namespace, cancel: Any) -> int:
    import drizzlewb as dw
    from drizzlewb.parameters.exchange import read_parameters
    from drizzlewb.reduction.replay import is_record_of

    exposures = dw.read_exposures(arguments.files)
    parameters = read_parameters(arguments.params).reduce if arguments.params else None
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        0 on success, 2 for bad arguments or bad input, 1 for a failure of ours, 130 when interrupted.
    """
    arguments = _parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO if arguments.verbose else logging.ERROR,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    from drizzlewb.reduction.schedule import Cancel

    cancel = Cancel()
    previous = None
    if threading.current_thread() is threading.main_thread():
        # Workers poll the flag between chips, so that files are closed and removed before we leave.
        previous = signal.signal(signal.SIGINT, lambda *_: cancel.set())
    try:
        return arguments.run(arguments, cancel)
    except (Cancelled, KeyboardInterrupt):
        print("drizzlewb: interrupted; nothing half-written was left behind.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except DrizzlewbError as error:
        print(f"drizzlewb: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except Exception as error:  # noqa: BLE001 -- the last line of defence, said plainly
        logging.getLogger(__name__).debug("failure", exc_info=True)
        print(
            f"drizzlewb: this is a failure of drizzlewb itself: {type(error).__name__}: {error}. "
            "Run again with --verbose for the log.",
            file=sys.stderr,
        )
        if arguments.verbose:
            raise
        return EXIT_OURS
    finally:
        if previous is not None:
            signal.signal(signal.SIGINT, previous)


if __name__ == "__main__":
    raise SystemExit(main())

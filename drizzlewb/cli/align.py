"""``drizzlewb align``: TweakReg's work from the shell."""

import argparse
from pathlib import Path
from typing import Any

from drizzlewb.cli.common import EXIT_OK, Bar, parameters_of, setting
from drizzlewb.errors import DataError


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "align",
        help="align exposures on their stars (TweakReg's work)",
        description="Align exposures on their stars: to the first of them, to refimage or to refcat. Headers "
        "are written with --apply only. Exit status 0 if every exposure was aligned; 2, and nothing "
        "written, if one was refused (see --partial).",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="FITS files, globs, @lists or association tables"
    )
    parser.add_argument(
        "--params", type=Path, metavar="P.json", help="parameters, record or product to start from"
    )
    parser.add_argument(
        "--set", type=setting, action="append", default=[], metavar="NAME=VALUE",
        help="one parameter under TweakReg's name; refimagefind.NAME for the reference image alone",
    )  # fmt: skip
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--apply", action="store_true", help="write the fitted WCS into the headers (updatehdr=True)"
    )
    what.add_argument("--revert", action="store_true", help="take back the last change of these files")
    parser.add_argument(
        "--partial", action="store_true", help="go on with the others if some exposures are refused: status 0"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR",
        help="folder for log, table, catalogs and shift file (with --apply or shiftfile=True: this one)",
    )  # fmt: skip
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress bar and no table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, cancel: Any) -> int:
    """Carry it out; the exit status."""
    import drizzlewb as dw
    from drizzlewb.products.aligned import revert

    if arguments.revert:
        for change in revert(arguments.files):
            if not arguments.quiet:
                print(change)
        return EXIT_OK
    given = parameters_of(arguments.params, "align", quiet=arguments.quiet)
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

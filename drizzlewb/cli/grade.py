"""``drizzlewb grade``: marks for a trainee's folder."""

import argparse
from pathlib import Path
from typing import Any

from drizzlewb.cli.common import EXIT_OK


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "grade", help="grade a trainee's folder: alignment, products, weights, science"
    )
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="aligned exposures, shift file, log and products"
    )
    parser.add_argument("--truth", type=Path, metavar="DIR", help="folder of the truth files (default: DIR)")
    parser.add_argument("--report", type=Path, metavar="PAGE.html", help="also write a page with figures")
    parser.add_argument("--json", type=Path, metavar="GRADE.json", help="also write the grades as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, cancel: Any) -> int:
    """Carry it out; the exit status."""
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

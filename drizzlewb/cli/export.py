"""``drizzlewb export``: parameters of a file, a record or a product in another form."""

import argparse
from pathlib import Path
from typing import Any

from drizzlewb.cli.common import EXIT_OK, source_of


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "export",
        help="parameters as JSON, a script for drizzlewb or DrizzlePac, or TEAL's .cfg files",
        description="Write parameters in another form. A script names the files of the record; made from a "
        "parameter file, it takes them from its command line. What DrizzlePac cannot do is refused, what it "
        "does otherwise stands in the first lines of its script.",
    )
    parser.add_argument(
        "source", type=Path, metavar="P.json",
        help="parameters (.json, .py, .cfg), a record, or a product (.fits) with its RECORD",
    )  # fmt: skip
    parser.add_argument("--to", required=True, metavar="json|python|drizzlepac|cfg", help="which form")
    parser.add_argument("--files", nargs="+", metavar="FILE", help="input files that a script shall name")
    parser.add_argument(
        "--out", type=Path, metavar="PATH",
        help="file to write, folder with --to cfg (default: standard output; this folder with --to cfg)",
    )  # fmt: skip
    parser.add_argument("--replace", action="store_true", help="replace existing files")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, cancel: Any) -> int:
    """Carry it out; the exit status."""
    from drizzlewb.reduction.exporting import export, write_texts

    source = source_of(arguments.source)
    if arguments.files:
        source = source._replace(files=tuple(arguments.files), align_files=None)
    texts = export(source, arguments.to)
    cancel.check()
    out = arguments.out
    if arguments.to == "cfg":
        written = write_texts(texts, out or Path(), replace=arguments.replace)
    elif out is not None:
        written = write_texts({out.name: "".join(texts.values())}, out.parent, replace=arguments.replace)
    else:
        print("".join(texts.values()), end="")
        written = []
    for path in written:
        print(path)
    return EXIT_OK

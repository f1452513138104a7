"""``drizzlewb app``: the workbench as an app, in Voila."""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from drizzlewb.cli.common import EXIT_OK
from drizzlewb.cli.lab import need, start


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("app", help="open the workbench on some files as an app, without notebooks")
    parser.add_argument(
        "files", nargs="*", metavar="FILES", help="exposures, as for reduce; none opens it empty"
    )
    parser.add_argument("--port", type=int, help="port of the server; default, a free one near 8866")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open no browser")
    parser.add_argument("--prepare-only", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, cancel: Any) -> int:
    """Carry it out; the exit status."""
    need("voila")
    from drizzlewb.exposure import read_exposures

    if arguments.files:
        read_exposures(arguments.files, mixed_detectors=True)  # a clear sentence here, not in the page
    cancel.check()
    with tempfile.TemporaryDirectory(prefix="drizzlewb-app-") as folder:
        page = Path(folder) / "drizzlewb.ipynb"
        page.write_text(json.dumps(notebook(arguments.files)), encoding="utf-8")
        if arguments.prepare_only:
            print(page.read_text(encoding="utf-8"))
            return EXIT_OK
        command = [sys.executable, "-m", "voila", str(page)]
        command += ["--no-browser"] if arguments.no_browser else []
        command += [f"--port={arguments.port}"] if arguments.port else []
        return start(command)


def notebook(files: list[str]) -> dict[str, Any]:
    """Notebook of one cell that shows the workbench on these files; names are written as data."""
    names = [str(Path(name).resolve()) if not name.startswith("@") else name for name in files]
    source = f"import drizzlewb as dw\n\nsession = dw.Session({names!r})\ndw.Workbench(session)"
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "title": "drizzlewb",
        },
        "cells": [
            {
                "cell_type": "code", "id": "workbench", "metadata": {}, "execution_count": None,
                "outputs": [],
                "source": source,
            }
        ],
    }  # fmt: skip

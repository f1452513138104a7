"""``drizzlewb lab``: JupyterLab on the training notebooks, copied into the user's folder."""

import argparse
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from drizzlewb.cli.common import EXIT_OK, SIZES, Bar
from drizzlewb.errors import DataError
from drizzlewb.fileio import replaced_when_whole

_FIRST = "1_start_here.ipynb"


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("lab", help="open the training notebooks in JupyterLab")
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path("drizzlewb-training"), metavar="DIR",
        help="where the notebooks go (default: drizzlewb-training); your own files there stay as they are",
    )  # fmt: skip
    parser.add_argument("--size", choices=SIZES, default="tiny", help="training set to make beforehand")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open no browser")
    parser.add_argument("--prepare-only", action="store_true", help="copy and make the files, start nothing")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, cancel: Any) -> int:
    """Carry it out; the exit status."""
    need("jupyterlab")
    made = copy_notebooks(arguments.folder)
    bar = Bar(False)

    def progress(step: str, done: int, total: int, message: str = "") -> None:
        cancel.check()
        bar(step, done, total, message)

    from drizzlewb.training.datasets import training_set

    try:
        training_set(arguments.size, progress=progress)
    finally:
        bar.close()
    print(
        f"{len(made)} notebooks copied to {arguments.folder}; those that were there already stay as they are."
    )
    if arguments.prepare_only:
        return EXIT_OK
    command = [sys.executable, "-m", "jupyter", "lab", str(arguments.folder / _FIRST)]
    return start([*command, *(["--no-browser"] if arguments.no_browser else [])])


def need(module: str) -> None:
    """Refuse where the lab extra is not installed."""
    if importlib.util.find_spec(module) is None:
        msg = (
            f"{module} is not installed; install drizzlewb with its lab extra: pip install 'drizzlewb[lab]'."
        )
        raise DataError(msg)


def start(command: list[str]) -> int:
    """Run a server until it ends, or this process is interrupted or told to end; the exit status."""
    process = subprocess.Popen(command, env=dict(os.environ))
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                process.terminate()
    finally:
        signal.signal(signal.SIGTERM, before)


def notebook_folder() -> Path:
    """Folder of the notebooks that came with the package.

    Raises
    ------
    DataError
        They were not installed.
    """
    places = [
        Path(__file__).resolve().parents[2] / "notebooks",
        Path(sysconfig.get_path("data")) / "share" / "drizzlewb" / "notebooks",
    ]
    for place in places:
        if (place / _FIRST).is_file():
            return place
    looked = ", ".join(map(str, places))
    msg = f"The training notebooks are not there; looked in {looked}. Install drizzlewb again."
    raise DataError(msg)


def copy_notebooks(folder: Path) -> list[Path]:
    """Copy the notebooks to a folder; files that are there are never overwritten.

    Returns
    -------
    list of Path
        Those that were copied.

    Raises
    ------
    DataError
        The folder cannot be written.
    """
    copied = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in sorted(notebook_folder().glob("*.ipynb")):
            target = folder / source.name
            if not target.exists():
                with replaced_when_whole(target) as part:
                    shutil.copyfile(source, part)
                copied.append(target)
    except OSError as error:
        msg = f"The notebooks cannot be copied to {folder}: {error}. Give a folder that you may write."
        raise DataError(msg) from error
    return copied

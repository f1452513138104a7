"""The parser of all commands, and the one place that turns what went wrong into an exit status."""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Sequence

from drizzlewb import __version__
from drizzlewb.cli import align, app, demo, export, grade, lab, reduce, simulate
from drizzlewb.cli.common import EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_OURS
from drizzlewb.errors import Cancelled, DrizzlewbError

COMMANDS = (align, reduce, simulate, grade, demo, export, lab, app)
"""One file a command: ``add_to(commands)`` adds its parser, ``run(arguments, cancel)`` does it."""


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    parser = argparse.ArgumentParser(prog="drizzlewb", description="Align, clean and drizzle Hubble images.")
    parser.add_argument("--version", action="version", version=f"drizzlewb {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the log on standard error")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        0 on success, 2 for bad arguments or bad input, 1 for a failure of ours, 130 when interrupted.
    """
    arguments = make_parser().parse_args(argv)
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

"""The command line: one file a command, put together in ``entry``."""

from drizzlewb.cli.entry import main

__all__ = ["main"]

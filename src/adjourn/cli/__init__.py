"""The command line: `adjourn`."""

from adjourn.cli.app import main

__all__ = ["main"]

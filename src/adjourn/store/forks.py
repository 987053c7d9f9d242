"""Whether this process was forked since a file was opened, without asking the system each time."""

from __future__ import annotations

import os

_forks = 0


def _count() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_count)


def forks() -> int:
    """How often this process and its ancestors were forked; another number, another process.

    `os.getpid()` is a system call, and this is asked for every message.
    """
    return _forks

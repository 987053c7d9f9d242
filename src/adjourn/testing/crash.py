"""Crash points: named places at the edges of a commit where a test may end the process."""

from __future__ import annotations

import os
import signal

from adjourn.authoring.registry import Registry
from adjourn.backends.embedded import EmbeddedBackend
from adjourn.client.client import Client
from adjourn.engine.crash_points import CRASH_POINTS, CrashPoint, Reached

__all__ = ["CRASH_POINTS", "CrashPoint", "KillAt", "Reached", "open_with_crash_point"]


class KillAt:
    """Kills this very process with SIGKILL when `point` is reached for the `nth` time."""

    def __init__(self, point: CrashPoint, nth: int = 1) -> None:
        self._point = point
        self._left = nth

    def __call__(self, point: CrashPoint) -> None:
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def open_with_crash_point(registry: Registry, path: str, reached: Reached) -> Client:
    """`app.open(path)` with a function that is called at every crash point."""
    return Client(registry, EmbeddedBackend(registry, path, reached=reached))

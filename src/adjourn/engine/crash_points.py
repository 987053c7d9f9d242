"""Named places at the edges of a commit where a test may kill the process or look inside.

Free in production: the engine calls a function that does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

CrashPoint = Literal[
    "taken",
    "decided",
    "written",
    "committed",
    "published",
]
CRASH_POINTS: tuple[CrashPoint, ...] = (
    "taken",
    "decided",
    "written",
    "committed",
    "published",
)

Reached = Callable[[CrashPoint], None]


def nothing(_: CrashPoint) -> None:
    """The production answer to reaching a point."""

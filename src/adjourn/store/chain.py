"""The SHA-256 chain over an execution's history rows.

It is our checksum: SQLite's own check sees few flipped bits of a payload, the chain all of them
(tests/store/test_damage.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from adjourn.errors import HistoryDamagedError


def seed(instance_id: str, execution: int) -> bytes:
    """What the first row is chained to, so that rows cannot move between executions."""
    return sha256(f"adjourn/{instance_id}/{execution}".encode()).digest()


def link(previous: bytes, body: bytes) -> bytes:
    """The hash of a row."""
    return sha256(previous + body).digest()


def check(
    instance_id: str,
    execution: int,
    rows: Iterable[tuple[int, bytes, bytes]],
    length: int,
    head: bytes,
) -> None:
    """Raises: HistoryDamagedError naming the first row that is not what was written."""
    previous = seed(instance_id, execution)
    expected = 1
    for number, body, recorded in rows:
        if number != expected:
            raise HistoryDamagedError(instance_id, execution, expected, "the row is missing")
        previous = link(previous, body)
        if previous != recorded:
            raise HistoryDamagedError(instance_id, execution, number, "the row was changed")
        expected += 1
    if expected != length + 1:
        raise HistoryDamagedError(
            instance_id, execution, expected, f"{length} rows were written, {expected - 1} found"
        )
    if previous != head and length:
        raise HistoryDamagedError(instance_id, execution, length, "the last row was replaced")

"""Checking every hash chain of a file, beside an engine that may be working on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby

import msgspec

from adjourn.errors import HistoryDamagedError
from adjourn.store import chain
from adjourn.store.sealing import box_of
from adjourn.store.sqlite import reading

# As bytes: a flipped bit may leave text that is no UTF-8, and the hash chain is what tells.
_HISTORY = """
    SELECT id, instances.execution, length, head,
           history.execution, number, CAST(body AS BLOB), hash
    FROM instances LEFT JOIN history ON history.instance = instances.key
    ORDER BY instances.key, history.execution, number
"""

_STRAY = """
    SELECT instance, execution, number FROM history
    WHERE instance NOT IN (SELECT key FROM instances) LIMIT 1
"""


_COLUMNS = """
    SELECT CAST(custom_status AS BLOB) FROM instances WHERE custom_status IS NOT NULL
    UNION ALL SELECT CAST(problem AS BLOB) FROM instances WHERE problem IS NOT NULL
    UNION ALL SELECT CAST(answer AS BLOB) FROM receipts WHERE answer IS NOT NULL
"""


class Checked(msgspec.Struct, frozen=True):
    """One execution whose every row is what was written; or the first that is not."""

    instance_id: str
    execution: int
    rows: int
    broken: HistoryDamagedError | None = None
    keys: dict[str, int] = {}
    """How many of its rows are encrypted, by the id of the key."""


def verify(path: str) -> Iterator[Checked]:
    """Check each execution of each instance, in the order in which they were started.

    The last execution is checked against the length and the head that its instance keeps, so that
    a tail that was cut off is found. Of an earlier execution only what is there can be checked.

    Raises: FileRefusedError, StorageError.
    """
    with reading(path) as run:
        for (id, latest, length, head), rows in groupby(run(_HISTORY, ()), lambda row: row[:4]):
            seen = 0
            for execution, group in groupby(rows, lambda row: row[4]):
                if execution is None:
                    continue  # the instance has no rows at all
                seen, last = execution, execution == latest
                found = [(row[5], row[6], row[7]) for row in group]
                yield _check(id, seen, found, length if last else len(found), head if last else b"")
            if seen != latest:
                yield _check(id, latest, [], length, head)
        for instance, execution, number in run(_STRAY, ()):
            stray = HistoryDamagedError(f"#{instance}", execution, number, "it has no instance")
            yield Checked(f"#{instance}", execution, 1, stray)


def keys_of_columns(path: str) -> Counter[str]:
    """How many texts beside the histories are encrypted, by the id of the key: a status may need a
    key that no row of history needs.

    Raises: FileRefusedError, StorageError.
    """
    with reading(path) as run:
        boxes = (box_of(text) for (text,) in run(_COLUMNS, ()))
        return Counter(box.key for box in boxes if box is not None)


def _check(
    id: str, execution: int, rows: list[tuple[int, bytes, bytes]], length: int, head: bytes
) -> Checked:
    try:
        chain.check(id, execution, rows, length, head or (rows[-1][2] if rows else b""))
    except HistoryDamagedError as error:
        return Checked(id, execution, len(rows), error, _keys(rows))
    return Checked(id, execution, len(rows), keys=_keys(rows))


def _keys(rows: list[tuple[int, bytes, bytes]]) -> dict[str, int]:
    boxes = filter(None, (box_of(body) for _, body, _ in rows))
    return dict(Counter(box.key for box in boxes))

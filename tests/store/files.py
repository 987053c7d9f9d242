"""Files for the tests of the store: some instances with chained histories."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from adjourn.model.status import Status
from adjourn.store import chain
from adjourn.store.protocol import Changes, InstanceRow
from adjourn.store.sqlite import SQLiteStore

ROWS = 40


def bodies(key: int) -> list[bytes]:
    """The history of one instance."""
    text = '{"kind":"ActivityCompleted","at":"2026-01-01T09:00:00Z","sequence":%d,"result":"é %d"}'
    return [(text % (number, key)).encode() for number in range(1, ROWS + 1)]


def add_instances(store: SQLiteStore, keys: range) -> None:
    changes = Changes()
    for key in keys:
        id = f"order-{key}"
        head = chain.seed(id, 1)
        for number, body in enumerate(bodies(key), start=1):
            head = chain.link(head, body)
            changes.history.append((key, 1, number, body, head))
        changes.inserted.append(
            InstanceRow(
                key=key, id=id, name="order", status=Status.RUNNING, length=ROWS, turned=ROWS,
                head=head,
            )
        )  # fmt: skip
    store.commit(changes)


def make_file(folder: Path, instances: int = 5) -> Path:
    """A file that was closed in order."""
    path = folder / "orders.db"
    store = SQLiteStore(path)
    add_instances(store, range(1, instances + 1))
    store.close()
    return path


def check_instance(store: SQLiteStore, key: int) -> None:
    """Raises: HistoryDamagedError."""
    row = store.load(key)
    assert row is not None
    chain.check(row.id, 1, store.history(key, 1), row.length, row.head)


@contextmanager
def no_room(store: SQLiteStore) -> Generator[None]:
    """No page more than there is now: SQLite answers as on a full disk."""
    database = store._db
    before = database.execute("PRAGMA max_page_count").fetchall()[0][0]
    database.execute("PRAGMA max_page_count = 1").fetchall()
    yield
    database.execute(f"PRAGMA max_page_count = {before}").fetchall()

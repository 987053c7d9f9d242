"""How a file is opened: pragmas, ownership, fences, threads, forks, and what the schema refuses."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec.structs import replace

from adjourn.errors import FencedError, ForkedEngineError, StorageError
from adjourn.model.status import Status
from adjourn.store import sqlite
from adjourn.store.protocol import Changes, Query
from adjourn.store.sqlite import SQLiteStore
from adjourn.testing.store_contract import history_row, inserted, instance_row
from tests.store.files import add_instances, check_instance, make_file


def value(store: SQLiteStore, query: str) -> Any:
    return store._db.execute(query).fetchall()[0][0]


@pytest.mark.parametrize(
    ("pragma", "expected"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),  # FULL: with NORMAL a power cut loses what was acknowledged
        ("fullfsync", 1),
        ("checkpoint_fullfsync", 1),
        ("wal_autocheckpoint", 0),
        ("trusted_schema", 0),
        ("cell_size_check", 1),
        ("mmap_size", 0),
        ("application_id", 0x41444A4E),
    ],
)
def test_a_file_is_opened_for_durability(tmp_path: Path, pragma: str, expected: Any) -> None:
    store = SQLiteStore(tmp_path / "orders.db")

    assert value(store, f"PRAGMA {pragma}") == expected
    store.close()


def test_every_opening_is_a_new_epoch_and_knows_whether_the_last_one_closed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "orders.db"
    first = SQLiteStore(path)
    first.close()
    second = SQLiteStore(path)
    second.abandon()
    third = SQLiteStore(path)

    assert [store.epoch for store in (first, second, third)] == [1, 2, 3]
    assert [store.was_clean for store in (first, second, third)] == [True, True, False]
    third.close()


def test_an_engine_whose_file_was_taken_over_may_not_write_nor_mark_it_closed(
    tmp_path: Path,
) -> None:
    frozen = SQLiteStore(tmp_path / "orders.db")
    rival = SQLiteStore(tmp_path / "orders.db", lock=False)

    with pytest.raises(FencedError, match=r"epoch 2, ours is 1"):
        frozen.commit(inserted(instance_row(1)))
    frozen.close()

    assert value(rival, "SELECT clean FROM engine") == 0
    rival.close()


def test_only_one_thread_may_use_a_store(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "orders.db")
    store.commit(inserted(instance_row(1)))
    raised: list[BaseException] = []

    def use() -> None:
        try:
            store.find("order-1")
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()

    assert [type(error) for error in raised] == [StorageError]
    assert "Go through the client" in str(raised[0])
    store.let_thread_go()
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(raised) == 1
    store.let_thread_go()
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_may_not_use_the_file_of_its_parent(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "orders.db")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            store.commit(inserted(instance_row(1)))
        except ForkedEngineError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert b"belongs to the parent process" in os.read(read, 1_000)
    assert store.list(Query()) == []
    store.commit(inserted(instance_row(1)))
    os.close(read)
    os.close(write)
    store.close()


# What the schema refuses, whatever the code above it does.


@pytest.mark.parametrize(
    "impossible",
    [
        {"status": Status.COMPLETED},
        {"finished_at": 1},
        {"status": Status.QUARANTINED},
        {"problem": "why"},
        {"running": -1},
        {"pending_events": -1},
        {"turned": 2},
        {"turned": -1},
        {"length": 0},
        {"head": b"short"},
        {"execution": 0},
    ],
    ids=str,
)
def test_an_impossible_instance_is_refused(impossible: dict[str, Any]) -> None:
    store = SQLiteStore(":memory:")
    store.commit(inserted(instance_row(1)))

    with pytest.raises(StorageError, match="CHECK constraint failed"):
        store.commit(inserted(instance_row(2, **impossible)))
    with pytest.raises(StorageError, match="CHECK constraint failed"):
        store.commit(Changes(updated=[replace(instance_row(1), **impossible)]))

    assert store.load(1) == instance_row(1)
    store.close()


def test_an_impossible_timer_receipt_or_history_row_is_refused() -> None:
    store = SQLiteStore(":memory:")
    store.commit(inserted(instance_row(1)))

    for impossible in (
        Changes(timers_added=[(1, 1, 1, 1, "someday")]),
        Changes(receipts=[(1, "letter", "x", None)]),
        Changes(history=[history_row(1, 0)]),
        Changes(history=[(1, 1, 1, b"{}", b"short")]),
    ):
        with pytest.raises(StorageError):
            store.commit(impossible)
    store.close()


@pytest.mark.parametrize(
    "change", ["UPDATE history SET body = 'x' WHERE number = 2", "DELETE FROM history"]
)
def test_history_is_append_only_for_everybody(change: str) -> None:
    store = SQLiteStore(":memory:")
    add_instances(store, range(1, 2))

    with pytest.raises(apsw.ConstraintError, match="history is append-only"):
        store._db.execute(change)

    check_instance(store, 1)
    store.close()


def test_a_person_can_read_a_life_in_the_sqlite_shell(tmp_path: Path) -> None:
    path = make_file(tmp_path)
    shell = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)

    rows = shell.execute("SELECT number, kind, at FROM timeline WHERE id = 'order-2'").fetchall()

    assert rows[16] == (17, "ActivityCompleted", "2026-01-01T09:00:00Z")
    shell.close()


# Upgrades.

NEXT_SCHEMA = "CREATE TABLE notes (text TEXT NOT NULL) STRICT; INSERT INTO notes VALUES ('new');"


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the code is one schema further."""
    scripts = [*sqlite._migrations(), NEXT_SCHEMA]
    monkeypatch.setattr(sqlite, "_migrations", lambda: scripts)


def test_an_older_file_is_brought_up_to_date_with_all_that_waits_in_it(
    tmp_path: Path, newer: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(sqlite, "_migrations", lambda: scripts_of_today())
        path = make_file(tmp_path)

    store = SQLiteStore(path)

    assert value(store, "PRAGMA user_version") == len(scripts_of_today()) + 1
    assert value(store, "SELECT text FROM notes") == "new"
    for key in range(1, 6):
        check_instance(store, key)
    store.close()


def scripts_of_today() -> list[str]:
    folder = Path(sqlite.__file__).parent / "schema"
    return [file.read_text() for file in sorted(folder.glob("*.sql"))]


def test_an_upgrade_makes_a_backup_that_the_older_version_can_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_file(tmp_path)
    with monkeypatch.context() as newer:
        newer.setattr(sqlite, "_migrations", lambda: [*scripts_of_today(), NEXT_SCHEMA])
        SQLiteStore(path).close()

    backup = SQLiteStore(f"{path}.before-schema-{len(scripts_of_today()) + 1}")

    check_instance(backup, 5)
    backup.close()
    with pytest.raises(StorageError, match="written by a newer Adjourn"):
        SQLiteStore(path)


def test_an_upgrade_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_file(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(
            sqlite, "_migrations", lambda: [*scripts_of_today(), NEXT_SCHEMA + "SELECT nonsense;"]
        )
        with pytest.raises(StorageError):
            SQLiteStore(path)

    store = SQLiteStore(path)
    check_instance(store, 3)
    assert value(store, "PRAGMA user_version") == len(scripts_of_today())
    assert value(store, "SELECT count(*) FROM sqlite_schema WHERE name = 'notes'") == 0
    store.close()


def test_an_upgrade_that_failed_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_file(tmp_path)
    for next_one in (NEXT_SCHEMA + "SELECT nonsense;", NEXT_SCHEMA):
        monkeypatch.setattr(sqlite, "_migrations", lambda s=next_one: [*scripts_of_today(), s])
        if "nonsense" in next_one:
            with pytest.raises(StorageError):
                SQLiteStore(path)
        else:
            SQLiteStore(path).close()

"""What happens to a file that is damaged, foreign, newer, missing or not writable."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import apsw
import pytest

from adjourn import Adjourn, Context
from adjourn.errors import (
    AdjournError,
    FileLockedError,
    FileRefusedError,
    HistoryDamagedError,
    StorageError,
)
from adjourn.store.sqlite import SQLiteStore
from adjourn.testing import Sandbox
from tests.store.files import bodies, check_instance, make_file

NOBODY = 65534
"""The user id that may do nothing."""

app = Adjourn()


@app.orchestrator
async def greeting(ctx: Context, text: str) -> str:
    return text + await ctx.wait_for_external_event("Go", str)


def refusal(path: Path) -> str:
    with pytest.raises(FileRefusedError) as caught:
        SQLiteStore(path)
    return str(caught.value)


# Not ours.


def test_a_file_that_is_no_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Remember the milk.")

    assert "not an SQLite database" in refusal(path)
    assert path.read_text() == "Remember the milk."


def test_a_database_of_another_application_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "photos.db"
    other = apsw.Connection(str(path))
    other.execute("PRAGMA application_id = 7").fetchall()
    other.execute("CREATE TABLE photos (name TEXT)").fetchall()
    other.close()
    before = path.read_bytes()

    assert "belongs to another application" in refusal(path)
    assert path.read_bytes() == before


def test_a_database_without_application_id_but_with_tables_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "photos.db"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE photos (name TEXT)").fetchall()
    other.close()

    assert "belongs to another application" in refusal(path)


def test_an_empty_file_becomes_ours(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    path.touch()

    SQLiteStore(path).close()

    assert path.read_bytes().startswith(b"SQLite format 3")


def test_a_file_of_a_newer_version_is_refused_and_stays_byte_for_byte(tmp_path: Path) -> None:
    path = make_file(tmp_path)
    newer = apsw.Connection(str(path))
    newer.execute("PRAGMA user_version = 99").fetchall()
    newer.close()
    before = path.read_bytes()

    assert "written by a newer Adjourn (schema 99" in refusal(path)
    assert path.read_bytes() == before


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert "folder" in refusal(tmp_path / "missing" / "orders.db")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert "it is a folder" in refusal(tmp_path)


def test_a_file_is_made_only_when_that_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError):
        SQLiteStore(tmp_path / "orders.db", create=False)

    assert not (tmp_path / "orders.db").exists()


# Damaged.


@pytest.mark.parametrize("left", [0.9, 0.5, 0.05])
def test_a_truncated_file_is_refused(tmp_path: Path, left: float) -> None:
    path = make_file(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * left)])

    assert "damaged" in refusal(path)


def test_a_file_that_lost_its_last_bytes_serves_nothing_wrong(tmp_path: Path) -> None:
    path = make_file(tmp_path)
    data = path.read_bytes()
    for lost in (1, 100, 1_000, 4_096, 5_000):
        path.write_bytes(data[:-lost])
        assert what_happens(path, 5) in ("refused", "damaged", "damaged, seen by SQLite")


def test_damage_is_looked_for_after_an_unclean_stop(tmp_path: Path) -> None:
    path = make_file(tmp_path, instances=20)
    crashed = SQLiteStore(path)
    crashed.abandon()
    data = bytearray(path.read_bytes())
    page = 4096 * 3
    data[page : page + 64] = bytes(64)
    path.write_bytes(data)

    assert "damage" in refusal(path)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def what_happens(path: Path, instances: int) -> str:
    """After a flip: refused, damaged (and whether SQLite sees it), unharmed, or served wrong."""
    try:
        store = SQLiteStore(path)
    except StorageError:
        return "refused"
    try:
        for key in range(1, instances + 1):
            check_instance(store, key)
            if [body for _, body, _ in store.history(key, 1)] != bodies(key):
                return "served wrong"
        return "unharmed"
    except HistoryDamagedError:
        seen = store._value("PRAGMA quick_check(1)") != "ok"
        return "damaged, seen by SQLite" if seen else "damaged"
    except StorageError:
        return "refused"
    finally:
        store.close()


def flip_bits(folder: Path, times: int) -> Counter[str]:
    path = make_file(folder)
    data = path.read_bytes()
    dice = random.Random(times)
    seen: Counter[str] = Counter()
    for _ in range(times):
        path.write_bytes(flipped(data, dice.randrange(len(data) * 8)))
        seen[what_happens(path, 5)] += 1
    return seen


@pytest.mark.slow
def test_no_flipped_bit_in_history_is_served(tmp_path: Path) -> None:
    seen = flip_bits(tmp_path, 250)

    assert seen["served wrong"] == 0
    assert seen["damaged"] > 20, "SQLite alone would have served these"


@pytest.mark.slow
def test_no_flipped_bit_in_history_is_served_at_length(tmp_path: Path) -> None:
    assert flip_bits(tmp_path, 3_000)["served wrong"] == 0


def test_the_damaged_row_is_named(tmp_path: Path) -> None:
    path = make_file(tmp_path)
    data = path.read_bytes()
    place = data.index(bodies(2)[16])
    path.write_bytes(data[: place + 9] + b"X" + data[place + 10 :])
    store = SQLiteStore(path)

    check_instance(store, 1)
    with pytest.raises(HistoryDamagedError) as caught:
        check_instance(store, 2)

    assert (caught.value.instance_id, caught.value.number) == ("order-2", 17)
    assert "Restore the file from a backup" in str(caught.value)
    store.close()


def test_a_row_that_is_no_text_any_more_is_damage_and_nothing_else(tmp_path: Path) -> None:
    path = make_file(tmp_path)
    data = path.read_bytes()
    place = data.index(bodies(2)[16])
    path.write_bytes(data[: place + 9] + b"\xff" + data[place + 10 :])
    store = SQLiteStore(path)

    with pytest.raises(HistoryDamagedError):
        check_instance(store, 2)
    store.close()


def test_a_row_of_another_instance_does_not_fit_the_chain(tmp_path: Path) -> None:
    store = SQLiteStore(make_file(tmp_path))
    store._db.execute("DROP TRIGGER history_is_append_only_update")
    store._db.execute("DROP TRIGGER history_is_append_only_delete")
    store._db.execute("DELETE FROM history WHERE instance = 2")
    store._db.execute("UPDATE history SET instance = 2 WHERE instance = 1")

    with pytest.raises(HistoryDamagedError) as caught:
        check_instance(store, 2)

    assert caught.value.number == 1
    store.close()


@pytest.mark.parametrize(("where", "reason"), [("7", "missing"), ("40", "40 rows were written")])
def test_a_deleted_row_is_missed(tmp_path: Path, where: str, reason: str) -> None:
    store = SQLiteStore(make_file(tmp_path))
    store._db.execute("DROP TRIGGER history_is_append_only_delete")
    store._db.execute(f"DELETE FROM history WHERE instance = 3 AND number = {where}")

    with pytest.raises(HistoryDamagedError, match=reason):
        check_instance(store, 3)
    store.close()


@pytest.mark.parametrize("damage", [b"X", b"\xff"], ids=["another letter", "no text"])
def test_a_damaged_instance_stops_visibly_and_the_others_go_on(
    tmp_path: Path, damage: bytes
) -> None:
    path = tmp_path / "orders.db"
    with Sandbox(app, str(path)) as box:
        for id in ("one", "two"):
            box.start(greeting, f"hello {id}", id=id)
    data = path.read_bytes()
    place = data.index(b"hello one")
    path.write_bytes(data[:place] + damage + data[place + 1 :])

    with Sandbox(app, str(path)) as box:
        for id in ("one", "two"):
            box.raise_event(id, "Go", "!")
        assert box.get("one").status == "Quarantined"
        assert "row 1: the row was changed" in str(box.get("one").problem)
        assert box.result("two") == "hello two!"
        with pytest.raises(HistoryDamagedError):
            box.history("one")


# Not writable. Root may write everywhere, so a child process gives that up first.

OPEN_AS_NOBODY = """
import os, sys
from adjourn.errors import AdjournError
from adjourn.store.sqlite import SQLiteStore
if os.getuid() == 0:
    os.setgid({nobody}), os.setuid({nobody})
try:
    SQLiteStore(sys.argv[1])
except AdjournError as error:
    sys.stdout.write(f"{{type(error).__name__}}: {{error}}")
"""


def refusal_as_nobody(path: Path) -> str:
    for folder in (path.parent, *path.parents):
        if folder.stat().st_uid == os.getuid() and folder.name.startswith("pytest"):
            folder.chmod(0o755)
    opened = subprocess.run(
        [sys.executable, "-c", OPEN_AS_NOBODY.format(nobody=NOBODY), str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert opened.returncode == 0, opened.stderr
    return opened.stdout


@pytest.mark.slow
def test_a_file_in_a_folder_that_is_read_only_is_refused(tmp_path: Path) -> None:
    path = make_file(tmp_path)
    (tmp_path / "orders.db.lock").chmod(0o666)
    path.chmod(0o666)
    tmp_path.chmod(0o555)

    said = refusal_as_nobody(path)

    tmp_path.chmod(0o755)
    assert said.startswith("FileRefusedError") and "orders.db" in said and "writable" in said


@pytest.mark.slow
def test_a_read_only_file_is_refused(tmp_path: Path) -> None:
    path = make_file(tmp_path)
    before = path.read_bytes()
    (tmp_path / "orders.db.lock").chmod(0o666)
    path.chmod(0o444)

    said = refusal_as_nobody(path)

    assert said.startswith("FileRefusedError") and "orders.db" in said and "writable" in said
    assert path.read_bytes() == before


# Owned by another.


def test_the_owner_of_a_file_is_named(tmp_path: Path) -> None:
    owner = SQLiteStore(tmp_path / "orders.db")

    with pytest.raises(FileLockedError) as caught:
        SQLiteStore(tmp_path / "orders.db")

    assert caught.value.owner_pid == os.getpid()
    owner.close()


@pytest.mark.slow
def test_a_killed_owner_lets_the_file_go(tmp_path: Path) -> None:
    path = make_file(tmp_path)
    script = (
        "import os, signal, sys\n"
        "from adjourn.store.sqlite import SQLiteStore\n"
        "store = SQLiteStore(sys.argv[1])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)

    store = SQLiteStore(path)

    assert not store.was_clean
    check_instance(store, 1)
    store.close()


def test_a_reader_that_holds_the_log_is_named_as_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_file(tmp_path)
    crashed = SQLiteStore(path)
    reader = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    reader.execute("BEGIN").fetchall()
    reader.execute("SELECT count(*) FROM history").fetchall()
    crashed._db.execute("UPDATE engine SET opened_at = ''")
    crashed.abandon()
    monkeypatch.setattr("adjourn.store.sqlite.BUSY_TIMEOUT_MS", 10)

    with pytest.raises(AdjournError, match="somebody reads or writes it"):
        SQLiteStore(path)
    reader.close()

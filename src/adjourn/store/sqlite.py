"""The store on one SQLite file through apsw: write-ahead log, synchronous=FULL, one owner."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import apsw
import msgspec

from adjourn.errors import (
    EncryptionKeysError,
    FencedError,
    FileRefusedError,
    ForkedEngineError,
    HistoryDamagedError,
    SealedError,
    StorageError,
    StorageFullError,
)
from adjourn.model.inbox import Counts, InboxPage, InboxQuery, InboxRow
from adjourn.model.status import Status
from adjourn.store import queries as sql
from adjourn.store.forks import forks
from adjourn.store.inbox import Inbox
from adjourn.store.lock import OwnerLock
from adjourn.store.protocol import Attribute, Changes, InstanceRow, Query, Timer
from adjourn.store.rows import Rows
from adjourn.store.sealing import Sealer, box_of

Read = TypeVar("Read")

_log = logging.getLogger("adjourn.store")

APPLICATION_ID = 0x41444A4E  # "ADJN"
WAL_PAGES_BUSY = 4_000  # pages of 4 KiB: checkpoint even when there is work
WAL_PAGES_LONG = 16_000  # truncate it when idle
BUSY_TIMEOUT_MS = 10_000
PAYLOAD_BACKSTOP = 16 * 1024 * 1024  # bytes in one value; the codec refuses far earlier
# Before these, two connections that write or checkpoint at once could lose commits.
SAFE_SQLITE = (3, 51, 3)
BACKPORTED = ((3, 44, 6), (3, 50, 7))


def nothing() -> None:
    """What happens between writing and committing, outside of tests."""


def _migrations() -> list[str]:
    folder = resources.files("adjourn.store") / "schema"
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda f: f.name
    )
    return [file.read_text("utf-8") for file in files]


@contextmanager
def _our_errors(path: str) -> Generator[None, None, None]:
    """apsw's errors as ours, each with the next move."""
    try:
        yield
    except apsw.FullError as error:
        raise StorageFullError(
            f"The disk that holds {path} is full. Nothing of this call was kept: "
            "free some space and repeat it."
        ) from error
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise FileRefusedError(
            path, f"it is damaged or no SQLite database ({error})", "Restore it from a backup."
        ) from error
    except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError) as error:
        raise FileRefusedError(
            path,
            f"it cannot be opened for writing ({error})",
            "Check that its folder exists and is writable, for the file beside it too.",
        ) from error
    except (apsw.Error, UnicodeDecodeError) as error:
        raise StorageError(
            f"{path}: {type(error).__name__}: {error}. What was not acknowledged may or may not "
            "be there: open the file again and repeat the call with the same id."
        ) from error


class SQLiteStore:
    """`Store` on one file, or in memory with `:memory:`."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        create: bool = True,
        lock: bool = True,
        vfs: str | None = None,
        sealer: Sealer | None = None,
    ) -> None:
        """Open and own the file: lock, header, version, empty log, epoch, and only then its data.

        `lock=False` and `vfs` are for tests of fencing and faults.

        Raises: FileLockedError, FileRefusedError, StorageError; EncryptionKeysError where the
        sealer's keys do not open what was written last: the file is then as it was.
        """
        self.path = os.fspath(path)
        self.memory = self.path == ":memory:"
        self._vfs = vfs
        self._forks = forks()
        self._thread: int | None = None
        self._wal_pages = 0
        self.epoch = 0
        self.was_clean = True
        self._inbox = Inbox(self._execute)
        self.rows = Rows(sealer)
        self._lock = OwnerLock(self.path) if lock and not self.memory else None
        if self._lock is not None:
            self._lock.acquire()
        try:
            with _our_errors(self.path):
                # Any: apsw's stubs leave the types of rows and bindings half unknown.
                self._db: Any = self._connect(create)
                self._prepare()
        except BaseException:
            self._release()
            raise

    def _release(self) -> None:
        database = getattr(self, "_db", None)
        if database is not None:
            database.close(True)
        if self._lock is not None:
            self._lock.release()

    # Opening.

    def _connect(self, create: bool) -> Any:
        flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
        _require_safe_sqlite()
        if not self.memory:
            _refuse_foreign_header(self.path)
        return apsw.Connection(self.path, flags=flags, vfs=self._vfs)

    def _prepare(self) -> None:
        db = self._db
        db.set_busy_timeout(BUSY_TIMEOUT_MS)
        db.limit(apsw.SQLITE_LIMIT_LENGTH, PAYLOAD_BACKSTOP)
        version = self._refuse_foreign()
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "fullfsync = 1",  # macOS: fsync alone does not reach the disk there
            "checkpoint_fullfsync = 1",
            "wal_autocheckpoint = 0",
            "foreign_keys = 1",
            "trusted_schema = 0",
            "cell_size_check = 1",
            "mmap_size = 0",
            "journal_size_limit = 67108864",
        ):
            db.execute(f"PRAGMA {pragma}").fetchall()  # one by one: a script stops at its first row
        if self._value("PRAGMA synchronous") != 2:
            self._refuse("SQLite would not switch to synchronous=FULL", "Use a local disk.")
        self._empty_the_log()
        if version > 0:
            self._refuse_other_keys()
        if version == 0 or version < len(_migrations()):
            self._migrate(version)
        self._take_ownership()
        db.set_wal_hook(self._note_wal)

    def _refuse_foreign(self) -> int:
        """The schema version; 0 for a new file. Raises: FileRefusedError."""
        application = self._value("PRAGMA application_id")
        version = self._value("PRAGMA user_version")
        empty = self._value("SELECT count(*) FROM sqlite_schema") == 0
        if application != APPLICATION_ID and not (empty and application == 0 and version == 0):
            self._refuse("it belongs to another application", "Choose another file name.")
        if version > len(_migrations()):
            self._refuse(
                f"it was written by a newer Adjourn (schema {version}, ours {len(_migrations())})",
                "Upgrade adjourn, or restore the backup made before that upgrade.",
            )
        return 0 if empty else version

    def _empty_the_log(self) -> None:
        """A completed TRUNCATE: it writes what a failed fsync left only in memory."""
        if self.memory:
            return
        busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0]
        if busy:
            self._refuse("somebody reads or writes it", "Close that program and start again.")

    def _refuse_other_keys(self) -> None:
        """Before anything is written. Raises: EncryptionKeysError."""
        for id, execution, number, body in self._db.execute(sql.NEWEST_ROWS).fetchall():
            box = box_of(body)
            if box is None:
                continue
            try:
                self.rows.read(id, execution, number, body)
            except SealedError as error:
                raise EncryptionKeysError(
                    f"What {self.path} was last given is encrypted with key {box.key!r}: {error}"
                ) from error
            except msgspec.MsgspecError:
                pass  # damaged: its instance says so
            return

    def _migrate(self, version: int) -> None:
        """Forward only, all steps in one transaction, with a backup of a file that had data."""
        if version > 0 and not self.memory:
            self._backup(f"{self.path}.before-schema-{len(_migrations())}")
        with self._db:
            for script in _migrations()[version:]:
                for _ in self._db.execute(script):
                    pass
            self._inbox.derive_missing()
            self._inbox.take_tenants()
            self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {len(_migrations())}")

    def _backup(self, target: str) -> None:
        unfinished = f"{target}.unfinished"
        Path(unfinished).unlink(missing_ok=True)  # left by an upgrade that died here
        self._db.execute("VACUUM INTO ?", (unfinished,))
        os.replace(unfinished, target)

    def _take_ownership(self) -> None:
        with self._transaction():
            epoch, clean = self._db.execute("SELECT epoch, clean FROM engine").fetchall()[0]
            self.epoch = epoch + 1
            self.was_clean = bool(clean)
            self._db.execute(
                "UPDATE engine SET epoch = ?, pid = ?, clean = 0, "
                "opened_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now')",
                (self.epoch, os.getpid()),
            )
        if not self.was_clean:
            problem = self._damage()
            if problem != "ok":
                self._refuse(f"SQLite found damage: {problem}", "Restore it from a backup.")

    def _damage(self) -> str:
        """What a quick check says of every page.

        FTS5 would also take all words of the inbox's index together again, 3 s for 100,000 rows;
        where SQLite does not know it, it checks the index's pages like all others.
        """
        db: Any = apsw.Connection(self.path, flags=apsw.SQLITE_OPEN_READONLY, vfs=self._vfs)
        try:
            db.create_module("fts5", None)
            db.execute("PRAGMA cell_size_check = 1").fetchall()
            return db.execute("PRAGMA quick_check(1)").fetchall()[0][0]
        finally:
            db.close(True)

    def _refuse(self, reason: str, move: str) -> NoReturn:
        raise FileRefusedError(self.path, reason, move)

    def _value(self, query: str, *bindings: Any) -> Any:
        for row in self._db.execute(query, bindings):
            return row[0]
        return None

    def _note_wal(self, _db: Any, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    # Writing.

    def check_caller(self) -> None:
        """apsw guards neither forks nor threads, so we do (tests/store/test_opening.py).

        Raises: ForkedEngineError, StorageError.
        """
        if forks() != self._forks:
            raise ForkedEngineError
        thread = threading.get_ident()
        if self._thread is None:
            self._thread = thread
        elif self._thread != thread:
            raise StorageError("Only the engine thread may use the store. Go through the client.")

    def let_thread_go(self) -> None:
        """The next caller's thread becomes the owner."""
        self._thread = None

    @contextmanager
    def _transaction(self) -> Generator[None, None, None]:
        # IMMEDIATE: a deferred one that reads and then writes fails as busy without waiting.
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # a full disk has rolled it back already
                db.execute("ROLLBACK")
            raise

    def commit(self, changes: Changes, written: Callable[[], None] = nothing) -> None:
        self.check_caller()
        with _our_errors(self.path), self._transaction():
            epoch = self._value("SELECT epoch FROM engine")
            if epoch != self.epoch:
                raise FencedError(self.path, self.epoch, epoch)
            self._write(changes)
            written()

    def _write(self, changes: Changes) -> None:
        many = self._db.executemany
        if changes.inserted:
            many(sql.INSERT_INSTANCE, map(_insert_values, changes.inserted))
        if changes.updated:
            many(sql.UPDATE_INSTANCE, map(_update_values, changes.updated))
        if changes.advanced:
            many(sql.ADVANCE_INSTANCE, map(_advance_values, changes.advanced))
        if changes.history:
            many(
                sql.INSERT_HISTORY,
                ((key, ex, n, body.decode(), link) for key, ex, n, body, link in changes.history),
            )
        if changes.timers_added:
            many(sql.INSERT_TIMER, changes.timers_added)
        if changes.timers_removed:
            many(sql.DELETE_TIMER, changes.timers_removed)
        if changes.receipts_cleared:
            many(sql.CLEAR_RECEIPTS, [(key,) for key in changes.receipts_cleared])
        if changes.receipts:
            many(sql.UPSERT_RECEIPT, changes.receipts)
        for key, name, value in changes.attributes:
            if value is None:
                self._db.execute(sql.DELETE_ATTRIBUTE, (key, name))
            else:
                self._db.execute(sql.UPSERT_ATTRIBUTE, (key, name, value))
        if changes.inbox or changes.inbox_executions or changes.receipts_cleared:
            self._inbox.write(changes)

    def _execute(self, query: str, bindings: Any) -> list[tuple[Any, ...]]:
        return self._db.execute(query, bindings).fetchall()

    # Reading.

    def _rows(self, query: str, bindings: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        self.check_caller()
        with _our_errors(self.path):
            return self._db.execute(query, bindings).fetchall()

    def next_key(self) -> int:
        return (self._rows("SELECT max(key) FROM instances")[0][0] or 0) + 1

    def find(self, instance_id: str) -> InstanceRow | None:
        rows = self._rows(sql.FIND, (instance_id,))
        return _instance(rows[0]) if rows else None

    def load(self, key: int) -> InstanceRow | None:
        rows = self._rows(sql.LOAD, (key,))
        return _instance(rows[0]) if rows else None

    def history(self, key: int, execution: int) -> list[tuple[int, bytes, bytes]]:
        rows = self._rows(sql.HISTORY, (key, execution))
        return rows  # pyright: ignore  # number, body and hash, in order

    def row(self, key: int, execution: int, number: int) -> bytes | None:
        if number < 0:
            rows = self._rows(sql.LAST_ROW, (key, execution))
        else:
            rows = self._rows(sql.ROW, (key, execution, number))
        return rows[0][0] if rows else None

    def receipt(self, key: int, kind: str, event_id: str) -> tuple[str | None] | None:
        rows = self._rows(sql.RECEIPT, (key, kind, event_id))
        return (rows[0][0],) if rows else None

    def attributes(self, key: int) -> dict[str, Attribute]:
        return dict(self._rows(sql.ATTRIBUTES, (key,)))  # pyright: ignore  # rows of two columns

    def due_timers(self, now: int, limit: int) -> list[Timer]:
        return self._rows(sql.DUE_TIMERS, (now, limit))  # pyright: ignore  # five columns, in order

    def earliest_timer(self) -> int | None:
        return self._rows(sql.EARLIEST_TIMER)[0][0]

    def unfinished_business(self) -> list[InstanceRow]:
        return [_instance(row) for row in self._rows(sql.UNFINISHED)]

    def list(self, query: Query) -> list[InstanceRow]:
        text, bindings = _list_query(query)
        return [_instance(row) for row in self._rows(text, bindings)]

    def inbox(self, query: InboxQuery) -> InboxPage:
        return self._read_inbox(lambda: self._inbox.page(query))

    def inbox_counts(self, query: InboxQuery) -> Counts:
        return self._read_inbox(lambda: self._inbox.counts(query))

    def inbox_row(self, key: int) -> InboxRow | None:
        return self._read_inbox(lambda: self._inbox.row(key))

    def _read_inbox(self, read: Callable[[], Read]) -> Read:
        self.check_caller()
        with _our_errors(self.path):
            return read()

    # Housekeeping.

    def checkpoint_if_due(self, *, idle: bool) -> None:
        if self.memory or not self._wal_pages:
            return
        if self._wal_pages < WAL_PAGES_BUSY and not idle:
            return
        self.check_caller()
        truncate = idle and self._wal_pages > WAL_PAGES_LONG
        mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if truncate else apsw.SQLITE_CHECKPOINT_PASSIVE
        with _our_errors(self.path):
            try:
                self._db.wal_checkpoint(mode=mode)
            except (apsw.BusyError, apsw.FullError) as error:
                _log.info("The write-ahead log of %s stays long: %s", self.path, error)
                return  # a reader holds it, or there is no room: the next round will do
        self._wal_pages = 0

    def close(self) -> None:
        """Write down that this was a clean stop, and let the file go. Idempotent."""
        try:
            if forks() == self._forks:
                with _our_errors(self.path):
                    self._db.execute("UPDATE engine SET clean = 1 WHERE epoch = ?", (self.epoch,))
        except StorageError as error:
            _log.warning("The file could not be marked as closed: %s", error)
        finally:
            self._release()

    def abandon(self) -> None:
        """Let the file go as a crash would: without a word in it, the log left for the next."""
        self._db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self._release()


@contextmanager
def reading(path: str) -> Generator[Callable[[str, tuple[Any, ...]], Iterable[tuple[Any, ...]]]]:
    """Run queries on a file without owning it or changing it, beside an engine that works on it.

    What is read within one such block is the state of one moment.

    Raises: FileRefusedError, StorageError.
    """
    _require_safe_sqlite()
    if not Path(path).exists():
        raise FileRefusedError(path, "there is no such file", "Name the file of an engine.")
    _refuse_foreign_header(path)
    with _our_errors(path):
        db: Any = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
        try:
            db.set_busy_timeout(BUSY_TIMEOUT_MS)
            if db.execute("PRAGMA application_id").fetchall()[0][0] != APPLICATION_ID:
                raise FileRefusedError(
                    path, "it belongs to another application", "Name the file of an engine."
                )
            db.execute("BEGIN")
            yield db.execute
        finally:
            db.close(True)


def _require_safe_sqlite() -> None:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    same_line = [fixed for fixed in BACKPORTED if fixed[:2] == version[:2]]
    if version < SAFE_SQLITE and not any(version >= fixed for fixed in same_line):
        raise StorageError(
            f"SQLite {apsw.sqlite_lib_version()} can lose commits in its write-ahead log. "
            "Install apsw from its own wheels, which bring 3.51.3 or later."
        )


def _refuse_foreign_header(path: str) -> None:
    """Refuse what is no SQLite file before SQLite may touch it. Raises: FileRefusedError."""
    file = Path(path)
    if not file.exists():
        if not file.parent.is_dir():
            raise FileRefusedError(path, "its folder does not exist", "Create the folder first.")
        return
    if file.is_dir():
        raise FileRefusedError(path, "it is a folder", "Name a file.")
    # Read before any connection is open: closing a file drops its POSIX locks.
    with file.open("rb") as start:
        header = start.read(16)
    if header and header != b"SQLite format 3\0":
        raise FileRefusedError(path, "it is not an SQLite database", "Choose another file name.")


def _insert_values(row: InstanceRow) -> tuple[Any, ...]:
    return (
        row.key, row.id, row.name, row.version, row.execution, row.status.value, row.length,
        row.turned, row.head, row.created_at, row.updated_at, row.finished_at, row.visible_at,
        row.parent, row.parent_execution, row.parent_sequence, row.running, row.pending_events,
        row.waiting_for, row.custom_status, row.problem, row.start_digest, row.tags, row.tenant,
    )  # fmt: skip


def _update_values(row: InstanceRow) -> tuple[Any, ...]:
    return (
        row.created_at, row.parent, row.parent_execution, row.parent_sequence,
        row.name, row.version, row.execution, row.status.value, row.length, row.turned, row.head,
        row.updated_at, row.finished_at, row.visible_at, row.running, row.pending_events,
        row.waiting_for, row.custom_status, row.problem, row.start_digest, row.tags, row.key,
    )  # fmt: skip


def _advance_values(row: InstanceRow) -> tuple[Any, ...]:
    return (
        row.length, row.turned, row.head, row.updated_at, row.pending_events, row.waiting_for,
        row.custom_status, row.key,
    )  # fmt: skip


def _instance(row: tuple[Any, ...]) -> InstanceRow:
    (
        key, id, name, version, execution, status, length, turned, head, created_at, updated_at,
        finished_at, visible_at, parent, parent_execution, parent_sequence, running,
        pending_events, waiting_for, custom_status, problem, start_digest, tags,
        tenant,
    ) = row  # fmt: skip
    if status not in Status.__members__.values():  # a flipped bit may leave anything
        raise HistoryDamagedError(str(id), execution, 0, f"its status reads {status!r}")
    return InstanceRow(
        key=key, id=id, name=name, version=version, execution=execution, status=Status(status),
        length=length, turned=turned, head=head, created_at=created_at, updated_at=updated_at,
        finished_at=finished_at, visible_at=visible_at, parent=parent,
        parent_execution=parent_execution, parent_sequence=parent_sequence, running=running,
        pending_events=pending_events, waiting_for=waiting_for, custom_status=custom_status,
        problem=problem, start_digest=start_digest, tags=tags,
        tenant=tenant,
    )  # fmt: skip


def _list_query(query: Query) -> tuple[str, tuple[Any, ...]]:
    conditions: list[str] = []
    bindings: list[Any] = []

    def require(condition: str, *values: Any) -> None:
        conditions.append(condition)
        bindings.extend(values)

    if query.tenant is not None:
        require("tenant = ?", query.tenant)
    if query.statuses:
        require(f"status IN ({_marks(query.statuses)})", *(s.value for s in query.statuses))
    if query.names:
        require(f"name IN ({_marks(query.names)})", *query.names)
    if query.id_prefix:
        require("id >= ? AND id < ?", query.id_prefix, query.id_prefix + "\U0010ffff")
    if query.waiting_for:
        require(
            "EXISTS (SELECT 1 FROM json_each(waiting_for) WHERE lower(value) = lower(?))",
            query.waiting_for,
        )
    if query.created_from is not None:
        require("created_at >= ?", query.created_from)
    if query.created_to is not None:
        require("created_at <= ?", query.created_to)
    for name, value in query.where:
        require(
            "key IN (SELECT instance FROM attributes WHERE name = ? AND value = ?)", name, value
        )
    if query.after_key is not None:
        require("key < ?" if query.newest_first else "key > ?", query.after_key)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    order = "DESC" if query.newest_first else "ASC"
    text = f"SELECT {sql.INSTANCE_COLUMNS} FROM instances{where} ORDER BY key {order} LIMIT ?"
    return text, (*bindings, query.limit)


def _marks(values: Iterable[Any]) -> str:
    return ", ".join("?" for _ in values)

"""Small typed records in a file of their own: sessions, keys, what has been sent.

They stand beside the engine's file and not in it: whoever is given that file to look at a workflow
gets nobody's sessions with it. Several processes may use one file, so a command that revokes a
key takes effect in a server that runs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import apsw
import msgspec

from adjourn.errors import StorageError
from adjourn.model.state import to_microseconds

T = TypeVar("T")

BUSY_TIMEOUT_MS = 10_000
APPLICATION_ID = 0x41444A52  # "ADJR"
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS records (
        space    TEXT NOT NULL,
        key      TEXT NOT NULL,
        value    TEXT NOT NULL,
        ends_at  INTEGER,  -- microseconds since 1970, UTC; NULL: never
        PRIMARY KEY (space, key)
    ) STRICT, WITHOUT ROWID
"""
_PUT = """
    INSERT INTO records (space, key, value, ends_at) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET value = excluded.value, ends_at = excluded.ends_at
"""
_MAKE_ROOM = """
    DELETE FROM records WHERE space = :space AND key IN (
        SELECT key FROM records WHERE space = :space ORDER BY ends_at NULLS LAST
        LIMIT max(0, (SELECT count(*) FROM records WHERE space = :space) - :most)
    )
"""


class Records:
    """JSON values by space and key. What is written is on disk when the call returns; a record that
    has ended is not there any more. Values are msgspec types, keys are text.

    Every call may raise StorageError.
    """

    def __init__(self, path: str | Path, now: Callable[[], datetime]) -> None:
        """`:memory:` is a file that nobody else sees. Raises: StorageError."""
        self._path = os.fspath(path)
        self._now = now
        if self._path != ":memory:":
            _make_private(self._path)
        self._worker = ThreadPoolExecutor(1, "adjourn-records")
        try:
            self._connection: Any = self._worker.submit(self._connect).result()
        except BaseException:
            self._worker.shutdown()
            raise

    async def get(self, space: str, key: str, kind: type[T]) -> T | None:
        """The record, or None."""
        return await self._do(lambda: self._read(space, key, kind))

    async def all(self, space: str, kind: type[T]) -> dict[str, T]:
        """All records of a space by key, in the order of the keys."""

        def read() -> dict[str, T]:
            rows = self._connection.execute(
                "SELECT key, value FROM records WHERE space = ? AND ifnull(ends_at > ?, 1) "
                "ORDER BY key",
                (space, self._now_us()),
            )
            return {str(key): msgspec.json.decode(str(value), type=kind) for key, value in rows}

        return await self._do(read)

    async def put(
        self,
        space: str,
        key: str,
        value: Any,
        *,
        ends_at: datetime | None = None,
        most: int | None = None,
    ) -> None:
        """Write it, over whatever was there. Where the space then holds more than `most`, those
        that end first are deleted."""

        def put() -> None:
            self._write(space, key, value, ends_at)
            if most is not None:
                self._connection.execute(_MAKE_ROOM, {"space": space, "most": most})

        await self._do(put)

    async def add(
        self, space: str, key: str, value: Any, *, ends_at: datetime | None = None
    ) -> bool:
        """Write it unless there is one; whether it was written."""

        def add() -> bool:
            if self._read(space, key, msgspec.Raw) is not None:
                return False
            self._write(space, key, value, ends_at)
            return True

        return await self._do(add)

    async def change(
        self,
        space: str,
        key: str,
        kind: type[T],
        change: Callable[[T | None], T | None],
        *,
        ends_at: datetime | None = None,
    ) -> T | None:
        """Read it, and write what `change` makes of it, with nobody in between; None deletes it.
        Without `ends_at` it ends when it would have. Returns what stands now."""

        def read_and_write() -> T | None:
            found = self._read(space, key, kind)
            made = change(found)
            if made is None:
                self._delete(space, key)
            elif found is None or ends_at is not None:
                self._write(space, key, made, ends_at)
            else:
                self._connection.execute(
                    "UPDATE records SET value = ? WHERE space = ? AND key = ?",
                    (msgspec.json.encode(made).decode(), space, key),
                )
            return made

        return await self._do(read_and_write)

    async def take(self, space: str, key: str, kind: type[T]) -> T | None:
        """Read and delete it: of all who ask for it, one gets it."""

        def take() -> T | None:
            found = self._read(space, key, kind)
            self._delete(space, key)
            return found

        return await self._do(take)

    async def delete(self, space: str, key: str) -> None:
        await self._do(lambda: self._delete(space, key))

    async def mark(self) -> int:
        """A number that is another one after anything was written, by whatever process: what was
        read before is still true while it stays."""

        def mark() -> int:
            others = self._connection.execute("PRAGMA data_version").fetchone()[0]
            return (int(others) << 48) + self._connection.total_changes()

        return await self._do(mark)

    async def sweep(self) -> int:
        """Delete what has ended; how many there were."""

        def sweep() -> int:
            self._connection.execute("DELETE FROM records WHERE ends_at <= ?", (self._now_us(),))
            return self._connection.changes()

        return await self._do(sweep)

    def close(self) -> None:
        self._worker.submit(self._connection.close).result()
        self._worker.shutdown()

    async def _do(self, work: Callable[[], T]) -> T:
        """In one transaction, on the thread that owns the connection."""

        def whole() -> T:
            with self._our_errors():
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    done = work()
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
                return done

        return await asyncio.wrap_future(self._worker.submit(whole))

    def _read(self, space: str, key: str, kind: type[T]) -> T | None:
        row = self._connection.execute(
            "SELECT value FROM records WHERE space = ? AND key = ? AND ifnull(ends_at > ?, 1)",
            (space, key, self._now_us()),
        ).fetchone()
        return None if row is None else msgspec.json.decode(str(row[0]), type=kind)

    def _write(self, space: str, key: str, value: Any, ends_at: datetime | None) -> None:
        ends = None if ends_at is None else to_microseconds(ends_at)
        self._connection.execute(_PUT, (space, key, msgspec.json.encode(value).decode(), ends))

    def _delete(self, space: str, key: str) -> None:
        self._connection.execute("DELETE FROM records WHERE space = ? AND key = ?", (space, key))

    def _now_us(self) -> int:
        return to_microseconds(self._now())

    def _connect(self) -> Any:
        with self._our_errors():
            connection: Any = apsw.Connection(self._path)
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")  # a session that ended is gone
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(_SCHEMA)
            return connection

    @contextmanager
    def _our_errors(self) -> Generator[None]:
        try:
            yield
        except (apsw.Error, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise StorageError(
                f"{self._path}: {type(error).__name__}: {error}. Nothing of this was kept."
            ) from error


def _make_private(path: str) -> None:
    """An empty file that only its owner reads, where there is none yet."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror}).") from error

"""Opening the shop's data file, which is never the engine's file.

SUPPORT_DATABASE names it as a SQLAlchemy URL; without it, `support-data.db` in this folder is used.
"""

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import cast

from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from support_agent.shop.errors import DatabaseUnusable
from support_agent.shop.schema import bring_up_to_date

DATABASE_VARIABLE = "SUPPORT_DATABASE"
DEFAULT_DATABASE = "sqlite:///support-data.db"
BUSY_TIMEOUT_MILLISECONDS = 10_000
WRITER = {"key_share": True}
"""For `with_for_update`: holds off other writers of a row, and not those who only refer to it; such
two would wait for each other for ever. SQLite has one writer already and needs no lock."""
TURN = 0x5E1D0
"""The name of an advisory lock: any number that nobody else in the database uses."""


def shop_database() -> Engine:
    """The database that SUPPORT_DATABASE names now; the same engine for the same URL."""
    return open_database(os.environ.get(DATABASE_VARIABLE, DEFAULT_DATABASE))


@lru_cache
def open_database(url: str) -> Engine:
    """An engine on `url`, its tables of the newest version. Opening twice changes nothing.

    Raises DatabaseUnusable, and DatabaseTooNew when a newer program has written the database.
    """
    engine = _engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    try:
        with _immediate(engine).connect() as connection, _tables_may_change(connection):
            bring_up_to_date(connection)
    except Exception:
        engine.dispose()
        raise
    return engine


def _engine(url: str) -> Engine:
    try:
        named = make_url(url)
    except ArgumentError:  # not repeated: it may hold a password
        raise DatabaseUnusable("is no URL of a database") from None
    if named.get_backend_name() == "sqlite" and named.database in (None, "", ":memory:"):
        raise DatabaseUnusable("is in memory, and each thread would have records of its own")
    try:
        # A server that was started again has closed what the pool holds: ask before each use.
        return create_engine(named, pool_pre_ping=named.get_backend_name() != "sqlite")
    except (NoSuchModuleError, ModuleNotFoundError) as missing:
        raise DatabaseUnusable(f"needs a driver that is not installed: {missing}") from None


@contextmanager
def _tables_may_change(connection: Connection) -> Generator[None]:
    """One transaction in which no other process changes the tables."""
    if connection.dialect.name != "sqlite":
        with connection.begin():
            take_turn(connection)
            yield
        return
    # SQLite changes a table by making it anew, and the rows that point to the old one must not
    # mind. This is set outside the transaction, and what they point to is checked at its end.
    driver = cast(sqlite3.Connection, connection.connection.driver_connection)
    driver.execute("PRAGMA foreign_keys = OFF").close()
    try:
        with connection.begin():
            yield
            orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            if orphans:
                raise RuntimeError(f"The new tables leave rows without what they name: {orphans}")
    finally:
        driver.execute("PRAGMA foreign_keys = ON").close()


def take_turn(connection: Connection) -> None:
    """Wait until no other transaction has its turn; it ends with this one. For the rare writers
    that no row can hold apart, because what they write is not there yet."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(TURN)))


@contextmanager
def writing(engine: Engine) -> Generator[Session]:
    """One transaction that may write: all of it is on disk afterwards, or nothing is."""
    with Session(_immediate(engine)) as session, session.begin():
        yield session


@contextmanager
def reading(engine: Engine) -> Generator[Session]:
    """One consistent look at the records. What is changed in it is thrown away."""
    with Session(_at_one_moment(engine)) as session:
        yield session


def _at_one_moment(engine: Engine) -> Engine:
    # SQLite's readers see one moment anyway; PostgreSQL's see each statement's own without this.
    if engine.dialect.name != "postgresql":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ")


def _immediate(engine: Engine) -> Engine:
    return engine.execution_options(sqlite_transaction="IMMEDIATE")


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE: a deferred transaction that reads first and writes later fails as busy without
    # waiting. The lock taken here makes check-then-pay one step for all threads and processes.
    kind = connection.get_execution_options().get("sqlite_transaction", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {kind}")


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # None: the driver begins no transaction by itself; _begin_sqlite alone does.
    connection.isolation_level = None
    journal = "WAL" if write_ahead_log_is_sound(sqlite3.sqlite_version_info) else "DELETE"
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MILLISECONDS}",  # first: the next ones may have to wait
        f"journal_mode = {journal}",
        "synchronous = FULL",  # a paid refund stays paid when the power goes
        "foreign_keys = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def write_ahead_log_is_sound(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite may write one file in WAL mode over several connections.

    SQLite 3.7.0 to 3.51.2 could lose or corrupt commits when two connections wrote or checkpointed
    at once (its "WAL-reset bug"); 3.51.3 mended it, and so did 3.50.7 and 3.44.6. Python is often
    linked to an older one, and this file holds money: there the rollback journal is used.
    """
    mended_in = {(3, 44): (3, 44, 6), (3, 50): (3, 50, 7)}
    return version >= mended_in.get(version[:2], (3, 51, 3))

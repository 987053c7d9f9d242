"""The records' tests run on both databases: a file of SQLite, and a server of PostgreSQL."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url

from apps.support_agent.tests.postgres import MISSING, Server, find, serve
from support_agent.shop.database import DATABASE_VARIABLE, open_database, shop_database
from support_agent.shop.records import Record

NewDatabase = Callable[[], str]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server for this worker's tests; without one, the tests that ask for it are skipped."""
    programs = find()
    if programs is None:
        pytest.skip(MISSING)
    with serve(programs) as server:
        yield server


@pytest.fixture(scope="session")
def emptied(postgres: Server) -> Callable[[], str]:
    """Empties the one database that these tests share, and gives its URL: a new one for each test
    would be seven megabytes each."""
    url = postgres.new_database()
    open_database(url).dispose()
    name = str(make_url(url).database)
    tables = ", ".join(table.name for table in Record.metadata.sorted_tables)
    with postgres.connect(name) as connection:
        counters = connection.execute("SELECT kind, last FROM case_counters").fetchall()

    def empty() -> str:
        with postgres.connect(name) as connection:
            connection.execute("SET lock_timeout = '30s'")
            connection.execute(f"TRUNCATE {tables} RESTART IDENTITY".encode())
            connection.cursor().executemany("INSERT INTO case_counters VALUES (%s, %s)", counters)
        return url

    return empty


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def system(request: pytest.FixtureRequest) -> str:
    """Which of the two databases the test runs on."""
    return request.param


@pytest.fixture
def new_database(system: str, request: pytest.FixtureRequest, tmp_path: Path) -> NewDatabase:
    """Gives the URL of a database with nothing in it, not even tables."""
    if system == "postgresql":
        server: Server = request.getfixturevalue("postgres")
        return server.new_database
    numbers = iter(range(1000))
    return lambda: f"sqlite:///{tmp_path / f'new-{next(numbers)}.db'}"


@pytest.fixture
def database(
    system: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Engine]:
    """An empty database, which is also the one that SUPPORT_DATABASE names."""
    if system == "postgresql":
        emptied: Callable[[], str] = request.getfixturevalue("emptied")
        url = emptied()
    else:
        path = shutil.copy(request.getfixturevalue("empty_shop"), tmp_path / "shop.db")
        url = f"sqlite:///{path}"
    monkeypatch.setenv(DATABASE_VARIABLE, url)
    engine = shop_database()
    yield engine
    engine.dispose()
    open_database.cache_clear()

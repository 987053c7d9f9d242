"""A shop of its own for each test: a real SQLite file, with one paid order in it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from apps.support_agent.tests.postgres import MISSING
from support_agent.shop.database import DATABASE_VARIABLE, open_database, shop_database
from support_agent.shop.orders import import_orders

ONE_ORDER = """\
order_number,ordered_at,customer_name,customer_email,sku,product,quantity,unit_price,currency,\
payment_reference,payment_method,amount_paid
A-1042,2026-07-28T07:44:28Z,Amina Diallo,amina@example.org,KIT-0101,Teapot,1,64.50,EUR,\
PAY-1,card,124.10
A-1042,2026-07-28T07:44:28Z,Amina Diallo,amina@example.org,KIT-0102,"Mug, moss",4,14.90,EUR,\
PAY-1,card,124.10
"""


@pytest.fixture(scope="session")
def empty_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables and nothing in them; a copy of it is there at once."""
    path = tmp_path_factory.mktemp("empty") / "shop.db"
    open_database(f"sqlite:///{path}").dispose()
    return path


@pytest.fixture
def database(tmp_path: Path, empty_shop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An empty database, which is also the one that SUPPORT_DATABASE names."""
    path = shutil.copy(empty_shop, tmp_path / "shop.db")
    monkeypatch.setenv(DATABASE_VARIABLE, f"sqlite:///{path}")
    engine = shop_database()
    yield engine
    engine.dispose()
    open_database.cache_clear()


@pytest.fixture
def order_file(tmp_path: Path) -> Path:
    """A file with one order of 124.10 EUR, paid in full."""
    path = tmp_path / "orders.csv"
    path.write_text(ONE_ORDER, encoding="utf-8")
    return path


@pytest.fixture
def shop(database: Engine, order_file: Path) -> Engine:
    """A database with order A-1042, of which 124.10 EUR were paid."""
    import_orders(database, order_file)
    return database


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Half of the records' tests skipped is nothing to find out by chance."""
    skipped = [report for report in terminalreporter.stats.get("skipped", [])]
    lost = sum(MISSING in str(report.longrepr) for report in skipped)
    if lost:
        terminalreporter.section("PostgreSQL", red=True)
        terminalreporter.line(f"{lost} tests were SKIPPED. {MISSING}", red=True)

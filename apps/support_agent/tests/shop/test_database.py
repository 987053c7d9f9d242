import sqlite3
import threading
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from apps.support_agent.tests.postgres import Server
from support_agent.shop.database import (
    DATABASE_VARIABLE,
    open_database,
    reading,
    shop_database,
    write_ahead_log_is_sound,
    writing,
)
from support_agent.shop.records import CaseRecord, Customer, Order, OrderItem, Payment

ON_SQLITE = pytest.mark.parametrize("system", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize(
    "system", [pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)


def test_a_transaction_that_fails_leaves_nothing(database: Engine) -> None:
    with pytest.raises(ZeroDivisionError), writing(database) as session:
        session.add(Customer(name="Amina Diallo", email="amina@example.org"))
        session.flush()
        raise ZeroDivisionError

    with reading(database) as session:
        assert session.scalars(select(Customer)).all() == []


def test_what_a_reader_changes_is_thrown_away(database: Engine) -> None:
    with reading(database) as session:
        session.add(Customer(name="Amina Diallo", email="amina@example.org"))
        session.flush()

    with reading(database) as session:
        assert session.scalars(select(Customer)).all() == []


@ON_SQLITE
def test_money_is_kept_as_whole_cents(shop: Engine) -> None:
    with reading(shop) as session:
        stored = session.execute(text("SELECT amount, typeof(amount) FROM payments")).one()
        read = session.scalars(select(Payment.amount)).one()

    assert tuple(stored) == (12410, "integer")
    assert (read, type(read)) == (Decimal("124.10"), Decimal)


@pytest.mark.slow
def test_a_moment_comes_back_in_utc_whatever_zone_it_had(shop: Engine) -> None:
    in_delhi = datetime(2026, 7, 28, 13, 0, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with writing(shop) as session:
        session.get_one(Order, "A-1042").ordered_at = in_delhi

    with reading(shop) as session:
        read = session.get_one(Order, "A-1042").ordered_at

    assert (read, read.tzinfo) == (in_delhi, UTC)


def test_a_moment_without_a_zone_is_refused(shop: Engine) -> None:
    with pytest.raises(StatementError, match="no time zone"), writing(shop) as session:
        naive = datetime(2026, 7, 28, tzinfo=UTC).replace(tzinfo=None)
        session.get_one(Order, "A-1042").ordered_at = naive


def test_an_article_without_an_order_is_refused(database: Engine) -> None:
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), writing(database) as session:
        session.add(
            OrderItem(
                order_number="A-1", sku="K", product="Teapot", quantity=1, unit_price=Decimal(1)
            )
        )


def test_a_status_that_no_case_has_is_refused_by_the_table_itself(shop: Engine) -> None:
    with writing(shop) as session:
        opened = datetime(2026, 8, 1, tzinfo=UTC)
        session.add(
            CaseRecord(
                id="C-1",
                customer=session.scalars(select(Customer)).one(),
                order_number="A-1042",
                amount=Decimal("64.50"),
                reason="Broken.",
                opened_at=opened,
            )
        )

    with pytest.raises(IntegrityError, match="case_status"), writing(shop) as session:
        session.execute(text("UPDATE cases SET status = 'denied'"))


@pytest.mark.slow
@ON_SQLITE
def test_a_writer_waits_for_another_instead_of_failing(shop: Engine) -> None:
    inside, done = threading.Event(), threading.Event()

    def rename(name: str) -> None:
        with writing(shop) as session:
            customer = session.scalars(select(Customer)).one()
            inside.set()
            done.wait(0.2)  # the other writer has asked for its turn by then
            customer.name += name

    threads = [threading.Thread(target=rename, args=(name,)) for name in ("x", "y")]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    for thread in threads:
        thread.join(10)

    with reading(shop) as session:
        name = session.scalars(select(Customer.name)).one()
    assert name in ("Amina Diallo" + "xy", "Amina Diallo" + "yx")


@ON_SQLITE
def test_the_pragmas_are_set_on_every_connection(database: Engine) -> None:
    with database.connect() as first, database.connect() as second:
        for connection in (first, second):
            found = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("foreign_keys", "synchronous", "busy_timeout", "journal_mode")
            }
            sound = write_ahead_log_is_sound(sqlite3.sqlite_version_info)
            assert found == {
                "foreign_keys": 1,
                "synchronous": 2,
                "busy_timeout": 10_000,
                "journal_mode": "wal" if sound else "delete",
            }


@pytest.mark.parametrize("version", [(3, 44, 6), (3, 50, 7), (3, 51, 3), (3, 54, 0), (4, 0, 0)])
def test_the_write_ahead_log_is_used_where_it_was_mended(version: tuple[int, int, int]) -> None:
    assert write_ahead_log_is_sound(version)


@pytest.mark.parametrize("version", [(3, 40, 1), (3, 44, 5), (3, 45, 9), (3, 50, 6), (3, 51, 2)])
def test_the_write_ahead_log_is_left_alone_before(version: tuple[int, int, int]) -> None:
    assert not write_ahead_log_is_sound(version)


@ON_POSTGRESQL
def test_a_server_that_was_started_again_is_asked_as_if_nothing_had_been(
    shop: Engine, postgres: Server
) -> None:
    with reading(shop) as session:
        session.scalars(select(Order)).all()  # its connection goes back to the pool
    with postgres.connect(str(shop.url.database)) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    with reading(shop) as session:
        assert len(session.scalars(select(Order)).all()) == 1


@pytest.mark.slow
def test_the_database_is_the_one_that_the_environment_names(
    tmp_path: Path, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.db"
    monkeypatch.setenv(DATABASE_VARIABLE, f"sqlite:///{other}")

    engine = shop_database()
    engine.dispose()

    assert engine is not database
    assert other.exists()


def test_opening_a_database_again_keeps_what_is_in_it(shop: Engine) -> None:
    open_database.cache_clear()
    again = open_database(shop.url.render_as_string())

    with reading(again) as session:
        assert session.get(Order, "A-1042") is not None
    again.dispose()

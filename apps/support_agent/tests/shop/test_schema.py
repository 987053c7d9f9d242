"""Databases of every age are brought to the newest version, and none loses anything."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, select, text

from apps.support_agent.tests.shop.conftest import NewDatabase
from support_agent.shop.database import open_database, reading, writing
from support_agent.shop.errors import CaseAlreadyRefunded, DatabaseTooNew
from support_agent.shop.ledger import entries, refund, refundable
from support_agent.shop.lookup import case_of, cases_of
from support_agent.shop.records import CaseChange, CaseRecord, PayoutRecord, Record

# What the program created before its tables had versions, and what it had written by then.
OLD_TABLES = """
CREATE TABLE customers (
    id INTEGER NOT NULL,
    email VARCHAR(254) NOT NULL,
    name VARCHAR(200) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (email)
);
CREATE TABLE orders (
    number VARCHAR(20) NOT NULL,
    customer_id INTEGER NOT NULL,
    ordered_at DATETIME NOT NULL,
    currency VARCHAR(3) NOT NULL,
    PRIMARY KEY (number),
    FOREIGN KEY(customer_id) REFERENCES customers (id)
);
CREATE INDEX ix_orders_customer_id ON orders (customer_id);
CREATE TABLE order_items (
    order_number VARCHAR(20) NOT NULL,
    sku VARCHAR(40) NOT NULL,
    product VARCHAR(200) NOT NULL,
    quantity INTEGER NOT NULL,
    unit_price BIGINT NOT NULL,
    PRIMARY KEY (order_number, sku),
    CONSTRAINT an_item_is_at_least_one CHECK (quantity > 0),
    CONSTRAINT a_price_is_not_negative CHECK (unit_price >= 0),
    FOREIGN KEY(order_number) REFERENCES orders (number)
);
CREATE TABLE payments (
    reference VARCHAR(40) NOT NULL,
    order_number VARCHAR(20) NOT NULL,
    method VARCHAR(40) NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (reference),
    CONSTRAINT a_payment_is_more_than_nothing CHECK (amount > 0),
    FOREIGN KEY(order_number) REFERENCES orders (number)
);
CREATE INDEX ix_payments_order_number ON payments (order_number);
CREATE TABLE cases (
    id VARCHAR(200) NOT NULL,
    order_number VARCHAR(20) NOT NULL,
    amount BIGINT NOT NULL,
    reason VARCHAR NOT NULL,
    status VARCHAR(16) NOT NULL,
    opened_at DATETIME NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT a_case_asks_for_more_than_nothing CHECK (amount > 0),
    FOREIGN KEY(order_number) REFERENCES orders (number),
    CONSTRAINT case_status CHECK
        (status IN ('opened', 'pending_approval', 'approved', 'rejected', 'expired'))
);
CREATE INDEX ix_cases_order_number ON cases (order_number);
CREATE INDEX ix_cases_status ON cases (status);
CREATE TABLE case_changes (
    id INTEGER NOT NULL,
    idempotency_key VARCHAR(400) NOT NULL,
    case_id VARCHAR(200) NOT NULL,
    status VARCHAR(16) NOT NULL,
    reason VARCHAR NOT NULL,
    changed_at DATETIME NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (idempotency_key),
    FOREIGN KEY(case_id) REFERENCES cases (id),
    CONSTRAINT case_status CHECK
        (status IN ('opened', 'pending_approval', 'approved', 'rejected', 'expired'))
);
CREATE INDEX ix_case_changes_case_id ON case_changes (case_id);
CREATE TABLE refunds (
    id INTEGER NOT NULL,
    idempotency_key VARCHAR(400) NOT NULL,
    case_id VARCHAR(200) NOT NULL,
    order_number VARCHAR(20) NOT NULL,
    amount BIGINT NOT NULL,
    issued_at DATETIME NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT a_case_is_refunded_once UNIQUE (case_id),
    CONSTRAINT a_refund_is_more_than_nothing CHECK (amount > 0),
    UNIQUE (idempotency_key),
    FOREIGN KEY(case_id) REFERENCES cases (id),
    FOREIGN KEY(order_number) REFERENCES orders (number)
);
CREATE INDEX ix_refunds_order_number ON refunds (order_number);
CREATE TABLE messages (
    id INTEGER NOT NULL,
    idempotency_key VARCHAR(400) NOT NULL,
    case_id VARCHAR(200) NOT NULL,
    recipient VARCHAR(254) NOT NULL,
    text VARCHAR NOT NULL,
    written_at DATETIME NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (idempotency_key),
    FOREIGN KEY(case_id) REFERENCES cases (id)
);
CREATE INDEX ix_messages_case_id ON messages (case_id);
CREATE TABLE refund_calls (
    id INTEGER NOT NULL,
    refund_id INTEGER NOT NULL,
    called_at DATETIME NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(refund_id) REFERENCES refunds (id)
);
CREATE INDEX ix_refund_calls_refund_id ON refund_calls (refund_id);
"""
OLD_ROWS = """
INSERT INTO customers VALUES (7, 'amina@example.org', 'Amina Diallo');
INSERT INTO orders VALUES ('A-1042', 7, '2026-07-28 07:44:28.000000', 'EUR');
INSERT INTO order_items VALUES ('A-1042', 'KIT-0101', 'Teapot', 1, 6450);
INSERT INTO payments VALUES ('PAY-1', 'A-1042', 'card', 12410);
INSERT INTO cases VALUES ('C-1', 'A-1042', 6450, 'Broken.', 'approved', '2026-08-01 09:00:00');
INSERT INTO cases VALUES ('C-2', 'A-1042', 100, 'Late.', 'pending_approval', '2026-08-02 09:00:00');
INSERT INTO cases VALUES ('C-3', 'A-1042', 100, 'Why not?', 'rejected', '2026-08-03 09:00:00');
INSERT INTO case_changes VALUES (1, 'k1', 'C-1', 'pending_approval', '', '2026-08-01 09:01:00');
INSERT INTO case_changes VALUES (2, 'k2', 'C-1', 'approved', '', '2026-08-01 10:00:00');
INSERT INTO case_changes VALUES (3, 'k3', 'C-3', 'rejected', 'No.', '2026-08-03 10:00:00');
INSERT INTO refunds VALUES (1, 'pay', 'C-1', 'A-1042', 6000, '2026-08-01 10:00:01');
INSERT INTO refund_calls VALUES (1, 1, '2026-08-01 10:00:01');
INSERT INTO refund_calls VALUES (2, 1, '2026-08-01 10:00:09');
INSERT INTO messages VALUES
    (1, 'm1', 'C-1', 'amina@example.org', 'You get 60.00 EUR back.', '2026-08-01 10:00:02');
INSERT INTO messages VALUES
    (2, 'm3', 'C-3', 'amina@example.org', 'We cannot refund it: No.', '2026-08-03 10:00:02');
"""


def columns_and_rules(engine: Engine) -> dict[str, object]:
    """Everything about the tables that matters, whatever order it was made in."""
    look = inspect(engine)
    return {
        table: (
            sorted((one["name"], str(one["type"]), one["nullable"]) for one in columns),
            look.get_pk_constraint(table)["constrained_columns"],
            sorted(
                (one["constrained_columns"], one["referred_table"], one["referred_columns"])
                for one in look.get_foreign_keys(table)
            ),
            sorted(one["column_names"] for one in look.get_unique_constraints(table)),
            sorted((str(one["name"]), one["column_names"]) for one in look.get_indexes(table)),
            sorted((str(one["name"]), one["sqltext"]) for one in look.get_check_constraints(table)),
        )
        for table, columns in (
            (name, look.get_columns(name))
            for name in look.get_table_names()
            if name != "alembic_version"
        )
    }


@pytest.mark.slow
def test_the_versions_lead_to_the_tables_that_the_records_describe(
    new_database: NewDatabase,
) -> None:
    walked = open_database(new_database())
    described = create_engine(new_database())
    Record.metadata.create_all(described)

    with walked.connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), Record.metadata)
    assert difference == []
    assert columns_and_rules(walked) == columns_and_rules(described)
    walked.dispose()
    described.dispose()


@pytest.fixture
def old(system: str, new_database: NewDatabase) -> str:
    """A database of the program before its tables had versions."""
    url = new_database()
    if system == "sqlite":
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.executescript(OLD_TABLES + OLD_ROWS)
        connection.close()
        return url
    engine = create_engine(url)
    with engine.begin() as connection:
        # The same tables; PostgreSQL has other words for a moment and for a number that grows.
        tables = OLD_TABLES.replace("DATETIME", "TIMESTAMP WITH TIME ZONE")
        connection.execute(text(tables.replace("    id INTEGER", "    id SERIAL")))
        connection.execute(text(OLD_ROWS))
        for table in ("customers", "case_changes", "refunds", "refund_calls", "messages"):
            connection.execute(text(f"SELECT setval('{table}_id_seq', 100)"))
    engine.dispose()
    return url


@pytest.mark.slow
@pytest.mark.parametrize("system", ["sqlite"], indirect=True)
def test_the_first_version_is_what_old_databases_hold(old: str, tmp_path: Path) -> None:
    first = create_engine(f"sqlite:///{tmp_path / 'first.db'}")
    config = Config()
    config.set_main_option("script_location", "support_agent.shop:migrations")
    with first.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")

    engine = create_engine(old)
    assert columns_and_rules(first) == columns_and_rules(engine)
    engine.dispose()
    first.dispose()


@pytest.mark.slow
def test_an_old_database_is_brought_up_to_date_and_loses_nothing(old: str) -> None:
    engine = open_database(old)

    with reading(engine) as session:
        seen = [
            (case.id, case.kind, case.status, case.refunded_amount, case.outcome)
            for case in cases_of(session, 7)
        ]
        (entry,) = entries(session, "C-1")
        left = refundable(session, "A-1042")
        moves = session.scalars(select(CaseChange.status).where(CaseChange.case_id == "C-1")).all()
        assert case_of(session, 8, "C-1") is None
    assert seen == [
        ("C-3", "refund", "rejected", None, "We cannot refund it: No."),
        ("C-2", "refund", "pending_approval", None, ""),
        ("C-1", "refund", "refunded", Decimal("60.00"), "You get 60.00 EUR back."),
    ]
    assert (entry.receipt.amount, entry.calls, left) == (Decimal("60.00"), 2, Decimal("64.10"))
    assert sorted(moves) == ["approved", "pending_approval", "refunded"]
    engine.dispose()


@pytest.mark.slow
def test_what_was_paid_before_the_versions_is_not_paid_again(old: str) -> None:
    engine = open_database(old)

    with writing(engine) as session:
        again = refund(session, case_id="C-1", amount=Decimal("60.00"), key="pay")
    with pytest.raises(CaseAlreadyRefunded), writing(engine) as session:
        refund(session, case_id="C-1", amount=Decimal("60.00"), key="another")

    assert again.number == "RF-000001"
    engine.dispose()


@pytest.mark.slow
def test_what_was_paid_before_the_payouts_came_from_its_payment(old: str) -> None:
    engine = open_database(old)

    with reading(engine) as session:
        (payout,) = session.scalars(select(PayoutRecord))
        assert (payout.case_id, payout.payment_reference, payout.amount, payout.status) == (
            "C-1",
            "PAY-1",
            Decimal("60.00"),
            "paid",
        )
    engine.dispose()


@pytest.mark.slow
def test_every_rule_holds_in_a_database_that_was_old(old: str) -> None:
    engine = open_database(old)
    walked = columns_and_rules(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Record.metadata) == []
    engine.dispose()

    assert {"case_counters", "case_requests", "articles"} <= set(walked)


@pytest.mark.slow
def test_a_database_of_a_newer_program_is_refused_and_left_alone(
    new_database: NewDatabase,
) -> None:
    url = new_database()
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    open_database.cache_clear()

    with pytest.raises(DatabaseTooNew, match="of version 9999, and this program knows up to"):
        open_database(url)

    look = create_engine(url)
    with look.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
    look.dispose()


@pytest.mark.slow
def test_programs_that_open_a_new_database_at_once_take_turns(new_database: NewDatabase) -> None:
    url = new_database()

    with ThreadPoolExecutor(4) as pool:
        # Past the cache, as four processes would.
        engines = list(pool.map(lambda _: open_database.__wrapped__(url), range(4)))

    with reading(engines[0]) as session:
        assert session.scalars(select(CaseRecord)).all() == []
    for engine in engines:
        engine.dispose()


def test_each_version_has_one_way_to_it() -> None:
    config = Config()
    config.set_main_option("script_location", "support_agent.shop:migrations")
    revisions = [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()]

    assert sorted(revisions, reverse=True) == revisions
    assert revisions[-1] == "0001"

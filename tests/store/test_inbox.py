"""The inbox of the SQLite store: what it finds, against a plain model of what it means."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, get_args

import apsw
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from adjourn.errors import InvalidIdError, StorageError
from adjourn.model.actor import Absent
from adjourn.model.inbox import (
    ApprovalStatus,
    ExecutionState,
    InboxQuery,
    InboxRow,
    Order,
    View,
)
from adjourn.model.state import to_microseconds
from adjourn.model.status import Status
from adjourn.store import sqlite, words
from adjourn.store.inbox import Inbox, Limits
from adjourn.store.protocol import Changes, InstanceRow, Query
from adjourn.store.sqlite import SQLiteStore
from adjourn.testing.store_contract import inserted, instance_row
from tests.store import inbox_model as model

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYS = range(1, 13)
TENANTS = {key: ("", "acme", "", "beta")[key % 4] for key in KEYS}
"""Whose instances they are: every row follows its own."""

# Small worlds, so that things coincide; their texts are what could break an index of words.

PEOPLE = ["lena", "omar", "Lena", 'o"mar', "grace\n", "", "group"]
RECIPIENTS = [*PEOPLE[:-2], "group:support", "group:Support", "role:lead", "*", "everybody"]
TEXTS = [
    "",
    "Refund 40",
    "réfund",
    "Straße",
    "a-b",
    "AND",
    "x' OR 1",
    "\ue041a",
    "e\u0301",
    "😀 ok",
]
TEXTS += ["per\u2003sons", "abc", "bcd", "abcd", "%", "under_score", "\0nul", "İ"]
MOMENTS = [
    NOW + timedelta(microseconds=offset)
    for offset in (0, -1, 1, -3_600_000_000, 7_200_000_000, -900 * 3_600_000_000, 9 * 10**15)
]
AMOUNTS = [None, 0.0, -0.0, -5.0, 0.001, 99.99, 100.0, 100.01, 12_345.0, 1e300]

people = st.sampled_from(PEOPLE)
texts = st.sampled_from(TEXTS)
moments = st.sampled_from(MOMENTS)
some_people = st.lists(st.sampled_from(PEOPLE[:4]), max_size=2)
some_recipients = st.lists(st.sampled_from(RECIPIENTS), max_size=3)

absent_people = st.builds(
    Absent,
    id=st.sampled_from(PEOPLE[:4]),
    groups=st.lists(st.sampled_from(["support", "Support", "finance"]), max_size=2),
    roles=st.lists(st.sampled_from(["approver", "lead"]), max_size=1),
)

inbox_rows = st.builds(
    InboxRow,
    id=texts,
    title=texts,
    opened_at=moments,
    pattern=st.sampled_from(["approval", "event"]),
    kind=st.sampled_from(["", "Refund", "refund", "Close account"]),
    status=st.sampled_from(get_args(ApprovalStatus)),
    to=some_recipients,
    not_by=some_recipients,
    voted=some_people,
    represented=some_people,
    asked_by=some_people,
    asked=some_recipients,
    holder=people,
    requester=people,
    on_behalf_of=texts,
    case=texts,
    risk=st.sampled_from(["low", "medium", "high"]),
    policy=st.sampled_from(["", "over 100", "over_100"]),
    amount=st.sampled_from(AMOUNTS),
    due_at=st.none() | moments,
    decided_at=st.none() | moments,
    decided_by=some_people,
    snoozed=st.dictionaries(st.sampled_from(PEOPLE[:4]), moments, max_size=2),
)

seldom = {
    "tenant": st.sampled_from(["", "acme", "beta", "nobodys"]),
    "within": some_recipients,
    "stands_in_for": st.lists(absent_people, min_size=1, max_size=3),
    "kind": st.sampled_from(["Refund", "Close account", "Coffee"]),
    "group": st.sampled_from(RECIPIENTS),
    "risk": st.sampled_from(["low", "high", "none"]),
    "policy": st.sampled_from(["over 100", "over"]),
    "requester": people,
    "case": texts,
    "text": texts
    | st.sampled_from(["ref", "FUND", "strasse", "d 4", "40 refund", "é", "zzz", "cd"]),
    "amount_from": st.sampled_from(AMOUNTS),
    "amount_to": st.sampled_from(AMOUNTS),
    "opened_before": moments,
    "opened_after": moments,
}
queries = st.builds(
    InboxQuery,
    person=people,
    recipients=some_recipients,
    now=moments,
    view=st.sampled_from(get_args(View)),
    order=st.sampled_from(get_args(Order)),
    limit=st.integers(1, 5),
).flatmap(
    lambda query: st.fixed_dictionaries({}, optional=seldom).map(
        lambda conditions: replace(query, **conditions)
    )
)
few = st.integers(1, 6)
limits = st.builds(Limits, count=few, few=few, gather=few, stretch=few) | st.just(Limits())
steps = st.lists(st.tuples(st.sampled_from(KEYS), st.none() | inbox_rows), max_size=6)


# No deadline: how long a disk or a busy machine takes says nothing of the inbox.
unhurried = settings(deadline=None, max_examples=150)


@cache
def used_store() -> SQLiteStore:
    """One that has been written to before, as most have, and that several tenants share."""
    return new_store(TENANTS)


def emptied(store: SQLiteStore) -> SQLiteStore:
    store.commit(Changes(inbox=[(key, None) for key in KEYS]))
    return store


def new_store(tenants: Mapping[int, str] | None = None) -> SQLiteStore:
    store = SQLiteStore(":memory:")
    rows = (instance_row(key, tenant=(tenants or {}).get(key, "")) for key in KEYS)
    store.commit(inserted(*rows))
    return store


def owned(key: int, row: InboxRow | None) -> tuple[int, InboxRow | None]:
    """The row as the engine puts it: it belongs to whom its instance belongs to."""
    return key, None if row is None else replace(row, tenant=TENANTS[key])


def limited(store: SQLiteStore, limits: Limits) -> Inbox:
    """The same inbox, which takes other ways to its rows."""
    return Inbox(lambda text, given: store._db.execute(text, given).fetchall(), limits)


def pages(inbox: Inbox, query: InboxQuery) -> Iterator[InboxRow]:
    """All rows, page by page."""
    while True:
        page = inbox.page(query)
        assert len(page.rows) <= query.limit
        yield from page.rows
        if page.next_token is None:
            return
        query = replace(query, page_token=page.next_token)


@pytest.mark.slow
@unhurried
@given(st.lists(inbox_rows, max_size=len(KEYS)), st.lists(steps, max_size=3), queries, limits)
def test_the_inbox_finds_what_a_look_at_every_row_finds(
    first: list[InboxRow],
    later: list[list[tuple[int, InboxRow | None]]],
    query: InboxQuery,
    limits: Limits,
) -> None:
    store, rows = emptied(used_store()), dict[int, InboxRow]()
    for step in ([*zip(KEYS, first, strict=False)], *later):
        changes = [owned(key, row) for key, row in step]
        store.commit(Changes(inbox=changes))
        for key, row in changes:
            rows.pop(key, None)
            if row is not None:
                rows[key] = row
    inbox = limited(store, limits)

    assert list(pages(inbox, query)) == model.listed(rows, query)
    assert inbox.counts(query) == model.counted(rows, query, limits.count)


@pytest.mark.slow
@unhurried
@given(inbox_rows, inbox_rows)
def test_a_row_that_is_replaced_or_removed_leaves_nothing_behind(
    old: InboxRow, new: InboxRow
) -> None:
    store = emptied(used_store())
    store.commit(Changes(inbox=[(1, new)]))
    alone = contents(store)
    emptied(store)
    assert not any(contents(store).values())

    store.commit(Changes(inbox=[(1, old)]))
    store.commit(Changes(inbox=[(1, new)]))

    assert contents(store) == alone


def contents(store: SQLiteStore) -> dict[str, list[tuple[Any, ...]]]:
    """All that the tables of the inbox hold, and the words of its indexes."""
    db = store._db
    found = {
        table: db.execute(f"SELECT * FROM {table}").fetchall()
        for table in ("inbox", "inbox_rows", "inbox_snoozes")
    }
    for index in ("inbox_open_words", "inbox_ended_words"):
        db.execute(f"CREATE VIRTUAL TABLE temp.seen USING fts5vocab(main, {index}, instance)")
        found[index] = sorted(db.execute("SELECT term, doc FROM temp.seen").fetchall())
        db.execute("DROP TABLE temp.seen")
    found["inbox_rows"] = [
        (key, sorted(facts.split()), row) for key, facts, row in found["inbox_rows"]
    ]
    return found


# What a step writes.


def row_of(id: str = "a-1", **fields: Any) -> InboxRow:
    return InboxRow(id=id, title=f"Refund {id}", opened_at=NOW, **fields)


def test_the_same_row_again_writes_nothing() -> None:
    store = new_store()
    store.commit(Changes(inbox=[(1, row_of(to=["lena"]))]))
    before = store._db.total_changes()

    store.commit(Changes(inbox=[(1, row_of(to=["lena"]))]))

    assert store._db.total_changes() == before
    store.close()


def test_a_comment_or_a_reminder_does_not_touch_the_index() -> None:
    store = new_store()
    store.commit(Changes(inbox=[(1, row_of(to=["lena"]))]))
    written: list[str] = []
    store._db.preupdate_hook(lambda update: written.append(update.table_name))

    store.commit(Changes(inbox=[(1, row_of(to=["lena"], reminders=1))]))

    assert sorted(written) == ["inbox", "inbox_rows"]
    store.close()


@pytest.mark.parametrize(
    "impossible",
    [{"status": "answered"}, {"risk": "none"}, {"execution": "asleep"}],
    ids=str,
)
def test_an_impossible_row_is_refused(impossible: dict[str, Any]) -> None:
    store = new_store()

    with pytest.raises(StorageError, match="CHECK constraint failed"):
        store.commit(Changes(inbox=[(1, row_of(**impossible))]))

    assert store.inbox_row(1) is None
    store.close()


def test_a_row_of_no_instance_is_refused() -> None:
    store = new_store()

    with pytest.raises(StorageError, match="FOREIGN KEY"):
        store.commit(Changes(inbox=[(99, row_of())]))
    store.close()


@pytest.mark.parametrize("execution", [each for each in get_args(ExecutionState) if each != "none"])
def test_a_row_that_tells_an_execution_of_its_own_sets_it(execution: ExecutionState) -> None:
    store = new_store()
    store.commit(Changes(inbox=[(1, row_of())], inbox_executions=[(1, "queued")]))

    store.commit(Changes(inbox=[(1, row_of(execution=execution))]))

    found = store.inbox_row(1)
    assert found is not None
    assert found.execution == execution
    store.close()


# Damage.


def query_of(view: View = "all", **fields: Any) -> InboxQuery:
    return InboxQuery(person="lena", recipients=["lena"], now=NOW, view=view, **fields)


def test_a_damaged_row_hides_no_other_and_says_so(tmp_path: Path) -> None:
    store = new_store()
    store.commit(Changes(inbox=[(1, row_of("a-1")), (2, row_of("a-2"))]))
    store._db.execute("UPDATE inbox_rows SET row = '{\"id\":' WHERE instance = 1")

    damaged, whole = store.inbox(query_of(order="oldest")).rows

    assert whole == row_of("a-2")
    assert (damaged.id, damaged.opened_at) == ("order-1", NOW)
    assert "damaged" in damaged.problem
    store.close()


@pytest.mark.parametrize("new", [None, row_of("b-1", decided_by=["omar"], status="approved")])
def test_a_damaged_row_can_be_replaced_and_removed(new: InboxRow | None) -> None:
    store, fresh = new_store(), new_store()
    store.commit(Changes(inbox=[(1, row_of("a-1", to=["lena"], snoozed={"omar": NOW}))]))
    store._db.execute("UPDATE inbox_rows SET row = '{\"id\":'")

    store.commit(Changes(inbox=[(1, new)]))
    fresh.commit(Changes(inbox=[(1, new)]))

    assert contents(store) == contents(fresh)


# Page tokens.


def encoded(some: bytes) -> str:
    return base64.urlsafe_b64encode(some).decode().rstrip("=")


def token(name: Any, *position: Any) -> str:
    packed = msgspec.msgpack.encode((name, position))
    return encoded(packed)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "!",
        "ünïcode",
        "a" * 201,
        "AAAA",
        token("due"),
        token("due", 1, 2),
        token("due", 1, 2, 3, 4),
        token("due", 1, 2, "3"),
        token("due", 1.5, 2, 3),
        token("due", 2**63, 2, 3),
        token("due", True, 2, 3),
        token("oldest", 1, 2),
        token(7, 1, 2, 3),
        token("due", 1, 2, 3) + "=====",
    ],
)
def test_a_token_of_nothing_is_refused_by_name(given: str) -> None:
    store = new_store()

    with pytest.raises(InvalidIdError, match="cannot be a page token"):
        store.inbox(query_of(page_token=given))
    store.close()


@pytest.mark.slow
@unhurried
@given(st.text(max_size=60) | st.binary(max_size=40).map(encoded))
def test_no_text_that_is_given_for_a_token_does_anything_but_page_or_be_refused(given: str) -> None:
    with suppress(InvalidIdError):
        used_store().inbox(query_of(page_token=given, order="amount"))


def test_a_token_of_an_amount_that_is_no_number_is_refused() -> None:
    store = new_store()

    with pytest.raises(InvalidIdError):
        store.inbox(query_of(page_token=token("amount", float("nan"), 1, 2), order="amount"))
    store.close()


def test_a_page_of_no_rows_is_empty_and_the_last() -> None:
    store = new_store()
    store.commit(Changes(inbox=[(1, row_of())]))

    for limit in (0, -1):
        page = store.inbox(query_of(limit=limit))
        assert (page.rows, page.next_token) == ([], None)
    store.close()


# Extremes.


@pytest.mark.slow
@pytest.mark.parametrize("limits", [Limits(), Limits(few=1, gather=1)], ids=["default", "many"])
def test_a_person_may_be_in_very_many_groups(limits: Limits) -> None:
    store = new_store()
    store.commit(Changes(inbox=[(1, row_of(to=["group:1199"])), (2, row_of(to=["group:x"]))]))
    query = InboxQuery(
        person="lena", recipients=["lena", *(f"group:{n}" for n in range(1_200))], now=NOW
    )
    inbox = limited(store, limits)

    assert inbox.page(query).rows == [row_of(to=["group:1199"])]
    assert inbox.counts(query)["unclaimed"] == 1
    assert inbox.counts(replace(query, text="refund"))["needs_me"] == 1
    store.close()


@pytest.mark.parametrize("limits", [Limits(), Limits(few=1, gather=1)], ids=["default", "many"])
def test_a_very_long_text_is_looked_for(limits: Limits) -> None:
    store = new_store()
    long = " ".join(f"word{number}" for number in range(1_000))
    store.commit(Changes(inbox=[(1, replace(row_of(), title=long)), (2, row_of())]))
    inbox = limited(store, limits)

    assert len(inbox.page(query_of(text=long)).rows) == 1
    assert inbox.counts(query_of(text=long + " word"))["all"] == 1
    assert len(inbox.page(query_of(text="x" * 100_000)).rows) == 0
    store.close()


# Words.

numbers = st.integers(0, words.LAST)


@pytest.mark.slow
@unhurried
@given(numbers, numbers, numbers)
def test_exactly_the_numbers_of_a_span_have_a_word_of_it(one: int, other: int, number: int) -> None:
    low, high = sorted((one, other))
    for within in (number, low, high, max(low - 1, 0), min(high + 1, words.LAST)):
        found = set(words.steps("amount", within)) & set(words.span("amount", low, high))
        assert bool(found) == (low <= within <= high)


@pytest.mark.slow
@unhurried
@given(numbers, numbers, numbers)
def test_a_rough_span_is_short_and_leaves_nothing_out(one: int, other: int, number: int) -> None:
    low, high = sorted((one, other))
    rough = words.rough_span("amount", low, high)

    assert len(rough) <= words.MOST_STEPS
    for within in (low, high, min(max(number, low), high)):
        assert set(words.steps("amount", within)) & set(rough)


def test_a_span_of_nothing_has_no_words() -> None:
    assert words.span("amount", 5, 4) == words.rough_span("amount", 5, 4) == []


@unhurried
@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_a_greater_amount_has_no_lesser_magnitude(one: float, other: float) -> None:
    less, more = sorted((one, other))

    assert 0 <= words.magnitude(less) <= words.magnitude(more) <= words.LAST


@pytest.mark.slow
@unhurried
@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_different_facts_have_different_words_and_each_is_one_token(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    facts = [words.fact(f"name{len(name)}", value) for name, value in (one, other)]

    assert (facts[0] == facts[1]) == ((len(one[0]), one[1]) == (len(other[0]), other[1]))
    database = apsw.Connection(":memory:")
    database.execute("CREATE VIRTUAL TABLE words USING fts5 (word, tokenize = 'ascii')")
    database.execute("CREATE VIRTUAL TABLE seen USING fts5vocab (words, row)")
    database.execute("INSERT INTO words VALUES (?)", (facts[0],))
    assert database.execute("SELECT term FROM seen").fetchall() == [(facts[0],)]
    database.close()


@pytest.mark.slow
@unhurried
@given(st.text(), st.text())
def test_a_text_has_the_pieces_of_every_word_in_it(before: str, after: str) -> None:
    text = words.fold(before + after)
    part = words.fold(before[-3:] + after[:4])

    for word in part.split():
        if word in text:
            assert words.pieces(text).issuperset(words.pieces_of_all([word]))


# A file of the first schema.


COLUMNS_THEN = sqlite.sql.INSTANCE_COLUMNS.removesuffix(", tenant")
INSERT_WITHOUT_TENANT = f"INSERT INTO instances ({COLUMNS_THEN}) VALUES ({', '.join('?' * 23)})"


@pytest.fixture
def first_schema(tmp_path: Path) -> Path:
    """With instances of which some wait for the plain event."""
    rows = [
        instance_row(1, "order:1", waiting_for='["Approval"]', created_at=micro(0.000_001)),
        instance_row(2, "order-2", waiting_for='["Other","aPPROVAL"]', created_at=micro(5)),
        instance_row(3, "order-3", waiting_for='["Approval"]', custom_status='"Refund \\u00e9 40"'),
        instance_row(4, "order-4", waiting_for='["Approvals"]'),
        instance_row(5, "order-5"),
        instance_row(
            6, "o'6\"é", waiting_for='["Approval"]', status=Status.QUARANTINED, problem="broken"
        ),
        instance_row(7, waiting_for='["Approval"]', status=Status.SUSPENDED, custom_status='" "'),
        instance_row(8, waiting_for="no JSON"),
        instance_row(9, waiting_for='["Approval"]', custom_status='{"a":1}'),
        instance_row(10, waiting_for='["Approval"]', status=Status.COMPLETED, finished_at=1),
    ]
    path = tmp_path / "orders.db"
    older = apsw.Connection(str(path))
    older.execute(sqlite._migrations()[0]).fetchall()
    older.executemany(INSERT_WITHOUT_TENANT, (sqlite._insert_values(row)[:-1] for row in rows))
    older.execute(f"PRAGMA application_id = {sqlite.APPLICATION_ID}; PRAGMA user_version = 1")
    older.close()
    return path


def micro(seconds: float) -> int:
    return to_microseconds(NOW + timedelta(seconds=seconds))


def test_what_waits_for_the_plain_event_is_listed_after_an_upgrade(first_schema: Path) -> None:
    store = SQLiteStore(first_schema)

    rows = {key: store.inbox_row(key) for key in range(1, 11)}

    assert [key for key, row in rows.items() if row is not None] == [1, 2, 3, 6, 7, 9]
    assert rows[1] == InboxRow(
        id="order:1",
        title="order order:1",
        opened_at=NOW + timedelta(microseconds=1),
        pattern="event",
        kind="order",
        case="order:1",
    )
    assert [(row.title, row.problem) for row in rows.values() if row is not None] == [
        ("order order:1", ""),
        ("order order-2", ""),
        ("Refund é 40", ""),
        ("order o'6\"é", "broken"),
        ("order order-7", "Its instance is suspended."),
        ("order order-9", ""),
    ]
    store.close()


def test_what_was_listed_by_an_upgrade_is_as_if_a_step_had_put_it(first_schema: Path) -> None:
    store = SQLiteStore(first_schema)
    upgraded = contents(store)
    keyed = [(key, store.inbox_row(key)) for key in range(1, 11)]
    store.commit(Changes(inbox=[(key, None) for key, _ in keyed]))
    store.commit(Changes(inbox=[(key, row) for key, row in keyed if row is not None]))

    again = contents(store)

    for index in ("inbox", "inbox_snoozes", "inbox_open_words", "inbox_ended_words"):
        assert upgraded[index] == again[index]
    assert [facts for _, facts, _ in upgraded["inbox_rows"]] == [
        facts for _, facts, _ in again["inbox_rows"]
    ]
    assert store.inbox_counts(query_of(text="REFUND é"))["unclaimed"] == 1
    store.close()


def test_an_upgrade_of_very_many_goes_in_parts(
    first_schema: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "adjourn.store.inbox._UNDERIVED",
        "SELECT instance, row FROM inbox_rows "
        "WHERE instance NOT IN (SELECT instance FROM inbox) LIMIT 2",
    )

    store = SQLiteStore(first_schema)

    assert store.inbox_counts(query_of())["needs_me"] == 6
    store.close()


# Tenants.


def test_a_row_belongs_to_whom_its_instance_belongs_to_also_when_it_is_damaged() -> None:
    store = new_store(TENANTS)
    store.commit(Changes(inbox=[owned(key, row_of(f"a-{key}")) for key in (1, 2, 3)]))
    store._db.execute("UPDATE inbox_rows SET row = '{\"id\":' WHERE instance = 1")

    damaged = store.inbox_row(1)

    assert damaged is not None and damaged.tenant == "acme"
    assert [row.id for row in store.inbox(query_of(tenant="acme")).rows] == ["order-1"]
    assert [row.id for row in store.inbox(query_of(tenant="")).rows] == ["a-2"]
    assert store.inbox_counts(query_of(tenant="beta"))["all"] == 1
    assert store.inbox_counts(query_of())["all"] == 3
    store.close()


def test_without_any_tenant_the_rows_of_none_are_found_as_all_rows_are() -> None:
    """By the order's own index, not by words: a file that knows no tenants is as fast as ever."""
    store = new_store()
    store.commit(Changes(inbox=[(key, row_of(f"a-{key}")) for key in KEYS]))
    asked: list[str] = []

    def run(text: str, given: Any) -> list[tuple[Any, ...]]:
        asked.append(text)
        return store._db.execute(text, given).fetchall()

    inbox = Inbox(run)
    assert len(inbox.page(query_of(tenant="")).rows) == len(KEYS)
    assert inbox.counts(query_of(tenant=""))["all"] == len(KEYS)
    whole = [text for text in asked if "inbox_by_due" in text and "MATCH" not in text]
    assert len(whole) == 2
    assert inbox.page(query_of(tenant="acme")).rows == []
    store.close()


def test_an_upgrade_gives_each_row_its_tenant_and_keeps_what_became_of_it(tmp_path: Path) -> None:
    rows = [
        instance_row(1, tags='{"tenant":"acme","team":"red"}'),
        instance_row(2, name="adjourn.approval", parent=1),
        instance_row(3, parent=2),
        instance_row(4, tags='{"tenant":"Not one"}'),
        instance_row(5, tags='{"team":"red"}'),
        instance_row(6, tags="no JSON"),
        instance_row(7, tags='{"tenant":7}'),
        instance_row(8, parent=4, tags='{"tenant":"beta"}'),
    ]
    path = file_of_second_schema(tmp_path, rows)

    store = SQLiteStore(path)

    found = {key: row.tenant for key in range(1, 9) if (row := store.load(key)) is not None}
    assert found == {1: "acme", 2: "acme", 3: "acme", 4: "", 5: "", 6: "", 7: "", 8: ""}
    theirs = store.inbox(query_of("recent", tenant="acme")).rows
    assert theirs == [row_of("a-2", status="approved", tenant="acme", execution="done")]
    assert [row.id for row in store.inbox(query_of("all", tenant="")).rows] == ["a-5"]
    store.close()


def file_of_second_schema(folder: Path, rows: list[InstanceRow]) -> Path:
    """With a question that was executed, of instance 2, and an open one of 5."""
    path = folder / "orders.db"
    older = apsw.Connection(str(path))
    for script in sqlite._migrations()[:2]:
        older.execute(script).fetchall()
    older.executemany(INSERT_WITHOUT_TENANT, (sqlite._insert_values(row)[:-1] for row in rows))
    inbox = Inbox(lambda text, given: older.execute(text, given).fetchall())
    inbox.write(Changes(inbox=[(2, row_of("a-2", status="approved")), (5, row_of("a-5"))]))
    inbox.write(Changes(inbox_executions=[(2, "done")]))
    older.execute(f"PRAGMA application_id = {sqlite.APPLICATION_ID}; PRAGMA user_version = 2")
    older.close()
    return path


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("statuses", [[], [Status.RUNNING]])
@pytest.mark.parametrize("tenant", ["", "acme"])
def test_a_tenants_list_reads_that_tenants_rows_alone(
    tenant: str, statuses: list[Status], newest_first: bool
) -> None:
    store = new_store(TENANTS)
    query = Query(tenant=tenant, statuses=statuses, newest_first=newest_first, after_key=7)
    text, bindings = sqlite._list_query(query)

    plan = " ".join(row[3] for row in store._db.execute(f"EXPLAIN QUERY PLAN {text}", bindings))

    assert plan.startswith("SEARCH instances USING INDEX instances_by_tenant"), plan
    assert "SCAN" not in plan and "TEMP B-TREE" not in plan
    assert ("status" in plan) == bool(statuses)
    store.close()

"""The inbox in SQL answers what a plain reading of `adjourn.model.inbox` answers."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from adjourn.model.inbox import InboxQuery, InboxRow
from adjourn.store.protocol import Changes, InstanceRow
from adjourn.store.sqlite import SQLiteStore

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
pytestmark = pytest.mark.slow

PEOPLE = ["ada", "bo", "cy"]
TO = [*PEOPLE, "group:finance", "group:support", "role:lead"]
ME = "ada"
RECIPIENTS = ["ada", "group:finance", "role:lead"]
OPEN = ("open", "claimed", "info_requested")
WORDS = ["Refund", "Ärger", "o'brien", "50%", "A-1042", "x_y", '"quoted"', "日本語", "a", "REFUNDS"]
ORDERS = ("due", "oldest", "newest", "amount", "risk")


def some_row(dice: random.Random, number: int) -> InboxRow:
    status = dice.choice([*OPEN, *OPEN, "approved", "rejected", "expired"])
    ended = status not in OPEN
    hours = [None, *range(-30, 30)]
    due = dice.choice(hours)
    return InboxRow(
        id=f"case-{number}",
        title=" ".join(dice.choices(WORDS, k=3)),
        opened_at=NOW - timedelta(hours=dice.randint(0, 50), seconds=number),
        kind=dice.choice(["Refund", "Deploy"]),
        status=status,
        final=ended,
        to=dice.sample(TO, dice.randint(1, 3)),
        not_by=dice.sample(PEOPLE, dice.randint(0, 1)),
        voted=dice.sample(PEOPLE, dice.randint(0, 1)),
        asked_by=dice.sample(PEOPLE, dice.randint(0, 1)),
        holder=dice.choice(["", "", *PEOPLE]) if not ended else "",
        requester=dice.choice(["", *PEOPLE]),
        risk=dice.choice(["low", "medium", "high"]),
        policy=dice.choice(["", "p1", "p2"]),
        case=f"c{number % 5}",
        amount=dice.choice([None, 0.0, -3.5, 10.0, 99.99, 1e9]),
        due_at=None if due is None else NOW + timedelta(hours=due),
        decided_at=NOW - timedelta(hours=1, seconds=number) if ended else None,
        decided_by=dice.sample(PEOPLE, 1) if ended else [],
        snoozed={who: NOW + timedelta(hours=dice.choice([-1, 1])) for who in dice.sample(PEOPLE, 1)}
        if dice.random() < 0.3
        else {},
    )


def some_query(dice: random.Random, view: str) -> InboxQuery:
    def perhaps(*values: object) -> object:
        return dice.choice(values) if dice.random() < 0.25 else type(values[0])()

    return InboxQuery(
        person=ME,
        recipients=RECIPIENTS,
        now=NOW,
        view=view,  # type: ignore[arg-type]
        kind=perhaps("Refund", "refund"),  # type: ignore[arg-type]
        group=perhaps("group:finance", "bo"),  # type: ignore[arg-type]
        risk=perhaps("high", "low"),  # type: ignore[arg-type]
        policy=perhaps("p1"),  # type: ignore[arg-type]
        requester=perhaps("bo"),  # type: ignore[arg-type]
        case=perhaps("c1"),  # type: ignore[arg-type]
        text=perhaps("refund", "ÄRGER", "o'br 50%", "_", "日本", '"', "zzz", "a-10", "bo"),  # type: ignore[arg-type]
        amount_from=dice.choice([None, None, None, 10.0, -3.5]),
        amount_to=dice.choice([None, None, None, 99.99]),
        opened_before=dice.choice([None, None, NOW - timedelta(hours=10)]),
        opened_after=dice.choice([None, None, NOW - timedelta(hours=40)]),
        order=dice.choice(ORDERS),
        limit=dice.randint(1, 9),
    )


def in_view(row: InboxRow, view: str) -> bool:
    is_open = row.status in OPEN
    addressed = bool(set(row.to) & set(RECIPIENTS))
    groups = {name for name in RECIPIENTS if ":" in name}
    may = row.requester != ME and not set(row.not_by) & set(RECIPIENTS)
    mine = (addressed or row.holder == ME) and may and ME not in row.voted
    snoozed = ME in row.snoozed and row.snoozed[ME] > NOW
    match view:
        case "needs_me":
            return is_open and mine and not snoozed
        case "unclaimed":
            to_group = bool(set(row.to) & groups)
            return is_open and to_group and mine and not snoozed and not row.holder
        case "overdue":
            return is_open and mine and row.due_at is not None and row.due_at <= NOW
        case "waiting":
            return is_open and (row.requester == ME or ME in row.voted or ME in row.asked_by)
        case "snoozed":
            return is_open and snoozed
        case "decided":
            return not is_open and ME in row.decided_by
        case "recent":
            return not is_open
        case _:
            return is_open


def passes(row: InboxRow, query: InboxQuery) -> bool:
    fields = (row.title, row.id, row.case, row.requester, row.on_behalf_of)
    text = "\n".join(fields).casefold()
    amount = row.amount
    return (
        (not query.kind or row.kind == query.kind)
        and (not query.group or query.group in row.to)
        and (not query.risk or row.risk == query.risk)
        and (not query.policy or row.policy == query.policy)
        and (not query.requester or row.requester == query.requester)
        and (not query.case or row.case == query.case)
        and all(word in text for word in query.text.casefold().split())
        and (query.amount_from is None or (amount is not None and amount >= query.amount_from))
        and (query.amount_to is None or (amount is not None and amount <= query.amount_to))
        and (query.opened_before is None or row.opened_at < query.opened_before)
        and (query.opened_after is None or row.opened_at >= query.opened_after)
    )


def sort_key(row: InboxRow, query: InboxQuery) -> tuple[object, ...]:
    due = row.due_at or datetime.max.replace(tzinfo=UTC)
    opened = row.opened_at
    if query.view in ("decided", "recent"):
        return (-(row.decided_at or opened).timestamp(),)
    match query.order:
        case "due":
            return (due, opened)
        case "oldest":
            return (opened,)
        case "newest":
            return (-opened.timestamp(),)
        case "amount":
            return (float("inf") if row.amount is None else -row.amount, opened)
        case _:
            return (["high", "medium", "low"].index(row.risk), due, opened)


def pages(store: SQLiteStore, query: InboxQuery) -> list[str]:
    found: list[str] = []
    token = None
    for _ in range(1_000):
        page = store.inbox(replace(query, page_token=token))
        found += [row.id for row in page.rows]
        token = page.next_token
        if token is None:
            return found
    raise AssertionError("pages without end")


VIEWS = ("needs_me", "unclaimed", "overdue", "waiting", "snoozed", "decided", "all", "recent")


@pytest.mark.parametrize("seed", range(6))
def test_every_view_filter_and_order_is_what_the_words_say(seed: int) -> None:
    dice = random.Random(seed)
    store = SQLiteStore(":memory:")
    rows: dict[int, InboxRow] = {}
    for number in range(1, 61):
        row = InstanceRow(key=number, id=f"case-{number}", name="x", length=1, head=bytes(32))
        row.start_digest = b""
        store.commit(Changes(inserted=[row]))
    for _ in range(150):
        number = dice.randint(1, 60)
        shown = None if dice.random() < 0.1 else some_row(dice, number)
        store.commit(Changes(inbox=[(number, shown)]))
        rows.pop(number, None)
        if shown is not None:
            rows[number] = shown
    for view in VIEWS * 4:
        query = some_query(dice, view)
        expected = [row for row in rows.values() if passes(row, query) and in_view(row, view)]
        expected.sort(key=lambda row: sort_key(row, query))
        assert pages(store, query) == [row.id for row in expected], query
        counts = store.inbox_counts(query)
        for each in VIEWS:
            wanted = sum(passes(row, query) and in_view(row, each) for row in rows.values())
            assert counts[each] == wanted, (each, query)
    for number, row in rows.items():
        assert store.inbox_row(number) == row
    store.close()

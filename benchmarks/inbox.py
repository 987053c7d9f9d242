"""How long does the supervisor's page take with 100,000 open approvals, whatever is asked?

Each case is what one page load asks of the store: 50 rows and the counts of all views, in every
order. Beside it, on a quarter of the cases: the same rows in one plain table with an index on
status, and the SELECT that comes to mind.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import apsw
import msgspec
import psutil
from _measuring import Report, folder, parser, percentile
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from adjourn.model.inbox import COUNT_LIMIT, InboxQuery, InboxRow, Order, View
from adjourn.model.state import to_microseconds
from adjourn.model.status import Status
from adjourn.store.protocol import Changes, InstanceRow
from adjourn.store.sqlite import SQLiteStore

BATCH = 500
NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)
ME = "person-00"
RECIPIENTS = [ME, "group:support", "group:finance", "role:approver"]
ENDED_PER_OPEN = 0.2
REPEATS = 3

# Kind: hours until due, and whether money is in it. Both belong to a kind, as in life: rows of one
# kind stand together in an order, and the first of an order may all be of other kinds.
KINDS = {
    "Refund": (24, True),
    "Credit": (72, True),
    "Price change": (240, True),
    "Invoice change": (72, True),
    "Account closure": (720, False),
    "Data export": (720, False),
    "Email reply": (4, False),
    "Access grant": (None, False),
}
GROUPS = ["group:support", "group:finance", "group:legal", "group:security", "group:sales"]
GROUPS += ["role:lead"]
PEOPLE = [f"person-{number:02}" for number in range(40)]
FIRST = ["Ada", "Grace", "Linus", "Zoë", "Mikael", "Noor", "Ravi", "Ines", "Tom", "Olga"]
LAST = ["Fischer", "Okafor", "Haddad", "Novak", "Ortiz", "Keller", "Smith", "Larsson", "Weiß"]


# The rows.


def rows(count: int, dice: random.Random) -> Iterator[InboxRow]:
    ended = int(count * ENDED_PER_OPEN)
    for number in range(count + ended):
        row = open_row(number, count + ended, dice)
        yield ended_row(row, dice) if number % (count + ended) < ended else row


def open_row(number: int, count: int, dice: random.Random) -> InboxRow:
    kind = dice.choice(list(KINDS))
    hours, money = KINDS[kind]
    amount = round(dice.lognormvariate(5, 1.2), 2) if money else None
    customer = f"{dice.choice(FIRST)} {dice.choice(LAST)}"
    requester = dice.choice(PEOPLE) if dice.random() < 0.3 else f"agent-{dice.randrange(5)}"
    opened = NOW - timedelta(days=20) * (1 - number / count) - timedelta(seconds=1)
    holder = dice.choice(PEOPLE) if dice.random() < 0.3 else ""
    asks = dice.random() < 0.03
    snoozed = {dice.choice(PEOPLE): NOW + timedelta(hours=dice.randrange(-5, 50))}
    snoozed |= {ME: NOW + timedelta(days=1)} if dice.random() < 0.05 else {}
    what = f"${amount} to {customer}, order A-{number}" if money else f"for {customer}"
    return InboxRow(
        id=f"case-{number // 2}:refund:{number:06}",
        title=f"{kind} {what}",
        opened_at=opened,
        kind=kind,
        status="info_requested" if asks else "claimed" if holder else "open",
        version=dice.randrange(1, 5),
        to=dice.sample(GROUPS, k=1) + ([dice.choice(PEOPLE)] if dice.random() < 0.1 else []),
        not_by=[requester],
        voted=[dice.choice(PEOPLE)] if dice.random() < 0.1 else [],
        asked_by=[dice.choice(PEOPLE)] if asks else [],
        holder=holder,
        requester=requester,
        on_behalf_of=customer,
        case=f"case-{number // 2}",
        risk=dice.choice(["low", "low", "low", "low", "medium", "medium", "high"]),
        policy=f"policy-{kind[:2].lower()}-{dice.randrange(3)}",
        amount=amount,
        currency="USD" if money else "",
        due_at=None if hours is None else opened + timedelta(hours=hours),
        snoozed=snoozed if dice.random() < 0.1 or ME in snoozed else {},
    )


def ended_row(row: InboxRow, dice: random.Random) -> InboxRow:
    after = timedelta(seconds=dice.randrange(60, 400_000))
    return replace(
        row,
        status=dice.choice(["approved", "approved", "rejected", "expired"]),
        final=True, voted=[], asked_by=[], snoozed={}, holder="",
        decided_at=row.opened_at + after,
        decided_by=[dice.choice(PEOPLE)],
    )  # fmt: skip


def instance_of(key: int, row: InboxRow) -> InstanceRow:
    return InstanceRow(
        key=key, id=row.id, name="adjourn.approval", status=Status.RUNNING, length=1, turned=1,
        head=bytes(32), created_at=to_microseconds(row.opened_at), waiting_for='["act"]',
    )  # fmt: skip


def fill(store: SQLiteStore, found: Iterable[InboxRow]) -> float:
    """Seconds of the commits."""
    seconds, numbered = 0.0, enumerate(found, start=1)
    while batch := list(islice(numbered, BATCH)):
        changes = Changes(inserted=[instance_of(key, row) for key, row in batch], inbox=[*batch])
        begun = time.perf_counter()
        store.commit(changes)
        store.checkpoint_if_due(idle=True)
        seconds += time.perf_counter() - begun
    return seconds


# The questions.

FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "kind": {"kind": "Refund"},
    "kind without amounts": {"kind": "Account closure"},
    "kind that nobody has": {"kind": "Coffee"},
    "group": {"group": "group:support"},
    "group of others": {"group": "group:legal"},
    "risk": {"risk": "high"},
    "low risk": {"risk": "low"},
    "policy": {"policy": "policy-re-1"},
    "requester": {"requester": "person-07"},
    "case": {"case": "case-30000"},
    "text, common": {"text": "refund"},
    "text, two words": {"text": "ada weiss"},
    "text, two letters": {"text": "zo"},
    "text, one row": {"text": "refund:050000"},
    "text, no row": {"text": "refund zeppelin"},
    "amount": {"amount_from": 100.0, "amount_to": 500.0},
    "amount, few rows": {"amount_from": 100.0, "amount_to": 100.2},
    "amount, no row": {"amount_from": 1e9},
    "opened since yesterday": {"opened_after": NOW - timedelta(days=1)},
    "opened long ago": {"opened_before": NOW - timedelta(days=15)},
    "kind, risk, policy, amount": {
        "kind": "Credit",
        "risk": "high",
        "policy": "policy-cr-2",
        "amount_from": 200.0,
    },
    "kind without amounts, amount": {"kind": "Data export", "amount_from": 1.0},
    "group, amount, text": {"group": "group:finance", "amount_to": 90.0, "text": "smith"},
}


def query_of(view: View, order: Order, conditions: dict[str, Any]) -> InboxQuery:
    return InboxQuery(
        person=ME, recipients=RECIPIENTS, now=NOW, view=view, order=order, **conditions
    )


def milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1e3


def ask(store: SQLiteStore, query: InboxQuery) -> float:
    def load() -> None:
        store.inbox(query)
        store.inbox_counts(query)

    return milliseconds(load)


Times = dict[tuple[str, View], list[float]]


def measure(store: SQLiteStore) -> Times:
    times: Times = {}
    for name, conditions in FILTERS.items():
        for view in get_args(View):
            times[name, view] = [
                ask(store, query_of(view, order, conditions))
                for order in get_args(Order)
                for _ in range(REPEATS)
            ]
    return times


# The naive peer.


def peer_of(file: Path, found: Iterable[InboxRow]) -> sqlite3.Connection:
    database = sqlite3.connect(file)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE inbox (id TEXT PRIMARY KEY, status TEXT, due TEXT, row TEXT)")
    database.execute("CREATE INDEX inbox_by_status ON inbox (status)")
    with database:
        database.executemany(
            "INSERT INTO inbox VALUES (?, ?, ?, ?)",
            (
                (row.id, row.status, row.due_at and row.due_at.isoformat(), as_json(row))
                for row in found
            ),
        )
    return database


def as_json(row: InboxRow) -> str:
    return msgspec.json.encode(row).decode()


def naive_condition(view: View, conditions: dict[str, Any]) -> tuple[str, list[Any]]:
    """Open rows for me, and a filter for each condition."""
    ended = view in ("decided", "recent")
    sign = "NOT IN" if ended else "IN"
    parts, values = [f"status {sign} ('open', 'claimed', 'info_requested')"], list[Any]()
    if view in ("needs_me", "unclaimed", "overdue"):
        marks = ", ".join("?" * len(RECIPIENTS))
        parts.append(f"EXISTS (SELECT 1 FROM json_each(row ->> 'to') WHERE value IN ({marks}))")
        values += RECIPIENTS
    if view == "overdue":
        parts.append("due <= ?")
        values.append(NOW.isoformat())
    for name, value in conditions.items():
        match name:
            case "text":
                words = value.split()
                parts += ["row LIKE ?"] * len(words)
                values += [f"%{word}%" for word in words]
            case "group":
                parts.append("row ->> 'to' LIKE ?")
                values.append(f'%"{value}"%')
            case "amount_from" | "amount_to":
                parts.append(f"row ->> 'amount' {'>=' if name == 'amount_from' else '<='} ?")
                values.append(value)
            case "opened_after" | "opened_before":
                parts.append(f"row ->> 'opened_at' {'>=' if name == 'opened_after' else '<'} ?")
                values.append(value.isoformat())
            case _:
                parts.append(f"row ->> '{name}' = ?")
                values.append(value)
    return " AND ".join(parts), values


def ask_peer(database: sqlite3.Connection, conditions: dict[str, Any]) -> float:
    """Fifty rows that need me, by due date, and the four counts that a plain table can have."""

    def load() -> None:
        condition, values = naive_condition("needs_me", conditions)
        page = f"SELECT row FROM inbox WHERE {condition} ORDER BY due IS NULL, due LIMIT 51"
        for (text,) in database.execute(page, values).fetchall():
            msgspec.json.decode(text, type=InboxRow)
        views: list[View] = ["needs_me", "overdue", "all", "recent"]
        for view in views:
            condition, values = naive_condition(view, conditions)
            count = f"SELECT count(*) FROM (SELECT 1 FROM inbox WHERE {condition} LIMIT ?)"
            database.execute(count, (*values, COUNT_LIMIT)).fetchall()

    return milliseconds(load)


# The tables.


def show(times: Times, peer: dict[str, float]) -> None:
    views: tuple[View, ...] = get_args(View)
    table = Table(title="50 rows and all counts: p50 / max ms", title_justify="left")
    table.add_column("filter")
    for view in views:
        table.add_column(view, justify="right")
    table.add_column("naive", justify="right")
    for name in FILTERS:
        cells = [times[name, view] for view in views]
        texts = [f"{percentile(cell, 50):.1f} / {max(cell):.1f}" for cell in cells]
        ratio = peer[name] / percentile(times[name, "needs_me"], 50)
        table.add_row(name, *texts, f"{peer[name]:,.0f} ms, {ratio:.0f} x")
    Console(width=170).print(table)


def index_bytes(file: Path) -> int:
    """What the inbox takes of the file."""
    shell = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    text = "SELECT sum(pgsize) FROM dbstat WHERE name LIKE '%inbox%'"
    (size,) = shell.execute(text).fetchall()[0]
    shell.close()
    return size


def acts(store: SQLiteStore, found: Iterable[InboxRow]) -> list[float]:
    """One commit each: somebody claims it."""
    times: list[float] = []
    for key, row in enumerate(found, start=1):
        claimed = replace(row, holder=ME, status="claimed", version=row.version + 1)
        if row.final:
            continue
        times.append(
            milliseconds(lambda key=key, row=claimed: store.commit(Changes(inbox=[(key, row)])))
        )
    return times


def run(where: Path, count: int, report: Report) -> None:
    file = where / "inbox.db"
    store = SQLiteStore(file)
    total = count + int(count * ENDED_PER_OPEN)
    seconds = fill(store, rows(count, random.Random(7)))
    report.add("open_rows", count, f"{count:,} and {total - count:,} ended")
    report.add("filled_per_second", total / seconds, f"{total / seconds:,.0f} rows/s")
    bytes_each = index_bytes(file) / total
    report.add("bytes_on_disk_each", bytes_each, f"{bytes_each:,.0f} B")
    before = psutil.Process().memory_info().rss
    times = measure(store)
    grown = (psutil.Process().memory_info().rss - before) / 2**20
    every = [value for cell in times.values() for value in cell]
    for name, value in (
        ("page_and_counts_p50_ms", percentile(every, 50)),
        ("page_and_counts_p99_ms", percentile(every, 99)),
        ("page_and_counts_max_ms", max(every)),
    ):
        report.add(name, value, f"{value:.1f} ms")
    report.add("asked", len(every), f"{len(every):,} times")
    report.add("more_MiB_after_them", grown, f"{grown:+.1f} MiB")
    claims = acts(store, islice(rows(count, random.Random(7)), total - 1_000, total))
    report.add("claim_commit_p50_ms", percentile(claims, 50), f"{percentile(claims, 50):.3f} ms")
    store.close()
    database = peer_of(where / "peer.db", rows(count, random.Random(7)))
    show(times, {name: ask_peer(database, given) for name, given in FILTERS.items()})
    database.close()


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--rows", type=int, default=100_000, help="how many are open")
    options = arguments.parse_args()
    with folder(options.dir) as where:
        report = Report("the supervisor's inbox", where)
        run(where, options.rows, report)
        report.show(as_json=options.json)


if __name__ == "__main__":
    main()

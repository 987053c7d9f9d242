"""The inbox in SQL: rows are written with the step that changes them, and found in milliseconds.

What the views of `adjourn.model.inbox` mean where their words leave a choice:

- A row is open while its status is open, claimed or info_requested; every other status has ended.
  A row that somebody else has claimed is still addressed to me; it is only not `unclaimed`.
- A plain event that is addressed to nobody is addressed to everybody, but to no group filter.
- Past due begins at the very moment; a snooze is over at it. Snoozing hides a row from `needs_me`
  and `unclaimed` only. Who has voted may not decide, so `overdue` leaves those rows out.
- `decided` and `recent` are in the order of the decisions, newest first, whatever `order` says.
- The largest amount comes first, rows without one last; equals come oldest first.
- `opened_after` includes its moment, `opened_before` does not; amounts include both ends, and a row
  without an amount is in no range.
- Of `text`, the first fifty words count.
- What is said of a person counts for nobody where `person` is empty.
- Whoever stands in for several people decides what one of them at least might decide.

How a row is found. All that seldom changes is a word in an index of words (FTS5), so that any
conjunction of view and filters is one expression, and takes as long as there are matches. A few
matches are sorted. Where there are many, some of them stand soon in any order: rows are looked at
along that order's index. Only where none stand soon, all that match are looked for along it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import msgspec
from msgspec.structs import replace

from adjourn.model.inbox import COUNT_LIMIT, Counts, InboxPage, InboxQuery, InboxRow, View
from adjourn.model.state import from_microseconds
from adjourn.store.inbox_columns import (
    COLUMNS,
    columns,
    facts_of,
    indexed,
    is_open,
    snoozes,
    words_of,
)
from adjourn.store.inbox_search import (
    Order,
    Position,
    Question,
    both,
    order_of,
    read_token,
    token_of,
)
from adjourn.store.protocol import Changes

Run = Callable[[str, Any], list[tuple[Any, ...]]]
"""Executes one statement with its bindings (by position or by name) and returns all its rows."""

_DERIVE_AT_ONCE = 1_000  # rows: a migration's memory stays flat
_DAMAGED = "What the inbox knew of it is damaged. Open it by its id."

_PUT = f"""
    INSERT INTO inbox ({", ".join(COLUMNS)}) VALUES ({", ".join("?" * len(COLUMNS))})
    ON CONFLICT (instance) DO UPDATE SET
        {", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name != "execution")},
        execution = CASE excluded.execution
            WHEN 'none' THEN inbox.execution ELSE excluded.execution END
"""

_PUT_ROW = """
    INSERT INTO inbox_rows (instance, facts, row) VALUES (?, ?, ?)
    ON CONFLICT (instance) DO UPDATE SET facts = excluded.facts, row = excluded.row
"""

_PUT_SNOOZE = """
    INSERT INTO inbox_snoozes (instance, person, until) VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET until = excluded.until
"""

_AMONG = """
    FROM json_each({keys}) CROSS JOIN inbox_rows AS found ON found.instance = json_each.value
    CROSS JOIN inbox ON inbox.instance = found.instance
"""

_SHOWN = """
    SELECT inbox_rows.row, inbox.execution, inbox.opened_at, instances.id, instances.tenant
    FROM inbox_rows JOIN inbox USING (instance) JOIN instances ON instances.key = instance
    WHERE instance = ?
"""

_UNDERIVED = f"""
    SELECT instance, row FROM inbox_rows
    WHERE instance NOT IN (SELECT instance FROM inbox) LIMIT {_DERIVE_AT_ONCE}
"""


_OF_TENANTS = f"""
    SELECT instance, tenant FROM inbox_rows JOIN instances ON instances.key = instance
    WHERE tenant > '' AND instance > ? ORDER BY instance LIMIT {_DERIVE_AT_ONCE}
"""
_ANY_TENANT = "SELECT 1 FROM instances WHERE tenant > '' LIMIT 1"

_INDEXES = ("inbox_open_words", "inbox_ended_words")

_PARTS: Mapping[View, tuple[View, ...]] = {
    "all": ("needs_me", "unclaimed", "overdue", "waiting", "snoozed"),
    "recent": ("decided",),
}
"""Which views show a part of which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to do what, in rows; others than these are for tests."""

    count: int = COUNT_LIMIT
    few: int = 500
    """As long as fewer pass the filters, each of them is looked at for every view."""
    gather: int = 1_000
    """As long as fewer match, all of them are sorted for a page."""
    stretch: int = 1_000
    """So many rows of an order are looked at, one by one, before the index is asked for all."""


class Inbox:
    """The inbox of one file. Its methods raise what `run` raises."""

    def __init__(self, run: Run, limits: Limits | None = None) -> None:
        self._run = run
        self._limits = limits or Limits()

    # Writing, inside the caller's transaction.

    def write(self, changes: Changes) -> None:
        """Instances that begin a new life leave; then rows, then executions, each in order."""
        for key in changes.receipts_cleared:
            self._remove(key)
        for key, row in changes.inbox:
            if row is None:
                self._remove(key)
            else:
                self._put(key, row)
        for key, execution in changes.inbox_executions:
            self._run("UPDATE inbox SET execution = ? WHERE instance = ?", (execution, key))

    def derive_missing(self) -> None:
        """Fill the tables beside `inbox_rows` for rows that a migration has put only there."""
        while found := self._run(_UNDERIVED, ()):
            for key, text in found:
                self._write_row(key, text, None, msgspec.json.decode(text, type=InboxRow))

    def take_tenants(self) -> None:
        """Say in each row whose it is, after a migration has said so of the instances."""
        last = 0
        while found := self._run(_OF_TENANTS, (last,)):
            for last, tenant in found:
                row = _read(self._text(last) or "")
                if row is not None:
                    self._put(last, replace(row, tenant=tenant))

    def _put(self, key: int, row: InboxRow) -> None:
        text = msgspec.json.encode(row).decode()
        stored = self._text(key)
        if stored == text and row.execution == "none":
            return
        before = None if stored is None else _read(stored)
        if stored is not None and before is None:
            self._forget_derived(key, None)
        self._write_row(key, text, before, row)

    def _write_row(self, key: int, text: str, before: InboxRow | None, row: InboxRow) -> None:
        facts = facts_of(row)
        self._run(_PUT_ROW, (key, facts, text))
        self._run(_PUT, columns(key, row))
        self._change_snoozes(key, snoozes(before) if before else {}, snoozes(row))
        if before is not None:
            if indexed(before) == indexed(row):
                return
            self._run(f"DELETE FROM {_index_of(before)} WHERE rowid = ?", (key,))
        text = f"INSERT INTO {_index_of(row)} (rowid, word) VALUES (?, ?)"
        self._run(text, (key, facts + words_of(row)))

    def _change_snoozes(self, key: int, before: dict[str, int], after: dict[str, int]) -> None:
        for person in before.keys() - after.keys():
            text = "DELETE FROM inbox_snoozes WHERE instance = ? AND person = ?"
            self._run(text, (key, person))
        for person, until in after.items() - before.items():
            self._run(_PUT_SNOOZE, (key, person, until))

    def _remove(self, key: int) -> None:
        stored = self._text(key)
        if stored is None:
            return
        self._forget_derived(key, _read(stored))
        self._run("DELETE FROM inbox WHERE instance = ?", (key,))
        self._run("DELETE FROM inbox_rows WHERE instance = ?", (key,))

    def _forget_derived(self, key: int, row: InboxRow | None) -> None:
        """What can be of a row, or of one that is damaged."""
        self._run("DELETE FROM inbox_snoozes WHERE instance = ?", (key,))
        for index in _INDEXES if row is None else (_index_of(row),):
            self._run(f"DELETE FROM {index} WHERE rowid = ?", (key,))

    def _text(self, key: int) -> str | None:
        for (text,) in self._run("SELECT row FROM inbox_rows WHERE instance = ?", (key,)):
            return text
        return None

    # Reading one.

    def row(self, key: int) -> InboxRow | None:
        """As it was put, with its execution; one that is damaged says so in its `problem`. Whose it
        is, its instance says, also then."""
        for text, execution, opened_at, id, tenant in self._run(_SHOWN, (key,)):
            row = _read(text)
            if row is None:  # one damaged row must not hide all the others
                opened = from_microseconds(opened_at)
                row = InboxRow(id=id, title=id, opened_at=opened, problem=_DAMAGED)
            if (row.execution, row.tenant) == (execution, tenant):
                return row
            return replace(row, execution=execution, tenant=tenant)
        return None

    def _of_all(self, query: InboxQuery) -> InboxQuery:
        """Where there are no tenants, the rows without one are all rows: nothing to look for."""
        if query.tenant == "" and not self._run(_ANY_TENANT, ()):
            return replace(query, tenant=None)
        return query

    # Counting.

    def counts(self, query: InboxQuery) -> Counts:
        """Rows of every view under the filters of `query`, each at most `Limits.count`."""
        question = Question(self._of_all(query))
        found: Counts = dict.fromkeys(get_args(View), 0)
        for whole, parts in _PARTS.items():
            if not question.is_filtered:
                source = order_of(replace(query, view=whole)).source()
                found[whole] = self._count(question, f"SELECT 1 {source}")
            else:
                keys = self._keys(question, whole)
                found[whole] = min(len(keys), self._limits.count)
                if len(keys) < self._limits.few:
                    found |= self._counts_among(question, keys, parts)
                    continue
            for view in parts:
                found[view] = self._count(question, question.matches(view, "1"))
        return found

    def _count(self, question: Question, text: str) -> int:
        limit = question.given.bind(self._limits.count)
        return self._run(f"SELECT count(*) FROM ({text} LIMIT {limit})", question.given)[0][0]

    def _keys(self, question: Question, view: View) -> list[int]:
        limit = question.given.bind(max(self._limits.count, self._limits.few))
        text = f"{question.matches(view, 'found.rowid')} LIMIT {limit}"
        return [key for (key,) in self._run(text, question.given)]

    def _counts_among(self, question: Question, keys: list[int], views: tuple[View, ...]) -> Counts:
        """The same, of few rows that are known to pass the filters."""
        if not keys:
            return {}
        given = question.given
        sums = ", ".join(f"sum({question.holds_of_filtered(view)})" for view in views)
        among = _AMONG.format(keys=given.bind(msgspec.json.encode(keys).decode()))
        found = self._run(f"SELECT {sums} {among}", given)[0]
        return {view: min(found[at], self._limits.count) for at, view in enumerate(views)}

    # Listing.

    def page(self, query: InboxQuery) -> InboxPage:
        """One page. Raises: InvalidIdError for a token that is none of this view and order."""
        query = self._of_all(query)
        order, limit = order_of(query), max(query.limit, 0)
        after = None if query.page_token is None else read_token(order, query.page_token)
        found = self._first(query, order, after, limit + 1)
        shown = found[:limit]
        rows = [self.row(int(position[-1])) for position in shown]
        return InboxPage(
            rows=[row for row in rows if row is not None],
            next_token=token_of(order, shown[-1]) if shown and len(found) > limit else None,
        )

    def _first(
        self, query: InboxQuery, order: Order, after: Position | None, limit: int
    ) -> list[Position]:
        """The positions of a page's rows, in order."""
        question = Question(query)
        given, view = question.given, query.view
        later = "" if after is None else order.after(given.position(after))
        within = both(later, question.narrows(view, order.columns[0]))
        bound = given.bind(limit)

        def along(source: str, *conditions: str) -> list[Position]:
            where = both(source, within, *conditions)
            text = f"SELECT {order.listed} {where} ORDER BY {order.sorted} LIMIT {bound}"
            return self._run(text, given)

        if question.holds_of_all(view):
            return along(order.source())
        enough = given.bind(self._limits.gather)
        found = self._run(f"{question.matches(view, order.listed, later)} LIMIT {enough}", given)
        if len(found) < self._limits.gather:
            return sorted(found, reverse=order.descending)[:limit]
        end = self._end_of_stretch(question, order, within)
        until = order.until(given.position(end)) if end else ""
        found = along(order.source(whole_rows=True), until, question.holds(view))
        if end and len(found) < limit:
            found = along(order.source(), question.among(view))
        return found

    def _end_of_stretch(self, question: Question, order: Order, within: str) -> Position | None:
        """Where the rows end that are looked at one by one; None when they are all that follow."""
        skipped = question.given.bind(self._limits.stretch - 1)
        source = both(order.source(), within)
        text = f"SELECT {order.listed} {source} ORDER BY {order.sorted} LIMIT 1 OFFSET {skipped}"
        for position in self._run(text, question.given):
            return position
        return None


def _read(text: str) -> InboxRow | None:
    """None when it is damaged."""
    try:
        return msgspec.json.decode(text, type=InboxRow)
    except msgspec.MsgspecError:
        return None


def _index_of(row: InboxRow) -> str:
    return _INDEXES[0] if is_open(row) else _INDEXES[1]

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
- What is said of a person counts for nobody where `person` is empty.

How a row is found. Everything that seldom changes is a word in an index of words (FTS5), so that
any conjunction of view and filters is one expression: nothing is read but the rows that match, be
it none. Where many match, the first of an order are looked for along that order's index instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import msgspec
from msgspec.structs import replace

from adjourn.model.inbox import COUNT_LIMIT, Counts, InboxPage, InboxQuery, InboxRow, View
from adjourn.model.state import from_microseconds
from adjourn.store.inbox_columns import COLUMNS, Part, columns, indexed, is_open, parts, words_of
from adjourn.store.inbox_search import (
    ENDED_WORDS,
    OPEN_WORDS,
    Filters,
    Position,
    Search,
    Source,
    both,
    bound,
    order_along,
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
    INSERT INTO inbox_rows (instance, row) VALUES (?, ?)
    ON CONFLICT (instance) DO UPDATE SET row = excluded.row
"""

_PUT_PART = """
    INSERT INTO inbox_people (person, relation, instance, at) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET at = excluded.at
"""

_DELETE_PART = "DELETE FROM inbox_people WHERE person = ? AND relation = ? AND instance = ?"

_ROW = """
    SELECT inbox_rows.row, inbox.execution, inbox.opened_at, instances.id
    FROM inbox_rows JOIN inbox USING (instance) JOIN instances ON instances.key = instance
    WHERE instance = ?
"""

_UNDERIVED = f"""
    SELECT instance, row FROM inbox_rows
    WHERE instance NOT IN (SELECT instance FROM inbox) LIMIT {_DERIVE_AT_ONCE}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to do what; for benchmarks and tests. Each is a number of rows."""

    count: int = COUNT_LIMIT
    gather: int = 2_000
    """From so many matches on, looking along an order promises to be faster than sorting."""
    stretch: int = 4_000
    """So far it is looked along an order before the matches are sorted after all."""


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
                self._derive(key, None, msgspec.json.decode(text, type=InboxRow))

    def _put(self, key: int, row: InboxRow) -> None:
        text = msgspec.json.encode(row).decode()
        stored = self._text(key)
        if stored == text and row.execution == "none":
            return
        self._run(_PUT_ROW, (key, text))
        before = None if stored is None else _read(stored)
        if stored is not None and before is None:
            self._remove_what_is_unread(key)
        self._derive(key, before, row)

    def _derive(self, key: int, before: InboxRow | None, row: InboxRow) -> None:
        self._run(_PUT, columns(key, row))
        self._change_parts(key, parts(before) if before else set(), parts(row))
        if before is not None:
            if indexed(before) == indexed(row):
                return
            self._run(f"DELETE FROM {_index_of(before)} WHERE rowid = ?", (key,))
        self._run(f"INSERT INTO {_index_of(row)} (rowid, word) VALUES (?, ?)", (key, words_of(row)))

    def _change_parts(self, key: int, before: set[Part], after: set[Part]) -> None:
        for person, relation, _ in before - after:
            self._run(_DELETE_PART, (person, relation, key))
        for person, relation, at in after - before:
            self._run(_PUT_PART, (person, relation, key, at))

    def _remove(self, key: int) -> None:
        stored = self._text(key)
        if stored is None:
            return
        row = _read(stored)
        if row is None:
            self._remove_what_is_unread(key)
        else:
            self._change_parts(key, parts(row), set())
            self._run(f"DELETE FROM {_index_of(row)} WHERE rowid = ?", (key,))
        self._run("DELETE FROM inbox_rows WHERE instance = ?", (key,))
        self._run("DELETE FROM inbox WHERE instance = ?", (key,))

    def _remove_what_is_unread(self, key: int) -> None:
        """What else there is of a damaged row, which does not tell what that is: slow."""
        self._run("DELETE FROM inbox_people WHERE instance = ?", (key,))
        for index in (OPEN_WORDS, ENDED_WORDS):
            self._run(f"DELETE FROM {index} WHERE rowid = ?", (key,))

    def _text(self, key: int) -> str | None:
        for (text,) in self._run("SELECT row FROM inbox_rows WHERE instance = ?", (key,)):
            return text
        return None

    # Reading one.

    def row(self, key: int) -> InboxRow | None:
        """As it was put, with its execution; one that is damaged says so in its `problem`."""
        for text, execution, opened_at, id in self._run(_ROW, (key,)):
            row = _read(text)
            if row is None:  # one damaged row must not hide all the others
                opened = from_microseconds(opened_at)
                row = InboxRow(id=id, title=id, opened_at=opened, problem=_DAMAGED)
            return row if row.execution == execution else replace(row, execution=execution)
        return None

    # Counting.

    def counts(self, query: InboxQuery) -> Counts:
        """Rows of every view under the filters of `query`, each at most `Limits.count`."""
        filters = Filters(query)
        views: tuple[View, ...] = get_args(View)
        unpaged = replace(query, page_token=None)
        return {view: self._count(Search(unpaged, view, filters)) for view in views}

    def _count(self, search: Search) -> int:
        found = 0
        for branch in search.branches:
            source = branch[0] if len(branch) == 1 else self._smallest(branch, search.bindings)[0]
            limit = self._limits.count - found
            text = f"SELECT count(*) FROM (SELECT 1 {source.counted} LIMIT :limit)"
            found += self._run(text, {**search.bindings, "limit": limit})[0][0]
        return found

    def _smallest(self, branch: list[Source], bindings: Mapping[str, Any]) -> tuple[Source, int]:
        """The source that proposes fewest rows, and how many: at most `Limits.gather`."""
        sizes = [self._size(source, bindings) for source in branch]
        smallest = min(sizes)
        return branch[sizes.index(smallest)], smallest

    def _size(self, source: Source, bindings: Mapping[str, Any]) -> int:
        if source.is_all:
            return self._limits.gather
        text = f"SELECT count(*) FROM (SELECT 1 {source.proposed} LIMIT :limit)"
        return self._run(text, {**bindings, "limit": self._limits.gather})[0][0]

    # Listing.

    def page(self, query: InboxQuery) -> InboxPage:
        """One page. Raises: InvalidIdError for a token that is none of this view and order."""
        search = Search(query, query.view, Filters(query))
        limit = max(query.limit, 0)
        found = self._first(search, limit + 1)
        shown = found[:limit]
        rows = [self.row(int(position[-1])) for position in shown]
        return InboxPage(
            rows=[row for row in rows if row is not None],
            next_token=token_of(search.order, shown[-1]) if shown and len(found) > limit else None,
        )

    def _first(self, search: Search, limit: int) -> list[Position]:
        """The positions of the first rows of a page, in order."""
        chosen = [self._smallest(branch, search.bindings) for branch in search.branches]
        if sum(size for _, size in chosen) >= self._limits.gather:
            found = self._look_along(search, limit)
            if found is not None:
                return found
        order = search.order
        after = order.beyond("after") if search.starts else ""
        each = [f"SELECT {order.listed} {source.text(after)}" for source, _ in chosen]
        text = f"{' UNION ALL '.join(each)} ORDER BY {order.numbered} LIMIT :limit"
        return self._run(text, {**search.bindings, "limit": limit})

    def _look_along(self, search: Search, limit: int) -> list[Position] | None:
        """The same, found along an index; None when it is not to be found soon."""
        order = order_along(search.order)
        known = both(order.source, order.within, order.beyond("after") if search.starts else "")
        bindings = {**search.bindings, "limit": limit}
        end = self._run(
            f"SELECT {order.listed} {known} ORDER BY {order.sorted()} LIMIT 1 OFFSET :stretch",
            {**bindings, "stretch": max(self._limits.stretch, limit)},
        )
        for position in end:
            known = both(known, order.until("end"))
            bindings |= bound("end", position)
        text = f"SELECT {order.listed} {both(known, search.check)}"
        found = self._run(f"{text} ORDER BY {order.sorted()} LIMIT :limit", bindings)
        return found if len(found) >= limit or not end else None


def _read(text: str) -> InboxRow | None:
    """None when it is damaged."""
    try:
        return msgspec.json.decode(text, type=InboxRow)
    except msgspec.MsgspecError:
        return None


def _index_of(row: InboxRow) -> str:
    return OPEN_WORDS if is_open(row) else ENDED_WORDS

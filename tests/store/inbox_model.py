"""What the inbox means, in plain Python: every row is looked at, for every question."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from math import inf
from typing import Any, get_args

from adjourn.model.actor import Absent
from adjourn.model.inbox import InboxQuery, InboxRow, View

Rows = Mapping[int, InboxRow]


def is_open(row: InboxRow) -> bool:
    return row.status in ("open", "claimed", "info_requested")


def is_everybodys(row: InboxRow) -> bool:
    return row.pattern == "event" and not row.to


def may_decide(row: InboxRow, query: InboxQuery) -> bool:
    """It is for this person, and nothing keeps it from them."""
    me = query.person
    addressed = is_everybodys(row) or bool(set(row.to) & set(query.recipients))
    if is_kept_away(row, me, query.recipients):
        return False
    return addressed or holds(row, me) or any(is_left(row, each) for each in query.stands_in_for)


def is_kept_away(row: InboxRow, person: str, recipients: Collection[str]) -> bool:
    excluded = bool(set(row.not_by) & set(recipients))
    voted = person in row.voted or person in row.represented
    return excluded or (bool(person) and (row.requester == person or voted))


def is_left(row: InboxRow, absent: Absent) -> bool:
    """Whether it is for somebody who is away and might decide it."""
    theirs = [absent.id, *(f"group:{name}" for name in absent.groups)]
    names = [*theirs, *(f"role:{name}" for name in absent.roles)]
    return bool(set(row.to) & set(theirs)) and not is_kept_away(row, absent.id, names)


def concerns(row: InboxRow, query: InboxQuery, queues: Collection[str]) -> bool:
    me = query.person
    groups = [f"group:{name}" for absent in query.stands_in_for for name in absent.groups]
    addressed = {*queues, *query.recipients, *groups, *(each.id for each in query.stands_in_for)}
    acted = {row.requester, row.holder, *row.voted, *row.represented, *row.asked_by}
    return (
        bool(addressed & set(row.to))
        or bool(set(query.recipients) & set(row.asked))
        or (bool(me) and me in acted | set(row.decided_by))
    )


def holds(row: InboxRow, person: str) -> bool:
    return bool(person) and row.holder == person


def is_snoozed(row: InboxRow, query: InboxQuery) -> bool:
    until = row.snoozed.get(query.person) if query.person else None
    return until is not None and until > query.now


def is_for_a_group_of_mine(row: InboxRow, query: InboxQuery) -> bool:
    mine = {name for name in query.recipients if name.startswith(("group:", "role:"))}
    return is_everybodys(row) or bool(mine & set(row.to))


def others_must_act(row: InboxRow, query: InboxQuery) -> bool:
    me = query.person
    voted = me in row.voted or me in row.represented
    return bool(me) and (row.requester == me or voted or me in row.asked_by)


SEES: dict[View, Callable[[InboxRow, InboxQuery], Any]] = {
    "needs_me": lambda row, query: (
        is_open(row) and may_decide(row, query) and not is_snoozed(row, query)
    ),
    "unclaimed": lambda row, query: (
        is_open(row)
        and may_decide(row, query)
        and is_for_a_group_of_mine(row, query)
        and not row.holder
        and not is_snoozed(row, query)
    ),
    "overdue": lambda row, query: (
        is_open(row)
        and may_decide(row, query)
        and row.due_at is not None
        and row.due_at <= query.now
    ),
    "waiting": lambda row, query: is_open(row) and others_must_act(row, query),
    "snoozed": lambda row, query: is_open(row) and is_snoozed(row, query),
    "decided": lambda row, query: (
        not is_open(row) and query.person and query.person in row.decided_by
    ),
    "all": lambda row, query: is_open(row),
    "recent": lambda row, query: not is_open(row),
}


def passes(row: InboxRow, query: InboxQuery) -> bool:
    return (
        query.tenant in (None, row.tenant)
        and (query.within is None or concerns(row, query, query.within))
        and query.kind in ("", row.kind)
        and (not query.group or query.group in row.to)
        and query.risk in ("", row.risk)
        and query.policy in ("", row.policy)
        and query.requester in ("", row.requester)
        and query.case in ("", row.case)
        and has_text(row, query.text)
        and is_between(row.amount, query.amount_from, query.amount_to)
        and (query.opened_after is None or row.opened_at >= query.opened_after)
        and (query.opened_before is None or row.opened_at < query.opened_before)
    )


def has_text(row: InboxRow, text: str) -> bool:
    fields = [row.title, row.id, row.case, row.requester, row.on_behalf_of]
    return all(any(word in folded(field) for field in fields) for word in folded(text).split())


def folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def is_between(amount: float | None, low: float | None, high: float | None) -> bool:
    if low is None and high is None:
        return True
    return (
        amount is not None and (low is None or amount >= low) and (high is None or amount <= high)
    )


def place(key: int, row: InboxRow, query: InboxQuery) -> tuple[Any, ...]:
    """Rows with a lesser place come first."""
    oldest = (seconds(row.opened_at), key)
    due = (inf if row.due_at is None else seconds(row.due_at), *oldest)
    if query.view in ("decided", "recent"):
        ended = seconds(row.decided_at or row.opened_at)
        return (-ended, -key)
    match query.order:
        case "due":
            return due
        case "oldest":
            return oldest
        case "newest":
            return (-oldest[0], -key)
        case "amount":
            return (inf if row.amount is None else -row.amount, *oldest)
        case "risk":
            return (["high", "medium", "low"].index(row.risk), *due)


def seconds(moment: datetime) -> float:
    """Exact for the moments of the tests."""
    return moment.timestamp()


def listed(rows: Rows, query: InboxQuery) -> list[InboxRow]:
    """Every row of the view, in order."""
    sees = SEES[query.view]
    found = [key for key, row in rows.items() if sees(row, query) and passes(row, query)]
    return [rows[key] for key in sorted(found, key=lambda key: place(key, rows[key], query))]


def counted(rows: Rows, query: InboxQuery, limit: int) -> dict[str, int]:
    """Rows by view."""
    views: tuple[View, ...] = get_args(View)
    passing = [row for row in rows.values() if passes(row, query)]
    return {
        view: min(sum(bool(SEES[view](row, query)) for row in passing), limit) for view in views
    }

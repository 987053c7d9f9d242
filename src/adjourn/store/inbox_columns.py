"""What the tables of the inbox hold of a row, beside the row itself."""

from __future__ import annotations

import math
from typing import Any

from adjourn.model.inbox import InboxRow
from adjourn.model.state import to_microseconds
from adjourn.store import words

OPEN_STATUSES = frozenset({"open", "claimed", "info_requested"})


def is_open(row: InboxRow) -> bool:
    """Whether it waits for people still."""
    return row.status in OPEN_STATUSES


COLUMNS = (
    "instance", "opened_at", "due_at", "ended_at", "amount", "risk", "status", "execution",
    "search",
)  # fmt: skip


def columns(key: int, row: InboxRow) -> tuple[Any, ...]:
    """The values of COLUMNS."""
    due_at = None if row.due_at is None else to_microseconds(row.due_at)
    return (
        key, to_microseconds(row.opened_at), due_at, _ended_at(row), _amount(row), row.risk,
        row.status, row.execution, _search(row),
    )  # fmt: skip


def snoozes(row: InboxRow) -> dict[str, int]:
    """Until when, by person. Of an ended row, none: they no longer hide it from anybody."""
    if not is_open(row):
        return {}
    return {person: to_microseconds(until) for person, until in row.snoozed.items()}


def _amount(row: InboxRow) -> float | None:
    return row.amount if row.amount is not None and math.isfinite(row.amount) else None


def _ended_at(row: InboxRow) -> int | None:
    """Where it does not say when it was decided, at its opening: somewhere it must stand."""
    return None if is_open(row) else to_microseconds(row.decided_at or row.opened_at)


def _search(row: InboxRow) -> str:
    """What text is looked for in."""
    fields = (row.title, row.id, row.case, row.requester, row.on_behalf_of)
    return words.fold("\n".join(dict.fromkeys(fields)))


RANKS = ("high", "medium", "low")
"""Risks as `inbox.risk_order` counts them."""

# The words. Their names have four letters and more, so that none looks like a piece of text.

ADDRESSED, EXCLUDED, REQUESTER = "addressed", "excluded", "requester"
HOLDER, VOTED, ASKED, SNOOZED, DECIDED = "holder", "voted", "asked", "snoozed", "decided"
QUESTIONED, TENANT = "questioned", "tenant"
KIND, RISK, POLICY, CASE = "kind", "risk", "policy", "case"
AMOUNT, OPENED, DUE = "amount", "opened", "deadline"
TO_EVERYBODY = words.fact("everybody", "")
UNHELD = words.fact("unheld", "")
TENANTED = words.fact("tenanted", "")
"""Of every row with a tenant. Rows without one have the words that they had before tenants came."""
EVERYTHING = [words.fact(RISK, risk) for risk in RANKS]
"""Every row has one of these."""


def indexed(row: InboxRow) -> tuple[Any, ...]:
    """All that its words depend on."""
    return (
        row.status, row.pattern, row.title, row.id, row.case, row.requester, row.on_behalf_of,
        row.kind, row.risk, row.policy, row.to, row.not_by, row.voted, row.asked_by, row.holder,
        row.snoozed.keys(), row.decided_by, row.tenant, row.asked, row.represented, row.amount,
        row.opened_at, row.due_at,
    )  # fmt: skip


def words_of(row: InboxRow) -> str:
    """By what it is found, besides its facts."""
    found = words.pieces(_search(row))
    found.update(words.steps(OPENED, words.hour(to_microseconds(row.opened_at))))
    if row.due_at is not None:
        found.update(words.steps(DUE, words.hour(to_microseconds(row.due_at))))
    amount = _amount(row)
    if amount is not None:
        found.update(words.steps(AMOUNT, words.magnitude(amount)))
    return " ".join(found)


def facts_of(row: InboxRow) -> str:
    """Its facts, with a blank on both sides of each."""
    found = {words.fact(name, value) for name, value in _facts(row) if value}
    if row.pattern == "event" and not row.to:
        found.add(TO_EVERYBODY)
    if not row.holder:
        found.add(UNHELD)
    if row.tenant:
        found.add(TENANTED)
    return f" {' '.join(found)} "


def _facts(row: InboxRow) -> list[tuple[str, str]]:
    found = [(REQUESTER, row.requester), (KIND, row.kind), (RISK, row.risk), (POLICY, row.policy)]
    found += [(CASE, row.case), (HOLDER, row.holder), (TENANT, row.tenant)]
    for name, people in (
        (ADDRESSED, row.to),
        (EXCLUDED, row.not_by),
        (VOTED, [*row.voted, *row.represented]),
        (ASKED, row.asked_by),
        (QUESTIONED, row.asked),
        (SNOOZED, row.snoozed),
        (DECIDED, row.decided_by),
    ):
        found += [(name, person) for person in people]
    return found

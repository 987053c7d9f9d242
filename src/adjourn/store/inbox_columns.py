"""What the tables of the inbox hold of a row, beside the row itself."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from adjourn.model.inbox import InboxRow
from adjourn.model.state import to_microseconds
from adjourn.store import words

OPEN_STATUSES = frozenset({"open", "claimed", "info_requested"})
EVERYBODY = "*"
"""Stands for all people in the column of those addressed: no JSON string looks like it."""

Part = tuple[str, str, int]
"""A person, their relation to the row, and a time: until when it is snoozed, when they decided."""


def is_open(row: InboxRow) -> bool:
    """Whether it waits for people still."""
    return row.status in OPEN_STATUSES


def microseconds(moment: datetime | None) -> int | None:
    """Since 1970, UTC."""
    return None if moment is None else to_microseconds(moment)


def quoted(text: str) -> str:
    """As it stands in a column of lines: JSON, so that no text can look like two."""
    return f"\n{msgspec.json.encode(text).decode()}\n"


def _lines(texts: Iterable[str]) -> str:
    found = "".join(quoted(text)[:-1] for text in texts)
    return f"{found}\n" if found else ""


def _is_for_everybody(row: InboxRow) -> bool:
    return row.pattern == "event" and not row.to


def _amount(row: InboxRow) -> float | None:
    return row.amount if row.amount is not None and math.isfinite(row.amount) else None


def _ended_at(row: InboxRow) -> int | None:
    """Where it does not say when it was decided, at its opening: somewhere it must stand."""
    return None if is_open(row) else to_microseconds(row.decided_at or row.opened_at)


def _search(row: InboxRow) -> str:
    """What text is looked for in."""
    fields = (row.title, row.id, row.case, row.requester, row.on_behalf_of)
    return words.fold("\n".join(dict.fromkeys(fields)))


COLUMNS = (
    "instance", "ended_at", "due_at", "opened_at", "amount", "status", "execution", "risk",
    "holder", "requester", "addressed", "not_by", "kind", "policy", "case_id", "search",
)  # fmt: skip


def columns(key: int, row: InboxRow) -> tuple[Any, ...]:
    """The values of COLUMNS."""
    return (
        key, _ended_at(row), microseconds(row.due_at), to_microseconds(row.opened_at),
        _amount(row), row.status, row.execution, row.risk, row.holder, row.requester,
        f"\n{EVERYBODY}\n" if _is_for_everybody(row) else _lines(row.to), _lines(row.not_by),
        row.kind, row.policy, row.case, _search(row),
    )  # fmt: skip


def parts(row: InboxRow) -> set[Part]:
    """Who has a part in it, beyond being addressed."""
    if not is_open(row):
        ended_at = _ended_at(row) or 0
        return {(person, "decided", ended_at) for person in row.decided_by if person}
    found = {(person, "voted", 0) for person in row.voted if person}
    found |= {(person, "asked", 0) for person in row.asked_by if person}
    found |= {
        (person, "snoozed", to_microseconds(until))
        for person, until in row.snoozed.items()
        if person
    }
    if row.holder:
        found.add((row.holder, "holds", 0))
    return found


# The index.

ADDRESSED, EXCLUDED, REQUESTER = "addressed", "excluded", "requester"
KIND, RISK, POLICY, CASE, DECIDED = "kind", "risk", "policy", "case", "decided"
AMOUNT, OPENED, DUE = "amount", "opened", "due"
TO_EVERYBODY = words.fact("everybody", "")


def indexed(row: InboxRow) -> tuple[Any, ...]:
    """All that its words and their index depend on."""
    return (
        is_open(row), row.pattern, row.title, row.id, row.case, row.requester, row.on_behalf_of,
        row.kind, row.risk, row.policy, row.to, row.not_by, row.amount, row.opened_at, row.due_at,
        () if is_open(row) else row.decided_by,
    )  # fmt: skip


def words_of(row: InboxRow) -> str:
    """Its words, apart from those of people who come and go."""
    found = words.pieces(_search(row))
    facts = [
        (REQUESTER, row.requester), (KIND, row.kind), (RISK, row.risk), (POLICY, row.policy),
        (CASE, row.case), *((ADDRESSED, to) for to in row.to),
        *((EXCLUDED, person) for person in row.not_by),
    ]  # fmt: skip
    if not is_open(row):
        facts += [(DECIDED, person) for person in row.decided_by]
    found.update(words.fact(name, value) for name, value in facts if value)
    if _is_for_everybody(row):
        found.add(TO_EVERYBODY)
    found.update(words.steps(OPENED, words.hour(to_microseconds(row.opened_at))))
    if row.due_at is not None:
        found.update(words.steps(DUE, words.hour(to_microseconds(row.due_at))))
    amount = _amount(row)
    if amount is not None:
        found.update(words.steps(AMOUNT, words.magnitude(amount)))
    return " ".join(found)

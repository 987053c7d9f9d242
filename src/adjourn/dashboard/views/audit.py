"""The audit of an approval in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from adjourn.approvals.audit import AuditEntry
from adjourn.approvals.text import one_line, plain
from adjourn.dashboard.times import When, clock
from adjourn.dashboard.views.words import Names

VERBS = {
    "opened": "opened it",
    "claimed": "claimed it",
    "unclaimed": "gave it back",
    "reassigned": "reassigned it",
    "commented": "commented",
    "asked": "asked",
    "answered": "answered",
    "voted": "approved, as one of several",
    "approved": "approved it",
    "rejected": "rejected it",
    "undone": "took the decision back",
    "cancelled": "cancelled it",
    "snoozed": "snoozed it",
    "refused": "was refused",
}
"""What somebody did."""

EVENTS = {
    "opened": "It was opened",
    "reminded": "A reminder fell due",
    "escalated": "It was escalated",
    "expired": "It expired",
    "took_effect": "The decision took effect",
    "approved": "A policy approved it",
    "cancelled": "It was cancelled",
    "superseded": "The facts had changed, so it was superseded",
    "suspended": "The instance was suspended",
    "resumed": "The instance was resumed",
    "rechecked": "The facts were fetched",
    "recheck_failed": "The facts could not be fetched",
    "concluded": "The workflow was told",
    "failed": "The approval failed",
    "refused": "Somebody who was not signed in was refused",
}
"""What happened by itself."""


@dataclass(frozen=True, slots=True)
class EntryView:
    """One line of the audit."""

    number: int
    who: str
    what: str
    detail: str
    at: When
    channel: str
    hash: str
    short_hash: str


def sentence(what: str, by: str, names: Names, through: str = "") -> tuple[str, str]:
    """Who, and what they did, and in whose place; nobody where it happened by itself."""
    other = plain(what.replace("_", " "))
    if by:
        place = f" for {names(through)}" if through else ""
        return names(by), VERBS.get(what, other) + place
    return "", EVENTS.get(what, other)


def entry_views(entries: Sequence[AuditEntry], names: Names, now: datetime) -> list[EntryView]:
    """All lines, oldest first."""
    found: list[EntryView] = []
    for entry in entries:
        who, what = sentence(entry.what, entry.by, names, entry.through)
        found.append(
            EntryView(
                number=entry.number,
                who=who,
                what=what,
                detail=one_line(entry.detail, 500),
                at=clock(entry.at, now),
                channel=plain(entry.channel),
                hash=entry.hash,
                short_hash=entry.hash[:10],
            )
        )
    return found

"""The inbox: one row for each question that waits for people, and how rows are asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from adjourn.model.actor import Absent, Actor, concerns

ApprovalStatus = Literal[
    "open",
    "claimed",
    "info_requested",
    "approved",
    "rejected",
    "expired",
    "cancelled",
    "superseded",
]

ExecutionState = Literal["none", "queued", "running", "done", "failed", "unknown"]
"""What became of the approved effect, apart from the decision. `unknown` is in doubt."""

View = Literal["needs_me", "unclaimed", "overdue", "waiting", "snoozed", "decided", "all", "recent"]
"""needs_me: open, addressed to me (by name, group or role) or claimed by me, not snoozed by me,
not voted on by me, not mine to request, not excluded; and what is addressed to somebody who is away
and in whose place I may decide it. unclaimed: as needs_me, addressed to a group
or role of mine, and nobody has claimed it. overdue: open and past due, that I may decide. waiting:
open, and others must act: I requested it, I voted, or I asked a question that has no answer.
snoozed: open, snoozed by me until later than now. decided: decided by me. recent: ended, by
anybody. all: everything that is open."""

Order = Literal["due", "oldest", "newest", "amount", "risk"]


class InboxRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the list shows of one question; JSON in the approval's custom status."""

    id: str
    title: str
    opened_at: datetime
    tenant: str = ""
    pattern: Literal["approval", "event"] = "approval"
    """The plain form is "event": an orchestrator that waits for an event called Approval."""
    kind: str = ""
    status: ApprovalStatus = "open"
    final: bool = False
    """No undo any more."""
    version: int = 0
    """Of the approval; in the plain form another number for each wait."""
    to: list[str] = []
    not_by: list[str] = []
    """The requester among them."""
    voted: list[str] = []
    represented: list[str] = []
    """In whose place some of them did."""
    asked_by: list[str] = []
    """Who asked a question that has no answer yet."""
    asked: list[str] = []
    """To whom questions were put, answered or not."""
    holder: str = ""
    requester: str = ""
    on_behalf_of: str = ""
    case: str = ""
    risk: Literal["low", "medium", "high"] = "low"
    policy: str = ""
    amount: float | None = None
    currency: str = ""
    need: int = 1
    due_at: datetime | None = None
    expires_at: datetime | None = None
    effective_at: datetime | None = None
    decided_at: datetime | None = None
    decided_by: list[str] = []
    snoozed: dict[str, datetime] = {}
    """Until when, by person."""
    reminders: int = 0
    """How many reminders have fallen due."""
    escalated: int = 0
    execution: ExecutionState = "none"
    problem: str = ""
    """Why it cannot be decided now: its instance is quarantined or suspended."""


class InboxQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which rows, for whom. All given conditions hold."""

    person: str
    recipients: list[str]
    """What addresses this person: their id, `group:...`, `role:...`."""
    now: datetime
    view: View = "needs_me"
    stands_in_for: list[Absent] = []
    """In whose place this person may decide: `needs_me` and `overdue` show that, too."""
    tenant: str | None = None
    """Only of this tenant; None for all."""
    within: list[str] | None = None
    """Only what is addressed to one of these recipients, or concerns this person."""
    kind: str = ""
    group: str = ""
    """Only what is addressed to this recipient, as written in `to`."""
    risk: str = ""
    policy: str = ""
    requester: str = ""
    case: str = ""
    text: str = ""
    """All these words, anywhere in title, id, case, requester or on_behalf_of; case-insensitive."""
    amount_from: float | None = None
    amount_to: float | None = None
    opened_before: datetime | None = None
    opened_after: datetime | None = None
    order: Order = "due"
    """due: earliest due first, those without last, then oldest. risk: high first, then due."""
    limit: int = 50
    page_token: str | None = None


def is_shown(row: InboxRow, actor: Actor) -> bool:
    """Whether an inbox of their tenant shows them this row: `concerns`."""
    voted = (*row.voted, *row.represented)
    acted = (row.requester, row.holder, *voted, *row.asked_by, *row.decided_by)
    return concerns(actor, to=row.to, asked=row.asked, acted=acted)


class InboxPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One page of the inbox."""

    rows: list[InboxRow]
    next_token: str | None = None


COUNT_LIMIT = 1_000
"""Counts stop here; the page writes "999+"."""

Counts = dict[str, int]
"""Rows by view, each at most COUNT_LIMIT."""

"""What is known of one approval at one moment. A fold of its history, and nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from adjourn.model.approval import Recipient
from adjourn.model.inbox import ApprovalStatus


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    by: str
    """A person's id."""
    at: datetime


class Note(_Part, frozen=True, kw_only=True):
    """A comment."""

    text: str


class Question(_Part, frozen=True, kw_only=True):
    """A request for information, and what came of it."""

    text: str
    to: Recipient
    answer: str = ""
    answered_by: str = ""
    answered_at: datetime | None = None


class Vote(_Part, frozen=True, kw_only=True):
    """One person's approval of one exact value."""

    digest: str
    comment: str = ""
    channel: str = ""
    through: str = ""
    """In whose place, where it was not their own: that person's word counts with it, and once."""


class Change(_Part, frozen=True, kw_only=True):
    """One thing that happened, for the page and for whoever comes too late. `by` is empty where
    nobody did it: a reminder, an escalation, an expiry, a policy."""

    what: str
    """A word: opened, claimed, unclaimed, reassigned, commented, asked, answered, voted, approved,
    rejected, undone, cancelled, snoozed, reminded, escalated, expired, took_effect."""
    version: int
    detail: str = ""
    """What a person reads: the comment, the reason, the changed fields."""
    through: str = ""
    """In whose place, where it was not for themself."""


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One approval at one moment."""

    id: str
    status: ApprovalStatus = "open"
    version: int = 1
    opened_at: datetime
    due_at: datetime | None = None
    expires_at: datetime | None = None
    to: list[Recipient] = []
    holder: str = ""
    value: Any = None
    """The value as it stands: the proposal, or what the votes so far have changed it to."""
    digest: str = ""
    """SHA-256 of the value's canonical JSON, in hexadecimal."""
    edited: list[str] = []
    votes: list[Vote] = []
    questions: list[Question] = []
    notes: list[Note] = []
    snoozed: dict[str, datetime] = {}
    reminded: int = 0
    escalated: int = 0
    decided_at: datetime | None = None
    decided_by: list[str] = []
    effective_at: datetime | None = None
    """Until then a decision can be undone."""
    reason: str = ""
    """Of a rejection or a cancellation; of an approval, its comment."""
    policy: str = ""
    """The policy that decided by itself, with its version."""
    final: bool = False
    """It ended, or its decision can no longer be undone."""
    changes: list[Change] = []

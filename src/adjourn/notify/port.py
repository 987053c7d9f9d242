"""The notifier port: what is told to whom, in steps that are each on disk before the next."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from adjourn.client.approvals import ApprovalView
from adjourn.model.approval import Notice

Channel = Literal["mail", "webhook"]


class _Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


class Note(_Value, frozen=True, kw_only=True):
    """One notification for one recipient: the input of the instance that delivers it. It names whom
    it is for and not where they are: that is looked up whenever it is sent."""

    id: str
    """Of that instance: what makes it one. It is the webhook-id and, with a domain, the
    Message-ID."""
    channel: Channel
    to: str
    """A person's id, an endpoint's name."""
    kind: str
    at: datetime
    """When it happened."""
    approval: str = ""
    """None for a digest."""
    not_before: datetime | None = None
    data: dict[str, Any] = {}
    """What an endpoint is told: the same at every attempt."""


class Said(_Value, frozen=True, kw_only=True):
    """What came of one attempt."""

    state: Literal["sent", "again", "dropped", "given_up"]
    """dropped: nobody need be told any more. given_up: they were to be, and cannot be."""
    why: str = ""
    pause_seconds: float = 0.0
    """After which to try `again`: decided once, here, and then history."""
    counts: bool = True
    """Whether it was an attempt at all."""


class Step(_Value, frozen=True, kw_only=True):
    """What an approval has told its watcher, for `Notifier.plan`."""

    notice: Notice
    number: int
    """Of the notice, for this approval."""
    told: dict[str, datetime]
    """When whom was told what of this approval last, or will be: by `told_key`."""
    at: datetime


class Planned(_Value, frozen=True, kw_only=True):
    """A note of a step, and what is remembered of it: `told_key`."""

    note: Note
    told: str = ""
    at: datetime | None = None
    """When they will have been told; None: now."""


class Notifier(Protocol):
    """Tells people, or programs, of what happens to approvals."""

    async def plan(self, step: Step, view: ApprovalView) -> Sequence[Planned]:
        """Who is to be told what of this step. Repeated, it may answer otherwise: the answer that
        is on disk counts. Sends nothing."""
        ...

    async def send(self, note: Note, attempt: int) -> Said:
        """Tell them, unless that is void by now. At least once: it may be repeated after it has
        been answered, with the same note. `attempt` begins with 1. Anything it raises is
        a reason to try again later."""
        ...


def told_key(kind: str, to: str) -> str:
    return f"{kind}/{to}"


def note_id(approval: str, number: int, channel: Channel, kind: str, to: str) -> str:
    """Of one step, channel and recipient: the same for ever, and no other's."""
    return _digest("note", approval, str(number), channel, kind, to)


def digest_id(person: str, due: datetime) -> str:
    """Of the digest that this person gets then."""
    return _digest("digest", person, due.isoformat())


def _digest(what: str, *parts: str) -> str:
    return f"{what}:{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:40]}"


def pause_after(table: Sequence[float], attempt: int, id: str) -> float | None:
    """Seconds to wait after this many attempts: the table's, and up to a fifth more, so that what
    failed together does not come back together. None: enough. No dice: the id decides."""
    if attempt > len(table):
        return None
    number = int.from_bytes(hashlib.sha256(f"{id}/{attempt}".encode()).digest()[:4])
    return round(table[attempt - 1] * (1 + number / 2**32 / 5), 3)


def again(table: Sequence[float], attempt: int, id: str, why: str, *, after: float = 0.0) -> Said:
    """To be tried again, no sooner than `after` seconds; or given up when the table has ended."""
    pause = pause_after(table, attempt, id)
    if pause is None:
        return Said(state="given_up", why=f"{why}; after {attempt} attempts")
    return Said(state="again", why=why, pause_seconds=max(pause, after))


def latest(told: Mapping[str, datetime], kinds: Sequence[str], to: str) -> datetime | None:
    """When they were told one of these last."""
    return max((told[key] for kind in kinds if (key := told_key(kind, to)) in told), default=None)

"""The words and tones that several pages share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from adjourn.approvals.people import Authenticator
from adjourn.approvals.text import plain
from adjourn.dashboard.text import initials
from adjourn.dashboard.times import When
from adjourn.model.actor import Actor
from adjourn.model.inbox import ApprovalStatus, ExecutionState

Tone = Literal["", "info", "ok", "no", "warn", "quiet"]


@dataclass(frozen=True, slots=True)
class Chip:
    """A short word with a tone and a mark; the word alone says everything."""

    text: str
    tone: Tone = ""
    icon: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Face:
    """A person in two letters and a name."""

    id: str
    name: str
    initials: str
    title: str = ""


class Names:
    """Names for ids, as one person reads them."""

    def __init__(self, people: Authenticator, me: Actor) -> None:
        self._people = people
        self.actor = me
        self.me = me.id

    def __call__(self, id: str) -> str:
        """The name in the directory, else the id."""
        found = self._people.find(id)
        return plain(found.name if found is not None and found.name else id)

    def you(self, id: str) -> str:
        """As the call, and "you" for whoever reads."""
        return "you" if id == self.me else self(id)

    def face(self, id: str) -> Face:
        found = self._people.find(id)
        title = "" if found is None else plain(found.title)
        return Face(plain(id), self(id), initials(self(id)), title)


RISK: dict[str, Chip] = {
    "low": Chip("Low risk", "quiet", "risk-low"),
    "medium": Chip("Medium risk", "warn", "risk-medium"),
    "high": Chip("High risk", "no", "risk-high"),
}

STATUS: dict[ApprovalStatus, Chip] = {
    "open": Chip("Open", "", "dot"),
    "claimed": Chip("Claimed", "info", "person"),
    "info_requested": Chip("Question pending", "warn", "question"),
    "approved": Chip("Approved", "ok", "check"),
    "rejected": Chip("Rejected", "no", "cross"),
    "expired": Chip("Expired", "quiet", "clock"),
    "cancelled": Chip("Cancelled", "quiet", "slash"),
    "superseded": Chip("Superseded", "warn", "swap"),
}

EXECUTION: dict[ExecutionState, Chip] = {
    "none": Chip("Not executed", "quiet", "dot"),
    "queued": Chip("Execution queued", "info", "clock"),
    "running": Chip("Executing", "info", "run"),
    "done": Chip("Executed", "ok", "check"),
    "failed": Chip("Execution failed", "no", "cross"),
    "unknown": Chip("In doubt", "no", "question"),
}

ENDED: frozenset[ApprovalStatus] = frozenset(
    {"approved", "rejected", "expired", "cancelled", "superseded"}
)


def key_of(id: str) -> str:
    """A word for an id that may stand in an element's id and in a selector."""
    return hashlib.sha256(id.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that happened, for a list of them."""

    text: str
    at: When | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and what it says; `when` instead of `text` for a moment."""

    label: str
    text: str = ""
    when: When | None = None
    tone: Tone = ""
    note: str = ""
    href: str = ""

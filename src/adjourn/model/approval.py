"""What an approval is asked, what people do to it, and what it answers. Stored as JSON.

The rules are `adjourn.approvals.machine`; these are the words that cross rooms.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar, get_args

import msgspec

from adjourn.model.actor import Role
from adjourn.model.ids import WATCH

T = TypeVar("T")

APPROVAL = "adjourn.approval"
"""The name of the built-in orchestrator."""

ACT = "act"
"""The name of the one update that an approval takes; its data is an `Action`."""

Risk = Literal["low", "medium", "high"]

Recipient = str
"""A person's id, or `group:` and a group's name, or `role:` and a role."""

_RECIPIENT = re.compile(r"(?:(?:group|role):)?[\w.@+-]{1,100}", re.ASCII)


def is_recipient(text: str) -> bool:
    """Whether it has the form of one; a role must be one of ours, or nobody could ever decide."""
    if text.startswith("role:") and text.removeprefix("role:") not in get_args(Role):
        return False
    return _RECIPIENT.fullmatch(text) is not None


class _Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


# What the reviewer is shown beside the proposal. Text only: never HTML, never an instruction.


class Line(_Value, frozen=True, kw_only=True):
    """One message of a conversation."""

    author: str
    text: str
    at: datetime | None = None
    role: Literal["customer", "agent", "person", "system"] = "customer"


class Conversation(_Value, frozen=True, kw_only=True, tag="conversation"):
    """What was said, oldest first."""

    lines: list[Line]
    title: str = "Conversation"


class Facts(_Value, frozen=True, kw_only=True, tag="facts"):
    """What code fetched from the system of record, by label, in order."""

    facts: dict[str, str]
    title: str = "Facts"


class Document(_Value, frozen=True, kw_only=True, tag="document"):
    """A passage: of a policy, a knowledge base, or a model's own reasoning."""

    title: str
    text: str
    source: str = ""
    by_model: bool = False
    """Written by a model: it is shown as such."""


Evidence = Conversation | Facts | Document


# The question.


class Bounds(_Value, frozen=True, kw_only=True):
    """Limits of an editable number, inclusive, as decimal text."""

    minimum: str = ""
    maximum: str = ""


class Escalation(_Value, frozen=True, kw_only=True):
    """After so many seconds these may decide as well."""

    after: float
    to: list[Recipient]


class AutoDecision(_Value, frozen=True, kw_only=True):
    """A policy has decided already; its name and version are recorded."""

    policy: str
    version: str = ""
    reason: str = ""


class Recheck(_Value, frozen=True, kw_only=True):
    """An activity whose answer must be the same at the opening and at the effect."""

    activity: str
    input: msgspec.Raw


class ApprovalRequest(_Value, frozen=True, kw_only=True):
    """The input of an approval. Spans are seconds after the opening."""

    kind: str
    """The proposal's type, as people call it: "Refund"."""
    title: str
    """The effect in one sentence: "Refund $600 to Ada, order A-1042"."""
    proposal: msgspec.Raw
    """A JSON object, canonical."""
    form: msgspec.Raw
    """The JSON Schema of the proposal."""
    to: list[Recipient]
    evidence: list[Evidence] = []
    editable: dict[str, Bounds] = {}
    """The fields that a reviewer may change, with their bounds."""
    requester: str = ""
    """Who asks; never an approver of it."""
    on_behalf_of: str = ""
    """For whom: the customer, say."""
    not_by: list[Recipient] = []
    need: int = 1
    """How many different people must approve the very same value."""
    auto: AutoDecision | None = None
    policy: str = ""
    """Why a person is asked: the rule that fired."""
    risk: Risk = "low"
    amount: float | None = None
    """For filters and order only; the exact amount is in the proposal."""
    currency: str = ""
    case: str = ""
    """The case it belongs to: the instance that asks, unless it says otherwise."""
    due: float | None = None
    remind: list[float] = []
    escalate: list[Escalation] = []
    expires: float | None = None
    """None means never, and was asked for."""
    undo: float = 10.0
    recheck: Recheck | None = None
    reversible: bool = True
    """Whether the effect can be taken back afterwards. For the reviewer."""
    fresh_sign_in: float | None = None
    """Whoever approves it has signed in so many seconds ago at most. None: whenever."""
    watch: str = ""
    """As `watchers`, in questions that were asked when there was one at most."""
    watchers: dict[str, str] = {}
    """The orchestrators that are told of it, by the names they watch under
    (`Adjourn.watch_approvals`)."""

    @property
    def all_watchers(self) -> dict[str, str]:
        """As `watchers`, whichever way it was asked."""
        return {WATCH: self.watch} if self.watch else self.watchers


NOTICE = "Notice"
"""The name of the external event that a watcher gets; its data is a `Notice`."""


class Notice(_Value, frozen=True, kw_only=True):
    """What a watcher is told of an approval: no more than it needs to look for itself."""

    id: str
    """Of the approval: `client.approvals.get`."""
    version: int
    what: list[str]
    """What has happened since the last notice, oldest first: opened, claimed, unclaimed,
    reassigned, commented, asked, answered, voted, approved, rejected, undone, cancelled, snoozed,
    reminded, escalated, expired, superseded, took_effect."""
    final: bool = False
    """The last notice of this approval."""


# What people do. Each carries the version that its author saw; who it was comes with the update.


class _Action(_Value, frozen=True, kw_only=True, tag_field="do"):
    version: int


class Claim(_Action, frozen=True, kw_only=True, tag="claim"):
    """Mine: nobody else decides meanwhile."""


class Unclaim(_Action, frozen=True, kw_only=True, tag="unclaim"):
    """Back to the queue."""


class Reassign(_Action, frozen=True, kw_only=True, tag="reassign"):
    """Others shall decide instead."""

    to: list[Recipient]
    comment: str = ""


class AddComment(_Action, frozen=True, kw_only=True, tag="comment"):
    """A note for those who decide. It changes no version."""

    text: str


class Ask(_Action, frozen=True, kw_only=True, tag="ask"):
    """Ask somebody for information before deciding."""

    question: str
    to: Recipient = ""
    """Empty means the requester."""


class AnswerQuestion(_Action, frozen=True, kw_only=True, tag="answer"):
    """The information that was asked for."""

    text: str


class Approve(_Action, frozen=True, kw_only=True, tag="approve"):
    """Approve the value shown, or with changes to editable fields."""

    changes: dict[str, Any] = {}
    comment: str = ""
    digest: str = ""
    """SHA-256 of the value shown, where the caller has it: then exactly that one is approved."""


class Reject(_Action, frozen=True, kw_only=True, tag="reject"):
    """Reject, with the reason that the requester will read."""

    reason: str


class Undo(_Action, frozen=True, kw_only=True, tag="undo"):
    """Take the decision back before it takes effect."""


class Cancel(_Action, frozen=True, kw_only=True, tag="cancel"):
    """The question is void: nobody need decide."""

    reason: str = ""


class Snooze(_Action, frozen=True, kw_only=True, tag="snooze"):
    """Out of my sight until then; None brings it back. Personal: it changes no version."""

    until: datetime | None = None


Action = (
    Claim
    | Unclaim
    | Reassign
    | AddComment
    | Ask
    | AnswerQuestion
    | Approve
    | Reject
    | Undo
    | Cancel
    | Snooze
)


class Answer(_Value, frozen=True, kw_only=True):
    """What an accepted action gets back."""

    id: str
    status: str
    version: int
    effective_at: datetime | None = None
    """Until then a decision can be undone."""
    final: bool = False
    votes: int = 0
    need: int = 1


# What the orchestrator that asked is told. `id` names the decision for ever.


class _Outcome(_Value, frozen=True, kw_only=True, tag_field="outcome"):
    id: str
    at: datetime


class Approved(_Outcome, Generic[T], frozen=True, kw_only=True, tag="approved"):
    """Exactly this value may be executed, once: `ctx.execute(decision, activity)`."""

    value: T
    by: list[str]
    edited: list[str] = []
    """Names of the fields that differ from the proposal."""
    comment: str = ""
    policy: str = ""
    """The policy that decided, with its version, when nobody was asked."""
    digest: str
    """SHA-256 of the value's canonical JSON, in hexadecimal."""


class Rejected(_Outcome, frozen=True, kw_only=True, tag="rejected"):
    """A person said no, and why."""

    reason: str
    by: str


class Expired(_Outcome, frozen=True, kw_only=True, tag="expired"):
    """Nobody decided in time. Nobody said no."""


class Cancelled(_Outcome, frozen=True, kw_only=True, tag="cancelled"):
    """The question became void before anybody decided."""

    reason: str = ""
    by: str = ""


class Superseded(_Outcome, frozen=True, kw_only=True, tag="superseded"):
    """It was approved, but the facts changed before the effect: ask again with the new ones."""

    was: Any = None
    now: Any = None


Decision = Approved[T] | Rejected | Expired | Cancelled | Superseded

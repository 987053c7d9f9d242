"""The rules of an approval: a state and an action give a state and an answer, or a refusal.

Pure: no clock, no dice, no IO. `at` is always the caller's, and aware. A state is known at one
moment; `tick` brings it to a later one. Everything else here does so first.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from adjourn.approvals import authority, form
from adjourn.approvals.actions import apply, cancelled
from adjourn.approvals.authority import may_decide, may_view, unanswered
from adjourn.approvals.checks import check_content, check_moment
from adjourn.approvals.deadlines import next_deadline, tick
from adjourn.approvals.form import Edit
from adjourn.approvals.state import Change, State
from adjourn.approvals.steps import after, changed, differences, later, shown
from adjourn.errors import Refusal
from adjourn.model.actor import Actor
from adjourn.model.approval import (
    Action,
    AddComment,
    Answer,
    AnswerQuestion,
    ApprovalRequest,
    Approve,
    Approved,
    Ask,
    Cancel,
    Cancelled,
    Claim,
    Decision,
    Expired,
    Reassign,
    Reject,
    Rejected,
    Snooze,
    Unclaim,
    Undo,
)
from adjourn.model.inbox import InboxRow

__all__ = [
    "Refusal",
    "act",
    "allowed",
    "check",
    "may_decide",
    "may_view",
    "next_deadline",
    "open",
    "outcome",
    "row",
    "supersede",
    "terminate",
    "tick",
]


def open(id: str, request: ApprovalRequest, at: datetime) -> State:
    """The approval as it opens. One that a policy has decided is final at once."""
    value = msgspec.json.decode(request.proposal)
    state = State(
        id=id,
        opened_at=at,
        due_at=later(at, request.due),
        expires_at=later(at, request.expires),
        to=request.to,
        value=value,
        digest=form.digest_of(request.proposal),
        changes=[Change(what="opened", by=request.requester, at=at, version=1)],
    )
    if request.auto is None:
        return state
    auto = request.auto
    return changed(
        state,
        "approved",
        "",
        at,
        auto.reason,
        bump=False,
        status="approved",
        decided_at=at,
        effective_at=at,
        final=True,
        reason=auto.reason,
        policy=f"{auto.policy} {auto.version}".strip(),
    )


# Actions.


def check(
    request: ApprovalRequest, state: State, action: Action, actor: Actor | None, at: datetime
) -> None:
    """Whether `act` would do it: authority first, then version and state, then content, and last
    how long ago the sign-in was.

    Raises: Refusal, of the kind forbidden, conflict or invalid.
    """
    _accept(request, tick(request, state, at), action, actor, at)


def act(
    request: ApprovalRequest,
    state: State,
    action: Action,
    actor: Actor | None,
    at: datetime,
    *,
    read: bool = False,
) -> tuple[State, Answer]:
    """Do it: the state after it, and what its author is answered. `read` says that its content and
    its sign-in have passed `check`: a replay may know other words and schemas, and what was taken
    stays so.

    Raises: Refusal, as `check`.
    """
    state = tick(request, state, at)
    who, edit = (_authorised if read else _accept)(request, state, action, actor, at)
    through = authority.acts_for(request, state, action, who, edit.digest) or ""
    state = apply(request, state, action, who, at, edit, through)
    answer = Answer(
        id=state.id,
        status=state.status,
        version=state.version,
        effective_at=state.effective_at,
        final=state.final,
        votes=len(state.votes),
        need=request.need,
    )
    return state, answer


def allowed(request: ApprovalRequest, state: State, actor: Actor | None, at: datetime) -> list[str]:
    """The `do` words of the actions that this actor may use now: the rules themselves are asked.
    Who has signed in too long ago to approve it finds "approve" here all the same: signing in again
    is all that is missing."""
    state = tick(request, state, at)
    found: list[str] = []
    for action in _samples(request, state, at):
        try:
            _permit(request, state, action, actor, at)
        except Refusal:
            continue
        found.append(str(action.__struct_config__.tag))
    return found


def _samples(request: ApprovalRequest, state: State, at: datetime) -> list[Action]:
    """One action of each kind, against which nothing can be said but by authority and state."""
    version = state.version
    return [
        Claim(version=version),
        Unclaim(version=version),
        Reassign(version=version, to=["role:lead"]),
        AddComment(version=version, text="?"),
        Ask(version=version, question="?", to=request.requester or "role:lead"),
        AnswerQuestion(version=version, text="?"),
        Approve(version=version),
        Reject(version=version, reason="?"),
        Undo(version=version),
        Cancel(version=version),
        Snooze(version=version, until=after(at, 1)),
    ]


def _accept(
    request: ApprovalRequest, state: State, action: Action, actor: Actor | None, at: datetime
) -> tuple[Actor, Edit]:
    who, edit = _permit(request, state, action, actor, at)
    authority.refuse_a_stale_sign_in(request, action, who, at)
    return who, edit


def _permit(
    request: ApprovalRequest, state: State, action: Action, actor: Actor | None, at: datetime
) -> tuple[Actor, Edit]:
    who, edit = _authorised(request, state, action, actor, at)
    check_content(request, action, at, edit)
    return who, edit


def _authorised(
    request: ApprovalRequest, state: State, action: Action, actor: Actor | None, at: datetime
) -> tuple[Actor, Edit]:
    who = authority.authorise(request, state, action, actor)
    edit = form.edit(request, state, action.changes if isinstance(action, Approve) else {})
    authority.refuse_a_second_vote(request, state, action, who, edit.digest)
    check_moment(state, action, who, at, edit)
    return who, edit


# What comes of it.


def supersede(request: ApprovalRequest, state: State, was: Any, now: Any, at: datetime) -> State:
    """Approved, but the facts changed before the effect: it authorises nothing any more."""
    return changed(
        tick(request, state, at),
        "superseded",
        "",
        at,
        _facts_changed(was, now),
        status="superseded",
        final=True,
    )


def _facts_changed(was: Any, now: Any) -> str:
    if isinstance(was, dict) and isinstance(now, dict):
        return differences(was, now)
    return f"{shown(was)} → {shown(now)}"


def terminate(request: ApprovalRequest, state: State, reason: str, at: datetime) -> State:
    """Its instance was ended from outside, before whoever asked was told anything else."""
    return cancelled(tick(request, state, at), "", reason, at)


def row(request: ApprovalRequest, state: State) -> InboxRow:
    """What the inbox shows of it."""
    not_by = [*request.not_by, *([request.requester] if request.requester else [])]
    return InboxRow(
        id=state.id,
        title=request.title,
        opened_at=state.opened_at,
        kind=request.kind,
        status=state.status,
        final=state.final,
        version=state.version,
        to=state.to,
        not_by=list(dict.fromkeys(not_by)),
        voted=[vote.by for vote in state.votes],
        represented=[vote.through for vote in state.votes if vote.through],
        asked_by=list(dict.fromkeys(each.by for each in unanswered(state.questions))),
        asked=list(dict.fromkeys(each.to for each in state.questions)),
        holder=state.holder,
        requester=request.requester,
        on_behalf_of=request.on_behalf_of,
        case=request.case,
        risk=request.risk,
        policy=request.policy,
        amount=request.amount,
        currency=request.currency,
        need=request.need,
        due_at=state.due_at,
        expires_at=state.expires_at,
        effective_at=state.effective_at,
        decided_at=state.decided_at,
        decided_by=state.decided_by,
        snoozed=state.snoozed,
        reminders=state.reminded,
        escalated=state.escalated,
    )


def outcome(request: ApprovalRequest, state: State) -> Decision[Any]:
    """What whoever asked is told.

    Raises: ValueError while it is not final, and for a superseded one: the facts are not in here.
    """
    ended_at = state.decided_at
    if not state.final or ended_at is None or state.status == "superseded":
        raise ValueError(f"{state.id} is {state.status} and not final, or superseded")
    match state.status:
        case "approved":
            return Approved(
                id=state.id,
                at=ended_at,
                value=state.value,
                by=state.decided_by,
                edited=state.edited,
                comment=state.reason,
                policy=state.policy,
                digest=state.digest,
            )
        case "rejected":
            return Rejected(id=state.id, at=ended_at, reason=state.reason, by=state.decided_by[0])
        case "expired":
            return Expired(id=state.id, at=ended_at)
        case _:
            by = state.changes[-1].by
            return Cancelled(id=state.id, at=ended_at, reason=state.reason, by=by)

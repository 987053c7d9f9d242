"""What an action that was permitted makes of the state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import assert_never

import msgspec
from msgspec.structs import replace

from adjourn.approvals import form
from adjourn.approvals.authority import unanswered
from adjourn.approvals.form import Edit
from adjourn.approvals.state import Note, Question, State, Vote
from adjourn.approvals.steps import after, changed, differences, joined, moment
from adjourn.model.actor import Actor, addresses_of
from adjourn.model.approval import (
    Action,
    AddComment,
    AnswerQuestion,
    ApprovalRequest,
    Approve,
    Ask,
    Cancel,
    Claim,
    Reassign,
    Reject,
    Snooze,
    Unclaim,
    Undo,
)


def apply(
    request: ApprovalRequest,
    state: State,
    action: Action,
    who: Actor,
    at: datetime,
    edit: Edit,
    through: str = "",
) -> State:
    """The state after it, at `at`; for a decision `edit` is the value. `through` is in whose place
    they do it, where it is not for themself."""
    match action:
        case Claim():
            return _standing(changed(state, "claimed", who.id, at, holder=who.id, through=through))
        case Unclaim():
            return _standing(changed(state, "unclaimed", who.id, at, holder="", through=through))
        case Reassign():
            return _reassign(state, action, who, at, through)
        case AddComment(text=text):
            notes = [*state.notes, Note(by=who.id, at=at, text=text)]
            return changed(state, "commented", who.id, at, text, bump=False, notes=notes)
        case Ask():
            return _ask(request, state, action, who, at, through)
        case AnswerQuestion():
            return _answer(state, action, who, at)
        case Approve():
            return _approve(request, state, action, who, at, edit, through)
        case Reject(reason=reason):
            state = changed(
                state, "rejected", who.id, at, reason, status="rejected", through=through
            )
            return _decided(request, state, at, by=[who.id], reason=reason)
        case Undo():
            return _undo(request, state, who, at)
        case Cancel(reason=reason):
            return cancelled(state, who.id, reason, at)
        case Snooze():
            return _snooze(state, action, who, at)
        case _:
            assert_never(action)


def _reassign(state: State, action: Reassign, who: Actor, at: datetime, through: str) -> State:
    to = list(dict.fromkeys(action.to))
    detail = joined("to " + ", ".join(to), action.comment)
    return _standing(
        changed(state, "reassigned", who.id, at, detail, to=to, holder="", through=through)
    )


def _ask(
    request: ApprovalRequest, state: State, action: Ask, who: Actor, at: datetime, through: str
) -> State:
    to = action.to or request.requester
    question = Question(by=who.id, at=at, text=action.question, to=to)
    detail = joined(f"{to}", action.question)
    questions = [*state.questions, question]
    return _standing(
        changed(state, "asked", who.id, at, detail, questions=questions, through=through)
    )


def _answer(state: State, action: AnswerQuestion, who: Actor, at: datetime) -> State:
    """To the latest question that was put to them; a lead may answer for others."""
    open_ones = unanswered(state.questions)
    mine = addresses_of(who)
    chosen = next((each for each in reversed(open_ones) if each.to in mine), open_ones[-1])
    answered = replace(chosen, answer=action.text, answered_by=who.id, answered_at=at)
    questions = [answered if each is chosen else each for each in state.questions]
    return _standing(changed(state, "answered", who.id, at, action.text, questions=questions))


def _approve(
    request: ApprovalRequest,
    state: State,
    action: Approve,
    who: Actor,
    at: datetime,
    edit: Edit,
    through: str,
) -> State:
    """A vote for this very value; those for another one no longer count."""
    detail = joined(differences(state.value, edit.value), action.comment)
    vote = Vote(
        by=who.id,
        at=at,
        digest=edit.digest,
        comment=action.comment,
        channel=who.channel,
        through=through,
    )
    votes = [*(vote for vote in state.votes if vote.digest == edit.digest), vote]
    reached = len(votes) >= request.need
    state = changed(
        state,
        "approved" if reached else "voted",
        who.id,
        at,
        detail,
        value=edit.value,
        digest=edit.digest,
        edited=form.edited(request, edit.value),
        votes=votes,
        through=through,
    )
    if not reached:
        # Their part is done: a claim kept now would keep the next voter out.
        return _standing(replace(state, holder=""))
    by = [vote.by for vote in votes]
    reason = "\n".join(vote.comment for vote in votes if vote.comment)
    return _decided(request, replace(state, status="approved"), at, by=by, reason=reason)


def _decided(
    request: ApprovalRequest, state: State, at: datetime, *, by: list[str], reason: str
) -> State:
    return replace(
        state,
        decided_at=at,
        decided_by=by,
        reason=reason,
        effective_at=after(at, request.undo),
        final=request.undo <= 0,
    )


def _undo(request: ApprovalRequest, state: State, who: Actor, at: datetime) -> State:
    return _standing(
        changed(
            state,
            "undone",
            who.id,
            at,
            f"{state.status} by {', '.join(state.decided_by)}",
            value=msgspec.json.decode(request.proposal),
            digest=form.digest_of(request.proposal),
            edited=[],
            votes=[],
            decided_at=None,
            decided_by=[],
            effective_at=None,
            reason="",
        )
    )


def _snooze(state: State, action: Snooze, who: Actor, at: datetime) -> State:
    others = {
        person: until for person, until in state.snoozed.items() if until > at and person != who.id
    }
    if action.until is None:
        return changed(state, "snoozed", who.id, at, "no longer", bump=False, snoozed=others)
    until = action.until.astimezone(UTC)
    snoozed = {**others, who.id: until}
    detail = f"until {moment(until)}"
    return changed(state, "snoozed", who.id, at, detail, bump=False, snoozed=snoozed)


def cancelled(state: State, by: str, reason: str, at: datetime) -> State:
    """Void, and final at once. `by` is empty where its instance was terminated."""
    return changed(
        state,
        "cancelled",
        by,
        at,
        reason,
        status="cancelled",
        reason=reason,
        decided_at=at,
        decided_by=[],
        effective_at=None,
        final=True,
    )


def _standing(state: State) -> State:
    """With the status of what is undecided: a question waits, or somebody holds it, or neither."""
    if unanswered(state.questions):
        return replace(state, status="info_requested")
    return replace(state, status="claimed" if state.holder else "open")

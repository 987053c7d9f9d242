"""What an approval refuses of those who may act: too late, or wrong in content."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, assert_never

from adjourn.approvals.authority import unanswered
from adjourn.approvals.form import Edit
from adjourn.approvals.state import Change, State
from adjourn.approvals.steps import DECIDED, exact, moment
from adjourn.authoring.approval import RECIPIENTS_LIMIT
from adjourn.errors import Refusal
from adjourn.model.actor import Actor
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
    Recipient,
    Reject,
    Snooze,
    Unclaim,
    Undo,
    is_recipient,
)

TEXT_LIMIT = 4_000  # characters of a comment, a question, an answer, a reason
SNOOZE_LIMIT = 20  # people who have put one approval out of sight
CHANGES_LIMIT = 1_000  # then it is decided or cancelled, and nothing else: its history has an end
SINCE_LIMIT = 20  # changes that a conflict tells, the latest ones
DETAIL_LIMIT = 200  # characters of each


_ENDING = Approve | Reject | Undo | Cancel


# 409: to another version than the sender saw, or too late.


def check_moment(state: State, action: Action, actor: Actor, at: datetime, edit: Edit) -> None:
    """Whether it can still be done, to the version that its author saw.

    Raises: Refusal (conflict), with who changed it, when, and what.
    """
    if not _goes_on(state, action):
        raise _ended(state, action)
    if len(state.changes) >= CHANGES_LIMIT and not isinstance(action, _ENDING):
        reason = f"It has changed {CHANGES_LIMIT:,} times: decide or cancel it; nothing changed."
        raise _conflict(state, action, reason)
    match action:
        case AddComment():
            return
        case Snooze():
            if action.until is not None:
                _check_room(state, action, actor, at)
            return
        case Undo() if state.decided_at is None:
            raise _conflict(state, action, "There is no decision to take back; nothing changed.")
        case Claim() if state.holder:
            raise _held(state, action, actor)
        case Approve() | Reject() if state.holder not in ("", actor.id):
            raise _held(state, action, actor)
        case Unclaim() if not state.holder:
            raise _conflict(state, action, "Nobody has claimed it; nothing changed.")
        case AnswerQuestion() if not unanswered(state.questions):
            raise _conflict(state, action, "No question waits for an answer; nothing changed.")
        case _:
            pass
    if action.version != state.version:
        raise _conflict(state, action, f"{_latest(state, action)} Look again; nothing changed.")
    if isinstance(action, Approve) and action.digest:
        shown = {state.digest, edit.digest} if action.changes else {state.digest}
        if action.digest not in shown:
            raise _conflict(state, action, "That is not the value that you saw; nothing changed.")


def _goes_on(state: State, action: Action) -> bool:
    if isinstance(action, Undo | AddComment):
        return not state.final
    return not state.final and state.status not in DECIDED


def _ended(state: State, action: Action) -> Refusal:
    """Who ended it, how and when."""
    ending = _last(state, state.status)
    by = state.decided_by if state.status in DECIDED else _authors(ending)
    if isinstance(action, Undo) and state.status in DECIDED and state.effective_at is not None:
        reason = (
            f"It took effect at {moment(state.effective_at)} and can no longer be taken back; "
            "nothing changed."
        )
        return _conflict(state, action, reason, by=by, at=state.effective_at)
    by_policy = state.policy and state.status == "approved"
    author = f"policy {state.policy}" if by_policy else ", ".join(by)
    told = f" by {author}" if author else ""
    reason = f"Already {state.status}{told} at {moment(ending.at)}; nothing changed."
    return _conflict(state, action, reason, by=by, at=ending.at)


def _held(state: State, action: Action, actor: Actor) -> Refusal:
    claim = _last(state, "claimed")
    who = "you" if state.holder == actor.id else state.holder
    reason = f"Claimed by {who} at {moment(claim.at)}; nothing changed."
    return _conflict(state, action, reason, by=[state.holder], at=claim.at)


def _check_room(state: State, action: Snooze, actor: Actor, at: datetime) -> None:
    others = [who for who, until in state.snoozed.items() if until > at and who != actor.id]
    if len(others) >= SNOOZE_LIMIT:
        reason = f"{SNOOZE_LIMIT} people have snoozed it, and that is the limit; nothing changed."
        raise _conflict(state, action, reason)


def _conflict(
    state: State,
    action: Action,
    reason: str,
    *,
    by: Sequence[str] | None = None,
    at: datetime | None = None,
) -> Refusal:
    """By whom and when: of the latest change, unless told otherwise."""
    since = [change for change in state.changes if change.version > action.version]
    latest = (since or state.changes)[-1]
    return Refusal(
        reason,
        "conflict",
        {
            "status": state.status,
            "version": state.version,
            "by": list(_authors(latest) if by is None else by),
            "at": exact(latest.at if at is None else at),
            "since": [_told(change) for change in since[-SINCE_LIMIT:]],
        },
    )


def _told(change: Change) -> dict[str, Any]:
    told = {
        "what": change.what,
        "by": change.by,
        "at": exact(change.at),
        "detail": change.detail[:DETAIL_LIMIT],
    }
    return {**told, "through": change.through} if change.through else told


def _latest(state: State, action: Action) -> str:
    """The change that the sender did not see, as a sentence."""
    since = [change for change in state.changes if change.version > action.version]
    if not since:
        return f"Its version is {state.version}, and not {action.version}."
    latest = since[-1]
    author = f" by {latest.by}" if latest.by else ""
    return f"It has changed: {latest.what}{author} at {moment(latest.at)}."


def _last(state: State, what: str) -> Change:
    return next(
        (change for change in reversed(state.changes) if change.what == what), state.changes[-1]
    )


def _authors(change: Change) -> list[str]:
    return [change.by] if change.by else []


# 422: wrong in content.


def check_content(request: ApprovalRequest, action: Action, at: datetime, edit: Edit) -> None:
    """Whether what they wrote can be taken.

    Raises: Refusal (invalid), with what is wrong by field.
    """
    errors = {field: problem for field, problem in _problems(request, action, at, edit) if problem}
    if errors:
        told = "; ".join(f"{field}: {problem}" for field, problem in list(errors.items())[:5])
        raise Refusal(f"{told}. Nothing changed.", "invalid", {"fields": errors})


def _problems(
    request: ApprovalRequest, action: Action, at: datetime, edit: Edit
) -> list[tuple[str, str]]:
    match action:
        case Claim() | Unclaim() | Undo():
            return []
        case Reassign(to=to, comment=comment):
            return [("to", _recipients(request, to)), ("comment", _text(comment, empty=True))]
        case AddComment(text=text) | AnswerQuestion(text=text):
            return [("text", _text(text))]
        case Ask(question=question, to=to):
            return [("question", _text(question)), ("to", _asked(request, to))]
        case Approve(comment=comment):
            return [*edit.errors.items(), ("comment", _text(comment, empty=True))]
        case Reject(reason=reason):
            return [("reason", _text(reason))]
        case Cancel(reason=reason):
            return [("reason", _text(reason, empty=True))]
        case Snooze(until=until):
            return [("until", _until(until, at))]
        case _:
            assert_never(action)


def _text(text: str, *, empty: bool = False) -> str:
    if not empty and not text.strip():
        return "must not be empty"
    if len(text) > TEXT_LIMIT:
        return f"has {len(text):,} characters; {TEXT_LIMIT:,} at most"
    return ""


def _recipients(request: ApprovalRequest, to: Sequence[Recipient]) -> str:
    if not to:
        return "must name somebody"
    if len(to) > RECIPIENTS_LIMIT:
        return f"names {len(to)}; {RECIPIENTS_LIMIT} at most"
    unknown = next((each for each in to if not is_recipient(each)), None)
    if unknown is not None:
        return f"{unknown[:DETAIL_LIMIT]!r} is no person's id, group:name or role:name"
    if {request.requester, *request.not_by}.issuperset(to) and not any(":" in each for each in to):
        return "names only people who must not decide this"
    return ""


def _asked(request: ApprovalRequest, to: Recipient) -> str:
    if to:
        return "" if is_recipient(to) else "is no person's id, group:name or role:name"
    return "" if request.requester else "must name somebody: this has no requester"


def _until(until: datetime | None, at: datetime) -> str:
    if until is None:
        return ""
    if until.tzinfo is None:
        return "must say its time zone"
    try:
        return "" if until.astimezone(UTC) > at else "must be later than now"
    except OverflowError:
        return "is too late"

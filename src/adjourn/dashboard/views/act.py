"""A form that a person sent, as an action; and what is wrong with it before anybody is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from adjourn.approvals import machine
from adjourn.client.approvals import ApprovalView
from adjourn.dashboard.body import Form, field_texts
from adjourn.dashboard.views.rows import needs_hold
from adjourn.errors import InvalidPayloadError, Refusal, UpdateRefusedError
from adjourn.model.actor import Actor
from adjourn.model.approval import (
    Action,
    AddComment,
    AnswerQuestion,
    Approve,
    Ask,
    Cancel,
    Claim,
    Reassign,
    Reject,
    Risk,
    Snooze,
    Unclaim,
    Undo,
)

SNOOZES = {
    "1h": ("1 hour", 1),
    "4h": ("4 hours", 4),
    "1d": ("1 day", 24),
    "3d": ("3 days", 72),
    "7d": ("1 week", 168),
}
"""By word: the label, and how many hours."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a form asks for. With errors nothing was asked of anybody yet."""

    action: Action
    errors: dict[str, str] = field(default_factory=dict[str, str])


def sent_action(form: Form, view: ApprovalView, now: datetime, hold_above: Risk) -> Sent:
    """Raises: InvalidPayloadError for a word that is no action."""
    version, do = form.number("version"), form.words("do")
    match do:
        case "approve":
            return _approve(form, view, version, hold_above)
        case "reject":
            return Sent(Reject(version=version, reason=form.words("comment")))
        case "claim":
            return Sent(Claim(version=version))
        case "unclaim":
            return Sent(Unclaim(version=version))
        case "comment":
            return Sent(AddComment(version=version, text=form.words("text")))
        case "answer":
            return Sent(AnswerQuestion(version=version, text=form.words("text")))
        case "ask":
            question, to = form.words("question"), form.words("to")
            return Sent(Ask(version=version, question=question, to=to))
        case "reassign":
            to = [word for word in form.words("to").replace(",", " ").split() if word]
            return Sent(Reassign(version=version, to=to, comment=form.words("comment")))
        case "undo":
            return Sent(Undo(version=version))
        case "cancel":
            return Sent(Cancel(version=version, reason=form.words("reason")))
        case "snooze":
            span = SNOOZES.get(form.words("until"))
            until = None if span is None else now + timedelta(hours=span[1])
            return Sent(Snooze(version=version, until=until))
        case _:
            raise InvalidPayloadError("The form", "it names no action that there is")


def _approve(form: Form, view: ApprovalView, version: int, hold_above: Risk) -> Sent:
    changes, errors = view.changes(field_texts(form))
    comment = form.words("comment")
    if needs_hold(view.request.risk, hold_above):
        if not comment:
            errors["comment"] = f"At {view.request.risk} risk say why you approve."
        if form.words("confirm") != "yes":
            errors["confirm"] = "Confirm that you have checked it."
    action = Approve(version=version, changes=changes, comment=comment, digest=form.words("digest"))
    return Sent(action, errors)


def moves_on(action: Action) -> bool:
    """Whether the next approval opens after it: this one needs nothing more of this person."""
    match action:
        case Approve() | Reject() | Reassign() | Cancel():
            return True
        case Snooze(until=until):
            return until is not None
        case _:
            return False


def check_first(view: ApprovalView, action: Action, actor: Actor, now: datetime) -> None:
    """Whether it would be refused anyway: who may not, or comes too late, is told that and not
    that a comment is missing. What is only wrong in content passes.

    Raises: UpdateForbiddenError, UpdateConflictError.
    """
    try:
        machine.check(view.request, view.state, action, actor, max(now, view.state.opened_at))
    except Refusal as refusal:
        if refusal.kind != "invalid":
            raise refusal.error(view.state.id, "") from None


def field_errors(error: UpdateRefusedError) -> dict[str, str]:
    """What a refusal says about each field, as sentences."""
    found: Any = error.details.get("fields", {})
    told = {str(name): str(text) for name, text in found.items()} if found else {}
    if not told:
        return {"": error.reason}
    named = {"reason": "A reason", "text": "The text", "question": "The question", "to": "This"}
    return {
        name: f"{named[name]} {text}." if name in named else text for name, text in told.items()
    }

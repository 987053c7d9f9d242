"""An approval as people are shown it: without what the application hides.

A rule about names hides fields of the application's own values: the proposal, facts, what a recheck
found. What we call our own fields is no name in that sense, so no rule can hide when something
happened or who may act; of the texts that people write there, secrets are hidden by their form.
What is decided by stays as it is: versions, digests.
"""

from __future__ import annotations

from typing import Any, TypeVar, assert_never, cast

import msgspec
from msgspec.structs import replace

from adjourn.approvals.audit import Audit
from adjourn.approvals.state import State
from adjourn.errors import InvalidPayloadError, UpdateRefusedError
from adjourn.model.approval import (
    Action,
    ApprovalRequest,
    Approve,
    Conversation,
    Document,
    Evidence,
    Facts,
)
from adjourn.model.inbox import InboxRow
from adjourn.model.privacy import HIDDEN, Redactor

T = TypeVar("T", bound=msgspec.Struct)


def shown_audit(audit: Audit, redactor: Redactor) -> Audit:
    """A field that is not shown as it is cannot be edited here: nobody should change what they
    cannot see, nor send back what stands in its place."""
    request, state = audit.request, audit.state
    editable = {
        name: bounds
        for name, bounds in request.editable.items()
        if _open(msgspec.json.decode(request.proposal), name, redactor)
        and _open(state.value, name, redactor)
    }
    return Audit(
        request=replace(_request(request, redactor), editable=editable),
        state=_state(state, redactor),
        entries=_each(audit.entries, redactor, "detail"),
    )


def _open(value: Any, name: str, redactor: Redactor) -> bool:
    """Whether this field of an object is shown as it is."""
    if not isinstance(value, dict) or name not in value:
        return True
    field = {name: cast("dict[str, Any]", value)[name]}
    return redactor.value(field) is field


def _request(request: ApprovalRequest, redactor: Redactor) -> ApprovalRequest:
    recheck, auto = request.recheck, request.auto
    return replace(
        _texts(request, redactor, "title", "on_behalf_of", "policy"),
        proposal=redactor.raw(request.proposal),
        evidence=[_evidence(each, redactor) for each in request.evidence],
        auto=None if auto is None else _texts(auto, redactor, "reason"),
        recheck=None if recheck is None else replace(recheck, input=redactor.raw(recheck.input)),
    )


def _evidence(evidence: Evidence, redactor: Redactor) -> Evidence:
    match evidence:
        case Conversation():
            lines = _each(evidence.lines, redactor, "author", "text")
            return replace(_texts(evidence, redactor, "title"), lines=lines)
        case Facts():
            facts = redactor.value(evidence.facts)
            return replace(_texts(evidence, redactor, "title"), facts=facts)
        case Document():
            return _texts(evidence, redactor, "title", "text", "source")
        case _:
            assert_never(evidence)


def _state(state: State, redactor: Redactor) -> State:
    return replace(
        _texts(state, redactor, "reason", "policy"),
        value=redactor.value(state.value),
        votes=_each(state.votes, redactor, "comment"),
        questions=_each(state.questions, redactor, "text", "answer"),
        notes=_each(state.notes, redactor, "text"),
        changes=_each(state.changes, redactor, "detail"),
    )


def shown_row(row: InboxRow, redactor: Redactor) -> InboxRow:
    """What the list shows: who and when as it is, the texts without secrets."""
    return _texts(row, redactor, "title", "on_behalf_of", "policy", "problem")


def told(error: UpdateRefusedError, redactor: Redactor) -> UpdateRefusedError:
    """The refusal of an approval, which may tell what others wrote; we name its details."""
    return _refusal(error, redactor, redactor.texts(error.details))


def refusal_of(error: UpdateRefusedError, redactor: Redactor) -> UpdateRefusedError:
    """The refusal of an application's orchestrator, which names its details."""
    return _refusal(error, redactor, redactor.value(error.details))


def _refusal(
    error: UpdateRefusedError, redactor: Redactor, details: dict[str, Any]
) -> UpdateRefusedError:
    reason = redactor.text(error.reason)
    return type(error)(error.instance_id, error.update_id, reason, details)


def check_seen(action: Action) -> None:
    """Raises: InvalidPayloadError for an approval of a value that its sender was not shown."""
    if isinstance(action, Approve) and HIDDEN.encode() in msgspec.json.encode(action.changes):
        raise InvalidPayloadError(
            "The changes", f"{HIDDEN} stands for what you are not shown: send only what you change"
        )


def _each(parts: list[T], redactor: Redactor, *names: str) -> list[T]:
    return [_texts(part, redactor, *names) for part in parts]


def _texts(part: T, redactor: Redactor, *names: str) -> T:
    """The same, these fields of it as text for people."""
    return replace(part, **{name: redactor.text(getattr(part, name)) for name in names})

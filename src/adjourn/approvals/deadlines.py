"""What happens to an approval by itself: the end of an undo, reminders, escalations, the expiry."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from adjourn.approvals.state import State
from adjourn.approvals.steps import DECIDED, after, changed
from adjourn.model.approval import ApprovalRequest


def next_deadline(request: ApprovalRequest, state: State) -> datetime | None:
    """When something happens by itself, next: the end of an undo, a reminder, an escalation, the
    expiry. It may have passed. None when nothing will."""
    return min((due for due, _ in _deadlines(request, state)), default=None)


def tick(request: ApprovalRequest, state: State, at: datetime) -> State:
    """The state at `at`: all that fell due has happened, in order, each once.

    Idempotent. A moment that has passed already changes nothing.
    """
    while True:
        coming = min(_deadlines(request, state), key=lambda deadline: deadline[0], default=None)
        if coming is None or coming[0] > at:
            return state
        state = _fall_due(request, state, *coming)


def _deadlines(request: ApprovalRequest, state: State) -> Iterator[tuple[datetime, str]]:
    """The next of each kind. Of those at the same moment the first one here comes first."""
    if state.final:
        return
    if state.status in DECIDED:
        if state.effective_at is not None:
            yield state.effective_at, "took_effect"
        return
    if state.reminded < len(request.remind):
        yield after(state.opened_at, sorted(request.remind)[state.reminded]), "reminded"
    if state.escalated < len(request.escalate):
        seconds = sorted(step.after for step in request.escalate)[state.escalated]
        yield after(state.opened_at, seconds), "escalated"
    if state.expires_at is not None:
        yield state.expires_at, "expired"


def _fall_due(request: ApprovalRequest, state: State, due: datetime, what: str) -> State:
    # What fell due while a decision stood, which was then undone, happens after the undoing.
    at = max(due, state.changes[-1].at)
    match what:
        case "took_effect":
            return changed(state, what, "", at, bump=False, final=True)
        case "reminded":
            return changed(state, what, "", at, bump=False, reminded=state.reminded + 1)
        case "escalated":
            step = sorted(request.escalate, key=lambda step: step.after)[state.escalated]
            return changed(
                state,
                what,
                "",
                at,
                "to " + ", ".join(step.to),
                bump=False,  # it only widens who may decide
                to=list(dict.fromkeys([*state.to, *step.to])),
                escalated=state.escalated + 1,
            )
        case _:
            return changed(state, what, "", at, status="expired", decided_at=due, final=True)

"""The built-in orchestrator: an approval is a durable function like any other.

It uses what every orchestrator has (updates, timers, activities, custom status, attributes); what
may happen is `machine`'s business.
"""

from __future__ import annotations

from typing import Any

import msgspec

from adjourn.approvals import machine
from adjourn.approvals.state import State
from adjourn.authoring.context import Context, Offer, UpdateRequest
from adjourn.authoring.functions import Orchestrator
from adjourn.errors import Refusal
from adjourn.model.approval import ACT, APPROVAL, Action, ApprovalRequest, Decision, Superseded


async def wait_for_people(ctx: Context, request: ApprovalRequest) -> Decision[Any]:
    """Ask, and return what was decided, once that can no longer be undone."""
    state = machine.open(ctx.instance_id, request, ctx.current_utc_datetime)
    _show(ctx, request, state)
    facts = await _facts(ctx, request)
    while not state.final:
        update = ctx.wait_for_update(ACT, Action, validator=_checks(request, state))
        deadline = machine.next_deadline(request, state)
        if deadline is None:
            await update
        else:
            await ctx.when_any(update, ctx.create_timer(deadline))
        state = machine.tick(request, state, ctx.current_utc_datetime)
        if update.done():
            state = _answer(request, state, update.result())
        _show(ctx, request, state)
    if state.status == "approved" and request.recheck is not None:
        now = await _facts(ctx, request)
        if now != facts:
            at = ctx.current_utc_datetime
            state = machine.supersede(request, state, facts, now, at)
            _show(ctx, request, state)
            return Superseded(id=state.id, at=at, was=facts, now=now)
    return machine.outcome(request, state)


async def _facts(ctx: Context, request: ApprovalRequest) -> Any:
    """What the recheck's activity says now; None where there is nothing to recheck."""
    if request.recheck is None:
        return None
    arguments = msgspec.json.decode(request.recheck.input, type=dict[str, Any])
    return await ctx.call_activity(request.recheck.activity, **arguments)


def _checks(request: ApprovalRequest, state: State) -> Any:
    def check(offer: Offer[Action]) -> None:
        machine.check(request, state, offer.value, offer.by, offer.at)

    return check


def _answer(request: ApprovalRequest, state: State, update: UpdateRequest[Action]) -> State:
    try:
        state, answer = machine.act(request, state, update.value, update.by, update.at)
    except Refusal as refusal:
        update.refuse(refusal.reason, refusal.kind, refusal.details)
    else:
        update.accept(answer)
    return state


def _show(ctx: Context, request: ApprovalRequest, state: State) -> None:
    """What `list` and the inbox find it by."""
    row = machine.row(request, state)
    ctx.set_custom_status(row)
    ctx.set_attributes(
        kind=row.kind,
        state=row.status,
        holder=row.holder or None,
        requester=row.requester or None,
        case=row.case,
        risk=row.risk,
        policy=row.policy or None,
        due_at=None if row.due_at is None else row.due_at.isoformat(),
    )


ORCHESTRATOR: Orchestrator[ApprovalRequest, Decision[Any]] = Orchestrator(
    wait_for_people, APPROVAL, version="1"
)

"""The built-in orchestrator: an approval is a durable function like any other.

It uses what every orchestrator has (updates, timers, activities, custom status, attributes); what
may happen is `machine`'s business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from adjourn.approvals import machine
from adjourn.approvals.state import State
from adjourn.authoring.context import Context, Offer, UpdateRequest
from adjourn.authoring.functions import Orchestrator
from adjourn.errors import Refusal
from adjourn.model import codec
from adjourn.model.approval import (
    ACT,
    APPROVAL,
    NOTICE,
    Action,
    ApprovalRequest,
    Decision,
    Notice,
    Superseded,
)
from adjourn.model.ids import watcher_id

Check = Callable[[Offer[Action]], None]

FACTS_LIMIT = 100 * 1024
"""Bytes of what a recheck says: two of them must fit into one answer."""


async def wait_for_people(ctx: Context, request: ApprovalRequest) -> Decision[Any]:
    """Ask, and return what was decided, once that can no longer be undone."""
    state = machine.open(ctx.instance_id, request, ctx.current_utc_datetime)
    watch = _Watch(ctx, request)
    _show(ctx, request, state)
    watch.tell(state)
    facts = await _facts(ctx, request, _opens(request, state))
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
        watch.tell(state)
    if state.status == "approved" and request.recheck is not None:
        now = await _facts(ctx, request, _checks(request, state))
        if now != facts:
            at = ctx.current_utc_datetime
            state = machine.supersede(request, state, facts, now, at)
            _show(ctx, request, state)
            watch.tell(state, rechecked=True)
            return Superseded(id=state.id, at=at, was=facts, now=now)
        watch.tell(state, rechecked=True)
    return machine.outcome(request, state)


async def _facts(ctx: Context, request: ApprovalRequest, refuses: Check) -> Any:
    """What the recheck's activity says now; None where there is nothing to recheck. Whoever acts
    meanwhile is refused at once and by the rules, however long the activity takes."""
    if request.recheck is None:
        return None
    arguments = msgspec.json.decode(request.recheck.input, type=dict[str, Any])
    told = ctx.call_activity(request.recheck.activity, **arguments)
    await ctx.when_any(told, ctx.wait_for_update(ACT, Action, validator=refuses))
    facts = told.result()
    codec.encode(facts, "What the recheck says", FACTS_LIMIT)
    return facts


def _checks(request: ApprovalRequest, state: State) -> Check:
    def check(offer: Offer[Action]) -> None:
        machine.check(request, state, offer.value, offer.by, offer.at)

    return check


def _opens(request: ApprovalRequest, state: State) -> Check:
    def refuse(offer: Offer[Action]) -> None:
        machine.check(request, state, offer.value, offer.by, offer.at)
        reason = "Its facts are still looked up; try again in a moment. Nothing changed."
        raise Refusal(reason, "conflict", {"status": state.status, "version": state.version})

    return refuse


def _answer(request: ApprovalRequest, state: State, update: UpdateRequest[Action]) -> State:
    """Its validator has let it pass, so only a bug can be in the way: that must not end it."""
    try:
        state, answer = machine.act(request, state, update.value, update.by, update.at, read=True)
    except Refusal as refusal:
        update.refuse(refusal.reason, refusal.kind, refusal.details)
    except Exception as error:
        update.refuse(f"It could not be done: {type(error).__name__}: {error}. Nothing changed.")
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


class _Watch:
    """Tells all who watch of each change once: `Registry.watch_approvals`."""

    def __init__(self, ctx: Context, request: ApprovalRequest) -> None:
        self._ctx = ctx
        self._request = request
        self._told = 0
        self._watchers = request.all_watchers

    def tell(self, state: State, *, rechecked: bool = False) -> None:
        """Of what is new in it. An approved one is final once its recheck has been made."""
        request, told = self._request, self._told
        self._told = len(state.changes)
        what = [change.what for change in state.changes[told:]]
        if not self._watchers or not (what or rechecked):
            return
        undecided = state.status == "approved" and request.recheck is not None and not rechecked
        final = state.final and not undecided
        notice = Notice(id=state.id, version=state.version, what=what, final=final)
        for name, orchestrator in self._watchers.items():
            if told:
                self._ctx.raise_event(watcher_id(state.id, name), NOTICE, notice)
            else:
                self._ctx.start(orchestrator, notice, id=watcher_id(state.id, name))


ORCHESTRATOR: Orchestrator[ApprovalRequest, Decision[Any]] = Orchestrator(
    wait_for_people, APPROVAL, version="1"
)

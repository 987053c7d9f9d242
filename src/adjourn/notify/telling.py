"""The durable part: an approval's watcher plans, and each note is delivered by an instance of its
own. No decision waits for any of it.

What is planned is on disk before anything is sent, and each note is started once by its id: so
nothing is lost, and what is repeated after a crash carries the same id.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from adjourn.approvals.text import one_line
from adjourn.authoring.context import Context
from adjourn.authoring.functions import Orchestrator
from adjourn.client.app import Adjourn
from adjourn.client.client import Client
from adjourn.errors import InstanceNotFoundError, TaskFailedError
from adjourn.model.actor import EVERY_TENANT, Actor
from adjourn.model.approval import NOTICE, Notice
from adjourn.model.retry import RetryPolicy
from adjourn.notify.port import Channel, Note, Notifier, Planned, Said, Step

_log = logging.getLogger("adjourn.notify")

WATCH = "notify"
"""The name under which notifications watch approvals."""
TELL = "adjourn.notify"
DELIVER = "adjourn.notify.note"
PLAN = "adjourn.notify.plan"
SEND = "adjourn.notify.send"

READER = Actor(id="adjourn", agent=True, roles=["auditor"], tenant=EVERY_TENANT)
"""Who looks approvals up, to plan: a program, which decides nothing."""

NOTICES_OF_ONE_EXECUTION = 50
OWN_TROUBLE_SECONDS = 600.0  # after an attempt that broke here, and not over there
ATTEMPT_LIMIT = 200  # of whatever kind
PATIENTLY = RetryPolicy(
    max_number_of_attempts=20,
    first_retry_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    max_retry_interval=timedelta(minutes=10),
)


class Watching(Notice, frozen=True, kw_only=True):
    """A notice, and what the watcher has to know besides. A plain notice is the first."""

    number: int = 1
    told: dict[str, datetime] = msgspec.field(default_factory=dict[str, datetime])


async def tell(ctx: Context, first: Watching) -> None:
    """Plan what is to be told of each notice, and start what delivers it."""
    number, told, notice = first.number, dict(first.told), cast("Notice", first)
    for _ in range(NOTICES_OF_ONE_EXECUTION):
        now = ctx.current_utc_datetime
        planned = await _plan(ctx, Step(notice=_bare(notice), number=number, told=told, at=now))
        for each in planned:
            ctx.start(DELIVER, each.note, id=each.note.id)
            if each.told:
                told[each.told] = each.at or now
        if notice.final:
            return
        notice = await ctx.wait_for_external_event(NOTICE, Notice)
        number += 1
    ctx.continue_as_new(
        Watching(
            id=notice.id,
            version=notice.version,
            what=notice.what,
            final=notice.final,
            number=number,
            told=told,
        )
    )


async def _plan(ctx: Context, step: Step) -> list[Planned]:
    try:
        return await ctx.call_activity(PLAN, step)
    except TaskFailedError as error:  # it is shown, and the next notice is told again
        ctx.logger.error("nobody is told of step %d of %s: %s", step.number, step.notice.id, error)
        ctx.set_custom_status({"untold": step.number, "why": one_line(error, 500)})
        return []


async def deliver(ctx: Context, note: Note) -> Said:
    """Send it, with longer and longer pauses, until nothing is left to try."""
    if note.not_before is not None:
        _show(ctx, note, Said(state="again", why="it is not time yet"), 0)
        await ctx.create_timer(note.not_before)
    attempt, said = 1, Said(state="again")
    for _ in range(ATTEMPT_LIMIT):
        try:
            said = cast("Said", await ctx.call_activity(SEND, note, attempt))
        except TaskFailedError as error:
            ctx.logger.error("%s broke: %s", note.id, error)
            why = one_line(error, 500)
            said = Said(state="again", why=why, pause_seconds=OWN_TROUBLE_SECONDS)
        _show(ctx, note, said, attempt)
        if said.state != "again":
            return said
        attempt += said.counts
        await ctx.create_timer(timedelta(seconds=said.pause_seconds))
    said = replace(said, state="given_up")
    _show(ctx, note, said, attempt)
    return said


def _show(ctx: Context, note: Note, said: Said, attempt: int) -> None:
    """What `adjourn list --where notification=given_up` finds."""
    ctx.set_attributes(notification=said.state, channel=note.channel)
    ctx.set_custom_status(
        {
            "state": said.state,
            "why": said.why,
            "attempts": attempt,
            "channel": note.channel,
            "to": note.to,
            "kind": note.kind,
            "approval": note.approval,
        }
    )


def _bare(notice: Notice) -> Notice:
    return Notice(id=notice.id, version=notice.version, what=notice.what, final=notice.final)


TELLING: Orchestrator[Watching, None] = Orchestrator(tell, TELL, version="1")
DELIVERING: Orchestrator[Note, Said] = Orchestrator(deliver, DELIVER, version="1")


class Telling:
    """The activities, over the notifiers that are configured now."""

    def __init__(self, client: Client, notifiers: Mapping[Channel, Notifier]) -> None:
        self._client = client
        self._notifiers = notifiers

    async def plan(self, step: Step) -> list[Planned]:
        try:
            view = await self._client.approvals.get(step.notice.id, by=READER)
        except InstanceNotFoundError:
            return []
        found: list[Planned] = []
        for notifier in self._notifiers.values():
            found += await notifier.plan(step, view)
        return found

    async def send(self, note: Note, attempt: int) -> Said:
        notifier = self._notifiers.get(note.channel)
        if notifier is None:
            return Said(state="dropped", why=f"no {note.channel} is configured any more")
        return await notifier.send(note, attempt)


def register(app: Adjourn, client: Client, notifiers: Mapping[Channel, Notifier]) -> None:
    """Make them known to `app`. Approvals tell them of themselves only if there are any; those that
    were told before, and what is still to be delivered, end quietly where there are none.

    Raises: RegistrationError when they are there already.
    """
    telling = Telling(client, notifiers)
    app.built_in[TELL], app.built_in[DELIVER] = cast("Any", TELLING), cast("Any", DELIVERING)
    app.activity(name=PLAN, retry=PATIENTLY)(telling.plan)
    app.activity(name=SEND)(telling.send)
    if notifiers:
        app.watch_approvals(cast("Orchestrator[Notice, None]", TELLING), name=WATCH)

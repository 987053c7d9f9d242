"""The notifier that writes mails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from adjourn.approvals.people import Person, addresses_of
from adjourn.client.approvals import ApprovalView
from adjourn.client.client import Client
from adjourn.errors import InstanceNotFoundError
from adjourn.model.actor import Actor
from adjourn.model.inbox import InboxPage, InboxQuery
from adjourn.notify import letters, smtp
from adjourn.notify.letters import Office
from adjourn.notify.people import (
    People,
    is_asked_to_answer,
    is_asked_to_decide,
    last_answered,
)
from adjourn.notify.port import (
    Note,
    Planned,
    Said,
    Step,
    again,
    digest_id,
    latest,
    note_id,
    told_key,
)
from adjourn.notify.settings import MailSettings, is_mailbox

_log = logging.getLogger("adjourn.notify")

THREADS = 4
THREAD = "adjourn-activity-mail"
"""Named as those of activities: a server that stops does not wait for them."""
CONVERSATION_SECONDS = 120.0  # for one mail, whatever the server does meanwhile
PEOPLE_LIMIT = 200  # who are told of one step

_MINUTE, _HOUR = 60.0, 3600.0
PAUSES: Sequence[float] = (
    30.0, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 15 * _MINUTE, 15 * _MINUTE, 15 * _MINUTE,
    30 * _MINUTE, _HOUR, 2 * _HOUR, 4 * _HOUR, 8 * _HOUR, 12 * _HOUR, 24 * _HOUR, 24 * _HOUR,
)  # fmt: skip
"""Seconds after each attempt that failed; a bit more than three days in all."""

TO_DECIDE = ("new", "reminder", "escalation")


def kinds_of(what: Sequence[str], final: bool) -> list[str]:
    """The mails that a notice is about."""
    if final:
        return ["decided"]
    words = {
        "opened": "new",
        "reassigned": "new",
        "escalated": "escalation",
        "reminded": "reminder",
        "asked": "question",
        "answered": "answer",
    }
    return list(dict.fromkeys(kind for word, kind in words.items() if word in what))


class Mail:
    """Mails to those who may decide, were asked, or have asked for it themselves."""

    def __init__(
        self,
        settings: MailSettings,
        password: str,
        public_url: str,
        people: People,
        client: Client,
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._password = password
        self._office = Office(settings, public_url)
        self._people = people
        self._client = client
        self._now = now
        self._digests: dict[str, datetime] = {}
        """When whoever has many is told of them next: until then nobody need count again."""
        self._threads = ThreadPoolExecutor(THREADS, THREAD)

    # Planning.

    async def plan(self, step: Step, view: ApprovalView) -> Sequence[Planned]:
        planned: list[Planned] = []
        asked: set[str] = set()
        actors = await self._people.actors()
        for kind in kinds_of(step.notice.what, step.notice.final):
            people = self._whom(kind, view, actors, step)
            if kind in TO_DECIDE:  # once of each step
                people = [id for id in people if id not in asked]
                asked.update(people)
            if len(people) > PEOPLE_LIMIT:
                _log.warning(
                    "%s: %d people are not told of it: %d at most",
                    view.state.id, len(people) - PEOPLE_LIMIT, PEOPLE_LIMIT,
                )  # fmt: skip
            for person in people[:PEOPLE_LIMIT]:
                at = self._quiet_until(kind, person, step)
                note = await self._note(kind, person, actors[person][1], step, at)
                planned.append(Planned(note=note, told=told_key(kind, person), at=at))
        return planned

    def _whom(
        self, kind: str, view: ApprovalView, actors: dict[str, tuple[Person, Actor]], step: Step
    ) -> list[str]:
        """People's ids, but for those who will be told the same in a moment anyway."""
        request, state = view.request, view.state
        if kind == "decided":
            asked_by = [request.requester] if not state.policy else []
            found = [id for id in asked_by if id in actors and state.changes[-1].by != id]
        elif kind == "answer":
            question = last_answered(state.questions)
            found = [question.by] if question is not None and question.by in actors else []
        elif kind == "question":
            found = [id for id, (_, actor) in actors.items() if is_asked_to_answer(view, actor)]
        else:
            found = [
                id for id, (_, actor) in actors.items() if self._waits(kind, view, actor, step)
            ]
        return [id for id in found if (latest(step.told, [kind], id) or step.at) <= step.at]

    def _quiet_until(self, kind: str, person: str, step: Step) -> datetime | None:
        """The end of their cool-down, where they were told the same just now."""
        last = latest(step.told, [kind], person)
        if last is None:
            return None
        until = last + timedelta(minutes=self._settings.cool_down_minutes)
        return until if until > step.at else None

    @staticmethod
    def _waits(kind: str, view: ApprovalView, actor: Actor, step: Step) -> bool:
        if not is_asked_to_decide(view, actor):
            return False
        if kind == "reminder":
            snoozed = view.state.snoozed.get(actor.id)
            return snoozed is None or snoozed <= step.at
        return kind == "new" or latest(step.told, TO_DECIDE, actor.id) is None

    async def _note(
        self, kind: str, person: str, actor: Actor, step: Step, not_before: datetime | None
    ) -> Note:
        approval = step.notice.id
        due = self._digest_due(step.at)
        if kind in TO_DECIDE and await self._has_many(actor, due):
            id = digest_id(person, due)  # all that it is made of is the same for every approval
            return Note(id=id, channel="mail", to=person, kind="digest", at=due, not_before=due)
        id = note_id(approval, step.number, "mail", kind, person)
        return Note(
            id=id,
            channel="mail",
            to=person,
            kind=kind,
            at=step.at,
            approval=approval,
            not_before=not_before,
        )

    async def _has_many(self, actor: Actor, due: datetime) -> bool:
        """Whether the digest of then is theirs: once it is, it tells them all that comes before."""
        if self._digests.get(actor.id) != due:
            limit = self._settings.digest_over
            if len((await self._open(actor, limit + 1)).rows) <= limit:
                return False
            self._digests[actor.id] = due
        return True

    async def _open(self, actor: Actor, limit: int) -> InboxPage:
        """What waits for them, and for those they stand in for: `seen_by` puts both in."""
        query = InboxQuery(
            person=actor.id,
            recipients=addresses_of(actor),
            now=self._now(),
            view="needs_me",
            limit=limit,
        )
        return await self._client.seen_by(actor).approvals.inbox(query)

    def _digest_due(self, at: datetime) -> datetime:
        """The end of the period, always later than `at`."""
        if self._settings.daily_at:
            due = datetime.combine(at.date(), self._settings.daily_time(), UTC)
            return due if due > at else due + timedelta(days=1)
        period = self._settings.digest_minutes * 60
        return datetime.fromtimestamp((at.timestamp() // period + 1) * period, UTC)

    # Sending.

    async def send(self, note: Note, attempt: int) -> Said:
        found = await self._people.one(note.to)
        if found is None:
            return Said(state="dropped", why="nobody of that name with an address can be told")
        person, actor = found
        if not is_mailbox(person.email):
            return self._given_up(note, "the address in the directory is no plain mail address")
        if note.kind == "digest":
            page = await self._open(actor, letters.DIGEST_LIMIT)
            if not page.rows:
                return Said(state="dropped", why="nothing waits for them any more")
            more = page.next_token is not None
            mail = letters.about_many(self._office, note, page.rows, more, person.email)
        else:
            view = await self._view(note, actor)
            if view is None:
                return Said(state="dropped", why="there is no such approval any more")
            void = self._void(note, view, actor)
            if void is not None:
                return void
            requester = self._people.name_of(view.request.requester)
            mail = letters.about_one(self._office, note, view, person.email, requester)
        handed = await self.hand_over(person.email, mail.as_bytes())
        if handed.taken:
            return Said(state="sent", why=handed.answer)
        if handed.final:
            return self._given_up(note, handed.answer)
        return again(PAUSES, attempt, note.id, handed.answer)

    async def _view(self, note: Note, actor: Actor) -> ApprovalView | None:
        try:
            return await self._client.approvals.get(note.approval, by=actor)
        except InstanceNotFoundError:
            return None

    def _void(self, note: Note, view: ApprovalView, actor: Actor) -> Said | None:
        """Whether they need not be told any more, or not yet; None: they are to be."""
        state = view.state
        if note.kind in ("decided", "answer"):
            return None
        if state.final or view.row.final:  # the row knows also of what has failed
            word = state.status if state.final else "failed"
            return Said(state="dropped", why=f"it is {word} meanwhile")
        if state.effective_at is not None:  # decided, and that may be undone
            left = (state.effective_at - self._now()).total_seconds()
            why = f"it is {state.status}, and that may be undone"
            return Said(state="again", why=why, pause_seconds=max(left, 0) + 1, counts=False)
        if note.kind == "question":
            theirs = is_asked_to_answer(view, actor)
        else:
            theirs = is_asked_to_decide(view, actor)
        return None if theirs else Said(state="dropped", why="it does not wait for them any more")

    @staticmethod
    def _given_up(note: Note, why: str) -> Said:
        _log.error("%s: %s was not told by mail, and will not be: %s", note.id, note.to, why)
        return Said(state="given_up", why=why)

    async def hand_over(self, to: str, mail: bytes) -> smtp.Handed:
        """Hand it to the server, and never wait longer than CONVERSATION_SECONDS for it."""
        cord = smtp.Cord()
        loop = asyncio.get_running_loop()
        talking = loop.run_in_executor(
            self._threads, smtp.hand_over, self._settings, self._password, to, mail, cord
        )
        try:
            return await asyncio.wait_for(talking, CONVERSATION_SECONDS)
        except TimeoutError:
            return smtp.Handed(False, False, "the conversation took too long")
        finally:
            cord.cut()

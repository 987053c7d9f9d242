"""A backend as one actor may use it: what is their tenant's, and of that what they are shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import msgspec

from adjourn.backends.protocol import Action, Backend, EventAnswer, SettledAs
from adjourn.engine.messages import OnConflict
from adjourn.errors import InstanceExistsError, InstanceNotFoundError, InvalidPayloadError
from adjourn.model.actor import EVERY_TENANT, TENANT, Actor, absent_ones, addresses_of
from adjourn.model.approval import APPROVAL
from adjourn.model.inbox import Counts, InboxPage, InboxQuery, InboxRow, is_shown
from adjourn.model.state import Ending, HistoryEntry, InstanceState, Page
from adjourn.store.protocol import Query

KNOWN_LIMIT = 1_000  # ids that are known to be of the actor's tenant, which they are for ever


class ScopedBackend:
    """`Backend` over another one, for one actor. It neither opens nor closes that one.

    * What is of another tenant is answered, by every verb, exactly as what does not exist, and
      before anything else of the call is looked at. Ids are everybody's, though: a start under an
      id that another tenant has is refused, and says only that the id is taken.
    * What is started is of the actor's tenant. Who is of EVERY_TENANT sees all, and starts things
      where their tags say.
    * Whoever has queues sees no instances but approvals, and of these the ones that
      `adjourn.model.actor.concerns` shows them; they replace nothing by a start, and learn of an id
      that is taken no more than that, unless they repeat a start to the letter. People without a
      role are shown such rows of the inbox only.
    """

    def __init__(self, backend: Backend, actor: Actor) -> None:
        self._backend = backend
        self.actor = actor
        self._tenant = None if actor.tenant == EVERY_TENANT else actor.tenant
        self._known: set[str] = set()

    async def open(self) -> None:
        """Nothing to do: whoever opened the backend below closes it, too."""

    async def close(self) -> None:
        """As `open`."""

    async def start(
        self,
        name: str,
        input: msgspec.Raw,
        id: str,
        *,
        on_conflict: OnConflict,
        start_at: datetime | None,
        tags: dict[str, str],
    ) -> bool:
        """Raises also: InvalidPayloadError for a tag that names another tenant."""
        tags = self._stamped(tags)
        if self.actor.queues is None:
            return await self._backend.start(
                name, input, id, on_conflict=on_conflict, start_at=start_at, tags=tags
            )
        try:
            return await self._backend.start(
                name, input, id, on_conflict="error", start_at=start_at, tags=tags
            )
        except InstanceExistsError:
            raise InstanceExistsError(id) from None

    def _stamped(self, tags: dict[str, str]) -> dict[str, str]:
        if self._tenant is None:
            return tags
        if tags.get(TENANT, self._tenant) != self._tenant:
            raise InvalidPayloadError(f"Tag {TENANT!r}", "it is given by who starts: leave it out")
        others = {name: text for name, text in tags.items() if name != TENANT}
        return {**others, TENANT: self._tenant} if self._tenant else others

    async def raise_event(
        self,
        id: str,
        name: str,
        data: msgspec.Raw,
        event_id: str,
        *,
        wait: int = 0,
        by: Actor | None = None,
    ) -> EventAnswer:
        await self._check(id)
        return await self._backend.raise_event(id, name, data, event_id, wait=wait, by=by)

    async def update(
        self,
        id: str,
        name: str,
        data: msgspec.Raw,
        update_id: str,
        *,
        by: Actor | None = None,
    ) -> msgspec.Raw:
        await self._check(id)
        return await self._backend.update(id, name, data, update_id, by=by)

    async def control(self, id: str, action: Action, reason: str, *, recursive: bool) -> None:
        await self._check(id)
        await self._backend.control(id, action, reason, recursive=recursive)

    async def settle(
        self,
        id: str,
        sequence: int,
        outcome: SettledAs,
        *,
        by: str,
        result: msgspec.Raw,
        reason: str,
    ) -> None:
        await self._check(id)
        await self._backend.settle(id, sequence, outcome, by=by, result=result, reason=reason)

    async def result(self, id: str) -> Ending:
        await self._check(id)
        ending = await self._backend.result(id)
        await self._check(id)  # it may have left their queues meanwhile
        return ending

    async def get(self, id: str) -> InstanceState:
        found = await self._backend.get(id)
        if not await self._shows(found):
            raise InstanceNotFoundError(id)
        return found

    async def list(self, query: Query) -> Page:
        of_others = self._tenant is not None and query.tenant not in (None, self._tenant)
        if of_others or self.actor.queues is not None:
            return Page(instances=[])
        tenant = query.tenant if self._tenant is None else self._tenant
        return await self._backend.list(replace(query, tenant=tenant))

    async def inbox(self, query: InboxQuery) -> InboxPage:
        return await self._backend.inbox(self._asked(query))

    async def inbox_counts(self, query: InboxQuery) -> Counts:
        return await self._backend.inbox_counts(self._asked(query))

    async def inbox_row(self, id: str) -> InboxRow | None:
        row = await self._backend.inbox_row(id)
        if row is None or self._tenant not in (None, row.tenant) or not is_shown(row, self.actor):
            return None
        return row

    async def watch_inbox(self, tenant: str | None = None) -> AsyncIterator[list[str]]:
        """Of what leaves their queues an actor with queues is told nothing more."""
        wanted = tenant if self._tenant is None else self._tenant
        # Every backend's is a generator, which ends with this one.
        watch = cast("Any", self._backend.watch_inbox(wanted))
        async with aclosing(watch):
            async for ids in watch:
                if self.actor.shown_queues is not None:
                    ids = [id for id in ids if await self.inbox_row(id) is not None]
                if ids:
                    yield ids

    async def history(self, id: str, execution: int | None) -> list[HistoryEntry]:
        await self._check(id)
        return await self._backend.history(id, execution)

    # What they may see.

    async def _check(self, id: str) -> None:
        """Raises: InstanceNotFoundError."""
        if id not in self._known:
            await self.get(id)

    async def _shows(self, found: InstanceState) -> bool:
        if self._tenant not in (None, found.tenant):
            return False
        if self.actor.queues is None:
            if len(self._known) < KNOWN_LIMIT:
                self._known.add(found.id)
            return True
        return found.name == APPROVAL and await self.inbox_row(found.id) is not None

    def _asked(self, query: InboxQuery) -> InboxQuery:
        """As this actor, whoever the query speaks of."""
        return msgspec.structs.replace(
            query,
            person=self.actor.id,
            recipients=addresses_of(self.actor),
            stands_in_for=absent_ones(self.actor),
            tenant=query.tenant if self._tenant is None else self._tenant,
            within=self.actor.shown_queues,
        )


def scoped(backend: Backend, actor: Actor) -> Backend:
    """The backend as this actor may use it."""
    if isinstance(backend, ScopedBackend) and backend.actor == actor:
        return backend
    return ScopedBackend(backend, actor)

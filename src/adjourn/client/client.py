"""The client: typed calls and handles over any backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from datetime import UTC, datetime
from typing import Any, Generic, Self, TypeVar, overload

import msgspec

from adjourn.authoring.functions import Orchestrator
from adjourn.authoring.registry import Registry
from adjourn.backends.protocol import Backend, EventAnswer, SettledAs
from adjourn.backends.scoped import scoped
from adjourn.client.approvals import Approvals
from adjourn.client.shown import refusal_of
from adjourn.engine.clock import new_id
from adjourn.engine.messages import OnConflict
from adjourn.errors import (
    DeterminismError,
    InstanceFailedError,
    InstanceTerminatedError,
    InvalidIdError,
    UpdateRefusedError,
)
from adjourn.model import codec
from adjourn.model.actor import Actor
from adjourn.model.failure import FailureDetails
from adjourn.model.ids import check_instance_id, check_name
from adjourn.model.privacy import Redactor
from adjourn.model.state import (
    Attribute,
    Ending,
    HistoryEntry,
    InstanceState,
    Page,
    to_microseconds,
)
from adjourn.model.status import Status
from adjourn.store.protocol import Query

I = TypeVar("I")  # noqa: E741  input, as in authoring.functions
O = TypeVar("O")  # noqa: E741  output

PAGE_LIMIT = 1_000  # instances in one page


class Handle(Generic[O]):
    """One instance, typed by its orchestrator's result."""

    def __init__(self, client: Client, id: str, orchestrator: Orchestrator[Any, O] | None) -> None:
        self._client = client
        self._orchestrator = orchestrator
        self.id = id
        self.created = True
        """False when `start` found it there already."""

    def __repr__(self) -> str:
        return f"<Handle {self.id}>"

    async def result(self) -> O:
        """As `Client.result`."""
        ending = await self._client.ending(self.id)
        return self._client.decoded(ending, self._orchestrator)

    async def get(self) -> InstanceState:
        """As `Client.get`."""
        return await self._client.get(self.id)

    async def raise_event(
        self, name: str, data: Any = None, *, event_id: str | None = None
    ) -> EventAnswer:
        """As `Client.raise_event`."""
        return await self._client.raise_event(self.id, name, data, event_id=event_id)

    async def update(self, name: str, data: Any = None, *, update_id: str | None = None) -> Any:
        """As `Client.update`."""
        return await self._client.update(self.id, name, data, update_id=update_id)


class Client:
    """Starts instances, sends them messages, and reads them.

    Open it with `async with app.open(...) as client`. What returned is on disk. A call that ends
    in StorageError or is cancelled has an unknown outcome: repeat it with the same id.
    """

    def __init__(
        self, registry: Registry, backend: Backend, *, redactor: Redactor | None = None
    ) -> None:
        """With a redactor what is read is for showing to people: see `shown`."""
        self.registry = registry
        self.backend = backend
        self._redactor = redactor
        self.approvals = Approvals(backend, redactor=redactor)
        """What people do: the inbox, one approval, actions."""

    @property
    def for_people(self) -> bool:
        """Whether what it reads is for showing to people."""
        return self._redactor is not None

    def shown(self) -> Client:
        """The same, for showing to people: what it reads is without what the application hides
        (`Adjourn.protect`), and results are plain JSON. What it does is done all the same."""
        return self._through(self.backend, self.registry.redactor)

    def seen_by(self, actor: Actor) -> Client:
        """The same for this actor alone: their tenant, and of that what they are shown. Everything
        else is to it as what does not exist. There is nothing to open or to close."""
        return self._through(scoped(self.backend, actor), self._redactor)

    def _through(self, backend: Backend, redactor: Redactor | None) -> Client:
        theirs = copy(self)
        theirs.backend, theirs._redactor = backend, redactor
        theirs.approvals = self.approvals.through(backend, redactor)
        return theirs

    async def __aenter__(self) -> Self:
        await self.backend.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.backend.close()

    @overload
    async def start(
        self,
        orchestrator: Orchestrator[I, O],
        input: I = ...,
        /,
        *,
        id: str | None = None,
        on_conflict: OnConflict = "error",
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Handle[O]: ...
    @overload
    async def start(
        self,
        orchestrator: str,
        input: Any = ...,
        /,
        *,
        id: str | None = None,
        on_conflict: OnConflict = "error",
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Handle[Any]: ...
    async def start(
        self,
        orchestrator: Any,
        input: Any = None,
        /,
        *,
        id: str | None = None,
        on_conflict: OnConflict = "error",
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Handle[Any]:
        """Start an instance. Without `id` it gets a random one; `start_at` (aware) delays it.

        When the id is taken: `error` refuses, except that the very same name and input is
        answered as before; `return_existing` gives the one that is there; `replace_finished`
        and `terminate_and_replace` begin a new execution under the id and keep the old history.
        Whose it is the tag "tenant" says, for ever: what another tenant has under the id stays.

        Raises: UnknownOrchestratorError, InvalidIdError, InvalidPayloadError,
        SerializationError, PayloadTooLargeError, InstanceExistsError, StorageError.
        """
        name = orchestrator.name if isinstance(orchestrator, Orchestrator) else str(orchestrator)
        found = self.registry.orchestrators.get(name)
        text = codec.encode(input, f"The input of orchestrator {name!r}")
        chosen = check_instance_id(id) if id is not None else new_id()
        handle: Handle[Any] = Handle(self, chosen, found)
        handle.created = await self.backend.start(
            name,
            text,
            chosen,
            on_conflict=on_conflict,
            start_at=_aware(start_at),
            tags=dict(tags or {}),
        )
        return handle

    @overload
    def handle(self, id: str, orchestrator: Orchestrator[Any, O]) -> Handle[O]: ...
    @overload
    def handle(self, id: str) -> Handle[Any]: ...
    def handle(self, id: str, orchestrator: Orchestrator[Any, Any] | None = None) -> Handle[Any]:
        """A handle of an instance that exists; nothing is looked up. Raises: InvalidIdError."""
        return Handle(self, check_instance_id(id), orchestrator)

    async def raise_event(
        self,
        id: str,
        name: str,
        data: Any = None,
        /,
        *,
        event_id: str | None = None,
        by: Actor | None = None,
    ) -> EventAnswer:
        """Send an external event. "duplicate" means that this `event_id` was applied before. `by`
        is who sends it, and stays in history: whoever calls this vouches for it.

        Raises: InstanceNotFoundError, InstanceFinishedError, InvalidPayloadError (the live wait
        cannot read it), TooManyEventsError, InvalidIdError, SerializationError, StorageError;
        UpdateForbiddenError where `by` may not give a person's answer, the event "Approval".
        """
        check_instance_id(id)
        check_name("an event name", name)
        text = codec.encode(data, f"The data of event {name!r}")
        return await self.backend.raise_event(id, name, text, event_id or "", by=by)

    async def update(
        self,
        id: str,
        name: str,
        data: Any = None,
        /,
        *,
        update_id: str | None = None,
        by: Actor | None = None,
    ) -> Any:
        """Send an update and wait for the orchestrator's answer: the result it accepted with.

        Exactly once by `update_id`: a repeat gets the first answer, or waits for it. `by` is who
        sends it: whoever calls this vouches for it, and over HTTP the server decides.

        Raises: UpdateRefusedError (or the one of its kind) with the reason; WrongStateError
        (suspended); as `raise_event`.
        """
        check_instance_id(id)
        check_name("an update name", name)
        chosen = new_id() if update_id is None else check_name("an update id", update_id)
        text = codec.encode(data, f"The data of update {name!r}")
        return msgspec.json.decode(await self.answer(id, name, text, chosen, by=by))

    async def answer(
        self, id: str, name: str, data: msgspec.Raw, update_id: str, *, by: Actor | None
    ) -> msgspec.Raw:
        """As `update`, of JSON that is checked already. Raises: as it."""
        hide = self._redactor
        try:
            said = await self.backend.update(id, name, data, update_id, by=by)
        except UpdateRefusedError as error:
            raise error if hide is None else refusal_of(error, hide) from None
        return said if hide is None else hide.raw(said)

    async def result(self, id: str, /) -> Any:
        """Wait until it has finished; returns the result, typed if its orchestrator is known.

        Raises: InstanceFailedError, InstanceTerminatedError, InstanceNotFoundError.
        """
        ending = await self.ending(id)
        return self.decoded(ending, self.registry.orchestrators.get(ending.name))

    async def ending(self, id: str, /) -> Ending:
        """Wait until it has finished; returns how. Raises: InstanceNotFoundError."""
        ending = await self.backend.result(check_instance_id(id))
        return ending if self._redactor is None else self._redactor.state(ending)

    def decoded(self, ending: Ending, orchestrator: Orchestrator[Any, Any] | None) -> Any:
        """The result that it ended with; typed, unless something of it may be hidden.

        Raises: InstanceFailedError, InstanceTerminatedError.
        """
        return decode_result(ending, orchestrator if self._redactor is None else None)

    async def get(self, id: str, /) -> InstanceState:
        """What is known of an instance now. Raises: InstanceNotFoundError."""
        state = await self.backend.get(check_instance_id(id))
        return state if self._redactor is None else self._redactor.state(state)

    async def list(
        self,
        *,
        statuses: Sequence[Status | str] = (),
        names: Sequence[str] = (),
        id_prefix: str = "",
        waiting_for: str = "",
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        where: Mapping[str, Attribute] | None = None,
        tenant: str | None = None,
        newest_first: bool = False,
        limit: int = 100,
        page_token: str | None = None,
    ) -> Page:
        """One page of instances for which all given conditions hold, in order of creation.

        `where` matches attributes; without a `tenant` it is of all that one may see. Give
        `next_token` of a page as `page_token` of the next.

        Raises: InvalidIdError for a token or status that is none, SerializationError for a
        condition that nothing could match.
        """
        for word in (*names, id_prefix, waiting_for, tenant or ""):
            codec.check_text("A condition", word)
        for name, value in (where or {}).items():
            check_name("an attribute name", name)
            codec.check_scalar(f"Attribute {name!r}", value)
        query = Query(
            statuses=[_status(status) for status in statuses],
            names=names,
            id_prefix=id_prefix,
            waiting_for=waiting_for,
            created_from=_microseconds(created_from),
            created_to=_microseconds(created_to),
            where=list((where or {}).items()),
            tenant=tenant,
            newest_first=newest_first,
            after_key=_key_of(page_token),
            limit=max(1, min(limit, PAGE_LIMIT)),
        )
        page = await self.backend.list(query)
        return page if self._redactor is None else self._redactor.page(page)

    async def history(self, id: str, /, *, execution: int | None = None) -> list[HistoryEntry]:
        """Every event of one execution (the latest by default), checked against its hash chain.
        An execution that never was has no events.

        Raises: InstanceNotFoundError, HistoryDamagedError, SerializationError.
        """
        codec.check_scalar("An execution number", execution)
        entries = await self.backend.history(check_instance_id(id), execution)
        return entries if self._redactor is None else list(map(self._redactor.entry, entries))

    async def suspend(self, id: str, reason: str = "", /) -> None:
        """What arrives waits until `resume`. Raises: InstanceNotFoundError,
        InstanceFinishedError, WrongStateError."""
        await self.backend.control(check_instance_id(id), "suspend", reason, recursive=False)

    async def resume(self, id: str, reason: str = "", /) -> None:
        """Hand over what waited, in order. Raises: as `suspend`."""
        await self.backend.control(check_instance_id(id), "resume", reason, recursive=False)

    async def terminate(self, id: str, reason: str = "", /, *, recursive: bool = True) -> None:
        """End it now, its children too; its code does not run again.

        Running activities finish; their results are dropped. Raises: InstanceNotFoundError,
        InstanceFinishedError.
        """
        await self.backend.control(check_instance_id(id), "terminate", reason, recursive=recursive)

    async def settle(
        self,
        id: str,
        sequence: int,
        outcome: SettledAs,
        /,
        *,
        by: str,
        result: Any = None,
        reason: str = "",
    ) -> None:
        """Say what became of an activity in doubt: it completed with `result`, it failed for
        `reason`, or it shall run again. `by` names the person and stays in history.

        Raises: InstanceNotFoundError, InstanceFinishedError, WrongStateError (not in doubt).
        """
        text = codec.encode(result, "The result")
        check_name("a person's name", by)
        await self.backend.settle(
            check_instance_id(id), sequence, outcome, by=by, result=text, reason=reason
        )


def decode_result(
    state: Ending | InstanceState, orchestrator: Orchestrator[Any, Any] | None
) -> Any:
    """The result of a finished instance. Raises: InstanceFailedError, InstanceTerminatedError."""
    if state.status is Status.FAILED:
        unknown = FailureDetails(type="Unknown", message="nothing was recorded")
        raise InstanceFailedError(state.id, state.failure or unknown)
    text = state.output if state.output is not None else codec.NULL
    if state.status is Status.TERMINATED:
        raise InstanceTerminatedError(state.id, str(msgspec.json.decode(text) or ""))
    return msgspec.json.decode(text) if orchestrator is None else orchestrator.decode_result(text)


def _aware(moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise DeterminismError(f"{moment!r} has no time zone: pass an aware datetime.")
    return None if moment is None else moment.astimezone(UTC)


def _microseconds(moment: datetime | None) -> int | None:
    aware = _aware(moment)
    return None if aware is None else to_microseconds(aware)


def _status(value: Status | str) -> Status:
    for status in Status:
        if status.lower() == str(value).lower():
            return status
    raise InvalidIdError("a status", str(value), "one of " + ", ".join(Status))


def _key_of(token: str | None) -> int | None:
    if token is None:
        return None
    if not token.isascii() or not token.isdigit() or len(token) > 18:
        raise InvalidIdError("a page token", token, "the next_token of the page before")
    return int(token)

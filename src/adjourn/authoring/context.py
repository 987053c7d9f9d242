"""The context: what an orchestrator may ask for. Backends implement this port."""

from __future__ import annotations

import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Generic, NoReturn, ParamSpec, TypeVar, Unpack, overload
from uuid import UUID

from adjourn.authoring.approval import Terms
from adjourn.authoring.functions import Activity, Orchestrator
from adjourn.authoring.task import Task
from adjourn.errors import RefusalKind
from adjourn.model.actor import Actor
from adjourn.model.approval import Approved, Decision

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
I = TypeVar("I")  # noqa: E741  input, as in functions.py
O = TypeVar("O")  # noqa: E741  output

Attribute = str | int | float | bool | None


class Offer(Generic[T]):
    """An update as a validator sees it."""

    value: T
    by: Actor | None
    """Who sent it, where the server knows; never what a payload claims."""
    at: datetime
    """When the engine took it: aware UTC."""

    def __init__(self, value: T, by: Actor | None, at: datetime) -> None:
        self.value = value
        self.by = by
        self.at = at


Validator = Callable[[Offer[T]], None]
"""Raises Refusal to refuse an update. It reads the orchestrator's state and changes nothing."""


class UpdateRequest(ABC, Generic[T]):
    """An update that has arrived and waits for this orchestrator's answer."""

    name: str
    update_id: str
    value: T
    by: Actor | None
    at: datetime
    """As in `Offer`."""

    @abstractmethod
    def accept(self, result: Any = None) -> None:
        """Answer with a result. The caller gets it once this turn is on disk.

        Raises: AdjournError when it is answered already, SerializationError.
        """

    @abstractmethod
    def refuse(
        self,
        reason: str,
        kind: RefusalKind = "refused",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Answer with a reason: the caller gets UpdateRefusedError, or the one of this kind.
        Raises as `accept`."""


class Context(ABC):
    """What an orchestrator may ask for.

    Everything here is the same on every replay. `call_*`, `create_timer` and `wait_*` schedule at
    the call and return a `Task`; await it when you need it. asyncio's own primitives work too.
    """

    __slots__ = ()

    instance_id: str
    execution: int
    """1 for the first; each continue_as_new starts the next."""

    @property
    @abstractmethod
    def current_utc_datetime(self) -> datetime:
        """Aware UTC; the time of the event being handled, constant until the next."""

    @property
    @abstractmethod
    def is_replaying(self) -> bool:
        """True while past events are handled again. For logging, never for decisions."""

    @property
    @abstractmethod
    def random(self) -> random.Random:
        """Dice seeded by instance and execution."""

    @property
    @abstractmethod
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """Silent while replaying; records carry the instance id."""

    @abstractmethod
    def new_uuid(self) -> UUID:
        """A version 5 UUID of instance, execution and a counter."""

    @overload
    def call_activity(
        self, activity: Activity[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Task[R]: ...
    @overload
    def call_activity(self, activity: str, /, *args: Any, **kwargs: Any) -> Task[Any]: ...
    @abstractmethod
    def call_activity(self, activity: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run an activity at least once; its Task gives the result or ActivityFailedError.

        Raises: UnknownActivityError, TypeError (wrong arguments), SerializationError,
        PayloadTooLargeError.
        """

    @overload
    def call_sub_orchestration(
        self,
        orchestrator: Orchestrator[I, O],
        input: I = ...,
        /,
        *,
        id: str | None = None,
    ) -> Task[O]: ...
    @overload
    def call_sub_orchestration(
        self, orchestrator: str, input: Any = ..., /, *, id: str | None = None
    ) -> Task[Any]: ...
    @abstractmethod
    def call_sub_orchestration(
        self, orchestrator: Any, input: Any = None, /, *, id: str | None = None
    ) -> Any:
        """Run a child instance; its Task gives the result or SubOrchestrationFailedError.

        Without `id` the child is called `parent:execution:sequence`. An id that is taken fails the
        Task. Terminating the parent terminates the child; cancelling the Task does too.

        Raises: UnknownOrchestratorError, InvalidIdError, InvalidPayloadError.
        """

    @overload
    def start(self, orchestrator: Orchestrator[I, Any], input: I = ..., /, *, id: str) -> None: ...
    @overload
    def start(self, orchestrator: str, input: Any = ..., /, *, id: str) -> None: ...
    @abstractmethod
    def start(self, orchestrator: Any, input: Any = None, /, *, id: str) -> None:
        """Start an instance of its own, once: it has no parent and lives on whatever becomes of
        this one. There is nothing to await; let it `raise_event` back, or look at it by its id.

        As a client's start with `on_conflict="return_existing"`: an instance that has the id
        already is left alone, which the log tells when it was started otherwise.

        Raises: UnknownOrchestratorError, InvalidIdError, InvalidPayloadError, SerializationError,
        PayloadTooLargeError.
        """

    @abstractmethod
    def raise_event(self, instance_id: str, name: str, data: Any = None, /) -> None:
        """Send an external event to an instance (or to itself), exactly once. Nothing to await.

        It is delivered in the commit that records it, in the order of the calls. As in Durable
        Task a receiver that is unknown, finished or full is no error here: the event is dropped,
        and the log says so. One that does not fit the receiver's wait is set aside over there.

        Raises: InvalidIdError, SerializationError, PayloadTooLargeError.
        """

    @abstractmethod
    def create_timer(self, due: datetime | timedelta, /) -> Task[None]:
        """A durable deadline: an aware datetime, or a span from now. Fires late, never early.

        Raises: DeterminismError for a naive datetime.
        """

    @overload
    def wait_for_external_event(self, name: str, kind: type[T], /) -> Task[T]: ...
    @overload
    def wait_for_external_event(self, name: str, kind: Any = ..., /) -> Task[Any]: ...
    @abstractmethod
    def wait_for_external_event(self, name: str, kind: Any = Any, /) -> Any:
        """Wait for one external event of this name (letter case does not matter).

        Costs nothing while it waits, and has no default timeout. What came early is taken first,
        in order of arrival. Of several live waits the oldest is served. A body that does not fit
        `kind` is refused at the door; one that came early and does not fit is set aside.
        """

    @overload
    def wait_for_update(
        self, name: str, kind: type[T], /, *, validator: Validator[T] | None = ...
    ) -> Task[UpdateRequest[T]]: ...
    @overload
    def wait_for_update(
        self, name: str, kind: Any = ..., /, *, validator: Validator[Any] | None = ...
    ) -> Task[UpdateRequest[Any]]: ...
    @abstractmethod
    def wait_for_update(
        self, name: str, kind: Any = Any, /, *, validator: Validator[Any] | None = None
    ) -> Any:
        """Wait for one update; answer it with `accept(result)` or `refuse(reason)`.

        The rules of waiting are those of external events. `validator` may refuse one by raising
        Refusal: at the door, so that history never hears of it; one that came early is refused
        when its turn comes.
        """

    @abstractmethod
    def approval(
        self, proposal: T, /, *, id: str | None = None, **terms: Unpack[Terms]
    ) -> Task[Decision[T]]:
        """Ask people about this exact proposal, on these `Terms`; its Task gives what they decided.

        `proposal` is a dataclass, msgspec or pydantic value: its type draws the form. It waits as
        an instance of its own (called `id`), in the inbox of those it is addressed to. The answer
        comes when the decision can no longer be undone. It ends with this execution, however that
        ends.

        Raises: InvalidApprovalError, SerializationError, PayloadTooLargeError, InvalidIdError.
        """

    @abstractmethod
    def execute(self, decision: Approved[T], activity: Activity[[T], R], /) -> Task[R]:
        """Run `activity` with exactly the approved value, once for each decision.

        The engine compares the value with the decision before it starts anything, refuses anything
        else, and shows what became of it beside the decision. Its idempotency key is the
        decision's id. The Task gives the result or ActivityFailedError.

        Raises: ApprovalRequiredError when the value is not the one that was decided.
        """

    @overload
    def when_any(
        self, first: Task[A], second: Task[B], /, *, keep: bool = ...
    ) -> Task[Task[A] | Task[B]]: ...
    @overload
    def when_any(self, *tasks: Task[Any], keep: bool = ...) -> Task[Task[Any]]: ...
    @overload
    def when_any(self, tasks: Iterable[Task[Any]], /, *, keep: bool = ...) -> Task[Task[Any]]: ...
    @abstractmethod
    def when_any(self, *tasks: Any, keep: bool = False) -> Any:
        """The first task to finish, well or badly. Ties follow history.

        Losing waits stop being live and losing timers are cancelled (`keep=True` leaves both);
        awaiting or racing one again makes it live again, a timer with its old deadline. Losing
        activities and children run on.
        """

    @overload
    def when_all(self, *tasks: Task[T]) -> Task[list[T]]: ...
    @overload
    def when_all(self, tasks: Iterable[Task[T]], /) -> Task[list[T]]: ...
    @abstractmethod
    def when_all(self, *tasks: Any) -> Any:
        """All results, in the order given. Waits for every task, then raises the first failure."""

    @abstractmethod
    def continue_as_new(self, input: Any = None) -> NoReturn:
        """End here and start afresh with `input`: a new history under the same id.

        External events and updates that nothing has consumed go along, in order.
        """
        raise NotImplementedError

    @abstractmethod
    def get_input(self) -> Any:
        """The input, as the Durable Functions form reads it."""

    @abstractmethod
    def set_custom_status(self, status: Any) -> None:
        """Show this JSON (16 KiB at most) as the instance's custom status. The last one stays.

        Raises: SerializationError, PayloadTooLargeError.
        """

    @abstractmethod
    def set_attributes(self, **attributes: Attribute) -> None:
        """Set indexed key-values by which `list(where=...)` finds this instance; None removes.

        A bool is kept as 1 or 0. Raises: SerializationError for what cannot be found again (NaN,
        more than 64 bits, more than 1,000 characters).
        """

    def task_any(self, tasks: Iterable[Task[Any]]) -> Task[Task[Any]]:
        """`when_any` under its Durable Functions name."""
        return self.when_any(tasks)

    def task_all(self, tasks: Iterable[Task[T]]) -> Task[list[T]]:
        """`when_all` under its Durable Functions name."""
        return self.when_all(tasks)

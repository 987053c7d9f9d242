"""Histories in one line an event, and the executions that they make.

history = [
    started("refund", 42),
    scheduled(1, "charge", {"amount": 42}),
    completed(1, "receipt"),
]
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from adjourn import Adjourn
from adjourn.model import events
from adjourn.model.codec import NULL, encode
from adjourn.model.commands import Command
from adjourn.model.events import Arrived, Event, encode_event
from adjourn.model.failure import FailureDetails
from adjourn.replay.execution import Execution
from adjourn.replay.rebuild import MismatchFound, rebuild, run_turn

T0 = datetime(2026, 1, 1, 9, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """The moment `seconds` after every history's beginning."""
    return T0 + timedelta(seconds=seconds)


def started(name: str, input: Any = None, *, after: float = 0) -> events.InstanceStarted:
    return events.InstanceStarted(at=at(after), name=name, input=encode(input))


def scheduled(sequence: int, name: str, arguments: Any = None) -> events.ActivityScheduled:
    input = encode(arguments if arguments is not None else {})
    return events.ActivityScheduled(at=T0, sequence=sequence, name=name, input=input)


def completed(sequence: int, result: Any = None, *, after: float = 0) -> events.ActivityCompleted:
    return events.ActivityCompleted(at=at(after), sequence=sequence, result=encode(result))


def failed(sequence: int, message: str = "no", *, after: float = 0) -> events.ActivityFailed:
    return events.ActivityFailed(at=at(after), sequence=sequence, failure=failure(message))


def failure(message: str = "no", type: str = "ValueError") -> FailureDetails:
    return FailureDetails(type=type, message=message)


def cancelled(sequence: int) -> events.ActivityCancelled:
    return events.ActivityCancelled(at=T0, sequence=sequence)


def timer(sequence: int, seconds: float) -> events.TimerCreated:
    return events.TimerCreated(at=T0, sequence=sequence, fire_at=at(seconds))


def fired(sequence: int, *, after: float) -> events.TimerFired:
    return events.TimerFired(at=at(after), sequence=sequence)


def timer_cancelled(sequence: int) -> events.TimerCancelled:
    return events.TimerCancelled(at=T0, sequence=sequence)


def child(sequence: int, name: str, id: str, input: Any = None) -> events.SubOrchestrationStarted:
    return events.SubOrchestrationStarted(
        at=T0, sequence=sequence, name=name, instance_id=id, input=encode(input)
    )


def child_completed(sequence: int, result: Any = None) -> events.SubOrchestrationCompleted:
    return events.SubOrchestrationCompleted(at=T0, sequence=sequence, result=encode(result))


def child_failed(sequence: int, message: str = "no") -> events.SubOrchestrationFailed:
    return events.SubOrchestrationFailed(at=T0, sequence=sequence, failure=failure(message))


def launched(sequence: int, name: str, id: str, input: Any = None) -> events.OrchestrationStarted:
    return events.OrchestrationStarted(
        at=T0, sequence=sequence, name=name, instance_id=id, input=encode(input)
    )


def sent(sequence: int, to: str, name: str, data: Any = None) -> events.EventSent:
    return events.EventSent(at=T0, sequence=sequence, instance_id=to, name=name, data=encode(data))


def event(
    name: str, data: Any = None, *, id: str = "", after: float = 0
) -> events.ExternalEventReceived:
    return events.ExternalEventReceived(at=at(after), name=name, data=encode(data), event_id=id)


def set_aside(name: str, reason: str) -> events.ExternalEventSetAside:
    return events.ExternalEventSetAside(at=T0, name=name, reason=reason)


def update(name: str, id: str, data: Any = None) -> events.UpdateReceived:
    return events.UpdateReceived(at=T0, name=name, update_id=id, data=encode(data))


def accepted(id: str, result: Any = None) -> events.UpdateAccepted:
    return events.UpdateAccepted(at=T0, update_id=id, result=encode(result))


def refused(id: str, reason: str) -> events.UpdateRefused:
    return events.UpdateRefused(at=T0, update_id=id, reason=reason)


def suspended() -> events.InstanceSuspended:
    return events.InstanceSuspended(at=T0)


def resumed(*, after: float = 0) -> events.InstanceResumed:
    return events.InstanceResumed(at=at(after))


def finished(result: Any = None) -> events.InstanceCompleted:
    return events.InstanceCompleted(at=T0, result=encode(result))


def continued(input: Any = None) -> events.InstanceContinuedAsNew:
    return events.InstanceContinuedAsNew(at=T0, input=encode(input))


# Executions.


def replay(
    app: Adjourn, history: Sequence[Event], *, turned: int | None = None, id: str = "order-42"
) -> tuple[Execution, list[Command]]:
    """The execution that stands where `history` ends, and what it asks beyond it."""
    first = history[0]
    assert isinstance(first, events.InstanceStarted)
    orchestrator = app.find_orchestrator(first.name)
    return rebuild(app, orchestrator, id, 1, history, len(history) if turned is None else turned)


def explanation(app: Adjourn, history: Sequence[Event]) -> str:
    """What a person reads when this history no longer fits the code."""
    try:
        replay(app, history)
    except MismatchFound as found:
        return found.mismatch.explanation
    raise AssertionError("The code fits this history.")


def live(app: Adjourn, name: str, input: Any = None, *, id: str = "order-42") -> Life:
    """A new execution that has had its first turn."""
    life = Life(Execution(app, app.find_orchestrator(name), id, 1))
    life.take(started(name, input))
    return life


def app_of(orchestrate: Any) -> Adjourn:
    """An application of this orchestrator, called `order`, and one activity, called `work`."""
    app = Adjourn()

    @app.activity(name="work")
    def work(n: int = 0) -> Any: ...

    app.orchestrator(name="order")(orchestrate)
    return app


def living(orchestrate: Any, input: Any = None, *, id: str = "order-42") -> Life:
    """This orchestrator after its first turn."""
    return live(app_of(orchestrate), "order", input, id=id)


class Life:
    """A live execution and the rows it has caused."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.rows: list[Event] = []

    def take(self, *arrived: Arrived) -> list[str]:
        """Hand events over; returns the rows that they caused, as `kinds` shows them."""
        rows = run_turn(self.execution, arrived, arrived[-1].at)
        self.rows += rows
        return kinds([row for row in rows if isinstance(row, events.Asked)])

    @property
    def result(self) -> Any:
        """What the orchestrator returned. Raises: AssertionError when it has not."""
        last = self.rows[-1]
        assert isinstance(last, events.InstanceCompleted), last
        return encoded(last.result)

    @property
    def failure(self) -> FailureDetails:
        """What the orchestrator failed with. Raises: AssertionError when it has not."""
        last = self.rows[-1]
        assert isinstance(last, events.InstanceFailed), last
        return last.failure


def encoded(text: Any) -> Any:
    """JSON as plain values."""
    from msgspec import json

    return json.decode(bytes(text) if text is not None else bytes(NULL))


def kinds(rows: Sequence[Event]) -> list[str]:
    """Each row as its kind, with its sequence where it has one: `TimerCreated 2`."""
    shown: list[str] = []
    for row in rows:
        sequence = getattr(row, "sequence", None)
        shown.append(type(row).__name__ + ("" if sequence is None else f" {sequence}"))
    return shown


def bodies(rows: Sequence[Event]) -> list[bytes]:
    """The rows as they stand in the file."""
    return [encode_event(row) for row in rows]

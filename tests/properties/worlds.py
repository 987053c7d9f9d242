"""The world around a program: it answers, refuses, waits and sends, as drawn numbers say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from adjourn.model import events
from adjourn.model.codec import encode
from adjourn.model.commands import event_of
from adjourn.model.events import Arrived, Event
from adjourn.model.failure import FailureDetails
from adjourn.replay.execution import Execution
from adjourn.replay.outstanding import outstanding
from adjourn.replay.rebuild import rebuild, run_turn
from tests.histories import T0, encoded
from tests.properties.programs import NAMES, Program, app, run_program

INSTANCE_ID = "order-42"
SECOND = timedelta(seconds=1)


@dataclass
class Turn:
    """What one turn was given, where it ended, and how the execution then looked."""

    arrived: list[Arrived]
    at: Any
    end: int
    shown: dict[str, Any]


@dataclass
class Life:
    """One execution from its start."""

    number: int
    execution: Execution
    rows: list[Event] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)


def shown(execution: Execution) -> dict[str, Any]:
    """All that the engine reads of an execution."""
    status = execution.custom_status
    return {
        "finished": execution.finished,
        "suspended": execution.suspended,
        "waiting_for": execution.waiting_for(),
        "custom_status": None if status is None else bytes(status),
        "open": sorted([*execution.activities, *execution.children]),
        "timers": dict(execution.timers),
        "unanswered": sorted(execution.unanswered),
        "buffered": execution.buffered,
        "unconsumed": execution.unconsumed(),
        "sequence": execution.sequence,
        "now": execution.now,
    }


class World:
    """Plays one program to its end, or until the drawn numbers are used up."""

    def __init__(self, program: Program, suspends: bool = True) -> None:
        self.now = T0
        self.lives: list[Life] = []
        self.sent: list[int | str] = []
        self.updates: list[str] = []
        self.suspends = suspends
        self._begin(1, encode(program), [])

    @property
    def life(self) -> Life:
        return self.lives[-1]

    def _begin(self, number: int, input: Any, carried: Sequence[Any]) -> None:
        """As the engine does: what came over is in the history before the first turn."""
        rows: list[Any] = [events.InstanceStarted(at=self.now, name="run_program", input=input)]
        rows += carried
        execution, asked = rebuild(app, run_program, INSTANCE_ID, number, rows, 0)
        life = Life(number, execution, [*rows, *(event_of(c, self.now) for c in asked)])
        self.lives.append(life)
        self._turn_ended(rows)

    def play(self, choices: Sequence[int]) -> World:
        for choice in choices:
            options = self._options()
            if not options:
                break
            self.turn([options[choice % len(options)]()])
        return self

    def turn(self, arrived: list[Arrived]) -> None:
        life = self.life
        life.rows += run_turn(life.execution, arrived, self.now)
        self._turn_ended(arrived)

    def _turn_ended(self, arrived: list[Arrived]) -> None:
        life = self.life
        life.turns.append(Turn(arrived, self.now, len(life.rows), shown(life.execution)))
        last = life.rows[-1]
        if isinstance(last, events.InstanceContinuedAsNew):
            carried: list[Any] = []
            for message in life.execution.unconsumed():
                carried.append(_carried(message))
            life.execution.close()
            self._begin(life.number + 1, last.input, carried)

    def close(self) -> None:
        self.life.execution.close()

    # What may happen next.

    def _options(self) -> list[Callable[[], Any]]:
        life = self.life
        if life.execution.finished:
            return []
        found = outstanding(life.rows)
        options: list[Callable[[], Any]] = []
        for sequence in found.activities:
            options += [self._completes(sequence), self._fails(sequence), self._noise(sequence)]
        for sequence, fire_at in found.timers.items():
            options += [self._fires(sequence, fire_at)] * 2
        for sequence in found.children:
            options += [self._child_completes(sequence), self._child_fails(sequence)]
        for name in NAMES:
            options += [self._event(name, text=False), self._event(name.lower(), text=False)]
        options += [self._event("A", text=True), self._update]
        if life.execution.suspended:
            options += [self._resumes] * 3
        elif self.suspends:
            options.append(self._suspends)
        return options

    def _later(self) -> Any:
        self.now += SECOND
        return self.now

    def _completes(self, sequence: int) -> Callable[[], Any]:
        return lambda: events.ActivityCompleted(
            at=self._later(), sequence=sequence, result=encode(sequence * 10)
        )

    def _fails(self, sequence: int) -> Callable[[], Any]:
        failure = FailureDetails(type="ValueError", message=f"no {sequence}")
        return lambda: events.ActivityFailed(at=self._later(), sequence=sequence, failure=failure)

    def _noise(self, sequence: int) -> Callable[[], Any]:
        return lambda: events.ActivityRecovered(at=self._later(), sequence=sequence, attempt=2)

    def _fires(self, sequence: int, fire_at: Any) -> Callable[[], Any]:
        def fire() -> Any:
            self.now = max(self.now, fire_at)
            return events.TimerFired(at=self.now, sequence=sequence)

        return fire

    def _child_completes(self, sequence: int) -> Callable[[], Any]:
        return lambda: events.SubOrchestrationCompleted(
            at=self._later(), sequence=sequence, result=encode(7)
        )

    def _child_fails(self, sequence: int) -> Callable[[], Any]:
        failure = FailureDetails(type="ValueError", message="no child")
        return lambda: events.SubOrchestrationFailed(
            at=self._later(), sequence=sequence, failure=failure
        )

    def _event(self, name: str, *, text: bool) -> Callable[[], Any]:
        def send() -> Any:
            number = len(self.sent)
            self.sent.append(f"s{number}" if text else number)
            return events.ExternalEventReceived(
                at=self._later(),
                name=name,
                data=encode(self.sent[-1]),
                event_id=str(self.sent[-1]),
            )

        return send

    def _update(self) -> Any:
        id = f"u{len(self.updates)}"
        self.updates.append(id)
        return events.UpdateReceived(at=self._later(), name="u", update_id=id, data=encode(id))

    def _suspends(self) -> Any:
        return events.InstanceSuspended(at=self._later())

    def _resumes(self) -> Any:
        return events.InstanceResumed(at=self._later())

    # What became of the messages.

    def consumed(self) -> list[int | str]:
        """Data of the events that a wait has given to the program, in that order."""
        status = self.life.execution.custom_status
        log = [] if status is None else encoded(status)
        return [value for word, value in log if word == "got"]

    def set_aside(self) -> list[str]:
        rows = [row for life in self.lives for row in life.rows]
        return [row.event_id for row in rows if isinstance(row, events.ExternalEventSetAside)]

    def left(self) -> list[str]:
        """Event ids that are still there for whoever asks next."""
        return [
            message.event_id
            for message in self.life.execution.unconsumed()
            if isinstance(message, events.ExternalEventReceived)
        ]

    def starving(self) -> set[str]:
        """Names for which an event is there and a live wait does not get it."""
        execution = self.life.execution
        if execution.suspended or execution.finished:
            return set()
        names = {message.name.casefold() for message in execution.unconsumed()}
        return names & {name.casefold() for name in execution.waiting_for()}

    def answers(self) -> list[str]:
        rows = [row for life in self.lives for row in life.rows]
        kinds = (events.UpdateAccepted, events.UpdateRefused)
        return [row.update_id for row in rows if isinstance(row, kinds)]


def _carried(message: Any) -> Any:
    from msgspec.structs import replace

    return replace(message, carried=True)

"""From history to an execution that stands where the history ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from adjourn.authoring.functions import Orchestrator
from adjourn.authoring.registry import Registry
from adjourn.model.commands import Command, event_of
from adjourn.model.events import Arrived, Asked, Event, UpdateRefused
from adjourn.replay import matching
from adjourn.replay.execution import Execution
from adjourn.replay.matching import Mismatch


class MismatchFound(Exception):
    """Code and history part. Internal: the engine turns it into a quarantine."""

    def __init__(self, mismatch: Mismatch) -> None:
        self.mismatch = mismatch
        super().__init__(mismatch.explanation)


def rebuild(
    registry: Registry,
    orchestrator: Orchestrator[Any, Any],
    instance_id: str,
    number: int,
    history: Sequence[Event],
    turned: int,
) -> tuple[Execution, list[Command]]:
    """Run the orchestrator through `history`; returns it and what it now asks for.

    `turned` is how many rows a turn has seen: the code must ask for exactly what they record.
    Rows behind it (events that came while the instance was quarantined) are handed over too, and
    what they cause is the returned list of commands.

    Raises: MismatchFound. Nothing has been run or changed then.
    """
    try:
        return _rebuild(Execution(registry, orchestrator, instance_id, number), history, turned)
    except MismatchFound:
        # Naming the line costs more than the rest of a replay, so only a second run does it.
        again = Execution(registry, orchestrator, instance_id, number)
        again.trace = []
        return _rebuild(again, history, turned)


def _rebuild(
    execution: Execution, history: Sequence[Event], turned: int
) -> tuple[Execution, list[Command]]:
    execution.replaying = True
    execution.set_aside = {
        event.update_id: event
        for event in history[:turned]
        if isinstance(event, UpdateRefused) and event.unheard
    }
    replay = _Replay(execution)
    try:
        for row, event in enumerate(history):
            if row == turned:
                replay.nothing_more(row)
                execution.replaying = False
            replay.take(row, event)
        if turned >= len(history):
            replay.nothing_more(len(history))
    except MismatchFound:
        execution.close()
        raise
    execution.replaying = False
    execution.set_aside = {}
    execution.trace = None
    return execution, replay.produced


class _Replay:
    """Pairs what the code asks with what was recorded, in order."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.produced: list[Command] = []
        self.recorded_since_arrival = False

    def take(self, row: int, event: Event) -> None:
        if isinstance(event, Asked):
            self._pair(row, event)
            return
        if self.recorded_since_arrival:
            self.nothing_more(row)
        self.recorded_since_arrival = False
        self.execution.apply(event)
        self.produced += self.execution.take_commands()

    def _pair(self, row: int, event: Asked) -> None:
        self.recorded_since_arrival = True
        command = self.produced[0] if self.produced else None
        if command is None or not matching.fits(command, event):
            raise self._mismatch(row, command, event)
        self.produced.pop(0)
        if self.execution.trace:
            self.execution.trace.pop(0)

    def nothing_more(self, row: int) -> None:
        """Raises: MismatchFound when the code has asked for something that is not recorded."""
        if self.produced:
            raise self._mismatch(row, self.produced[0], None)

    def _mismatch(self, row: int, command: Command | None, event: Event | None) -> MismatchFound:
        execution = self.execution
        where = execution.trace[0] if command is not None and execution.trace else ""
        return MismatchFound(
            matching.explain(
                execution.instance_id, execution.number, row + 1, command, event, where
            )
        )


def run_turn(execution: Execution, arrived: Sequence[Arrived], at: datetime) -> list[Event]:
    """Hand over events, one by one; returns the new history rows, each event with what it caused.

    The same rows come out whether `execution` has lived since its start or was rebuilt.
    """
    rows: list[Event] = []
    for event in arrived:
        rows.append(event)
        execution.apply(event)
        rows.extend(event_of(command, at) for command in execution.take_commands())
    return rows

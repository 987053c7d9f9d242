"""The history of an instance as an operator reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

import msgspec

from adjourn.approvals.text import one_line, plain
from adjourn.dashboard.times import When, clock, lasted
from adjourn.dashboard.views.words import Tone
from adjourn.model import events
from adjourn.model.approval import APPROVAL
from adjourn.model.events import Arrived, Asked, Event
from adjourn.model.failure import FailureDetails
from adjourn.model.state import HistoryEntry


@dataclass(frozen=True, slots=True)
class StoryLine:
    """One event: when, how long after the beginning, what."""

    number: int
    at: When
    elapsed: str
    words: str
    detail: str
    tone: Tone
    href: str
    hash: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """An activity of which nobody knows whether it happened."""

    sequence: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Child:
    """A sub-orchestration that has not ended."""

    name: str
    id: str
    since: datetime


@dataclass(slots=True)
class Threads:
    """What later events refer to by sequence, and what is still open."""

    names: dict[int, str] = field(default_factory=dict[int, str])
    timers: dict[int, datetime] = field(default_factory=dict[int, datetime])
    children: dict[int, Child] = field(default_factory=dict[int, Child])
    doubts: dict[int, Doubt] = field(default_factory=dict[int, Doubt])
    latest: datetime | None = None

    def note(self, event: Event) -> None:
        """Take in the next event."""
        self.latest = event.at
        match event:
            case events.ActivityScheduled(sequence=sequence, name=name):
                self.names[sequence] = name
            case events.SubOrchestrationStarted(sequence=sequence, name=name, instance_id=id):
                self.names[sequence] = name
                self.children[sequence] = Child(name, id, event.at)
            case events.TimerCreated(sequence=sequence, fire_at=fire_at):
                self.timers[sequence] = fire_at
            case events.TimerFired(sequence=sequence) | events.TimerCancelled(sequence=sequence):
                self.timers.pop(sequence, None)
            case events.ActivityInDoubt(sequence=sequence, reason=reason):
                self.doubts[sequence] = Doubt(sequence, self.name(sequence), plain(reason))
            case (
                events.SubOrchestrationCompleted(sequence=sequence)
                | events.SubOrchestrationFailed(sequence=sequence)
                | events.SubOrchestrationCancelled(sequence=sequence)
            ):
                self.children.pop(sequence, None)
            case (
                events.ActivityCompleted(sequence=sequence)
                | events.ActivityFailed(sequence=sequence)
                | events.ActivityRecovered(sequence=sequence)
                | events.ActivityCancelled(sequence=sequence)
            ):
                self.doubts.pop(sequence, None)
            case _:
                pass

    def name(self, sequence: int) -> str:
        return plain(self.names.get(sequence, f"step {sequence}"))


def threads_of(entries: Sequence[HistoryEntry]) -> Threads:
    """What is open at the end of this history."""
    threads = Threads()
    for entry in entries:
        threads.note(entry.event)
    return threads


def story(entries: Sequence[HistoryEntry], now: datetime) -> list[StoryLine]:
    """A line for each event, in order."""
    threads = Threads()
    lines: list[StoryLine] = []
    for entry in entries:
        event = entry.event
        words, detail, tone = _words(event, threads)
        threads.note(event)
        begun = isinstance(event, events.SubOrchestrationStarted | events.OrchestrationStarted)
        lines.append(
            StoryLine(
                number=entry.number,
                at=clock(event.at, now),
                elapsed=lasted(entries[0].event.at, event.at),
                words=words,
                detail=detail,
                tone=tone,
                href=link_of(event.name, event.instance_id) if begun else "",
                hash=entry.hash[:10],
            )
        )
    return lines


def link_of(name: str, id: str) -> str:
    """Where an instance is looked at: an approval has a page of its own."""
    return f"/approvals/{id}" if name == APPROVAL else f"/instances/{id}"


Words = tuple[str, str, Tone]


def _words(event: Event, threads: Threads) -> Words:
    return _asked(event, threads) if isinstance(event, Asked) else _arrived(event, threads)


def _asked(event: Asked, threads: Threads) -> Words:
    match event:
        case events.ActivityScheduled(name=name, input=input):
            return f"Calls {plain(name)}", _short(input), ""
        case events.ActivityCancelled(sequence=sequence):
            return f"Nobody waits for {threads.name(sequence)} any more", "", "quiet"
        case events.TimerCreated(fire_at=fire_at):
            return "Sets a timer", f"until {fire_at:%Y-%m-%d %H:%M:%S} UTC", ""
        case events.TimerCancelled():
            return "Takes the timer back", "", "quiet"
        case events.SubOrchestrationStarted(name=name, instance_id=id):
            asks = "Asks for an approval" if name == APPROVAL else f"Starts {plain(name)}"
            return asks, plain(id), "info"
        case events.SubOrchestrationCancelled(sequence=sequence):
            return f"Nobody waits for {threads.name(sequence)} any more", "", "quiet"
        case events.OrchestrationStarted(name=name, instance_id=id):
            return f"Starts {plain(name)}, on its own", plain(id), "info"
        case events.EventSent(name=name, instance_id=id, data=data):
            return f"Sends event {plain(name)} to {plain(id)}", _short(data), "info"
        case events.ExternalEventSetAside(name=name, reason=reason):
            return f"Sets event {plain(name)} aside", one_line(reason), "warn"
        case events.UpdateAccepted(result=result):
            return "Accepts the update", _short(result), "ok"
        case events.UpdateRefused(reason=reason):
            return "Refuses the update", one_line(reason), "warn"
        case events.InstanceContinuedAsNew(input=input):
            return "Continues as new", _short(input), "info"
        case events.InstanceCompleted(result=result):
            return "Completed", _short(result), "ok"
        case events.InstanceFailed(failure=failure):
            return "Failed", _failure(failure), "no"
        case _:
            assert_never(event)


def _arrived(event: Arrived, threads: Threads) -> Words:
    match event:
        case events.InstanceStarted(name=name, input=input):
            return f"Started {plain(name)}", _short(input), "info"
        case events.TimerFired():
            return "The timer fired", "", ""
        case events.SubOrchestrationCompleted(sequence=sequence, result=result):
            name = threads.name(sequence)
            ended = "The approval ended" if name == APPROVAL else f"{name} completed"
            return ended, _short(result), "ok"
        case events.SubOrchestrationFailed(sequence=sequence, failure=failure):
            return f"{threads.name(sequence)} failed", _failure(failure), "no"
        case events.ExternalEventReceived(name=name, data=data):
            return f"Event {plain(name)} arrived", _short(data), "info"
        case events.UpdateReceived(name=name, data=data, by=by):
            who = f" from {plain(by.name or by.id)}" if by is not None else ""
            return f"Update {plain(name)} arrived{who}", _short(data), "info"
        case events.InstanceSuspended(reason=reason):
            return "Suspended", one_line(reason), "warn"
        case events.InstanceResumed(reason=reason):
            return "Resumed", one_line(reason), ""
        case events.InstanceTerminated(reason=reason):
            return "Terminated", one_line(reason), "no"
        case _:
            return _of_activity(event, threads)


def _of_activity(
    event: events.ActivityRetryScheduled
    | events.ActivityRecovered
    | events.ActivityInDoubt
    | events.ActivityCompleted
    | events.ActivityFailed,
    threads: Threads,
) -> Words:
    match event:
        case events.ActivityRetryScheduled(sequence=sequence, failure=failure, retry_at=retry_at):
            words = f"{threads.name(sequence)} failed; again at {retry_at:%H:%M:%S} UTC"
            return words, _failure(failure), "warn"
        case events.ActivityRecovered(sequence=sequence, attempt=attempt):
            words = f"{threads.name(sequence)} runs again after a crash"
            return words, f"attempt {attempt}, with the same key", "warn"
        case events.ActivityInDoubt(sequence=sequence, reason=reason):
            return f"{threads.name(sequence)} is in doubt", one_line(reason), "no"
        case events.ActivityCompleted(sequence=sequence, result=result, settled_by=by):
            settled = f", settled by {plain(by)}" if by else ""
            return f"{threads.name(sequence)} completed{settled}", _short(result), "ok"
        case events.ActivityFailed(sequence=sequence, failure=failure, settled_by=by):
            settled = f", settled by {plain(by)}" if by else ""
            return f"{threads.name(sequence)} failed{settled}", _failure(failure), "no"
        case _:
            assert_never(event)


def _failure(failure: FailureDetails) -> str:
    return one_line(f"{failure.type}: {failure.message}", 300)


def _short(value: msgspec.Raw) -> str:
    text = bytes(value).decode()
    return "" if text in ("null", "{}") else one_line(text, 200)

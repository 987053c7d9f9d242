"""One instance for a person: what it is, what it waits for, and what happened, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from rich.text import Text

from adjourn.cli.text import clock, printable, short, span
from adjourn.model import events
from adjourn.model.events import Arrived, Asked, Event
from adjourn.model.failure import FailureDetails
from adjourn.model.state import HistoryEntry, InstanceState
from adjourn.model.status import Status

STATUS_STYLE = {
    Status.PENDING: "cyan",
    Status.RUNNING: "cyan",
    Status.SUSPENDED: "yellow",
    Status.QUARANTINED: "bold red",
    Status.COMPLETED: "green",
    Status.FAILED: "red",
    Status.TERMINATED: "magenta",
}


@dataclass(slots=True)
class Story:
    """What later events refer to by sequence."""

    names: dict[int, str] = field(default_factory=dict[int, str])
    deadlines: dict[int, datetime] = field(default_factory=dict[int, datetime])
    """Of timers that have neither fired nor been cancelled."""
    doubts: dict[int, str] = field(default_factory=dict[int, str])
    """Why; of activities that nobody has settled."""

    def note(self, event: Event) -> None:
        """Take in the next event."""
        match event:
            case events.ActivityScheduled() | events.SubOrchestrationStarted():
                self.names[event.sequence] = event.name
            case events.TimerCreated():
                self.deadlines[event.sequence] = event.fire_at
            case events.TimerFired() | events.TimerCancelled():
                self.deadlines.pop(event.sequence, None)
            case events.ActivityInDoubt():
                self.doubts[event.sequence] = event.reason
            case (
                events.ActivityCompleted()
                | events.ActivityFailed()
                | events.ActivityRecovered()
                | events.ActivityCancelled()
            ):
                self.doubts.pop(event.sequence, None)
            case _:
                pass

    def name(self, sequence: int) -> str:
        return printable(self.names.get(sequence, f"step {sequence}"))


def header(state: InstanceState, entries: Sequence[HistoryEntry]) -> Iterator[Text]:
    """What it is now. `entries` are those of its latest execution."""
    story = Story()
    for entry in entries:
        story.note(entry.event)
    yield Text.assemble((state.id, "bold"), f"  {printable(state.name)}")
    what = f"execution {state.execution}, {state.events} events"
    yield _fact("status", Text(state.status, STATUS_STYLE[state.status]), f"  {what}")
    yield _fact("started", f"{clock(state.created_at)} UTC")
    if state.finished_at is not None:
        yield _fact("finished", f"{clock(state.finished_at)} UTC")
    if state.parent_id is not None:
        yield _fact("parent", state.parent_id)
    for name, value in sorted(state.attributes.items()):
        yield _fact("attribute", f"{printable(name)} = {short(str(value))}")
    if state.custom_status is not None:
        yield _fact("custom", short(state.custom_status))
    yield from _open_ends(state, entries, story)
    if state.output is not None:
        yield _fact("result", short(state.output, 400))
    if state.failure is not None:
        yield _fact("failure", Text(_failure(state.failure), "red"))
    if state.problem is not None:
        yield _fact("problem", Text("this code does not fit the history; nothing runs", "red"))
        for line in state.problem.splitlines():
            yield Text(f"            {printable(line)}", "red")


def _fact(label: str, *parts: str | Text) -> Text:
    return Text.assemble((f"  {label:<10}", "dim"), *parts)


def _open_ends(
    state: InstanceState, entries: Sequence[HistoryEntry], story: Story
) -> Iterator[Text]:
    if state.status.finished:
        return
    since = f"  since {clock(entries[-1].event.at)} UTC" if entries else ""
    for name in state.waiting_for:
        yield _fact("waits for", Text(printable(name), "bold cyan"), since)
    if story.deadlines:
        earliest = min(story.deadlines.values())
        yield _fact("timer", Text(f"due {clock(earliest)} UTC", "cyan"))
    if state.running > len(story.doubts):
        yield _fact("running", f"{state.running - len(story.doubts)} activities")
    if state.pending_events:
        yield _fact("unread", f"{state.pending_events} events that nothing has consumed")
    for sequence, reason in story.doubts.items():
        words = f"step {sequence}, {story.name(sequence)}: {short(reason)}"
        yield _fact("in doubt", Text(words, "bold yellow"))
        move = f"adjourn settle {state.id} {sequence} completed|failed|again --by NAME"
        yield _fact("", f"find out what happened, then: {move}")


def timeline(entries: Sequence[HistoryEntry]) -> Iterator[Text]:
    """A line for each event: when, how long after the start, what."""
    story = Story()
    for entry in entries:
        event = entry.event
        words, style = _words(event, story)
        story.note(event)
        elapsed = span(event.at - entries[0].event.at)
        yield Text.assemble(
            (f"  {clock(event.at)}  {elapsed:>9}  ", "dim"), (words, style or "default")
        )


def _words(event: Event, story: Story) -> tuple[str, str]:
    return _asked(event, story) if isinstance(event, Asked) else _arrived(event, story)


def _asked(event: Asked, story: Story) -> tuple[str, str]:
    match event:
        case events.ActivityScheduled():
            approved = f"  (decided in {event.approval})" if event.approval else ""
            return f"call {printable(event.name)} {short(event.input)}{approved}", ""
        case events.ActivityCancelled():
            return f"nobody waits for {story.name(event.sequence)} any more", "dim"
        case events.TimerCreated():
            return f"timer until {clock(event.fire_at)}", ""
        case events.TimerCancelled():
            return "timer cancelled", "dim"
        case events.SubOrchestrationStarted():
            words = f"start {printable(event.name)} as {event.instance_id} {short(event.input)}"
            return words, ""
        case events.SubOrchestrationCancelled():
            return f"nobody waits for {story.name(event.sequence)} any more", "dim"
        case events.OrchestrationStarted():
            words = f"start {printable(event.name)} as {event.instance_id}, on its own"
            return f"{words} {short(event.input)}", ""
        case events.EventSent():
            words = f"send event {printable(event.name)} to {event.instance_id}"
            return f"{words} {short(event.data)}", ""
        case events.ExternalEventSetAside():
            words = f"{printable(event.name)} set aside, it does not fit: {short(event.reason)}"
            return words, "yellow"
        case events.UpdateAccepted():
            return f"update accepted {short(event.result)}", "green"
        case events.UpdateRefused():
            return f"update refused: {short(event.reason)}", "yellow"
        case events.InstanceContinuedAsNew():
            return f"continue as new {short(event.input)}", "cyan"
        case events.InstanceCompleted():
            return f"completed {short(event.result)}", "bold green"
        case events.InstanceFailed():
            return f"failed: {_failure(event.failure)}", "bold red"
        case _:
            assert_never(event)


def _arrived(event: Arrived, story: Story) -> tuple[str, str]:
    match event:
        case events.InstanceStarted():
            return f"started {printable(event.name)} {short(event.input)}", "bold"
        case events.TimerFired():
            return "timer fired", "cyan"
        case events.SubOrchestrationCompleted():
            return f"{story.name(event.sequence)} completed {short(event.result)}", "green"
        case events.SubOrchestrationFailed():
            return f"{story.name(event.sequence)} failed: {_failure(event.failure)}", "red"
        case events.ExternalEventReceived():
            words = f"event {printable(event.name)} {short(event.data)}"
            return words + _sent_as(event.event_id), "bold cyan"
        case events.UpdateReceived():
            who = f" by {printable(event.by.id)}" if event.by else ""
            words = f"update {printable(event.name)}{who} {short(event.data)}"
            return words + _sent_as(event.update_id), "bold cyan"
        case events.InstanceSuspended():
            return f"suspended{_reason(event.reason)}", "yellow"
        case events.InstanceResumed():
            return f"resumed{_reason(event.reason)}", "yellow"
        case events.InstanceTerminated():
            return f"terminated{_reason(event.reason)}", "bold magenta"
        case _:
            return _of_activity(event, story.name(event.sequence))


def _of_activity(
    event: events.ActivityRetryScheduled
    | events.ActivityRecovered
    | events.ActivityInDoubt
    | events.ActivityCompleted
    | events.ActivityFailed,
    name: str,
) -> tuple[str, str]:
    match event:
        case events.ActivityRetryScheduled():
            words = f"{name} failed: {_failure(event.failure)}; again at {clock(event.retry_at)}"
            return words, "yellow"
        case events.ActivityRecovered():
            return f"{name} runs again (attempt {event.attempt}, same key)", "yellow"
        case events.ActivityInDoubt():
            return f"{name} is in doubt: {short(event.reason)}", "bold yellow"
        case events.ActivityCompleted():
            return f"{name} completed {short(event.result)}{_settled(event.settled_by)}", "green"
        case events.ActivityFailed():
            return f"{name} failed: {_failure(event.failure)}{_settled(event.settled_by)}", "red"
        case _:
            assert_never(event)


def _failure(failure: FailureDetails) -> str:
    return short(f"{failure.type}: {failure.message}", 200)


def _reason(reason: str) -> str:
    return f": {short(reason)}" if reason else ""


def _settled(by: str) -> str:
    return f"  (settled by {printable(by)})" if by else ""


def _sent_as(id: str) -> str:
    return f"  (id {short(id)})" if id else ""

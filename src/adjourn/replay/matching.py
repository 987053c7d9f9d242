"""Does the code still fit its history? Compared by sequence, kind, name and canonical input."""

from __future__ import annotations

from typing import Any, assert_never

import msgspec

from adjourn.model import commands, events
from adjourn.model.approval import APPROVAL
from adjourn.model.codec import NULL
from adjourn.model.commands import Command
from adjourn.model.events import Asked, Event


class Mismatch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where and how code and history part, and the text that says so."""

    instance_id: str
    execution: int
    step: int
    """The history row at which they part."""
    asked: str
    recorded: str
    where: str = ""
    """`file:line in function` that asked, when the code asked for something."""
    cause: str

    @property
    def explanation(self) -> str:
        at = f" ({self.where})" if self.where else ""
        return (
            f"At row {self.step} of {self.instance_id} the orchestrator asked for "
            f"{self.asked}{at}; history has {self.recorded}. Likely cause: {self.cause} "
            "Nothing of it has run and nothing is lost. Put back code that fits this history "
            "and restart: the instance goes on where it stood."
        )


def fits(command: Command, event: Asked) -> bool:
    """Whether the code, asking for `command`, would have caused `event`."""
    match command, event:
        case commands.ScheduleActivity(), events.ActivityScheduled():
            return _same(command, event, "sequence", "name", "input", "approval", "hosted")
        case commands.CreateTimer(), events.TimerCreated():
            return _same(command, event, "sequence", "fire_at")
        case commands.StartSubOrchestration(name=name), events.SubOrchestrationStarted():
            same = _same(command, event, "sequence", "name", "instance_id")
            return same and (
                command.input == event.input
                or (name == APPROVAL and same_question(command.input, event.input))
            )
        case commands.StartOrchestration(), events.OrchestrationStarted():
            return _same(command, event, "sequence", "name", "instance_id", "input")
        case commands.SendEvent(), events.EventSent():
            return _same(command, event, "sequence", "instance_id", "name", "data")
        case (
            (commands.CancelActivity(), events.ActivityCancelled())
            | (commands.CancelTimer(), events.TimerCancelled())
            | (commands.CancelSubOrchestration(), events.SubOrchestrationCancelled())
        ):
            return _same(command, event, "sequence")
        case commands.SetEventAside(), events.ExternalEventSetAside():
            return _same(command, event, "name", "event_id")
        case commands.AcceptUpdate(), events.UpdateAccepted():
            return _same(command, event, "update_id", "result")
        case commands.RefuseUpdate(), events.UpdateRefused():
            return _same(command, event, "update_id", "refusal")  # the words may be bettered
        case commands.ContinueAsNew(), events.InstanceContinuedAsNew():
            return _same(command, event, "input")
        case commands.CompleteInstance(), events.InstanceCompleted():
            return _same(command, event, "result")
        case commands.FailInstance(failure=asked), events.InstanceFailed(failure=recorded):
            return asked.type == recorded.type  # messages may name addresses
        case _:
            return False


BESIDE = frozenset({"title", "evidence", "form", "watch", "watchers"})
"""What of a question nothing is decided by: what people read (a docstring in the form, say), and
who is told of it."""


def same_question(asked: msgspec.Raw, recorded: msgspec.Raw) -> bool:
    """Whether two requests of an approval differ at most in what nothing is decided by."""
    first, second = (msgspec.json.decode(each, type=dict[str, Any]) for each in (asked, recorded))
    return all(
        first.get(name) == second.get(name) for name in (first.keys() | second.keys()) - BESIDE
    )


def _same(command: Command, event: Asked, *names: str) -> bool:
    return all(getattr(command, name) == getattr(event, name) for name in names)


def explain(
    instance_id: str,
    execution: int,
    step: int,
    command: Command | None,
    event: Event | None,
    where: str,
) -> Mismatch:
    """The mismatch between what the code asks (None: nothing) and what history has."""
    return Mismatch(
        instance_id=instance_id,
        execution=execution,
        step=step,
        asked="nothing more" if command is None else _command_words(command),
        recorded="nothing there" if event is None else _event_words(event),
        where=where,
        cause=_cause(command, event),
    )


def _cause(command: Command | None, event: Event | None) -> str:
    match command, event:
        case None, _:
            return "a step was removed from the code under a waiting instance."
        case _, None:
            return "a step was added to the code under a waiting instance."
        case commands.ScheduleActivity(name=asked), events.ActivityScheduled(name=recorded):
            if asked != recorded:
                return "an activity was renamed or another put in its place."
            if command.hosted != event.hosted:
                return "a registered activity and a step of an agent changed places."
            return (
                "the arguments come from something that differs on replay (a clock, dice, a "
                "global, an unordered set), or the steps before this one changed."
            )
        case commands.CreateTimer(), events.TimerCreated():
            return "the span of a timer changed, or a step before it."
        case commands.StartSubOrchestration(), events.SubOrchestrationStarted():
            return "the child's name, id or input changed under a waiting instance."
        case commands.StartOrchestration(), events.OrchestrationStarted():
            return "the name, id or input of what is started changed under a waiting instance."
        case commands.SendEvent(), events.EventSent():
            return "the receiver, name or data of an event changed under a waiting instance."
        case commands.ContinueAsNew(), events.InstanceContinuedAsNew():
            return "the input of the next execution changed."
        case (commands.AcceptUpdate(), events.UpdateAccepted()) | (
            commands.RefuseUpdate(),
            events.UpdateRefused(),
        ):
            return "the answer to an update changed under a waiting instance."
        case _:
            return "the order of steps changed under a waiting instance."


def _input_words(text: msgspec.Raw) -> str:
    if text == NULL:
        return ""
    shown = bytes(text).decode("utf-8", "replace")
    return f" with {shown[:120]}{'...' if len(shown) > 120 else ''}"


def _command_words(command: Command) -> str:
    match command:
        case commands.ScheduleActivity(sequence=sequence, name=name, input=input):
            return f"activity {name!r} as step {sequence}{_input_words(input)}"
        case commands.CreateTimer(sequence=sequence, fire_at=fire_at):
            return f"a timer until {fire_at.isoformat()} as step {sequence}"
        case commands.StartSubOrchestration(sequence=sequence, name=name, input=input):
            return f"sub-orchestration {name!r} as step {sequence}{_input_words(input)}"
        case commands.StartOrchestration(sequence=sequence, name=name, input=input):
            id = command.instance_id
            return f"starting {name!r} as {id!r} as step {sequence}{_input_words(input)}"
        case commands.SendEvent(sequence=sequence, name=name, data=data):
            id = command.instance_id
            return f"sending event {name!r} to {id!r} as step {sequence}{_input_words(data)}"
        case commands.CancelActivity(sequence=sequence):
            return f"cancelling the activity of step {sequence}"
        case commands.CancelTimer(sequence=sequence):
            return f"cancelling the timer of step {sequence}"
        case commands.CancelSubOrchestration(sequence=sequence):
            return f"cancelling the child of step {sequence}"
        case commands.SetEventAside(name=name):
            return f"setting an event {name!r} aside"
        case commands.AcceptUpdate(update_id=update_id):
            return f"accepting update {update_id!r}"
        case commands.RefuseUpdate(update_id=update_id):
            return f"refusing update {update_id!r}"
        case commands.ContinueAsNew(input=input):
            return f"continuing as new{_input_words(input)}"
        case commands.CompleteInstance(result=result):
            return f"completing{_input_words(result)}"
        case commands.FailInstance(failure=failure):
            return f"failing with {failure.type}: {failure.message[:120]}"
        case _:
            assert_never(command)


def _event_words(event: Event) -> str:
    words = type(event).__name__
    for name in ("sequence", "name", "instance_id", "fire_at", "update_id", "input", "data"):
        value = getattr(event, name, None)
        if value is not None and value != NULL:
            is_json = isinstance(value, msgspec.Raw)
            text = bytes(value).decode("utf-8", "replace") if is_json else str(value)
            text = value.isoformat() if name == "fire_at" else text
            words += f" {name}={text[:120]}"
    return words

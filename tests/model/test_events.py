"""Events are stored data: their kinds, their field names and their JSON are pinned."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any, get_args

import msgspec
import pytest

from adjourn import FailureDetails
from adjourn.model import commands, events
from adjourn.model.codec import encode
from adjourn.model.commands import event_of
from adjourn.model.events import Arrived, Asked, Event, decode_event, encode_event
from tests.histories import T0, at

FAILURE = FailureDetails(type="ValueError", message="no")
AT = '"at":"2026-01-01T09:00:00Z"'
IN_FAILURE = '"failure":{"type":"ValueError","message":"no"}'

# In the order of a life: the event with everything that it may hold, and its row. A line here may
# be added, never changed: files in the field hold it.
ROWS: list[tuple[Event, str]] = [
    (
        events.InstanceStarted(
            at=T0,
            name="order",
            input=encode({"id": 42}),
            version="2",
            parent=events.Parent(instance_id="p", execution=1, sequence=3),
            tags={"team": "a"},
            trace_context="00-1-2-01",
        ),
        f'{{"kind":"InstanceStarted",{AT},"name":"order","input":{{"id":42}},"version":"2",'
        '"parent":{"instance_id":"p","execution":1,"sequence":3},"tags":{"team":"a"},'
        '"trace_context":"00-1-2-01"}',
    ),
    (
        events.ActivityScheduled(
            at=T0, sequence=1, name="charge", input=encode([1]), approval="a", hosted=True
        ),
        f'{{"kind":"ActivityScheduled",{AT},"sequence":1,"name":"charge","input":[1],'
        '"approval":"a","hosted":true}',
    ),
    (
        events.ActivityRetryScheduled(
            at=T0, sequence=1, attempt=2, failure=FAILURE, retry_at=at(0.5)
        ),
        f'{{"kind":"ActivityRetryScheduled",{AT},"sequence":1,"attempt":2,{IN_FAILURE},'
        '"retry_at":"2026-01-01T09:00:00.500000Z"}',
    ),
    (
        events.ActivityRecovered(at=T0, sequence=1, attempt=2),
        f'{{"kind":"ActivityRecovered",{AT},"sequence":1,"attempt":2}}',
    ),
    (
        events.ActivityInDoubt(at=T0, sequence=1, reason="crash"),
        f'{{"kind":"ActivityInDoubt",{AT},"sequence":1,"reason":"crash"}}',
    ),
    (
        events.ActivityCompleted(at=T0, sequence=1, result=encode("r"), settled_by="ann"),
        f'{{"kind":"ActivityCompleted",{AT},"sequence":1,"result":"r","settled_by":"ann"}}',
    ),
    (
        events.ActivityFailed(at=T0, sequence=1, failure=FAILURE, settled_by="ann"),
        f'{{"kind":"ActivityFailed",{AT},"sequence":1,{IN_FAILURE},"settled_by":"ann"}}',
    ),
    (
        events.ActivityCancelled(at=T0, sequence=1),
        f'{{"kind":"ActivityCancelled",{AT},"sequence":1}}',
    ),
    (
        events.TimerCreated(at=T0, sequence=1, fire_at=at(60)),
        f'{{"kind":"TimerCreated",{AT},"sequence":1,"fire_at":"2026-01-01T09:01:00Z"}}',
    ),
    (events.TimerFired(at=T0, sequence=1), f'{{"kind":"TimerFired",{AT},"sequence":1}}'),
    (events.TimerCancelled(at=T0, sequence=1), f'{{"kind":"TimerCancelled",{AT},"sequence":1}}'),
    (
        events.SubOrchestrationStarted(
            at=T0, sequence=1, name="ship", instance_id="c", input=encode(1)
        ),
        f'{{"kind":"SubOrchestrationStarted",{AT},"sequence":1,"name":"ship","instance_id":"c",'
        '"input":1}',
    ),
    (
        events.SubOrchestrationCompleted(at=T0, sequence=1, result=encode(1)),
        f'{{"kind":"SubOrchestrationCompleted",{AT},"sequence":1,"result":1}}',
    ),
    (
        events.SubOrchestrationFailed(at=T0, sequence=1, failure=FAILURE),
        f'{{"kind":"SubOrchestrationFailed",{AT},"sequence":1,{IN_FAILURE}}}',
    ),
    (
        events.SubOrchestrationCancelled(at=T0, sequence=1),
        f'{{"kind":"SubOrchestrationCancelled",{AT},"sequence":1}}',
    ),
    (
        events.OrchestrationStarted(
            at=T0, sequence=1, name="ship", instance_id="c", input=encode(1)
        ),
        f'{{"kind":"OrchestrationStarted",{AT},"sequence":1,"name":"ship","instance_id":"c",'
        '"input":1}',
    ),
    (
        events.EventSent(at=T0, sequence=1, instance_id="c", name="Go", data=encode(True)),
        f'{{"kind":"EventSent",{AT},"sequence":1,"instance_id":"c","name":"Go","data":true}}',
    ),
    (
        events.ExternalEventReceived(
            at=T0, name="Go", data=encode(True), event_id="click-81", carried=True
        ),
        f'{{"kind":"ExternalEventReceived",{AT},"name":"Go","data":true,"event_id":"click-81",'
        '"carried":true}',
    ),
    (
        events.ExternalEventSetAside(at=T0, name="Go", event_id="click-81", reason="odd"),
        f'{{"kind":"ExternalEventSetAside",{AT},"name":"Go","event_id":"click-81","reason":"odd"}}',
    ),
    (
        events.UpdateReceived(at=T0, name="Decide", update_id="u1", data=encode(1), carried=True),
        f'{{"kind":"UpdateReceived",{AT},"name":"Decide","update_id":"u1","data":1,"carried":true}}',
    ),
    (
        events.UpdateAccepted(at=T0, update_id="u1", result=encode(1)),
        f'{{"kind":"UpdateAccepted",{AT},"update_id":"u1","result":1}}',
    ),
    (
        events.UpdateRefused(at=T0, update_id="u1", reason="late"),
        f'{{"kind":"UpdateRefused",{AT},"update_id":"u1","reason":"late"}}',
    ),
    (
        events.InstanceSuspended(at=T0, reason="audit"),
        f'{{"kind":"InstanceSuspended",{AT},"reason":"audit"}}',
    ),
    (
        events.InstanceResumed(at=T0, reason="done"),
        f'{{"kind":"InstanceResumed",{AT},"reason":"done"}}',
    ),
    (
        events.InstanceContinuedAsNew(at=T0, input=encode(1)),
        f'{{"kind":"InstanceContinuedAsNew",{AT},"input":1}}',
    ),
    (
        events.InstanceCompleted(at=T0, result=encode(1)),
        f'{{"kind":"InstanceCompleted",{AT},"result":1}}',
    ),
    (
        events.InstanceFailed(at=T0, failure=FAILURE),
        f'{{"kind":"InstanceFailed",{AT},{IN_FAILURE}}}',
    ),
    (
        events.InstanceTerminated(at=T0, reason="no"),
        f'{{"kind":"InstanceTerminated",{AT},"reason":"no"}}',
    ),
]

COMMANDS: list[tuple[commands.Command, str]] = [
    (commands.ScheduleActivity(sequence=1, name="a", input=encode(1)), "ActivityScheduled"),
    (commands.CancelActivity(sequence=1), "ActivityCancelled"),
    (commands.CreateTimer(sequence=1, fire_at=at(1)), "TimerCreated"),
    (commands.CancelTimer(sequence=1, fire_at=at(1)), "TimerCancelled"),
    (
        commands.StartSubOrchestration(sequence=1, name="c", instance_id="i", input=encode(1)),
        "SubOrchestrationStarted",
    ),
    (commands.CancelSubOrchestration(sequence=1, instance_id="c"), "SubOrchestrationCancelled"),
    (
        commands.StartOrchestration(sequence=1, name="c", instance_id="i", input=encode(1)),
        "OrchestrationStarted",
    ),
    (commands.SendEvent(sequence=1, instance_id="i", name="e", data=encode(1)), "EventSent"),
    (commands.SetEventAside(name="e", event_id="i", reason="r"), "ExternalEventSetAside"),
    (commands.AcceptUpdate(update_id="u", result=encode(1)), "UpdateAccepted"),
    (commands.RefuseUpdate(update_id="u", reason="r"), "UpdateRefused"),
    (commands.ContinueAsNew(input=encode(1)), "InstanceContinuedAsNew"),
    (commands.CompleteInstance(result=encode(1)), "InstanceCompleted"),
    (commands.FailInstance(failure=FAILURE), "InstanceFailed"),
]

KINDS: list[type[Any]] = list(get_args(Event))


def name_of(value: Any) -> str | None:
    return type(value).__name__ if isinstance(value, msgspec.Struct) else None


def test_every_kind_has_a_row_in_the_table_above_and_every_command_too():
    assert [type(event) for event, _ in ROWS] == [
        kind for kind in vars(events).values() if kind in KINDS
    ], "in the order of a life, as in events.py"
    assert {type(command) for command, _ in COMMANDS} == set(get_args(commands.Command))


@pytest.mark.parametrize(("event", "row"), ROWS, ids=name_of)
def test_an_event_is_written_as_pinned_and_read_back_the_same(event: Event, row: str):
    assert encode_event(event).decode() == row
    assert decode_event(row) == event
    assert decode_event(row.encode()) == event


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_of_an_event_is_its_name_and_comes_first(kind: type[msgspec.Struct]):
    assert kind.__struct_config__.tag_field == "kind"
    assert kind.__struct_config__.tag == kind.__name__
    assert any(row.startswith(f'{{"kind":"{kind.__name__}","at":') for _, row in ROWS)


def test_every_event_of_the_module_is_in_the_union():
    defined = {
        value
        for name, value in vars(events).items()
        if not name.startswith("_") and getattr(value, "__struct_config__", None) is not None
    }

    assert {kind for kind in defined if kind.__struct_config__.tag} == set(KINDS)


def test_asked_and_arrived_share_the_events_between_them():
    asked, arrived = set(get_args(Asked)), set(get_args(Arrived))

    assert asked | arrived == set(KINDS)
    assert asked & arrived == set()


def test_those_that_are_asked_say_so_and_the_others_do_not():
    said = {kind for kind in KINDS if (kind.__doc__ or "").startswith("Asked: ")}

    assert said == set(get_args(Asked))


@pytest.mark.parametrize(("command", "kind"), COMMANDS, ids=name_of)
def test_a_command_becomes_the_event_that_rhymes_with_it(command: commands.Command, kind: str):
    event = event_of(command, T0)

    assert type(event).__name__ == kind
    assert event.at == T0
    carried = {
        field: getattr(event, field)
        for field in command.__struct_fields__
        if field in event.__struct_fields__
    }
    assert carried == {field: getattr(command, field) for field in carried}
    assert set(event.__struct_fields__) - {"at", "settled_by"} <= set(command.__struct_fields__)


def test_what_is_not_there_is_not_written():
    assert (
        encode_event(events.InstanceCompleted(at=T0))
        == f'{{"kind":"InstanceCompleted",{AT}}}'.encode()
    )
    assert decode_event(f'{{"kind":"InstanceStarted",{AT},"name":"x"}}') == events.InstanceStarted(
        at=T0, name="x"
    )


def test_a_field_of_a_later_version_is_passed_over():
    assert decode_event(f'{{"kind":"TimerFired",{AT},"sequence":1,"colour":"red"}}') == (
        events.TimerFired(at=T0, sequence=1)
    )


def test_a_moment_keeps_its_microseconds_and_stays_aware():
    there = at(0.123457).astimezone(timezone(timedelta(hours=2)))

    event = decode_event(encode_event(events.TimerFired(at=there, sequence=1)))

    assert event.at == at(0.123457)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"kind":"ActivityVanished",{AT}}}',
        f"{{{AT}}}",
        '{"kind":"TimerFired","sequence":1}',
        f'{{"kind":"TimerFired",{AT}}}',
        f'{{"kind":"TimerFired",{AT},"sequence":"one"}}',
        '{"kind":"TimerFired","at":"yesterday","sequence":1}',
        "[]",
        "null",
        "",
        f'{{"kind":"TimerFired",{AT},"sequence":1',
    ],
    ids=[
        "unknown kind",
        "no kind",
        "no time",
        "no sequence",
        "a sequence in words",
        "a time in words",
        "a list",
        "null",
        "nothing",
        "half a row",
    ],
)
def test_a_body_that_is_no_event_is_refused(body: str):
    with pytest.raises(msgspec.MsgspecError):
        decode_event(body)


def test_an_event_cannot_be_changed():
    event: Any = events.TimerFired(at=T0, sequence=1)

    with pytest.raises(AttributeError):
        event.sequence = 2

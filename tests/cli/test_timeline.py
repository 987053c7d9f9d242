"""Waits, doubts and problems, as a person reads them."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest

from adjourn.cli.text import printable, short, span
from adjourn.cli.timeline import header, timeline
from adjourn.model import events
from adjourn.model.failure import FailureDetails
from adjourn.model.state import HistoryEntry, InstanceState
from adjourn.model.status import Status

AT = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
FACTS: dict[str, Any] = {
    "name": "pay",
    "instance_id": "child-1",
    "failure": FailureDetails(type="ValueError", message="no"),
    "retry_at": AT + timedelta(minutes=1),
    "fire_at": AT + timedelta(days=7),
    "attempt": 2,
    "sequence": 3,
    "reason": "the process died",
    "update_id": "u1",
}


def entries(*happened: events.Event) -> list[HistoryEntry]:
    return [
        HistoryEntry(execution=1, number=number, event=event, hash="")
        for number, event in enumerate(happened, start=1)
    ]


def state(**facts: Any) -> InstanceState:
    plain: dict[str, Any] = {"version": "", "execution": 1, "status": Status.RUNNING}
    return InstanceState(id="a", name="refund", created_at=AT, updated_at=AT, **{**plain, **facts})


def text_of(state: InstanceState, history: list[HistoryEntry]) -> str:
    return "\n".join(line.plain for line in header(state, history))


@pytest.mark.parametrize(
    "kind", [*get_args(events.Asked), *get_args(events.Arrived)], ids=lambda kind: kind.__name__
)
def test_every_event_has_its_words(kind: type[Any]) -> None:
    asked = {field.name for field in msgspec.structs.fields(kind) if field.required}
    event = kind(at=AT, **{name: FACTS[name] for name in asked - {"at"}})

    (line,) = timeline(entries(event))

    assert len(line.plain.split("+0.000s  ")[1]) > 5


def test_an_activity_in_doubt_is_shown_with_the_command_that_settles_it() -> None:
    scheduled = events.ActivityScheduled(at=AT, sequence=3, name="pay")
    doubt = events.ActivityInDoubt(at=AT, sequence=3, reason="the process died")
    settled = events.ActivityCompleted(at=AT, sequence=3, settled_by="ann")

    open_text = "\n".join(
        line.plain for line in header(state(running=1), entries(scheduled, doubt))
    )
    closed = "\n".join(line.plain for line in header(state(), entries(scheduled, doubt, settled)))

    assert "step 3, pay: the process died" in open_text
    assert "adjourn settle a 3 completed|failed|again --by NAME" in open_text
    assert "running" not in open_text
    assert "doubt" not in closed
    assert "(settled by ann)" in list(timeline(entries(scheduled, doubt, settled)))[-1].plain


def test_a_quarantined_instance_shows_its_problem() -> None:
    problem = "At command 7 of a the code asked for `refund`;\nhistory has a timer."

    lines = text_of(state(status=Status.QUARANTINED, problem=problem), []).splitlines()

    assert any("nothing runs" in line for line in lines)
    assert lines[-1].strip() == "history has a timer."


def test_text_is_shortened_and_made_visible() -> None:
    assert short("x" * 100) == "x" * 69 + "..."
    assert short(msgspec.Raw(b'{"a":1}')) == '{"a":1}'
    assert printable("a\x1b\u202e\n") == "a\\x1b\\u202e\\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.12, "+0.120s"), (125, "+2m05s"), (3 * 3600, "+3h00m"), (6.99 * 86400, "+6d23h")],
)
def test_a_span_of_time_in_few_characters(seconds: float, words: str) -> None:
    assert span(timedelta(seconds=seconds)) == words

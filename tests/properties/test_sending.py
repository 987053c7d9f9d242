"""Instances that write to each other, under crashes at every point of a commit: what one has sent
the other has received once, in the order of the calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal
from unittest import mock

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adjourn import Adjourn, AdjournError, Context
from adjourn.engine import engine
from adjourn.model import events
from adjourn.testing import CRASH_POINTS, Sandbox
from tests.properties.profiles import examples

IDS = ("a", "b", "c")
READS = 3  # events that an instance answers in one execution, before it begins the next


class Send(msgspec.Struct, frozen=True, tag_field="do", tag="send"):
    """So many events to this instance, which may be the sender itself."""

    to: str
    number: int


class Launch(msgspec.Struct, frozen=True, tag_field="do", tag="launch"):
    """Start an instance, which may be there, and write to it."""

    id: str


class Pause(msgspec.Struct, frozen=True, tag_field="do", tag="pause"):
    how: Literal["timer", "activity", "event"]


Line = Send | Launch | Pause

app = Adjourn()


@app.activity
def work() -> None: ...


@app.orchestrator
async def answers(ctx: Context, lines: list[Line]) -> None:
    """Goes through its lines once for every event, for ever."""
    for _ in range(READS):
        await ctx.wait_for_external_event("Go")
        for line in lines:
            match line:
                case Send(to=to, number=number):
                    for n in range(number):
                        ctx.raise_event(to, "Sent", n)
                case Launch(id=id):
                    ctx.start(answers, [], id=id)
                    ctx.raise_event(id, "Sent")
                case Pause(how="timer"):
                    await ctx.create_timer(timedelta(minutes=1))
                case Pause(how="activity"):
                    await ctx.call_activity(work)
                case Pause():
                    await ctx.wait_for_external_event("Sent")
    ctx.continue_as_new(lines)


class Outside:
    """Clients and crashes."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        self.sent = 0

    def go(self, id: str) -> None:
        self.sent += 1
        event_id = f"go-{self.sent}"
        self._surely(lambda: self.box.raise_event(id, "Go", event_id=event_id))

    def crash(self, point: Any, nth: int) -> None:
        self.box.crash_at(point, nth)

    def wait(self, minutes: int) -> None:
        self.box.advance(minutes=minutes)

    def suspend(self, id: str) -> None:
        status = self.box.get(id).status
        act = self.box.resume if status == "Suspended" else self.box.suspend
        try:
            act(id)
        except AdjournError:
            pass  # a crash cut it off: it may have happened or not

    def _surely(self, call: Callable[[], object]) -> None:
        try:
            call()
        except AdjournError:
            call()


lines = st.lists(
    st.one_of(
        st.builds(Send, st.sampled_from([*IDS, "nobody"]), st.integers(0, 6)),
        st.builds(Launch, st.sampled_from([*IDS, "d", "e"])),
        st.builds(Pause, st.sampled_from(["timer", "activity", "event"])),
    ),
    max_size=4,
)
acts = st.lists(
    st.one_of(
        st.tuples(st.just("go"), st.sampled_from(IDS)),
        st.tuples(st.just("crash"), st.sampled_from(CRASH_POINTS), st.integers(1, 5)),
        st.tuples(st.just("wait"), st.integers(1, 2)),
        st.tuples(st.just("suspend"), st.sampled_from(IDS)),
    ),
    min_size=4,
    max_size=24,
)
limits = st.sampled_from([0, 1, 3, 2_000])


def check(box: Sandbox) -> None:
    """Compares all that was sent with all that was received, by the events' ids."""
    sent: dict[str, list[str]] = defaultdict(list)
    received: dict[str, list[str]] = defaultdict(list)
    there = [state.id for state in box.list().instances]
    for id in there:
        for execution in range(1, box.get(id).execution + 1):
            for entry in box.history(id, execution=execution):
                match entry.event:
                    case events.EventSent(instance_id=to, sequence=sequence) if to in there:
                        sent[f"{id} to {to}"].append(f"{id}/{execution}/{sequence}")
                    case events.ExternalEventReceived(name="Sent", event_id=name, carried=False):
                        received[f"{name.partition('/')[0]} to {id}"].append(name)
                    case _:
                        pass
    assert dict(received) == {pair: names for pair, names in sent.items() if names}


def play(programs: list[list[Line]], plan: list[Any], limit: int) -> None:
    with (
        mock.patch.object(engine, "EVENT_LIMIT", limit),  # so that much is put off
        mock.patch.object(engine, "TIMER_LIMIT", 4),
        Sandbox(app, cache_size=2) as box,
    ):
        outside = Outside(box)
        for id, program in zip(IDS, programs, strict=True):
            box.start(answers, program, id=id)
        for name, *arguments in plan:
            getattr(outside, name)(*arguments)
        box._armed = None  # pyright: ignore[reportPrivateUsage]  # no crash any more
        box.advance(hours=1)
        check(box)


@examples(100)
@given(st.tuples(lines, lines, lines).map(list), acts, limits)
def test_what_one_sends_the_other_receives_once_and_in_order(
    programs: list[list[Line]], plan: list[Any], limit: int
) -> None:
    play(programs, plan, limit)


@pytest.mark.slow
@pytest.mark.timeout(900)
@examples(3_000)
@given(st.tuples(lines, lines, lines).map(list), acts, limits)
def test_what_one_sends_the_other_receives_once_at_length(
    programs: list[list[Line]], plan: list[Any], limit: int
) -> None:
    play(programs, plan, limit)

"""Events from one instance to another, and instances that start others: once, and for nobody's
waiting."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from adjourn import Adjourn, AdjournError, Context
from adjourn.authoring.approval import request_of
from adjourn.engine import engine as engine_module
from adjourn.engine import handlers
from adjourn.model import events
from adjourn.model.approval import APPROVAL
from adjourn.testing import CRASH_POINTS, Sandbox
from adjourn.testing.clock import START
from adjourn.testing.sandbox import SandboxHandle
from tests.histories import encoded

app = Adjourn()


@app.orchestrator
async def listen(ctx: Context, number: int) -> list[Any]:
    """So many notes, one after the other."""
    return [await ctx.wait_for_external_event("Note", int) for _ in range(number)]


@app.orchestrator
async def tell(ctx: Context, what: list[tuple[str, Any]]) -> str:
    for receiver, value in what:
        ctx.raise_event(receiver, "Note", value)
    return "told"


@app.orchestrator
async def tell_when_asked(ctx: Context, receiver: str) -> None:
    while True:
        value = await ctx.wait_for_external_event("Tell", int)
        ctx.raise_event(receiver, "Note", value)


@app.orchestrator
async def tell_in_two_turns(ctx: Context, receiver: str) -> None:
    """The second turn comes while most of what the first has sent is still on its way."""
    ctx.raise_event(receiver, "Note", 0)
    ctx.raise_event(ctx.instance_id, "Go")
    for number in range(1, 20):
        ctx.raise_event(receiver, "Note", number)
    await ctx.wait_for_external_event("Go")
    ctx.raise_event(receiver, "Note", 20)


@app.orchestrator
async def tell_and_go_on(ctx: Context, round: int) -> int:
    """Sends itself a note in each execution, and reads those of the one before."""
    if round == 3:
        return await ctx.wait_for_external_event("Note", int)
    ctx.raise_event(ctx.instance_id, "Note", round)
    if round:
        assert await ctx.wait_for_external_event("Note", int) == round - 1
    ctx.continue_as_new(round + 1)


@app.orchestrator
async def launch(ctx: Context, id: str) -> str:
    ctx.start(listen, 2, id=id)
    ctx.raise_event(id, "Note", 1)
    await ctx.wait_for_external_event("End")
    return "over"


@app.orchestrator
def launch_df(context: Context) -> Generator[Any, Any, str]:
    context.start("listen", 1, id="l")
    context.raise_event("l", "Note", 7)
    yield context.wait_for_external_event("End")
    return "over"


@app.orchestrator
async def answer(ctx: Context, rounds: int) -> int:
    """Passes each note on to the other of two, one larger."""
    other = {"ping": "pong", "pong": "ping"}[ctx.instance_id]
    for _ in range(rounds):
        value = await ctx.wait_for_external_event("Note", int)
        ctx.raise_event(other, "Note", value + 1)
    return rounds


def received(box: Sandbox, id: str, execution: int | None = None) -> list[Any]:
    return [
        encoded(entry.event.data)
        for entry in box.history(id, execution=execution)
        if isinstance(entry.event, events.ExternalEventReceived)
    ]


def surely(call: Callable[[], object]) -> None:
    """As a client does when a crash has cut the answer off: the same again, with the same id."""
    try:
        call()
    except AdjournError:
        call()


def tell_once(box: Sandbox, number: int) -> None:
    surely(lambda: box.raise_event("s", "Tell", number, event_id=f"tell-{number}"))


# Events.


def test_an_event_is_sent_in_the_history_of_one_and_received_in_that_of_the_other() -> None:
    with Sandbox(app) as box:
        listener = box.start(listen, 1, id="l")
        sender = box.start(tell, [("l", 42)], id="s")

        assert sender.result == "told" and listener.result == [42]
        assert sender.kinds == ["InstanceStarted", "EventSent", "InstanceCompleted"]
        (_, row, _) = box.history("l")
        assert isinstance(row.event, events.ExternalEventReceived)
        assert row.event.event_id == "s/1/1"


def test_a_sender_may_not_know_its_receivers_state() -> None:
    """Pending, suspended, before its wait: all keep it, as they keep one from outside."""
    with Sandbox(app) as box:
        box.start(listen, 1, id="later", start_at=START + timedelta(days=1))
        box.start(listen, 1, id="stopped")
        box.suspend("stopped")
        box.start(tell, [("later", 1), ("stopped", 2)], id="s")
        box.advance(days=1)
        box.resume("stopped")

        assert (box.result("later"), box.result("stopped")) == ([1], [2])


def test_a_quarantined_receiver_keeps_it_until_its_code_fits() -> None:
    with Sandbox(app) as box:
        box.start(listen, 2, id="l")
        box.raise_event("l", "Note", 1)
        del app.orchestrators["listen"]
        box.crash()
        box._here(lambda: box._engine.memory.trim(0))  # pyright: ignore[reportPrivateUsage]  # so that its code is looked for
        try:
            box.start(tell, [("l", 2)], id="s")
            assert box.get("l").status == "Quarantined"
        finally:
            app.orchestrators["listen"] = listen
        box.crash()

        assert box.result("l") == [1, 2]


@pytest.mark.parametrize("what", ["unknown", "finished", "full"])
def test_an_event_that_nobody_can_take_is_dropped_and_logged(
    what: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "EVENT_BUFFER_LIMIT", 1)
    with Sandbox(app) as box:
        box.start(listen, 0, id="finished")
        box.start(tell_when_asked, "unknown", id="full")
        box.raise_event("full", "Note", 1)
        with caplog.at_level(logging.WARNING, "adjourn.engine"):
            sender = box.start(tell, [(what, 5)], id="s")

        assert sender.result == "told"
        (line,) = caplog.messages
        assert line.startswith(f"The event 'Note' that s sent to {what} was dropped: ")


def test_an_event_that_does_not_fit_is_set_aside_by_its_receiver() -> None:
    with Sandbox(app) as box:
        listener = box.start(listen, 1, id="l")
        box.start(tell, [("l", "no number"), ("l", 3)], id="s")

        assert listener.result == [3]
        assert "ExternalEventSetAside" in listener.kinds


def test_an_instance_may_write_to_itself_and_to_its_next_execution() -> None:
    with Sandbox(app) as box:
        run = box.start(tell_and_go_on, 0, id="me")

        assert run.result == 2
        assert [received(box, "me", number) for number in (1, 2, 3, 4)] == [[], [0], [1], [2]]


def test_what_was_sent_before_continue_as_new_or_the_end_arrives() -> None:
    with Sandbox(app) as box:
        listener = box.start(listen, 2, id="l")
        box.start(tell_when_asked, "l", id="s")
        box.raise_event("s", "Tell", 1)
        box.terminate("s")
        box.start(tell, [("l", 2)], id="t")

        assert listener.result == [1, 2]


def test_events_keep_their_order_also_when_a_step_has_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "EVENT_LIMIT", 7)
    monkeypatch.setattr(engine_module, "TIMER_LIMIT", 5)
    with Sandbox(app) as box:
        listener = box.start(listen, 100, id="l")
        box.start(tell, [("l", n) for n in range(100)], id="s")

        assert listener.result == list(range(100))


def test_a_later_event_does_not_overtake_those_that_were_put_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "EVENT_LIMIT", 1)
    monkeypatch.setattr(engine_module, "TIMER_LIMIT", 5)
    with Sandbox(app) as box:
        listener = box.start(listen, 21, id="l")
        box.start(tell_in_two_turns, "l", id="s")

        assert listener.result == list(range(21))


def test_two_that_answer_each_other_do_not_stop_the_others() -> None:
    """More rounds than one step does: a third is served in between."""
    rounds = engine_module.EVENT_LIMIT
    steps: list[int] = []
    with Sandbox(app) as box:
        box._engine.reached = lambda point: steps.append(1) if point == "taken" else None  # pyright: ignore[reportPrivateUsage]  # counts steps
        box.start(answer, rounds, id="ping")
        box.start(answer, rounds, id="pong")
        steps.clear()
        box.raise_event("ping", "Note", 0)

        assert (box.result("ping"), box.result("pong")) == (rounds, rounds)
        assert len(steps) > 1


@pytest.mark.parametrize("point", CRASH_POINTS)
@pytest.mark.parametrize("nth", [1, 2, 3, 4])
@pytest.mark.parametrize("limit", [0, 2, 100])
def test_a_crash_neither_loses_an_event_nor_repeats_it(
    point: Any, nth: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a limit of 0 every event is put off, so that each delivery is a commit of its own."""
    monkeypatch.setattr(engine_module, "EVENT_LIMIT", limit)
    with Sandbox(app) as box:
        box.start(listen, 4, id="l")
        box.start(tell_when_asked, "l", id="s")
        box.crash_at(point, nth)
        for number in range(4):
            tell_once(box, number)

        assert box.result("l") == [0, 1, 2, 3]
        assert received(box, "l") == [0, 1, 2, 3]


# Starts.


def test_a_started_instance_has_no_parent_and_outlives_its_starter() -> None:
    with Sandbox(app) as box:
        box.start(launch, "l", id="s")
        box.terminate("s")
        box.raise_event("l", "Note", 2)

        assert box.result("l") == [1, 2]
        assert box.get("l").parent_id is None


def test_an_id_that_is_taken_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    with Sandbox(app) as box:
        box.start(tell_when_asked, "l", id="other")
        box.start(listen, 2, id="same")
        with caplog.at_level(logging.WARNING, "adjourn.engine"):
            box.start(launch, "other", id="s")
            box.start(launch, "same", id="t")  # as a client's start that is repeated
            box.start(launch, "u", id="u")

        assert [id for id in ("other", "u") if f"as {id}, but" in caplog.text] == ["other", "u"]
        assert "as same" not in caplog.text
        assert [box.get(id).name for id in ("other", "same", "u")] == [
            "tell_when_asked", "listen", "launch",
        ]  # fmt: skip
        assert received(box, "other") == received(box, "same") == [1]


def test_a_client_that_starts_the_same_gets_what_is_there() -> None:
    with Sandbox(app) as box:
        box.start(launch, "l", id="s")
        box.raise_event("l", "Note", 2)

        assert box.start(listen, 2, id="l").result == [1, 2]


@pytest.mark.parametrize("point", CRASH_POINTS)
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_crash_neither_loses_a_start_nor_repeats_it(point: Any, nth: int) -> None:
    with Sandbox(app) as box:
        box.crash_at(point, nth)
        surely(lambda: box.start(launch, "l", id="s"))
        surely(lambda: box.raise_event("l", "Note", 2, event_id="n-2"))

        assert box.result("l") == [1, 2]
        assert box.get("l").execution == 1


def test_a_generator_sends_and_starts_without_yielding() -> None:
    with Sandbox(app) as box:
        run = box.start(launch_df, id="s")
        box.raise_event("s", "End")

        assert run.result == "over" and box.result("l") == [7]


# At the call.


@dataclass
class Refund:
    amount: int


ASKED = request_of(Refund(5), {"title": "Refund 5", "to": "lena", "expires": "1d"})
REFUSED: dict[str, tuple[Any, str]] = {
    "a receiver's id": (lambda ctx: ctx.raise_event("a/b", "Note"), "InvalidIdError"),
    "no receiver": (lambda ctx: ctx.raise_event("", "Note"), "InvalidIdError"),
    "no name": (lambda ctx: ctx.raise_event("a", ""), "InvalidIdError"),
    "a long name": (lambda ctx: ctx.raise_event("a", "x" * 201), "InvalidIdError"),
    "no JSON": (lambda ctx: ctx.raise_event("a", "Note", object()), "SerializationError"),
    "NaN": (lambda ctx: ctx.raise_event("a", "Note", float("nan")), "SerializationError"),
    "too much": (lambda ctx: ctx.raise_event("a", "Note", "x" * 300_000), "PayloadTooLargeError"),
    "an unknown name": (lambda ctx: ctx.start("nobody", id="a"), "UnknownOrchestratorError"),
    "an approval": (lambda ctx: ctx.start(APPROVAL, ASKED, id="a"), "UnknownOrchestratorError"),
    "an id": (lambda ctx: ctx.start(listen, 1, id="a b"), "InvalidIdError"),
    "an input": (lambda ctx: ctx.start(listen, "no number", id="a"), "InvalidPayloadError"),
    "no orchestrator": (lambda ctx: ctx.start(object(), id="a"), "DeterminismError"),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_cannot_be_sent_is_refused_at_the_call(wrong: str) -> None:
    call, error = REFUSED[wrong]
    made = Adjourn()
    made.orchestrators["listen"] = listen

    @made.orchestrator
    async def careless(ctx: Context) -> list[str]:
        try:
            call(ctx)
        except Exception as refused:
            return [type(refused).__name__]
        return []

    with Sandbox(made) as box:
        run: SandboxHandle[list[str]] = box.start(careless, id="s")
        assert run.result == [error]
        assert run.kinds == ["InstanceStarted", "InstanceCompleted"]


def test_the_longest_id_can_send() -> None:
    with Sandbox(app) as box:
        box.start(listen, 1, id="l")
        box.start(tell, [("l", 1)], id="s" * 200)

        assert box.result("l") == [1]

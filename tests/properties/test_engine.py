"""The engine against a plain model of it, under crashes at every point of a commit."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from adjourn import (
    Adjourn,
    AdjournError,
    Context,
    InstanceExistsError,
    InstanceFinishedError,
    InstanceNotFoundError,
    InvalidPayloadError,
    RetryPolicy,
    SubOrchestrationFailedError,
    TaskFailedError,
    UpdateRefusedError,
    UpdateRequest,
    WrongStateError,
    current_activity,
)
from adjourn.model import events
from adjourn.testing import CRASH_POINTS, Sandbox
from tests.histories import encoded
from tests.properties.engine_model import ATTEMPTS, FAILED_EFFECT, LATE, RETRY, ROUND, Life
from tests.properties.profiles import examples

pytestmark = pytest.mark.slow

IDS = ("a", "b", "p")
"""Instances; "p" only looks after a child."""
POLICIES = ("error", "return_existing", "replace_finished", "terminate_and_replace")

app = Adjourn()


class Provider:
    """The world outside: which effects were asked for, and whether it works just now."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.works = True


provider = Provider()


@app.activity(
    retry=RetryPolicy(
        max_number_of_attempts=ATTEMPTS, first_retry_interval=RETRY, backoff_coefficient=1
    )
)
def effect(total: int) -> None:
    provider.calls[current_activity().idempotency_key] += 1
    if not provider.works:
        raise ValueError("the provider is down")


@app.orchestrator
async def rounds(ctx: Context, left: int) -> int:
    total = 0
    event = ctx.wait_for_external_event("E", int)
    update = ctx.wait_for_update("U", int)
    while left:
        timer = ctx.create_timer(ROUND)
        winner: Any = await ctx.when_any(event, update, timer)
        if winner is event:
            total += event.result()
            try:
                await ctx.call_activity(effect, total)
            except TaskFailedError:
                total += FAILED_EFFECT
            event = ctx.wait_for_external_event("E", int)
        elif winner is update:
            total = answer(update.result(), total)
            update = ctx.wait_for_update("U", int)
        else:
            total += LATE
        left -= 1
        ctx.set_custom_status(total)
    return total


def answer(request: UpdateRequest[int], total: int) -> int:
    if request.value < 0:
        request.refuse("negative")
        return total
    request.accept(total + request.value)
    return total + request.value


@app.orchestrator
async def guardian(ctx: Context, left: int) -> int:
    try:
        return await ctx.call_sub_orchestration(rounds, left)
    except SubOrchestrationFailedError:
        return -1


class Unknown(Exception):
    """Nobody answered: the call was cut off by a crash, or the answer is still to come."""


class EngineMachine(RuleBasedStateMachine):
    """Each rule does the same to the engine and to the model, and compares the answers."""

    on_disk = False

    def __init__(self) -> None:
        super().__init__()
        provider.__init__()
        self.lives: dict[str, Life] = {}
        self.failed_calls: Counter[str] = Counter()
        self.folder = tempfile.mkdtemp(prefix="adjourn-") if self.on_disk else ""

    @initialize(cache=st.sampled_from([1, 1_000]))
    def open(self, cache: int) -> None:
        where = str(Path(self.folder) / "engine.db") if self.on_disk else ":memory:"
        self.box = Sandbox(app, where, run_activities=False, cache_size=cache)
        self.box.__enter__()

    def teardown(self) -> None:
        if hasattr(self, "box"):
            self.box.__exit__()
        if self.folder:
            shutil.rmtree(self.folder)

    @property
    def now(self) -> Any:
        return self.box.clock.now()

    def ask(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        """The answer or the error. Raises: Unknown."""
        try:
            return call(*args, **kwargs)
        except AdjournError as error:
            if str(error).startswith("Nobody"):
                raise Unknown from None
            return error

    # Starts.

    @rule(id=st.sampled_from(IDS), left=st.integers(1, 3), on_conflict=st.sampled_from(POLICIES))
    def start(self, id: str, left: int, on_conflict: Any) -> None:
        name = "guardian" if id == "p" else "rounds"
        before = self.lives.get(id)
        expected = self._start_answer(before, (name, left), on_conflict)
        try:
            given = self.ask(self.box.start, name, left, id=id, on_conflict=on_conflict)
        except Unknown:
            given = None
            if not self._started(id, before):
                return
        if expected is InstanceExistsError:
            assert isinstance(given, InstanceExistsError)
        elif expected:
            self._begin(id, name, left, before)

    @staticmethod
    def _start_answer(before: Life | None, start: tuple[str, int], on_conflict: str) -> Any:
        if before is None or on_conflict == "terminate_and_replace":
            return True
        if on_conflict == "return_existing":
            return False
        if on_conflict == "replace_finished":
            return True if before.finished else InstanceExistsError
        return False if before.start == start else InstanceExistsError

    def _started(self, id: str, before: Life | None) -> bool:
        """After an unknown outcome: is it there?"""
        try:
            execution = self.box.get(id).execution
        except InstanceNotFoundError:
            return False
        return before is None or execution > before.execution

    def _begin(self, id: str, name: str, left: int, before: Life | None) -> None:
        if before is not None:
            before.terminated(self.now)
        execution = 1 if before is None else before.execution + 1
        life = self.lives[id] = Life(id, (name, left), left, execution)
        if name == "guardian":
            child_id = f"{id}:{execution}:1"
            child = self.lives[child_id] = Life(child_id, ("rounds", left), left, parent=life)
            life.child = child
            child.begin(self.now)
        life.begin(self.now)

    # Messages.

    @rule(data=st.data(), number=st.integers(0, 5), value=st.integers(1, 9) | st.just("text"))
    def raise_event(self, data: st.DataObject, number: int, value: Any) -> None:
        life, id = self._some(data), f"e{number}"
        target = "missing" if life is None else life.id
        try:
            given = self.ask(self.box.raise_event, target, "e", value, event_id=id)
        except Unknown:  # a repeat settles it
            given = self.ask(self.box.raise_event, target, "E", value, event_id=id)
            if given == "duplicate" and life is not None and id not in life.event_ids:
                given = "accepted"
        if life is None:
            assert isinstance(given, InstanceNotFoundError)
        elif id in life.event_ids:
            assert given == "duplicate"
        elif life.finished:
            assert isinstance(given, InstanceFinishedError)
        elif value == "text" and life.deadline is not None and not life.suspended:
            assert isinstance(given, InvalidPayloadError)
        else:
            assert given == "accepted"
            life.event_ids.add(id)
            life.arrives(self.now, "event", value)

    @rule(data=st.data(), number=st.integers(0, 3), value=st.integers(-2, 9))
    def update(self, data: st.DataObject, number: int, value: int) -> None:
        life, id = self._some(data), f"u{number}"
        target = "missing" if life is None else life.id
        given = self._answer_to(target, value, id)
        if life is None:
            assert isinstance(given, InstanceNotFoundError)
            return
        if id not in life.answers:
            if life.finished:
                assert isinstance(given, InstanceFinishedError)
                return
            if life.suspended:
                assert isinstance(given, WrongStateError)
                return
            life.answers[id] = None
            life.arrives(self.now, "update", id, value)
        self._compare_answer(life, id, given)

    def _answer_to(self, target: str, value: int, id: str) -> Any:
        crashes = self.box.crashes
        try:
            return self.ask(self.box.update, target, "U", value, update_id=id)
        except Unknown:
            if self.box.crashes == crashes:
                return None
        try:  # cut off: a repeat settles it
            return self.ask(self.box.update, target, "U", value, update_id=id)
        except Unknown:
            return None

    def _compare_answer(self, life: Life, id: str, given: Any) -> None:
        match life.answers[id]:
            case None:
                assert given is None
            case "accepted", total:
                assert given == total
            case "refused", reason:
                assert isinstance(given, UpdateRefusedError) and given.reason == reason
            case _:
                assert isinstance(given, InstanceFinishedError)

    def _some(self, data: st.DataObject) -> Life | None:
        known = sorted(self.lives)
        id = data.draw(st.sampled_from([*known, *known, *known, "missing"]))
        life = self.lives.get(id)
        return life if life is None or life.child is None else life.child

    # Control.

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), action=st.sampled_from(["suspend", "resume", "resume", "terminate"]))
    def control(self, data: st.DataObject, action: str) -> None:
        life = self.lives[data.draw(st.sampled_from(sorted(self.lives)))]
        expected = self._control_answer(life, action)
        try:
            given = self.ask(getattr(self.box, action), life.id)
        except Unknown:
            if self.box.get(life.id).status == life.shown_status:
                return  # it did not happen
            given = None
        if expected is not None:
            assert isinstance(given, expected)
        elif action == "terminate":
            life.terminated(self.now)
        elif action == "suspend":
            life.suspended = True
        else:
            life.resumes(self.now)

    @staticmethod
    def _control_answer(life: Life, action: str) -> type[Exception] | None:
        if life.finished:
            return InstanceFinishedError
        if (action == "suspend") == life.suspended and action != "terminate":
            return WrongStateError
        return None

    # Activities, time, crashes.

    @precondition(lambda self: self.box.waiting_activities)
    @rule(works=st.sampled_from([True, True, False]))
    def run_activity(self, works: bool) -> None:
        call = self.box.waiting_activities[0]
        life = self.lives[call.instance_id]
        assert life.effect_waits
        provider.works = works
        crashes = self.box.crashes
        rows = self._rows(life)
        self.box.run_next_activity()
        if self.box.crashes > crashes and self._rows(life) == rows:
            return  # the outcome was lost, and the attempt is repeated
        if not works:
            self.failed_calls[f"{call.instance_id}/{call.execution}/{call.sequence}"] += 1
        life.effect_ends(works, self.now)

    def _rows(self, life: Life) -> int:
        """Rows about the outcomes of its activities."""
        return sum(
            isinstance(
                entry.event,
                events.ActivityCompleted | events.ActivityFailed | events.ActivityRetryScheduled,
            )
            for entry in self.box.history(life.id)
        )

    @rule(minutes=st.sampled_from([1, 7, 30, 61, 200]))
    def advance(self, minutes: int) -> None:
        self.box.advance(minutes=minutes)
        for life in list(self.lives.values()):
            life.time_passes(self.now)

    @rule()
    def crash(self) -> None:
        self.box.crash()  # an armed crash point may be reached again while it recovers

    @rule(point=st.sampled_from(CRASH_POINTS), nth=st.integers(1, 2))
    def crash_later(self, point: Any, nth: int) -> None:
        self.box.crash_at(point, nth)

    # What must always hold.

    @invariant()
    def everything_is_as_in_the_model(self) -> None:
        for life in self.lives.values():
            state = self.box.get(life.id)
            assert (state.status, state.execution) == (life.shown_status, life.execution)
            if life.status == "Completed":
                assert encoded(state.output) == life.result
            if life.child is None and not life.finished and not life.suspended:
                assert state.running == life.busy
                names = {name.casefold() for name in state.waiting_for}
                assert ("e" in names) == (life.deadline is not None)

    @invariant()
    def what_was_acknowledged_is_in_history_once(self) -> None:
        for life in self.lives.values():
            for execution in range(1, life.execution + 1):
                entries = self.box.history(life.id, execution=execution)  # checks the hash chain
                assert len(entries) > 0
            received = Counter(
                entry.event.event_id
                for entry in self.box.history(life.id)
                if isinstance(entry.event, events.ExternalEventReceived)
            )
            assert received == Counter(life.event_ids)
            answers = Counter(
                entry.event.update_id
                for entry in self.box.history(life.id)
                if isinstance(entry.event, events.UpdateAccepted | events.UpdateRefused)
            )
            assert max(answers.values(), default=1) == 1

    @invariant()
    def effects_are_repeated_only_for_failures_and_crashes(self) -> None:
        extra = sum(provider.calls.values()) - len(provider.calls) - self.failed_calls.total()
        assert extra <= self.box.crashes


class EngineOnDisk(EngineMachine):
    on_disk = True


def steps(number: int) -> settings:
    return settings(examples(number), stateful_step_count=30)


def test_the_engine_does_what_the_model_does() -> None:
    run_state_machine_as_test(cast("Any", EngineMachine), settings=steps(60))


def test_the_engine_on_a_real_file_does_what_the_model_does() -> None:
    run_state_machine_as_test(cast("Any", EngineOnDisk), settings=steps(20))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_engine_does_what_the_model_does_at_length() -> None:
    run_state_machine_as_test(cast("Any", EngineOnDisk), settings=steps(600))


def test_the_model_waits_an_hour_a_round() -> None:
    with Sandbox(app) as box:
        box.start(rounds, 2, id="a")
        box.advance(timedelta(hours=2))
        assert box.result("a") == 2 * LATE

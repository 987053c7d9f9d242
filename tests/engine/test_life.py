"""Starting, suspending, terminating, children, finding: the life of an instance."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from adjourn import (
    Adjourn,
    AdjournError,
    Client,
    Context,
    InstanceExistsError,
    InstanceFinishedError,
    InstanceTerminatedError,
    SubOrchestrationFailedError,
    Task,
    WrongStateError,
)
from adjourn.errors import InvalidIdError, InvalidPayloadError, UnknownOrchestratorError
from adjourn.store.protocol import Query
from adjourn.testing import Sandbox

app = Adjourn()


@app.orchestrator
async def wait_for_end(ctx: Context, name: str) -> str:
    ctx.set_attributes(kind="wait", name=name)
    ctx.set_custom_status({"waiting": True})
    await ctx.wait_for_external_event("End")
    return name


@app.orchestrator
async def parent(ctx: Context, names: list[str]) -> list[str]:
    children = [
        ctx.call_sub_orchestration(wait_for_end, name, id=f"child-{name}") for name in names
    ]
    return await ctx.when_all(children)


@app.orchestrator
async def careful_parent(ctx: Context) -> str:
    try:
        return await ctx.call_sub_orchestration(wait_for_end, "x", id="taken")
    except SubOrchestrationFailedError as error:
        return error.failure.type


@app.orchestrator
async def deep(ctx: Context, levels: int) -> int:
    if levels:
        return 1 + await ctx.call_sub_orchestration(deep, levels - 1)
    await ctx.create_timer(timedelta(hours=1))
    return 0


def test_the_same_start_again_is_the_same_instance():
    with Sandbox(app) as box:
        box.start(wait_for_end, "a", id="i")
        box.start(wait_for_end, "a", id="i")

        assert len(box.history("i")) == 1
        with pytest.raises(InstanceExistsError, match="another input"):
            box.start(wait_for_end, "b", id="i")
        box.start(wait_for_end, "b", id="i", on_conflict="return_existing")
        assert box.get("i").execution == 1


def test_a_finished_id_can_be_used_again_and_keeps_its_earlier_history():
    with Sandbox(app) as box:
        run = box.start(wait_for_end, "a", id="i")
        with pytest.raises(InstanceExistsError, match="has not finished"):
            box.start(wait_for_end, "b", id="i", on_conflict="replace_finished")
        box.raise_event("i", "End", event_id="e")

        box.start(wait_for_end, "b", id="i", on_conflict="replace_finished")

        assert run.status == "Running"
        assert type(box.history("i", execution=1)[-1].event).__name__ == "InstanceCompleted"
        assert box.raise_event("i", "End", event_id="e") == "accepted"
        assert run.result == "b"


def test_terminate_and_replace_ends_the_old_life_and_begins_a_new_one():
    with Sandbox(app) as box:
        run = box.start(wait_for_end, "a", id="i")
        box.start(wait_for_end, "b", id="i", on_conflict="terminate_and_replace")
        box.crash()

        assert type(box.history("i", execution=1)[-1].event).__name__ == "InstanceTerminated"
        box.raise_event("i", "End")
        assert run.result == "b"


def test_a_scheduled_start_waits_for_its_moment_across_a_crash():
    with Sandbox(app) as box:
        at = box.clock.now() + timedelta(days=2)
        run = box.start(wait_for_end, "a", id="later", start_at=at)
        box.raise_event("later", "End")
        box.crash()
        box.advance(days=1)
        assert run.status == "Pending"

        box.advance(days=1)

        assert run.result == "a"


def test_terminating_a_parent_terminates_its_children():
    with Sandbox(app) as box:
        run = box.start(parent, ["a", "b"], id="p")
        box.terminate("p", "no longer needed")

        assert [box.get(id).status for id in ("p", "child-a", "child-b")] == ["Terminated"] * 3
        with pytest.raises(InstanceTerminatedError, match="no longer needed"):
            _ = run.result
        with pytest.raises(InstanceFinishedError):
            box.terminate("p")


def test_children_report_in_any_order_and_results_keep_the_order_of_the_calls():
    with Sandbox(app) as box:
        run = box.start(parent, ["a", "b", "c"], id="p")
        for name in ("c", "a"):
            box.raise_event(f"child-{name}", "End")
        box.crash()
        box.raise_event("child-b", "End")

        assert run.result == ["a", "b", "c"]


def test_a_child_id_that_is_taken_fails_the_call_and_nothing_else():
    with Sandbox(app) as box:
        box.start(wait_for_end, "other", id="taken")
        run = box.start(careful_parent, id="p")

        assert run.result == "adjourn.errors.InstanceExistsError"
        assert box.get("taken").status == "Running"


def test_children_of_children_come_back_level_by_level():
    with Sandbox(app) as box:
        run = box.start(deep, 5, id="root")
        box.crash()
        box.advance(hours=1)

        assert run.result == 5
        assert box.get("root:1:1:1:1").parent_id == "root:1:1"


def test_suspending_twice_and_resuming_what_runs_are_refused():
    with Sandbox(app) as box:
        box.start(wait_for_end, "a", id="i")
        with pytest.raises(WrongStateError, match="resumed"):
            box.resume("i")
        box.suspend("i")
        with pytest.raises(WrongStateError, match="suspended"):
            box.suspend("i")


def test_bad_input_is_refused_at_the_door_and_starts_nothing():
    with Sandbox(app) as box:
        with pytest.raises(UnknownOrchestratorError, match="registered: cancels"):
            box.start("no_such", None, id="i")
        with pytest.raises(InvalidPayloadError, match="str"):
            box.start("wait_for_end", 7, id="i")
        with pytest.raises(InvalidIdError, match="an instance id"):
            box.start(wait_for_end, "a", id="a/b")

        assert box.list().instances == []


def test_instances_are_found_by_attribute_status_name_and_page():
    with Sandbox(app) as box:
        for name in "abcde":
            box.start(wait_for_end, name, id=f"i-{name}")
        box.raise_event("i-a", "End")

        found = box.list(Query(where=[("name", "c")])).instances
        waiting = box.list(Query(waiting_for="end", limit=3))
        rest = box.list(Query(waiting_for="end", limit=3, after_key=int(waiting.next_token or 0)))

        assert [state.id for state in found] == ["i-c"]
        assert found[0].attributes == {"kind": "wait", "name": "c"}
        assert [state.id for state in waiting.instances] == ["i-b", "i-c", "i-d"]
        assert [state.id for state in rest.instances] == ["i-e"]
        assert rest.next_token is None


@pytest.mark.parametrize(
    "look",
    [
        lambda client: client.list(page_token="9" * 30),
        lambda client: client.list(where={"k": 2**70}),
        lambda client: client.list(where={"k": "\ud800"}),
        lambda client: client.list(id_prefix="\ud800"),
        lambda client: client.list(statuses=["odd"]),
        lambda client: client.history("a", execution=2**70),
        lambda client: client.start("\ud800", 1),
        lambda client: client.terminate("a", "\ud800"),
        lambda client: client.start("wait_for_end", "a", id="b", tags={"k": "\ud800"}),
    ],
    ids=range(9),
)
def test_odd_arguments_are_refused_and_the_engine_lives_on(
    look: Callable[[Client], Awaitable[object]],
):
    async def main() -> None:
        async with app.open(":memory:") as client:
            await client.start(wait_for_end, "a", id="a")
            with pytest.raises(AdjournError):
                await look(client)
            assert (await client.get("a")).status == "Running"

    asyncio.run(main())


@app.orchestrator
async def cancels_what_it_never_had(ctx: Context) -> str:
    """The id of its child is taken; a sibling fails before that is known."""

    async def fail() -> None:
        raise ValueError("at once")

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_wait_for(ctx.call_sub_orchestration(wait_for_end, "x", id="taken")))
            group.create_task(fail())
    except ExceptionGroup:
        await ctx.wait_for_external_event("End")
    return "ended"


async def _wait_for(task: Task[str]) -> str:
    return await task


def test_an_instance_that_merely_has_the_id_of_a_cancelled_child_is_not_touched():
    with Sandbox(app) as box:
        box.start(wait_for_end, "stranger", id="taken")
        box.start(cancels_what_it_never_had, id="p")
        box.terminate("p")

        assert box.get("taken").status == "Running"


def test_a_new_life_has_its_own_birth_parent_tags_and_attributes(tmp_path: Path):
    with Sandbox(app, str(tmp_path / "x.db")) as box:
        box.start(parent, ["a"], id="p")
        box.raise_event("child-a", "End")
        box.advance(days=1)
        box.start(wait_for_end, "b", id="child-a", on_conflict="replace_finished")
        box.crash()

        state = box.get("child-a")
        assert (state.parent_id, state.attributes) == (None, {"kind": "wait", "name": "b"})
        assert state.created_at == box.clock.now()
        box.raise_event("child-a", "End")
        assert [type(e.event).__name__ for e in box.history("p")][-1] == "InstanceCompleted"

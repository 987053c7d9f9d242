"""The same calls on the embedded engine and over a real server: same answers, same errors."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adjourn import Actor, Adjourn, Client, errors
from adjourn.errors import RemoteError
from tests.server.serving import Serving

Opened = Callable[[], Any]


@pytest.fixture(params=["embedded", "http"])
def opened(request: pytest.FixtureRequest, serving: Serving, tmp_path: Path) -> Opened:
    """Opens a client of the same functions, here or over there."""
    where = tmp_path / "here.db" if request.param == "embedded" else serving.address

    @asynccontextmanager
    async def open_client() -> AsyncIterator[Client]:
        async with serving.app.open(where) as client:
            yield client

    return open_client


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> Iterator[str]:
    """Ids of this test only: the server outlives it."""
    yield f"{abs(hash(request.node.name)) % 10**9}-"


def play(opened: Opened, story: Callable[[Client], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20), opened() as client:
            await story(client)

    asyncio.run(bounded())


def test_a_start_says_whether_it_created_the_instance(opened: Opened, prefix: str) -> None:
    async def story(client: Client) -> None:
        first = await client.start("approve", {"a": None}, id=prefix, tags={"team": "é=&"})
        again = await client.start("approve", {"a": None}, id=prefix)
        existing = await client.start("approve", {}, id=prefix, on_conflict="return_existing")
        assert (first.created, again.created, existing.created) == (True, False, False)
        with pytest.raises(errors.InstanceExistsError) as caught:
            await client.start("approve", {"a": 2}, id=prefix)
        assert (caught.value.instance_id, caught.value.status) == (prefix, "Running")
        replaced = await client.start(
            "approve", {"a": 2}, id=prefix, on_conflict="terminate_and_replace"
        )
        assert replaced.created
        assert (await client.get(prefix)).execution == 2
        assert (await client.history(prefix, execution=1))[0].execution == 1

    play(opened, story)


def test_errors_are_the_same_classes_with_the_same_facts(opened: Opened, prefix: str) -> None:
    async def story(client: Client) -> None:
        with pytest.raises(errors.InstanceNotFoundError) as missing:
            await client.get("nobody")
        assert missing.value.instance_id == "nobody"
        assert str(missing.value) == str(errors.InstanceNotFoundError("nobody"))
        with pytest.raises(errors.InstanceNotFoundError):
            await client.result("nobody")
        with pytest.raises(errors.UnknownOrchestratorError) as unknown:
            await client.start("nobody")
        assert unknown.value.noun == "orchestrator"
        with pytest.raises(errors.InvalidPayloadError) as unfit:
            await client.start("approve", [1])
        assert unfit.value.reason
        with pytest.raises(errors.InvalidIdError):
            await client.list(statuses=["Sleeping"])
        await client.start("approve", {}, id=prefix)
        with pytest.raises(errors.InvalidPayloadError):
            await client.raise_event(prefix, "Approval", "maybe")
        with pytest.raises(errors.WrongStateError) as wrong:
            await client.resume(prefix)
        assert wrong.value.status == "Running"
        await client.terminate(prefix, "enough")
        with pytest.raises(errors.InstanceFinishedError):
            await client.raise_event(prefix, "Approval", {"approved": True})
        with pytest.raises(errors.InstanceTerminatedError) as ended:
            await client.result(prefix)
        assert ended.value.reason == "enough"
        with pytest.raises(errors.WrongStateError):
            await client.start("approve", {}, id=prefix + "s")
            await client.settle(prefix + "s", 3, "completed", by="ann", result={"x": None})

    play(opened, story)


def test_a_failed_instance_tells_its_failure(opened: Opened, prefix: str) -> None:
    async def story(client: Client) -> None:
        handle = await client.start("fail", "it", id=prefix)
        with pytest.raises(errors.InstanceFailedError) as caught:
            await handle.result()
        assert "it is broken" in caught.value.failure.message

    play(opened, story)


def test_events_are_accepted_once_by_their_id(opened: Opened, prefix: str) -> None:
    async def story(client: Client) -> None:
        handle = await client.start("approve", {}, id=prefix)
        first = await handle.raise_event("Approval", {"approved": True}, event_id="a/b?é")
        again = await handle.raise_event("Approval", {"approved": True}, event_id="a/b?é")
        assert (first, again) == ("accepted", "duplicate")
        assert await handle.result() == "approved"

    play(opened, story)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a/b", "..", "100%", "é?#&", "/", "a b", "%2F", "a//"])
def test_an_event_may_have_any_printable_name(opened: Opened, prefix: str, name: str) -> None:
    async def story(client: Client) -> None:
        handle = await client.start("any_event", name, id=prefix)
        await handle.raise_event(name, {"big": 2**80, "text": "\u202e<b>"})
        assert await handle.result() == {"big": 2**80, "text": "\u202e<b>"}

    play(opened, story)


def test_updates_are_answered_refused_and_repeated(opened: Opened, prefix: str) -> None:
    async def story(client: Client) -> None:
        handle = await client.start("counter", 0, id=prefix)
        assert await handle.update("add", 5, update_id="u1") == 5
        assert await handle.update("add", 5, update_id="u1") == 5
        with pytest.raises(errors.UpdateRefusedError) as refused:
            await handle.update("add", -1)
        assert refused.value.reason == "only up"
        with pytest.raises(errors.InvalidPayloadError):
            await handle.update("add", "x")
        await client.suspend(prefix, "lunch")
        with pytest.raises(errors.WrongStateError):
            await handle.update("add", 1)
        await client.resume(prefix)
        assert await handle.update("add", 95) == 100
        assert await handle.result() == 100

    play(opened, story)


@pytest.mark.slow
def test_an_update_waits_for_its_answer(
    opened: Opened, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adjourn.backends.http.WAIT_SECONDS", 0.05)  # so that it asks again

    async def story(client: Client) -> None:
        handle = await client.start("slow_to_answer", None, id=prefix)
        asked = asyncio.create_task(handle.update("ask", update_id="u1"))
        ended = asyncio.create_task(handle.result())
        done, _ = await asyncio.wait((asked, ended), timeout=0.3)
        assert not done
        await handle.raise_event("Now")
        assert await asked == "at last"
        assert await ended is None

    play(opened, story)


def test_instances_and_histories_travel_without_loss(opened: Opened, prefix: str) -> None:
    async def story(client: Client) -> None:
        later = datetime(2999, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
        await client.start("approve", {"x": [1.5, None]}, id=prefix, start_at=later)
        state = await client.get(prefix)
        assert (state.status, state.visible_at) == ("Pending", later)
        assert bytes(state.input or b"") == b'{"x":[1.5,null]}'
        entries = await client.history(prefix)
        assert [type(entry.event).__name__ for entry in entries] == ["InstanceStarted"]
        assert len(entries[0].hash) == 64
        with pytest.raises(errors.InstanceNotFoundError):
            await client.history("nobody")

    play(opened, story)


def test_a_list_takes_every_condition(opened: Opened, prefix: str) -> None:
    async def story(client: Client) -> None:
        for number in range(3):
            await client.start("approve", {}, id=f"{prefix}{number}")
        await client.start("fail", "x", id=f"{prefix}f")

        async def ids(**conditions: Any) -> list[str]:
            page = await client.list(id_prefix=prefix, **conditions)
            return [one.id.removeprefix(prefix) for one in page.instances]

        now = (await client.get(f"{prefix}0")).created_at
        hour = timedelta(hours=1)
        assert await ids() == ["0", "1", "2", "f"]
        assert await ids(names=["approve"]) == ["0", "1", "2"]
        assert await ids(statuses=["running"]) == ["0", "1", "2"]
        assert await ids(waiting_for="Approval") == ["0", "1", "2"]
        assert await ids(where={"customer": "ann", "amount": 12}) == ["0", "1", "2"]
        assert await ids(where={"customer": "bob"}) == []
        assert await ids(newest_first=True, names=["approve"]) == ["2", "1", "0"]
        assert await ids(created_from=now + hour) == []
        assert await ids(created_from=now - hour, created_to=now + hour) == ["0", "1", "2", "f"]
        first = await client.list(id_prefix=prefix, limit=3)
        second = await client.list(id_prefix=prefix, limit=3, page_token=first.next_token)
        assert [one.id for one in second.instances] == [f"{prefix}f"]
        assert second.next_token is None

    play(opened, story)


def test_requests_that_give_up_and_ask_again_leave_one_wait_behind(serving: Serving) -> None:
    async def story(client: Client) -> None:
        await client.start("approve", {}, id="waits-1")
        for _ in range(5):
            answer = await client.backend._send(  # type: ignore[attr-defined]  # one poll
                "GET", "instances/waits-1/result", {"wait": 0.01}
            )
            assert answer.status_code == 202
        assert len(waits._tasks) == before + 1
        await client.terminate("waits-1")

    waits = serving._server._waits
    before = len(waits._tasks)
    play(lambda: serving.app.open(serving.address), story)


def test_a_server_that_is_not_there_is_named_with_what_to_do() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # bound and not listening: nobody else takes it
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"

        async def story(client: Client) -> None:
            with pytest.raises(RemoteError) as caught:
                await client.get("x")
            assert address in str(caught.value) and "adjourn run" in str(caught.value)

        play(lambda: Adjourn().open(address), story)


def test_something_else_that_answers_is_not_believed(serving: Serving) -> None:
    async def story(client: Client) -> None:
        with pytest.raises(RemoteError, match="404"):
            await client.get("x")

    play(lambda: Adjourn().open(f"{serving.address}/elsewhere"), story)


@pytest.mark.slow
def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(RemoteError, match="async with"):
        asyncio.run(Adjourn().open("http://127.0.0.1:1").get("x"))


@pytest.mark.parametrize("tenant", ["", "acme"])
def test_a_program_without_the_functions_starts_them_by_name(
    serving: Serving, prefix: str, tenant: str
) -> None:
    """Also as one actor: what it starts is of their tenant."""

    async def story() -> None:
        async with asyncio.timeout(20), Adjourn().open(serving.address) as bare:
            client = bare.seen_by(Actor(id="pat", roles=["admin"], tenant=tenant))
            handle = await client.start("E1_HelloSequence", 4, id=prefix)
            assert handle.created and await handle.result() == 8
            assert (await bare.get(prefix)).tenant == tenant
            with pytest.raises(errors.UnknownOrchestratorError):
                await client.start("nobody", 4, id=f"{prefix}none")

    asyncio.run(story())

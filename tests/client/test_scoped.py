"""A client for one actor: what another tenant has, or what they are not shown, is to every verb as
what does not exist."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing
from typing import Any, get_args

import msgspec
import pytest
from msgspec.structs import replace

from adjourn import Actor, Client, InstanceExistsError
from adjourn.backends.protocol import Backend
from adjourn.backends.scoped import ScopedBackend
from adjourn.engine.messages import OnConflict
from adjourn.errors import AdjournError, InstanceNotFoundError, InvalidPayloadError
from adjourn.model import codec
from adjourn.model.actor import Absent
from adjourn.model.approval import AddComment, Approve, Ask, Reassign
from adjourn.store.protocol import Query
from tests.tenants import KINDS, app, ask, fill, listen, query


def actor_of(tenant: str, **more: Any) -> Actor:
    """Somebody of this tenant who may do everything there is to do in it."""
    roles: list[Any] = ["approver", "lead", "admin"]
    return Actor(id="lena", groups=["finance"], roles=roles, tenant=tenant, channel="web", **more)


ACME, BETA, NOBODYS, ALL = (actor_of(tenant) for tenant in ("acme", "beta", "", "*"))
LEGAL = replace(actor_of("acme", queues=["group:legal"]), id="tess", groups=[])
"""Of acme, and of its legal queue only."""
NARROWED = replace(LEGAL, queues=[])
CROSSING = replace(BETA, stands_in_for=[Absent(id="lena", groups=["finance"], roles=["approver"])])
"""Whom a delegation leads nowhere beyond their tenant."""


class World:
    """Of each tenant one instance of each kind, in one engine; and the loop that it lives in."""

    def __init__(self, client: Client, runner: asyncio.Runner) -> None:
        self.client = client
        self.run = runner.run


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with asyncio.Runner() as runner:
        client = app.open(tmp_path_factory.mktemp("scoped") / "cases.db")
        made = World(client, runner)
        runner.run(client.__aenter__())
        runner.run(fill(client))
        yield made
        made.client.backend._grace_seconds = 0.01  # type: ignore[attr-defined]
        runner.run(client.__aexit__())


# Every verb that takes an id, with a call that would go through and with calls that would not.

NULL = codec.NULL
ON_ONE: dict[str, list[Callable[[Backend, str], Coroutine[Any, Any, Any]]]] = {
    "raise_event": [
        lambda it, id: it.raise_event(id, "Note", msgspec.Raw(b"1"), ""),
        lambda it, id: it.raise_event(id, "Note", msgspec.Raw(b'"no number"'), "e"),
        lambda it, id: it.raise_event(id, "\0", NULL, "\0"),
        lambda it, id: it.raise_event(id, "Approval", NULL, "", wait=1),
        lambda it, id: it.raise_event(id, "Approval", NULL, "", by=replace(BETA, agent=True)),
    ],
    "update": [
        lambda it, id: it.update(id, "act", NULL, "u"),
        lambda it, id: it.update(id, "\0", NULL, "\0"),
        lambda it, id: it.update(id, "act", msgspec.Raw(b'{"do":"claim"}'), "u2", by=BETA),
    ],
    "control": [
        lambda it, id: it.control(id, "suspend", "", recursive=False),
        lambda it, id: it.control(id, "resume", "", recursive=False),
        lambda it, id: it.control(id, "terminate", "\ud800", recursive=True),
        lambda it, id: it.control(id, "terminate", "", recursive=True),
    ],
    "settle": [
        lambda it, id: it.settle(id, 1, "completed", by="x", result=NULL, reason=""),
        lambda it, id: it.settle(id, 1, "again", by="", result=NULL, reason="\ud800"),
    ],
    "result": [lambda it, id: it.result(id)],
    "get": [lambda it, id: it.get(id)],
    "inbox_row": [lambda it, id: it.inbox_row(id)],
    "history": [
        lambda it, id: it.history(id, None),
        lambda it, id: it.history(id, 1),
        lambda it, id: it.history(id, 99),
    ],
}
OTHERWISE = {"open", "close", "start", "list", "inbox", "inbox_counts", "watch_inbox"}
"""Verbs that take no id, or none of what exists: each has tests of its own below."""

CALLS = [(verb, at) for verb, calls in ON_ONE.items() for at in range(len(calls))]


def test_no_verb_of_the_protocol_is_forgotten() -> None:
    """A new verb stands in one of these tables, and the backend has one of its own for it, with the
    very parameters."""
    verbs = {
        name: verb
        for name, verb in vars(Backend).items()
        if inspect.isfunction(verb) and not name.startswith("_")
    }
    assert set(verbs) == set(ON_ONE) | OTHERWISE
    for name, verb in verbs.items():
        own = vars(ScopedBackend)[name]
        assert inspect.signature(own) == inspect.signature(verb), name
    public = {name for name in vars(ScopedBackend) if not name.startswith("_")}
    assert public == set(verbs)


async def answer(call: Coroutine[Any, Any, Any], id: str) -> Any:
    """What it says, with the id that it was asked for taken out."""
    try:
        async with asyncio.timeout(5):
            return ("answered", await call)
    except AdjournError as error:
        facts = {name: str(value).replace(id, "ID") for name, value in vars(error).items()}
        return (type(error).__name__, str(error).replace(id, "ID"), facts)


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "at"), CALLS)
@pytest.mark.parametrize(
    ("actor", "tenant"),
    [(BETA, "acme"), (ACME, "beta"), (NOBODYS, "acme"), (ACME, "none"), (CROSSING, "acme")],
    ids=["beta-acme", "acme-beta", "none-acme", "acme-none", "delegate"],
)
def test_another_tenants_is_as_what_does_not_exist(
    world: World, actor: Actor, tenant: str, verb: str, at: int
) -> None:
    scoped = world.client.seen_by(actor).backend
    call = ON_ONE[verb][at]
    nothing = world.run(answer(call(scoped, "no-such"), "no-such"))
    assert nothing[0] == "InstanceNotFoundError" or nothing == ("answered", None)
    for kind in KINDS:
        id = f"{tenant}-{kind}"
        before = world.run(world.client.get(id))

        assert world.run(answer(call(scoped, id), id)) == nothing, kind

        assert world.run(world.client.get(id)) == before


HIDDEN = ("listens", "done", "asks", "asks:1:1", "law", "plain", "busy")
"""From whoever looks after acme's legal queue: all but what is in it."""


@pytest.mark.parametrize(("verb", "at"), CALLS)
@pytest.mark.parametrize("actor", [LEGAL, NARROWED], ids=["legal", "none"])
def test_what_ones_queues_do_not_hold_is_as_what_does_not_exist(
    world: World, actor: Actor, verb: str, at: int
) -> None:
    scoped = world.client.seen_by(actor).backend
    call = ON_ONE[verb][at]
    nothing = world.run(answer(call(scoped, "no-such"), "no-such"))
    for kind in HIDDEN if actor is LEGAL else KINDS:
        id = f"acme-{kind}"
        before = world.run(world.client.get(id))

        assert world.run(answer(call(scoped, id), id)) == nothing, kind

        assert world.run(world.client.get(id)) == before


READS = ("get", "history", "inbox_row", "settle")
"""Verbs that leave everything as it is, also where they go through."""


@pytest.mark.parametrize(("verb", "at"), [each for each in CALLS if each[0] in READS])
@pytest.mark.parametrize(
    ("actor", "ids"),
    [
        (ACME, [f"acme-{kind}" for kind in KINDS]),
        (NOBODYS, [f"none-{kind}" for kind in KINDS]),
        (ALL, [f"{name}-{kind}" for name in ("none", "acme", "beta") for kind in KINDS]),
        (LEGAL, ["acme-law:1:1"]),
    ],
    ids=["acme", "none", "all", "legal"],
)
def test_ones_own_is_answered_as_ever(
    world: World, actor: Actor, ids: list[str], verb: str, at: int
) -> None:
    scoped = world.client.seen_by(actor).backend
    call = ON_ONE[verb][at]
    for id in ids:
        bare = world.run(answer(call(world.client.backend, id), id))
        assert bare[0] != "InstanceNotFoundError"
        assert world.run(answer(call(scoped, id), id)) == bare


# Lists.


def ids_of(world: World, actor: Actor, **more: Any) -> list[str]:
    page = world.run(world.client.seen_by(actor).backend.list(Query(**more)))
    return [state.id for state in page.instances]


def test_a_list_is_of_ones_own_tenant_whatever_is_asked_for(world: World) -> None:
    everything = ids_of(world, ALL)
    for tenant, actor in (("none", NOBODYS), ("acme", ACME), ("beta", BETA)):
        own = [id for id in everything if id.startswith(tenant)]
        assert own and ids_of(world, actor) == own
        assert {state.tenant for state in world.run(listed(world, actor))} == {actor.tenant}
    assert ids_of(world, ALL, tenant="acme") == ids_of(world, ACME)
    assert ids_of(world, ACME, tenant="acme") == ids_of(world, ACME)
    assert ids_of(world, ACME, tenant="beta") == ids_of(world, ACME, tenant="") == []
    assert ids_of(world, NOBODYS, tenant="acme") == []
    assert ids_of(world, LEGAL) == ids_of(world, NARROWED) == []


async def listed(world: World, actor: Actor) -> list[Any]:
    return (await world.client.seen_by(actor).list()).instances


def test_an_inbox_is_ones_own_whomever_the_query_speaks_of(world: World) -> None:
    def rows(actor: Actor, **more: Any) -> list[str]:
        asked = world.client.seen_by(actor).approvals
        page = world.run(asked.inbox(query(**more)))
        counts = world.run(asked.counts(query(**more)))
        assert counts["all"] == len(page.rows)
        return [row.id for row in page.rows]

    three = ["asks:1:1", "law:1:1", "plain"]
    assert rows(ACME) == rows(ACME, tenant="beta") == [f"acme-{kind}" for kind in three]
    assert rows(NOBODYS) == rows(NOBODYS, tenant="acme") == [f"none-{kind}" for kind in three]
    assert len(rows(ALL)) == 9 and rows(ALL, tenant="beta") == rows(BETA)
    assert rows(LEGAL) == rows(LEGAL, within=["group:finance"]) == ["acme-law:1:1"]
    assert rows(NARROWED) == []
    assert rows(replace(ACME, roles=[])) == ["acme-asks:1:1"]
    assert rows(replace(LEGAL, id="sam")) == ["acme-asks:1:1", "acme-law:1:1"]
    mine = world.client.seen_by(ACME).approvals
    forged = replace(query(), view="needs_me", person="omar", recipients=["group:legal"])
    assert [row.id for row in world.run(mine.inbox(forged)).rows] == ["acme-asks:1:1", "acme-plain"]


def test_whoever_watches_is_told_of_their_own_alone(world: World) -> None:
    async def scene() -> dict[str, list[str]]:
        watchers = {"acme": ACME, "beta": BETA, "none": NOBODYS, "all": ALL, "legal": LEGAL}
        heard: dict[str, list[str]] = {name: [] for name in watchers}
        noted.clear()
        listening = [asyncio.create_task(note(heard[name], who)) for name, who in watchers.items()]
        await asyncio.sleep(0)
        for name in ("acme", "beta", "none"):
            for kind in ("asks:1:1", "law:1:1"):
                comment = AddComment(version=1, text="hm")
                await world.client.approvals.act(
                    f"{name}-{kind}", comment, by=replace(actor_of(""), tenant="*")
                )
        async with asyncio.timeout(5):
            while len(heard["all"]) < 6 or not heard["legal"]:
                noted.clear()
                await noted.wait()
        for each in listening:
            each.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        return heard

    async def note(found: list[str], actor: Actor) -> None:
        told: Any = world.client.seen_by(actor).approvals.changes()
        async with aclosing(told):
            async for ids in told:
                found += ids
                noted.set()

    noted = asyncio.Event()
    heard = world.run(scene())
    for name in ("acme", "beta", "none"):
        assert heard[name] == [f"{name}-asks:1:1", f"{name}-law:1:1"]
    assert len(heard["all"]) == 6 and heard["legal"] == ["acme-law:1:1"]


# Starts.


def start(world: World, actor: Actor, id: str, **more: Any) -> Any:
    return world.run(world.client.seen_by(actor).start(listen, 9, id=id, **more))


@pytest.mark.parametrize("actor", [ACME, BETA, NOBODYS, LEGAL])
def test_what_one_starts_is_ones_tenants(world: World, actor: Actor) -> None:
    id = f"new-{actor.tenant}-{actor.id}"
    start(world, actor, id, tags={"team": "red"})

    assert world.run(world.client.get(id)).tenant == actor.tenant
    world.run(world.client.terminate(id))


@pytest.mark.parametrize("tags", [{}, {"tenant": "beta"}])
def test_who_looks_after_all_tenants_says_for_whom_they_start(
    world: World, tags: dict[str, str]
) -> None:
    id = f"new-{tags.get('tenant')}"
    start(world, ALL, id, tags=tags)

    assert world.run(world.client.get(id)).tenant == tags.get("tenant", "")
    world.run(world.client.terminate(id))


@pytest.mark.parametrize("actor", [ACME, NOBODYS, LEGAL])
@pytest.mark.parametrize("tenant", ["beta", "*", "", "no such"])
def test_nobody_starts_anything_for_another_tenant(world: World, actor: Actor, tenant: str) -> None:
    if tenant == actor.tenant:
        return
    with pytest.raises(InvalidPayloadError, match=r"Tag 'tenant'.*leave it out"):
        start(world, actor, "nothing", tags={"tenant": tenant})
    with pytest.raises(InstanceNotFoundError):
        world.run(world.client.get("nothing"))


@pytest.mark.slow
@pytest.mark.parametrize("on_conflict", get_args(OnConflict))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("actor", "tenant"),
    [(BETA, "acme"), (NOBODYS, "acme"), (ACME, "none"), (LEGAL, "acme"), (LEGAL, "beta")],
    ids=["beta", "none", "acme", "legal", "legal-beta"],
)
def test_an_id_that_one_may_not_see_is_taken_and_nothing_more_is_said(
    world: World, actor: Actor, tenant: str, kind: str, on_conflict: OnConflict
) -> None:
    id = f"{tenant}-{kind}"
    before = world.run(world.client.get(id))

    with pytest.raises(InstanceExistsError) as refused:
        start(world, actor, id, on_conflict=on_conflict)

    assert vars(refused.value) == {"instance_id": id, "status": ""}
    assert str(refused.value) == f"The id '{id}' is taken. Choose another id."
    assert world.run(world.client.get(id)) == before


# Approvals by name of a person, whatever the client may see.

DOINGS: dict[str, Callable[[Client, str, Actor], Coroutine[Any, Any, Any]]] = {
    "get": lambda it, id, by: it.approvals.get(id, by=by),
    "row": lambda it, id, by: it.approvals.row(id, by=by),
    "comment": lambda it, id, by: it.approvals.act(id, AddComment(version=1, text="x"), by=by),
    "approve": lambda it, id, by: it.approvals.act(id, Approve(version=1), by=by),
    "stale": lambda it, id, by: it.approvals.act(id, Approve(version=77), by=by),
    "wrong": lambda it, id, by: it.approvals.act(id, Ask(version=1, question=""), by=by),
    "reassign": lambda it, id, by: it.approvals.act(id, Reassign(version=1, to=["lena"]), by=by),
    "event": lambda it, id, by: it.approvals.decide_event(id, True, by=by, version=1),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("doing", DOINGS)
@pytest.mark.parametrize("actor", [BETA, NOBODYS, CROSSING, NARROWED])
def test_a_client_that_sees_all_shows_a_person_no_more_than_theirs(
    world: World, actor: Actor, doing: str, kind: str
) -> None:
    id = f"acme-{kind}"
    before = world.run(world.client.history(id))
    nothing = world.run(answer(DOINGS[doing](world.client, "no-such", actor), "no-such"))
    assert nothing[0] == "InstanceNotFoundError"

    assert world.run(answer(DOINGS[doing](world.client, id, actor), id)) == nothing

    assert world.run(world.client.history(id)) == before


def test_one_who_is_shown_it_acts_as_ever(world: World) -> None:
    """Tess is no member of the legal team, but looks after its queue."""
    view = world.run(world.client.approvals.get("acme-law:1:1", by=LEGAL))
    assert "comment" in view.allowed and "approve" not in view.allowed
    said = world.run(
        world.client.approvals.act("acme-law:1:1", AddComment(version=1, text="x"), by=LEGAL)
    )
    assert said.status == "open"


def test_who_waits_for_what_leaves_their_queue_meanwhile_is_told_nothing(world: World) -> None:
    boss = replace(ACME, id="ada", groups=["legal", "finance"])

    async def scene() -> None:
        await world.client.start(ask, ["acme", "legal"], id="acme-moved", tags={"tenant": "acme"})
        told = world.client.approvals
        while (await told.counts(query(tenant="acme", case="acme-moved")))["all"] == 0:
            pass
        waiting = asyncio.create_task(world.client.seen_by(LEGAL).ending("acme-moved:1:1"))
        for _ in range(5):  # by then the engine knows who waits: it reads in the order of asking
            await world.client.get("acme-moved")
        await told.act("acme-moved:1:1", Reassign(version=1, to=["group:finance"]), by=boss)
        await world.client.terminate("acme-moved", "a secret reason")
        with pytest.raises(InstanceNotFoundError):
            async with asyncio.timeout(20):
                await waiting

    world.run(scene())


def test_a_client_for_one_actor_keeps_its_clock_and_closes_nothing(world: World) -> None:
    async def scene() -> None:
        theirs = world.client.seen_by(ACME)
        assert theirs.approvals._clock is world.client.approvals._clock
        assert theirs.seen_by(ACME).backend is theirs.backend
        async with theirs:
            pass
        await world.client.get("acme-listens")  # still open
        with pytest.raises(InstanceNotFoundError):  # the narrowest counts
            await theirs.seen_by(BETA).get("acme-listens")

    world.run(scene())


def test_a_stream_ends_with_whoever_listens(world: World) -> None:
    async def scene() -> None:
        told: AsyncIterator[list[str]] = world.client.seen_by(ACME).approvals.changes()
        watchers = world.client.backend._engine.watchers  # type: ignore[attr-defined]
        before = len(watchers)
        waiting = asyncio.ensure_future(anext(told))
        await asyncio.sleep(0)
        assert len(watchers) == before + 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert len(watchers) == before

    world.run(scene())

"""Whose an instance is: fixed at its start, handed on to all that it starts, and a wall to all of
another tenant, also inside the engine."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, get_args

import pytest

from adjourn import Adjourn, AdjournError, Approved, Context, InstanceExistsError, Notice, group
from adjourn.engine import engine as engine_module
from adjourn.engine.messages import OnConflict
from adjourn.errors import InvalidIdError
from adjourn.model import events
from adjourn.testing import CRASH_POINTS, Sandbox
from tests.histories import encoded

ACME, BETA = {"tenant": "acme"}, {"tenant": "beta"}
"""The tags with which their instances are started."""

app = Adjourn()


@dataclass(frozen=True)
class Deed:
    what: str


@app.orchestrator
async def listen(ctx: Context, number: int) -> list[Any]:
    return [await ctx.wait_for_external_event("Note", int) for _ in range(number)]


@app.orchestrator
async def tell(ctx: Context, receivers: list[str]) -> str:
    await ctx.wait_for_external_event("Go")
    for receiver in receivers:
        ctx.raise_event(receiver, "Note", 1)
    return "told"


@app.orchestrator
async def launch(ctx: Context, ids: list[str]) -> str:
    await ctx.wait_for_external_event("Go")
    for id in ids:
        ctx.start(listen, 1, id=id)
    return "launched"


@app.orchestrator
async def call(ctx: Context, id: str) -> Any:
    await ctx.wait_for_external_event("Go")
    return await ctx.call_sub_orchestration(listen, 1, id=id)


@app.orchestrator
async def family(ctx: Context, round: int) -> None:
    """Everything by which an instance makes another one."""
    if round == 0:
        ctx.continue_as_new(1)
    ctx.start(listen, 1, id=f"{ctx.instance_id}-started")
    child = ctx.call_sub_orchestration(listen, 1, id=f"{ctx.instance_id}-child")
    asked = ctx.approval(
        Deed("open"), id=f"{ctx.instance_id}-approval", title="Open it", to=group("doors"),
        expires="7d",
    )  # fmt: skip
    await ctx.when_all(child, asked)


@app.orchestrator
async def watch(ctx: Context, notice: Notice) -> None:
    while not notice.final:
        notice = await ctx.wait_for_external_event("Notice", Notice)


@app.orchestrator
async def opens_a_door(ctx: Context, what: str) -> bool:
    decision = await ctx.approval(Deed(what), title="Open it", to=group("doors"), expires="7d")
    return isinstance(decision, Approved)


app.watch_approvals(watch)


def tenants(box: Sandbox) -> dict[str, str]:
    return {each.id: each.tenant for each in box.list().instances}


@pytest.mark.parametrize("tags", [ACME, {**ACME, "team": "red"}, {}])
def test_all_that_an_instance_starts_is_its_tenants(tags: dict[str, str]) -> None:
    with Sandbox(app) as box:
        box.start(family, 0, id="f", tags=tags)

        tenant = tags.get("tenant", "")
        ids = ["f", "f-started", "f-child", "f-approval", "f-approval:watch"]
        assert tenants(box) == dict.fromkeys(ids, tenant)
        row = box.inbox().one().row
        assert (row.id, row.tenant) == ("f-approval", tenant)
        inherited = {"tenant": tenant} if tenant else {}
        for id in ids:
            first = box.history(id)[0].event
            assert isinstance(first, events.InstanceStarted)
            assert first.tags == inherited  # history alone says it, of every execution
        first = box.history("f", execution=1)[0].event
        assert isinstance(first, events.InstanceStarted) and first.tags == tags


def test_the_plain_form_says_whose_it_is() -> None:
    plain = Adjourn()

    @plain.orchestrator
    async def ask(ctx: Context, _: None) -> Any:
        return await ctx.wait_for_external_event("Approval")

    with Sandbox(plain) as box:
        box.start(ask, id="p", tags=ACME)
        assert box.inbox().one().row.tenant == "acme"


@pytest.mark.parametrize(
    "tenant", ["*", "", "Acme", "a b", "ä", "a.b", "a:b", "a/b", "a\n", "acme\0", "x" * 61, "'"]
)
def test_what_cannot_be_a_tenant_starts_nothing(tenant: str) -> None:
    with Sandbox(app) as box:
        with pytest.raises(InvalidIdError, match="cannot be a tenant: use 1 to 60 of"):
            box.start(listen, 1, id="l", tags={"tenant": tenant})
        assert box.list().instances == []


@pytest.mark.parametrize("tenant", ["a", "acme-2_x", "0", "x" * 60])
def test_what_can_be_a_tenant_is_one(tenant: str) -> None:
    with Sandbox(app) as box:
        box.start(listen, 1, id="l", tags={"tenant": tenant})
        assert tenants(box) == {"l": tenant}


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("on_conflict", get_args(OnConflict))
@pytest.mark.parametrize("tags", [BETA, {}])
def test_an_id_of_another_tenant_is_taken_and_that_is_all_one_learns(
    tags: dict[str, str], on_conflict: OnConflict, finished: bool
) -> None:
    with Sandbox(app) as box:
        box.start(listen, 1, id="l", tags=ACME)
        if finished:
            box.raise_event("l", "Note", 1)
        before = box.history("l")

        with pytest.raises(InstanceExistsError) as refused:
            box.start(listen, 1, id="l", tags=tags, on_conflict=on_conflict)

        assert str(refused.value) == "The id 'l' is taken. Choose another id."
        assert vars(refused.value) == {"instance_id": "l", "status": ""}
        assert box.history("l") == before and tenants(box) == {"l": "acme"}


def test_a_new_life_under_an_id_is_the_same_tenants() -> None:
    with Sandbox(app) as box:
        box.start(listen, 1, id="l", tags=ACME)
        box.start(listen, 2, id="l", tags={**ACME, "n": "2"}, on_conflict="terminate_and_replace")
        box.crash()
        assert (box.get("l").tenant, box.get("l").execution) == ("acme", 2)


# What an orchestrator's code does with an id of another tenant.

PAIRS = [(ACME, BETA), (ACME, {}), ({}, ACME)]
"""The tags of who acts, and of whom the id is."""


@pytest.mark.parametrize("limit", [engine_module.EVENT_LIMIT, 1], ids=["at once", "put off"])
@pytest.mark.parametrize(("own", "others"), PAIRS)
def test_an_event_to_another_tenant_goes_where_one_to_nobody_goes(
    own: dict[str, str],
    others: dict[str, str],
    limit: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "EVENT_LIMIT", limit)
    with Sandbox(app) as box:
        box.start(listen, 1, id="other", tags=others)
        box.start(listen, 1, id="friend", tags=own)
        box.start(tell, ["friend", "other", "nobody"], id="t", tags=own)
        before = box.history("other")

        with caplog.at_level(logging.WARNING, "adjourn.engine"):
            box.raise_event("t", "Go")

        assert box.result("t") == "told" and box.result("friend") == [1]
        assert box.history("other") == before
        assert not box.get("other").pending_events
        dropped = [line for line in caplog.messages if "was dropped" in line]
        assert dropped[0].replace("other", "nobody") == dropped[1]
        box.crash()
        assert box.get("t").problem is None and box.get("other").status == "Running"


@pytest.mark.parametrize(("own", "others"), PAIRS)
def test_a_start_under_another_tenants_id_leaves_it_alone_and_says_nothing_of_it(
    own: dict[str, str], others: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with Sandbox(app) as box:
        box.start(tell, [], id="other", tags=others)
        box.start(launch, ["other", "mine"], id="l", tags=own)
        before = box.history("other")

        with caplog.at_level(logging.WARNING, "adjourn.engine"):
            box.raise_event("l", "Go")

        assert box.result("l") == "launched" and box.history("other") == before
        assert box.get("mine").tenant == own.get("tenant", "")
        (line,) = caplog.messages
        assert "other, but that id is taken" in line and "tell" not in line


@pytest.mark.parametrize(("own", "others"), PAIRS)
def test_a_child_under_another_tenants_id_fails_and_learns_nothing_of_it(
    own: dict[str, str], others: dict[str, str]
) -> None:
    with Sandbox(app) as box:
        box.start(tell, [], id="other", tags=others)
        box.start(call, "other", id="c", tags=own)
        before = box.history("other")

        box.raise_event("c", "Go")

        failure = box.get("c").failure
        assert failure is not None and "The id 'other' is taken. Choose" in failure.message
        assert box.history("other") == before


def test_in_ones_own_tenant_a_child_learns_why_its_id_is_taken() -> None:
    with Sandbox(app) as box:
        box.start(tell, [], id="other", tags=ACME)
        box.start(call, "other", id="c", tags=ACME)
        box.raise_event("c", "Go")
        failure = box.get("c").failure
        assert failure is not None and "already exists (Running)" in failure.message


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_crash_at_any_point_forgets_no_tenant(point: Any) -> None:
    with Sandbox(app) as box:
        box.start(listen, 1, id="other", tags=BETA)
        box.start(tell, ["other"], id="t", tags=ACME)
        box.start(opens_a_door, "front", id="d", tags=ACME)
        box.crash_at(point)
        try:
            box.raise_event("t", "Go", event_id="go")
        except AdjournError:  # nobody answered, for it crashed
            box.raise_event("t", "Go", event_id="go")
        box.crash()

        assert box.result("t") == "told"
        assert box.get("other").pending_events == 0 and len(box.history("other")) == 1
        approval = box.inbox("doors").one()
        assert approval.row.tenant == "acme"
        approval.approve(by="lena")
        box.advance(seconds=10)
        assert box.result("d") is True
        assert set(tenants(box).values()) == {"acme", "beta"}


def test_histories_from_before_there_were_tenants_say_nothing_of_them() -> None:
    """Byte for byte as they were: nothing of it is written where there is none."""
    with Sandbox(app) as box:
        box.start(family, 0, id="f")
        for each in box.list().instances:
            for entry in box.history(each.id):
                text = encoded(events.encode_event(entry.event))
                assert "tags" not in text, each.id
        (row,) = box.inbox().rows
        assert row.tenant == ""

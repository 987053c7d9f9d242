"""A real question, drawn as a card from the same schema as the page, and decided by its buttons."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest

from adjourn import (
    Actor,
    Adjourn,
    ApprovalView,
    Approve,
    Approved,
    Bounds,
    Client,
    Context,
    InboxQuery,
    Reject,
    Rejected,
    UpdateConflictError,
    UpdateInvalidError,
    group,
)
from apps.support_agent.tests.teams_cards.drawing import press, read
from support_agent.channels.port import ApprovalCard, CardField
from support_agent.channels.teams.cards import adaptive_card, typed_of
from support_agent.clock import now

LENA = Actor(id="lena", name="Lena Fischer", groups=["support"], roles=["approver"])
app = Adjourn()


@dataclass(frozen=True)
class Refund:
    order: str
    amount: Decimal
    rate: float
    method: Literal["card", "bank"] = "card"
    note: str = "We are sorry,\nthe lamp was broken."
    until: str | None = None


@app.orchestrator
async def refund(ctx: Context, order: str) -> list[Any]:
    decision = await ctx.approval(
        Refund(order, Decimal("60.00"), 1e-07),
        title=f"Refund 60.00 EUR, order {order}",
        to=group("support"),
        editable={
            "amount": Bounds(minimum="0.01", maximum="2000"),
            **{name: Bounds() for name in ("rate", "method", "note", "until")},
        },
        undo="0s",
        expires=None,
    )
    match decision:
        case Approved(value=value, edited=edited):
            return ["approved", str(value.amount), value.note, edited]
        case Rejected(reason=reason, by=by):
            return ["rejected", reason, by]
        case _:
            return [type(decision).__name__]


async def asked(client: Client) -> str:
    """The id of the question, once it waits."""
    await client.start(refund, "A-1042", id="case")
    query = InboxQuery(person=LENA.id, recipients=["group:support"], now=now())
    async with asyncio.timeout(20):
        while True:
            if found := (await client.approvals.inbox(query)).rows:
                return found[0].id


def drawn(
    view: ApprovalView,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    fields = tuple(
        CardField(
            name=each.name,
            label=each.label,
            shown=each.shown,
            value=each.value,
            widget=each.widget,
            editable=each.editable,
            changed=each.changed,
            bounds=each.bounds,
            choices=tuple(each.choices),
            error=each.error,
        )
        for each in view.fields(typed, errors)
    )
    return adaptive_card(
        ApprovalCard(
            id=view.state.id,
            version=view.state.version,
            digest=view.state.digest,
            title=view.request.title,
            status="Open",
            open=True,
            risk=view.request.risk,
            fields=fields,
            allowed=tuple(view.allowed),
        )
    )


def decided(view: ApprovalView, sent: Mapping[str, Any]) -> Approve | Reject:
    """The action that somebody asked for, from nothing but what came back."""
    if sent["action"] == "reject":
        return Reject(version=sent["version"], reason=sent["comment"])
    changes, errors = view.changes(typed_of(sent))
    assert not errors
    return Approve(version=sent["version"], changes=changes, digest=sent["digest"])


Story = Callable[[Client, str], Awaitable[None]]


def play(path: Path, story: Story) -> Any:
    """What the workflow returns after it."""

    async def run() -> Any:
        async with app.open(path / "cards.db") as client:
            await story(client, await asked(client))
            async with asyncio.timeout(20):
                return await client.result("case")

    return asyncio.run(run())


async def looked(client: Client, id: str) -> ApprovalView:
    return await client.approvals.get(id, by=LENA)


def test_approve_approves_what_was_shown(tmp_path: Path) -> None:
    async def story(client: Client, id: str) -> None:
        view = await looked(client, id)
        action = decided(view, press(drawn(view), "Approve"))
        assert action == Approve(version=view.state.version, digest=view.state.digest)
        await client.approvals.act(id, action, by=LENA)

    result = play(tmp_path, story)
    assert result == ["approved", "60.00", "We are sorry,\nthe lamp was broken.", []]


def test_inputs_that_nobody_touched_change_nothing(tmp_path: Path) -> None:
    async def story(client: Client, id: str) -> None:
        view = await looked(client, id)
        sent = press(drawn(view), "Approve these changes")
        assert len(typed_of(sent)) == 5  # or this proves nothing
        assert view.changes(typed_of(sent)) == ({}, {})
        await client.approvals.act(id, decided(view, sent), by=LENA)

    assert play(tmp_path, story)[3] == []


def test_what_was_changed_is_what_the_workflow_gets(tmp_path: Path) -> None:
    async def story(client: Client, id: str) -> None:
        view = await looked(client, id)
        typed = {"field.amount": "1,019.80", "field.note": ""}
        sent = press(drawn(view), "Approve these changes", **typed)
        assert decided(view, sent) == Approve(
            version=view.state.version,
            changes={"amount": "1019.80", "note": ""},
            digest=view.state.digest,
        )
        await client.approvals.act(id, decided(view, sent), by=LENA)

    assert play(tmp_path, story) == ["approved", "1019.80", "", ["amount", "note"]]


def test_the_reason_of_a_rejection_arrives(tmp_path: Path) -> None:
    async def story(client: Client, id: str) -> None:
        view = await looked(client, id)
        sent = press(drawn(view), "Send the rejection", comment="It was ours.")
        await client.approvals.act(id, decided(view, sent), by=LENA)

    assert play(tmp_path, story) == ["rejected", "It was ours.", "lena"]


def test_an_amount_out_of_bounds_comes_back_in_the_card_and_can_be_corrected(
    tmp_path: Path,
) -> None:
    async def story(client: Client, id: str) -> None:
        view = await looked(client, id)
        first = press(drawn(view), "Approve these changes", **{"field.amount": "9000"})
        with pytest.raises(UpdateInvalidError) as refused:
            await client.approvals.act(id, decided(view, first), by=LENA)

        again = drawn(await looked(client, id), typed_of(first), refused.value.details["fields"])
        assert "Amount: Must be at most 2000" in read(again)
        assert "Amount: 60.00" in read(again)
        assert typed_of(press(again, "Approve these changes"))["amount"] == "9000"
        second = press(again, "Approve these changes", **{"field.amount": "55"})
        await client.approvals.act(id, decided(view, second), by=LENA)

    assert play(tmp_path, story)[:2] == ["approved", "55"]


def test_a_card_of_before_decides_nothing_and_an_invented_value_neither(tmp_path: Path) -> None:
    async def story(client: Client, id: str) -> None:
        view = await looked(client, id)
        sent = press(drawn(view), "Approve")
        forged = decided(view, {**sent, "digest": "0" * 64, "amount": "1", "title": "Refund 1"})
        with pytest.raises(UpdateConflictError):
            await client.approvals.act(id, forged, by=LENA)
        await client.approvals.act(id, decided(view, sent), by=LENA)
        with pytest.raises(UpdateConflictError):
            await client.approvals.act(id, decided(view, sent), by=LENA)

    assert play(tmp_path, story)[:2] == ["approved", "60.00"]

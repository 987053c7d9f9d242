"""An approval and refusals as people are shown them: without what is hidden, yet themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adjourn import (
    Actor,
    Adjourn,
    ApprovalView,
    Approve,
    Bounds,
    Client,
    Context,
    Conversation,
    Document,
    Facts,
    InboxQuery,
    Line,
    Reject,
    group,
)
from adjourn.approvals import machine
from adjourn.approvals.audit import Audit, AuditEntry
from adjourn.approvals.state import State
from adjourn.client.shown import shown_audit, shown_row, told
from adjourn.errors import (
    InvalidPayloadError,
    UpdateConflictError,
    UpdateRefusedError,
)
from adjourn.model.approval import AddComment, AnswerQuestion, ApprovalRequest, Ask
from adjourn.model.inbox import InboxRow
from adjourn.model.privacy import HIDDEN, Privacy, Redactor
from adjourn.testing import VirtualClock
from tests.approvals.desk import LENA, OMAR, Desk, asking, at

CANARY = "canary-51"


class Card(msgspec.Struct):
    holder: str
    cvv: str


class Payment(msgspec.Struct):
    order: str
    password: str
    card: Card
    note: str
    amount: str = "600"


PAYMENT = Payment("A-1", CANARY, Card("Ada", CANARY), f"password={CANARY}")


def everything() -> Audit:
    """With a canary in every text that somebody writes."""
    wrote = f"my password={CANARY}"
    request = asking(
        PAYMENT,
        title=f"Pay, token: {CANARY}",
        evidence=[
            Facts(facts={"Api key": CANARY, "Order": "A-1"}, title=wrote),
            Conversation(lines=[Line(author=wrote, text=wrote, at=at(0))], title=wrote),
            Document(title=wrote, text=wrote, source=wrote, by_model=True),
        ],
        editable={name: Bounds() for name in ("order", "password", "card", "note", "amount")},
        on_behalf_of=wrote,
        policy=wrote,
    )
    desk = Desk(request)
    desk.act(LENA, AddComment, text=wrote)
    desk.act(LENA, Ask, question=wrote, to="omar")
    desk.act(OMAR, AnswerQuestion, text=wrote)
    changes = {"order": "A-2", "note": f"pwd={CANARY} 2"}
    desk.act(OMAR, Approve, changes=changes, comment=wrote)
    entries = [
        AuditEntry(number=1, at=each.at, by=each.by, channel="web", what=each.what,
                   detail=each.detail, hash="")
        for each in desk.state.changes
    ]  # fmt: skip
    return Audit(request=request, state=desk.state, entries=entries)


OUR_WORDS = sorted(
    {*ApprovalRequest.__struct_fields__, *State.__struct_fields__, *InboxRow.__struct_fields__,
     "text", "at", "by", "what", "detail", "type", "author", "role", "lines", "facts", "comment",
     "channel", "answer", "minimum", "since", "rule", "fields", "*"}
)  # fmt: skip


def test_no_text_of_it_holds_what_is_hidden() -> None:
    audit = everything()

    shown = shown_audit(audit, Redactor())

    assert msgspec.json.encode(audit).count(CANARY.encode()) > 20
    assert CANARY.encode() not in msgspec.json.encode(shown)
    assert [entry.what for entry in shown.entries] == [entry.what for entry in audit.entries]
    assert shown.state.digest == audit.state.digest


@pytest.mark.parametrize("rule", OUR_WORDS)
def test_a_rule_called_like_a_field_of_ours_hides_nothing_that_decides(rule: str) -> None:
    audit = everything()
    row = machine.row(audit.request, audit.state)

    shown, line = shown_audit(audit, Redactor([rule])), shown_row(row, Redactor([rule]))

    values = {"value", "evidence", "changes", "questions", "notes", "votes", "reason", "policy"}
    for name in set(State.__struct_fields__) - values:
        assert getattr(shown.state, name) == getattr(audit.state, name)
    for one, other in zip(shown.state.changes, audit.state.changes, strict=True):
        assert (one.what, one.by, one.at, one.version) == (
            other.what, other.by, other.at, other.version,
        )  # fmt: skip
    assert (line.version, line.to, line.status, line.opened_at, line.not_by) == (
        row.version, row.to, row.status, row.opened_at, row.not_by,
    )  # fmt: skip
    assert CANARY.encode() not in msgspec.json.encode([shown, line])


def test_only_what_is_shown_as_it_is_may_be_edited() -> None:
    shown = shown_audit(everything(), Redactor())

    assert list(shown.request.editable) == ["order", "amount"]
    assert shown_audit(everything(), Redactor(["amount"])).request.editable.keys() == {"order"}


def test_what_hides_nothing_changes_nothing() -> None:
    audit = Audit(request=asking(), state=Desk().state, entries=[])

    assert shown_audit(audit, Redactor()) == audit


def test_a_refusal_tells_no_secret_and_stays_what_it_is() -> None:
    details = {"since": [{"what": "commented", "detail": f"token={CANARY}"}], "by": ["lena"],
               "status": "open", "at": "2026-11-23T10:00:00Z"}  # fmt: skip
    error = UpdateConflictError("A-1", "u", f"password={CANARY}", details)

    said = told(error, Redactor(["since", "by", "status", "at"]))

    assert type(said) is UpdateConflictError and (said.instance_id, said.update_id) == ("A-1", "u")
    assert CANARY not in str(said) and CANARY not in str(said.details)
    assert said.details["by"] == ["lena"] and said.details["since"][0]["what"] == "commented"


# A client for people, over a real engine.

BOSS = Actor(id="lena", groups=["support"], roles=["approver"], channel="web")
Play = Callable[[Client, Client, ApprovalView], Awaitable[None]]


def make_app() -> Adjourn:
    app = Adjourn()
    app.protect(Privacy(redact=["iban"]))

    @app.orchestrator
    async def pay(ctx: Context, order: str) -> dict[str, Any]:
        decision = await ctx.approval(
            PAYMENT,
            title=f"Pay, token={CANARY}",
            to=group("support"),
            editable={name: Bounds() for name in ("order", "password", "card", "note")},
            expires=None,
            undo="0s",
        )
        return {"iban": CANARY, "decided": type(decision).__name__}

    @app.orchestrator
    async def talk(ctx: Context, _: None) -> None:
        while True:
            update = await ctx.wait_for_update("say", str)
            if update.value == "no":
                update.refuse(f"password={CANARY}", details={"iban": CANARY})
            else:
                update.accept({"iban": CANARY, "order": "A-1"})

    return app


def with_people(tmp_path: Path, play: Play) -> None:
    async def run() -> None:
        app = make_app()
        async with app.open(tmp_path / "a.db") as client:
            await client.start("pay", "A-1", id="case")
            query = InboxQuery(
                person="lena", recipients=["group:support"], now=VirtualClock().now()
            )
            people = client.shown()
            page = await people.approvals.inbox(query)
            while not page.rows:
                page = await people.approvals.inbox(query)
            assert CANARY not in page.rows[0].title
            view = await people.approvals.get(page.rows[0].id, by=BOSS)
            await play(client, people, view)

    asyncio.run(run())


def test_a_form_that_comes_back_as_it_was_shown_changes_nothing(tmp_path: Path) -> None:
    async def play(client: Client, people: Client, view: ApprovalView) -> None:
        fields = {each.name: each.value for each in view.fields()}
        assert CANARY not in str(fields) and HIDDEN in fields["card"]
        changes, errors = view.changes({**fields, "order": "A-2"})
        assert (changes, errors) == ({"order": "A-2"}, {})
        action = Approve(version=view.state.version, changes=changes, digest=view.state.digest)
        await people.approvals.act(view.state.id, action, by=BOSS)

        assert await client.result("case") == {"iban": CANARY, "decided": "Approved"}
        assert await people.result("case") == {"iban": HIDDEN, "decided": "Approved"}
        whole = await client.approvals.get(view.state.id, by=BOSS)
        assert whole.value == {**msgspec.to_builtins(PAYMENT), "order": "A-2"}

    with_people(tmp_path, play)


def test_nobody_sends_back_what_stands_for_a_secret(tmp_path: Path) -> None:
    async def play(client: Client, people: Client, view: ApprovalView) -> None:
        card = {"holder": "Eve", "cvv": HIDDEN}
        action = Approve(version=view.state.version, changes={"card": card})
        with pytest.raises(InvalidPayloadError, match="send only what you change"):
            await people.approvals.act(view.state.id, action, by=BOSS)

        whole = await client.approvals.get(view.state.id, by=BOSS)
        assert whole.state.status == "open" and whole.value["card"]["cvv"] == CANARY

    with_people(tmp_path, play)


def test_what_another_wrote_is_told_to_who_comes_too_late_without_secrets(tmp_path: Path) -> None:
    async def play(client: Client, people: Client, view: ApprovalView) -> None:
        id, version = view.state.id, view.state.version
        said = Reject(version=version, reason=f"my password={CANARY}")
        await people.approvals.act(id, said, by=BOSS)
        await client.result("case")

        with pytest.raises(UpdateConflictError) as late:
            await people.approvals.act(id, Approve(version=version), by=BOSS)

        assert late.value.details["since"] and CANARY not in str(late.value.details)

    with_people(tmp_path, play)


def test_answers_of_an_orchestrator_to_people_are_without_secrets(tmp_path: Path) -> None:
    async def play(client: Client, people: Client, view: ApprovalView) -> None:
        await client.start("talk", id="talk")
        assert (await client.update("talk", "say", "yes"))["iban"] == CANARY
        assert await people.update("talk", "say", "yes") == {"iban": HIDDEN, "order": "A-1"}

        with pytest.raises(UpdateRefusedError) as refused:
            await people.update("talk", "say", "no")
        assert CANARY not in f"{refused.value} {refused.value.details}"

    with_people(tmp_path, play)

"""Approvals on the real engine: what the workflow that asked is told, and what is executed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from adjourn import Approved, Context
from adjourn.errors import (
    ActivityFailedError,
    AdjournError,
    ApprovalRequiredError,
    UpdateConflictError,
    UpdateForbiddenError,
    UpdateInvalidError,
)
from adjourn.model import events
from adjourn.model.actor import Actor
from adjourn.model.approval import Approve, Undo
from adjourn.testing import Sandbox
from tests.approvals.workflows import EVE, IVO, LENA, OMAR, ROBOT, SAM, Refund, World, make_app

UNDO = timedelta(seconds=10)


def opened(box: Sandbox, amount: str = "100") -> str:
    box.start("refund", Decimal(amount), id="case-1")
    return box.inbox("finance").one().id


def test_approved_after_the_undo_window_executes_exactly_the_value_once() -> None:
    world = World()
    with Sandbox(make_app(world)) as box:
        approval_id = opened(box)
        answer = box.inbox("finance").one().approve(by="lena")
        assert answer.status == "approved" and answer.effective_at == box.clock.now() + UNDO
        assert world.refunds == []

        box.advance(UNDO)

        assert box.result("case-1") == "refunded 100"
        assert world.refunds == [(approval_id, "A1", Decimal(100))]
        row = box.inbox_row(approval_id)
        assert row is not None and (row.status, row.execution, row.final) == (
            "approved",
            "done",
            True,
        )


def test_approved_with_changes_executes_the_changed_value() -> None:
    world = World()
    with Sandbox(make_app(world)) as box:
        opened(box)
        box.inbox("finance").one().approve(by="lena", amount="55.50", note="half of it")
        box.advance(UNDO)
        assert box.result("case-1") == "refunded 55.50"
        assert [amount for _, _, amount in world.refunds] == [Decimal("55.50")]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": "900.01"}, "amount"),
        ({"amount": "much"}, "amount"),
        ({"order": "A2"}, "order"),
        ({"payee": "eve"}, "payee"),
        ({"note": "x" * 41}, "note"),
    ],
)
def test_a_change_outside_the_schema_is_refused_and_changes_nothing(
    changes: dict[str, str], field: str
) -> None:
    with Sandbox(make_app(World())) as box:
        approval = box.inbox("finance").one() if opened(box) else None
        assert approval is not None
        before, rows = approval.row, len(box.history(approval.id))

        with pytest.raises(UpdateInvalidError) as refused:
            approval.act(Approve(version=before.version, changes=changes), LENA)

        assert field in refused.value.details["fields"]
        assert approval.row == before
        assert len(box.history(approval.id)) == rows, "a refused update leaves no event"


def test_rejected_and_expired_read_differently() -> None:
    with Sandbox(make_app(World())) as box:
        opened(box)
        box.inbox().one().reject(by=LENA, reason="no receipt")
        box.advance(UNDO)
        assert box.result("case-1") == "rejected: no receipt"
    with Sandbox(make_app(World())) as box:
        opened(box)
        box.advance(days=7)
        assert box.result("case-1") == "expired: nobody decided"


def test_undo_a_millisecond_before_it_takes_effect_and_not_after() -> None:
    for early, late in ((True, False), (False, True)):
        world = World()
        with Sandbox(make_app(world)) as box:
            approval_id = opened(box)
            approval = box.inbox().one()
            seen = approval.approve(by=LENA).version
            box.advance(UNDO - timedelta(milliseconds=1) if early else UNDO)
            if late:
                with pytest.raises(AdjournError):
                    approval.act(Undo(version=seen), LENA)
                assert world.refunds
            else:
                approval.act(Undo(version=seen), LENA)
                box.advance(days=1)
                assert world.refunds == []
                row = box.inbox_row(approval_id)
                assert row is not None and row.status == "open"


@pytest.mark.parametrize(
    ("who", "rule"),
    [
        (SAM, "own_request"),
        (ROBOT, "agent"),
        (IVO, "role"),
        (EVE, "not_addressed"),
        (Actor(id="lena"), "role"),
    ],
)
def test_who_may_not_decide_is_refused_inside_the_engine(who: Actor, rule: str) -> None:
    with Sandbox(make_app(World())) as box:
        opened(box)
        approval = box.inbox().one()
        for version in (approval.row.version, 99):  # authority first: an outsider learns nothing
            with pytest.raises(UpdateForbiddenError) as refused:
                approval.act(Approve(version=version), who)
            assert refused.value.details["rule"] == rule
            assert "version" not in refused.value.details


def test_a_hand_made_update_without_an_identity_is_refused() -> None:
    with Sandbox(make_app(World())) as box:
        approval_id = opened(box)
        with pytest.raises(UpdateForbiddenError):
            box.update(approval_id, "act", {"do": "approve", "version": 1}, update_id="u-1")


def test_quorum_needs_two_different_people() -> None:
    world = World()
    with Sandbox(make_app(world)) as box:
        opened(box, "600")
        approval = box.inbox().one()
        assert approval.approve(by=LENA).status == "open"
        again = Actor(id="lena", groups=["finance"], roles=["approver"], channel="teams")
        with pytest.raises(UpdateForbiddenError) as refused:
            approval.approve(by=again)
        assert refused.value.details["rule"] == "already_voted"
        assert approval.approve(by=OMAR).status == "approved"
        box.advance(UNDO)
        assert box.result("case-1") == "refunded 600"


def test_the_second_decision_is_told_who_and_when() -> None:
    with Sandbox(make_app(World())) as box:
        opened(box)
        approval = box.inbox().one()
        seen = approval.row.version
        approval.act(Approve(version=seen), LENA)
        with pytest.raises(UpdateConflictError) as refused:
            approval.act(Approve(version=seen), OMAR)
        assert refused.value.details["by"] == ["lena"]
        assert refused.value.details["at"].startswith(box.clock.now().isoformat()[:16])


def test_a_repeated_action_gets_its_first_answer() -> None:
    with Sandbox(make_app(World())) as box:
        opened(box)
        approval = box.inbox().one()
        act = Approve(version=approval.row.version)
        first = approval.act(act, LENA, action_id="click-1")
        assert approval.act(act, LENA, action_id="click-1") == first


def test_facts_that_changed_meanwhile_supersede_the_decision() -> None:
    world = World()
    with Sandbox(make_app(world)) as box:
        approval_id = opened(box)
        world.version = 2
        box.inbox().one().approve(by=LENA)
        box.advance(UNDO)
        assert box.result("case-1") == "superseded: 1 is now 2"
        assert world.refunds == []
        row = box.inbox_row(approval_id)
        assert row is not None and (row.status, row.execution) == ("superseded", "none")


def test_a_failed_effect_is_shown_apart_from_the_decision() -> None:
    world = World(fail=True)
    with Sandbox(make_app(world)) as box:
        approval_id = opened(box)
        box.inbox().one().approve(by=LENA)
        box.advance(UNDO)
        row = box.inbox_row(approval_id)
        assert row is not None and (row.status, row.execution) == ("approved", "failed")


@pytest.mark.parametrize("what", ["case", "approval"])
def test_an_instance_that_ends_takes_its_approval_with_it(what: str) -> None:
    with Sandbox(make_app(World())) as box:
        approval_id = opened(box)
        box.terminate("case-1" if what == "case" else approval_id, "not needed")
        assert len(box.inbox()) == 0
        row = box.inbox_row(approval_id)
        assert row is not None and (row.status, row.final) == ("cancelled", True)
        if what == "approval":
            assert "not needed" in box.result("case-1")


def test_ten_days_remind_escalate_and_expire_in_order_once_each() -> None:
    with Sandbox(make_app(World())) as box:
        approval_id = opened(box)
        box.advance(hours=4)
        assert box.inbox_row(approval_id).reminders == 1  # pyright: ignore
        box.advance(days=1)
        row = box.inbox_row(approval_id)
        assert row is not None and (row.reminders, row.escalated) == (2, 1)
        assert "role:lead" in row.to
        lead = Actor(id="boss", roles=["lead"])
        box.inbox().one().claim(by=lead)
        box.advance(days=10)
        row = box.inbox_row(approval_id)
        assert row is not None and (row.reminders, row.escalated, row.status) == (2, 1, "expired")


def test_it_all_holds_with_every_turn_replayed_and_a_crash_between() -> None:
    world = World()
    with Sandbox(make_app(world), cache_size=0) as box:
        opened(box, "600")
        approval = box.inbox().one()
        approval.claim(by=LENA)
        box.crash()
        approval.ask(by=LENA, question="Which item?")
        approval.answer(by=SAM, text="The teapot")
        box.crash()
        approval.approve(by=LENA, amount="550")
        box.crash()
        approval.approve(by=OMAR)
        box.crash()
        box.advance(UNDO)
        assert box.result("case-1") == "refunded 550"
        assert len(world.refunds) == 1


def test_the_plain_form_is_in_the_inbox_while_it_waits() -> None:
    app = make_app(World())

    @app.orchestrator
    async def plain(ctx) -> bool:  # type: ignore[no-untyped-def]
        ctx.set_custom_status("Refund 30 EUR to Ada")
        said = await ctx.wait_for_external_event("Approval", dict)
        return said["approved"]

    with Sandbox(app) as box:
        box.start("plain", id="case-9")
        row = box.inbox().one().row
        assert (row.id, row.title, row.pattern) == ("case-9", "Refund 30 EUR to Ada", "event")
        box.raise_event("case-9", "Approval", {"approved": True})
        assert len(box.inbox()) == 0
        assert box.result("case-9") is True


def test_new_code_deployed_while_it_waits_goes_on_with_the_decision(tmp_path: Path) -> None:
    """Only what comes after the approval has changed, so the history still fits."""
    file = str(tmp_path / "one.db")
    with Sandbox(make_app(World()), file) as box:
        approval_id = opened(box)
    world = World()
    changed = make_app(world, paid="newly refunded")
    with Sandbox(changed, file) as box:
        assert box.inbox("finance").one().id == approval_id
        box.inbox("finance").one().approve(by="lena")
        box.advance(UNDO)
        assert box.result("case-1") == "newly refunded 100"


def test_a_value_that_was_not_approved_is_not_executed() -> None:
    world = World()
    app = make_app(world)

    @app.orchestrator
    async def greedy(ctx: Context) -> str:
        decision = await ctx.approval(
            Refund("A1", Decimal(1)), title="Refund", to="lena", expires="1d", undo="0s"
        )
        assert isinstance(decision, Approved)
        found = []
        for attempt in (
            msgspec.structs.replace(decision, value=Refund("A1", Decimal(999))),
            msgspec.structs.replace(decision, id="other"),
            decision,
            decision,
        ):
            try:
                found.append(await ctx.execute(attempt, "pay"))
            except (ApprovalRequiredError, ActivityFailedError) as refused:
                found.append(type(refused).__name__)
        try:
            ctx.call_activity("pay", Refund("A1", Decimal(999)))
        except ApprovalRequiredError:
            found.append("needs an approval")
        return ", ".join(found)

    with Sandbox(app) as box:
        box.start("greedy", id="case-1")
        box.inbox().one().approve(by=LENA)
        assert box.result("case-1") == (
            "ApprovalRequiredError, ActivityFailedError, refunded 1, ActivityFailedError, "
            "needs an approval"
        )
    assert [amount for _, _, amount in world.refunds] == [Decimal(1)]


def test_two_questions_at_once_are_two_decisions() -> None:
    world = World()
    app = make_app(world)

    @app.orchestrator
    async def both(ctx: Context) -> list[str]:
        asked = [
            ctx.approval(
                Refund(order, Decimal(1)),
                title=f"Refund {order}",
                to="lena",
                expires=None,
                undo="0s",
            )
            for order in ("A1", "A2")
        ]
        decisions = await ctx.when_all(asked)
        return [type(decision).__name__ for decision in decisions]

    with Sandbox(app) as box:
        box.start("both", id="case-1")
        first, second = box.inbox()
        second.reject(by=LENA, reason="no")
        first.approve(by=LENA)
        assert box.result("case-1") == ["Approved", "Rejected"]


@pytest.mark.parametrize(("word", "state"), [("completed", "done"), ("failed", "failed")])
def test_a_crash_inside_the_effect_leaves_it_in_doubt_until_a_person_says(
    word: Literal["completed", "failed"], state: str, tmp_path: Path
) -> None:
    app = make_app(World())

    @app.activity(at_most_once=True, requires_approval=True)
    def wire(refund: Refund) -> str:
        raise AssertionError("the process dies before it runs")

    @app.orchestrator
    async def careful(ctx: Context) -> Any:
        decision = await ctx.approval(
            Refund("A1", Decimal(1)), title="Wire", to="lena", expires=None, undo="0s"
        )
        assert isinstance(decision, Approved)
        return await ctx.execute(decision, wire)

    with Sandbox(app, str(tmp_path / "one.db"), run_activities=False) as box:
        box.start("careful", id="case-1")
        approval = box.inbox().one()
        approval.approve(by=LENA)
        assert approval.row.execution == "running"
        box.crash()
        assert (approval.row.status, approval.row.execution) == ("approved", "unknown")
        assert not box.waiting_activities
        (step,) = [
            entry.event.sequence
            for entry in box.history("case-1")
            if isinstance(entry.event, events.ActivityInDoubt)
        ]
        box.settle("case-1", step, word, by="grace", result="seen on the account")
        assert approval.row.execution == state


@pytest.mark.parametrize(
    "terms",
    [
        {"title": " "},
        {"title": "x" * 301},
        {"to": []},
        {"to": "group:"},
        {"to": [f"person-{number}" for number in range(33)]},
        {"need": 0},
        {"expires": "soon"},
        {"expires": "0s"},
        {"due": "-1h"},
        {"undo": "ten"},
        {"editable": {"colour"}},
        {"requester": "W" * 1_500},
        {"policy": "p" * 201},
        {"evidence": ["text"]},
        {"escalate": {"1d": [f"p{n}" for n in range(30)], "2d": ["a", "b", "c"]}},
        {"id": "a/b"},
    ],
    ids=str,
)
def test_a_question_that_makes_no_sense_is_refused_where_it_is_asked(terms: dict[str, Any]) -> None:
    app = make_app(World())

    @app.orchestrator
    async def ask(ctx: Context) -> str:
        asked = {"title": "Refund", "to": "lena", "expires": "1d", **terms}
        try:
            ctx.approval(Refund("A1", Decimal(1)), **asked)
        except AdjournError as refused:
            return type(refused).__name__
        return "taken"

    with Sandbox(app) as box:
        box.start("ask", id="case-1")
        assert box.result("case-1").startswith(("InvalidApproval", "Serialization", "InvalidId"))
        assert len(box.inbox()) == 0

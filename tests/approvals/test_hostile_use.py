"""What must not go wrong however an approval is used: found by a reader who tried to break it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import wraps
from pathlib import Path
from typing import Any

import msgspec
import pydantic
import pytest

from adjourn import (
    Actor,
    Adjourn,
    Approved,
    Cancelled,
    Context,
    InstanceNotFoundError,
    InvalidApprovalError,
    Status,
    UpdateConflictError,
    UpdateForbiddenError,
    UpdateInvalidError,
    rechecking,
)
from adjourn.approvals import checks
from adjourn.errors import UnknownOrchestratorError
from adjourn.model.approval import AddComment, Approve, Reassign, Reject, Snooze, Undo
from adjourn.testing import Sandbox
from tests.approvals.workflows import EVE, LENA, OMAR, World, make_app

UNDO_OVER = timedelta(seconds=11)
LEAD = Actor(id="sam", groups=["finance"], roles=["approver", "lead"], channel="web")
"""Who asked, and leads."""


class Even(pydantic.BaseModel):
    """Its validator says more than its schema."""

    amount: int

    @pydantic.field_validator("amount")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even")
        return value


@dataclass
class Step:
    amount: int


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**given: Any) -> None:
        asyncio.run(test(**given))

    return run


def asking(proposal: Any, **terms: Any) -> Adjourn:
    """An application that asks just this, and says what came of it."""
    app = Adjourn()

    @app.orchestrator
    async def ask(ctx: Context) -> str:
        told: Any = {"title": "Do it", "to": ["lena", "omar"], "expires": "30d", **terms}
        return type(await ctx.approval(proposal, **told)).__name__

    return app


@in_loop
async def test_an_edit_that_only_its_type_refuses_ends_its_workflow_and_no_engine(
    tmp_path: Path,
) -> None:
    app = asking(Even(amount=2), editable={"amount"}, undo="0s")
    async with app.open(tmp_path / "a.db") as client:
        await client.start("ask", id="poisoned")
        await client.start("ask", id="sound")
        edit = Approve(version=1, changes={"amount": 3})
        await client.approvals.act("poisoned:1:1", edit, by=LENA)
        with pytest.raises(Exception, match="must be even"):
            await client.result("poisoned")
    async with app.open(tmp_path / "a.db") as client:
        await client.approvals.act("sound:1:1", Approve(version=1), by=LENA)
        assert await client.result("sound") == "Approved"


def test_a_snooze_beyond_all_time_is_refused() -> None:
    late = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-12)))
    with Sandbox(asking(Step(1))) as box:
        box.start("ask", id="a")
        asked = box.inbox().one()

        with pytest.raises(UpdateInvalidError, match="too late"):
            asked.act(Snooze(version=1, until=late), LENA)

        assert box.get(asked.id).status is Status.RUNNING


def test_nobody_starts_the_built_in_orchestrator_by_hand() -> None:
    request = {"kind": "x", "title": "Free money", "proposal": {}, "form": {}, "to": ["lena"]}
    with Sandbox(asking(Step(1))) as box:
        with pytest.raises(UnknownOrchestratorError):
            box.start("adjourn.approval", request, id="forged")

        assert len(box.inbox()) == 0


@in_loop
async def test_an_action_on_what_is_no_approval_is_refused_at_once() -> None:
    app = Adjourn()

    @app.orchestrator
    async def idle(ctx: Context) -> None:
        await ctx.wait_for_external_event("Go")

    async with app.open(":memory:") as client:
        await client.start(idle, id="idle")

        with pytest.raises(InstanceNotFoundError):
            await client.approvals.act("idle", Approve(version=1), by=LENA)

        assert "UpdateReceived" not in {
            type(entry.event).__name__ for entry in await client.history("idle")
        }


@in_loop
async def test_an_action_id_is_the_persons_own() -> None:
    app = asking(Step(1), need=2)
    async with app.open(":memory:") as client:
        await client.start("ask", id="a")
        act = client.approvals.act
        first = await act("a:1:1", Approve(version=1), by=LENA, action_id="key-1")
        again = await act("a:1:1", Approve(version=1), by=LENA, action_id="key-1")

        with pytest.raises(UpdateForbiddenError):
            await act("a:1:1", Reject(version=1, reason="mine"), by=EVE, action_id="key-1")
        second = await act("a:1:1", Approve(version=first.version), by=OMAR, action_id="key-1")

        assert first == again and first.votes == 1
        assert second.status == "approved" and second.votes == 2


# The plain form.


def two_questions() -> Adjourn:
    app = Adjourn()

    @app.orchestrator
    async def twice(ctx: Context) -> list[Any]:
        ctx.set_custom_status("Publish the price list?")
        first = await ctx.wait_for_external_event("Approval", dict)
        ctx.set_custom_status("Delete the old customers?")
        return [first, await ctx.wait_for_external_event("Approval", dict)]

    return app


@in_loop
async def test_of_two_clicks_on_one_plain_question_one_counts_and_none_answers_the_next() -> None:
    async with two_questions().open(":memory:") as client:
        await client.start("twice", id="t")
        seen = await client.approvals.row("t", by=LENA)
        assert seen is not None

        answers = await asyncio.gather(
            *(
                client.approvals.decide_event("t", True, by=who, version=seen.version)
                for who in (LENA, OMAR)
            ),
            return_exceptions=True,
        )

        assert sorted(type(answer).__name__ for answer in answers) == ["UpdateConflictError", "str"]
        shown = await client.approvals.row("t", by=LENA)
        assert shown is not None and shown.title == "Delete the old customers?"
        assert shown.version != seen.version


@pytest.mark.parametrize("who", [Actor(id="", roles=["approver"]), Actor(id="eve")])
@in_loop
async def test_who_may_decide_nothing_answers_no_plain_question(who: Actor) -> None:
    async with two_questions().open(":memory:") as client:
        await client.start("twice", id="t")
        seen = await client.approvals.row("t", by=LENA)
        assert seen is not None

        with pytest.raises(UpdateForbiddenError):
            await client.approvals.decide_event("t", True, by=who, version=seen.version)


def test_a_plain_question_is_as_old_as_its_wait() -> None:
    with Sandbox(two_questions()) as box:
        box.start("twice", id="t")
        box.advance(days=3)
        box.raise_event("t", "Approval", {}, event_id="e1")

        assert box.inbox().one().row.opened_at == box.clock.now()


def test_an_update_called_approval_is_no_plain_question() -> None:
    app = Adjourn()

    @app.orchestrator
    async def updated(ctx: Context) -> None:
        (await ctx.wait_for_update("Approval")).accept()

    with Sandbox(app) as box:
        box.start(updated, id="u")

        assert len(box.inbox()) == 0


# Waiting cases under new code.


@dataclass
class Priced:
    """An amount."""

    amount: int


def test_other_words_of_a_question_do_not_stop_the_one_that_waits(tmp_path: Path) -> None:
    file = str(tmp_path / "a.db")
    with Sandbox(asking(Priced(1), title="Pay 1"), file) as box:
        box.start("ask", id="a")

    @dataclass
    class Renamed:
        """An amount, said in other words."""

        amount: int

    Renamed.__name__ = Renamed.__qualname__ = "Priced"
    with Sandbox(asking(Renamed(1), title="Please pay 1"), file, cache_size=0) as box:
        box.inbox().one().approve(by="lena")
        box.advance(UNDO_OVER)
        assert box.result("a") == "Approved"


def test_another_amount_does_stop_it(tmp_path: Path) -> None:
    file = str(tmp_path / "a.db")
    with Sandbox(asking(Priced(1)), file) as box:
        box.start("ask", id="a")
    with Sandbox(asking(Priced(2)), file, cache_size=0) as box:
        box.inbox().one().approve(by="lena")
        box.advance(UNDO_OVER)
        assert box.get("a").status is Status.QUARANTINED


def test_what_was_taken_stays_taken_however_strict_the_validator_has_become(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(tmp_path / "a.db")
    with Sandbox(asking(Step(1), editable={"amount"}), file) as box:
        box.start("ask", id="a")
        box.inbox().one().approve(by="lena", comment="long enough", amount=2)
    monkeypatch.setattr(checks, "TEXT_LIMIT", 3)
    with Sandbox(asking(Step(1), editable={"amount"}), file, cache_size=0) as box:
        box.advance(UNDO_OVER)
        assert box.result("a") == "Approved"


# Limits, and what is asked wrongly.


@pytest.mark.slow
def test_comments_without_end_leave_it_decidable() -> None:
    with Sandbox(asking(Step(1))) as box:
        box.start("ask", id="a")
        asked = box.inbox().one()
        with pytest.raises(UpdateConflictError, match="decide or cancel"):
            for _ in range(2 * checks.CHANGES_LIMIT):
                asked.act(AddComment(version=1, text="again"), LENA)
        asked.approve(by="lena")
        box.advance(UNDO_OVER)

        assert box.result("a") == "Approved"


@pytest.mark.parametrize(
    "terms",
    [
        {"risk": "urgent"},
        {"need": 1.5},
        {"need": 100},
        {"auto": lambda proposal: True},
        {"reversible": "no"},
        {"to": "role:manager"},
        {"to": "group:finänce"},
        {"expires": None, "remind": None, "escalate": {}},
        {"expires": 30},
        {"undo": 0},
    ],
)
def test_terms_that_nobody_could_ever_answer_are_refused_where_they_are_asked(
    terms: dict[str, Any],
) -> None:
    with Sandbox(asking(Step(1), **terms)) as box:
        box.start("ask", id="a")
        state = box.get("a")

        assert state.status is Status.FAILED and state.failure is not None
        assert state.failure.type.endswith(InvalidApprovalError.__name__)


def test_terms_that_nobody_said_are_named() -> None:
    app = Adjourn()

    @app.orchestrator
    async def ask(ctx: Context, what: str) -> None:
        untyped: Any = ctx
        await untyped.approval({"what": what}, title="Do it")

    with Sandbox(app) as box:
        box.start(ask, "it", id="a")
        failure = box.get("a").failure

        assert failure is not None and failure.type.endswith(InvalidApprovalError.__name__)
        assert failure.message.startswith("to= and expires= must be said")


def test_an_input_that_its_orchestrator_cannot_read_fails_it_and_says_so() -> None:
    app = Adjourn()

    @app.orchestrator
    async def strict(ctx: Context, amount: int) -> int:
        return amount

    @app.orchestrator
    async def loose(ctx: Context, amount: Any) -> None:
        await ctx.wait_for_external_event("Go")

    with Sandbox(app) as box:
        box.start(loose, "much", id="a", start_at=box.clock.now() + timedelta(hours=1))
        app.orchestrators["loose"] = app.orchestrators["strict"]
        box.advance(hours=2)

        assert box.get("a").status is Status.FAILED


def test_a_field_that_the_value_leaves_out_may_be_edited() -> None:
    class Sparse(msgspec.Struct, omit_defaults=True):
        amount: int
        note: str = ""

    with Sandbox(asking(Sparse(amount=1), editable={"note"})) as box:
        box.start("ask", id="a")
        box.inbox().one().approve(by="lena", note="now there is one")
        box.advance(UNDO_OVER)

        assert box.result("a") == "Approved"


# Authority.


def asked_by_its_lead() -> Adjourn:
    return asking(Step(1), to=["lena", "omar", "sam"], requester="sam")


def test_who_asks_and_leads_chooses_no_decider_and_takes_no_rejection_back() -> None:
    with Sandbox(asked_by_its_lead()) as box:
        box.start("ask", id="a")
        asked = box.inbox().one()
        with pytest.raises(UpdateForbiddenError, match="own request"):
            asked.act(Reassign(version=1, to=["buddy"]), LEAD)
        claimed = asked.claim(by=LENA)
        with pytest.raises(UpdateForbiddenError, match="own request"):
            asked.unclaim(by=LEAD)
        rejected = asked.act(Reject(version=claimed.version, reason="No."), LENA)
        with pytest.raises(UpdateForbiddenError, match="own request"):
            asked.act(Undo(version=rejected.version), LEAD)
        box.advance(UNDO_OVER)

        assert box.result("a") == "Rejected"


def test_who_has_voted_does_not_keep_the_next_one_out() -> None:
    with Sandbox(asking(Step(1), need=2)) as box:
        box.start("ask", id="a")
        asked = box.inbox().one()
        asked.approve(by="lena")
        with pytest.raises(UpdateForbiddenError, match="already"):
            asked.claim(by="lena")
        asked.approve(by="omar")
        box.advance(UNDO_OVER)

        assert box.result("a") == "Approved"


# Effects, and ends.


def test_an_approval_whose_effect_nobody_starts_is_not_queued_for_ever() -> None:
    with Sandbox(asking(Step(1))) as box:
        box.start("ask", id="a")
        asked = box.inbox().one()
        asked.approve(by="lena")
        box.advance(UNDO_OVER)

        assert box.result("a") == "Approved"
        assert asked.row.execution == "none"


@pytest.mark.slow
def test_the_same_person_in_two_handles_votes_twice_in_the_sandbox_too() -> None:
    for _ in range(30):  # ids of freed objects are used again, now and then
        with Sandbox(asking(Step(1), need=2)) as box:
            box.start("ask", id="a")
            assert box.inbox().one().approve(by="lena").votes == 1
            assert box.inbox().one().approve(by="omar").votes == 2


@pytest.mark.parametrize("cache_size", [0, 100])
def test_why_it_was_terminated_is_told_whatever_is_in_memory(cache_size: int) -> None:
    with Sandbox(make_app(World()), cache_size=cache_size) as box:
        box.start("refund", "100", id="case")
        id = box.inbox().one().id
        box.terminate("case", "the customer has died")

        ended = box.history(id)[-1].event
        assert "the customer has died" in str(getattr(ended, "reason", ""))


def slow_recheck() -> Adjourn:
    app = Adjourn()

    @app.activity
    def look() -> int:
        return 1

    @app.orchestrator
    async def ask(ctx: Context) -> str:
        decision = await ctx.approval(
            Step(1), title="Do it", to=["lena"], expires="30d", recheck=rechecking(look)
        )
        match decision:
            case Approved():
                return "approved"
            case Cancelled(reason=reason):
                return f"cancelled: {reason}"
            case _:
                return "another"

    return app


def test_while_its_facts_are_looked_up_people_are_refused_and_nobody_hangs() -> None:
    with Sandbox(slow_recheck(), run_activities=False) as box:
        box.start("ask", id="a")
        asked = box.inbox().one()
        with pytest.raises(UpdateConflictError, match="looked up"):
            asked.approve(by="lena")
        with pytest.raises(UpdateForbiddenError):
            asked.approve(by=EVE)
        box.run_next_activity()
        asked.approve(by="lena")
        box.advance(UNDO_OVER)
        with pytest.raises(UpdateConflictError, match="Already approved"):
            asked.reject(by="lena", reason="too late")
        box.run_next_activity()

        assert box.result("a") == "approved"


def test_terminated_while_it_is_rechecked_it_was_not_approved() -> None:
    with Sandbox(slow_recheck(), run_activities=False) as box:
        box.start("ask", id="a")
        box.run_next_activity()
        asked = box.inbox().one()
        asked.approve(by="lena")
        box.advance(UNDO_OVER)
        box.terminate(asked.id, "by an operator")

        assert box.result("a") == "cancelled: Instance 'a:1:1' was terminated: by an operator"
        assert asked.row.status == "cancelled"

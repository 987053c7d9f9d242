"""What asks for a recent sign-in: whoever approves it has proved lately who they are."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from adjourn import Adjourn, Approved, Context, UpdateForbiddenError, group
from adjourn.approvals import machine
from adjourn.approvals.authority import RULES
from adjourn.authoring.approval import request_of
from adjourn.errors import InvalidApprovalError, Refusal
from adjourn.model.actor import Absent, Actor
from adjourn.model.approval import Approve, Claim, Reassign, Reject, Undo
from adjourn.testing import Sandbox
from tests.approvals.desk import LENA, OMAR, REFUND, Desk, at

FIVE_MINUTES = 300.0


def lately(actor: Actor, signed_in: float) -> Actor:
    """Who signed in so many seconds after the opening."""
    return replace(actor, signed_in_at=at(signed_in))


@pytest.mark.parametrize(
    ("signed_in", "acts"),
    [(0, 0), (0, 300), (0, 299.999), (-300, 0), (250, 300), (400, 100.5)],
)
def test_a_sign_in_within_the_span_approves(signed_in: float, acts: float) -> None:
    desk = Desk(fresh_sign_in=FIVE_MINUTES)

    desk.act(lately(LENA, signed_in), Approve, after=acts)

    assert desk.state.status == "approved"


@pytest.mark.parametrize(
    ("signed_in_at", "acts"),
    [
        (None, 1),
        (at(0), 300.000_001),
        (at(-299), 2),
        (at(-86_400), 1),
        (datetime.min.replace(tzinfo=at(0).tzinfo), 1),
        (at(302), 1),
        (datetime.max.replace(tzinfo=at(0).tzinfo), 1),
    ],
    ids=[
        "never",
        "a moment late",
        "before it opened",
        "yesterday",
        "long ago",
        "ahead",
        "for ever",
    ],
)
def test_any_other_does_not(signed_in_at: datetime | None, acts: float) -> None:
    desk = Desk(fresh_sign_in=FIVE_MINUTES)
    lena = replace(LENA, signed_in_at=signed_in_at)

    refusal = desk.refused(lena, Approve, after=acts)

    assert refusal.kind == "forbidden" and refusal.reason == RULES["stale_sign_in"]
    assert refusal.details == {"rule": "stale_sign_in", "within": FIVE_MINUTES}
    # Signing in again is all that is missing, so the page goes on to offer it.
    assert "approve" in machine.allowed(desk.request, desk.state, lena, at(acts))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [(Claim, {}), (Reject, {"reason": "no"}), (Reassign, {"to": ["group:support"]})],
    ids=["claim", "reject", "reassign"],
)
def test_only_an_approval_asks_for_it(kind: Any, fields: dict[str, Any]) -> None:
    Desk(fresh_sign_in=FIVE_MINUTES).act(LENA, kind, **fields)


def test_taking_a_decision_back_asks_for_nothing() -> None:
    desk = Desk(fresh_sign_in=FIVE_MINUTES)
    desk.act(lately(LENA, 0), Approve)

    desk.act(LENA, Undo, after=5)

    assert desk.state.status == "open"


def test_every_vote_asks_for_it() -> None:
    desk = Desk(fresh_sign_in=FIVE_MINUTES, need=2)
    desk.act(lately(LENA, 0), Approve)

    assert desk.refused(OMAR, Approve).details["rule"] == "stale_sign_in"
    assert len(desk.state.votes) == 1


def test_everything_else_is_said_first_so_that_signing_in_again_leads_somewhere() -> None:
    desk = Desk(fresh_sign_in=FIVE_MINUTES)

    assert desk.refused(replace(LENA, groups=[]), Approve).details == {"rule": "not_addressed"}
    assert desk.refused(LENA, Approve, version=7).kind == "conflict"
    assert desk.refused(LENA, Approve, changes={"amount": "9999"}).kind == "invalid"
    assert desk.refused(LENA, Approve).details["rule"] == "stale_sign_in"


def test_a_delegate_signs_in_as_themself() -> None:
    desk = Desk(fresh_sign_in=FIVE_MINUTES)
    tess = replace(
        LENA,
        id="tess",
        groups=[],
        stands_in_for=[Absent(id="lena", groups=["finance"], roles=["approver"])],
    )
    assert desk.refused(tess, Approve).details["rule"] == "stale_sign_in"

    desk.act(lately(tess, 0), Approve)

    assert desk.state.votes[0].through == "lena"


def test_what_was_taken_once_is_not_asked_about_again() -> None:
    """A replay reads what was done; whether it would be taken today is not its question."""
    desk = Desk(fresh_sign_in=FIVE_MINUTES)
    action = Approve(version=1)

    with pytest.raises(Refusal):
        machine.act(desk.request, desk.state, action, LENA, at(1))
    state, _ = machine.act(desk.request, desk.state, action, LENA, at(1), read=True)

    assert state.status == "approved"


# The term.


def terms(**more: Any) -> Any:
    return {"title": "Refund", "to": group("finance"), "expires": "7d", **more}


@pytest.mark.parametrize(
    ("span", "seconds"), [("5m", 300.0), ("30s", 30.0), (timedelta(hours=1), 3600.0)]
)
def test_the_term_is_a_span(span: Any, seconds: float) -> None:
    text = request_of(REFUND, terms(fresh_sign_in=span))

    assert msgspec.json.decode(text)["fresh_sign_in"] == seconds


@pytest.mark.parametrize("span", ["0s", "5 minutes", "-5m", "", timedelta(0), timedelta(-1)])
def test_what_is_no_span_is_refused(span: Any) -> None:
    with pytest.raises(InvalidApprovalError, match="fresh_sign_in="):
        request_of(REFUND, terms(fresh_sign_in=span))


def test_without_it_the_request_is_written_as_before_there_was_such_a_term() -> None:
    """Its digest is compared on replay."""
    before = request_of(REFUND, terms())

    assert b"fresh_sign_in" not in bytes(before)
    assert bytes(request_of(REFUND, terms(fresh_sign_in=None))) == bytes(before)


# In an engine.


def test_an_engine_asks_at_the_door_and_replays_what_it_took() -> None:
    app = Adjourn()

    @app.orchestrator
    async def refund(ctx: Context, _: None) -> list[str]:
        decision = await ctx.approval(REFUND, **terms(fresh_sign_in="5m", need=2))
        assert isinstance(decision, Approved)
        return decision.by

    with Sandbox(app) as box:
        box.start(refund, id="R-1")
        (asked,) = box.inbox("finance")
        box.advance(hours=1)
        stale = replace(LENA, signed_in_at=box.now - timedelta(minutes=6))
        for actor in (LENA, stale):
            with pytest.raises(UpdateForbiddenError, match="sign-in is too long ago") as refused:
                asked.approve(by=actor)
            assert refused.value.details == {"rule": "stale_sign_in", "within": 300.0}
        before = len(box.history(asked.id))

        asked.approve(by=replace(LENA, signed_in_at=box.now - timedelta(minutes=4)))
        box.advance(hours=1)
        box.crash()
        asked.approve(by="omar")  # whom the sandbox takes for somebody who has just signed in
        box.advance(seconds=10)
        box.crash()

        assert box.result("R-1") == ["lena", "omar"]
        assert len(box.history(asked.id)) > before

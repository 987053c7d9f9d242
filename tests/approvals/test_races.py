"""Many decide at once, and one wins: whatever the order, and wherever the process dies."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adjourn.engine.messages import Outcome, SendUpdate
from adjourn.errors import AdjournError, UpdateConflictError, UpdateRefusedError
from adjourn.model import codec
from adjourn.model.actor import Actor
from adjourn.model.approval import ACT, Action, Answer, Approve, Reject
from adjourn.testing import CRASH_POINTS, CrashPoint, Sandbox
from adjourn.testing.inbox import SandboxApproval
from tests.approvals.workflows import LENA, OMAR, Refund, World, make_app

UNDO = timedelta(seconds=10)
EXPIRY = timedelta(days=7)


def approver(number: int) -> Actor:
    return Actor(id=f"person-{number}", groups=["finance"], roles=["approver"])


def test_of_200_decisions_at_once_exactly_one_wins_and_is_executed_once() -> None:
    world = World()
    app = make_app(world)

    @app.orchestrator
    async def quick(ctx: Any) -> str:
        decision = await ctx.approval(
            Refund("A1", Decimal(1)),
            title="Refund",
            to="group:finance",
            expires="1d",
            undo="0s",
            id="the-one",
        )
        return await ctx.execute(decision, "pay")

    async def main() -> None:
        async with app.open(":memory:") as client:
            run = await client.start(quick, id="case-1")
            decisions: list[Action] = [
                Approve(version=1) if number % 2 == 0 else Approve(version=1, comment="yes")
                for number in range(200)
            ]
            said = await asyncio.gather(
                *(
                    client.approvals.act("the-one", decision, by=approver(number))
                    for number, decision in enumerate(decisions)
                ),
                return_exceptions=True,
            )
            assert Counter(type(each).__name__ for each in said) == {
                "Answer": 1,
                "UpdateConflictError": 199,
            }
            winner = next(n for n, each in enumerate(said) if not isinstance(each, Exception))
            for each in said:
                if isinstance(each, UpdateConflictError):
                    assert each.details["by"] == [f"person-{winner}"]
            assert await run.result() == "refunded 1"

    asyncio.run(main())
    assert len(world.refunds) == 1


class _Heard:
    """What each message was answered."""

    def __init__(self) -> None:
        self.outcomes: dict[int, Exception | None] = {}

    def deliver(self, outcomes: Sequence[Outcome]) -> None:
        for ticket, _, error in outcomes:
            self.outcomes[ticket] = error

    def wants(self, ticket: int) -> bool:
        return True


class RaceBox(Sandbox):
    """A sandbox that hands several decisions over in one step."""

    def race(self, id: str, decisions: Sequence[tuple[Action, Actor]]) -> list[Exception | None]:
        heard = _Heard()
        for ticket, (action, by) in enumerate(decisions):
            self._engine.submit(
                SendUpdate(
                    id=id,
                    name=ACT,
                    data=codec.encode(action),
                    update_id=f"race-{ticket}",
                    by=by,
                    reply=(heard, ticket),
                )
            )
        self._here(self._run)
        return [heard.outcomes[ticket] for ticket in range(len(decisions))]


@pytest.mark.slow
@pytest.mark.parametrize("group", range(10))
def test_approve_reject_and_expiry_race_over_10_000_seeds_and_one_wins(group: int) -> None:
    world = World()
    app = make_app(world)
    won: Counter[str] = Counter()
    for block in range(20):
        with RaceBox(app) as box:
            for seed in range(50):
                won[
                    _race(box, world, random.Random(f"{group}/{block}/{seed}"), f"case-{seed}")
                ] += 1
    assert sum(won.values()) == 1_000
    assert set(won) == {"approved", "rejected", "expired"}, won


def _race(box: RaceBox, world: World, dice: random.Random, case: str) -> str:
    """One approval, decided around the moment at which it expires; who won."""
    paid = len(world.refunds)
    box.start("refund", Decimal(100), id=case)
    approval_id = next(each.id for each in box.inbox() if each.row.case == case)
    box.advance(EXPIRY - timedelta(milliseconds=dice.choice([2, 1, 0])))
    decisions: list[tuple[Action, Actor]] = [
        (Approve(version=1), LENA),
        (Reject(version=1, reason="no"), OMAR),
        (Approve(version=1, changes={"amount": "50"}), OMAR),
    ]
    dice.shuffle(decisions)
    answers = box.race(approval_id, decisions[: dice.randint(1, 3)])
    accepted = [answer for answer in answers if answer is None]
    assert all(isinstance(answer, AdjournError) for answer in answers if answer is not None)
    box.advance(UNDO)
    row = box.inbox_row(approval_id)
    assert row is not None and row.final
    assert len(accepted) == (row.status != "expired")
    assert len(world.refunds) - paid == (row.status == "approved")
    return row.status


def _until_acknowledged(approval: SandboxApproval, decision: Action) -> Answer:
    """Sent again, with its id, for as long as the engine dies before it answers."""
    for _ in range(5):
        try:
            return approval.act(decision, LENA, action_id="click-1")
        except UpdateRefusedError:
            raise
        except AdjournError:
            pass
    raise AssertionError("never acknowledged")


@pytest.mark.parametrize("point", CRASH_POINTS)
@pytest.mark.parametrize("nth", [1, 2])
def test_a_decision_survives_a_crash_at_every_point(
    point: CrashPoint, nth: int, tmp_path: Path
) -> None:
    """Not acknowledged, or applied exactly once: the repeat with its id tells which, and agrees."""
    world = World()
    with Sandbox(make_app(world), str(tmp_path / "one.db")) as box:
        box.start("refund", Decimal(100), id="case-1")
        approval = box.inbox().one()
        decision = Approve(version=approval.row.version)
        box.crash_at(point, nth)
        first = _until_acknowledged(approval, decision)
        again = _until_acknowledged(approval, decision)
        assert first == again
        with pytest.raises(UpdateConflictError):
            approval.act(decision, OMAR)
        box.advance(UNDO)
        box.advance(UNDO)
        assert box.result("case-1") == "refunded 100"
        assert len({key for key, _, _ in world.refunds}) == 1
        history = [entry.event for entry in box.history(approval.id)]
        assert sum(type(event).__name__ == "UpdateReceived" for event in history) == 1

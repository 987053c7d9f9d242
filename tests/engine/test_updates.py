"""Updates: answered by the orchestrator, once by update id."""

from __future__ import annotations

import pytest

from adjourn import (
    Adjourn,
    AdjournError,
    Context,
    InstanceFinishedError,
    InvalidPayloadError,
    UpdateRefusedError,
    WrongStateError,
)
from adjourn.testing import Sandbox

app = Adjourn()


@app.orchestrator
async def auction(ctx: Context, bids_wanted: int) -> int:
    """Accepts each bid that is higher than the last."""
    highest = 0
    while bids_wanted:
        bid = await ctx.wait_for_update("bid", int)
        if bid.value <= highest:
            bid.refuse(f"{bid.value} is not more than {highest}")
        else:
            highest = bid.value
            bids_wanted -= 1
            bid.accept({"highest": highest})
    return highest


@app.orchestrator
async def never_answers(ctx: Context) -> str:
    await ctx.wait_for_update("question", str)
    await ctx.wait_for_external_event("End")
    return "ended"


@app.orchestrator
async def answers_the_successor(ctx: Context, round: int) -> str:
    if round == 0:
        await ctx.wait_for_external_event("Next")
        ctx.continue_as_new(1)
    request = await ctx.wait_for_update("question", str)
    request.accept(f"round {round}")
    return request.value


def test_the_caller_gets_the_orchestrators_answer():
    with Sandbox(app) as box:
        run = box.start(auction, 2, id="a")

        assert box.update("a", "bid", 5, update_id="u1") == {"highest": 5}
        with pytest.raises(UpdateRefusedError, match="3 is not more than 5"):
            box.update("a", "bid", 3, update_id="u2")
        assert box.update("a", "bid", 8, update_id="u3") == {"highest": 8}
        assert run.result == 8


def test_a_repeated_update_id_gets_the_first_answer_even_after_a_crash_and_the_end():
    with Sandbox(app) as box:
        run = box.start(auction, 1, id="a")
        for _ in range(2):
            with pytest.raises(UpdateRefusedError, match="0 is not more than 0"):
                box.update("a", "bid", 0, update_id="low")
            box.crash()
        assert box.update("a", "bid", 5, update_id="high") == {"highest": 5}
        assert run.status == "Completed"

        assert box.update("a", "bid", 5, update_id="high") == {"highest": 5}
        assert run.kinds.count("UpdateReceived") == 2


def test_a_body_that_does_not_fit_leaves_no_event():
    with Sandbox(app) as box:
        run = box.start(auction, 1, id="a")
        before = run.kinds

        with pytest.raises(InvalidPayloadError, match="int"):
            box.update("a", "bid", "a lot", update_id="u1")

        assert run.kinds == before


def test_a_suspended_instance_refuses_updates_since_it_could_not_answer():
    with Sandbox(app) as box:
        box.start(auction, 1, id="a")
        box.suspend("a")

        with pytest.raises(WrongStateError, match="Suspended"):
            box.update("a", "bid", 5, update_id="u1")


def test_an_update_without_an_answer_learns_that_the_instance_has_ended():
    with Sandbox(app) as box:
        box.start(never_answers, id="n")
        with pytest.raises(AdjournError, match="Nobody has answered"):
            box.update("n", "question", "?", update_id="u1")
        box.raise_event("n", "End")

        with pytest.raises(InstanceFinishedError):
            box.update("n", "question", "?", update_id="u1")


def test_an_update_that_nothing_consumed_crosses_continue_as_new():
    with Sandbox(app) as box:
        run = box.start(answers_the_successor, 0, id="s")
        with pytest.raises(AdjournError, match="Nobody has answered"):
            box.update("s", "question", "why", update_id="u1")

        box.raise_event("s", "Next")

        assert run.result == "why"
        assert box.update("s", "question", "why", update_id="u1") == "round 1"

"""Code that no longer fits a history stops that instance, says why, and loses nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from adjourn import Adjourn, Context, RetryPolicy
from adjourn.testing import Sandbox

effects: list[str] = []


def first_version() -> Adjourn:
    app = Adjourn()

    @app.activity
    def reserve(order: str) -> str:
        effects.append(f"reserve {order}")
        return order

    @app.activity
    def pay(order: str) -> str:
        effects.append(f"pay {order}")
        return order

    @app.orchestrator
    async def buy(ctx: Context, order: str) -> str:
        await ctx.call_activity(reserve, order)
        await ctx.wait_for_external_event("Go")
        return await ctx.call_activity(pay, order)

    return app


def broken_version() -> Adjourn:
    app = Adjourn()

    @app.activity
    def pay(order: str) -> str:
        effects.append(f"pay {order}")
        return order

    @app.orchestrator
    async def buy(ctx: Context, order: str) -> str:
        await ctx.call_activity(pay, order)
        await ctx.wait_for_external_event("Go")
        return order

    return app


def spinning_version() -> Adjourn:
    app = first_version()
    del app.orchestrators["buy"]

    @app.orchestrator
    async def buy(ctx: Context, order: str) -> str:
        await ctx.call_activity("reserve", order)
        await ctx.wait_for_external_event("Go")
        while True:
            ctx.create_timer(timedelta(days=1))

    return app


def test_changed_code_is_quarantined_with_an_explanation_and_the_right_code_resumes(
    tmp_path: Path,
):
    effects.clear()
    file = str(tmp_path / "shop.db")
    with Sandbox(first_version(), file) as box:
        box.start("buy", "A-1", id="order")

    with Sandbox(broken_version(), file) as box:
        assert box.raise_event("order", "Go", event_id="go") == "accepted"
        state = box.get("order")
        assert state.status == "Quarantined"
        assert "asked for activity 'pay' as step 1" in str(state.problem)
        assert "history has ActivityScheduled sequence=1 name=reserve" in str(state.problem)
        assert "test_quarantine.py:" in str(state.problem)
        assert effects == ["reserve A-1"]

    with Sandbox(first_version(), file) as box:
        assert box.result("order") == "A-1"
        assert effects == ["reserve A-1", "pay A-1"]
        assert box.raise_event("order", "Go", event_id="go") == "duplicate"


def test_an_orchestrator_that_is_not_registered_any_more_is_quarantined(tmp_path: Path):
    file = str(tmp_path / "shop.db")
    with Sandbox(first_version(), file) as box:
        box.start("buy", "A-1", id="order")

    with Sandbox(Adjourn(), file) as box:
        box.raise_event("order", "Go")
        assert box.get("order").status == "Quarantined"
        assert "No orchestrator is called 'buy'" in str(box.get("order").problem)

    with Sandbox(first_version(), file) as box:
        assert box.result("order") == "A-1"


def test_a_turn_that_never_ends_is_quarantined_and_the_others_live_on(tmp_path: Path):
    file = str(tmp_path / "shop.db")
    with Sandbox(first_version(), file) as box:
        box.start("buy", "A-1", id="order")

    with Sandbox(spinning_version(), file) as box:
        box.raise_event("order", "Go")
        assert box.get("order").status == "Quarantined"
        assert "does not stop" in str(box.get("order").problem)
        assert [type(e.event).__name__ for e in box.history("order")][-1] == "ExternalEventReceived"

    with Sandbox(first_version(), file) as box:
        assert box.result("order") == "A-1"


def test_a_quarantined_instance_can_be_terminated(tmp_path: Path):
    file = str(tmp_path / "shop.db")
    with Sandbox(first_version(), file) as box:
        box.start("buy", "A-1", id="order")
    with Sandbox(broken_version(), file) as box:
        box.raise_event("order", "Go")

        box.terminate("order", "given up")

        state: Any = box.get("order")
        assert (state.status, state.problem) == ("Terminated", None)


def test_functions_of_another_app_fail_the_instance_and_not_the_engine():
    app, other = first_version(), Adjourn()

    @other.activity
    def foreign() -> None: ...

    @other.orchestrator
    async def foreign_child(ctx: Context) -> None: ...

    @app.orchestrator
    async def borrows(ctx: Context, what: str) -> None:
        if what == "activity":
            await ctx.call_activity(foreign)
        await ctx.call_sub_orchestration(foreign_child)

    with Sandbox(app) as box:
        for what in ("activity", "child"):
            box.start("borrows", what, id=what)
            failure: Any = box.get(what).failure
            assert failure.type.startswith("adjourn.errors.Unknown")


def test_a_retry_whose_activity_is_gone_is_quarantined_and_goes_on_when_it_is_back(
    tmp_path: Path,
):
    def version(*, whole: bool) -> Adjourn:
        app = Adjourn()

        async def pay(order: str) -> str:
            attempts.append(order)
            if len(attempts) == 1:
                raise ConnectionError("not now")
            return order

        if whole:
            tries = RetryPolicy(max_number_of_attempts=3, first_retry_interval=timedelta(hours=1))
            app.activity(retry=tries)(pay)

        @app.orchestrator
        async def buy(ctx: Context, order: str) -> str:
            return await ctx.call_activity("pay", order)

        return app

    attempts: list[str] = []
    file = str(tmp_path / "shop.db")
    with Sandbox(version(whole=True), file) as box:
        box.start("buy", "A-1", id="order")
        moment = box.clock.now()
    with Sandbox(version(whole=False), file, start=moment) as box:
        box.advance(hours=2)
        assert "No activity is called 'pay'" in str(box.get("order").problem)
        moment = box.clock.now()
    with Sandbox(version(whole=True), file, start=moment) as box:
        assert box.result("order") == "A-1"
    assert attempts == ["A-1", "A-1"]


def test_what_a_repaired_instance_shows_is_what_its_code_says_now(tmp_path: Path):
    def version(*, whole: bool) -> Adjourn:
        app = Adjourn()

        @app.orchestrator(name="shows")
        async def shows(ctx: Context) -> None:
            if not whole:
                ctx.create_timer(timedelta(days=1))
            await ctx.wait_for_external_event("x")
            ctx.set_attributes(stage="second")
            ctx.set_custom_status("half way")
            await ctx.wait_for_external_event("y")

        return app

    file = str(tmp_path / "shows.db")
    with Sandbox(version(whole=True), file) as box:
        box.start("shows", id="s")
    with Sandbox(version(whole=False), file) as box:
        box.raise_event("s", "x")
        assert box.get("s").status == "Quarantined"
    with Sandbox(version(whole=True), file) as box:
        state: Any = box.get("s")
        assert state.waiting_for == ["y"]
        assert (state.attributes, bytes(state.custom_status)) == (
            {"stage": "second"},
            b'"half way"',
        )

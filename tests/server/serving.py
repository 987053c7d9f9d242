"""A real server on a real loopback socket over a real file, and the functions that it serves."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from adjourn import Adjourn, Context, NonRetryableError
from adjourn.approvals.people import Authenticator
from adjourn.dashboard import create_dashboard
from adjourn.server import Server, create_app, listen
from adjourn.server.listening import address_of

START_SECONDS = 10


@dataclass
class Approval:
    approved: bool


def make_app() -> Adjourn:
    app = Adjourn()

    @app.activity
    async def double(n: int) -> int:
        return n * 2

    @app.activity
    async def break_down(what: str) -> None:
        raise NonRetryableError(f"{what} is broken")

    @app.orchestrator
    async def approve(ctx: Context, case: dict[str, Any]) -> str:
        ctx.set_attributes(customer="ann", amount=12)
        ctx.set_custom_status({"step": "waiting"})
        approval = ctx.wait_for_external_event("Approval", Approval)
        timeout = ctx.create_timer(timedelta(days=7))
        await ctx.when_any(approval, timeout)
        return "approved" if approval.result().approved else "rejected"

    @app.orchestrator(name="E1_HelloSequence")
    async def hello(ctx: Context, n: int) -> int:
        return await ctx.call_activity(double, n)

    @app.orchestrator
    async def pass_on(ctx: Context, id: str) -> None:
        ctx.start(hello, 4, id=id)
        ctx.raise_event(id, "Hurry", {"please": True})

    @app.orchestrator
    async def fail(ctx: Context, what: str) -> None:
        await ctx.call_activity(break_down, what)

    @app.orchestrator
    async def counter(ctx: Context, start: int) -> int:
        total = start
        while total < 100:
            update = await ctx.wait_for_update("add", int)
            if update.value < 0:
                update.refuse("only up")
            else:
                total += update.value
                update.accept(total)
        return total

    @app.orchestrator
    async def slow_to_answer(ctx: Context, _: Any) -> None:
        update = await ctx.wait_for_update("ask")
        await ctx.wait_for_external_event("Now")
        update.accept("at last")

    @app.orchestrator
    async def any_event(ctx: Context, name: str) -> Any:
        return await ctx.wait_for_external_event(name)

    return app


class Serving:
    """One server in a thread, with its engine."""

    def __init__(
        self,
        path: Path,
        app: Adjourn | None = None,
        people: Authenticator | None = None,
        *,
        pages: bool = False,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """With `pages`, the dashboard is mounted as `adjourn run` does it."""
        self.path = path
        self.app = app or make_app()
        self._listener = listen("127.0.0.1", 0)
        self.address = address_of(self._listener)
        self._client = self.app.open(path)
        self._ready = threading.Event()
        self.site = create_app(self._client, people)
        self.dashboard = None
        if pages:
            assert people is not None
            self.dashboard = create_dashboard(self._client, people, clock=clock)
            self.site.mount("", self.dashboard)
        self._server = Server(self.site, self._ready.set)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert self._ready.wait(START_SECONDS)

    async def _run(self) -> None:
        self.loop = asyncio.get_running_loop()
        async with self._client:
            await self._server.serve(sockets=[self._listener])

    def stop(self) -> None:
        if self.dashboard is not None:
            self.dashboard.state.streams.end()
        self._server.stop()
        self._thread.join(START_SECONDS)
        assert not self._thread.is_alive()

"""A process whose agent is killed in the middle of its n-th step."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.function import FunctionModel

from adjourn import Adjourn, Context, current_activity
from adjourn.agents import Durable
from tests.agents.scripts import call, told

STEPS = 5  # a request, two calls side by side, a request, and the answer's activity


def make_app(effects: Path, deadly: int) -> Adjourn:
    app = Adjourn()

    def step() -> str:
        """Writes its key before and after; dies between the two when it is the one."""
        key = current_activity().idempotency_key
        _write(effects, f"begin {key}")
        if sum(line.startswith("begin") for line in effects.read_text().splitlines()) == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        _write(effects, f"end {key}")
        return key

    async def look_up(order: str) -> str:
        step()
        return f"{order} is broken"

    def answer_to(messages: list[Any], info: Any) -> ModelResponse:
        step()
        if len(messages) == 1:
            return ModelResponse(parts=[call("look_up", order="A"), call("look_up", order="B")])
        return ModelResponse(parts=[TextPart(told(messages))])

    agent: Agent[None, str] = Agent(
        FunctionModel(answer_to), name="support", tools=[look_up], capabilities=[Durable(app)]
    )

    @app.activity
    def tell(text: str) -> str:
        step()
        return text

    @app.orchestrator
    async def answer(ctx: Context) -> str:
        result = await agent.run("hello")
        return await ctx.call_activity(tell, result.output)

    return app


def _write(effects: Path, line: str) -> None:
    descriptor = os.open(effects, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


async def main(home: Path, deadly: int) -> None:
    app = make_app(home / "effects", deadly)
    async with app.open(home / "one.db") as client:
        run = await client.start("answer", id="c-1", on_conflict="return_existing")
        sys.stdout.write(await run.result())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))

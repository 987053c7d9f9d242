"""A real client of a real HTTP server: requests leave from activities only."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic_ai import Agent, models
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from adjourn import Adjourn, Client, Context, RetryPolicy
from adjourn.agents import Durable
from adjourn.backends.embedded import EmbeddedBackend

pytestmark = pytest.mark.slow

RETRY = RetryPolicy(max_number_of_attempts=3, first_retry_interval=timedelta(milliseconds=10))


class Provider(ThreadingHTTPServer):
    """Answers from a script; what it was asked it remembers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.script: list[tuple[int, dict[str, Any]]] = []
        self.asked: list[dict[str, Any]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Answering(BaseHTTPRequestHandler):
    server: Provider

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(json.loads(body))
        status, answer = self.server.script.pop(0)
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setattr(models, "ALLOW_MODEL_REQUESTS", True)
    server = Provider()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


def said(content: str | None, *calls: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    message = {"role": "assistant", "content": content, "tool_calls": list(calls) or None}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    answer = {"id": "x", "object": "chat.completion", "created": 1, "model": "gpt-4o"}
    return 200, {**answer, "choices": [choice], "usage": usage}


LOOK_UP = {
    "id": "call-1",
    "type": "function",
    "function": {"name": "look_up", "arguments": '{"order": "A"}'},
}
BUSY = (429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}})


def look_up(order: str) -> str:
    return f"{order} is broken"


def ask(provider: Provider, path: Path) -> str:
    app = Adjourn()

    async def main() -> str:
        client = AsyncOpenAI(base_url=provider.address, api_key="none", max_retries=0)
        agent: Agent[None, str] = Agent(
            OpenAIChatModel("gpt-4o", provider=OpenAIProvider(openai_client=client)),
            name="support",
            tools=[look_up],
            capabilities=[Durable(app, retry=RETRY)],
        )

        @app.orchestrator
        async def answer(ctx: Context) -> str:
            try:
                result = await agent.run("Where is A?")
            except ModelHTTPError as error:
                return f"{type(error).__name__} {error.status_code}"
            return f"{result.output} ({result.usage.total_tokens} tokens)"

        async with client, app.open(path) as adjourn:
            run = await adjourn.start(answer, id="c-1", on_conflict="return_existing")
            return await run.result()

    return asyncio.run(main())


def test_requests_and_tool_calls_over_http(provider: Provider, tmp_path: Path) -> None:
    provider.script = [said(None, LOOK_UP), BUSY, said("It is broken.")]

    assert ask(provider, tmp_path / "a.db") == "It is broken. (24 tokens)"
    assert len(provider.asked) == 3
    assert provider.asked[2]["messages"][-1]["content"] == "A is broken"
    assert ask(provider, tmp_path / "a.db") == "It is broken. (24 tokens)"  # it has ended
    assert len(provider.asked) == 3


def test_a_wrong_key_is_not_tried_again(provider: Provider, tmp_path: Path) -> None:
    provider.script = [(401, {"error": {"message": "no", "code": "invalid_api_key"}})]

    assert ask(provider, tmp_path / "a.db") == "ModelAuthenticationError 401"


def test_a_provider_that_stays_busy_is_the_agents_error(provider: Provider, tmp_path: Path) -> None:
    provider.script = [BUSY, BUSY, BUSY]

    assert ask(provider, tmp_path / "a.db") == "ModelRateLimitError 429"


@pytest.mark.parametrize("cache_size", [0, 100])
def test_a_model_that_is_named_by_a_string_is_made_in_each_activity(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_size: int
) -> None:
    """Its client is shared by all of them; no run that is let go closes it."""
    monkeypatch.setenv("OPENAI_BASE_URL", provider.address)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    provider.script = [said(None, LOOK_UP), said("It is broken."), said("Yes."), said("No.")]
    app = Adjourn()
    agent: Agent[None, str] = Agent(
        "openai-chat:gpt-4o", name="support", tools=[look_up], capabilities=[Durable(app)]
    )

    @app.orchestrator
    async def answer(ctx: Context) -> list[str]:
        first = await agent.run("Where is A?")
        both = await asyncio.gather(agent.run("Really?"), agent.run("Really?"))
        return [first.output, *sorted(each.output for each in both)]

    async def main() -> list[str]:
        backend = EmbeddedBackend(app, tmp_path / "a.db", cache_size=cache_size)
        async with Client(app, backend) as client:
            return await (await client.start(answer, id="c-1")).result()

    assert asyncio.run(main()) == ["It is broken.", "No.", "Yes."]

"""Models that follow a script, and a note of every step that really ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from adjourn import Adjourn, AdjournError, Context, current_activity
from adjourn.agents import Durable
from adjourn.model import events
from adjourn.testing import Sandbox

Answer = str | Exception | list[ToolCallPart] | Callable[[list[ModelMessage]], Any]

ran: Counter[str] = Counter()
"""How often each step ran, by its idempotency key; by "outside" where no activity was."""


def note() -> str:
    """Say that a step runs; returns its key."""
    try:
        key = current_activity().idempotency_key
    except AdjournError:
        key = "outside"
    ran[key] += 1
    return key


def call(tool: str, /, **arguments: Any) -> ToolCallPart:
    return ToolCallPart(tool, arguments)


def scripted(*answers: Answer) -> FunctionModel:
    """A model whose n-th answer is the n-th of these, counted by the answers in the messages."""

    def answer_to(messages: list[ModelMessage]) -> list[Any]:
        note()
        number = sum(isinstance(message, ModelResponse) for message in messages)
        answer = answers[number]
        if callable(answer) and not isinstance(answer, Exception):
            answer = answer(messages)
        if isinstance(answer, Exception):
            raise answer
        return [TextPart(answer)] if isinstance(answer, str) else answer

    def whole(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=answer_to(messages))

    async def streamed(
        messages: list[ModelMessage], info: AgentInfo
    ) -> AsyncIterator[str | DeltaToolCalls]:
        for index, part in enumerate(answer_to(messages)):
            if isinstance(part, TextPart):
                for word in part.content.split(" "):
                    yield word + " "
            else:
                yield {index: DeltaToolCall(part.tool_name, part.args_as_json_str())}

    return FunctionModel(whole, stream_function=streamed)


def returned(messages: list[ModelMessage]) -> list[Any]:
    """What the tools gave back last."""
    return [part.content for part in messages[-1].parts if isinstance(part, ToolReturnPart)]


def told(messages: list[ModelMessage]) -> str:
    """An answer that tells what the tools gave back."""
    return f"{returned(messages)}"


def agent_of(
    app: Adjourn,
    *answers: Answer,
    tools: Sequence[Any] = (),
    name: str = "support",
    **options: Any,
) -> Agent[None, str]:
    return Agent(
        scripted(*answers), name=name, tools=list(tools), capabilities=[Durable(app, **options)]
    )


def desk(*answers: Answer, tools: Sequence[Any] = (), **options: Any) -> Adjourn:
    """An app whose orchestrator `answer` asks an agent, hands all its messages to an activity (so
    that every replay compares them), waits for "End" and gives the agent's last word."""
    app = Adjourn()
    agent = agent_of(app, *answers, tools=tools, **options)

    @app.activity
    def keep(messages: str) -> None: ...

    @app.orchestrator
    async def answer(ctx: Context, prompt: str) -> str:
        result = await agent.run(prompt)
        await ctx.call_activity(keep, result.all_messages_json().decode())
        await ctx.wait_for_external_event("End")
        return result.output

    return app


def steps_of(box: Sandbox, id: str) -> list[str]:
    """The names of the activities that an instance has asked for."""
    return [
        entry.event.name
        for entry in box.history(id)
        if isinstance(entry.event, events.ActivityScheduled)
    ]

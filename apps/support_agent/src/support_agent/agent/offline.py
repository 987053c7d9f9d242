"""The offline model: a dialogue that needs no key and no network, and says that it is one.

It is a Pydantic AI `FunctionModel`, so the agent around it is the same as with a real model: it
calls the tools and sees what they give. It remembers nothing by itself; the history is its memory.
"""

import json
import re
from collections.abc import AsyncIterator, Sequence
from uuid import NAMESPACE_URL, uuid5

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.profiles import ModelProfile

from support_agent.agent.dialogue.plans import Call, Say, next_step
from support_agent.agent.dialogue.reading import read, requests_of

OFFLINE = "offline"


def offline_model() -> FunctionModel:
    """The model. Two of them are alike in everything they say."""
    # Notes of the system stay what they are; otherwise they would come as words of the customer.
    profile = ModelProfile(supports_inline_system_prompts=True)
    return FunctionModel(respond, stream_function=stream, model_name=OFFLINE, profile=profile)


async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """One step at once: a tool call or the answer."""
    match next_step(read(messages)):
        case Call(tool, arguments):
            call = ToolCallPart(tool, dict(arguments), tool_call_id=_call_id(messages))
            return ModelResponse(parts=[call])
        case Say(text):
            return ModelResponse(parts=[TextPart(text)])


async def stream(
    messages: list[ModelMessage], info: AgentInfo
) -> AsyncIterator[str | DeltaToolCalls]:
    """The same step, an answer word by word."""
    match next_step(read(messages)):
        case Call(tool, arguments):
            written = json.dumps(dict(arguments))
            yield {0: DeltaToolCall(tool, written, tool_call_id=_call_id(messages))}
        case Say(text):
            for word in re.findall(r"\S+\s*", text):
                yield word


def _call_id(messages: Sequence[ModelMessage]) -> str:
    """An id that no other call of the conversation has, and that the same messages give again."""
    asked = [
        f"{part.timestamp.isoformat()} {part.content}"
        for message in messages
        if isinstance(message, ModelRequest)
        for part in message.parts
        if isinstance(part, UserPromptPart)
    ]
    name = json.dumps([asked[-1:], requests_of(messages)])
    return f"offline-{uuid5(NAMESPACE_URL, name).hex[:16]}"

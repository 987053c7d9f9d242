"""The history of a conversation: kept small, whole, and readable for the people who decide.

It stays on the server, always: a history that came from a browser would be the browser's word.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, cast

from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolReturnPart,
    UserPromptPart,
)

WITHOUT_RESULT = "This call was not carried out."
# What is remembered goes along in the input of each execution and of each case's workflow, and the
# engine takes 256 KiB there. Enough for twenty ordinary exchanges.
MOST_BYTES = 128 * 1024
MOST_BYTES_OF_NOTES = 24 * 1024
LONGEST_REMEMBERED = 4_000  # characters of one text, where an exchange alone is too long


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the conversation, as the customer saw it, or a note that the system made."""

    who: Literal["customer", "agent", "system"]
    text: str


def note(text: str, at: datetime) -> ModelRequest:
    """A word of the system for the history, such as what was decided on a case.

    Only the server makes these; a customer's message is never one, whatever it claims to be.
    """
    return ModelRequest(parts=[SystemPromptPart(text, timestamp=at)], timestamp=at)


def said(text: str, at: datetime) -> ModelResponse:
    """Something that the agent said without its model."""
    return ModelResponse(parts=[TextPart(text)], timestamp=at)


def asked(text: str, at: datetime) -> ModelRequest:
    """A message of the customer that never went to the model."""
    return ModelRequest(parts=[UserPromptPart(text, timestamp=at)], timestamp=at)


def lines_of(messages: Iterable[ModelMessage]) -> list[Line]:
    """What was said, without the tool calls in between."""
    lines: list[Line] = []
    for message in messages:
        for part in message.parts:
            match part:
                case UserPromptPart(content=str(text)):
                    lines.append(Line("customer", text))
                case SystemPromptPart():
                    lines.append(Line("system", part.content))
                case TextPart() if part.content.strip():
                    lines.append(Line("agent", part.content))
                case _:
                    pass
    return lines


def results_of(messages: Iterable[ModelMessage], outcome: str) -> list[Mapping[str, Any]]:
    """The results of tools that have this outcome ("case_opened", "passages"), oldest first."""
    return [
        part.content
        for message in messages
        for part in message.parts
        if isinstance(part, ToolReturnPart)
        and part.outcome == "success"
        and isinstance(part.content, Mapping)
        and part.content.get("outcome") == outcome
    ]


def recent(
    messages: Sequence[ModelMessage],
    exchanges: int,
    *,
    most_bytes: int = MOST_BYTES,
    most_bytes_of_notes: int = MOST_BYTES_OF_NOTES,
) -> list[ModelMessage]:
    """The last so many messages of the customer with all that followed each, fewer where they are
    long; a tool call never loses its result. The notes of the system before that are short and
    decisive: they are kept as well, the newest above all."""
    beginnings = [place for place, message in enumerate(messages) if _is_prompt(message)]
    starts = (beginnings[-exchanges:] if exchanges > 0 else []) or [len(messages)]
    fitting = len(messages) - len(_newest(messages[starts[0] :], most_bytes))
    start = next((place for place in starts if place >= fitting), None)
    latest = messages[start:]
    if start is None:  # one message of the customer, and too much behind it
        start = starts[-1]
        latest = _newest(_spoken(messages[start:]), most_bytes)
    return [*_newest([*filter(_is_note, messages[:start])], most_bytes_of_notes), *latest]


def _newest(messages: Sequence[ModelMessage], most_bytes: int) -> list[ModelMessage]:
    """The last of them that are not more than that together, as long as they are in a journal."""
    place = len(messages)
    while place:
        most_bytes -= len(ModelMessagesTypeAdapter.dump_json([messages[place - 1]]))
        if most_bytes < 0:
            break
        place -= 1
    return list(messages[place:])


def _spoken(messages: Iterable[ModelMessage]) -> list[ModelMessage]:
    """What was said and noted, the beginning of each, without calls and results."""
    spoken: list[ModelMessage] = []
    for message in messages:
        texts = [
            replace(part, content=part.content[:LONGEST_REMEMBERED])
            for part in message.parts
            if isinstance(part, UserPromptPart | SystemPromptPart | TextPart)
            and isinstance(part.content, str)
        ]
        if texts:
            spoken.append(cast("ModelMessage", replace(message, parts=texts)))
    return spoken


def whole(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """The messages of a run that broke off, such that the next run can follow them.

    A response that was cut off is left out, for its calls never ran; a call without a result gets
    one that says so.
    """
    kept = [_lasting(message) for message in messages if not _was_cut_off(message)]
    calls, results = _last_calls(kept)
    missing = [
        ToolReturnPart(
            call.tool_name, WITHOUT_RESULT, call.tool_call_id, outcome="interrupted", timestamp=at
        )
        for call, at in calls
        if call.tool_call_id not in {result.tool_call_id for result in results}
    ]
    if not missing:
        return [message for message in kept if message.parts]
    if isinstance(kept[-1], ModelRequest):
        return [*kept[:-1], replace(kept[-1], parts=[*kept[-1].parts, *missing])]
    return [*kept, ModelRequest(parts=missing)]


def lasting(messages: Iterable[ModelMessage]) -> list[ModelMessage]:
    """The messages without the instructions, which every run states anew."""
    return [_lasting(message) for message in messages]


def _lasting(message: ModelMessage) -> ModelMessage:
    if isinstance(message, ModelRequest):
        return replace(message, instructions=None, state="complete")
    return message


def _was_cut_off(message: ModelMessage) -> bool:
    return isinstance(message, ModelResponse) and message.state != "complete"


def _last_calls(
    messages: Sequence[ModelMessage],
) -> tuple[list[tuple[Any, datetime]], list[ToolReturnPart]]:
    """The calls of the last response, and what came back after it."""
    results: list[ToolReturnPart] = []
    for message in reversed(messages):
        if isinstance(message, ModelResponse):
            return [(call, message.timestamp) for call in message.tool_calls], results
        results.extend(part for part in message.parts if isinstance(part, ToolReturnPart))
    return [], results


def _is_prompt(message: ModelMessage) -> bool:
    return any(isinstance(part, UserPromptPart) for part in message.parts)


def _is_note(message: ModelMessage) -> bool:
    return bool(message.parts) and all(isinstance(p, SystemPromptPart) for p in message.parts)

"""Reading the history: turns, and what is remembered of them. Nothing is kept anywhere else.

A turn is one message of the customer with what followed it. Finished turns are folded into a
`Memory`; the offer and the question that are open are read from the agent's own last words.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from support_agent.agent.dialogue.answers import Offer, Question, offer_in, question_in
from support_agent.agent.dialogue.intents import Intent, affirms, denies, intent_of
from support_agent.agent.dialogue.words import (
    bare_number_in,
    case_id_in,
    order_number_in,
)

TASKS: frozenset[Intent] = frozenset(
    {"double_charge", "broken", "refund", "order_status", "human", "policy", "case_status"}
)
# What the customer wants done, and not only told: it stays open while something is missing.
ERRANDS: frozenset[Intent] = frozenset({"double_charge", "broken", "refund", "human"})
OFFER_LASTS_TURNS = 3


@dataclass(frozen=True, slots=True)
class Called:
    """One tool call with its result: the value that the tool gave, or None when it gave none."""

    tool: str
    result: Mapping[str, Any] | None


@dataclass(slots=True)
class Turn:
    """One message of the customer, the calls it led to, and the answer once there is one."""

    text: str
    calls: list[Called] = field(default_factory=list)
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """What earlier turns left behind."""

    errand: Intent | None = None
    errand_words: str = ""
    order_number: str | None = None
    case_id: str | None = None
    offer: Offer | None = None
    offer_age: int = 0
    asked: Question | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The history as the dialogue sees it."""

    memory: Memory
    text: str
    calls: tuple[Called, ...]
    notes: tuple[str, ...]


def read(messages: Sequence[ModelMessage]) -> Reading:
    """The open turn, what the turns before it left behind, and the notes of the system."""
    turns, notes = turns_and_notes(messages)
    if not turns:
        return Reading(Memory(), "", (), tuple(notes))
    *finished, current = turns
    memory = Memory()
    for turn in finished:
        memory = remember(memory, turn)
    return Reading(memory, current.text, tuple(current.calls), tuple(notes))


def turns_and_notes(messages: Iterable[ModelMessage]) -> tuple[list[Turn], list[str]]:
    """The turns, oldest first. Notes are what the system said; no customer can write one."""
    turns: list[Turn] = []
    notes: list[str] = []
    for message in messages:
        if isinstance(message, ModelResponse):
            if turns:
                _add_response(turns[-1], message)
            continue
        for part in message.parts:
            _add_request_part(turns, notes, part)
    return turns, notes


def _add_request_part(turns: list[Turn], notes: list[str], part: object) -> None:
    match part:
        case UserPromptPart():
            turns.append(Turn(_text_of(part)))
        case SystemPromptPart():
            notes.append(part.content)
        case ToolReturnPart() if turns:
            value = part.content if part.outcome == "success" else None
            result = value if isinstance(value, Mapping) else None
            turns[-1].calls.append(Called(part.tool_name, result))
        case _:
            pass  # feedback on a retry; this model gives no cause for any


def _add_response(turn: Turn, message: ModelResponse) -> None:
    text = "".join(part.content for part in message.parts if isinstance(part, TextPart))
    if not any(isinstance(part, ToolCallPart) for part in message.parts):
        turn.answer = text


def _text_of(part: UserPromptPart) -> str:
    if isinstance(part.content, str):
        return part.content
    return " ".join(piece for piece in part.content if isinstance(piece, str))


def task_of(memory: Memory, text: str) -> Intent | None:
    """What the message is about, with what was said before taken into account."""
    heard = intent_of(text)
    if heard == "foreign" or heard in ERRANDS:
        return heard if starts_over(memory, text) else _kept_errand(memory, heard)
    if memory.asked in {"reason", "human_reason"} and not denies(text) and heard is None:
        return memory.errand
    if memory.asked in {"order", "item"} and heard in {None, "order_status"}:
        return memory.errand or ("order_status" if named_order(memory, text) else heard)
    if heard is None and memory.errand is not None and named_order(memory, text):
        return memory.errand
    if heard is None and named_order(memory, text):
        return "order_status"
    return heard


def _kept_errand(memory: Memory, heard: Intent) -> Intent:
    """A refund asked for in the middle of a double charge or a broken item is that one's refund."""
    if heard == "refund" and memory.errand in {"double_charge", "broken"}:
        return memory.errand
    return heard


def named_order(memory: Memory, text: str) -> str | None:
    """The order that this message names, by itself or as the answer to "which order?"."""
    return order_number_in(text) or (bare_number_in(text) if memory.asked == "order" else None)


def starts_over(memory: Memory, text: str) -> bool:
    """Whether the message begins another errand: for another order, or "no, I want ..." instead."""
    if denies(text) and intent_of(text) in ERRANDS:
        return True
    number, before = named_order(memory, text), memory.order_number
    if number is None or before is None or memory.asked == "order":
        return False
    return number != before and not before.endswith(f"-{number}")


def remember(memory: Memory, turn: Turn) -> Memory:
    """The memory after one more finished turn."""
    memory = _follow_errand(memory, turn)
    opened = [c.result for c in turn.calls if c.result and c.result.get("outcome") == "case_opened"]
    refused = any(c.tool == "issue_refund" for c in turn.calls) and not opened
    looked_up = [c.result for c in turn.calls if c.result and c.result.get("outcome") == "order"]
    # An order that is named is remembered once it was found: the shop then says how it is written.
    in_vain = any(c.tool == "lookup_order" for c in turn.calls) and not looked_up
    named = None if in_vain else named_order(memory, turn.text)
    found = str(looked_up[-1]["order_number"]) if looked_up else None
    memory = replace(
        memory,
        order_number=found or named or memory.order_number,
        case_id=case_id_in(turn.text) or memory.case_id,
        asked=question_in(turn.answer),
    )
    if opened:
        case_id = str(opened[-1]["case_id"])
        return replace(memory, case_id=case_id, offer=None, errand=None, errand_words="")
    if refused:
        return replace(memory, offer=None, errand=None, errand_words="")
    return _follow_offer(memory, turn)


def _follow_errand(memory: Memory, turn: Turn) -> Memory:
    task = task_of(memory, turn.text)
    changed = task != memory.errand or starts_over(memory, turn.text)
    if task in ERRANDS and changed:
        return replace(memory, errand=task, errand_words=turn.text, offer=None)
    if task in ERRANDS:
        return replace(memory, errand_words=joined(memory.errand_words, turn.text))
    if denies(turn.text) and (memory.offer or memory.asked):
        return replace(memory, errand=None, errand_words="", offer=None)
    return memory


def _follow_offer(memory: Memory, turn: Turn) -> Memory:
    offer = offer_in(turn.answer)
    if offer is not None:
        return replace(memory, offer=offer, offer_age=0, order_number=offer.order_number)
    if memory.offer is None:
        return memory
    if affirms(turn.text) or memory.offer_age + 1 >= OFFER_LASTS_TURNS:
        return replace(memory, offer=None, offer_age=0, errand=None, errand_words="")
    return replace(memory, offer_age=memory.offer_age + 1)


def joined(earlier: str, later: str) -> str:
    """Both messages as one, for the reason that a person will read."""
    return f"{earlier.strip()} / {later.strip()}" if earlier.strip() else later.strip()


def requests_of(messages: Iterable[ModelMessage]) -> int:
    """How many messages went to the model; for telling calls of one conversation apart."""
    return sum(1 for message in messages if isinstance(message, ModelRequest))

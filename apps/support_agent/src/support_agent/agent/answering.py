"""One message, one answer. Whatever the model or its server does, the customer gets words.

Plain asynchronous code without a clock, a timer, a thread or IO of its own: it runs inside a
durable orchestrator, where model requests and tool calls are activities, and outside of one alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_ai import Agent, capture_run_messages
from pydantic_ai.agent import EventStreamHandler
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import ModelMessage, ModelResponse, repair_messages

from adjourn import AdjournError, TaskFailedError
from support_agent.agent import history as histories
from support_agent.agent.budget import (
    BUDGET,
    NOTHING,
    TOKENS_OF_AN_UNMEASURED_REQUEST,
    Budget,
    Spent,
    TooMuch,
    budget_refusal,
    content_refusal,
)
from support_agent.agent.build import LIMITS
from support_agent.agent.deps import Deps
from support_agent.agent.trouble import trouble_of


@dataclass(frozen=True, slots=True)
class Answer:
    """What the customer is told, and what the conversation has to remember of it.

    `messages` are the new ones, to be put after the history. `opened` are the cases that the tools
    opened or found open while answering, also when the answer then failed: whoever runs the
    conversation starts their workflows, under the cases' own ids, so that twice is once.
    `trouble` is None, or the code of what went wrong, with `detail` for the log and nobody else.
    """

    text: str
    messages: tuple[ModelMessage, ...]
    opened: tuple[Mapping[str, Any], ...] = ()
    cost: Spent = NOTHING
    trouble: str | None = None
    detail: str = ""


async def answer(
    agent: Agent[Deps, str],
    message: str,
    deps: Deps,
    history: Sequence[ModelMessage] = (),
    *,
    spent: Spent = NOTHING,
    budget: Budget = BUDGET,
    events: EventStreamHandler[Deps] | None = None,
) -> Answer:
    """Answer the message; `events` gets the parts of the answer while they come.

    Guarantees: an answer for every message, at most 6 model requests and 8 tool calls, nothing
    asked of the model when the message is no message or the budget is spent, and `messages` that
    the next call can follow: a mistake of ours is answered as well, or it would end the whole
    conversation. Raises: the engine's own errors, such as a replay that differs, and cancellation.
    """
    refusal = content_refusal(message) or budget_refusal(budget, spent)
    if refusal is not None:
        return _unasked(message, deps, refusal)
    # As the run itself begins: it joins messages that follow each other, and what is captured of a
    # run that breaks off is told from the history by its length alone.
    history = repair_messages(history, repair_last_response=False)
    with capture_run_messages() as captured:
        try:
            result = await agent.run(
                message,
                deps=deps,
                message_history=history,
                usage_limits=LIMITS,
                conversation_id=deps.conversation_id,
                event_stream_handler=events,
            )
        except Exception as error:
            if isinstance(error, AdjournError) and not isinstance(error, TaskFailedError):
                raise
            return _in_words(error, message, deps, captured[len(history) :])
    new = histories.lasting(result.new_messages())
    return Answer(result.output, tuple(new), _opened(new), _cost(new))


def _unasked(message: str, deps: Deps, refusal: TooMuch) -> Answer:
    """The words of a refusal. A message that is too long is not kept; the refusal says why."""
    if refusal.code != "budget_spent":
        return Answer(refusal.words, (), trouble=refusal.code)
    new = (histories.asked(message, deps.now), histories.said(refusal.words, deps.now))
    return Answer(refusal.words, new, trouble=refusal.code)


def _in_words(
    error: Exception, message: str, deps: Deps, captured: Sequence[ModelMessage]
) -> Answer:
    """The end of an answer that broke off: what was done stays done, and the customer is told."""
    new = histories.whole(captured) or [histories.asked(message, deps.now)]
    opened = _opened(new)
    trouble = trouble_of(error)
    text = " ".join([trouble.words, *_what_was_opened(opened)])
    failed_on_its_way = (
        isinstance(error, ModelAPIError | TaskFailedError) or not _cost(new).requests
    )
    cost = _cost(new).and_also(1 if failed_on_its_way else 0, 0)
    new.append(histories.said(text, deps.now))
    detail = f"{type(error).__name__}: {error}"
    return Answer(text, tuple(new), opened, cost, trouble.code, detail)


def _what_was_opened(opened: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"Before that, case {case['case_id']} was opened for you; a person will look at it."
        for case in opened
    ]


def _opened(messages: Sequence[ModelMessage]) -> tuple[Mapping[str, Any], ...]:
    """Each case once, however often it was asked for."""
    cases = {case["case_id"]: case for case in histories.results_of(messages, "case_opened")}
    return tuple(cases.values())


def _cost(messages: Sequence[ModelMessage]) -> Spent:
    responses = [message for message in messages if isinstance(message, ModelResponse)]
    tokens = sum(r.usage.total_tokens or TOKENS_OF_AN_UNMEASURED_REQUEST for r in responses)
    return Spent(len(responses), tokens)

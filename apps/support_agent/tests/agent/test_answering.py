"""One message, one answer: refusals before the model, failures in words, and whole histories."""

import asyncio
from datetime import timedelta
from typing import Any

import openai
import pytest
from hypothesis import given as given_that
from hypothesis import strategies as st
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelRateLimitError,
    ModelServerError,
    ModelTimeoutError,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
    UserError,
)
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

from adjourn import ActivityFailedError, Adjourn, AdjournError, Context, DeterminismError
from adjourn.testing import Sandbox
from apps.support_agent.tests.agent.chat import Chat
from apps.support_agent.tests.agent.world import NOW, World
from support_agent.agent import history, trouble
from support_agent.agent.answering import answer
from support_agent.agent.budget import Budget, Spent
from support_agent.agent.build import LIMITS, build_agent
from support_agent.agent.trouble import MODEL_REQUEST_RETRY, trouble_of


def raising(error: Exception) -> FunctionModel:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise error

    return FunctionModel(respond)


def saying(text: str) -> FunctionModel:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart(text)])

    return FunctionModel(respond)


async def never(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    raise AssertionError("The model was asked.")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("message", "code"),
    [
        (" ", "message_empty"),
        ("x" * 4001, "message_too_long"),
        ("hello\0", "message_unreadable"),
    ],
)
def test_what_is_no_message_costs_nothing_and_is_not_kept(
    world: World, message: str, code: str
) -> None:
    chat = Chat(build_agent(FunctionModel(never)), world)

    given = chat.ask(message)

    assert (given.trouble, given.cost, given.messages) == (code, Spent(), ())
    assert given.text


@pytest.mark.slow
def test_a_spent_budget_is_told_and_the_model_is_not_asked(world: World) -> None:
    chat = Chat(build_agent(saying("Hello.")), world, budget=Budget(requests=2, tokens=10_000))
    assert [chat.say("hello") for _ in range(2)] == ["Hello.", "Hello."]
    chat.agent = build_agent(FunctionModel(never))

    given = chat.ask("and again")

    assert (given.trouble, given.cost) == ("budget_spent", Spent())
    assert [line.text for line in history.lines_of(given.messages)] == ["and again", given.text]


def test_tokens_count_as_well_as_requests(world: World) -> None:
    chat = Chat(build_agent(saying("Hello.")), world, budget=Budget(requests=99, tokens=1))

    assert chat.ask("hello").trouble is None
    assert chat.ask("hello").trouble == "budget_spent"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageLimitExceeded("enough"), "too_many_steps"),
        (UnexpectedModelBehavior("what?"), "confused"),
        (ModelTimeoutError("gpt-4o", "slow"), "unreachable"),
        (ModelAPIError("gpt-4o", "no JSON"), "unreachable"),
        (ModelAuthenticationError("gpt-4o", "denied"), "set_up_wrongly"),
        (ModelContextWindowExceededError("gpt-4o", "overflowed"), "conversation_too_long"),
        (ModelHTTPError.for_category(ModelRateLimitError, status_code=429, model_name="m"), "busy"),
    ],
)
def test_each_failure_of_a_model_has_its_words(world: World, error: Exception, code: str) -> None:
    chat = Chat(build_agent(raising(error)), world)

    given = chat.ask("hello")

    assert given.trouble == code
    assert str(error) in given.detail
    assert str(error) not in given.text
    assert given.cost == Spent(1, 0)
    assert [line.who for line in history.lines_of(chat.history)] == ["customer", "agent"]


def test_an_engine_error_is_no_answer(world: World) -> None:
    chat = Chat(build_agent(raising(DeterminismError("a replay differs"))), world)

    with pytest.raises(DeterminismError):
        chat.ask("hello")


@pytest.mark.parametrize(
    ("error", "code"),
    [(UserError("our mistake"), "set_up_wrongly"), (KeyError("a defect"), "unreachable")],
)
def test_a_mistake_of_ours_is_answered_and_the_conversation_goes_on(
    world: World, error: Exception, code: str
) -> None:
    chat = Chat(build_agent(raising(error)), world)

    assert chat.ask("hello").trouble == code
    chat.agent = build_agent(saying("Hello."))
    assert chat.say("and again") == "Hello."


@pytest.mark.parametrize("notes", [0, 1, 5])
def test_a_case_is_known_when_the_answer_breaks_off_behind_notes_that_follow_each_other(
    world: World, notes: int
) -> None:
    async def open_and_break(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if isinstance(messages[-1].parts[-1], ToolReturnPart):
            raise ModelTimeoutError("m", "slow")
        wish = {"order_number": "A-1042", "reason": "it was charged twice"}
        return ModelResponse(parts=[ToolCallPart("issue_refund", wish)])

    chat = Chat(build_agent(FunctionModel(open_and_break)), world)
    chat.history = [history.note(f"Decided: {number}.", NOW) for number in range(notes)]

    given = chat.ask("refund A-1042, please")

    assert [case["case_id"] for case in given.opened] == ["R-1001"]
    assert "R-1001" in given.text
    said = [(line.who, line.text) for line in history.lines_of(given.messages)]
    assert said == [("customer", "refund A-1042, please"), ("agent", given.text)]


def test_an_engine_error_in_a_tool_is_never_a_tool_result(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise DeterminismError("a replay differs")

    async def call(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[ToolCallPart("lookup_customer", {})])

    monkeypatch.setattr("support_agent.agent.tools.shop_database", broken)

    with pytest.raises(AdjournError, match="a replay differs"):
        Chat(build_agent(FunctionModel(call)), world).ask("hello")


def recorded(error: Exception) -> tuple[ActivityFailedError, int]:
    """The error that an orchestrator sees when an activity has failed so, and its attempts."""
    app = Adjourn()
    attempts: list[int] = []
    seen: list[ActivityFailedError] = []

    @app.activity(retry=MODEL_REQUEST_RETRY)
    async def ask_model() -> str:
        attempts.append(1)
        raise error

    @app.orchestrator
    async def conversation(ctx: Context, nothing: Any) -> str:
        try:
            return await ctx.call_activity(ask_model)
        except ActivityFailedError as failed:
            seen.append(failed)
            return trouble_of(failed).code

    with Sandbox(app) as box:
        box.start(conversation, None, id="c-1")
        box.advance(minutes=5)
    return seen[-1], len(attempts)


def with_cause(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


RATE_LIMIT = ModelHTTPError.for_category(ModelRateLimitError, status_code=429, model_name="m")
SERVER_ERROR = ModelHTTPError.for_category(ModelServerError, status_code=500, model_name="m")
DROPPED = ModelConnectionError("m", "gone", phase="read")


@pytest.mark.parametrize(
    ("error", "code", "attempts"),
    [
        pytest.param(DROPPED, "unreachable", 3, id="connection"),
        pytest.param(ModelTimeoutError("m", "slow"), "unreachable", 3, id="time-out"),
        pytest.param(ModelAPIError("m", "no JSON"), "unreachable", 3, id="no JSON"),
        pytest.param(RATE_LIMIT, "busy", 3, id="429"),
        pytest.param(SERVER_ERROR, "unreachable", 3, id="500"),
        pytest.param(ModelAuthenticationError("m", "no"), "set_up_wrongly", 1, id="401"),
        pytest.param(UnexpectedModelBehavior("what?"), "confused", 1, id="nonsense"),
        pytest.param(
            with_cause(UnexpectedModelBehavior("what?"), DROPPED), "confused", 1, id="its cause"
        ),
        pytest.param(openai.OpenAIError("unheard of"), "unreachable", 1, id="unheard of"),
    ],
)
def test_a_durable_model_request_repeats_what_is_transient_and_ends_in_the_same_words(
    error: Exception, code: str, attempts: int
) -> None:
    failed, made = recorded(error)

    assert (trouble_of(failed).code, made) == (code, attempts)
    assert trouble_of(error).code == code


def test_a_failed_activity_ends_in_words(world: World) -> None:
    failed, _ = recorded(ModelTimeoutError("gpt-4o", "slow"))
    chat = Chat(build_agent(raising(failed)), world)

    assert chat.ask("hello").trouble == "unreachable"


def test_every_trouble_says_what_to_do() -> None:
    for one in {*trouble.NAMED.values(), trouble.UNREACHABLE}:
        assert "please" in one.words.casefold()
        assert one.words.endswith(".")


def exchange(number: int) -> list[ModelMessage]:
    call = ToolCallPart("lookup_order", {}, tool_call_id=f"call-{number}")
    return [
        history.asked(f"message {number}", NOW + timedelta(minutes=number)),
        ModelResponse(parts=[call]),
        ModelRequest(parts=[ToolReturnPart("lookup_order", {}, f"call-{number}")]),
        history.said(f"answer {number}", NOW),
    ]


@given_that(
    st.lists(st.sampled_from(["exchange", "note"]), max_size=12),
    st.integers(min_value=0, max_value=12),
)
def test_a_shortened_history_keeps_the_last_exchanges_whole_and_every_note(
    kinds: list[str], kept: int
) -> None:
    messages: list[ModelMessage] = []
    for number, kind in enumerate(kinds):
        messages += exchange(number) if kind == "exchange" else [history.note(f"{number}", NOW)]

    short = history.recent(messages, kept)

    exchanges = [number for number, kind in enumerate(kinds) if kind == "exchange"]
    last = exchanges[max(0, len(exchanges) - kept) :]
    asked = [line.text for line in history.lines_of(short) if line.who == "customer"]
    assert asked == [f"message {number}" for number in last]
    notes = [line.text for line in history.lines_of(short) if line.who == "system"]
    assert notes == [str(number) for number, kind in enumerate(kinds) if kind == "note"]
    calls = [p.tool_call_id for m in short for p in m.parts if isinstance(p, ToolCallPart)]
    results = [p.tool_call_id for m in short for p in m.parts if isinstance(p, ToolReturnPart)]
    assert calls == results == [f"call-{number}" for number in last]


LONGEST = "\N{OK HAND SIGN}" * 4_000


def in_person(number: int) -> list[ModelMessage]:
    """What is kept of a message to a person, and of the answer."""
    return [history.asked(LONGEST, NOW), history.note(f"{number} {LONGEST}", NOW)]


LONG: dict[str, list[ModelMessage]] = {
    "messages": [m for _ in range(20) for m in (history.asked(LONGEST, NOW), *exchange(1)[1:])],
    "replies": [history.asked("hello", NOW), *(in_person(n)[1] for n in range(100))],
    "both": [message for number in range(30) for message in in_person(number)],
    "notes": [in_person(number)[1] for number in range(100)],
    "one answer": [*exchange(1), history.asked("hello", NOW), history.said(LONGEST * 10, NOW)],
    "one result": [
        history.asked("hello", NOW),
        ModelResponse(parts=[ToolCallPart("lookup_order", {}, tool_call_id="one")]),
        ModelRequest(parts=[ToolReturnPart("lookup_order", {"note": LONGEST * 12}, "one")]),
        history.said("It is there.", NOW),
    ],
}


@pytest.mark.parametrize("long", LONG.values(), ids=LONG.keys())
def test_a_long_history_is_shortened_to_what_a_journal_takes(long: list[ModelMessage]) -> None:
    short = history.recent([*long, history.note("The newest.", NOW)], 20)

    assert len(ModelMessagesTypeAdapter.dump_json(short)) <= 160 * 1024
    assert history.lines_of(short)[-1].text == "The newest."
    calls = [p.tool_call_id for m in short for p in m.parts if isinstance(p, ToolCallPart)]
    results = [p.tool_call_id for m in short for p in m.parts if isinstance(p, ToolReturnPart)]
    assert calls == results


def test_of_one_exchange_that_is_too_long_the_words_are_kept() -> None:
    short = history.recent(LONG["one result"], 20)

    assert [line.text for line in history.lines_of(short)] == ["hello", "It is there."]


def test_a_history_without_a_message_of_the_run_gets_it_back() -> None:
    assert history.whole([]) == []
    cut_off = ModelResponse(parts=[TextPart("I have")], state="interrupted")
    asked = ModelRequest(parts=[UserPromptPart("hello")])
    assert history.whole([asked, cut_off]) == [asked]


def test_every_call_of_a_run_that_broke_off_gets_a_result() -> None:
    asked = history.asked("hello", NOW)
    calls = [ToolCallPart("lookup_order", {}, tool_call_id=name) for name in ("one", "two")]
    called = ModelResponse(parts=[*calls])
    came = ToolReturnPart("lookup_order", {"outcome": "order"}, "one")
    partly = ModelRequest(parts=[came], state="interrupted")

    for broken_off in ([asked, called], [asked, called, partly]):
        kept = history.whole(broken_off)
        results = [part for part in kept[-1].parts if isinstance(part, ToolReturnPart)]
        assert kept[:2] == [asked, called]
        assert {result.tool_call_id for result in results} == {"one", "two"}
        assert results[-1].outcome == "interrupted"
        assert kept[-1].state == "complete"


def test_one_message_may_take_six_requests_and_eight_calls() -> None:
    assert (LIMITS.request_limit, LIMITS.tool_calls_limit) == (6, 8)


def test_the_instructions_are_not_stored_with_each_message(world: World) -> None:
    chat = Chat(build_agent(saying("Hello.")), world)
    chat.say("hello")

    assert all(m.instructions is None for m in chat.history if isinstance(m, ModelRequest))


@pytest.mark.slow
def test_two_answers_at_once_keep_to_their_own_customers(world: World) -> None:
    async def look(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        last = messages[-1].parts[-1]
        if isinstance(last, ToolReturnPart):
            return ModelResponse(parts=[TextPart(str(last.content))])
        return ModelResponse(parts=[ToolCallPart("lookup_customer", {})])

    async def both() -> list[str]:
        agent = build_agent(FunctionModel(look))
        as_bo = World(world.engine, world.bo, world.amina, world.chiara)
        answers = await asyncio.gather(
            *(answer(agent, "who am I?", who.deps()) for who in (world, as_bo) * 4)
        )
        return [given.text for given in answers]

    texts = asyncio.run(both())

    assert ["Amina Diallo" in text for text in texts] == [True, False] * 4
    assert ["Bo Berglund" in text for text in texts] == [False, True] * 4

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support_agent.agent.budget import (
    CONVERSATION_RATES,
    CUSTOMER_RATES,
    LONGEST_MESSAGE_CHARACTERS,
    NOTHING,
    Budget,
    Rate,
    Spent,
    budget_refusal,
    content_refusal,
    rate_refusal,
    still_counting,
)

NOON = datetime(2026, 11, 10, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
moments = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=2)).map(NOON.__sub__)
arrivals = st.lists(moments, max_size=80)
rates = st.lists(
    st.builds(
        Rate,
        st.integers(min_value=1, max_value=30),
        st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=1)),
    ),
    min_size=1,
    max_size=3,
)
costs = st.integers(min_value=0, max_value=10_000)


@given(st.lists(st.tuples(costs, costs), max_size=20), costs, costs)
def test_a_budget_is_spent_exactly_when_the_sum_reaches_either_limit(
    answers: list[tuple[int, int]], requests: int, tokens: int
) -> None:
    spent = NOTHING
    for answer in answers:
        spent = spent.and_also(*answer)

    refused = budget_refusal(Budget(requests, tokens), spent)

    assert (refused is not None) == (
        sum(one for one, _ in answers) >= requests or sum(two for _, two in answers) >= tokens
    )


def test_what_is_left_is_never_below_zero() -> None:
    assert Budget(3, 100).left(Spent(5, 40)) == Spent(0, 60)


def test_a_cost_below_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="less than nothing"):
        NOTHING.and_also(-1, 0)


def test_the_words_of_a_spent_budget_say_what_to_do() -> None:
    refused = budget_refusal(Budget(1, 1), Spent(1, 0))

    assert refused is not None
    assert (refused.code, refused.again_in_seconds) == ("budget_spent", None)
    assert "start a new conversation" in refused.words


@pytest.mark.slow
@given(rates, arrivals)
def test_a_message_is_refused_exactly_when_some_window_is_full(
    limits: list[Rate], came: list[datetime]
) -> None:
    full = any(
        sum(1 for moment in came if moment > NOON - rate.within) >= rate.messages for rate in limits
    )

    assert (rate_refusal(limits, came, NOON) is not None) == full


@pytest.mark.slow
@given(rates, arrivals)
def test_who_waits_as_told_is_let_in(limits: list[Rate], came: list[datetime]) -> None:
    refused = rate_refusal(limits, came, NOON)

    wait = timedelta(seconds=refused.again_in_seconds or 0) if refused else timedelta()
    assert rate_refusal(limits, came, NOON + wait) is None
    if refused:
        assert wait > timedelta()
        assert rate_refusal(limits, came, NOON + wait - timedelta(seconds=1, milliseconds=1))


@pytest.mark.slow
@given(rates, arrivals, st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=3)))
def test_forgetting_what_no_longer_counts_changes_no_answer(
    limits: list[Rate], came: list[datetime], later: timedelta
) -> None:
    kept = still_counting(limits, came, NOON)

    assert rate_refusal(limits, kept, NOON + later) == rate_refusal(limits, came, NOON + later)
    assert len(kept) <= max(rate.messages for rate in limits)


def test_a_conversation_may_be_quick_but_not_endless() -> None:
    quick = [NOON - timedelta(seconds=second) for second in range(5)]

    assert rate_refusal(CONVERSATION_RATES, quick, NOON) is None
    refused = rate_refusal(CONVERSATION_RATES, [*quick, NOON], NOON)
    assert refused is not None
    assert refused.words == "You write faster than I can answer. Please try again in 6 seconds."


def test_a_customer_with_many_conversations_is_slowed_down_over_all_of_them() -> None:
    came = [NOON - timedelta(seconds=2 * number) for number in range(20)]

    refused = rate_refusal(CUSTOMER_RATES, came, NOON)

    assert refused is not None
    assert refused.again_in_seconds == 22


@pytest.mark.parametrize(
    ("wait", "words"),
    [(1, "1 second."), (89, "89 seconds."), (90, "2 minutes."), (9000, "3 hours")],
)
def test_the_wait_is_told_in_words_that_fit(wait: int, words: str) -> None:
    refused = rate_refusal([Rate(1, timedelta(seconds=wait))], [NOON], NOON)

    assert refused is not None
    assert words in refused.words


def test_a_rate_of_no_messages_refuses_all() -> None:
    assert rate_refusal([Rate(0, MINUTE)], [], NOON) is not None
    assert still_counting([Rate(0, MINUTE)], [NOON], NOON) == []


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("hello", None),
        ("", "message_empty"),
        (" \n\t", "message_empty"),
        ("x" * LONGEST_MESSAGE_CHARACTERS, None),
        ("x" * (LONGEST_MESSAGE_CHARACTERS + 1), "message_too_long"),
    ],
)
def test_what_is_a_message(message: str, code: str | None) -> None:
    refused = content_refusal(message)

    assert (refused.code if refused else None) == code

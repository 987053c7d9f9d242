"""What is kept of an exception."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from adjourn import ActivityFailedError, FailureDetails, NonRetryableError
from adjourn.errors import SubOrchestrationFailedError
from adjourn.model.failure import (
    CHAIN_LIMIT,
    MESSAGE_LIMIT,
    TRACE_LIMIT,
    describe,
    type_name,
)


class PaymentRefused(Exception):
    """A user's own class."""

    class Twice(Exception):
        """A class inside a class."""


class CardRefused(PaymentRefused):
    pass


class Final(NonRetryableError):
    pass


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    """The error, as it looks after it was raised."""
    try:
        raise error from cause
    except BaseException as caught:
        return caught


def in_the_handler_of(first: BaseException, then: BaseException) -> BaseException:
    try:
        try:
            raise first
        except BaseException:
            raise then  # noqa: B904  the context is what is tested
    except BaseException as caught:
        return caught


def chain(failure: FailureDetails | None) -> list[str]:
    types: list[str] = []
    while failure is not None:
        types.append(failure.type)
        failure = failure.inner
    return types


def test_a_failure_has_type_message_and_trace():
    failure = describe(raised(PaymentRefused("no funds")))

    assert failure.type == f"{__name__}.PaymentRefused"
    assert failure.message == "no funds"
    assert "in raised" in failure.stack_trace
    assert failure.stack_trace.endswith("PaymentRefused: no funds\n")
    assert failure.inner is None
    assert not failure.non_retriable


def test_builtins_are_named_without_their_module_and_inner_classes_with_their_outer_one():
    assert type_name(ValueError) == "ValueError"
    assert type_name(asyncio.CancelledError) == "asyncio.exceptions.CancelledError"
    assert type_name(PaymentRefused.Twice) == f"{__name__}.PaymentRefused.Twice"


def test_a_cause_is_the_inner_failure_without_a_second_trace():
    failure = describe(raised(PaymentRefused("no"), ValueError("bad card")))

    assert chain(failure) == [f"{__name__}.PaymentRefused", "ValueError"]
    assert failure.inner is not None
    assert failure.inner.message == "bad card"
    assert failure.inner.stack_trace == ""


def test_what_was_being_handled_is_the_inner_failure_too():
    assert chain(describe(in_the_handler_of(KeyError("a"), ValueError("b")))) == [
        "ValueError",
        "KeyError",
    ]


def test_from_none_keeps_what_was_being_handled_out():
    error = in_the_handler_of(KeyError("a"), ValueError("b"))
    error.__suppress_context__ = True

    assert chain(describe(error)) == ["ValueError"]


@pytest.mark.parametrize("kind", [ActivityFailedError, SubOrchestrationFailedError])
def test_the_recorded_failure_of_a_task_is_the_inner_one(kind: type[ActivityFailedError]):
    recorded = FailureDetails(type="shop.CardRefused", message="expired")

    failure = describe(raised(kind("charge", recorded), ValueError("not this")))

    assert failure.inner == recorded
    assert "'charge' failed: shop.CardRefused: expired" in failure.message


def test_a_chain_is_cut_after_eight_causes():
    error: BaseException = ValueError("first")
    for _ in range(30):
        error = raised(ValueError("next"), error)

    assert len(chain(describe(error))) == CHAIN_LIMIT + 1


def test_causes_in_a_circle_end():
    first, second = ValueError("a"), KeyError("b")
    first.__cause__, second.__cause__ = second, first

    assert len(chain(describe(first))) == CHAIN_LIMIT + 1


def test_a_chain_through_many_generations_of_children_is_cut_too():
    failure = FailureDetails(type="ValueError", message="the great-grandchild's")
    for _ in range(100):
        failure = describe(raised(SubOrchestrationFailedError("child", failure)))

    assert len(chain(failure)) <= 2 * CHAIN_LIMIT


def test_is_caused_by_walks_the_chain():
    failure = describe(raised(PaymentRefused("no"), raised(ValueError(), KeyError("k"))))

    for kind in (PaymentRefused, ValueError, KeyError):
        assert failure.is_caused_by(kind)
    assert not failure.is_caused_by(TypeError)


@pytest.mark.parametrize("name", [f"{__name__}.PaymentRefused", "PaymentRefused"])
def test_is_caused_by_takes_a_full_name_or_a_short_one(name: str):
    assert describe(PaymentRefused()).is_caused_by(name)
    assert not describe(PaymentRefused()).is_caused_by(name.lower())
    assert not describe(PaymentRefused()).is_caused_by("Refused")


def test_is_caused_by_knows_names_only_so_subclasses_do_not_match():
    failure = describe(CardRefused())

    assert failure.is_caused_by(CardRefused)
    assert not failure.is_caused_by(PaymentRefused)
    assert not failure.is_caused_by(Exception)


@pytest.mark.parametrize(
    ("error", "non_retriable"),
    [(NonRetryableError("x"), True), (Final("x"), True), (ValueError("x"), False)],
)
def test_a_non_retryable_error_and_its_subclasses_say_so(error: Exception, non_retriable: bool):
    assert describe(error).non_retriable is non_retriable


def test_a_non_retryable_cause_does_not_make_its_consequence_non_retryable():
    failure = describe(raised(ValueError("wrapped"), Final("x")))

    assert not failure.non_retriable
    assert failure.inner is not None
    assert failure.inner.non_retriable


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("broken")

    __repr__ = __str__


class Mute(Exception):
    def __str__(self) -> str:
        return 42  # type: ignore[return-value]  # what is tested


@pytest.mark.parametrize("error", [Unspeakable("x"), Mute("x")], ids=["raises", "no text"])
def test_a_broken_message_is_recorded_as_such(error: Exception):
    failure = describe(raised(error))

    assert failure.message == "(its message could not be read)"
    assert failure.type == f"{__name__}.{type(error).__name__}"


def test_surrogates_in_a_message_are_written_as_escapes():
    failure = describe(raised(ValueError("a\ud800b")))

    assert failure.message == "a\\ud800b"
    assert msgspec.json.decode(msgspec.json.encode(failure), type=FailureDetails) == failure


def test_a_huge_message_keeps_its_beginning_and_a_huge_trace_its_end():
    failure = describe(raised(ValueError("begin" + "x" * 100_000 + "end")))

    assert len(failure.message) == MESSAGE_LIMIT
    assert failure.message.startswith("begin")
    assert len(failure.stack_trace) == TRACE_LIMIT
    assert failure.stack_trace.endswith("end\n")


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), SystemExit(3), KeyboardInterrupt(), GeneratorExit()]
)
def test_what_is_no_exception_is_described_as_well(error: BaseException):
    assert describe(raised(error)).type.endswith(type(error).__name__)


def test_an_exception_group_is_named_and_counted():
    failure = describe(raised(ExceptionGroup("two of them", [ValueError("a"), KeyError("b")])))

    assert failure.type == "ExceptionGroup"
    assert failure.message == "two of them (2 sub-exceptions)"
    assert "ValueError: a" in failure.stack_trace


def test_a_failure_writes_only_what_it_has_and_survives_json():
    plain = FailureDetails(type="ValueError", message="no")
    full = describe(raised(Final("no"), ValueError("why")))

    assert msgspec.json.encode(plain) == b'{"type":"ValueError","message":"no"}'
    assert msgspec.json.decode(msgspec.json.encode(full), type=FailureDetails) == full

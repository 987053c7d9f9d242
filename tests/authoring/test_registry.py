"""What may be registered, and how a call becomes stored input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from adjourn import Adjourn, Context, RetryPolicy, activity_context, current_activity
from adjourn.authoring.current import ActivityContext
from adjourn.errors import AdjournError, InvalidPayloadError, RegistrationError


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str = "EUR"


def star(*names: str) -> None: ...
def two(ctx: Context, first: int, second: int) -> None: ...
def plain(ctx: Context) -> None: ...


@pytest.mark.parametrize(
    ("register", "lesson"),
    [
        (lambda app: app.activity(star), "name each parameter"),
        (lambda app: app.activity(timeout=timedelta())(plain), "timeout must be positive"),
        (lambda app: app.activity(concurrency=0)(plain), "concurrency must be"),
        (lambda app: app.activity(name="")(plain), "an activity name"),
        (
            lambda app: app.activity(
                at_most_once=True, retry=RetryPolicy(max_number_of_attempts=2)
            )(plain),
            "choose one",
        ),
        (lambda app: app.orchestrator(two), "one dataclass"),
        (lambda app: app.orchestrator(plain), "must be `async def`"),
        (lambda app: RetryPolicy(max_number_of_attempts=0), "must be at least 1"),
        (lambda app: RetryPolicy(backoff_coefficient=0.5), "1 to 1000"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_right_form(
    register: Callable[[Adjourn], Any], lesson: str
):
    with pytest.raises(AdjournError, match=lesson):
        register(Adjourn())


def test_a_name_stands_for_one_function():
    app = Adjourn()
    app.activity(name="pay")(plain)

    with pytest.raises(RegistrationError, match="already an activity called 'pay'"):
        app.activity(name="pay")(star.__class__)
    with pytest.raises(RegistrationError, match="already an activity called 'pay'"):
        app.activity(name="pay")(plain)


def test_arguments_are_stored_by_name_and_come_back_typed():
    app = Adjourn()

    @app.activity
    def pay(to: str, money: Money, note: str = "thanks") -> Money:
        return money

    by_position = pay.encode_arguments(("ada", Money(Decimal("1.50"))), {})
    by_name = pay.encode_arguments((), {"money": Money(Decimal("1.50")), "to": "ada"})

    assert bytes(by_position) == bytes(by_name)
    assert bytes(by_position) == b'{"money":{"amount":"1.50","currency":"EUR"},"to":"ada"}'
    assert pay.decode_arguments(by_position) == {
        "to": "ada",
        "money": Money(Decimal("1.50")),
        "note": "thanks",
    }


def test_wrong_arguments_fail_at_the_call_as_python_says_it():
    app = Adjourn()

    @app.activity
    def pay(to: str, amount: int) -> None: ...

    for args, kwargs in (
        (("ada",), {}),
        (("ada", 1, 2), {}),
        (("ada",), {"amunt": 1}),
        (("ada", 1), {"to": "bob"}),
    ):
        with pytest.raises(TypeError):
            pay.encode_arguments(args, kwargs)
    with pytest.raises(InvalidPayloadError, match=r"amount"):
        pay.decode_arguments(pay.encode_arguments(("ada", "much"), {}))


def test_a_plain_call_of_an_activity_runs_the_function():
    app = Adjourn()

    @app.activity
    def key(suffix: str) -> str:
        return current_activity().idempotency_key + suffix

    with pytest.raises(AdjournError, match="activity_context"):
        key("!")
    context = ActivityContext(instance_id="i", execution=1, sequence=2, name="key", attempt=1)
    with activity_context(context):
        assert key("!") == "i/1/2!"


def test_a_mismatched_annotation_names_what_is_missing():
    app = Adjourn()

    @app.activity
    def pay(to: Missing) -> None: ...  # noqa: F821  # pyright: ignore[reportUndefinedVariable]  # it is missing on purpose

    with pytest.raises(RegistrationError, match="Missing"):
        pay.decode_arguments(pay.encode_arguments(("x",), {}))

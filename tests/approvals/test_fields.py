"""Forms from JSON Schema, and what comes back."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import msgspec
import pydantic
import pytest

from adjourn.approvals.fields import changes_of, fields_of
from adjourn.model import codec
from adjourn.model.approval import Bounds


@dataclass
class Refund:
    order_id: str
    amount: Decimal
    copies: int
    rate: float
    express: bool
    method: Literal["card", "bank"]
    until: str | None
    limit: int | None
    lines: list[dict[str, int]]
    note: str = ""


VALUE = Refund("A-1", Decimal("600.00"), 2, 0.5, True, "card", None, None, [{"lamp": 1}])
EVERYTHING = dict.fromkeys(
    ("order_id amount copies rate express method until limit lines note").split(), Bounds()
)


def form_and_value(value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """As they come out of a history: canonical, so sorted."""
    kind = type(value)
    if isinstance(value, pydantic.BaseModel):
        schema = kind.model_json_schema()
    else:
        schema = msgspec.json.schema(kind)
    return msgspec.json.decode(codec.encode(schema)), msgspec.json.decode(codec.encode(value))


def changed(value: Any = VALUE, **typed: str) -> tuple[dict[str, Any], dict[str, str]]:
    form, given = form_and_value(value)
    return changes_of(form, given, dict.fromkeys(given, Bounds()), typed)


def test_fields_come_in_the_order_of_the_type_with_the_right_widgets() -> None:
    form, value = form_and_value(VALUE)

    fields = fields_of(form, value, value, {**EVERYTHING, "amount": Bounds(minimum="1")})

    assert [(each.label, each.widget, each.value) for each in fields] == [
        ("Order id", "text", "A-1"),
        ("Amount", "number", "600.00"),
        ("Copies", "number", "2"),
        ("Rate", "number", "0.5"),
        ("Express", "choice", "true"),
        ("Method", "choice", "card"),
        ("Until", "text", ""),
        ("Limit", "number", ""),
        ("Lines", "json", '[{"lamp": 1}]'),
        ("Note", "text", ""),
    ]
    assert fields[1].bounds == "1 or more" and fields[6].proposed == "—"
    assert fields[5].choices == [("bank", "bank"), ("card", "card")]


def test_what_nobody_touched_changes_nothing() -> None:
    form, value = form_and_value(VALUE)
    untouched = {each.name: each.value for each in fields_of(form, value, value, EVERYTHING)}

    assert changes_of(form, value, EVERYTHING, untouched) == ({}, {})


@pytest.mark.parametrize(
    ("typed", "changes"),
    [
        ({"amount": "550.00"}, {"amount": "550.00"}),
        ({"amount": " 1,550.5 "}, {"amount": "1550.5"}),
        ({"amount": "600"}, {}),
        ({"amount": "1,234,567"}, {"amount": "1234567"}),
        ({"copies": "1,000"}, {"copies": 1000}),
        ({"rate": ".5"}, {}),
        ({"copies": "3"}, {"copies": 3}),
        ({"rate": "1"}, {"rate": 1}),
        ({"rate": "0.50"}, {}),
        ({"express": "false"}, {"express": False}),
        ({"method": "bank"}, {"method": "bank"}),
        ({"until": "tomorrow"}, {"until": "tomorrow"}),
        ({"limit": "5"}, {"limit": 5}),
        ({"lines": '[{"lamp": 2}]'}, {"lines": [{"lamp": 2}]}),
        ({"note": "two\r\nlines"}, {"note": "two\nlines"}),
        ({"order_id": "0"}, {"order_id": "0"}),
    ],
)
def test_what_is_typed_becomes_json_of_the_fields_type(
    typed: dict[str, str], changes: dict[str, Any]
) -> None:
    assert changed(**typed) == (changes, {})


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"amount": "much"}, "must be a number, such as 12.50"),
        ({"amount": "NaN"}, "must be a number, such as 12.50"),
        ({"amount": ""}, "must be a number, such as 12.50"),
        ({"amount": "19,80"}, "must be a number, such as 12.50"),
        ({"amount": "1.234,50"}, "must be a number, such as 12.50"),
        ({"amount": "12,3456"}, "must be a number, such as 12.50"),
        ({"rate": "0,5"}, "must be a number, such as 12.50"),
        ({"copies": "2.5"}, "must be a whole number"),
        ({"copies": "1,0"}, "must be a whole number"),
        ({"copies": "1_0"}, "must be a whole number"),
        ({"rate": "1e99"}, "must be a number, such as 12.50"),
        ({"express": "maybe"}, "must be yes or no"),
        ({"method": "cash"}, "must be one of the values offered"),
        ({"lines": "[1"}, "must be JSON"),
    ],
)
def test_what_cannot_be_read_is_told_at_its_field(typed: dict[str, str], message: str) -> None:
    assert changed(**typed) == ({}, dict.fromkeys(typed, message))


def test_fields_that_are_not_editable_are_never_read() -> None:
    form, value = form_and_value(VALUE)

    assert changes_of(form, value, {}, {"amount": "1"}) == ({}, {})


def test_errors_of_a_part_are_told_at_its_field() -> None:
    form, value = form_and_value(VALUE)
    errors = {"lines.0.lamp": "must be at least 1", "amount": "is too much"}

    fields = {each.name: each for each in fields_of(form, value, value, EVERYTHING, {}, errors)}

    assert fields["lines"].error == "0.lamp must be at least 1"
    assert fields["amount"].error == "Is too much"


def test_what_was_typed_stands_in_the_field_again() -> None:
    form, value = form_and_value(VALUE)

    fields = fields_of(form, value, value, EVERYTHING, {"amount": "much"})

    assert (fields[1].value, fields[1].before) == ("much", "600.00")


class Money(pydantic.BaseModel):
    amount: Decimal = pydantic.Field(title="How much", description="In euros")
    parts: list[str] = []


def test_a_pydantic_model_draws_its_form_too() -> None:
    form, value = form_and_value(Money(amount=Decimal("600.00")))

    (amount, _) = fields_of(form, value, value, {"amount": Bounds()})

    assert (amount.label, amount.help, amount.widget) == ("How much", "In euros", "number")
    assert changed(Money(amount=Decimal("600.00")), amount="55.5") == ({"amount": "55.5"}, {})
    assert changed(Money(amount=Decimal("600.00")), amount="600") == ({}, {})


@dataclass
class Node:
    name: str
    next: "Node | None" = None
    more: list[int] = field(default_factory=list[int])


def test_a_schema_that_refers_to_itself_ends() -> None:
    form, value = form_and_value(Node("a", Node("b")))

    fields = fields_of(form, value, {**value, "name": "z"}, {})

    assert [each.name for each in fields] == ["name", "more", "next"]
    assert fields[0].changed and not fields[1].changed

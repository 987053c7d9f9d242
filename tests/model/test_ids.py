"""What may be an id or a name, and what may not."""

from __future__ import annotations

import pytest

from adjourn.errors import InvalidIdError
from adjourn.model.ids import check_instance_id, check_name, child_id

ACCEPTED_IDS = {
    "one character": "x",
    "every kind of character": "Order-42_b.7:1",
    "digits": "0042",
    "dots": "..",
    "a leading dash": "-x",
    "a uuid": "9e952958-5e33-4daf-827f-2fa12937b875",
    "200 characters": "x" * 200,
}

REFUSED_IDS = {
    "nothing": "",
    "201 characters": "x" * 201,
    "a space": "a b",
    "a trailing newline": "a\n",
    "a slash": "a/b",
    "a backslash": "a\\b",
    "a hash": "a#b",
    "a question mark": "a?b",
    "an entity": "@counter@k",
    "a percent sign": "a%2Fb",
    "a letter of another script": "bestellung-ü",
    "a digit of another script": "٤٢",
    "a null": "a\0",
    "a lone surrogate": "\ud800",
}

ACCEPTED_NAMES = {
    "one character": "x",
    "a space and punctuation": "Approval (second)!",
    "another script": "Genehmigung für Ä",
    "a slash": "orders/approve",
    "200 characters": "ü" * 200,
}

REFUSED_NAMES = {
    "nothing": "",
    "201 characters": "x" * 201,
    "a newline": "a\nb",
    "a tab": "a\tb",
    "a null": "a\0b",
    "a lone surrogate": "\ud800",
    "a line separator": "a\u2028b",
    "a direction override": "a\u202eb",
}


@pytest.mark.parametrize("case", ACCEPTED_IDS)
def test_an_instance_id_may_be(case: str):
    assert check_instance_id(ACCEPTED_IDS[case]) == ACCEPTED_IDS[case]


@pytest.mark.parametrize("case", REFUSED_IDS)
def test_an_instance_id_may_not_hold(case: str):
    with pytest.raises(InvalidIdError, match="cannot be an instance id: use 1 to 200 of"):
        check_instance_id(REFUSED_IDS[case])


@pytest.mark.parametrize("case", ACCEPTED_NAMES)
def test_a_name_may_be(case: str):
    assert check_name("an event name", ACCEPTED_NAMES[case]) == ACCEPTED_NAMES[case]


@pytest.mark.parametrize("case", REFUSED_NAMES)
def test_a_name_may_not_hold(case: str):
    with pytest.raises(InvalidIdError, match="cannot be an event name: use 1 to 200 printable"):
        check_name("an event name", REFUSED_NAMES[case])


def test_the_error_holds_the_value_and_shows_little_of_it():
    with pytest.raises(InvalidIdError) as caught:
        check_instance_id("?" * 5_000)

    assert caught.value.value == "?" * 5_000
    assert len(str(caught.value)) < 200


def test_a_child_without_an_id_is_called_after_its_parent_execution_and_sequence():
    assert child_id("order-42", 3, 7) == "order-42:3:7"


@pytest.mark.parametrize("length", [1, 190, 196, 197, 200])
def test_a_childs_id_is_always_an_instance_id(length: int):
    assert check_instance_id(child_id("x" * length, 1, 1))
    assert check_instance_id(child_id("x" * length, 10**6, 10**6))


def test_children_of_long_parents_are_told_apart():
    parent = "x" * 200
    ids = {child_id(parent[:-1] + last, e, s) for last in "xy" for e in (1, 2) for s in (1, 2)}

    assert len(ids) == 8


def test_generations_of_children_never_outgrow_an_id():
    id = "order-42"
    for _ in range(100):
        id = check_instance_id(child_id(id, 1, 1))

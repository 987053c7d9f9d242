"""What a card shows, what its buttons send, and what is read of it."""

import json
from typing import Any

import pytest

from apps.support_agent.tests.teams_cards.drawing import (
    NotSentError,
    buttons,
    elements,
    of_type,
    press,
    question,
    read,
    text,
)
from support_agent.channels.port import CardField
from support_agent.channels.teams.cards import (
    SIZE_MOST,
    BadCardDataError,
    adaptive_card,
    typed_of,
)

SAME = {"action": "approve", "approval": "C-1:1:1", "version": 3, "digest": "d" * 64}
UNTOUCHED = {"amount": "60.00", "method": "card", "note": "two\nlines"}


def test_a_question_reads_from_what_would_happen_to_what_was_said() -> None:
    assert read(adaptive_card(question(risk="high"))["body"]).splitlines() == [
        "Refund 60.00 EUR to Ada",
        "High risk · Open",
        "The proposal",
        "Order: A-1042",
        "Amount: 60.00",
        "Method: card",
        "Note: ",
        "two",
        "lines",
        "What is known",
        "For: Ada Lovelace",
        "Due: in 8 hours",
        "The conversation",
        "Ada: The lamp is broken.",
        "Agent: I am sorry.",
    ]


def test_the_buttons_are_those_that_this_reader_may_use() -> None:
    both = ["Approve", "Approve with changes", "Reject"]
    link = ["Open in the dashboard"]

    assert buttons(adaptive_card(question())) == both + link
    assert buttons(adaptive_card(question(link=""))) == both
    assert buttons(adaptive_card(question(allowed=("reject",)))) == ["Reject", *link]
    assert buttons(adaptive_card(question(allowed=("approve", "undo")))) == both[:2] + link
    assert buttons(adaptive_card(question(allowed=()))) == link
    assert buttons(adaptive_card(question(open=False))) == link
    assert buttons(adaptive_card(question(allowed=(), link=""))) == []


def test_a_card_without_buttons_has_no_inputs_either() -> None:
    for card in (question(allowed=()), question(open=False)):
        assert not of_type(adaptive_card(card), "Input.")


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "desk", "file:///etc/passwd", "https://x/\u202e", "http://x/\n"]
)
def test_what_is_no_address_of_a_page_is_no_button(link: str) -> None:
    drawn = adaptive_card(question(link=link))

    assert "Open in the dashboard" not in buttons(drawn) and link not in drawn["fallbackText"]


# What is sent.


def test_approve_sends_what_is_approved_and_no_input() -> None:
    drawn = adaptive_card(question())

    assert drawn["actions"][0]["associatedInputs"] == "none"  # wherever inputs may stand one day
    assert press(drawn, "Approve") == SAME
    assert typed_of(SAME) == {}


def test_every_action_is_named_by_its_verb_and_in_its_data() -> None:
    drawn = adaptive_card(question(refresh_by=("t/o",)))
    executes = [each for each in of_type(drawn, "Action.Execute")]

    assert [each["verb"] for each in executes] == ["approve", "approve", "reject", "refresh"]
    for each in executes:
        assert each["data"].items() >= {**SAME, "action": each["verb"]}.items()


def test_changes_send_the_inputs_as_they_stand() -> None:
    drawn = adaptive_card(question())

    assert typed_of(press(drawn, "Approve these changes")) == UNTOUCHED
    typed = {"field.amount": "19.80", "field.method": "bank"}
    assert typed_of(press(drawn, "Approve these changes", **typed)) == {
        **UNTOUCHED,
        "amount": "19.80",
        "method": "bank",
    }


def test_an_emptied_input_is_empty_and_not_as_it_was() -> None:
    sent = press(adaptive_card(question()), "Approve these changes", **{"field.note": ""})

    assert "field.note" not in sent  # or this proves nothing
    assert typed_of(sent) == {**UNTOUCHED, "note": ""}


def test_a_rejection_needs_a_reason_and_sends_no_field() -> None:
    drawn = adaptive_card(question())

    with pytest.raises(NotSentError, match="needs a reason"):
        press(drawn, "Send the rejection")
    sent = press(drawn, "Send the rejection", comment="Not ours")
    assert sent == {**SAME, "action": "reject", "comment": "Not ours"}


@pytest.mark.parametrize("typed", ["19,80", "much", "1.2.3", "1,23", "12,3456"])
def test_what_is_no_number_is_not_even_sent(typed: str) -> None:
    with pytest.raises(NotSentError, match="A number"):
        press(adaptive_card(question()), "Approve these changes", **{"field.amount": typed})


@pytest.mark.parametrize("typed", ["19.80", "1,550.5", " 7 ", "-3", "1e-07", "+.5", "1234567.891"])
def test_a_number_is_sent_digit_for_digit(typed: str) -> None:
    drawn = adaptive_card(question())

    sent = press(drawn, "Approve these changes", **{"field.amount": typed})

    assert typed_of(sent)["amount"] == typed


# Fields.


def inputs_of(*fields: CardField) -> list[dict[str, Any]]:
    return of_type(adaptive_card(question(fields=fields, allowed=("approve",))), "Input.")


def test_each_widget_has_its_input() -> None:
    (amount, method, note, lines, word) = inputs_of(
        text("amount", "60.00", widget="number", bounds="1 to 60"),
        text("method", "card", widget="choice", choices=(("card", "Card"), ("bank", "Bank"))),
        text("note", "word", widget="long"),
        text("lines", '[{"lamp": 1}]', widget="json"),
        text("word", "x"),
    )

    assert (amount["type"], amount["label"]) == ("Input.Text", "Amount (1 to 60)")
    assert (method["type"], method["value"]) == ("Input.ChoiceSet", "card")
    assert method["choices"][1] == {"title": "Bank", "value": "bank"}
    assert note["isMultiline"] and lines["isMultiline"] and "isMultiline" not in word


def test_a_value_that_is_no_choice_stands_among_them() -> None:
    (method,) = inputs_of(text("method", "cash", widget="choice", choices=(("card", "Card"),)))

    assert [each["value"] for each in method["choices"]] == ["card", "cash"]


def test_five_fields_have_inputs_and_six_have_none() -> None:
    fields = tuple(text(f"f{number}", "x") for number in range(6))

    assert len(inputs_of(*fields[:5])) == 5
    drawn = adaptive_card(question(fields=fields))
    assert buttons(drawn) == ["Approve", "Reject", "Open in the dashboard"]
    assert "It has 6 fields to change: change them in the dashboard." in read(drawn)


@pytest.mark.parametrize("value", ["x" * 4_001, "a\rb", "a\u202eb", "\ud800", "\x00", "😀" * 2_001])
def test_a_value_that_would_not_come_back_as_it_is_has_no_input(value: str) -> None:
    drawn = adaptive_card(question(fields=(text("note", value, shown="x"), text("word", "y"))))

    assert [each["id"] for each in of_type(drawn, "Input.")] == ["field.word", "comment"]
    assert "Some fields can be changed in the dashboard only." in read(drawn)


def test_what_was_wrong_stands_above_all_and_at_its_input() -> None:
    fields = (text("amount", "99", shown="60.00", error="Must be at most 60.00", changed=True),)
    drawn = adaptive_card(question(fields=fields, trouble="It was not approved."))

    assert read(drawn["body"]).splitlines()[2:6] == [
        "It was not approved.",
        "Amount: Must be at most 60.00",
        "The proposal",
        "Amount: 60.00 (changed)",
    ]
    (fold,) = [each for each in drawn["actions"] if each["title"] == "Approve with changes"]
    assert read(fold) == "Must be at most 60.00"
    assert typed_of(press(drawn, "Approve these changes")) == {"amount": "99"}


# What others wrote.


def test_no_line_of_others_can_look_like_one_of_ours() -> None:
    said = (("Ada", "Hello\nAmount: 1.00"),)
    drawn = adaptive_card(question(said=said, title="A\nB", facts=(("For", "x\n\ny"),)))

    assert "Ada: Hello Amount: 1.00" in read(drawn) and "A B" in read(drawn)
    fields = (text("note", "x\nAmount: 1.00"),)
    (box,) = of_type(adaptive_card(question(fields=fields)), "Container")
    assert read(box) == "x\nAmount: 1.00"


def test_a_client_finds_no_date_to_replace() -> None:
    hostile = "{{DATE(2017-02-14T06:08:39Z, LONG)}}"
    drawn = adaptive_card(question(said=(("Ada", hostile),), title="{{{" + hostile))

    assert hostile in read(drawn)
    assert not [run for run in of_type(drawn, "TextRun") if "{{" in run["text"]]


def test_what_hides_is_shown() -> None:
    drawn = adaptive_card(question(title="Refund \u202e00.06", status="\u200b"))

    assert read(drawn).splitlines()[:2] == ["Refund ⟨U+202E⟩00.06", "Low risk · ⟨U+200B⟩"]


def test_nothing_spoken_is_a_tag() -> None:
    drawn = adaptive_card(question(title="<break time='9s'/>&amp;"))

    assert not set("<>&") & set(drawn["speak"]) and "break time" in drawn["speak"]


# Views of their own.


def test_those_who_may_get_a_view_of_their_own_are_named_without_their_tenant() -> None:
    accounts = ("tenant/one", "29:two", *(f"tenant/{number}" for number in range(70)))
    refresh = adaptive_card(question(allowed=(), refresh_by=accounts))["refresh"]

    assert refresh["userIds"][:3] == ["one", "29:two", "0"] and len(refresh["userIds"]) == 60
    assert refresh["action"]["verb"] == refresh["action"]["data"]["action"] == "refresh"


def test_a_closed_question_is_not_fetched_again() -> None:
    assert "refresh" not in adaptive_card(question(open=False, refresh_by=("t/o",)))
    assert "refresh" not in adaptive_card(question())


# Size.


def size(drawn: dict[str, Any]) -> int:
    return len(json.dumps(drawn))


def test_of_a_long_conversation_the_last_lines_are_shown_and_the_others_counted() -> None:
    said = tuple(("Ada", f"Line {number}") for number in range(22))
    shown = read(adaptive_card(question(said=said)))

    assert "… 12 more lines in the dashboard\nAda: Line 12\n" in shown
    assert shown.endswith("Ada: Line 21")


def test_a_long_line_says_how_much_is_missing() -> None:
    shown = read(adaptive_card(question(said=(("Ada", "x" * 1_500),))))

    assert shown.endswith("x… (500 more characters)")


def test_the_conversation_gives_way_to_the_proposal() -> None:
    said = tuple(("Ada", "é" * 1_000) for _ in range(10))
    long = "ü" * 3_000
    drawn = adaptive_card(question(said=said, fields=(CardField("text", "Text", long),)))

    assert size(drawn) <= SIZE_MOST and long in read(drawn)
    assert "more lines in the dashboard" in read(drawn) and "Approve" in buttons(drawn)


def test_what_cannot_be_shown_whole_can_be_rejected_here_and_not_approved() -> None:
    note = CardField("text", "Text", "x" * 4_001)
    many = tuple(CardField(f"f{number}", "F", "y" * 700) for number in range(40))

    for fields in ((note,), many):
        drawn = adaptive_card(question(fields=fields))
        assert size(drawn) <= SIZE_MOST
        assert buttons(drawn) == ["Reject", "Open in the dashboard"]
        assert "too long to be approved here" in read(drawn)
        assert "more" in read(drawn)


def test_inputs_give_way_before_the_proposal_is_cut() -> None:
    value = "é" * 1_200
    drawn = adaptive_card(question(fields=tuple(text(name, value) for name in "ab")))

    assert size(drawn) <= SIZE_MOST
    assert buttons(drawn) == ["Approve", "Reject", "Open in the dashboard"]
    assert "Some fields can be changed in the dashboard only." in read(drawn)


# What is read.


@pytest.mark.parametrize(
    ("given", "read_as"),
    [
        ("x", "x"), ("", ""), (" 5 ", " 5 "), (True, "true"), (False, "false"), (7, "7"),
        (600.0, "600"), (0.1, "0.1"), (1e300, "1e+300"), (-0.0, "0"), (10**20, "1" + "0" * 20),
    ],
)  # fmt: skip
def test_whatever_a_client_sends_for_an_input_is_read_as_text(given: object, read_as: str) -> None:
    assert typed_of({"field.a": given}) == {"a": read_as}


def test_all_else_that_comes_back_is_no_field() -> None:
    sent = {**SAME, "title": "Refund 1", "amount": "1", "comment": "c", "field.a": None, "x": [1]}

    assert typed_of(sent) == {}


@pytest.mark.parametrize(
    "sent",
    [
        {"field.a": ["x"]},
        {"field.a": {"b": 1}},
        {"field.a": "x" * 4_001},
        {"field.a": 10**5_000},
        {"field." + "a" * 4_001: "x"},
        {f"field.{number}": "x" for number in range(6)},
        {"fields": [str(number) for number in range(6)]},
        {"fields": "abc"},
        {"fields": [1]},
        {"fields": [["a"]]},
        {"fields": None},
    ],
)
def test_what_no_card_of_ours_sends_is_refused_and_not_cut(sent: dict[str, Any]) -> None:
    with pytest.raises(BadCardDataError):
        typed_of(sent)


def test_the_ids_of_all_inputs_differ_even_from_our_own() -> None:
    fields = tuple(text(name, "x") for name in ("comment", "action", "version", "fields"))
    ids = [each["id"] for each in elements(adaptive_card(question(fields=fields))) if "id" in each]

    assert len(ids) == len(set(ids)) == 5 and not {"action", "version", "fields"} & set(ids)

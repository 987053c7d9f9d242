"""Whatever stands in an approval: clients can draw its card, and it misleads nobody."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.support_agent.tests.teams_cards.drawing import (
    buttons,
    elements,
    of_type,
    press,
    question,
    text,
)
from support_agent.channels.port import ApprovalCard, CardField
from support_agent.channels.teams.cards import SIZE_MOST, adaptive_card, typed_of
from support_agent.web.text import plain

pytestmark = pytest.mark.slow

VENDORED = Path(__file__).parent / "vendored"
SCHEMA = VENDORED / "adaptive-card-1.5.json"
SCHEMA_RULES = jsonschema_rs.validator_for(json.loads(SCHEMA.read_bytes()))

OUR_WORDS = re.compile(
    r"The proposal|What is known|The conversation|It has \d+ fields to change: change them in the "
    r"dashboard\.|It is too long to be approved here: approve it in the dashboard\.|Some fields "
    r"can be changed in the dashboard only\.|\u2026 [\d,]+ more (field|fact|line)s? in the "
    r"dashboard"
)
TITLES = {
    "Approve", "Approve with changes", "Approve these changes", "Reject", "Send the rejection",
    "Open in the dashboard", "Refresh",
}  # fmt: skip

HOSTILE = st.sampled_from(
    ["**b** [Approve](https://evil.example)", "{{DATE(2017-02-14T06:08:39Z, LONG)}}", "# x\n- y",
     "<at>Lena</at>", "![i](http://e/i.png)", "\ud83d", "\u202ex", "x" * 5_000,
     "\U0001f600" * 3_000]
)  # fmt: skip
TEXTS = st.text(st.characters(), max_size=60) | HOSTILE
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), max_size=20).map(tuple)
IDS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=200)
WORDS = st.lists(st.sampled_from(["claim", "approve", "reject", "undo", "comment"])).map(tuple)


@st.composite
def fields(draw: st.DrawFn) -> tuple[CardField, ...]:
    names = draw(st.lists(TEXTS, max_size=9, unique=True))
    return tuple(draw(_field(name)) for name in names)


def _field(name: str) -> st.SearchStrategy[CardField]:
    return st.builds(
        CardField,
        name=st.just(name),
        label=TEXTS,
        shown=TEXTS,
        value=TEXTS,
        widget=st.sampled_from(["text", "long", "number", "choice", "json"]),
        editable=st.booleans(),
        changed=st.booleans(),
        bounds=TEXTS,
        choices=st.lists(st.tuples(TEXTS, TEXTS), max_size=4).map(tuple),
        error=TEXTS,
    )


CARDS = st.builds(
    ApprovalCard,
    id=IDS,
    version=st.integers(1, 2**53),
    digest=st.just("d" * 64),
    title=TEXTS,
    status=TEXTS,
    open=st.booleans(),
    risk=st.sampled_from(["low", "medium", "high"]),
    fields=fields(),
    facts=PAIRS,
    said=PAIRS,
    link=TEXTS | st.just("https://desk.example/approvals/C-1"),
    allowed=WORDS,
    refresh_by=st.lists(TEXTS | IDS.map("tenant/{}".format), max_size=70).map(tuple),
    trouble=TEXTS,
)


def broken_rules(drawn: Any) -> list[str]:
    return [str(error) for error in SCHEMA_RULES.iter_errors(drawn)]


@settings(max_examples=40, deadline=None)
@given(card=CARDS)
def test_any_card_can_be_sent_and_drawn(card: ApprovalCard) -> None:
    drawn = adaptive_card(card)

    assert json.loads(json.dumps(drawn, ensure_ascii=False).encode()) == drawn
    assert len(json.dumps(drawn)) <= SIZE_MOST
    assert broken_rules(drawn) == []
    inputs = [each["id"] for each in of_type(drawn, "Input.")]
    assert len(inputs) == len(set(inputs))
    assert sum(id.startswith("field.") for id in inputs) <= 5
    folds = [each for each in drawn["actions"] if each["type"] == "Action.ShowCard"]
    assert all(len(each["card"]["actions"]) == 1 for each in folds)
    assert len(drawn["actions"]) + bool(folds) <= 5  # seen at once: one fold is open at a time
    if not card.open or not card.allowed:
        assert not inputs and {each["type"] for each in drawn["actions"]} <= {"Action.OpenUrl"}


@settings(max_examples=40, deadline=None)
@given(card=CARDS)
def test_in_any_card_only_our_own_words_are_rendered(card: ApprovalCard) -> None:
    drawn = adaptive_card(card)

    for each in elements(drawn):
        match each["type"]:
            case "TextBlock":
                assert OUR_WORDS.fullmatch(each["text"])
            case "TextRun":
                assert "{{" not in each["text"] and "\u202e" not in each["text"]
            case "Action.Execute" | "Action.ShowCard" | "Action.OpenUrl":
                assert each["title"] in TITLES
            case kind:
                assert kind in {
                    "AdaptiveCard", "RichTextBlock", "Container", "Input.Text", "Input.ChoiceSet",
                }  # fmt: skip
        assert each.get("errorMessage", "") in (
            "", "A number, such as 12.50.", "A rejection needs a reason.",
        )  # fmt: skip


LINES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]) | st.just("\n"), max_size=40)
NUMBERS = (
    st.integers(-(10**12), 10**12).map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(json.dumps)
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9).map(
        str
    )
)


@st.composite
def editable_fields(draw: st.DrawFn) -> tuple[CardField, ...]:
    """As the form gives them: of text, of numbers as JSON and Decimal write them, of choices."""
    names = draw(st.lists(LINES, min_size=1, max_size=5, unique=True))
    found: list[CardField] = []
    for name in names:
        widget = draw(st.sampled_from(["text", "long", "number", "choice", "json"]))
        value = draw(NUMBERS if widget == "number" else LINES)
        options = draw(st.lists(LINES, min_size=1, max_size=4)) if widget == "choice" else []
        choices = tuple((each, each) for each in options)
        found.append(text(name, value, widget=widget, choices=choices))
    return tuple(found)


@settings(max_examples=100, deadline=None)
@given(drawn_fields=editable_fields())
def test_inputs_that_nobody_touched_bring_back_every_value(
    drawn_fields: tuple[CardField, ...],
) -> None:
    drawn = adaptive_card(question(fields=drawn_fields, said=(), facts=()))

    typed = typed_of(press(drawn, "Approve these changes"))

    assert typed == {each.name: each.value for each in drawn_fields}


@settings(max_examples=40, deadline=None)
@given(card=CARDS)
def test_approving_is_offered_only_where_every_field_is_shown_whole(card: ApprovalCard) -> None:
    drawn = adaptive_card(card)

    if "Approve" in buttons(drawn):
        blocks = of_type(drawn, "RichTextBlock")
        shown = ["".join(run["text"] for run in each["inlines"]) for each in blocks]
        for each in card.fields:
            assert any(plain(each.shown) in text for text in shown)


# The schema that the cards are measured with.


def test_the_schema_is_the_published_one() -> None:
    listed = re.findall(r"`([\w.-]+)` \|.*`([0-9a-f]{64})`", (VENDORED / "VENDORED.md").read_text())

    assert {name for name, _ in listed} == {SCHEMA.name, "adaptive-card.LICENSE.txt"}
    for name, digest in listed:
        assert hashlib.sha256((VENDORED / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(
    "spoil",
    [
        lambda drawn: drawn["body"].append({"type": "TextBlock"}),
        lambda drawn: drawn["body"].append({"type": "Input.Text", "label": "No id"}),
        lambda drawn: drawn["body"].append({"type": "Paragraph", "text": "x"}),
        lambda drawn: drawn["body"][0]["inlines"].append({"type": "TextRun", "txt": "x"}),
        lambda drawn: drawn["actions"][0].update(style="green", colour="green"),
        lambda drawn: drawn["actions"][1]["card"]["body"].append({"type": "Input.ChoiceSet"}),
        lambda drawn: drawn.update(refresh={"who": []}),
        lambda drawn: drawn.update(type="Card"),
    ],
    ids=["text", "id", "type", "run", "action", "choices", "refresh", "card"],
)
def test_a_spoilt_card_breaks_the_schema(spoil: Any) -> None:
    drawn = adaptive_card(question(fields=(text("a", "b"),)))
    assert broken_rules(drawn) == []

    spoil(drawn)

    assert broken_rules(drawn) != []

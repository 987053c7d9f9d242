"""Cards to draw, and a client that shows one and presses its buttons.

The client does what the reference renderer of Adaptive Cards 3.0.6 was seen to do: a button sends
the inputs of its own card and of those around it, but none of a card that is folded into it; with
`associatedInputs: none` it sends none; an empty input is not sent; what an input holds wins over
what the button's data says; and inputs that are required or do not match keep it from sending.
"""

import re
from collections.abc import Iterator
from typing import Any

from support_agent.channels.port import ApprovalCard, CardField

Element = dict[str, Any]


def text(name: str, value: str, **more: Any) -> CardField:
    """An editable field of text."""
    told = {"label": name.capitalize(), "shown": value, "value": value, "editable": True, **more}
    return CardField(name=name, **told)


FIELDS = (
    CardField("order", "Order", "A-1042"),
    text("amount", "60.00", widget="number", bounds="0.01 to 60.00"),
    text("method", "card", widget="choice", choices=(("card", "card"), ("bank", "bank"))),
    text("note", "two\nlines", widget="long"),
)


def question(**given: Any) -> ApprovalCard:
    """An open question for somebody who may decide it, unless said otherwise."""
    told: dict[str, Any] = {
        "id": "C-1:1:1",
        "version": 3,
        "digest": "d" * 64,
        "title": "Refund 60.00 EUR to Ada",
        "status": "Open",
        "open": True,
        "risk": "low",
        "fields": FIELDS,
        "facts": (("For", "Ada Lovelace"), ("Due", "in 8 hours")),
        "said": (("Ada", "The lamp is broken."), ("Agent", "I am sorry.")),
        "link": "https://desk.example/approvals/C-1:1:1",
        "allowed": ("claim", "approve", "reject", "undo"),
    }
    return ApprovalCard(**(told | given))


def elements(part: Any) -> Iterator[Element]:
    """Everything in a card that has a type, however deep."""
    if isinstance(part, dict):
        if "type" in part:
            yield part
        for value in part.values():
            yield from elements(value)
    elif isinstance(part, list):
        for value in part:
            yield from elements(value)


def of_type(drawn: Element, kind: str) -> list[Element]:
    return [each for each in elements(drawn) if each["type"].startswith(kind)]


def read(part: Any) -> str:
    """What stands in it for reading, a line for each block."""
    lines = []
    for each in elements(part):
        if each["type"] == "TextBlock":
            lines.append(each["text"])
        elif each["type"] == "RichTextBlock":
            lines.append("".join(run["text"] for run in each["inlines"]))
    return "\n".join(lines)


def buttons(drawn: Element) -> list[str]:
    return [each["title"] for each in drawn["actions"]]


class NotSentError(Exception):
    """The client keeps the button from sending."""


def press(drawn: Element, title: str, **typed: str) -> dict[str, Any]:
    """What the button sends, wherever it stands, after somebody has typed this in these inputs."""
    button, inputs = _found(drawn, title, [])
    if button.get("associatedInputs") == "none":
        inputs = []
    sent = dict(button["data"])
    for each in inputs:
        value = typed.pop(each["id"], each.get("value", ""))
        if each.get("isRequired") and not value:
            raise NotSentError(each["errorMessage"])
        if value and "regex" in each and not re.search(each["regex"], value):
            raise NotSentError(each["errorMessage"])
        if value:
            sent[each["id"]] = value
    assert not typed, f"no inputs for {typed} beside {title!r}"
    return sent


def _found(card: Element, title: str, around: list[Element]) -> tuple[Element, list[Element]]:
    inputs = [*around, *of_type({"body": card["body"]}, "Input.")]
    for each in card["actions"]:
        if each["type"] == "Action.Execute" and each["title"] == title:
            return each, inputs
        if each["type"] == "Action.ShowCard":
            try:
                return _found(each["card"], title, inputs)
            except LookupError:
                continue
    raise LookupError(title)

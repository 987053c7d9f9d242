"""An approval as an Adaptive Card, and what its inputs brought back. Pure.

* What others wrote is a TextRun. A TextBlock and a FactSet render Markdown, with which a customer
  or a model could draw a link into a supervisor's card; only our own words stand in a TextBlock.
* What would be approved is shown whole, or cannot be approved here.
* A button sends its own inputs and no others: Approve sends none, so it changes nothing.
* A card has a size. What is left out is said, and stands in the dashboard.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from support_agent.channels.port import ApprovalCard, CardField
from support_agent.web.text import one_line, plain

SIZE_MOST = 28 * 1024
"""Bytes of a card's JSON, in ASCII with spaces, which is the longest way to write it."""
EDITABLE_MOST = 5
REFRESH_MOST = 60
"""People for whom Teams fetches a view of their own by itself."""
TYPED_MOST = 4_000
"""Characters of an input, as UTF-16 counts them: browsers do."""
REASON_MOST = 4_000
CHOICES_MOST = 50
ACCOUNT_MOST = 128  # characters of an id of a user
LINK_MOST = 2_000
FIELD = "field."
"""Before the name of a proposal's field in an input's id, so that no field is taken for ours."""
COMMENT = "comment"
FIELDS = "fields"
"""In what a button sends: the names of the fields whose inputs it sends."""

Element = dict[str, Any]


class BadCardDataError(ValueError):
    """What came back is nothing that one of our cards sends. Its text holds nothing of it."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much of everything a card shows."""

    lines: int
    text: int
    """Characters of a line or fact."""
    facts: int
    fields: int
    value: int
    """Characters of a field's value."""
    inputs: bool


ROOMS = (
    Room(lines=10, text=1_000, facts=12, fields=40, value=4_000, inputs=True),
    Room(lines=5, text=400, facts=12, fields=40, value=4_000, inputs=True),
    Room(lines=2, text=200, facts=8, fields=40, value=4_000, inputs=True),
    Room(lines=0, text=120, facts=6, fields=40, value=4_000, inputs=True),
    Room(lines=0, text=120, facts=6, fields=40, value=4_000, inputs=False),
    Room(lines=0, text=120, facts=6, fields=20, value=400, inputs=False),
    Room(lines=0, text=60, facts=4, fields=8, value=100, inputs=False),
    Room(lines=0, text=30, facts=0, fields=0, value=0, inputs=False),
)
"""From the first to the last: the first that fits is taken. What would be approved is cut last."""


def adaptive_card(card: ApprovalCard) -> dict[str, Any]:
    """The card as JSON of version 1.5, of at most SIZE_MOST bytes."""
    drawn: dict[str, Any] = {}
    for room in ROOMS:
        drawn = _drawn(card, room)
        if len(json.dumps(drawn)) <= SIZE_MOST:
            break
    return drawn


def _drawn(card: ApprovalCard, room: Room) -> dict[str, Any]:
    whole = _whole(card, room)
    inputs = _inputs(card) if whole and room.inputs else []
    link = _link(card.link)
    drawn: dict[str, Any] = {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.5",
        "fallbackText": _fallback(link),
        "speak": _spoken(card),
        "body": [
            *_head(card, room),
            *_proposal(card, room),
            *_facts(card, room),
            *_said(card, room),
            *_notes(card, whole, len(inputs)),
        ],
        "actions": [*_decisions(card, whole, inputs), *_opening(link)],
    }
    if card.refresh_by and card.open:
        drawn["refresh"] = _refresh(card)
    return drawn


def _whole(card: ApprovalCard, room: Room) -> bool:
    """Whether all that would be approved stands in the card."""
    return len(card.fields) <= room.fields and all(
        len(plain(each.shown)) <= room.value for each in card.fields
    )


# What others wrote, and our own words beside it.


def _runs(text: str, **style: Any) -> list[Element]:
    """`text` as it is. Clients replace {{DATE(...)}} in a run by a date of their own: no run holds
    two braces."""
    parts = re.split(r"(?<=\{)(?=\{)", text or "\u2014")
    return [{"type": "TextRun", "text": part, **style} for part in parts]


def _block(*runs: Element, **style: Any) -> Element:
    return {"type": "RichTextBlock", "inlines": list(runs), **style}


def _labelled(label: str, *runs: Element, **style: Any) -> Element:
    """Not a FactSet: that renders Markdown."""
    return _block(*_runs(f"{one_line(label, 60)}: ", weight="bolder"), *runs, **style)


def _ours(text: str, **style: Any) -> Element:
    """Only ever our own words, and numbers."""
    return {"type": "TextBlock", "text": text, "wrap": True, **style}


def _heading(text: str) -> Element:
    return _ours(text, weight="bolder", spacing="medium", separator=True)


def _left_out(number: int, noun: str) -> Element:
    more = f"{number:,} more {noun}" + ("" if number == 1 else "s")
    return _ours(f"\u2026 {more} in the dashboard", isSubtle=True, spacing="small")


def _cut(text: str, most: int) -> str:
    """`plain`, in one line, with what is left out said. One line: a text with lines of its own
    could write something below itself that looks like ours."""
    return _shortened(" ".join(plain(text).split()), most)


def _shortened(safe: str, most: int) -> str:
    if len(safe) <= most:
        return safe
    # Again: the cut may have left a joiner behind, without what it joined.
    return f"{plain(safe[:most].rstrip())}\u2026 ({len(safe) - most:,} more characters)"


RISKS = {
    "low": ("Low risk", "default"),
    "medium": ("Medium risk", "warning"),
    "high": ("High risk", "attention"),
}


def _head(card: ApprovalCard, room: Room) -> Iterator[Element]:
    yield _block(*_runs(_cut(card.title, 2 * room.text), weight="bolder", size="medium"))
    risk, color = RISKS[card.risk]
    yield _block(
        *_runs(f"{risk} \u00b7 ", color=color, weight="bolder"),
        *_runs(_cut(card.status, room.text)),
        spacing="small",
    )
    wrong = [each for each in card.fields if each.error][:EDITABLE_MOST]
    if card.trouble or wrong:
        told = [_block(*_runs(_cut(card.trouble, room.text)))] if card.trouble else []
        told += [_labelled(each.label, *_runs(_cut(each.error, room.text))) for each in wrong]
        yield {"type": "Container", "style": "attention", "items": told}


def _proposal(card: ApprovalCard, room: Room) -> Iterator[Element]:
    if not card.fields:
        return
    yield _heading("The proposal")
    for each in card.fields[: room.fields]:
        changed = _runs(" (changed)", italic=True) if each.changed else []
        value = _runs(_shortened(plain(each.shown), room.value))
        if "\n" in each.shown:
            yield _labelled(each.label, *changed, spacing="small")
            # In a box of its own, so that none of its lines looks like a field.
            yield {"type": "Container", "style": "emphasis", "items": [_block(*value)]}
        else:
            yield _labelled(each.label, *value, *changed, spacing="small")
    if len(card.fields) > room.fields:
        yield _left_out(len(card.fields) - room.fields, "field")


def _facts(card: ApprovalCard, room: Room) -> Iterator[Element]:
    if not card.facts:
        return
    yield _heading("What is known")
    for label, text in card.facts[: room.facts]:
        yield _labelled(label, *_runs(_cut(text, room.text)), spacing="small")
    if len(card.facts) > room.facts:
        yield _left_out(len(card.facts) - room.facts, "fact")


def _said(card: ApprovalCard, room: Room) -> Iterator[Element]:
    if not card.said:
        return
    yield _heading("The conversation")
    first = max(0, len(card.said) - room.lines)
    if first:
        yield _left_out(first, "line")
    for author, text in card.said[first:]:
        yield _labelled(author, *_runs(_cut(text, room.text)), spacing="small")


def _notes(card: ApprovalCard, whole: bool, inputs: int) -> Iterator[Element]:
    """Why something cannot be done here."""
    if not _may(card, "approve"):
        return
    editable = sum(each.editable for each in card.fields)
    if not whole:
        yield _ours("It is too long to be approved here: approve it in the dashboard.")
    elif editable > EDITABLE_MOST:
        yield _ours(f"It has {editable} fields to change: change them in the dashboard.")
    elif inputs < editable:
        yield _ours("Some fields can be changed in the dashboard only.")


def _fallback(link: str) -> str:
    """For a client that cannot render the card."""
    words = "A question waits for people, and this client cannot show it."
    return f"{words} It stands in the dashboard: {link}" if link else words


def _spoken(card: ApprovalCard) -> str:
    """For a screen reader. It may take it for SSML, so nothing in it can be a tag."""
    return re.sub(r"[<>&]", " ", f"{one_line(card.status, 200)}: {one_line(card.title, 300)}")


# What may be done.


def _may(card: ApprovalCard, do: str) -> bool:
    return card.open and do in card.allowed


def _decisions(card: ApprovalCard, whole: bool, inputs: Sequence[Element]) -> Iterator[Element]:
    if _may(card, "approve") and whole:
        # Of all inputs none goes along: what is approved is what the digest says, unchanged, and
        # an empty reason of the other button does not keep this one from being sent.
        yield {
            **_execute(card, "approve", "Approve"),
            "style": "positive",
            "associatedInputs": "none",
        }
        if inputs:
            yield _changing(card, inputs)
    if _may(card, "reject"):
        yield _rejecting(card)


def _changing(card: ApprovalCard, inputs: Sequence[Element]) -> Element:
    names = [each["id"][len(FIELD) :] for each in inputs if each["type"].startswith("Input.")]
    send = _execute(card, "approve", "Approve these changes")
    send["data"][FIELDS] = names
    body = list(inputs)
    return _folded("Approve with changes", body, {**send, "style": "positive"})


def _rejecting(card: ApprovalCard) -> Element:
    reason = {
        "type": "Input.Text",
        "id": COMMENT,
        "label": "Reason",
        "placeholder": "The requester reads it",
        "isMultiline": True,
        "isRequired": True,
        "errorMessage": "A rejection needs a reason.",
        "maxLength": REASON_MOST,
    }
    send = _execute(card, "reject", "Send the rejection")
    return _folded("Reject", [reason], {**send, "style": "destructive"})


def _folded(title: str, body: list[Element], action: Element) -> Element:
    """Inputs of their own: a button of the outer card neither checks nor sends them."""
    inner = {"type": "AdaptiveCard", "body": body, "actions": [action]}
    return {"type": "Action.ShowCard", "title": title, "card": inner}


def _execute(card: ApprovalCard, action: str, title: str) -> Element:
    """The SDK looks for `data.action` and not for `verb`; others do the opposite."""
    data = {
        "action": action,
        "approval": card.id,
        "version": card.version,
        "digest": card.digest,
    }
    return {"type": "Action.Execute", "title": title, "verb": action, "data": data}


def _opening(link: str) -> list[Element]:
    return [{"type": "Action.OpenUrl", "title": "Open in the dashboard", "url": link}] * bool(link)


def _link(link: str) -> str:
    """Empty for what is no address of a page."""
    safe = len(link) <= LINK_MOST and link.isascii() and link.isprintable()
    return link if safe and urlsplit(link).scheme in ("http", "https") else ""


def _refresh(card: ApprovalCard) -> Element:
    """Whoever is named fetches a view of their own. Teams names users without their tenant."""
    ids = [account.partition("/")[2] or account for account in card.refresh_by]
    named = [id for id in ids if id.isascii() and id.isprintable() and len(id) <= ACCOUNT_MOST]
    return {
        "action": _execute(card, "refresh", "Refresh"),
        "userIds": list(dict.fromkeys(named))[:REFRESH_MOST],
    }


# Inputs.

NUMBER = r"^\s*[+-]?(\d{1,3}(,\d{3})+|\d*)(\.\d*)?([eE][+-]?\d{1,3})?\s*$"
"""What the reader of the form takes for a number, and no 19,80: that would be read as an error."""


def _inputs(card: ApprovalCard) -> list[Element]:
    """The inputs with what was wrong with each; none where there are too many."""
    editable = [each for each in card.fields if each.editable]
    if len(editable) > EDITABLE_MOST:
        return []
    drawn: list[Element] = []
    for each in editable:
        if not _holds(each):
            continue
        if each.error:
            drawn.append(_block(*_runs(_cut(each.error, 300), color="attention")))
        drawn.append(_input(each))
    return drawn


_KEPT = frozenset("\n\t\u00a0\u200c\u200d")
"""Not printable to Python, and yet given back: a hard space, and the joiners."""


def _holds(each: CardField) -> bool:
    """Whether an input gives back exactly this value when nobody touches it: clients drop or
    replace controls, and cut what is longer than they allow."""
    texts = [each.name, each.value, *(value for value, _ in each.choices)]
    return len(each.choices) <= CHOICES_MOST and all(
        len(text.encode("utf-16-le", "surrogatepass")) <= 2 * TYPED_MOST
        and all(one.isprintable() or one in _KEPT for one in text)
        for text in texts
    )


def _input(each: CardField) -> Element:
    label = one_line(each.label, 60)
    drawn: Element = {
        "id": FIELD + each.name,
        "label": f"{label} ({one_line(each.bounds, 60)})" if each.bounds else label,
        "value": each.value,
    }
    if each.choices:
        return {"type": "Input.ChoiceSet", "style": "compact", "choices": _choices(each), **drawn}
    drawn = {"type": "Input.Text", "maxLength": TYPED_MOST, **drawn}
    if each.widget in ("long", "json") or "\n" in each.value:
        return {**drawn, "isMultiline": True}
    if each.widget == "number":
        # Not an Input.Number: its value is a binary number, so 600.00 comes back as 600 and a long
        # amount as another one, and clients read and write it by their own language.
        return {**drawn, "regex": NUMBER, "errorMessage": "A number, such as 12.50."}
    return drawn


def _choices(each: CardField) -> list[Element]:
    """With the value as it stands, or a client would show none, and send none."""
    known = dict(each.choices)
    known.setdefault(each.value, each.shown)
    return [
        {"title": one_line(label, 100) or "\u2014", "value": value}
        for value, label in known.items()
    ]


def typed_of(data: Mapping[str, Any]) -> dict[str, str]:
    """The text of the inputs that came back, by the names of the fields; whether these may be
    changed, and what they mean, is not known here.

    An empty input does not come at all, so those that the button named and that are not there are
    empty. Numbers and booleans are written as in JSON.

    Raises: BadCardDataError for more fields or longer text than a card of ours has, and for a value
    that no input has: to leave such a change out would approve something else than was sent.
    """
    named = data.get(FIELDS, [])
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise BadCardDataError("the names of the fields are no list of names")
    typed = dict.fromkeys(named, "")
    for key, value in data.items():
        if key.startswith(FIELD) and value is not None:
            typed[key[len(FIELD) :]] = _text_of(value)
    if len(typed) > EDITABLE_MOST:
        raise BadCardDataError(f"more than {EDITABLE_MOST} fields")
    if any(len(text) > TYPED_MOST for pair in typed.items() for text in pair):
        raise BadCardDataError(f"a field has more than {TYPED_MOST:,} characters")
    return typed


def _text_of(value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() if abs(value) < 10**100:
            return str(value)
        case float() if value.is_integer() and abs(value) < 2**53:
            return str(int(value))
        case float():
            return repr(value)
        case _:
            raise BadCardDataError("a field has a value that no input has")

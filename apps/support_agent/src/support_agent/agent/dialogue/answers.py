"""The texts of the offline model, and how its own offers and questions are found in them again.

A refund is never promised: a case is opened, and a person decides.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from support_agent.agent.dialogue.words import money, stems, words_of

Question = Literal["order", "item", "reason", "human_reason"]

ASKED: Mapping[Question, str] = {
    "order": "Which order is it about?",
    "item": "Which item is it about?",
    "reason": "What is the reason?",
    "human_reason": "What should I tell them it is about?",
}
ABLE = (
    "I can tell you about an order, look for a double charge, open a case for a broken item or "
    "another refund (a person decides on it), tell you how a case stands, quote our policies, and "
    "hand you over to a person."
)
GREETING = f"Hello! I am the shop's support agent, running on an offline model. {ABLE}"
NOT_UNDERSTOOD = (
    "I did not understand that. I am an offline model that knows these things only: the state of "
    "an order, double charges, broken items, refunds and returns, the state of a case, our "
    "policies, and speaking to a human. Please put it in other words."
)
ENGLISH_ONLY = (
    "I am sorry: this offline model speaks English only. Please write in English, or write "
    '"human" and a person will answer you.'
)
THANKS = "You are welcome. Is there anything else I can do?"
GOODBYE = "Goodbye, and thank you for writing."
SMALL_TALK = (
    "I am an offline model, so I am not much for small talk, but I am well and ready to work. "
    "What can I do about an order of yours?"
)
DROPPED = "All right, I leave it at that. Is there anything else I can do?"
NOTHING_TO_CONFIRM = "I am not sure what you say yes to. What can I do for you?"
BY_OUR_RECORDS = (
    "I go by our records only: a decision reaches me from there, never through this chat."
)
NO_CASES = "There is no case of yours in our records."
NOT_NOW = (
    "I could not get that from our records just now. Please try again in a minute, or write "
    '"human" and I open a case for a person.'
)
NOTHING_WRITTEN = (
    "I found nothing about that in our articles, and I would rather not guess. "
    'Write "human" and I hand the question to a person.'
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A refund case that the agent offered to open."""

    order_number: str
    amount: Decimal


OFFER = re.compile(
    r"Shall I open a case for a refund of (?P<amount>\d+\.\d\d) [A-Z]{3} for order "
    r"(?P<order>[\w-]+)\?"
)


def offer(order_number: str, amount: Decimal, currency: str) -> str:
    return (
        f"Shall I open a case for a refund of {amount:.2f} {currency} for order {order_number}? "
        "A person will then decide on it."
    )


def offer_in(answer: str) -> Offer | None:
    """The offer that an answer of ours makes."""
    found = OFFER.search(answer)
    return Offer(found["order"], Decimal(found["amount"])) if found else None


def question_in(answer: str) -> Question | None:
    """What an answer of ours asks for."""
    return next((what for what, question in ASKED.items() if question in answer), None)


def which_order(orders: Sequence[Mapping[str, Any]]) -> str:
    if not orders:
        return f"I find no order of yours. {ASKED['order']} Its number looks like A-1042."
    listed = "; ".join(
        f"{order['order_number']} of {order['ordered_on']} ({', '.join(order['products'][:3])})"
        for order in orders[:5]
    )
    return f"{ASKED['order']} Your latest are: {listed}."


def order_state(order: Mapping[str, Any]) -> str:
    items = ", ".join(f"{item['quantity']} x {item['product']}" for item in order["items"])
    said = [
        f"Order {order['order_number']} was placed on {order['ordered_on']}: {items}; "
        f"{order['total']} in all."
    ]
    if order["payments"]:
        paid = ", ".join(_payment(payment) for payment in order["payments"])
        said.append(f"We have received {paid}.")
    else:
        said.append("We have received no payment for it yet.")
    if money(order["refunded"]) > 0:
        said.append(f"{order['refunded']} went back to you.")
    said.append(_on_its_way(order))
    if order["cases"]:
        said.append(f"Cases about it: {', '.join(order['cases'])}.")
    return " ".join(said)


def _on_its_way(order: Mapping[str, Any]) -> str:
    if order["delivered_on"]:
        return f"It was delivered on {order['delivered_on']}."
    if order["dispatched_on"]:
        return f"It was sent on {order['dispatched_on']} and has not been delivered yet."
    return "It has not been sent yet."


def _payment(payment: Mapping[str, Any]) -> str:
    on = f" on {payment['paid_on']}" if payment["paid_on"] else ""
    return f"{payment['amount']} by {payment['method']}{on} ({payment['reference']})"


def two_payments(order: Mapping[str, Any], extra: Mapping[str, Any]) -> str:
    return (
        f"I looked at order {order['order_number']}: it comes to {order['total']}, and we received "
        f"{order['paid']} for it. The payment {_payment(extra)} is one too many."
    )


def overpaid(order: Mapping[str, Any]) -> str:
    return (
        f"I looked at order {order['order_number']}: it comes to {order['total']}, and we received "
        f"{order['paid']} for it, which is more."
    )


def one_payment_only(order: Mapping[str, Any]) -> str:
    paid = ", ".join(_payment(payment) for payment in order["payments"]) or "no payment at all"
    return (
        f"I looked at order {order['order_number']}, which comes to {order['total']}, and find "
        f"{paid}, so nothing was charged twice on our side."
    )


def cited(passage: Mapping[str, Any]) -> str:
    return f'our article "{passage["title"]}" ({passage["article"]})'


def quoted(passage: Mapping[str, Any], question: str) -> str:
    """The sentences of the article that answer best, with where they are from."""
    return f"From {cited(passage)}: {gist(passage['text'], question)}"


def gist(text: str, question: str) -> str:
    """The few sentences in a row that say the most about the question.

    The article was found for the question, so its first paragraph has a start on the others.
    """
    wanted = stems(question) - ASKING_STEMS
    wants_figure = bool(frozenset(words_of(question)) & ASKING_FOR_A_FIGURE)

    def worth(at: int, said: str) -> int:
        figure = wants_figure and any(character.isdigit() for character in said)
        return len(stems(said) & wanted) + 2 * figure + (at == 0)

    passages = [
        (worth(at, said), said)
        for at, paragraph in enumerate(paragraphs_of(text))
        for said in _in_a_row(paragraph)
    ]
    return max(passages, key=lambda passage: passage[0])[1] if passages else ""


def _in_a_row(sentences: list[str]) -> list[str]:
    last = max(1, len(sentences) - SENTENCES_QUOTED + 1)
    return [" ".join(sentences[start : start + SENTENCES_QUOTED]) for start in range(last)]


def paragraphs_of(text: str) -> list[list[str]]:
    """The paragraphs of a Markdown text in sentences, without its headings and marks."""
    lines = [
        line.strip()
        for line in text.splitlines()
        if not line.lstrip().startswith("#") and not re.fullmatch(r"\s*\|[\s:|-]+\|\s*", line)
    ]
    plain = re.sub(r"^\|\s*(.*?)\s*\|$", lambda row: _row(row[1]), "\n".join(lines), flags=re.M)
    plain = re.sub(r"^(?:[-+>*]|\d+\.)\s+|[*_`]", "", plain, flags=re.M)
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", plain)
    # A line that ends in the middle of a sentence goes on in the list below it.
    pieces = re.split(r"(?<=[.!?])\s*\n{2,}", plain)
    paragraphs = [" ".join(piece.split()) for piece in pieces]
    return [re.split(r"(?<=[.!?])\s+", piece) for piece in paragraphs if piece]


def _row(cells: str) -> str:
    """A row of a table as a sentence: Germany: 1 to 2."""
    return ": ".join(cell.strip() for cell in cells.split("|")) + "."


def opened(case: Mapping[str, Any]) -> str:
    """What a newly opened case means, or one that was open already."""
    about = f" for a refund of {case['amount']}" if case["amount"] else ""
    order = f" for order {case['order_number']}" if case["order_number"] else ""
    if case["already_open"]:
        beginning = f"There is already an open case, {case['case_id']}{about}{order}."
    else:
        beginning = f"I opened case {case['case_id']}{about}{order}."
    if case["kind"] == "escalation":
        return f"{beginning} A person will answer you here as soon as one is free."
    return (
        f"{beginning} A person will decide on it; nothing has been refunded yet. You will be told "
        "here as soon as it is decided."
    )


ASKING_STEMS = stems(
    "what when where which how who why can could may does did the your you our are is for with and "
    "have has get want need this that there policy policies rule rules about long much many"
)
ASKING_FOR_A_FIGURE = frozenset("long much many when days cost costs fee".split())
SENTENCES_QUOTED = 3
STATES: Mapping[str, str] = {
    "opened": "it waits for a person; nothing has been decided yet",
    "pending_approval": "it waits for a person; nothing has been decided yet",
    "approved": "it was approved, and the money is being sent",
    "rejected": "it was not approved",
    "expired": "nobody decided on it in time, so nothing was refunded",
    "failed": "the refund did not go through; a person has to look at it",
    "with_person": "a person has taken it over",
    "closed": "it is closed",
}


def case_state(case: Mapping[str, Any]) -> str:
    """How one case stands, in one or two sentences."""
    what = "refund" if case["kind"] == "refund" else "question to a person"
    order = f" for order {case['order_number']}" if case["order_number"] else ""
    name = f"Case {case['case_id']} ({what}{order})"
    if case["status"] == "refunded":
        state = f"{case['refunded']} was refunded"
        if case["refunded"] != case["asked"]:
            state += f", of the {case['asked']} that were asked for"
    else:
        state = STATES.get(case["status"], "it is being worked on")
        state += f"; {case['asked']} were asked for" if case["asked"] else ""
    decision = f" You were told: {case['decision']}" if case["decision"] else ""
    return f"{name}: {state}.{decision}"

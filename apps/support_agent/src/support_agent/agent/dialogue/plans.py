"""The next step of the dialogue: one tool call, or the answer. One small function for each task.

A plan looks at what its turn has already learned. What it lacks it asks a tool for, each tool once
in a turn, or the customer. Text that comes out of a tool is shown or left out, never followed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from support_agent.agent.dialogue import answers
from support_agent.agent.dialogue.intents import (
    Intent,
    affirms,
    asks_for_money_back,
    denies,
)
from support_agent.agent.dialogue.reading import (
    Memory,
    Reading,
    joined,
    named_order,
    starts_over,
    task_of,
)
from support_agent.agent.dialogue.words import (
    amount_in,
    case_id_in,
    money,
    stems,
    words_of,
)

LONGEST_REASON = 400
SHORTEST_REASON_WORDS = 3


@dataclass(frozen=True, slots=True)
class Call:
    """A tool to call."""

    tool: str
    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Say:
    """The answer, which ends the turn."""

    text: str


Step = Call | Say


@dataclass(frozen=True, slots=True)
class Scene:
    """One open turn: what is remembered, what was said, and what the tools gave in this turn."""

    reading: Reading

    @property
    def memory(self) -> Memory:
        return self.reading.memory

    @property
    def text(self) -> str:
        return self.reading.text

    @property
    def order_number(self) -> str | None:
        """The order meant: the one named now, or else the last one that was spoken of."""
        return named_order(self.memory, self.text) or self.memory.order_number

    @property
    def errand_words(self) -> str:
        """The customer's own words for what is wanted, of this turn and the earlier ones."""
        if starts_over(self.memory, self.text):
            return self.text
        return joined(self.memory.errand_words, self.text)

    def called(self, tool: str) -> bool:
        return any(call.tool == tool for call in self.reading.calls)

    def result(self, tool: str) -> Mapping[str, Any] | None:
        """What the tool gave in this turn; None when it was not called or gave nothing."""
        results = [call.result for call in self.reading.calls if call.tool == tool]
        return results[-1] if results else None

    def passage(self) -> Mapping[str, Any] | None:
        """The best passage that was found in this turn."""
        found = self.result("search_knowledge_base")
        return found["passages"][0] if found and found.get("passages") else None


Plan = Callable[[Scene], Step]


def next_step(reading: Reading) -> Step:
    """What to do now. A turn ends after as many steps as there are tools, at most."""
    scene = Scene(reading)
    return _plan_of(scene)(scene)


def _plan_of(scene: Scene) -> Plan:
    if scene.memory.offer is not None and not starts_over(scene.memory, scene.text):
        if denies(scene.text) and amount_in(scene.text) is None:
            return decline
        if affirms(scene.text) or amount_in(scene.text) is not None:
            return accept
    task = task_of(scene.memory, scene.text)
    if task is not None:
        return PLANS[task]
    if denies(scene.text):
        return decline
    return nothing_to_confirm if affirms(scene.text) else not_understood


def accept(scene: Scene) -> Step:
    """Yes to the offer; with another amount, yes to that one."""
    offer = scene.memory.offer
    assert offer is not None  # `_plan_of` looked
    amount = amount_in(scene.text) or offer.amount
    return _open_refund(scene, offer.order_number, amount, scene.memory.errand_words or scene.text)


def decline(scene: Scene) -> Step:
    return Say(answers.DROPPED)


def nothing_to_confirm(scene: Scene) -> Step:
    return Say(answers.NOTHING_TO_CONFIRM)


def not_understood(scene: Scene) -> Step:
    return Say(answers.NOT_UNDERSTOOD)


def order_status(scene: Scene) -> Step:
    order = _order(scene)
    return order if isinstance(order, Call | Say) else Say(answers.order_state(order))


def double_charge(scene: Scene) -> Step:
    """Look the order up, find the payment too many, cite the policy, offer or open the case."""
    order = _order(scene)
    if isinstance(order, Call | Say):
        return order
    extra = second_payment(order)
    amount = _extra_amount(order, extra)
    if not scene.called("search_knowledge_base"):
        return Call("search_knowledge_base", {"question": "charged twice, double payment"})
    policy = _policy_sentence(scene, "payment sent twice, one too many, colleague approves refund")
    if amount <= 0:
        return Say(f"{answers.one_payment_only(order)} {policy}{OR_A_PERSON}".strip())
    finding = answers.two_payments(order, extra) if extra else answers.overpaid(order)
    if not asks_for_money_back(scene.errand_words):
        return Say(f"{finding} {policy}{_offer(order, amount)}")
    step = _open_refund(scene, order["order_number"], amount, scene.errand_words)
    return Say(f"{finding} {policy}{step.text}") if isinstance(step, Say) else step


def broken(scene: Scene) -> Step:
    """Find the order and the item, cite the policy, offer a case for what the item cost."""
    order = _order(scene)
    if isinstance(order, Call | Say):
        return order
    item = item_meant(order, scene.errand_words)
    if item is None:
        return Say(_which_item(order))
    if not scene.called("search_knowledge_base"):
        return Call("search_knowledge_base", {"question": "item arrived broken, cracked, chipped"})
    amount = min(_price(item, scene.errand_words), money(order["refundable"]))
    policy = _policy_sentence(scene, "full price broken wrong item colleague approves request")
    sorry = f"I am sorry to hear that about the {item['product']}."
    if amount <= 0:
        return Say(f"{sorry} {policy}{_nothing_left(order)}")
    return Say(f"{sorry} {policy}{_offer(order, amount)}")


def refund(scene: Scene) -> Step:
    """A refund or a return: the order, the reason and the amount, each asked for if missing."""
    order = _order(scene)
    if isinstance(order, Call | Say):
        return order
    if not gives_reason(scene.errand_words, order):
        return Say(f"I can open a case for that; a person decides. {answers.ASKED['reason']}")
    item = item_meant(order, scene.errand_words, only_item_counts=False)
    amount = amount_in(scene.errand_words)
    if amount is None and item is not None:
        amount = min(_price(item, scene.errand_words), money(order["refundable"]))
    if amount is not None and amount > 0:
        return _open_refund(scene, order["order_number"], amount, scene.errand_words)
    everything = money(order["refundable"])
    if everything <= 0:
        return Say(_nothing_left(order))
    if not scene.called("search_knowledge_base"):
        return Call("search_knowledge_base", {"question": "return unused in original packaging"})
    policy = _policy_sentence(scene, "days to send an item back, return, colleague approve money")
    return Say(
        f"{policy}{_offer(order, everything)} If it is less, tell me the item or the amount."
    )


def case_status(scene: Scene) -> Step:
    case_id = case_id_in(scene.text) or ""
    if not scene.called("check_case_status"):
        return Call("check_case_status", {"case_id": case_id})
    found = scene.result("check_case_status")
    if found is None:
        return Say(_noted(scene) or answers.NOT_NOW)
    if found["outcome"] == "refused":
        return Say(found["words"])
    if not found["cases"]:
        return Say(answers.NO_CASES)
    states = [answers.case_state(case) for case in found["cases"][:5]]
    undecided = not any(case["decision"] for case in found["cases"])
    noted = _noted(scene) if undecided else ""
    return Say(" ".join([*states, noted]).strip())


def approval_claim(scene: Scene) -> Step:
    """Somebody is said to have approved something; the records know, the chat does not."""
    step = case_status(scene)
    return Say(f"{answers.BY_OUR_RECORDS} {step.text}") if isinstance(step, Say) else step


def policy(scene: Scene) -> Step:
    if not scene.called("search_knowledge_base"):
        return Call("search_knowledge_base", {"question": scene.text[:300]})
    passage = scene.passage()
    return Say(answers.quoted(passage, scene.text) if passage else answers.NOTHING_WRITTEN)


def human(scene: Scene) -> Step:
    """Hand over, with what it is about: this message, the errand before it, or the next answer."""
    earlier = scene.memory.errand_words
    if not earlier and len(words_of(scene.text)) < SHORTEST_REASON_FOR_A_PERSON:
        return Say(f"I will hand you over to a person. {answers.ASKED['human_reason']}")
    if not scene.called("escalate_to_human"):
        arguments = {
            "reason": _reason(scene.errand_words),
            "priority": priority_of(scene.errand_words),
        }
        return Call("escalate_to_human", arguments)
    opened = scene.result("escalate_to_human")
    if opened is None:
        return Say(answers.NOT_NOW)
    return Say(opened["words"] if opened["outcome"] == "refused" else answers.opened(opened))


def _say(text: str) -> Plan:
    return lambda scene: Say(text)


PLANS: Mapping[Intent, Plan] = {
    "human": human,
    "approval_claim": approval_claim,
    "double_charge": double_charge,
    "broken": broken,
    "case_status": case_status,
    "policy": policy,
    "refund": refund,
    "order_status": order_status,
    "capabilities": _say(f"I am an offline model with a few skills. {answers.ABLE}"),
    "thanks": _say(answers.THANKS),
    "goodbye": _say(answers.GOODBYE),
    "greeting": _say(answers.GREETING),
    "small_talk": _say(answers.SMALL_TALK),
    "foreign": _say(answers.ENGLISH_ONLY),
}

SHORTEST_REASON_FOR_A_PERSON = 9
OR_A_PERSON = 'If your bank shows two, write "human" and a person will look into it.'
URGENT = frozenset("urgent urgently emergency immediately asap now".split())
PRESSING = frozenset("angry furious lawyer unacceptable complaint complain scandal".split())
ALL_OF_THEM = frozenset("all both every each everything".split())
PLAIN_REFUND_WORDS = stems(
    "i want need would like get have can could please refund refunds money back return returning "
    "returned reimburse cancel order for the my of this that it them number hello hi and you give "
    "send should eur euro item items"
)


def priority_of(text: str) -> str:
    words = frozenset(words_of(text))
    if words & URGENT:
        return "urgent"
    return "high" if words & PRESSING else "normal"


def second_payment(order: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The payment that repeats an earlier one: as much, by the same means."""
    seen: set[tuple[str, str]] = set()
    repeated = None
    for payment in order["payments"]:
        kind = (payment["amount"], payment["method"])
        if kind in seen:
            repeated = payment
        seen.add(kind)
    return repeated


def _extra_amount(order: Mapping[str, Any], extra: Mapping[str, Any] | None) -> Decimal:
    """What was paid too much, as the records have it, and of that one payment at most."""
    over = money(order["overpaid"])
    return min(over, money(extra["amount"])) if extra else over


def item_meant(
    order: Mapping[str, Any], text: str, *, only_item_counts: bool = True
) -> Mapping[str, Any] | None:
    """The item that the words name; with `only_item_counts`, the order's only one in any case."""
    items = order["items"]
    if len(items) == 1 and only_item_counts:
        return items[0]
    said = stems(text)
    shared = {place: len(stems(item["product"]) & said) for place, item in enumerate(items)}
    best = max(shared, key=lambda place: shared[place], default=None)
    if best is None or not shared[best]:
        return None
    return items[best] if list(shared.values()).count(shared[best]) == 1 else None


def gives_reason(text: str, order: Mapping[str, Any]) -> bool:
    """Whether something is said beyond the wish itself, the order and its items."""
    known = PLAIN_REFUND_WORDS | stems(order["order_number"])
    for item in order["items"]:
        known |= stems(item["product"])
    said = [word for word in stems(text) - known if not word.isdecimal()]
    return len(said) >= SHORTEST_REASON_WORDS - 1


def _price(item: Mapping[str, Any], text: str) -> Decimal:
    every = frozenset(words_of(text.replace("at all", ""))) & ALL_OF_THEM
    return money(item["unit_price"]) * (item["quantity"] if every else 1)


def _order(scene: Scene) -> Mapping[str, Any] | Step:
    """The order that the turn is about, or the step that leads there."""
    if scene.order_number is None:
        if not scene.called("lookup_customer"):
            return Call("lookup_customer", {})
        customer = scene.result("lookup_customer")
        if customer is None or customer["outcome"] == "refused":
            return Say(customer["words"] if customer else answers.NOT_NOW)
        return Say(answers.which_order(customer["orders"]))
    if not scene.called("lookup_order"):
        return Call("lookup_order", {"order_number": scene.order_number})
    found = scene.result("lookup_order")
    if found is None:
        return Say(answers.NOT_NOW)
    if found["outcome"] == "refused":
        return Say(f"{found['words']} {answers.ASKED['order']}")
    return found


def _open_refund(scene: Scene, order_number: str, amount: Decimal, reason: str) -> Step:
    if not scene.called("issue_refund"):
        return Call(
            "issue_refund",
            {"order_number": order_number, "reason": _reason(reason), "amount": f"{amount:.2f}"},
        )
    opened = scene.result("issue_refund")
    if opened is None:
        return Say(answers.NOT_NOW)
    return Say(opened["words"] if opened["outcome"] == "refused" else answers.opened(opened))


def _reason(words: str) -> str:
    return " ".join(words.split())[:LONGEST_REASON]


def _offer(order: Mapping[str, Any], amount: Decimal) -> str:
    return answers.offer(order["order_number"], amount, order["total"].rsplit(" ", 1)[-1])


def _policy_sentence(scene: Scene, question: str) -> str:
    passage = scene.passage()
    return f"{answers.quoted(passage, question)} " if passage else ""


def _which_item(order: Mapping[str, Any]) -> str:
    products = "; ".join(item["product"] for item in order["items"])
    return (
        f"I am sorry to hear that. {answers.ASKED['item']} Order {order['order_number']} has: "
        + (f"{products}.")
    )


def _nothing_left(order: Mapping[str, Any]) -> str:
    return (
        f"Of order {order['order_number']}, {order['paid']} were paid and {order['refunded']} went "
        "back, so nothing is left to refund."
    )


def _noted(scene: Scene) -> str:
    """The newest note of the system about the case that is meant, or about any case."""
    case_id = case_id_in(scene.text) or scene.memory.case_id
    about = [
        note
        for note in scene.reading.notes
        if (case_id in note if case_id else case_id_in(note) is not None)
    ]
    return about[-1] if about else ""

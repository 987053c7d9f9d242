"""What a customer may ask, said with orders of their own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from support_agent.shop.lookup import OrderView
from support_agent.web.text import plain


@dataclass(frozen=True, slots=True)
class Example:
    """A message to begin with. `icon` is one of the templates' marks."""

    icon: str
    title: str
    text: str


def examples_for(orders: Sequence[OrderView]) -> list[Example]:
    """Four messages, about orders that the customer really has."""
    twice = next((order for order in orders if order.charged_twice), None)
    about = twice or next(iter(orders), None)
    of_order = f" for order {plain(about.number)}" if about else ""
    came = next((order for order in orders if order.delivered_at is not None), None)
    item = _item(came) if came else "lamp"
    broken = f" of order {plain(came.number)}" if came else ""
    return [
        Example("swap", "A double charge", f"I was charged twice{of_order}."),
        Example("parcel", "A broken item", f"The {item}{broken} arrived broken."),
        Example("book", "Our rules", "How long does a refund take?"),
        Example("person", "A person", "I would like to speak to a person, please."),
    ]


def _item(order: OrderView) -> str:
    """What it is, without its size: "wool cushion"."""
    product = plain(order.items[0].product) if order.items else "item"
    name = re.split(r",|\s\d", product)[0]
    return name[:1].lower() + name[1:]

"""Talks under attack: by crashes, by bad moments, by long and strange words."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from adjourn.testing import Sandbox
from adjourn.testing.clock import START
from apps.support_agent.tests.test_conversation import EMAIL, LENA, Customers
from support_agent.app import app
from support_agent.shop.shipped import import_shipped

LONGEST = "\N{OK HAND SIGN}" * 4_000


@pytest.fixture
def shop(database: Engine) -> Engine:
    import_shipped(database, START)
    return database


@pytest.fixture
def customers(shop: Engine) -> Iterator[Customers]:
    with Sandbox(app) as box:
        yield Customers(box, shop)


def test_long_messages_and_long_replies_do_not_end_a_talk(customers: Customers) -> None:
    customers.begin("talk-1", EMAIL)
    customers.say("talk-1", "I want to speak to a human, this is about a broken vase")
    customers.say("talk-1", "yes please")
    customers.box.inbox("support").one().approve(by=LENA)

    for number in range(30):
        customers.say("talk-1", LONGEST)
        reply = {"text": LONGEST}
        customers.box.update("talk-1", "Reply", reply, update_id=f"reply-{number}", by=LENA)
        customers.box.advance(minutes=5)
    customers.box.update("talk-1", "HandBack", update_id="back", by=LENA)

    assert customers.box.get("talk-1").status == "Running"
    assert customers.say("talk-1", "I was charged twice for order A-1201")
    assert "R-1001" in customers.say("talk-1", "yes please")
    assert customers.box.get("R-1001").status == "Running"
    assert len(customers.box.inbox()) == 1

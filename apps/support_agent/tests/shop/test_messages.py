from collections.abc import Iterator
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from support_agent.shop.cases import Case, open_case
from support_agent.shop.database import reading, writing
from support_agent.shop.errors import KeyReused, UnknownCase
from support_agent.shop.messages import messages_of, write_message


@pytest.fixture
def shop_with_case(shop: Engine) -> Iterator[Engine]:
    with writing(shop) as session:
        open_case(session, Case("C-1", "A-1042", Decimal("64.50"), "Broken."))
    yield shop


def write(engine: Engine, text: str, key: str, case_id: str = "C-1") -> None:
    with writing(engine) as session:
        write_message(session, case_id=case_id, text=text, key=key)


def test_a_message_goes_to_the_customer_of_the_order(shop_with_case: Engine) -> None:
    write(shop_with_case, "You get 64.50 EUR back.", "key")

    with reading(shop_with_case) as session:
        (message,) = messages_of(session, "C-1")
    assert (message.recipient, message.text) == ("amina@example.org", "You get 64.50 EUR back.")


def test_a_repeated_key_is_the_same_message(shop_with_case: Engine) -> None:
    write(shop_with_case, "Hello", "key")
    write(shop_with_case, "Hello", "key")

    with reading(shop_with_case) as session:
        assert len(messages_of(session, "C-1")) == 1


def test_the_same_text_may_be_said_again_under_a_new_key(shop_with_case: Engine) -> None:
    write(shop_with_case, "Hello", "one")
    write(shop_with_case, "Hello", "two")

    with reading(shop_with_case) as session:
        assert len(messages_of(session, "C-1")) == 2


def test_one_key_does_not_stand_for_two_messages(shop_with_case: Engine) -> None:
    write(shop_with_case, "Hello", "key")

    with pytest.raises(KeyReused):
        write(shop_with_case, "Good bye", "key")


def test_nobody_is_written_to_about_an_unknown_case(shop: Engine) -> None:
    with pytest.raises(UnknownCase):
        write(shop, "Hello", "key", case_id="C-404")

"""Whoever runs the shop says whose an account is."""

import pytest
from sqlalchemy import Engine

from support_agent.channels.link import main
from support_agent.clock import now
from support_agent.shop import lookup, reaching
from support_agent.shop.database import reading
from support_agent.shop.shipped import import_shipped


@pytest.mark.slow
def test_an_account_is_linked_by_its_customers_address(
    database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    import_shipped(database, now())

    assert main(["teams", "T/Object-1", "Amina.Diallo@example.org"]) == 0

    assert "t/object-1 is Amina Diallo from now on." in capsys.readouterr().out
    with reading(database) as session:
        found = reaching.customer_of_account(session, "teams", "t/object-1")
        assert found is not None
        customer = lookup.customer_of(session, found)
        assert customer is not None and customer.name == "Amina Diallo"


def test_an_unknown_address_changes_nothing(
    database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["teams", "t/o", "nobody@example.org"]) == 1

    assert "No customer has the address" in capsys.readouterr().out
    with reading(database) as session:
        assert reaching.customer_of_account(session, "teams", "t/o") is None

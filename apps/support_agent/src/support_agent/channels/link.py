"""`python -m support_agent.channels.link teams ACCOUNT EMAIL`: say whose a channel's account is.

For whoever runs the shop, where customers have no page on which they could say it themselves.
"""

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console
from sqlalchemy import select

from support_agent.clock import now
from support_agent.shop import reaching
from support_agent.shop.database import shop_database, writing
from support_agent.shop.records import Customer


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the account is linked; 1, and words, when there is no such customer."""
    parser = argparse.ArgumentParser(prog="python -m support_agent.channels.link")
    parser.description = "Say whose an account of a channel is: its messages are that customer's."
    parser.add_argument("channel", choices=("teams",))
    parser.add_argument("account", help="in Teams TENANT_ID/OBJECT_ID")
    parser.add_argument("email", help="of the customer, as the shop's records have it")
    asked = parser.parse_args(arguments)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    email: str = asked.email.strip().lower()
    account: str = asked.account.strip().lower()
    with writing(shop_database()) as session:
        customer = session.scalars(select(Customer).where(Customer.email == email)).one_or_none()
        if customer is None:
            console.print(f"No customer has the address {email}. Import the shop's orders first.")
            return 1
        reaching.link_account(session, asked.channel, account, customer.id, now())
        name = customer.name
    console.print(f"{account} is {name} from now on.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

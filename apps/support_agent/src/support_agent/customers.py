"""`python -m support_agent.customers end EMAIL`: sign a customer out everywhere, at once.

For whoever runs the shop. It works beside a server that runs: with the next request nobody is
signed in by those sessions.
"""

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console
from sqlalchemy import select

from support_agent.shop import customer_sessions
from support_agent.shop.database import shop_database, writing
from support_agent.shop.records import Customer


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when it is done; 1, and words, when there is no such customer."""
    parser = argparse.ArgumentParser(prog="python -m support_agent.customers")
    parser.description = "Sign customers out everywhere."
    parser.add_argument("action", choices=("end",))
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument("email", nargs="?", help="of the customer, as the shop's records have it")
    whom.add_argument("--all", action="store_true", help="all customers")
    asked = parser.parse_args(arguments)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    with writing(shop_database()) as session:
        if asked.all:
            ended = customer_sessions.end_all(session)
        else:
            email: str = asked.email.strip().lower()
            customer = session.scalar(select(Customer.id).where(Customer.email == email))
            if customer is None:
                console.print(f"No customer has the address {email}.")
                return 1
            ended = customer_sessions.end_all(session, customer)
    console.print(f"{ended} session(s) ended.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

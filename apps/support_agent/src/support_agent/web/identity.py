"""Who looks: a customer by name, a supervisor by roles; and, for this machine only, the customer
whom the switch's cookie names."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from adjourn import Actor
from support_agent.conversation import WRITERS
from support_agent.shop.lookup import CustomerView, customer_of
from support_agent.shop.records import Customer
from support_agent.shop.shipped import demo_customers
from support_agent.tenant import EVERY_TENANT
from support_agent.web.text import Face, initials, one_line

COOKIE = "support-customer"
"""Names a customer and proves nothing: as the whole site, it is for this machine only."""
LONGEST_ID = 12
OTHERS = 200
"""Customers that a list to choose from holds."""

READERS = frozenset({"approver", "lead", "auditor", "admin"})
QUEUE = "group:support"
"""To whom it is addressed that a customer waits for a person; with it the conversations."""


def may_read(actor: Actor) -> bool:
    """Whether they may look at what customers wrote: people, and never an agent or a key."""
    return not actor.agent and not READERS.isdisjoint(actor.roles)


def may_write(actor: Actor) -> bool:
    """Whether they may answer customers."""
    return not actor.agent and not WRITERS.isdisjoint(actor.roles)


def is_in_reach(actor: Actor, tenant: str) -> bool:
    """Whether the conversations of a shop of this tenant are there at all for this person."""
    in_tenant = actor.tenant in (tenant, EVERY_TENANT)
    return in_tenant and (actor.queues is None or QUEUE in actor.queues)


def face_of(customer: CustomerView) -> Face:
    """How a page shows them."""
    return Face(str(customer.id), one_line(customer.name), initials(customer.name))


def customer_in(session: Session, cookies: Mapping[str, str]) -> CustomerView | None:
    """The customer whom the cookie names, if there is such a one."""
    return customer_named(session, cookies.get(COOKIE, ""))


def customer_named(session: Session, given: str) -> CustomerView | None:
    """The customer with this id, as it comes from a form or a cookie."""
    if not (given.isascii() and given.isdigit() and len(given) <= LONGEST_ID):
        return None
    return customer_of(session, int(given))


def customers(session: Session) -> tuple[list[CustomerView], list[CustomerView]]:
    """Whom a visitor may be: those of the demonstration, and others on record by name."""
    featured = demo_customers(session)
    known = {customer.id for customer in featured}
    rows = session.scalars(select(Customer).order_by(Customer.name, Customer.id).limit(OTHERS))
    others = [CustomerView(row.id, row.email, row.name) for row in rows if row.id not in known]
    return featured, others

"""What the package brings along, so that there is a shop to talk to: orders, articles, and the
customers whom a visitor of the demonstration may be."""

import json
from datetime import date, datetime, timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from support_agent.shop.article_file import import_article
from support_agent.shop.database import reading
from support_agent.shop.lookup import CustomerView
from support_agent.shop.order_file import OrderFile
from support_agent.shop.order_json import read_order_json
from support_agent.shop.orders import SHIPPED_FILE, import_order_file, read_orders
from support_agent.shop.records import Customer, Order

DATA: Traversable = files("support_agent") / "data"
DEMO_CUSTOMERS = DATA / "demo_customers.json"
ARTICLES = DATA / "articles"


def import_shipped(engine: Engine, now: datetime) -> str:
    """Import all that the package brings along, and say what is new; again changes nothing.

    The orders of the demo customers are moved in time to be as fresh at `now` as they were written.
    Orders that are on record stay as they are there: a customer may have another address by now.
    """
    demo = DEMO_CUSTOMERS.read_text(encoding="utf-8")
    written = date.fromisoformat(json.loads(demo)["as_of"])
    orders = _import_once(engine, read_orders(SHIPPED_FILE))
    orders += _import_once(
        engine, read_order_json(demo, timedelta(days=(now.date() - written).days))
    )
    articles = sum(import_article(engine, path, now) for path in shipped_articles())
    return f"{orders} orders and {articles} articles imported of those that come with the package."


def _import_once(engine: Engine, file: OrderFile) -> int:
    """Import the file unless one of its orders is on record."""
    numbers = [order.head.number for order in file.orders]
    with reading(engine) as session:
        known = session.scalars(select(Order.number).where(Order.number.in_(numbers))).first()
    return 0 if known is not None else import_order_file(engine, file).imported


def shipped_articles() -> list[Traversable]:
    """The files of the knowledge base, by name."""
    return sorted(ARTICLES.iterdir(), key=lambda path: path.name)


def demo_customers(session: Session) -> list[CustomerView]:
    """The customers whom a visitor may be, as far as they are on record, in the file's order."""
    told = json.loads(DEMO_CUSTOMERS.read_text(encoding="utf-8"))["customers"]
    emails: list[str] = [customer["email"] for customer in told]
    found = session.scalars(select(Customer).where(Customer.email.in_(emails)))
    views = [CustomerView(customer.id, customer.email, customer.name) for customer in found]
    return sorted(views, key=lambda customer: emails.index(customer.email))

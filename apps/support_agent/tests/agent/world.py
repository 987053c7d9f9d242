"""A small shop for the agent's tests: three customers, whose data must never meet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.resources import files

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from support_agent.agent.deps import Deps
from support_agent.shop.article_file import keep_article, read_article
from support_agent.shop.database import reading, writing
from support_agent.shop.records import CaseRecord, Customer, Order, OrderItem, Payment, Refund

NOW = datetime(2026, 11, 10, 12, 0, tzinfo=UTC)
ORDERED = NOW - timedelta(days=12)
TEAPOT_AND_MUGS = (("Teapot", 1, "64.50"), ("Stoneware mug, moss", 4, "14.90"))


@dataclass(frozen=True)
class World:
    """Who is in the shop: Amina talks to the agent; what Bo and Chiara have is not hers."""

    engine: Engine
    amina: int
    bo: int
    chiara: int

    def deps(self, conversation: str = "c-1", minute: int = 0) -> Deps:
        return Deps(conversation, self.amina, "Amina Diallo", NOW + timedelta(minutes=minute))

    def cases(self) -> list[CaseRecord]:
        with reading(self.engine) as session:
            return list(session.scalars(select(CaseRecord).order_by(CaseRecord.id)))

    def refunds(self) -> list[Refund]:
        with reading(self.engine) as session:
            return list(session.scalars(select(Refund)))


def furnish(engine: Engine) -> World:
    """Amina's A-1042 was paid twice, her A-1043 once, her A-1044 never and A-1045 years ago."""
    with writing(engine) as session:
        amina = Customer(email="amina.diallo@example.org", name="Amina Diallo")
        bo = Customer(email="bo.berglund@example.net", name="Bo Berglund")
        chiara = Customer(email="chiara.moretti@example.com", name="Chiara Moretti")
        session.add_all([amina, bo, chiara])
        session.flush()
        twice = [("PAY-A1", "124.10"), ("PAY-A2", "124.10")]
        _order(session, "A-1042", amina, TEAPOT_AND_MUGS, twice)
        _order(session, "A-1043", amina, TEAPOT_AND_MUGS, [("PAY-A3", "124.10")])
        _order(session, "A-1044", amina, [("Desk lamp, brass", 1, "118.00")], [])
        old = NOW - timedelta(days=1200)
        kettle = [("Enamel kettle 2 l", 1, "58.00")]
        _order(session, "A-1045", amina, kettle, [("PAY-A4", "58.00")], old)
        _order(session, "A-2001", bo, [("Bathrobe, size M", 1, "94.00")], [("PAY-B1", "94.00")])
        _order(session, "A-3001", chiara, [("Pasta machine", 1, "74.00")], [("PAY-C1", "74.00")])
        session.add_all([_case("R-801", bo, "A-2001", "94.00"), _case("R-802", chiara, "A-3001")])
        shipped = (files("support_agent") / "data" / "articles").iterdir()
        for file in shipped:
            article = read_article(file.name.removesuffix(".md"), file.read_text("utf-8"))
            keep_article(session, article, NOW)
        return World(engine, amina.id, bo.id, chiara.id)


def _order(
    session: Session,
    number: str,
    customer: Customer,
    items: Sequence[tuple[str, int, str]],
    payments: Sequence[tuple[str, str]],
    ordered_at: datetime = ORDERED,
) -> None:
    order = Order(number=number, customer=customer, ordered_at=ordered_at, currency="EUR")
    order.items = [
        OrderItem(sku=f"SKU-{at}", product=product, quantity=quantity, unit_price=Decimal(price))
        for at, (product, quantity, price) in enumerate(items)
    ]
    order.payments = [
        Payment(
            reference=reference,
            method="card",
            amount=Decimal(amount),
            paid_at=ordered_at + timedelta(minutes=2),
        )
        for reference, amount in payments
    ]
    session.add(order)


def _case(case_id: str, customer: Customer, order: str, amount: str = "10.00") -> CaseRecord:
    return CaseRecord(
        id=case_id,
        kind="refund",
        customer_id=customer.id,
        order_number=order,
        amount=Decimal(amount),
        reason="It squeaks when it rains.",
        status="pending_approval",
        opened_at=ORDERED,
    )

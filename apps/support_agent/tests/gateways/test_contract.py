"""What the port promises, of every gateway."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from apps.support_agent.tests.gateways.fake_stripe import FakeStripe
from support_agent.gateways.ledger import LedgerGateway
from support_agent.gateways.paying import pay
from support_agent.gateways.port import (
    Declined,
    OutcomeUnknown,
    Paid,
    RefundGateway,
    RefundOrder,
    TryLater,
)
from support_agent.gateways.stripe import StripeGateway
from support_agent.shop.cases import Case, move_case, open_case
from support_agent.shop.database import reading, writing
from support_agent.shop.errors import KeyReused
from support_agent.shop.ledger import entries

pytestmark = pytest.mark.slow

TEAPOT = Decimal("64.50")


@dataclass(frozen=True, slots=True)
class World:
    """A gateway with one payment of 124.10 EUR, and what it holds of a case."""

    gateway: RefundGateway
    payment_reference: str
    approve: Callable[[str, Decimal], None]
    refunds_of: Callable[[str], list[Decimal]]

    def order(self, case_id: str = "C-1", amount: Decimal = TEAPOT) -> RefundOrder:
        """An order that a person has approved."""
        self.approve(case_id, amount)
        return RefundOrder(
            key=f"{case_id}/1/5",
            case_id=case_id,
            order_number="A-1042",
            payment_reference=self.payment_reference,
            amount=amount,
            currency="EUR",
        )


@pytest.fixture
def ledger_world(shop: Engine) -> World:
    def approve(case_id: str, amount: Decimal) -> None:
        with writing(shop) as session:
            open_case(session, Case(case_id, "A-1042", amount, "Broken."))
            move_case(session, case_id, "pending_approval", key=f"{case_id}:ask")
            move_case(session, case_id, "approved", key=f"{case_id}:answer")

    def refunds_of(case_id: str) -> list[Decimal]:
        with reading(shop) as session:
            return [entry.receipt.amount for entry in entries(session, case_id)]

    return World(LedgerGateway(), "PAY-1", approve, refunds_of)


@pytest.fixture
def stripe_world(stripe_account: FakeStripe, stripe_gateway: StripeGateway) -> World:
    def approve(case_id: str, amount: Decimal) -> None:
        """Stripe knows nothing of cases."""

    def refunds_of(case_id: str) -> list[Decimal]:
        return [
            Decimal(refund["amount"]) / 100
            for refund in stripe_account.refunds
            if refund["metadata"]["support_case"] == case_id
        ]

    return World(stripe_gateway, "ch_1042", approve, refunds_of)


class TestEveryGateway:
    @pytest.fixture(params=["ledger", "stripe"])
    def world(self, request: pytest.FixtureRequest) -> Iterator[World]:
        yield request.getfixturevalue(f"{request.param}_world")

    def test_a_refund_is_paid_under_a_reference(self, world: World) -> None:
        paid = world.gateway.refund(world.order())

        assert isinstance(paid, Paid)
        assert paid.reference
        assert (paid.amount, paid.currency) == (TEAPOT, "EUR")
        assert world.refunds_of("C-1") == [TEAPOT]

    def test_a_repeated_key_gets_the_first_answer_and_moves_nothing(self, world: World) -> None:
        order = world.order()

        first = world.gateway.refund(order)
        again = world.gateway.refund(order)

        assert again == first
        assert world.refunds_of("C-1") == [TEAPOT]

    def test_a_key_that_nobody_used_is_not_found(self, world: World) -> None:
        world.gateway.refund(world.order("C-2", Decimal("10.00")))

        assert world.gateway.find(world.order("C-1")) is None
        assert world.refunds_of("C-1") == []

    def test_what_was_paid_is_found_as_it_was_answered(self, world: World) -> None:
        order = world.order()
        paid = world.gateway.refund(order)

        assert world.gateway.find(order) == paid

    def test_two_refunds_of_one_payment_are_told_apart(self, world: World) -> None:
        ten, twenty = world.order("C-1", Decimal("10.00")), world.order("C-2", Decimal("20.00"))
        answers = [world.gateway.refund(ten), world.gateway.refund(twenty)]

        assert [world.gateway.find(ten), world.gateway.find(twenty)] == answers
        assert answers[0] != answers[1]

    def test_more_than_the_payment_holds_is_declined(self, world: World) -> None:
        whole = world.order("C-1", Decimal("124.10"))
        one_more = world.order("C-2", Decimal("124.10"))
        world.gateway.refund(whole)

        answer = world.gateway.refund(one_more)

        assert isinstance(answer, Declined)
        assert answer.code and answer.words
        assert world.gateway.find(one_more) is None
        assert world.refunds_of("C-2") == []

    def test_a_payment_that_was_never_made_is_declined(self, world: World) -> None:
        order = replace(world.order(), payment_reference="ch_404")

        assert isinstance(world.gateway.refund(order), Declined)
        assert world.refunds_of("C-1") == []

    @pytest.mark.parametrize("amount", ["0.00", "-1.00", "0.005", "NaN"])
    def test_an_amount_that_cannot_be_paid_is_declined(self, world: World, amount: str) -> None:
        order = replace(world.order(), amount=Decimal(amount))

        answer = world.gateway.refund(order)

        assert isinstance(answer, Declined)
        assert answer.code == "invalid_amount"
        assert world.refunds_of("C-1") == []

    def test_a_key_is_refused_for_another_amount(self, world: World) -> None:
        order = world.order()
        world.gateway.refund(order)
        another = replace(order, amount=Decimal("1.00"))

        with pytest.raises(KeyReused):
            world.gateway.refund(another)
        with pytest.raises(KeyReused):
            world.gateway.find(another)
        assert world.refunds_of("C-1") == [TEAPOT]

    def test_a_key_is_refused_for_another_case(self, world: World) -> None:
        order = world.order("C-1", Decimal("10.00"))
        world.gateway.refund(order)
        another = replace(world.order("C-2", Decimal("10.00")), key=order.key)

        with pytest.raises(KeyReused):
            world.gateway.refund(another)
        with pytest.raises(KeyReused):
            world.gateway.find(another)
        assert world.refunds_of("C-2") == []

    def test_eight_threads_with_one_key_pay_once(self, world: World) -> None:
        order = world.order()

        def attempt(_: int) -> Paid | Declined | None:
            try:
                return world.gateway.refund(order)
            except (OutcomeUnknown, TryLater):  # allowed: the first one may still be running
                return None

        with ThreadPoolExecutor(8) as pool:
            answers = [answer for answer in pool.map(attempt, range(8)) if answer is not None]

        assert world.refunds_of("C-1") == [TEAPOT]
        assert set(answers) == {world.gateway.find(order)}

    def test_paying_again_after_a_crash_gives_the_same_answer(self, world: World) -> None:
        order = world.order()

        first = pay(world.gateway, order, first=True)
        again = pay(world.gateway, order, first=False)

        assert again == first
        assert world.refunds_of("C-1") == [TEAPOT]

    def test_paying_after_a_crash_before_anything_was_sent_pays(self, world: World) -> None:
        answer = pay(world.gateway, world.order(), first=False)

        assert isinstance(answer, Paid)
        assert world.refunds_of("C-1") == [TEAPOT]

    def test_it_has_a_name(self, world: World) -> None:
        assert world.gateway.name in {"ledger", "stripe"}

"""A talk with the offline agent: durable, answered once, and told what people decided."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, select

from adjourn import Actor, UpdateConflictError, UpdateForbiddenError, UpdateInvalidError
from adjourn.testing import Sandbox
from adjourn.testing.clock import START
from support_agent.app import app
from support_agent.conversation import Talk, conversation
from support_agent.shop import talks
from support_agent.shop.database import reading, writing
from support_agent.shop.ledger import entries
from support_agent.shop.records import CaseRecord, Customer
from support_agent.shop.shipped import import_shipped
from support_agent.shop.talks import LineView

LENA = Actor(id="lena", name="Lena Fischer", groups=["support"], roles=["approver"], channel="web")
OMAR = Actor(id="omar", groups=["support"], roles=["approver"], channel="web")
EMAIL, ORDER = "amina.diallo@example.org", "A-1201"
OTHER, OTHER_ORDER = "jonas.weber@example.com", "A-1204"
UNDO_OVER = timedelta(seconds=11)


class Customers:
    """Customers who write, and what they read."""

    def __init__(self, box: Sandbox, records: Engine) -> None:
        self.box = box
        self.records = records
        self._messages = 0

    def begin(self, talk_id: str, email: str) -> int:
        with writing(self.records) as session:
            customer = session.scalars(select(Customer).where(Customer.email == email)).one()
            talks.begin_talk(session, talk_id, customer_id=customer.id, now=self.box.clock.now())
            state = Talk(customer.id, customer.name)
            customer_id = customer.id
        self.box.start(conversation, state, id=talk_id)
        return customer_id

    def say(self, talk_id: str, text: str, message_id: str = "") -> str:
        """Returns what was said last, once all is quiet."""
        self._messages += 1
        id = message_id or f"message-{self._messages}"
        self.box.update(talk_id, "Say", {"text": text}, update_id=id)
        self.box.advance(seconds=5)
        return self.lines(talk_id)[-1].text

    def lines(self, talk_id: str) -> list[LineView]:
        with reading(self.records) as session:
            return talks.lines_of(session, talk_id)

    def paid(self, case_id: str) -> list[Decimal]:
        with reading(self.records) as session:
            return [entry.receipt.amount for entry in entries(session, case_id)]


@pytest.fixture
def shop(database: Engine) -> Engine:
    """The shop that comes with the package: orders and articles."""
    import_shipped(database, START)
    return database


@pytest.fixture
def customers(shop: Engine) -> Iterator[Customers]:
    with Sandbox(app) as box:
        yield Customers(box, shop)


DOUBLE = f"I was charged twice for order {ORDER}"


def open_case(customers: Customers, talk_id: str = "talk-1") -> None:
    customers.begin(talk_id, EMAIL)
    customers.say(talk_id, DOUBLE)
    assert "R-1001" in customers.say(talk_id, "yes please")


@pytest.mark.slow
def test_a_double_charge_is_looked_up_and_the_policy_cited_before_a_case_is_opened(
    customers: Customers,
) -> None:
    customers.begin("talk-1", EMAIL)

    answer = customers.say("talk-1", DOUBLE)

    assert "129.70 EUR" in answer and "(double-charges)" in answer
    assert len(customers.box.inbox()) == 0


@pytest.mark.slow
def test_an_edited_amount_is_paid_told_by_itself_and_known_afterwards(
    customers: Customers,
) -> None:
    open_case(customers)
    meanwhile = customers.say("talk-1", "How long does delivery take?")

    customers.box.inbox("support").one().approve(
        by=LENA, amount="100.00", reason="The rest was paid by voucher."
    )
    customers.box.advance(UNDO_OVER)

    told = customers.lines("talk-1")[-1]
    assert "R-1001" not in meanwhile
    assert told.author == "agent" and told.case_id == "R-1001"
    assert "100.00 EUR" in told.text and "voucher" in told.text
    assert customers.paid("R-1001") == [Decimal("100.00")]
    status = customers.say("talk-1", "What is the status of my case R-1001?")
    assert "100.00 EUR" in status


@pytest.mark.slow
def test_what_a_person_decides_on_has_the_talk_the_order_and_the_policy(
    customers: Customers,
) -> None:
    open_case(customers)

    asked: Any = customers.box.history("R-1001:1:2")[0].event
    request = msgspec.json.decode(asked.input)

    kinds = [each["type"] for each in request["evidence"]]
    assert kinds[:3] == ["conversation", "facts", "document"]
    said = [line["text"] for line in request["evidence"][0]["lines"]]
    assert said[0] == DOUBLE and "yes please" in said
    assert "version" in request["evidence"][2]["source"]


@pytest.mark.slow
def test_a_rejection_and_an_expiry_read_differently(customers: Customers) -> None:
    open_case(customers)
    customers.begin("talk-2", OTHER)
    customers.say("talk-2", f"I want to return order {OTHER_ORDER}")
    customers.say("talk-2", "It is too large for the room")
    customers.say("talk-2", "yes please")
    mine, theirs = sorted(customers.box.inbox(), key=lambda each: each.row.case)

    mine.reject(by=LENA, reason="Both payments are for two orders.")
    customers.box.advance(days=8)

    assert "Both payments are for two orders." in customers.lines("talk-1")[-1].text
    assert "within seven days" in customers.lines("talk-2")[-1].text
    assert theirs.row.status == "expired"
    assert customers.paid("R-1001") == customers.paid("R-1002") == []


@pytest.mark.slow
def test_deciding_one_case_does_not_touch_the_other(customers: Customers) -> None:
    open_case(customers)
    customers.begin("talk-2", OTHER)
    customers.say("talk-2", f"I want to return order {OTHER_ORDER}")
    customers.say("talk-2", "It is too large for the room")
    customers.say("talk-2", "yes please")
    before = customers.lines("talk-2")

    mine = next(each for each in customers.box.inbox() if each.row.case == "R-1001")
    mine.approve(by=LENA)
    customers.box.advance(UNDO_OVER)

    assert customers.paid("R-1001") == [Decimal("129.70")]
    assert customers.lines("talk-2") == before and customers.paid("R-1002") == []


@pytest.mark.slow
def test_a_message_that_the_channel_sends_twice_is_one(customers: Customers) -> None:
    customers.begin("talk-1", EMAIL)
    customers.say("talk-1", DOUBLE, "m-1")
    lines = customers.lines("talk-1")

    customers.say("talk-1", DOUBLE, "m-1")

    assert customers.lines("talk-1") == lines


@pytest.mark.slow
def test_who_writes_too_fast_or_too_much_is_told_so(customers: Customers) -> None:
    customers.begin("talk-1", EMAIL)
    with pytest.raises(UpdateInvalidError, match="too long"):
        customers.say("talk-1", "x" * 4_001)
    with pytest.raises(UpdateInvalidError, match="faster than I can answer") as refused:
        for number in range(10):
            customers.box.update("talk-1", "Say", {"text": "Hello"}, update_id=f"fast-{number}")

    assert refused.value.details["again_in_seconds"] == 10
    customers.box.advance(seconds=11)
    assert customers.say("talk-1", "Hello")


@pytest.mark.slow
def test_a_person_takes_over_writes_and_hands_back(customers: Customers) -> None:
    customers.begin("talk-1", EMAIL)
    customers.say("talk-1", "I want to speak to a human, this is about a broken vase")
    if not customers.box.inbox():
        customers.say("talk-1", "yes please")
    with pytest.raises(UpdateConflictError, match="Nobody has taken"):
        customers.box.update("talk-1", "Reply", {"text": "Hi"}, update_id="r-0", by=LENA)

    customers.box.inbox("support").one().approve(by=LENA)
    customers.box.update("talk-1", "Reply", {"text": "I am Lena."}, update_id="r-1", by=LENA)
    with pytest.raises(UpdateForbiddenError):
        customers.box.update("talk-1", "Reply", {"text": "Hi"}, update_id="r-2")
    with pytest.raises(UpdateConflictError, match="lena has taken"):
        customers.box.update("talk-1", "Reply", {"text": "Hi"}, update_id="r-3", by=OMAR)
    mine = customers.say("talk-1", "Thank you, Lena")
    customers.box.update("talk-1", "HandBack", update_id="b-1", by=LENA)

    lines = customers.lines("talk-1")
    assert mine == "Thank you, Lena"  # nobody else answers
    assert ("person", "Lena Fischer", "I am Lena.") in [
        (line.author, line.name, line.text) for line in lines
    ]
    assert lines[-1].author == "system" and "assistant again" in lines[-1].text
    assert customers.box.result("E-1001") == "handed back"
    assert customers.say("talk-1", "Hello") != "Hello"


@pytest.mark.slow
def test_nobody_comes_and_the_customer_is_told(customers: Customers) -> None:
    customers.begin("talk-1", EMAIL)
    customers.say("talk-1", "I want to speak to a human, this is about a broken vase")
    if not customers.box.inbox():
        customers.say("talk-1", "yes please")

    customers.box.advance(days=4)

    assert "could come in time" in customers.lines("talk-1")[-1].text
    with reading(customers.records) as session:
        talk = talks.talk_of(session, "talk-1")
    assert talk is not None and talk.mode == "agent"


@pytest.mark.slow
def test_a_long_talk_begins_anew_and_forgets_nothing_that_matters(customers: Customers) -> None:
    open_case(customers)
    for _ in range(30):
        customers.say("talk-1", "Hello")

    assert customers.box.get("talk-1").execution > 1
    assert "R-1001" in customers.say("talk-1", "What is the status of my case?")


@pytest.mark.slow
@pytest.mark.parametrize("after", range(1, 14))
def test_a_crash_between_any_two_steps_loses_and_repeats_nothing(shop: Engine, after: int) -> None:
    with Sandbox(app, run_activities=False, cache_size=0) as box:
        customers = Customers(box, shop)
        customers.begin("talk-1", EMAIL)
        ran: list[str] = []
        for number, text in enumerate((DOUBLE, "yes please")):
            box.update("talk-1", "Say", {"text": text}, update_id=f"m-{number}")
            while box.waiting_activities:
                ran.append(box.run_next_activity())
                if len(ran) == after:
                    box.crash()

        lines = [line.author for line in customers.lines("talk-1")]
        assert lines == ["customer", "agent", "customer", "agent"]
        with reading(shop) as session:
            assert len(session.scalars(select(CaseRecord)).all()) == 1
        assert box.get("R-1001").status == "Running"

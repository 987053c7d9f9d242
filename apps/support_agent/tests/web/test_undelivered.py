"""What did not go out: who sees it, and who has it sent again, once."""

from collections.abc import Iterator

import pytest
from sqlalchemy import delete

from adjourn import Person
from apps.support_agent.tests.web.place import AMINA, Browser, Page, Place
from support_agent.channels import desk as desks
from support_agent.channels.delivery import outbox_of
from support_agent.channels.desk import Desk, key_of
from support_agent.channels.open import CHANNELS
from support_agent.channels.port import Address, Text, TryAgain, Unreachable
from support_agent.channels.testing import FakeChannel
from support_agent.clock import now
from support_agent.shop import reaching, talks
from support_agent.shop.database import reading, writing
from support_agent.shop.reaching import Reader, Sent
from support_agent.shop.records import Account, Dispatch
from support_agent.web.forms import new_id

pytestmark = pytest.mark.slow

GONE = "HTTP 403: BotNotInConversationRoster"
PATH = "/talks/undelivered"


@pytest.fixture
def channel(place: Place) -> Iterator[FakeChannel]:
    """Teams, as far as this module needs it, and nothing in trouble yet."""
    with writing(place.records) as session:
        session.execute(delete(Dispatch))
    made = FakeChannel("teams")
    CHANNELS["teams"] = made
    desks.DESKS.append(Desk(place.client, place.people, ""))
    yield made
    desks.DESKS.pop()
    del CHANNELS["teams"]


class Talk:
    """A talk that is read in Teams, with one line of the assistant."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.account = f"tenant/{new_id()}"
        customer = place.customer_id(AMINA)
        self.id = reaching.talk_id_of("teams", "chat", self.account, customer)
        self.address = Address("teams", {"conversation": "chat"})
        with writing(place.records) as session:
            session.add(
                Account(
                    channel="teams",
                    account=self.account,
                    customer_id=customer,
                    name="Amina",
                    linked_at=now(),
                )
            )
            talks.begin_talk(
                session, self.id, customer_id=customer, now=now(), address=self.address
            )
        place.line(self.id, "agent", "You get 20.00 EUR back.")
        self.key = f"{outbox_of(self.id)}/1"

    def fails(self, trouble: str = GONE, state: str = "failed") -> None:
        trouble_of(self.place, self.key, self.id, "", self.address, trouble, state)


def trouble_of(
    place: Place, key: str, about: str, reader: str, address: Address, trouble: str, state: str
) -> None:
    with writing(place.records) as session:
        reaching.prepare(session, key, about=about, reader=reader, address=address, now=now())
        reaching.had_trouble(session, key, state, trouble, now())  # pyright: ignore[reportArgumentType]  # a test's shorthand


def sent(place: Place, key: str) -> Sent | None:
    with reading(place.records) as session:
        return reaching.sent_by(session, key)


def send_again(browser: Browser, key: str) -> int:
    return browser.send(PATH, part=False, key=key).status_code


@pytest.mark.parametrize("who", ["lena", "grace", "ivo"])
def test_those_who_read_conversations_see_it(place: Place, channel: FakeChannel, who: str) -> None:
    page = place.person(who).open(PATH)
    assert page.status == 200 and "Everything went out" in page.main
    talk = Talk(place)
    talk.fails()
    page = place.person(who).open(PATH)
    assert "A line to Amina Diallo by Microsoft Teams" in page.main and GONE in page.main
    assert "Failed" in page.main
    assert bool(buttons(page)) is (who != "ivo")
    [link] = [each["href"] for each in page.root.one("main").all("a") if talk.id in each["href"]]
    there = place.person(who).open(link.partition("#")[0])
    assert "Not delivered" in there.main and GONE in there.main
    hers = place.customer(AMINA).open(f"/chat/talks/{talk.id}")
    assert "20.00 EUR back" in hers.main and "Not delivered" not in hers.text


def buttons(page: Page) -> list[str]:
    return [
        each["value"]
        for form in page.root.one("main").all("form")
        for each in form.all("input", type="hidden")
    ]


@pytest.mark.parametrize(("who", "code"), [("", 401), ("sam", 403), ("ivo", 403), ("nobody", 401)])
def test_others_send_nothing_again(place: Place, channel: FakeChannel, who: str, code: int) -> None:
    talk = Talk(place)
    talk.fails()
    assert send_again(place.person(who), talk.key) == code
    found = sent(place, talk.key)
    assert found is not None and found.state == "failed"
    if code == 401 or who == "sam":
        assert GONE not in place.person(who).open(PATH).text


def test_a_page_of_another_origin_sends_nothing(place: Place, channel: FakeChannel) -> None:
    talk = Talk(place)
    talk.fails()
    answer = place.person("lena").http.post(
        PATH, data={"key": talk.key}, headers={"origin": "https://evil.example"}
    )
    assert answer.status_code == 403
    assert channel.messages(talk.address) == []


def test_what_waits_is_no_failure_and_has_no_button(place: Place, channel: FakeChannel) -> None:
    talk = Talk(place)
    talk.fails("HTTP 429", "waiting")
    page = place.person("lena").open(PATH)
    assert "Waits" in page.main and buttons(page) == []
    there = place.person("lena").open(f"/talks/{talk.id}")
    assert "Not delivered yet" in there.main
    assert send_again(place.person("lena"), talk.key) == 303
    assert channel.messages(talk.address) == []


def test_a_line_is_sent_again_once_however_often_it_is_pressed(
    place: Place, channel: FakeChannel
) -> None:
    """The outbox has long gone on, or ended with its process: it is not asked."""
    talk = Talk(place)
    talk.fails()
    lena, grace = place.person("lena"), place.person("grace")
    channel.fail_next(TryAgain("busy", after=0.2))
    for browser in (lena, grace, lena):
        assert send_again(browser, talk.key) == 303
    place.until(lambda: channel.messages(talk.address))
    place.until(lambda: (found := sent(place, talk.key)) and found.state == "sent")
    assert [each.text for each in channel.messages(talk.address) if isinstance(each, Text)] == [
        "You get 20.00 EUR back."
    ]
    assert "Everything went out" in lena.open(PATH).main


def test_a_line_that_fails_again_can_be_sent_again(place: Place, channel: FakeChannel) -> None:
    talk = Talk(place)
    talk.fails("the first time")
    channel.fail_next(Unreachable("the second time"))
    lena = place.person("lena")
    send_again(lena, talk.key)
    place.until(lambda: "the second time" in lena.open(PATH).main)
    assert buttons(lena.open(PATH)) == [talk.key]
    send_again(lena, talk.key)
    place.until(lambda: channel.messages(talk.address))


@pytest.mark.parametrize(
    "key", ["", "nobodys", "a:outbox/1", "card/ff", "reminder/ff", "x" * 10_000, "'\u202e/1", "/x"]
)
def test_a_key_that_is_nobodys_sends_nothing(place: Place, channel: FakeChannel, key: str) -> None:
    assert send_again(place.person("lena"), key) == 303
    assert channel.sent == []


def test_a_card_whose_question_has_ended_says_so_when_it_is_sent_again(
    place: Place, channel: FakeChannel
) -> None:
    """Its watcher has ended too, and would bring nothing up to date any more."""
    talk_id = place.begin(AMINA, "I was charged twice for order A-1201.")
    place.say(AMINA, talk_id, "yes please")
    case = place.until(lambda: place.cases(AMINA))[0]
    address = Address("teams", {"conversation": "with lena"})
    lena = Person(id="lena", name="Lena", roles=["approver"], accounts={"teams": "t/lena"})
    place.people.people["lena"] = lena
    reader = Reader("teams", "t/lena", True, "lena", address)
    row = place.until(lambda: place._rows(case.id))[0]  # pyright: ignore[reportPrivateUsage]
    place.approve(case.id, "grace")
    key = key_of("card", row.id, "teams", "t/lena")
    with writing(place.records) as session:
        reaching.read_here(session, reader, now())
        reaching.prepare(session, key, about=row.id, reader="t/lena", address=address, now=now())
        reaching.went_out(session, key, message_id="1", shows="something old", now=now())
        reaching.had_trouble(session, key, "failed", GONE, now())
    place.run(channel.send(address, Text("The old card."), key=key))

    page = place.person("grace").open(PATH)
    assert "The card for Lena by Microsoft Teams" in page.main
    for _ in range(2):
        assert send_again(place.person("grace"), key) == 303

    place.until(lambda: "Approved by Grace Okafor" in str(channel.messages(address)))
    place.until(lambda: (found := sent(place, key)) and found.state == "sent")
    assert len(channel.messages(address)) == 1


def test_an_old_reminder_is_not_sent_again(place: Place, channel: FakeChannel) -> None:
    address = Address("teams", {"conversation": "with somebody"})
    key = key_of("reminder/1", "R-9:1", "teams", "t/left")
    trouble_of(place, key, "R-9:1", "t/left", address, GONE, "failed")
    page = place.person("lena").open(PATH)
    assert "A reminder for somebody who is not on the list of people now" in page.main
    assert buttons(page) == []
    assert send_again(place.person("lena"), key) == 303
    assert (found := sent(place, key)) is not None and found.state == "failed"


def test_what_a_channel_says_is_text(place: Place, channel: FakeChannel) -> None:
    talk = Talk(place)
    talk.fails("<script>alert(1)</script> \u202e \x1b[31m")
    for path in (PATH, f"/talks/{talk.id}"):
        page = place.person("lena").open(path)
        assert "<script>alert(1)</script> \u27e8U+202E\u27e9" in page.main
        assert page.root.one("main").all("script") == []
        assert "\u202e" not in page.answer.text

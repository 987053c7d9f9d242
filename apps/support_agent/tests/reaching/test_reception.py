"""Customers and supervisors by a channel: everything once, to the right people, and kept true."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine

from adjourn import Reject
from apps.support_agent.tests.reaching.scene import (
    AMINA,
    DOUBLE,
    JONAS,
    Scene,
    playing,
)
from support_agent import case
from support_agent.case import Request, refund_case
from support_agent.channels import reception
from support_agent.channels.port import (
    Address,
    Message,
    MessageRef,
    Text,
    TryAgain,
    Unreachable,
)
from support_agent.channels.testing import FakeChannel
from support_agent.clock import now
from support_agent.shop import reaching, talks
from support_agent.shop.cases import Case, open_case
from support_agent.shop.database import reading, shop_database, writing
from support_agent.shop.shipped import import_shipped

pytestmark = pytest.mark.slow

Play = Callable[[Callable[[Scene], Awaitable[None]]], None]


@pytest.fixture
def play(database: Engine, tmp_path: Path) -> Play:
    def run(test: Callable[[Scene], Awaitable[None]]) -> None:
        async def played() -> None:
            async with playing(tmp_path) as scene:
                await test(scene)

        asyncio.run(played())

    return run


def test_a_stranger_is_asked_who_they_are_and_a_redelivery_asks_once(play: Play) -> None:
    async def test(scene: Scene) -> None:
        await scene.write("t/amina", DOUBLE, id="a1")
        text = await scene.told("t/amina", "http://127.0.0.1:7071/chat/link/")
        await scene.write("t/amina", DOUBLE, id="a1")
        await scene.write("t/amina", "hello?", id="a2")
        await scene.until(lambda: len(scene.texts("t/amina")) == 2)
        assert text in scene.texts("t/amina")

    play(test)


def test_a_linked_customer_is_answered_and_a_redelivery_does_nothing_twice(
    play: Play, database: Engine
) -> None:
    async def test(scene: Scene) -> None:
        scene.link(AMINA, "t/amina")
        for _ in range(3):
            await scene.write("t/amina", DOUBLE, id="a1")
        await scene.told("t/amina", "129.70 EUR", "(double-charges)")
        await scene.write("t/amina", "yes please", id="a2")
        await scene.told("t/amina", "R-1001")
        assert len(scene.texts("t/amina")) == 2
        with reading(database) as session:
            customer = reaching.customer_of_account(session, "fake", "t/amina")
            assert customer is not None
            [talk] = talks.talks_of(session, customer)
            assert talk.channel == "fake"
            authors = [line.author for line in talks.lines_of(session, talk.id)]
        assert authors == ["customer", "agent", "customer", "agent"]
        assert scene.channel.typed, "an answer was on its way"

    play(test)


def test_a_message_that_is_refused_is_answered_in_words(play: Play) -> None:
    async def test(scene: Scene) -> None:
        scene.link(AMINA, "t/amina")
        await scene.write("t/amina", "x" * 5_000)
        await scene.told("t/amina", "too long")

    play(test)


def test_in_a_group_each_customer_has_a_talk_of_their_own(play: Play, database: Engine) -> None:
    async def test(scene: Scene) -> None:
        scene.link(AMINA, "t/amina")
        scene.link(JONAS, "t/jonas")
        await scene.write("t/amina", DOUBLE, conversation="team")
        await scene.told("t/amina", "129.70 EUR", conversation="team")
        await scene.write("t/jonas", DOUBLE, conversation="team")
        await scene.told("t/jonas", "no order with that number", conversation="team")

    play(test)


def test_a_card_goes_to_those_who_may_decide_and_says_what_became_of_it(play: Play) -> None:
    async def test(scene: Scene) -> None:
        for account in ("t/lena", "t/omar", "t/ivo"):
            await scene.write(account, "")
            await scene.told(account, "comes here as a card")
        await scene.open_case()
        [lenas] = await scene.until(lambda: scene.cards("t/lena"))
        [omars] = await scene.until(lambda: scene.cards("t/omar"))
        assert lenas.allowed == omars.allowed == ("approve", "reject")
        assert lenas.link.startswith("http://127.0.0.1:7071/approvals/")
        assert scene.cards("t/ivo") == [], "an auditor decides nothing"

        reply = await scene.decide(
            "t/lena", lenas, typed={"amount": "20.00", "reason": "The rest was a voucher."}
        )

        assert reply.code == 200 and reply.card is not None
        assert reply.card.status.startswith("Approved with changes by Lena Fischer")
        assert reply.card.allowed == ()
        await scene.until(lambda: "by Lena Fischer" in scene.cards("t/omar")[0].status)
        assert scene.cards("t/omar")[0].allowed == ()
        assert len(scene.cards("t/omar")) == 1, "replaced, not sent again"
        late = await scene.decide("t/omar", omars, id="click-2", action="reject", comment="No.")
        assert late.code == 409 and late.card is not None
        again = await scene.decide(
            "t/lena", lenas, typed={"amount": "20.00", "reason": "The rest was a voucher."}
        )
        assert again.code == 200, "the same click, delivered again"

    play(test)


def test_a_decision_on_the_page_updates_the_card(play: Play) -> None:
    async def test(scene: Scene) -> None:
        await scene.write("t/lena", "")
        await scene.open_case()
        [card] = await scene.until(lambda: scene.cards("t/lena"))
        grace = scene.desk.people.find("grace")
        assert grace is not None
        view = await scene.desk.view_of(card.id, grace, "web")
        assert view is not None
        reject = Reject(version=view.state.version, reason="Twice is what it was.")
        await scene.client.approvals.act(card.id, reject, by=grace.actor("web"))
        await scene.until(
            lambda: scene.cards("t/lena")[0].status.startswith("Rejected by Grace Okafor")
        )

    play(test)


def test_refusals_name_what_is_wrong_and_change_nothing(play: Play) -> None:
    async def test(scene: Scene) -> None:
        await scene.write("t/lena", "")
        await scene.open_case()
        [card] = await scene.until(lambda: scene.cards("t/lena"))
        stranger = await scene.decide("t/mallory", card)
        assert stranger.code == 403 and "t/mallory" in stranger.words
        auditor = await scene.decide("t/ivo", card)
        assert auditor.code == 403 and auditor.card is not None
        customer = await scene.decide("t/amina", card)
        assert customer.code == 403
        unknown = await scene.decide("t/lena", card, approval="R-1001")
        assert unknown.code == 404
        stale = await scene.decide("t/lena", card, version=card.version + 7)
        assert stale.code == 409 and stale.card is not None
        other = await scene.decide("t/lena", card, digest="0" * 64)
        assert other.code == 409
        too_much = await scene.decide("t/lena", card, typed={"amount": "99999"})
        assert too_much.code == 422 and too_much.card is not None
        [amount] = [each for each in too_much.card.fields if each.name == "amount"]
        assert amount.value == "99999" and amount.error
        no_number = await scene.decide("t/lena", card, typed={"amount": "a lot"})
        assert no_number.code == 422
        locked = await scene.decide("t/lena", card, typed={"payee": "Mallory"})
        assert locked.code == 200, "a field that nobody may change is not read"
        assert "Mallory" not in str(locked.card)

    play(test)


def test_a_reason_is_needed_to_reject(play: Play) -> None:
    async def test(scene: Scene) -> None:
        await scene.write("t/lena", "")
        await scene.open_case()
        [card] = await scene.until(lambda: scene.cards("t/lena"))
        reply = await scene.decide("t/lena", card, action="reject", comment="")
        assert reply.code == 422
        reply = await scene.decide("t/lena", card, action="reject", comment="It was once.")
        assert reply.code == 200

    play(test)


def test_what_is_of_high_risk_is_rejected_on_a_card_and_approved_in_the_dashboard(
    play: Play,
) -> None:
    async def test(scene: Scene) -> None:
        await scene.write("t/grace", "")
        request = Request("R-9001", "A-1203", Decimal("150.00"), "It never came.")
        with writing(shop_database()) as session:
            open_case(session, Case("R-9001", "A-1203", Decimal("150.00"), "It never came."))
        await scene.client.start(refund_case, request, id="R-9001")
        [card] = await scene.until(lambda: scene.cards("t/grace"))
        assert card.allowed == ("reject",) and "in the dashboard" in card.status
        reply = await scene.decide("t/grace", card)
        assert reply.code == 422 and "in the dashboard" in reply.words
        reply = await scene.decide("t/grace", card, action="reject", comment="It did come.")
        assert reply.code == 200

    play(test)


def test_what_asks_for_a_recent_sign_in_leads_to_the_dashboard(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No channel says when somebody signed in, so none can approve it: also one that has no rule of
    its own against it."""
    monkeypatch.setattr(case, "SIGNED_IN_LATELY", Decimal(0))

    async def test(scene: Scene) -> None:
        await scene.write("t/lena", "")
        await scene.open_case()
        [card] = await scene.until(lambda: scene.cards("t/lena"))
        assert card.allowed == ("reject",)
        assert card.status == "Approve it in the dashboard: it asks you to sign in again"

        reply = await scene.decide("t/lena", card)
        assert (reply.code, reply.words) == (
            422,
            "Approve it in the dashboard: it asks you to sign in again. Nothing changed.",
        )
        monkeypatch.setattr(reception, "fits", lambda view, decision: True)
        reply = await scene.decide("t/lena", card)
        assert reply.code == 403 and "sign in again, and approve it there" in reply.words

    play(test)


def test_whoever_comes_later_gets_what_is_open(play: Play) -> None:
    async def test(scene: Scene) -> None:
        await scene.open_case()
        await scene.write("t/grace", "hello")
        await scene.until(lambda: scene.cards("t/grace"))

    play(test)


def test_a_lead_has_the_cards_shown_in_a_channel_where_everybody_asks_for_their_own(
    play: Play,
) -> None:
    async def test(scene: Scene) -> None:
        await scene.write("t/lena", "")
        await scene.write("t/omar", "cards here", conversation="team")
        await scene.told("t/omar", "Only a lead", conversation="team")
        await scene.write("t/grace", "Cards  here", conversation="team")
        await scene.open_case()
        [card] = await scene.until(lambda: scene.cards("t/grace", "team"))
        assert card.allowed == () and "29:t/lena" in card.refresh_by
        reply = await scene.decide("t/lena", card, action="refresh")
        assert reply.card is not None and reply.card.allowed == ("approve", "reject")

    play(test)


def test_a_channel_in_trouble_loses_no_line_and_keeps_their_order(play: Play) -> None:
    async def test(scene: Scene) -> None:
        scene.link(AMINA, "t/amina")
        scene.channel.fail_next(TryAgain("429", after=0.1), TryAgain("503"))
        await scene.write("t/amina", DOUBLE)
        await scene.write("t/amina", "How long does delivery take?")
        await scene.until(lambda: len(scene.texts("t/amina")) == 2)
        assert "129.70 EUR" in scene.texts("t/amina")[0]

    play(test)


class Picky(FakeChannel):
    """Takes no line with an amount."""

    async def send(self, to: Address, message: Message, *, key: str) -> MessageRef:
        if isinstance(message, Text) and "EUR" in message.text:
            raise Unreachable("403: the bot was removed")
        return await super().send(to, message, key=key)


def test_what_can_never_arrive_is_shown_as_failed_and_holds_nothing_up(
    database: Engine, tmp_path: Path
) -> None:
    async def test() -> None:
        async with playing(tmp_path, Picky("fake")) as scene:
            scene.link(AMINA, "t/amina")
            await scene.write("t/amina", DOUBLE)
            await scene.write("t/amina", "How long does delivery take?")
            await scene.until(lambda: scene.texts("t/amina"))
            with reading(database) as session:
                [failed] = reaching.in_trouble(session)
            assert failed.state == "failed" and "removed" in failed.trouble

    asyncio.run(test())


def test_nothing_is_sent_to_a_place_that_is_gone(play: Play) -> None:
    async def test(scene: Scene) -> None:
        await scene.write("t/lena", "")
        await scene.write("t/omar", "")
        await scene.reception.on_removed("fake", scene.address("t/lena"))
        await scene.open_case()
        await scene.until(lambda: scene.cards("t/omar"))
        assert scene.cards("t/lena") == []

    play(test)


def test_the_outcome_comes_by_itself_once_after_a_restart(database: Engine, tmp_path: Path) -> None:
    """The process ends between the decision and the word to the customer."""
    channel = FakeChannel("fake")

    async def before() -> None:
        async with playing(tmp_path, channel) as scene:
            await scene.write("t/lena", "")
            await scene.open_case()
            [card] = await scene.until(lambda: scene.cards("t/lena"))
            reply = await scene.decide("t/lena", card, typed={"amount": "20.00"})
            assert reply.code == 200

    async def after() -> None:
        async with playing(tmp_path, channel) as scene:
            await scene.told("t/amina", "20.00 EUR back")
            await scene.write("t/amina", "What is the status of my case R-1001?")
            await scene.until(lambda: "20.00" in scene.texts("t/amina")[-1])
            outcomes = [each for each in scene.texts("t/amina") if "EUR back" in each]
            assert len(outcomes) == 1

    asyncio.run(before())
    asyncio.run(after())


def test_a_code_links_once_and_soon(database: Engine) -> None:
    import_shipped(database, now())
    address = Address("fake", {"conversation": "c"})
    with writing(database) as session:
        reaching.offer_link(session, "code-1", account="t/a", name="A", address=address, now=now())
    with writing(database) as session:
        late = now() + reaching.CODE_LIFE + timedelta(seconds=1)
        assert reaching.offered(session, "code-1", late) is None
        assert reaching.link(session, "code-1", 1, late) is None
        assert reaching.link(session, "another", 1, now()) is None
        assert reaching.link(session, "code-1", 1, now()) is not None
        assert reaching.link(session, "code-1", 2, now()) is None
        assert reaching.customer_of_account(session, "fake", "t/a") == 1

"""Nothing is lost, doubled or shown to somebody else, whatever comes between."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec import structs
from sqlalchemy import Engine

from adjourn import Notice, Reject, Status, Undo, watcher_id
from apps.support_agent.tests.reaching.scene import AMINA, DOUBLE, JONAS, Scene, playing
from support_agent import talking
from support_agent.channels import desk as desks
from support_agent.channels.port import (
    Address,
    ApprovalCard,
    Message,
    MessageRef,
    TryAgain,
)
from support_agent.channels.testing import FakeChannel
from support_agent.clock import now
from support_agent.shop import reaching
from support_agent.shop.database import reading, writing
from support_agent.shop.reaching import Reader

pytestmark = pytest.mark.slow

Play = Callable[..., None]


@pytest.fixture
def play(database: Engine, tmp_path: Path) -> Play:
    def run(test: Callable[[Scene], Awaitable[None]], channel: FakeChannel | None = None) -> None:
        async def played() -> None:
            async with playing(tmp_path, channel) as scene:
                await test(scene)

        asyncio.run(played())

    return run


class Moody(FakeChannel):
    """Raises `trouble` for cards while there is one."""

    trouble: Exception | None = None
    refused = 0

    async def send(self, to: Address, message: Message, *, key: str) -> MessageRef:
        self._mood(message)
        return await super().send(to, message, key=key)

    async def update(self, ref: MessageRef, message: Message) -> None:
        self._mood(message)
        await super().update(ref, message)

    def _mood(self, message: Message) -> None:
        if self.trouble is not None and isinstance(message, ApprovalCard):
            self.refused += 1
            raise self.trouble


def in_trouble(database: Engine) -> list[str]:
    with reading(database) as session:
        return [f"{sent.state}: {sent.trouble}" for sent in reaching.in_trouble(session)]


async def reject(scene: Scene, card: ApprovalCard) -> None:
    grace = scene.desk.people.find("grace")
    assert grace is not None
    action = Reject(version=card.version, reason="Once is what it was.")
    while True:
        view = await scene.desk.view_of(card.id, grace, "web")
        assert view is not None
        try:
            await scene.client.approvals.act(card.id, action, by=grace.actor("web"))
            return
        except Exception as error:
            if "still looked up" not in str(error):
                raise


async def ended(scene: Scene, instance: str) -> None:
    await scene.client.result(instance)
    assert (await scene.client.get(instance)).status is Status.COMPLETED


# Groups.


def test_a_link_is_never_shown_where_others_read_it(play: Play, database: Engine) -> None:
    """Whoever opens it could make the account that of another customer: their own."""

    async def test(scene: Scene) -> None:
        await scene.write("t/amina", DOUBLE, conversation="team")
        text = await scene.told("t/amina", "Write to me alone", conversation="team")
        assert "/chat/link/" not in text
        with reading(database) as session:
            assert session.connection().exec_driver_sql("SELECT * FROM link_codes").all() == []
        await scene.write("t/amina", "hello")
        await scene.told("t/amina", "/chat/link/")

    play(test)


def test_whoever_takes_the_bot_out_of_a_group_takes_the_cards_out(play: Play) -> None:
    async def test(scene: Scene) -> None:
        await scene.write("t/grace", "cards here", conversation="team")
        await scene.told("t/grace", "from now on", conversation="team")
        await scene.reception.on_removed("fake", scene.address("t/omar", "team"))
        await scene.write("t/lena", "")
        await scene.open_case()
        await scene.until(lambda: scene.cards("t/lena"))
        assert scene.cards("t/grace", "team") == []

    play(test)


# Accounts.


def test_a_link_leaves_no_other_code_of_the_account(database: Engine, play: Play) -> None:
    async def test(scene: Scene) -> None:
        address = scene.address("t/amina")
        with writing(database) as session:
            for code in ("the first code", "the second code"):
                offered = reaching.offer_link(
                    session, code, account="t/amina", name="A", address=address, now=now()
                )
                assert offered
            assert reaching.link(session, "the second code", 1, now()) is not None
            assert reaching.offered(session, "the first code", now()) is None
            assert reaching.link(session, "the first code", 2, now()) is None
            assert reaching.customer_of_account(session, "fake", "t/amina") == 1

    play(test)


def test_a_stranger_who_goes_on_writing_fills_no_table(play: Play, database: Engine) -> None:
    async def test(scene: Scene) -> None:
        for number in range(20):
            await scene.write("t/mallory", f"hello {number}")
        with reading(database) as session:
            codes = session.connection().exec_driver_sql("SELECT * FROM link_codes").all()
        assert len(codes) == reaching.OFFERS_AT_ONCE
        await scene.until(lambda: len(scene.texts("t/mallory")) == reaching.OFFERS_AT_ONCE)

    play(test)


def test_an_account_that_is_anothers_now_reads_nothing_of_the_first(
    play: Play, database: Engine
) -> None:
    async def test(scene: Scene) -> None:
        scene.link(AMINA, "t/shared")
        await scene.write("t/shared", DOUBLE)
        await scene.told("t/shared", "129.70 EUR")
        with reading(database) as session:
            amina = reaching.customer_of_account(session, "fake", "t/shared")
        assert amina is not None
        talk = reaching.talk_id_of("fake", "with t/shared", "t/shared", amina)
        scene.link(JONAS, "t/shared")

        await talking.say(
            scene.client, talk, amina, "How long does delivery take?", "m-on-the-page"
        )
        await scene.write("t/shared", DOUBLE)

        await scene.told("t/shared", "no order with that number")
        assert not any("delivery" in text for text in scene.texts("t/shared"))
        assert in_trouble(database) == []

    play(test)


def test_a_message_with_a_long_id_is_taken_once(play: Play) -> None:
    async def test(scene: Scene) -> None:
        scene.link(AMINA, "t/amina")
        for _ in range(2):
            await scene.write("t/amina", DOUBLE, id="a" * 512)
        await scene.told("t/amina", "129.70 EUR")
        await scene.write("t/amina", "How long does delivery take?")
        await scene.until(lambda: len(scene.texts("t/amina")) == 2)

    play(test)


# Supervisors.


def test_a_process_that_ends_before_the_open_cards_were_asked_for_owes_them(
    play: Play, database: Engine
) -> None:
    async def test(scene: Scene) -> None:
        await scene.write("t/omar", "")
        await scene.open_case()
        await scene.until(lambda: scene.cards("t/omar"))
        with writing(database) as session:  # and here it ended; the channel delivers again
            address = scene.address("t/lena")
            reaching.read_here(session, Reader("fake", "t/lena", True, "lena", address), now())
        await scene.write("t/lena", "hello")
        await scene.until(lambda: scene.cards("t/lena"))

    play(test)


def test_who_reads_elsewhere_now_gets_the_card_there(play: Play, database: Engine) -> None:
    async def test(scene: Scene) -> None:
        await scene.write("t/lena", "")
        await scene.open_case()
        await scene.until(lambda: scene.cards("t/lena"))
        moved = scene.message("t/lena", "hello")
        address = Address("fake", {"conversation": "a new chat", "user": "29:t/lena"})
        await scene.reception.on_message(
            "fake", type(moved)(moved.id, moved.sender, address, "a new chat", "hello", True)
        )

        def there() -> list[Message]:
            found = scene.channel.messages(address)
            return [each for each in found if isinstance(each, ApprovalCard)]

        [card] = await scene.until(there)
        assert isinstance(card, ApprovalCard)
        await reject(scene, card)
        await scene.until(lambda: "Rejected" in str(there()[0]))
        assert len(there()) == 1
        assert in_trouble(database) == []

    play(test)


def test_who_has_left_sees_the_question_no_more(play: Play) -> None:
    async def test(scene: Scene) -> None:
        for account in ("t/lena", "t/omar"):
            await scene.write(account, "")
        await scene.open_case()
        [card] = await scene.until(lambda: scene.cards("t/lena"))
        await scene.until(lambda: scene.cards("t/omar"))
        people = scene.desk.people
        left = people.find("lena")
        assert left is not None
        del people.people["lena"]  # pyright: ignore[reportAttributeAccessIssue]  # a test's people
        try:
            await reject(scene, card)
            await scene.until(lambda: "Rejected" in scene.cards("t/omar")[0].status)
            await scene.until(lambda: scene.cards("t/lena") == [])
            assert scene.texts("t/lena")[-1] == "This question is not for you any more."
        finally:
            people.people["lena"] = left  # pyright: ignore[reportAttributeAccessIssue]  # as above

    play(test)


def test_an_approval_that_was_undone_is_open_again_on_every_card(play: Play) -> None:
    async def test(scene: Scene) -> None:
        for account in ("t/lena", "t/omar"):
            await scene.write(account, "")
        await scene.open_case()
        [card] = await scene.until(lambda: scene.cards("t/lena"))
        await scene.until(lambda: scene.cards("t/omar"))
        reply = await scene.decide("t/lena", card)
        assert reply.code == 200 and reply.card is not None
        lena = scene.desk.people.find("lena")
        assert lena is not None
        undo = Undo(version=reply.card.version)
        await scene.client.approvals.act(card.id, undo, by=lena.actor("web"))
        for account in ("t/lena", "t/omar"):
            await scene.until(
                lambda who=account: scene.cards(who)[0].version > reply.card.version  # pyright: ignore[reportOptionalMemberAccess]  # asserted above
            )
            [now_] = scene.cards(account)
            assert now_.open and now_.allowed == ("approve", "reject")
        assert (await scene.decide("t/omar", card, id="late")).code == 409, "of before the undoing"

    play(test)


def test_who_loses_the_role_keeps_no_buttons_and_decides_nothing(play: Play) -> None:
    async def test(scene: Scene) -> None:
        await scene.write("t/lena", "")
        await scene.open_case()
        [card] = await scene.until(lambda: scene.cards("t/lena"))
        people = scene.desk.people.people  # pyright: ignore[reportAttributeAccessIssue]  # a test's people
        before = people["lena"]
        people["lena"] = structs.replace(before, roles=["viewer"])
        try:
            assert (await scene.decide("t/lena", card)).code == 403
            await scene.write("t/omar", "hello")
            await scene.until(lambda: scene.cards("t/lena")[0].allowed == ())
        finally:
            people["lena"] = before

    play(test)


# What goes wrong.


@pytest.mark.slow
def test_a_card_that_nobody_needs_any_more_is_in_no_trouble(play: Play, database: Engine) -> None:
    """Else the page says for ever that it is tried again."""
    channel = Moody("fake")

    async def test(scene: Scene) -> None:
        await scene.write("t/lena", "")
        await scene.write("t/omar", "")
        await scene.open_case()
        [card] = await scene.until(lambda: scene.cards("t/omar"))
        await scene.until(lambda: scene.cards("t/lena"))
        channel.trouble = TryAgain("busy")
        await scene.write("t/grace", "hello")
        await scene.until(lambda: in_trouble(database) == ["waiting: busy"])
        await scene.reception.on_removed("fake", scene.address("t/lena"))
        channel.trouble = None
        await reject(scene, card)
        await ended(scene, watcher_id(card.id))
        assert in_trouble(database) == []

    play(test, channel)


@pytest.mark.slow
def test_a_word_after_the_last_notice_lets_the_watcher_end(play: Play) -> None:
    """While a card is behind, somebody says hello: then the end was forgotten."""
    channel = Moody("fake")

    async def test(scene: Scene) -> None:
        await scene.write("t/lena", "")
        await scene.open_case()
        [card] = await scene.until(lambda: scene.cards("t/lena"))
        channel.trouble = TryAgain("busy")
        await reject(scene, card)
        await ended(scene, card.id)  # it can be undone no more, and the watcher was told
        await scene.write("t/grace", "hello")
        notice = Notice(id=card.id, version=0, what=[])
        await scene.client.raise_event(watcher_id(card.id), "Notice", notice)
        before = channel.refused
        await scene.until(lambda: channel.refused > before + 1)
        channel.trouble = None
        await scene.until(lambda: "Rejected" in scene.cards("t/lena")[0].status)
        await asyncio.wait_for(ended(scene, watcher_id(card.id)), 15)

    play(test, channel)


def test_a_channel_that_breaks_is_shown_and_tried_again(play: Play, database: Engine) -> None:
    channel = Moody("fake")

    async def test(scene: Scene) -> None:
        channel.trouble = KeyError("what Amina wrote")
        await scene.write("t/lena", "")
        await scene.open_case()
        await scene.until(lambda: in_trouble(database))
        assert in_trouble(database) == ["waiting: The channel fake broke: KeyError."]
        channel.trouble = None
        await scene.until(lambda: scene.cards("t/lena"))
        await scene.until(lambda: in_trouble(database) == [])

    play(test, channel)


class Limited(FakeChannel):
    """Asks for Lena's next card in an hour, and is twice busy for Omar's."""

    lenas = 0
    omars = 0

    async def send(self, to: Address, message: Message, *, key: str) -> MessageRef:
        if isinstance(message, ApprovalCard) and to.data["user"] == "29:t/lena":
            self.lenas += 1
            raise TryAgain("429", after=3600.0)
        if isinstance(message, ApprovalCard) and self.omars < 2:
            self.omars += 1
            raise TryAgain("busy")
        return await super().send(to, message, key=key)


@pytest.mark.slow
def test_a_reader_is_not_tried_sooner_because_another_is(play: Play) -> None:
    channel = Limited("fake")

    async def test(scene: Scene) -> None:
        for account in ("t/lena", "t/omar"):
            await scene.write(account, "")
            await scene.told(account, "comes here as a card")
        await scene.open_case()
        await scene.until(lambda: scene.cards("t/omar"))
        await scene.write("t/omar", "hello")
        assert channel.lenas == 1

    play(test, channel)


@pytest.mark.slow
def test_a_desk_that_comes_late_loses_no_card(play: Play) -> None:
    """As when a process starts again, or its records are away for longer than a moment."""

    async def test(scene: Scene) -> None:
        await scene.write("t/lena", "")
        away = desks.DESKS.pop()
        try:
            await scene.open_case()
            await asyncio.sleep(
                4.0
            )  # longer than three attempts take: there is no signal to wait for
        finally:
            desks.DESKS.append(away)
        await scene.until(lambda: scene.cards("t/lena"))

    play(test)

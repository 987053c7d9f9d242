"""The channel's contract on our own pages: over real records, as a customer's page shows them."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest
from sqlalchemy import Engine, event, select
from starlette.testclient import TestClient

from adjourn.approvals.people import DEMO_PEOPLE, LocalPeople
from support_agent.app import app
from support_agent.channels.port import Address, MessageRef, Text, Unreachable
from support_agent.channels.testing import ChannelContract, Seen, Stage, Trouble
from support_agent.channels.web import WebChannel
from support_agent.clock import now
from support_agent.live import Changed, Delta, Hub, Piece, Typing
from support_agent.shop import talks
from support_agent.shop.database import writing
from support_agent.shop.records import Customer
from support_agent.web import create_chat
from support_agent.web.identity import COOKIE

pytestmark = pytest.mark.slow

TALK = "a0" * 16
LINE = re.compile(
    r'<li class="line line-(?P<author>\w+)[^>]*>\s*'
    r'<div class="line-head">.*?<b>(?P<who>.*?)</b> .*?</div>\s*'
    r'<p class="bubble said" data-text>(?P<text>.*?)</p>\s*</li>',
    re.DOTALL,
)
BROKEN: dict[Trouble, str] = {
    "busy": "database is locked",
    "broken": "disk I/O error",
    "cut off": "unable to open database file",
    "silent": "database is locked",
}
"""What SQLite says. Other troubles cannot happen: our pages count no requests and send nobody away,
and no conversation is ever deleted."""


class Pages(Hub):
    """What is only for show asks the records for nothing, so their trouble passes it by."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble = ""

    def publish(self, talk_id: str, piece: Piece) -> None:
        if isinstance(piece, Delta | Typing):
            self.trouble = ""
        super().publish(talk_id, piece)


class WebStage:
    """A talk, and the page of its customer."""

    address = Address("web", {"talk": TALK})

    def __init__(self, records: Engine, browser: TestClient) -> None:
        self._browser = browser
        self._pages = Pages()
        self.channel = WebChannel(self._pages)
        event.listen(records, "do_execute", self._maybe_fail)

    def seen(self) -> list[Seen]:
        page = self._browser.get(f"/talks/{TALK}?all")
        assert page.status_code == 200, page.text
        found = list(LINE.finditer(page.text))
        assert len(found) == page.text.count(" data-line="), "a line of another form"
        return [Seen(f"{_named(line)}<p>{line['text']}</p>") for line in found]

    def fail(self, trouble: Trouble) -> None:
        if trouble not in BROKEN:
            raise SkipTest(f"our own pages are never {trouble}")
        self._pages.trouble = BROKEN[trouble]

    def _maybe_fail(self, *_: Any) -> None:
        trouble, self._pages.trouble = self._pages.trouble, ""
        if trouble:
            raise sqlite3.OperationalError(trouble)


def _named(line: re.Match[str]) -> str:
    """A person's name belongs to what they say; the assistant's is the page's own word."""
    return f"<p>{line['who']}</p>" if line["author"] == "person" else ""


@pytest.fixture
def stage(shop: Engine, tmp_path: Path) -> WebStage:
    with writing(shop) as session:
        customer = session.scalars(select(Customer.id)).first()
        assert customer is not None
        talks.begin_talk(session, TALK, customer_id=customer, now=now())
    client = app.open(tmp_path / "engine.db")  # never entered: nothing is asked of the engine
    pages = create_chat(client, Hub(), "none", LocalPeople(DEMO_PEOPLE))
    return WebStage(shop, TestClient(pages, cookies={COOKIE: str(customer)}))


class TestWeb(ChannelContract):
    @pytest.fixture(autouse=True)
    def _set(self, stage: WebStage) -> None:
        self._stage = stage

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Stage]:
        yield self._stage


def test_what_is_only_for_show_raises_nothing_and_stays_in_its_channel(stage: WebStage) -> None:
    async def test() -> None:
        nowhere = Address("teams", {"talk": TALK})
        async with stage.channel.hub.listening(TALK) as pieces:
            for address in (nowhere, Address("web"), stage.address):
                await stage.channel.typing(address)
                await stage.channel.grow(address, "a1", "One two")
            await stage.channel.grow(stage.address, "a1", "One two three")
            heard = [await anext(pieces) for _ in range(3)]
        assert heard == [Typing(True), Delta("One two", "a1/7"), Delta("One two three", "a1/13")]

    asyncio.run(test())


def test_an_open_page_is_told_of_a_line_once_it_stands_in_the_records(stage: WebStage) -> None:
    async def test() -> None:
        async with stage.channel.hub.listening(TALK) as pieces:
            ref = await stage.channel.send(stage.address, Text("One."), key="k1")
            assert [await anext(pieces) for _ in range(2)] == [Typing(False), Changed()]
            await stage.channel.update(ref, Text("Two."))
            assert await anext(pieces) == Changed()
        assert len(stage.seen()) == 1

    asyncio.run(test())


def test_a_key_that_arrived_stands_for_what_was_put_in_its_place(stage: WebStage) -> None:
    async def test() -> None:
        ref = await stage.channel.send(stage.address, Text("Old."), key="k1")
        await stage.channel.update(ref, Text("New."))
        assert await stage.channel.send(stage.address, Text("Old."), key="k1") == ref
        assert [seen.html for seen in stage.seen()] == ["<p>New.</p>"]

    asyncio.run(test())


@pytest.mark.parametrize(
    "address",
    [Address("web"), Address("web", {"talk": "b1" * 16}), Address("teams", {"talk": TALK})],
)
def test_a_conversation_that_is_not_there_is_unreachable(stage: WebStage, address: Address) -> None:
    async def test() -> None:
        with pytest.raises(Unreachable):
            await stage.channel.send(address, Text("Hello."), key="k1")
        with pytest.raises(Unreachable):
            await stage.channel.update(MessageRef(address, "1"), Text("Hello."))
        assert stage.seen() == []

    asyncio.run(test())

"""The whole shop on a real loopback socket: engine, conversations, dashboard and both pages."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
from sqlalchemy import Engine, select

from adjourn import Actor, Client
from adjourn.approvals.people import COOKIE as PERSON
from adjourn.approvals.people import DEMO_PEOPLE, LocalPeople
from adjourn.client.app import Adjourn
from adjourn.dashboard import create_dashboard
from adjourn.engine.clock import SystemClock
from adjourn.model.approval import Approve
from adjourn.model.inbox import InboxQuery
from adjourn.server import Server, create_app, listen
from adjourn.server.listening import address_of
from support_agent import talking
from support_agent.clock import now, stopwatch_seconds
from support_agent.live import HUB
from support_agent.shop import lookup, talks
from support_agent.shop.database import reading, shop_database, writing
from support_agent.shop.lookup import CaseView
from support_agent.shop.records import Customer
from support_agent.shop.shipped import import_shipped
from support_agent.shop.talks import LineView, TalkMode, TalkView
from support_agent.site import app
from support_agent.web import create_chat, create_talks
from support_agent.web.forms import new_id
from support_agent.web.identity import COOKIE as CUSTOMER
from tests.dashboard.pages import Element, parse

START_SECONDS = 30
PATIENCE_SECONDS = 30.0
AMINA, JONAS, MEI, LUCAS = "Amina Diallo", "Jonas Weber", "Mei Tanaka", "Lucas Moreira"
DOUBLE = "I was charged twice for order A-1201."
T = TypeVar("T")


class Place:
    """Serves until `stop`. The records are those that SUPPORT_DATABASE names."""

    def __init__(self, file: Path, application: Adjourn = app) -> None:
        self.records: Engine = shop_database()
        import_shipped(self.records, now())
        self.people: Any = None
        self._application, self._file = application, file
        self._visitors: list[Browser] = []
        self._port = 0
        self.start()

    def directory(self) -> Any:
        """Who signs people in; `people` of it are those of the staff, by id."""
        return LocalPeople(DEMO_PEOPLE)

    def chat(self) -> Any:
        """The customers' pages."""
        return create_chat(self.client, HUB, "offline model", self.people)

    def api(self, pages: dict[str, Any]) -> Any:
        """What stands around all pages."""
        return create_app(self.client, self.people, pages)

    def start(self) -> None:
        """Serve; again at the same address after a `stop`."""
        self._listener = listen("127.0.0.1", self._port)
        self._port = self._listener.getsockname()[1]
        self.address = address_of(self._listener)
        self.people = self.people or self.directory()
        self.client: Client = self._application.open(self._file)
        pages = {
            "/chat": self.chat(),
            "/talks": create_talks(self.client, HUB, self.people),
        }
        api = self.api(pages)
        dashboard = create_dashboard(self.client, self.people)
        api.mount("", dashboard)
        self._pages = {**pages, "": dashboard}
        ready = threading.Event()
        self._server = Server(api, ready.set)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert ready.wait(START_SECONDS)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self.client:
            await self._server.serve(sockets=[self._listener])

    def stop(self) -> None:
        for visitor in self._visitors:
            visitor.http.close()
        self._pages["/chat"].state.streams.end()
        self._pages["/talks"].state.streams.end()
        self._pages[""].state.desk.streams.end()
        self._server.stop()
        self._thread.join(START_SECONDS)
        assert not self._thread.is_alive()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    # Who is there.

    def customer_id(self, name: str) -> int:
        """Of the customer of this name who ordered last: some names are on record twice."""
        with reading(self.records) as session:
            found = session.scalars(select(Customer).where(Customer.name == name)).all()
            return max(
                (lookup.orders_of(session, each.id, 1)[0].ordered_at, each.id) for each in found
            )[1]

    def customer(self, name: str = "") -> "Browser":
        """A customer at a browser without scripts."""
        browser = self._browser({})
        if name:
            browser.send("/chat/sign-in", customer=str(self.customer_id(name)))
            assert CUSTOMER in browser.http.cookies
        return browser

    def person(self, id: str = "") -> "Browser":
        """Somebody of the staff at a browser without scripts."""
        return self._browser({PERSON: id} if id else {})

    def _browser(self, cookies: dict[str, str]) -> "Browser":
        self._visitors.append(Browser(self.address, cookies))
        return self._visitors[-1]

    def actor(self, id: str) -> Actor:
        return self.people.people[id].actor("web")

    # What happens besides the pages.

    def begin(self, name: str, text: str) -> str:
        """A talk of this customer, once its first message is answered; its id."""
        talk_id = new_id()
        self.run(talking.begin(self.client, self.customer_id(name), talk_id))
        self.say(name, talk_id, text)
        return talk_id

    def say(self, name: str, talk_id: str, text: str) -> LineView:
        """Say it as the customer; the assistant's answer."""
        said = len(self.lines(talk_id))
        customer_id = self.customer_id(name)
        self.run(talking.say(self.client, talk_id, customer_id, text, new_id()))
        return self.until(
            lambda: [line for line in self.lines(talk_id)[said:] if line.author == "agent"]
        )[0]

    def line(self, talk_id: str, author: Any, text: str, name: str = "", case_id: str = "") -> None:
        """A line as if it had been said, whatever it says."""
        with writing(self.records) as session:
            talks.write_line(
                session,
                talk_id,
                author=author,
                name=name,
                text=text,
                key=new_id(),
                said_at=now(),
                case_id=case_id,
            )

    def begin_silent(self, name: str) -> str:
        """A talk that only the records know: no workflow answers."""
        talk_id = new_id()
        with writing(self.records) as session:
            talks.begin_talk(session, talk_id, customer_id=self.customer_id(name), now=now())
        return talk_id

    def lines(self, talk_id: str) -> list[LineView]:
        with reading(self.records) as session:
            return talks.lines_of(session, talk_id)

    def talk(self, talk_id: str) -> TalkView:
        with reading(self.records) as session:
            found = talks.talk_of(session, talk_id)
        assert found is not None
        return found

    def mode(self, talk_id: str, mode: TalkMode, holder: str) -> None:
        with writing(self.records) as session:
            talks.set_mode(session, talk_id, mode, holder)

    def talks(self, name: str) -> list[TalkView]:
        with reading(self.records) as session:
            return talks.talks_of(session, self.customer_id(name))

    def cases(self, name: str) -> list[CaseView]:
        with reading(self.records) as session:
            return lookup.cases_of(session, self.customer_id(name))

    def approve(self, case_id: str, by: str, **changes: object) -> None:
        """Decide the case's open approval, as that person would in the inbox."""
        row = self.until(lambda: self._rows(case_id))[0]
        view = self.run(self.client.approvals.get(row.id, by=self.actor(by)))
        approve = Approve(version=view.state.version, changes=changes, comment="Checked.")
        self.run(self.client.approvals.act(row.id, approve, by=self.actor(by)))

    def _rows(self, case_id: str) -> list[Any]:
        query = InboxQuery(
            person="", recipients=[], now=SystemClock().now(), view="all", case=case_id
        )
        return list(self.run(self.client.approvals.inbox(query)).rows)

    def until(self, look: Callable[[], T]) -> T:
        """What `look` finds, once it finds something."""
        end = stopwatch_seconds() + PATIENCE_SECONDS
        while True:
            if found := look():
                return found
            assert stopwatch_seconds() < end, "It did not happen."
            threading.Event().wait(0.02)


FORM = {"content-type": "application/x-www-form-urlencoded"}


class Page:
    """What a person sees at one address."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.status = answer.status_code
        self.path = answer.url.raw_path.decode()
        self.root: Element = parse(answer.text)

    @property
    def text(self) -> str:
        return self.root.one("body").text

    @property
    def main(self) -> str:
        return self.root.one("main").text


class Browser:
    """A browser whose scripts are turned off, with its cookies."""

    def __init__(self, address: str, cookies: dict[str, str]) -> None:
        self.http = httpx.Client(
            base_url=address, trust_env=False, timeout=20, follow_redirects=True, cookies=cookies
        )

    def open(self, path: str) -> Page:
        return Page(self.http.get(path))

    def press(self, page: Page, action: str, **fields: str) -> Page:
        """Send the form of the page that goes to an address with this end, with these fields."""
        form = next(each for each in page.root.all("form") if each["action"].endswith(action))
        hidden = {each["name"]: each["value"] for each in form.all("input", type="hidden")}
        return Page(
            self.http.post(form["action"], content=urlencode({**hidden, **fields}), headers=FORM)
        )

    def send(self, path: str, part: bool = True, **fields: str) -> httpx.Response:
        """As the script does; or as a form does, not followed to where that leads."""
        headers = {"x-part": "yes"} if part else {}
        return self.http.post(path, data=fields, headers=headers, follow_redirects=False)

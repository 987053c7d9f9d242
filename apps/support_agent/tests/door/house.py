"""The whole shop on a loopback socket, as it is on a network: everybody has to prove who they are.

The staff come with a badge, a cookie of a directory of the tests' own; customers come with tickets
that the shop has signed. Time is handed in, and a dump says what has changed."""

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import httpx
import jwt
from sqlalchemy import delete

from adjourn import Actor, Person
from apps.support_agent.tests.web.place import Browser, Place
from support_agent.clock import now
from support_agent.live import HUB
from support_agent.shop.database import writing
from support_agent.shop.records import Customer
from support_agent.web import cookies, create_chat
from support_agent.web.door import Door, DoorSettings
from support_agent.web.forms import new_id

SECRET = "0123456789abcdef0123456789abcdef"
OLD_SECRET = "the one before, which still counts, for a while"
PUBLIC_URL = "https://support.example.com"
SHOP_URL = "https://shop.example.com/to-support"
STAFF_COOKIE = "__Host-adjourn-session"
TABLES = """
    SELECT name FROM sqlite_master
    WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND sql NOT LIKE 'CREATE VIRTUAL TABLE%'
    ORDER BY name
"""

STAFF = (
    Person(id="lena", name="Lena Fischer", groups=["support"], roles=["approver"]),
    Person(id="grace", name="Grace Okafor", groups=["support"], roles=["approver", "lead"]),
    Person(id="ivo", name="Ivo Novak", roles=["auditor"]),
    Person(id="sam", name="Sam Ortiz", roles=["viewer"]),
    Person(id="none", name="No Role"),
    Person(id="gone", name="Gone Person", roles=["lead"], disabled=True),
    Person(id="other", name="Other Tenant", roles=["lead"], tenant="other"),
    Person(id="every", name="Every Tenant", roles=["lead"], tenant="*"),
    Person(id="returns", name="Other Queue", roles=["lead"], queues=["group:returns"]),
    Person(id="desk", name="Same Queue", roles=["lead"], queues=["group:support"]),
    Person(id="nameless-17", name="", groups=["support"], roles=["lead"]),
)


class Clock:
    """Goes on when a test says so."""

    def __init__(self) -> None:
        self.moment = now().replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, **span: float) -> None:
        self.moment += timedelta(**span)


class Badges:
    """An `Authenticator`: whoever has the badge of a person is that person, until it has ended."""

    local = False
    public_url = PUBLIC_URL

    def __init__(self, people: Sequence[Person]) -> None:
        self.people = {person.id: person for person in people}
        self.ended: set[str] = set()

    async def identify(
        self, headers: Mapping[str, str], cookies: Mapping[str, str], peer: str = ""
    ) -> Actor | None:
        if headers.get("authorization") == "Bearer key":
            return Actor(id="key:desk", agent=True, roles=["lead"], groups=["support"])
        badge = cookies.get(STAFF_COOKIE, "")
        person = self.people.get(badge.removeprefix("badge-of-"))
        known = badge.startswith("badge-of-") and badge not in self.ended
        if person is None or person.disabled or not known or not peer:
            return None
        return person.actor("web")

    def find(self, person: str) -> Person | None:
        return self.people.get(person)

    def find_account(self, channel: str, account: str) -> Person | None:
        found = (each for each in self.people.values() if each.accounts.get(channel) == account)
        return next(found, None)

    def everybody(self) -> Sequence[Person]:
        return list(self.people.values())


class House(Place):
    """As `Place`, with sign-in."""

    def __init__(self, file: Path, settings: DoorSettings | None = None) -> None:
        self.clock = Clock()
        self.settings = settings or DoorSettings((SECRET, OLD_SECRET), PUBLIC_URL, SHOP_URL)
        self.file = file
        super().__init__(file)

    def directory(self) -> Any:
        return Badges(STAFF)

    def chat(self) -> Any:
        self.door = Door(self.settings, self.clock)
        return create_chat(self.client, HUB, "offline model", self.people, self.door)

    # Tickets.

    def email(self, name: str) -> str:
        with writing(self.records) as session:
            return session.get_one(Customer, self.customer_id(name)).email

    def claims(self, email: str, **changes: Any) -> dict[str, Any]:
        made = {
            "sub": email,
            "aud": PUBLIC_URL,
            "exp": int(self.clock().timestamp()) + 120,
            "jti": new_id(),
        }
        return {name: value for name, value in (made | changes).items() if value is not None}

    def ticket(self, email: str, secret: str = SECRET, **changes: Any) -> str:
        return jwt.encode(self.claims(email, **changes), secret, "HS256")

    def newcomer(self, name: str) -> str:
        """A customer without orders; their address."""
        email = f"{new_id()}@example.org"
        with writing(self.records) as session:
            session.add(Customer(name=name, email=email))
        return email

    def remove(self, email: str) -> None:
        with writing(self.records) as session:
            session.execute(delete(Customer).where(Customer.email == email))

    # At a browser. A real one keeps Secure cookies for a loopback address; httpx does not.

    def enter(self, email: str) -> str:
        """Come in with a ticket; what the browser holds from then on."""
        self.clock.advance(seconds=1)  # of too many sessions the oldest ends: let there be one
        answer = self.browser().send("/chat/enter", part=False, ticket=self.ticket(email))
        assert answer.status_code == 303, answer.text
        return cookies_of(answer)[cookies.SESSION]

    def browser(self, **held: str) -> Browser:
        """Somebody at a browser that holds these cookies; `_` stands for `-` in their names."""
        made = self._browser({})
        if held:
            names = {"session": cookies.SESSION, "next": cookies.NEXT, "staff": STAFF_COOKIE}
            pairs = [f"{names.get(name, name)}={value}" for name, value in held.items()]
            made.http.headers["cookie"] = "; ".join(pairs)
        return made

    def customer(self, name: str = "") -> Browser:
        return self.browser(session=self.enter(self.email(name))) if name else self.browser()

    def person(self, id: str = "") -> Browser:
        return self.browser(staff=f"badge-of-{id}") if id else self.browser()

    def dump(self) -> list[str]:
        """All that stands in the shop's database and in the engine's file."""
        lines: list[str] = []
        for path in (str(self.records.url.database), str(self.file)):
            connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
            for (table,) in list(connection.execute(TABLES)):
                rows = connection.execute(f'SELECT * FROM "{table}"')
                lines += [f"{table}: {row}" for row in rows]
            connection.close()
        return lines

    def quiet(self) -> list[str]:
        """The dump, once nothing more happens by itself."""
        before = self.dump()

        def same() -> list[str] | None:
            nonlocal before
            threading.Event().wait(0.05)
            last, before = before, self.dump()
            return last if last == before else None

        return self.until(same) or []


def cookies_of(answer: httpx.Response) -> dict[str, str]:
    pairs = (line.partition(";")[0] for line in answer.headers.get_list("set-cookie"))
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}

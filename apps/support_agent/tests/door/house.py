"""The whole shop on a loopback socket, as it is on a network: everybody has to prove who they are.

The staff come by sessions of the gate that `adjourn run --settings` has, with people in a file;
customers come with tickets that the shop has signed. Time is handed in, and a dump says what has
changed."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import httpx
import jwt
import msgspec
from sqlalchemy import delete

from adjourn import Actor, Person
from adjourn.access.gate import Gate
from adjourn.access.opening import open_gate
from adjourn.access.scopes import ALL
from adjourn.access.sessions import COOKIE, Sessions, SignedIn
from adjourn.access.settings import Access, Limits, Provider, SessionRules
from adjourn.server import create_app
from adjourn.store.records import Records
from apps.support_agent.tests.web.place import Browser, Place
from support_agent.clock import now
from support_agent.live import HUB
from support_agent.shop.database import writing
from support_agent.shop.records import Customer
from support_agent.web import cookies, create_chat
from support_agent.web.door import Door, DoorSettings
from support_agent.web.forms import new_id
from tests.access.gated import quick_keys

SECRET = "0123456789abcdef0123456789abcdef"
OLD_SECRET = "the one before, which still counts, for a while"
PUBLIC_URL = "https://support.example.com"
SHOP_URL = "https://shop.example.com/to-support"
ISSUER = "https://login.example.com"
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
    Person(id="root", name="Root", roles=["admin"]),  # without one any stranger comes in
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


def gate_of(
    folder: Path, people: Sequence[Person], public_url: str, now: Callable[[], datetime]
) -> Gate:
    """The gate of a server whose people file names these. Close its `records`."""
    file = folder / "people.json"
    file.write_bytes(msgspec.json.encode(people))
    settings = Access(
        public_url=public_url,
        people_file=str(file),
        oidc=Provider(issuer=ISSUER, client_id="support"),
        limits=Limits(proxies=["127.0.0.1"]),
    )
    records = Records(folder / "engine.db.access", now)
    gate = open_gate(settings, {}, records, now)
    gate.keys = quick_keys(records, now)
    return gate


class House(Place):
    """As `Place`, with sign-in."""

    def __init__(self, file: Path, settings: DoorSettings | None = None) -> None:
        self.clock = Clock()
        self._settings = settings
        self.file = file
        self._key = ""
        super().__init__(file)

    def directory(self) -> Any:
        return gate_of(self.file.parent, STAFF, self.address, self.clock)

    def chat(self) -> Any:
        settings = self._settings or DoorSettings((SECRET, OLD_SECRET), self.address, SHOP_URL)
        self.door = Door(settings, self.clock)
        return create_chat(self.client, HUB, "offline model", self.people, self.door)

    def api(self, pages: dict[str, Any]) -> Any:
        return create_app(self.client, self.people, pages, access=self.people.settings)

    def stop(self) -> None:
        super().stop()
        self.people.records.close()

    # The staff.

    def actor(self, id: str) -> Actor:
        return self.people.find(id).actor("web")

    def staff_session(self, id: str, **ago: float) -> str:
        """Of somebody who signed in so long ago, and has not come since."""
        at = self.clock() - timedelta(**ago)
        sessions = Sessions(self.people.records, SessionRules(), lambda: at)
        signed_in = SignedIn(person=id, how="oidc", at=at, issuer=ISSUER, subject=id)
        return self.run(sessions.begin(signed_in))

    def write_staff(self, **instead: Person) -> None:
        """The people file, with somebody else's record for these ids."""
        people = [msgspec.structs.replace(instead.get(each.id, each), id=each.id) for each in STAFF]
        Path(self.people.settings.people_file).write_bytes(msgspec.json.encode(people))

    def key(self) -> str:
        """Of a program that may do all that a key can."""
        if not self._key:
            self._key = self.run(self.people.keys.make("desk", list(ALL)))
        return self._key

    # Tickets.

    def email(self, name: str) -> str:
        with writing(self.records) as session:
            return session.get_one(Customer, self.customer_id(name)).email

    def claims(self, email: str, **changes: Any) -> dict[str, Any]:
        made = {
            "sub": email,
            "aud": self.address,
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
        made.http.headers["origin"] = self.address
        if held:
            names = {"session": cookies.SESSION, "next": cookies.NEXT, "staff": COOKIE}
            pairs = [f"{names.get(name, name)}={value}" for name, value in held.items()]
            made.http.headers["cookie"] = "; ".join(pairs)
        return made

    def customer(self, name: str = "") -> Browser:
        return self.browser(session=self.enter(self.email(name))) if name else self.browser()

    def person(self, id: str = "") -> Browser:
        return self.browser(staff=self.staff_session(id)) if id else self.browser()

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

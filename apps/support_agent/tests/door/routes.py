"""Every route of the pages, as the routers have them, and how each is asked rightly."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

import httpx
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from apps.support_agent.tests.door.house import House
from apps.support_agent.tests.web.place import AMINA, Browser
from support_agent.live import HUB
from support_agent.shop import reaching
from support_agent.shop.address import Address
from support_agent.shop.database import writing
from support_agent.web import create_chat, create_talks, entrance, staff
from support_agent.web.forms import new_id

Audience = Literal["anybody", "customers", "staff"]
FOR: dict[Callable[..., Any], Audience] = {
    entrance.anybody: "anybody",
    entrance.customer: "customers",
    entrance.listener: "customers",
    staff.visit_of: "staff",
}
"""By what a route takes. `entrance.visitor` alone is for customers too: it finds nobody, and the
route leads them to the door (`/` and the page of a link)."""
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Asked:
    """One route."""

    mount: str
    method: str
    path: str
    audiences: frozenset[Audience]

    @property
    def name(self) -> str:
        return f"{self.method} {self.mount}{self.path}"


def _calls(dependant: Dependant) -> list[Callable[..., Any]]:
    found = [dependant.call] if dependant.call is not None else []
    return found + [call for each in dependant.dependencies for call in _calls(each)]


def _routes() -> list[Asked]:
    people: Any = SimpleNamespace(local=False)
    nobody: Any = None
    apps = {
        "/chat": create_chat(nobody, HUB, "", people),
        "/talks": create_talks(nobody, HUB, people),
    }
    found: list[Asked] = []
    for mount, app in apps.items():
        for context in iter_route_contexts(app.routes):
            if not isinstance(context.original_route, APIRoute):
                continue
            calls = _calls(context.dependant)
            audiences: set[Audience] = {FOR[call] for call in calls if call in FOR}
            if not audiences and entrance.visitor in calls:
                audiences.add("customers")
            for method in sorted(context.methods or ()):
                found.append(Asked(mount, method, str(context.path), frozenset(audiences)))
    return found


ROUTES = _routes()
CUSTOMERS = [each for each in ROUTES if each.audiences == {"customers"}]
STAFFS = [each for each in ROUTES if each.audiences == {"staff"}]
OPEN = [each for each in ROUTES if each.audiences == {"anybody"}]


class Things:
    """What there is of Amina, for a route to be about."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.talk_id = house.begin_silent(AMINA)
        house.line(self.talk_id, "customer", "Amina's own words")
        house.mode(self.talk_id, "person", "lena")
        self.account = f"tenant/{new_id()}"
        self.code = new_id()
        address = Address("teams", {"conversation": f"chat-{self.account}"})
        with writing(house.records) as session:
            moment = house.clock()
            reaching.offer_link(
                session, self.code, account=self.account, name="Amina", address=address, now=moment
            )
            key = f"{self.talk_id}:outbox/1"
            reaching.prepare(
                session, key, about=self.talk_id, reader="", address=address, now=moment
            )
            reaching.had_trouble(session, key, "failed", "It was blocked.", moment)
        self.key = key

    def send(self, route: Asked, browser: Browser, **ids: str) -> httpx.Response:
        """Ask for the route as its own reader would; of a stream only the beginning is read."""
        named = {"talk_id": self.talk_id, "code": self.code, "article_id": "returns", **ids}
        path = route.mount + route.path.format(**named)
        fields = {
            "text": "Hello",
            "message_id": new_id(),
            "key": self.key,
            "ticket": "x.y.z",
        }
        content = "&".join(f"{name}={value}" for name, value in fields.items())
        body = {"content": content, "headers": FORM} if route.method == "POST" else {}
        request = browser.http.build_request(route.method, path, **body)
        answer = browser.http.send(request, stream=True, follow_redirects=False)
        try:
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                assert answer.status_code == 200
            else:
                answer.read()
        finally:
            answer.close()
        return answer


def is_refused(route: Asked, answer: httpx.Response) -> bool:
    """Refused, or led to where one signs in."""
    if answer.status_code == 303:
        door = "/chat/enter" if route.mount == "/chat" else "/sign-in?back="
        return answer.headers["location"].startswith(door)
    return answer.status_code in (401, 403, 404)

"""What every page needs: the client, who asks, the time, and how a template becomes an answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from msgspec import structs
from starlette.responses import HTMLResponse, Response

from adjourn.access.addresses import own_path
from adjourn.access.gate import Gate
from adjourn.access.links import Links
from adjourn.approvals.people import Authenticator, LocalPeople
from adjourn.approvals.text import plain
from adjourn.client.client import Client
from adjourn.dashboard.body import input_name
from adjourn.dashboard.streams import Streams
from adjourn.dashboard.views.words import Face, Names
from adjourn.engine.clock import new_id
from adjourn.errors import NotSignedInError
from adjourn.model.actor import Actor
from adjourn.model.approval import Risk

HERE = Path(__file__).parent
STATIC = HERE / "static"


@dataclass(frozen=True)
class Desk:
    """What one dashboard is made of."""

    client: Client
    people: Authenticator
    hold_above: Risk
    """From this risk on, approving asks for a held button and a comment."""
    clock: Callable[[], datetime]
    """Aware UTC."""
    streams: Streams
    pages: Environment
    places: dict[str, str]
    """Further links in the head of every page: a path by its name."""
    links: Links | None = None
    """What reads signed links; nothing where nobody signs in."""

    def drawn(self, template: str, macro: str, *words: Any) -> str:
        """What one macro makes of these words: a part that is needed many times."""
        module: Any = self.pages.get_template(template).module
        return str(getattr(module, macro)(*words))

    @property
    def gate(self) -> Gate | None:
        """Where people sign in, the way in; None on a machine where nobody does."""
        return self.people if isinstance(self.people, Gate) else None

    @property
    def switchable(self) -> list[Face]:
        """Whom anybody on this machine may act as; nobody where people sign in."""
        if not isinstance(self.people, LocalPeople):
            return []
        names = Names(self.people, Actor(id=""))
        return [names.face(id) for id in self.people.people]


@dataclass(frozen=True)
class Visit:
    """One request of one person."""

    request: Request
    desk: Desk
    actor: Actor
    now: datetime
    names: Names

    @cached_property
    def client(self) -> Client:
        """As far as this person may see, and as they may see it."""
        return self.desk.client.seen_by(self.actor).shown()

    @property
    def partial(self) -> bool:
        """Whether the script asks for a part of the page."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def operator(self) -> bool:
        """Whether they may look behind the approvals: at instances and exports."""
        return not {"approver", "lead", "auditor", "admin"}.isdisjoint(self.actor.roles)

    def page(
        self, template: str, *, title: str, place: str = "", status: int = 200, **words: Any
    ) -> Response:
        """The template as an answer. Words that it does not get are an error, not nothing."""
        frame = {
            **nobody_words(self.request, title),
            "place": place,
            "me": self.names.face(self.actor.id),
            "people": self.desk.switchable,
            "operator": self.operator,
        }
        return rendered(self.desk, template, {**frame, **words}, status)

    def way(self, back: str = "", surface: str = "page") -> Way:
        """The hidden part of a form."""
        return Way(new_id(), back, surface, self.actor.id)


@dataclass(frozen=True, slots=True)
class Way:
    """What every form carries besides the version: a key under which it counts once, where its
    answer is shown, and for whom it is drawn."""

    key: str
    back: str
    """The query of the inbox that it belongs to."""
    surface: str
    """`inbox`, beside the list, or `page`."""
    me: str
    """For whom it is drawn."""


def desk_of(request: Request) -> Desk:
    return cast("Desk", request.app.state.desk)


async def visit_of(request: Request) -> Visit:
    """The request with its person. Programs have the API; pages are for people.

    Raises: NotSignedInError.
    """
    desk = desk_of(request)
    actor = await _actor_of(request, desk.people)
    if actor is None or (actor.agent and not desk.people.local):
        raise NotSignedInError
    return Visit(request, desk, actor, desk.clock(), Names(desk.people, actor))


async def _actor_of(request: Request, people: Authenticator) -> Actor | None:
    """As the server around us found out, if there is one: one request has one identity."""
    if "actor" in request.scope.get("state", {}):
        return cast("Actor | None", request.state.actor)
    return await identified(request, people)


async def identified(request: Request, people: Authenticator) -> Actor | None:
    """Who sends this, as things stand now."""
    peer = request.client.host if request.client is not None else ""
    actor = await people.identify(request.headers, request.cookies, peer)
    if actor is None or not people.local:
        return actor
    return structs.replace(actor, signed_in_at=desk_of(request).clock())


def nobody_words(request: Request, title: str) -> dict[str, Any]:
    """What every page's frame needs where nobody is signed in."""
    return {
        "title": title,
        "place": "",
        "page_class": "",
        "me": None,
        "people": [],
        "operator": desk_of(request).gate is None,
        "places": desk_of(request).places,
        "switchable": isinstance(desk_of(request).people, LocalPeople),
        "signs_in": desk_of(request).gate is not None,
        "here": here_of(request),
        "said": "",
        "notice": None,
    }


def here_of(request: Request) -> str:
    """Where a person is: path and query. Where this request is no page of its own, the page that
    it comes from, or else the inbox."""
    if request.method != "GET" or request.headers.get("hx-request") == "true":
        page = request.headers.get("hx-current-url") or request.headers.get("referer", "")
        try:
            parts = urlsplit(page)
        except ValueError:  # it says what is no address
            return "/"
        ours = parts.netloc == request.headers.get("host", "")
        return own_path(_with_query(parts.path, parts.query)) if ours else "/"
    return _with_query(request.url.path, request.url.query)


def _with_query(path: str, query: str) -> str:
    return path + (f"?{query}" if query else "")


async def page_for_anyone(
    request: Request, template: str, *, title: str, status: int = 200, **words: Any
) -> Response:
    """The template as an answer, for whoever is there and for nobody."""
    try:
        visit = await visit_of(request)
    except NotSignedInError:
        frame = nobody_words(request, title)
        return rendered(desk_of(request), template, {**frame, **words}, status)
    return visit.page(template, title=title, status=status, **words)


def rendered(desk: Desk, template: str, words: Mapping[str, Any], status: int) -> Response:
    text = desk.pages.get_template(template).render(words)
    return HTMLResponse(text, status)


def make_pages(version_of: Callable[[str], str]) -> Environment:
    """The templates: everything is escaped, and a name that nobody gave is an error."""
    pages: Any = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    pages.filters["plain"] = plain
    pages.filters["input_name"] = input_name

    def asset(name: str) -> str:
        return f"/static/{name}?v={version_of(name)}"

    pages.globals["asset"] = asset
    return cast("Environment", pages)


def asset_version(name: str) -> str:
    """A word that changes with the file, so that browsers may keep it."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]

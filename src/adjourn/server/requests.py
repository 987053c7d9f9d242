"""What a request says, read strictly."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import msgspec
from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from adjourn.access.scopes import Scope, scopes_of
from adjourn.approvals.people import Authenticator
from adjourn.backends.protocol import EventAnswer
from adjourn.client.client import Client
from adjourn.errors import (
    InvalidIdError,
    InvalidPayloadError,
    NotSignedInError,
    PayloadTooLargeError,
    ScopeMissingError,
    SerializationError,
)
from adjourn.model import codec
from adjourn.model.actor import Actor
from adjourn.model.ids import check_name
from adjourn.server.guard import Doorway
from adjourn.server.waits import Waits

T = TypeVar("T")

SHOWN_HEADER = "adjourn-redact"
"""With "yes" a client asks for values as people are shown them: `adjourn show` does."""
BODY_SECONDS = 30.0  # a body that takes longer to arrive is given up
INTEGER_LIMIT = 2**63 - 1  # what the store can hold


def client_of(request: Request) -> Client:
    """The client that this application serves, as far as whoever asks may see things, and as they
    may see them. Where nobody signs in, nobody is as good as anybody; elsewhere nobody sees
    anything.

    Raises: NotSignedInError.
    """
    client, actor = engine_of(request), cast("Actor | None", request.state.actor)
    if actor is not None:
        client = client.seen_by(actor)
    elif signs_in(request):
        raise NotSignedInError
    return client.shown() if _for_people(request) else client


def engine_of(request: Request) -> Client:
    """The client as it was opened, for what concerns nobody in particular: no scope limits it."""
    return cast("Client", request.app.state.client)


def _for_people(request: Request) -> bool:
    """Programs get values as they are, for they go on with them, and so do administrators; whoever
    else is signed in sees what people are shown, and whoever asks for just that."""
    actor = cast("Actor | None", request.scope.get("state", {}).get("actor"))
    person = actor is not None and not actor.agent and "admin" not in actor.roles
    return person or request.headers.get(SHOWN_HEADER) == "yes"


def signs_in(request: Request) -> bool:
    """Whether people sign in here; where nobody does, this machine is answered as it asks."""
    authenticator = cast("Authenticator | None", request.app.state.authenticator)
    return authenticator is not None and not authenticator.local


async def actor_of(request: Request) -> Actor | None:
    """Who sends this, as `SignIn` found out; None when nobody is signed in."""
    return cast("Actor | None", request.state.actor)


async def asker_of(request: Request) -> str:
    """For the key of a wait: nobody joins a wait that was begun for somebody else, who may see
    more."""
    actor = await actor_of(request)
    return "" if actor is None else f"{actor.tenant} {actor.id}"


async def person_of(request: Request) -> Actor:
    """Who sends this. Raises: NotSignedInError."""
    actor = await actor_of(request)
    if actor is None:
        raise NotSignedInError
    return actor


# Scopes. Every route has one of these two among its dependencies; a test walks the router.


class Needs:
    """A dependency that lets a request through to a route: it runs before anything of the request
    is read."""

    def __init__(self, scope: Scope) -> None:
        self.scope: Scope = scope

    async def __call__(self, request: Request) -> None:
        """Raises: NotSignedInError, ScopeMissingError."""
        await check_scope(request, self.scope)


async def check_scope(request: Request, scope: Scope) -> None:
    """For what only some requests to a route need. Without sign-in everything passes.

    Raises: NotSignedInError, ScopeMissingError.
    """
    if signs_in(request) and scope not in scopes_of(await person_of(request)):
        raise ScopeMissingError(scope)


def needs(scope: Scope) -> Any:
    """For a route's `dependencies`: who sends it must have this scope, where people sign in."""
    return Depends(Needs(scope))


async def anybody() -> None:
    """The dependency of `public`."""


public: Any = Depends(anybody)
"""For a route's `dependencies`: it answers everybody, and tells them nothing."""


# Events.


async def send_event(request: Request, id: str, name: str, data: Any) -> EventAnswer:
    """Raise this event as the one who sends the request, once by query `eventId`: the same word
    from somebody else is another event, so that nobody takes up another's."""
    by, event_id = await actor_of(request), Words(request).text("eventId")
    if by is not None and event_id is not None:
        check_name("an event id", event_id)
        event_id = check_name("an event id", f"{event_id}/{by.id}")
    return await client_of(request).raise_event(id, name, data, event_id=event_id, by=by)


def origin_of(request: Request) -> str:
    """Where this server is found, without a slash at the end: what the settings say, and, where
    they say nothing, the loopback name that the guard has let in."""
    return _doorway(request).origin or str(request.base_url).rstrip("/")


def _doorway(request: Request) -> Doorway:
    return cast("Doorway", request.app.state.doorway)


def waits_of(request: Request) -> Waits:
    """The waits that requests of this application share."""
    return cast("Waits", request.app.state.waits)


# Bodies.


async def json_body(request: Request, *, typed: bool = False) -> msgspec.Raw:
    """The body as canonical JSON; null when it is empty. With `typed`, it must say that it is JSON.

    Raises: SerializationError, PayloadTooLargeError (found while reading, however it is sent).
    """
    text = await _read(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and typed:
        raise SerializationError("The body must be JSON: send Content-Type: application/json.")
    return codec.canonical(text)


async def value_of(request: Request, *, typed: bool = False) -> Any:
    """The body as the plain value that a client takes. Raises: as `json_body`."""
    return json.loads(bytes(await json_body(request, typed=typed)))


async def form_of(request: Request, kind: type[T]) -> T:
    """The body as one of our own messages. Raises: as `json_body`; InvalidPayloadError."""
    text = await json_body(request, typed=True)
    return codec.decode(text, kind, "The body")


async def _read(request: Request) -> bytes:
    limit = codec.PAYLOAD_LIMIT
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > limit:
        raise PayloadTooLargeError("The body", int(announced), limit)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > limit:
                    raise PayloadTooLargeError("The body, so far,", len(body), limit)
    except TimeoutError:
        raise HTTPException(408, "The body took too long to arrive.") from None
    return bytes(body)


# Queries.


class Words:
    """The query of a request: names in any letter case; an empty value is as good as none."""

    def __init__(self, request: Request) -> None:
        self._all: dict[str, list[str]] = {}
        for name, value in request.query_params.multi_items():
            if value:
                self._all.setdefault(name.lower(), []).append(value)

    def texts(self, name: str) -> list[str]:
        return self._all.get(name.lower(), [])

    def text(self, name: str) -> str | None:
        """The last one given."""
        given = self.texts(name)
        return given[-1] if given else None

    def flag(self, name: str, default: bool) -> bool:
        """Raises: InvalidPayloadError."""
        given = self.text(name)
        if given is None:
            return default
        if given.lower() not in ("true", "false"):
            raise InvalidPayloadError(f"Query {name!r}", "it is true or false")
        return given.lower() == "true"

    def number(self, name: str) -> int | None:
        """A whole number from 0 on. Raises: InvalidPayloadError."""
        given = self.text(name)
        if given is None:
            return None
        if not (given.isascii() and given.isdigit() and len(given) <= 19):
            raise InvalidPayloadError(f"Query {name!r}", "it is a whole number, 0 or more")
        return min(int(given), INTEGER_LIMIT)

    def seconds(self, name: str, default: float, most: float) -> float:
        """Between 0 and `most`. Raises: InvalidPayloadError."""
        given = self.text(name)
        try:
            value = default if given is None else float(given)
        except ValueError:
            value = float("nan")
        if not value >= 0:
            raise InvalidPayloadError(f"Query {name!r}", "it is a number of seconds, 0 or more")
        return min(value, most)

    def moment(self, name: str) -> datetime | None:
        """ISO 8601; UTC where it names no zone. Raises: InvalidPayloadError."""
        given = self.text(name)
        if given is None:
            return None
        try:
            # A plus sign that nobody encoded has become a space.
            value = datetime.fromisoformat(given.replace(" ", "+") if "T" in given else given)
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise InvalidPayloadError(
                f"Query {name!r}", f"it is an ISO 8601 time: {error}"
            ) from None

    def document(self, name: str, kind: Any) -> Any:
        """A JSON value; None when it is not given. Raises: SerializationError,
        InvalidPayloadError."""
        given = self.text(name)
        if given is None:
            return None
        text = codec.canonical(given.encode(), f"Query {name!r}")
        return codec.decode(text, kind, f"Query {name!r}")

    def page_token(self, given: str | None) -> str | None:
        """Raises: InvalidIdError for a token that the store cannot have given."""
        if given and given.isascii() and given.isdigit() and len(given) < 19:
            return given
        if not given:
            return None
        raise InvalidIdError("a page token", given, "the next token of the page before")

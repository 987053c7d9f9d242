"""Who sends a request: asked once, and the same for everything that answers it."""

from __future__ import annotations

import logging

from msgspec import structs
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adjourn.access.gate import Gate
from adjourn.access.sessions import asked_by_itself
from adjourn.approvals.people import Authenticator
from adjourn.engine.clock import SystemClock
from adjourn.errors import AdjournError, StorageError
from adjourn.server.guard import SAFE_METHODS
from adjourn.server.problems import for_programs
from adjourn.server.refusals import refusal

_log = logging.getLogger("adjourn.server")


class SignInUnavailableError(AdjournError):
    """Nobody can be told from anybody just now, so nobody is answered."""

    def __init__(self) -> None:
        super().__init__("Who you are cannot be checked just now. Try again; the log says more.")


class SignIn:
    """ASGI middleware that puts the actor, or None, into `scope["state"]["actor"]`, for our routes
    and for whatever else is mounted. Should asking fail, it answers 503 and nothing behind it
    sees the request."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator | None) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        actor = None
        if self._authenticator is not None:
            asked = HTTPConnection(scope)
            try:
                actor = await self._authenticator.identify(
                    asked.headers, asked.cookies, _peer_of(asked)
                )
                if actor is not None and self._authenticator.local:  # nobody proves anything there
                    actor = structs.replace(actor, signed_in_at=SystemClock().now())
            except AdjournError as error:  # what it says may name files: that is for the log
                _log.error("who sends a request cannot be checked: %s", error)
                await refusal(scope, SignInUnavailableError(), 503)(scope, receive, send)
                return
        scope.setdefault("state", {})["actor"] = actor
        if actor is not None and isinstance(self._authenticator, Gate):
            send = _attending(self._authenticator, scope, send)
        await self._app(scope, receive, send)


def _attending(gate: Gate, scope: Scope, send: Send) -> Send:
    """Before the answer to what a person has done goes out, their session is marked as used. By
    then the route has said whether a page asks for it by itself."""

    async def send_attended(message: Message) -> None:
        if message["type"] == "http.response.start" and not _unattended(scope, message):
            asked = HTTPConnection(scope)
            try:
                await gate.attended(asked.headers, asked.cookies, _peer_of(asked))
            except StorageError as error:  # they are who they are all the same
                _log.warning("that a session is used could not be written: %s", error)
        await send(message)

    return send_attended


def _unattended(scope: Scope, start: Message) -> bool:
    """Whether nobody need have sat there: what a page asks for by itself, what goes on by itself
    once it was asked for, and whatever only looks and is no page."""
    if asked_by_itself(scope):
        return True
    kind = Headers(raw=start.get("headers", [])).get("content-type", "")
    if kind.startswith("text/event-stream"):
        return True
    looks = scope["method"] in SAFE_METHODS
    return looks and (scope["method"] != "GET" or for_programs(scope["path"]))


def _peer_of(asked: HTTPConnection) -> str:
    return asked.client.host if asked.client is not None else ""

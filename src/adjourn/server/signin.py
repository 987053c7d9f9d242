"""Who sends a request: asked once, and the same for everything that answers it."""

from __future__ import annotations

import logging

from msgspec import structs
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from adjourn.approvals.people import Authenticator
from adjourn.engine.clock import SystemClock
from adjourn.errors import AdjournError
from adjourn.server.problems import problem_response, request_id

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
            peer = asked.client.host if asked.client is not None else ""
            try:
                actor = await self._authenticator.identify(asked.headers, asked.cookies, peer)
                if actor is not None and self._authenticator.local:  # nobody proves anything there
                    actor = structs.replace(actor, signed_in_at=SystemClock().now())
            except AdjournError as error:  # what it says may name files: that is for the log
                _log.error("who sends a request cannot be checked: %s", error)
                problem = problem_response(SignInUnavailableError(), 503, request_id(scope))
                await problem(scope, receive, send)
                return
        scope.setdefault("state", {})["actor"] = actor
        await self._app(scope, receive, send)

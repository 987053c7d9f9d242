"""How large a body may be, and how long it may take, on every route and for every mounted page.

Each reader has a limit of its own, which is smaller (`server.requests`, `dashboard.body`); this one
holds for whoever has none.
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adjourn.errors import PayloadTooLargeError
from adjourn.server.refusals import refusal

BODY_LIMIT = 1024 * 1024  # bytes of any body
BODY_SECONDS = 60.0  # from the first word that is read of it to the last; readers allow less


class Bodies:
    """ASGI middleware: a body that says that it is too large is not read at all; one that does not
    say so, or that does not end, is given up while it is read."""

    def __init__(
        self, app: ASGIApp, limit: int = BODY_LIMIT, seconds: float = BODY_SECONDS
    ) -> None:
        self._app = app
        self._limit = limit
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isascii() and announced.isdigit() and int(announced[:20]) > self._limit:
            error = PayloadTooLargeError("The body", int(announced[:20]), self._limit)
            await refusal(scope, error, 413)(scope, receive, send)
            return
        await self._app(scope, _Body(receive, self._limit, self._seconds), send)


class _Body:
    """What is received of one request."""

    def __init__(self, receive: Receive, limit: int, seconds: float) -> None:
        self._receive = receive
        self._limit = limit
        self._seconds = seconds
        self._size = 0
        self._deadline: float | None = None
        self._whole = False

    async def __call__(self) -> Message:
        """Raises: PayloadTooLargeError; HTTPException (408)."""
        if self._whole:  # what comes now says that the caller has gone
            return await self._receive()
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "The body took too long to arrive.") from None
        self._whole = not message.get("more_body", False)
        self._size += len(message.get("body", b""))
        if self._size > self._limit:
            raise PayloadTooLargeError("The body, so far,", self._size, self._limit)
        return message

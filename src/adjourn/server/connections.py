"""One connection: it asks within a time, or makes room for somebody who does.

uvicorn waits for ever for a request that never becomes whole, and for a reader who never reads.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20.0  # for the first line and the headers, from their first byte on
READ_SECONDS = 60.0  # for taking what we have sent
KEEP_ALIVE_SECONDS = 5  # between two requests
CONNECTIONS_LIMIT = 2_000  # open at the same time; fewer where the system allows fewer files
FILES_KEPT = 200  # of those it allows: for the database, and for what activities open

_CLOSING = b"connection: close\r\ncontent-type: application/problem+json\r\n"
_CALM = (
    b"x-content-type-options: nosniff\r\ncache-control: no-store\r\n"
    b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
)


def connections_limit() -> int:
    """How many connections may be open: what the system allows, but for what we need ourselves."""
    if sys.platform == "win32":
        return CONNECTIONS_LIMIT
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = CONNECTIONS_LIMIT if files == resource.RLIM_INFINITY else files - FILES_KEPT
    return max(10, min(CONNECTIONS_LIMIT, allowed))


class Connection(H11Protocol):
    """uvicorn's connection with an end to each wait. Times are in seconds."""

    head_seconds = HEAD_SECONDS
    read_seconds = READ_SECONDS
    most = connections_limit()

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        # uvicorn turns its lines on where its logger has a handler, whatever its settings say; they
        # hold the query, and so the code of a sign-in. Ours do not (server.access_log).
        self.access_log = False
        self._head: asyncio.TimerHandle | None = None
        self._reader: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # ours is TCP
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.write(_answer(503, "Service Unavailable", "Too many connections."))
            transport.close()
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head, self._reader):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The time runs on while words trickle in, and ends when they have become a request."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if not self.cycle or self.cycle.response_complete:
            self._wait_for_head()
        elif self._head is not None:
            self._head.cancel()
            self._head = None

    def send_400_response(self, msg: str) -> None:
        self.transport.write(_answer(400, "Bad Request", "That is no HTTP that we read."))
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reader = self.loop.call_later(self.read_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    def _wait_for_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(self.head_seconds, self.transport.abort)


def _answer(status: int, phrase: str, detail: str) -> bytes:
    """An answer to what never became a request: nobody further in has seen it."""
    code = phrase.replace(" ", "")
    body = msgspec.json.encode(
        {
            "type": f"urn:adjourn:problem:{code}",
            "title": phrase,
            "status": status,
            "detail": detail,
            "code": code,
        }
    )
    head = f"HTTP/1.1 {status} {phrase}\r\ncontent-length: {len(body)}\r\n".encode()
    return head + _CLOSING + _CALM + b"\r\n" + body

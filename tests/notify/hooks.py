"""A real web server on the loopback, which answers what it is told to."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.notify.loops import Loop

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True)
class Called:
    """One request."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Hooks:
    """The server. What it answers may be changed while it runs."""

    loop: Loop
    says: Callable[[Called], bytes] = field(default=lambda _: OK)
    tls: ssl.SSLContext | None = None
    held: asyncio.Event | None = None
    """Nothing is answered before it is set: by `let_go`."""
    port: int = 0
    calls: list[Called] = field(default_factory=list)
    connections: int = 0
    answered: int = 0
    came: threading.Event = field(default_factory=threading.Event)
    _server: asyncio.Server | None = None

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def up(self) -> None:
        async def serve() -> asyncio.Server:
            return await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)

        self._server = self.loop.run(serve())
        self.port = self._server.sockets[0].getsockname()[1]

    def down(self) -> None:
        assert self._server is not None
        self.loop.call(self._server.close)

    def let_go(self) -> None:
        if self.held is not None:
            self.loop.call(self.held.set)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            exact = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            called = Called(head[0], {name.lower(): value for name, value in exact.items()}, body)
            self.calls.append(called)
            self.came.set()
            if self.held is not None:
                await self.held.wait()
            self.answered += 1
            writer.write(self.says(called))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@contextmanager
def some_hooks(**settings: Any) -> Iterator[Hooks]:
    with Loop() as loop:
        hooks = Hooks(loop, **settings)
        hooks.up()
        try:
            yield hooks
        finally:
            hooks.let_go()
            hooks.down()

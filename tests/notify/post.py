"""A real mail server on the loopback, which can be told to be difficult."""

from __future__ import annotations

import asyncio
import email
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.notify.loops import Loop

TAKEN = "250 OK"


@dataclass(frozen=True)
class Received:
    """One mail that was taken."""

    to: str
    sender: str
    raw: bytes

    @property
    def mail(self) -> EmailMessage:
        return cast("EmailMessage", email.message_from_bytes(self.raw, policy=default))

    @property
    def subject(self) -> str:
        return str(self.mail["Subject"])

    @property
    def text(self) -> str:
        body = self.mail.get_body(("plain",))
        assert body is not None
        return str(body.get_content())

    @property
    def html(self) -> str:
        body = self.mail.get_body(("html",))
        assert body is not None
        return str(body.get_content())


@dataclass
class Post:
    """The server. What it answers may be changed while it runs."""

    loop: Loop
    port: int = 0
    taken: list[Received] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    """The Message-IDs of all that came, taken or not."""
    to_address: Callable[[str], str] = field(default=lambda _: TAKEN)
    to_mail: Callable[[str], str] = field(default=lambda _: TAKEN)
    """An empty answer breaks the connection off."""
    tls: ssl.SSLContext | None = None
    implicit: ssl.SSLContext | None = None
    """Encrypted from the first byte."""
    login: tuple[str, str] | None = None
    held: asyncio.Event | None = None
    """A mail is answered only when it is set: by `let_go`."""
    came: threading.Event = field(default_factory=threading.Event)
    _server: Any = None

    def up(self) -> None:
        def make() -> SMTP:
            return SMTP(
                self,
                hostname="post.test",
                tls_context=self.tls,
                require_starttls=self.tls is not None,
                auth_required=self.login is not None,
                authenticator=self._authenticate if self.login else None,
            )

        async def serve() -> Any:
            asking = asyncio.get_running_loop()
            return await asking.create_server(make, "127.0.0.1", self.port, ssl=self.implicit)

        self._server = self.loop.run(serve())
        self.port = self._server.sockets[0].getsockname()[1]

    def down(self) -> None:
        """From now on connections are refused."""

        async def close() -> None:
            self._server.close()
            await self._server.wait_closed()

        self.loop.run(close())

    def let_go(self) -> None:
        if self.held is not None:
            self.loop.call(self.held.set)

    def _authenticate(self, server: Any, session: Any, envelope: Any, how: str, given: Any) -> Any:
        told = (given.login.decode(), given.password.decode())
        return AuthResult(success=told == self.login, handled=False)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.to_address(address)
        if answer == TAKEN:
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        raw = envelope.content
        assert isinstance(raw, bytes) and envelope.mail_from is not None
        self.seen.append(str(email.message_from_bytes(raw)["Message-ID"]))
        self.came.set()
        if self.held is not None:
            await self.held.wait()
        (to,) = envelope.rcpt_tos
        answer = self.to_mail(to)
        if not answer:
            server.transport.abort()  # type: ignore[union-attr]
            return TAKEN
        if answer == TAKEN:
            self.taken.append(Received(to, envelope.mail_from, raw))
        return answer

    def to(self, address: str) -> list[Received]:
        return [each for each in self.taken if each.to == address]


@contextmanager
def a_post(**settings: Any) -> Iterator[Post]:
    with Loop() as loop:
        post = Post(loop, **settings)
        post.up()
        try:
            yield post
        finally:
            post.let_go()
            post.down()


class Heard(list[bytes]):
    """Lines, and whether there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.one = threading.Event()


@contextmanager
def a_rude_post(*lines: bytes) -> Iterator[tuple[int, Heard]]:
    """A server that says these lines, one for each that it hears, and then hangs up: its port, and
    what it heard. Whoever calls again gets the same."""
    heard = Heard()
    with Loop() as loop:

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                for line in lines:
                    writer.write(line)
                    await writer.drain()
                    heard.append(await reader.readline())
                    heard.one.set()
            except (ConnectionError, asyncio.CancelledError):
                pass  # whoever called has had enough, or the test has ended
            finally:
                writer.close()

        async def serve() -> asyncio.Server:
            return await asyncio.start_server(talk, "127.0.0.1", 0)

        server = loop.run(serve())
        try:
            yield server.sockets[0].getsockname()[1], heard
        finally:
            loop.call(server.close)


def closed_port() -> int:
    """Where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])

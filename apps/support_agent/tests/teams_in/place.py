"""The endpoint on a real loopback socket, and the application behind it as the tests see it."""

import asyncio
import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from apps.support_agent.tests.teams_in.connector import CLIENT_ID, PATIENCE_SECONDS, TENANT, token
from support_agent.channels.port import (
    Address,
    DecisionReply,
    IncomingDecision,
    IncomingMessage,
    Sender,
)
from support_agent.channels.teams.endpoint import create_endpoint
from support_agent.channels.teams.settings import TeamsSettings
from support_agent.channels.teams.tokens import ServiceTokens

MESSAGES = "/api/messages"
PRINTABLE = re.compile(r"[!-~]{1,512}")


class Watch:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Recorder:
    """Stands for the application, as the port asks for it: keeps what it is told."""

    messages: list[IncomingMessage] = field(default_factory=list)
    decisions: list[IncomingDecision] = field(default_factory=list)
    removed: list[Address] = field(default_factory=list)
    reply: DecisionReply = field(default_factory=lambda: DecisionReply(200, "Approved."))
    failure: Exception | None = None

    async def on_message(self, channel: str, message: IncomingMessage) -> None:
        self._told(channel)
        self.messages.append(message)

    async def on_decision(self, channel: str, decision: IncomingDecision) -> DecisionReply:
        self._told(channel)
        self.decisions.append(decision)
        return self.reply

    async def on_removed(self, channel: str, address: Address) -> None:
        self._told(channel)
        self.removed.append(address)

    def _told(self, channel: str) -> None:
        assert channel == "teams"
        if self.failure is not None:
            raise self.failure

    @property
    def calls(self) -> int:
        return len(self.messages) + len(self.decisions) + len(self.removed)

    def forget(self) -> None:
        for told in (self.messages, self.decisions, self.removed):
            told.clear()
        self.failure, self.reply = None, DecisionReply(200, "Approved.")


@dataclass
class Place:
    """Serves `/api/messages` and `/health`."""

    inbound: Recorder
    http: httpx.Client
    watch: Watch

    def post(
        self, body: Any, bearer: str | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """As the connector does: with a good token, unless another header is given."""
        sent = {"authorization": f"Bearer {bearer or token()}"} if headers is None else headers
        kind = {"content-type": "application/json"}
        return self.http.post(MESSAGES, content=json.dumps(body), headers={**kind, **sent})


def secured(metadata_url: str) -> TeamsSettings:
    return TeamsSettings(
        client_id=CLIENT_ID,
        client_secret="a secret",
        tenant_id=TENANT,
        metadata_url=metadata_url,
    )


class _Server(uvicorn.Server):
    def __init__(self, app: Starlette) -> None:
        super().__init__(
            uvicorn.Config(
                app, http="h11", ws="none", lifespan="off", log_config=None, proxy_headers=False
            )
        )
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def serving(settings: TeamsSettings) -> Iterator[Place]:
    inbound, watch = Recorder(), Watch()
    tokens = None if settings.local else ServiceTokens(settings, watch)
    endpoint = create_endpoint(settings, inbound, tokens)

    async def health(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    server = _Server(Starlette(routes=[Route(MESSAGES, endpoint), Route("/health", health)]))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    assert server.ready.wait(PATIENCE_SECONDS)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        with httpx.Client(base_url=address, trust_env=False, timeout=PATIENCE_SECONDS) as http:
            yield Place(inbound, http, watch)
    finally:
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


def check_valid(inbound: Recorder) -> None:
    """Whatever came in, what was told keeps the promises of the port."""
    for message in inbound.messages:
        _check(message.id, message.sender, message.address)
        assert message.conversation == message.address.data["conversation"]
        assert len(message.text) <= 8_000
        _check_text(message.text)
        assert message.personal == (message.address.data["kind"] == "personal")
    for decision in inbound.decisions:
        _check(decision.id, decision.sender, None)
        assert decision.action in ("approve", "reject", "refresh")
        assert PRINTABLE.fullmatch(decision.approval)
        assert type(decision.version) is int and 0 <= decision.version < 2**31
        for text in (decision.digest, decision.comment, *decision.typed, *decision.typed.values()):
            assert isinstance(text, str)
            _check_text(text)
    for address in inbound.removed:
        _check("-", None, address)


def _check(id: str, sender: Sender | None, address: Address | None) -> None:
    assert PRINTABLE.fullmatch(id)
    if sender is not None:
        tenant, _, person = sender.account.partition("/")
        assert tenant and person and PRINTABLE.fullmatch(sender.account)
        assert len(sender.name) <= 100 and "\n" not in sender.name
        _check_text(sender.name)
    if address is not None:
        assert set(address.data) == {"conversation", "service_url", "tenant", "bot", "kind", "user"}
        assert all(isinstance(value, str) for value in address.data.values())
        assert all(PRINTABLE.fullmatch(address.data[name]) for name in ("conversation", "bot"))
        assert address.data["kind"] in ("personal", "groupChat", "channel")


def _check_text(text: str) -> None:
    text.encode("utf-8")  # no half of a character
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)

"""The door of Microsoft Teams: the one address that the Bot Connector sends activities to.

What is asked of a request, in this order, each step only of those that passed the one before it:
its form, who sent it, its size, its JSON, whether body and token belong together, what it means. So
whoever has no valid token learns nothing but that, and no body of theirs is read.

Nothing here answers 500. A log line holds the activity's id and what came of it, and no more:
bodies are what customers wrote, and headers are credentials.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any, assert_never
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from support_agent.channels.port import (
    DecisionReply,
    Inbound,
    IncomingDecision,
    IncomingMessage,
    TryAgain,
)
from support_agent.channels.teams.activities import (
    CHANNEL,
    Broken,
    Envelope,
    Ignored,
    Read,
    Removed,
    Stranger,
    UnknownInvoke,
    envelope_of,
    read,
)
from support_agent.channels.teams.bodies import Refused, check_form, parsed, read_body
from support_agent.channels.teams.cards import adaptive_card
from support_agent.channels.teams.settings import TeamsSettings, is_loopback
from support_agent.channels.teams.tokens import (
    Caller,
    KeysUnavailable,
    ServiceTokens,
    Unauthenticated,
)

LOG = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS = 3_600
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-original-host")
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

CARD = "application/vnd.microsoft.card.adaptive"
MESSAGE = "application/vnd.microsoft.activity.message"
ERROR = "application/vnd.microsoft.error"
STRANGER = "Your account is not known here, so this was not done."
NOT_DONE = "This was not recorded. Please try it again in a minute."


def create_endpoint(
    settings: TeamsSettings, inbound: Inbound, tokens: ServiceTokens | None
) -> ASGIApp:
    """What to serve at /api/messages, as the endpoint of a route (a mount would redirect).

    `tokens` is None in local mode, and only there: raises ValueError otherwise.
    """
    if (tokens is None) != settings.local:
        raise ValueError("Tokens are checked always, except in local mode, which has none.")
    return Endpoint(settings, inbound, tokens)


class Endpoint:
    """An ASGI application. It acknowledges a message when it is on disk, and not before: what is
    not acknowledged, the connector sends again."""

    def __init__(
        self, settings: TeamsSettings, inbound: Inbound, tokens: ServiceTokens | None
    ) -> None:
        self._settings = settings
        self._inbound = inbound
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"No application for {scope['type']}.")  # as ASGI asks, at start-up
        response = await self._answer(Request(scope, receive))
        response.headers.update(HEADERS)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            check_form(request)
            caller = await self._caller(request)
            envelope = envelope_of(parsed(await read_body(request)))
            self._bind(caller, envelope)
        except Exception as failure:
            return _refusal(failure)
        return await self._meaning(envelope)

    async def _caller(self, request: Request) -> Caller | None:
        """Who sent it; None in local mode. Raises: Unauthenticated, KeysUnavailable, Refused."""
        if self._tokens is None:
            check_local(request)
            return None
        given = request.headers.getlist("authorization")
        return await self._tokens.check(given[0] if len(given) == 1 else None)

    def _bind(self, caller: Caller | None, envelope: Envelope) -> None:
        """Raises: Unauthenticated, when the body is not one that this caller may send."""
        if not self._settings.trusts(envelope.service_url):
            raise Unauthenticated("an address that SUPPORT_TEAMS_SERVICE_URLS does not allow")
        if caller is not None:
            caller.check(envelope.service_url, envelope.channel)

    async def _meaning(self, envelope: Envelope) -> Response:
        try:
            meaning = read(envelope.activity, self._settings)
        except Exception as failure:
            # Also what we did not think of: read again, it would fail again, so it is refused.
            LOG.warning("teams activity %s: 400, %s", envelope.id or "-", _why(failure))
            broken = envelope.type == "invoke"
            return _error(400, "BadRequest", "This cannot be read.", 400) if broken else _empty(400)
        try:
            response, outcome = await self._deliver(meaning)
        except Exception as failure:
            LOG.warning("teams activity %s: not taken, %s", envelope.id or "-", _why(failure))
            return _not_taken(meaning, failure)
        LOG.info("teams activity %s: %s", envelope.id or "-", outcome)
        return response

    async def _deliver(self, meaning: Read) -> tuple[Response, str]:
        """The answer, and what came of it for the log. Raises whatever the application raises."""
        match meaning:
            case IncomingMessage():
                await self._inbound.on_message(CHANNEL, meaning)
                return _empty(200), "a message, taken"
            case IncomingDecision():
                reply = await self._inbound.on_decision(CHANNEL, meaning)
                return _reply(reply), f"{meaning.action}, {reply.code}"
            case Removed(address):
                await self._inbound.on_removed(CHANNEL, address)
                return _empty(200), "removed"
            case Stranger():
                return _message(STRANGER), "refused, somebody whom the directory does not know"
            case UnknownInvoke():
                return _empty(501), "an unknown invoke"
            case Ignored(why):
                return _empty(200), f"ignored, {why}"
            case _:
                assert_never(meaning)


def check_local(request: Request) -> None:
    """Without tokens, whoever reaches us is whoever they say: so nobody from elsewhere may, and no
    page in a browser on this machine. Nothing turns this off.

    Raises: Refused.
    """
    headers = request.headers
    client = request.client.host if request.client is not None else ""
    hosts = headers.getlist("host")
    if not is_loopback(client) or len(hosts) != 1 or not is_loopback(_name_of(hosts[0])):
        raise Refused(403, "not from this machine to this machine")
    if "origin" in headers or headers.get("sec-fetch-site", "none") != "none":
        raise Refused(403, "from a page in a browser")
    if any(name in headers for name in FORWARDED):
        raise Refused(403, "forwarded from elsewhere")


def _name_of(host: str) -> str:
    """The name in a Host header; empty for one that could mean something else to somebody."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises for one that is no number
    except ValueError:
        return ""
    return (parts.hostname or "") if parts.netloc == host and "@" not in host else ""


# Answers.


def _refusal(failure: Exception) -> Response:
    """The answer to a request that did not come as far as its meaning."""
    match failure:
        case Unauthenticated():
            response = _empty(401)
            response.headers["www-authenticate"] = "Bearer"
        case KeysUnavailable():
            response = _later(None)
        case Refused(status=status):
            response = _empty(status)
            if status == 405:
                response.headers["allow"] = "POST"
        case _:  # Broken, a client that hung up, and what we did not think of
            response = _empty(400)
    LOG.warning("teams request: %s, %s", response.status_code, _why(failure))
    return response


def _not_taken(meaning: Read, failure: Exception) -> Response:
    """The answer when the application could not take it: to whoever clicked, in words; to the
    connector, so that it comes again."""
    if isinstance(meaning, IncomingDecision):
        return _error(200, "TryAgain", NOT_DONE, 503)
    return _later(failure.after if isinstance(failure, TryAgain) else None)


def _reply(reply: DecisionReply) -> Response:
    """A card takes the place of the card; words alone are shown beside it. Teams shows one of the
    two, so a card carries the words of a refusal itself."""
    card = reply.card
    if card is None:
        return _message(reply.words)
    if reply.code != 200:
        card = replace(card, trouble=card.trouble or reply.words)
    return JSONResponse({"statusCode": 200, "type": CARD, "value": adaptive_card(card)})


def _message(words: str) -> Response:
    return JSONResponse({"statusCode": 200, "type": MESSAGE, "value": words})


def _error(status: int, code: str, words: str, inner: int) -> Response:
    """The Universal Action Model knows two errors: 400, the request's fault, and 500, ours. The
    latter is said in the body only."""
    body: Mapping[str, Any] = {
        "statusCode": 400 if inner == 400 else 500,
        "type": ERROR,
        "value": {
            "code": code,
            "message": words,
            "innerHttpError": {"statusCode": inner, "body": {}},
        },
    }
    return JSONResponse(body, status)


def _later(after_seconds: float | None) -> Response:
    response = _empty(503)
    if after_seconds is not None and math.isfinite(after_seconds):
        seconds = min(max(math.ceil(after_seconds), 1), LONGEST_PAUSE_SECONDS)
        response.headers["retry-after"] = str(seconds)
    return response


def _empty(status: int) -> Response:
    return Response(status_code=status)


def _why(failure: Exception) -> str:
    """For the log. Of what is not ours only its name and where it was raised: its text may hold
    what somebody wrote."""
    if isinstance(failure, Broken):
        return f"no valid {failure}"
    if isinstance(failure, Unauthenticated | KeysUnavailable | Refused):
        return str(failure)
    name = type(failure).__name__
    if isinstance(failure, TryAgain | ClientDisconnect) or failure.__traceback__ is None:
        return name
    trace = failure.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{name} at {PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"

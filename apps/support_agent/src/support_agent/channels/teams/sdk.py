"""Microsoft's SDK for Teams, and the connector over it. The only module that imports it.

What the SDK would take from its surroundings is given to it explicitly: on import it reads any
`.env` up the tree into the environment, and its App falls back to generic names such as CLIENT_ID.
So there is no App here, only its client of the connector's API and its tokens.

What this module adds to the SDK (2.1.1, each found by running it): a time limit, for it has none;
one error for each kind of trouble, without the address of the conversation in its text; and the
token is fetched in a thread, for the SDK asks the authority about its addresses on the loop.
"""

import asyncio
import json
import logging
import math
import os
import re
import warnings
from collections.abc import Awaitable, Generator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from support_agent.channels.port import ChannelTrouble, TryAgain, Unreachable
from support_agent.channels.teams.missing import TeamsNotInstalled
from support_agent.channels.teams.places import Place, in_a_path
from support_agent.channels.teams.settings import TeamsSettings
from support_agent.clock import now

DOTENV_SWITCH = "PYTHON_DOTENV_DISABLED"  # honoured by python-dotenv since 1.2


@contextmanager
def _importing() -> Generator[None]:
    """Importing the SDK changes nothing here: no `.env` is read, and no warning is raised about
    its previews, which we do not use."""
    before = os.environ.get(DOTENV_SWITCH)
    os.environ[DOTENV_SWITCH] = "1"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    except ModuleNotFoundError as missing:
        raise TeamsNotInstalled from missing
    finally:
        if before is None:
            del os.environ[DOTENV_SWITCH]
        else:
            os.environ[DOTENV_SWITCH] = before


with _importing():
    import httpx

    # A dependency of the SDK, for what checks tokens with it.
    from jwt import PyJWK, PyJWKClient, get_unverified_header
    from microsoft_teams.api import (
        Account,
        ApiClientSettings,
        Attachment,
        ClientCredentials,
        ConversationAccount,
        Credentials,
        MessageActivityInput,
        SentActivity,
        TokenProtocol,
        TypingActivityInput,
    )
    from microsoft_teams.api.auth.cloud_environment import (
        CloudEnvironment,
        from_name,
        with_overrides,
    )
    from microsoft_teams.api.clients.conversation import ConversationActivityClient
    from microsoft_teams.apps.auth import TokenValidator
    from microsoft_teams.apps.token_manager import TokenManager
    from microsoft_teams.common.http import Client, ClientOptions, MiddlewareContext, MiddlewareNext

__all__ = [
    "CloudEnvironment",
    "Connector",
    "MessageActivityInput",
    "PyJWK",
    "PyJWKClient",
    "TeamsNotInstalled",
    "TokenValidator",
    "Tokens",
    "TypingActivityInput",
    "card_message",
    "from_name",
    "get_unverified_header",
    "growing",
    "grown",
    "message",
    "typing",
    "with_overrides",
]

ANSWER_SECONDS = 20.0  # Teams answers within one or two; with a new token before it, a few more
LONGEST_PAUSE_SECONDS = 3600.0  # of a Retry-After: beyond it we would rather ask again
ADAPTIVE_CARD = "application/vnd.microsoft.card.adaptive"

# The SDK gives this logger's level to `httpx` whenever it makes a client, which would undo what an
# operator has set; and at INFO each of httpx's lines holds the address of a conversation.
logging.getLogger("microsoft_teams.common.http.client").setLevel(logging.WARNING)

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")

Activity = MessageActivityInput | TypingActivityInput


class Tokens(Protocol):
    """Where the bot's token comes from; None is no token at all."""

    async def get_app_token(
        self, scope: str, tenant_id: str | None
    ) -> str | TokenProtocol | None: ...


class Connector:
    """Activities to Teams, one request each. Repeating is the caller's decision: the connector
    takes no idempotency key, so a request whose answer was lost may have been carried out.

    Raises, of `post` and `put`: TryAgain, Unreachable.
    """

    def __init__(
        self,
        settings: TeamsSettings,
        *,
        cloud: CloudEnvironment | None = None,
        tokens: Tokens | None = None,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """Opens no connection. `cloud` and `tokens` take the place of those of the settings."""
        self.answer_seconds = answer_seconds
        """How long a request may take, with the token before it."""
        cloud = cloud or from_name(settings.cloud)
        if tokens is None and not settings.local:
            tokens = _EntraTokens(settings, cloud)
        self._tokens, self._scope = tokens, cloud.bot_scope
        self._client = Client(ClientOptions(timeout=answer_seconds, token=self._token))
        self._client.use(_PlainAnswers())
        self._more = ApiClientSettings(oauth_url=cloud.token_service_url)

    async def post(
        self, place: Place, activity: Activity, *, within_seconds: float | None = None
    ) -> str:
        """Add it to the conversation; its id there, or nothing where Teams gave none."""
        conversation, addressed = in_a_path(place.conversation), _addressed(activity, place)
        request = self._activities(place).create(conversation, addressed)
        return (await self._answered(request, within_seconds)).id

    async def put(self, place: Place, id: str, activity: Activity) -> None:
        """Put it in the place of the one with this id. Doing it twice changes nothing."""
        conversation, segment = in_a_path(place.conversation), in_a_path(id)
        addressed = _addressed(activity.model_copy(update={"id": id}), place)
        await self._answered(self._activities(place).update(conversation, segment, addressed))

    async def close(self) -> None:
        await self._client.http.aclose()

    def _activities(self, place: Place) -> ConversationActivityClient:
        # Not by way of the SDK's ApiClient: it makes clients that it calls deprecated itself.
        return ConversationActivityClient(place.service_url, self._client, self._more)

    async def _token(self) -> str | None:
        token = await self._tokens.get_app_token(self._scope, None) if self._tokens else None
        return None if token is None else str(token)

    async def _answered(
        self, request: Awaitable[SentActivity], within_seconds: float | None = None
    ) -> SentActivity:
        try:
            limit = min(within_seconds or self.answer_seconds, self.answer_seconds)
            async with asyncio.timeout(limit):
                return await request
        except Exception as failure:
            # Not chained: the text of what was caught holds the address of the conversation.
            raise _trouble(failure) from None


def message(text: str, *, markdown: bool = True) -> MessageActivityInput:
    """A message, its text as Markdown that was made safe before."""
    return MessageActivityInput(text=text, text_format="markdown" if markdown else "plain")


def card_message(card: Mapping[str, Any], summary: str) -> MessageActivityInput:
    """A message that is an Adaptive Card; `summary` is what a notification says of it."""
    attachment = Attachment(content_type=ADAPTIVE_CARD, content=dict(card))
    return MessageActivityInput(attachments=[attachment], summary=summary)  # pyright: ignore[reportCallIssue]  # the protocol has it, the SDK's model takes it as an extra


def typing() -> TypingActivityInput:
    return TypingActivityInput()


def growing(text: str, stream_id: str, sequence: int) -> TypingActivityInput:
    """The text so far of the stream; without an id it begins a stream."""
    activity = TypingActivityInput(text=text, text_format="markdown", id=stream_id or None)
    return activity.add_stream_update(sequence)


def grown(final: MessageActivityInput, stream_id: str) -> MessageActivityInput:
    """The same message as the end of the stream."""
    return final.model_copy(update={"id": stream_id}, deep=True).add_stream_final()


class _EntraTokens:
    """The bot's own tokens, by client id and secret. Raises TryAgain when there is none to be had:
    what an operator puts right lets the message go out after all."""

    def __init__(self, settings: TeamsSettings, cloud: CloudEnvironment) -> None:
        credentials: Credentials = ClientCredentials(
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            tenant_id=settings.tenant_id,
        )
        self._manager = TokenManager(credentials, cloud)

    async def get_app_token(self, scope: str, tenant_id: str | None) -> TokenProtocol | None:
        try:
            return await asyncio.to_thread(self._fetched, scope, tenant_id)
        except ValueError as refusal:
            code = _CODE.fullmatch(str(refusal))
            raise TryAgain(
                f"Microsoft Entra gave no token for the bot ({code[0] if code else 'refused'}). "
                "Are SUPPORT_TEAMS_CLIENT_ID, SUPPORT_TEAMS_CLIENT_SECRET and "
                "SUPPORT_TEAMS_TENANT_ID right, and has the secret not expired?"
            ) from None
        except Exception as failure:
            raise TryAgain(
                f"Microsoft Entra could not be reached for the bot's token "
                f"({type(failure).__name__})."
            ) from None

    def _fetched(self, scope: str, tenant_id: str | None) -> TokenProtocol | None:
        # On a loop of its own, in a thread: to begin with, msal asks the authority for its
        # addresses wherever its client is built, and the SDK builds it on the running loop.
        return asyncio.run(self._manager.get_app_token(scope, tenant_id))


class _PlainAnswers:
    """What was accepted is accepted, whatever the answer looks like. The SDK would raise for an
    answer that it cannot read, and the message would go out a second time."""

    async def send(self, context: MiddlewareContext, next: MiddlewareNext) -> httpx.Response:
        response = await next()
        try:
            body = json.loads(response.content)
        except ValueError:
            body = None
        id = body.get("id") if isinstance(body, dict) else None
        response.json = lambda **_: {"id": id if isinstance(id, str) else ""}
        return response


def _addressed(activity: Activity, place: Place) -> Activity:
    """The activity with who sends it and where it belongs."""
    conversation = ConversationAccount(id=place.conversation, tenant_id=place.tenant or None)
    sender = Account(id=place.bot) if place.bot else None
    return activity.model_copy(update={"from_": sender, "conversation": conversation})


def _trouble(failure: Exception) -> ChannelTrouble:
    """What a failure of a request means for the message."""
    match failure:
        case ChannelTrouble():
            return failure
        case httpx.HTTPStatusError():
            return _refusal(failure.response)
        case TimeoutError() | httpx.TimeoutException():
            return TryAgain("Teams did not answer in time.")
        case httpx.TransportError():
            return TryAgain(f"The connection to Teams failed ({type(failure).__name__}).")
        case ValueError() | httpx.InvalidURL():
            return Unreachable(f"The message cannot be sent ({type(failure).__name__}).")
        case _:
            return TryAgain(f"The message could not be sent ({type(failure).__name__}).")


def _refusal(response: httpx.Response) -> ChannelTrouble:
    """What Teams' answer means, in words for operators."""
    status = response.status_code
    answered = f"HTTP {status}{_code_of(response)}"
    match status:
        case 401:
            # Not about this message: once the credentials are right, it goes out.
            return TryAgain(
                f"Teams refuses the bot's token ({answered}). Is SUPPORT_TEAMS_CLIENT_ID the app "
                "id of the Azure Bot, and SUPPORT_TEAMS_TENANT_ID its tenant?"
            )
        case 429:
            return TryAgain(f"Teams limits our requests ({answered}).", after=_pause(response))
        case 408 | 412:
            return TryAgain(f"Teams asks to try again ({answered}).", after=_pause(response))
        case 403:
            return Unreachable(
                f"Teams does not let the bot write here ({answered}): it was removed or blocked, "
                "or an administrator has turned the app off."
            )
        case 404:
            return Unreachable(
                f"Teams knows no such conversation or message ({answered}): it was deleted, or "
                "the bot is not in it any more."
            )
        case 413:
            return Unreachable(f"The message is too large for Teams ({answered}).")
        case _ if status >= 500:
            return TryAgain(f"Teams has trouble of its own ({answered}).", after=_pause(response))
        case _:
            return Unreachable(f"Teams refuses the message ({answered}).")


def _code_of(response: httpx.Response) -> str:
    """The error's own code, such as BotNotInConversationRoster; its text may name people."""
    try:
        body = json.loads(response.content)
    except ValueError:
        return ""
    match body:
        case {"error": {"code": str(code)}} if _CODE.fullmatch(code):
            return f", {code}"
    return ""


def _pause(response: httpx.Response) -> float | None:
    """The seconds of Retry-After, which is a number or a date."""
    given = response.headers.get("Retry-After", "")
    try:
        seconds = float(given)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(given) - now()).total_seconds()
        except (ValueError, TypeError):  # no date, or one without its zone
            return None
    return min(max(seconds, 0.0), LONGEST_PAUSE_SECONDS) if math.isfinite(seconds) else None

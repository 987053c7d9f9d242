"""Which model the agent speaks through: one that the settings name, or the offline one.

| setting | meaning |
|---|---|
| OPENAI_API_KEY | the key of the service; with nothing else set, OpenAI's own and gpt-4o |
| OPENAI_BASE_URL | any server that speaks OpenAI's chat completions; it may need no key |
| SUPPORT_AGENT_MODEL | the model's name there; "offline" for the offline model, whatever is set |
| SUPPORT_AGENT_TIMEOUT | seconds to wait at one try: 30, unless the server is slow |

With none of them the offline model answers, and its label says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from httpx2 import Limits
from openai import AsyncOpenAI
from pydantic_ai.models import Model, create_async_httpx2_client
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers import Provider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
from pydantic_ai.settings import ModelSettings

from support_agent.agent.offline import OFFLINE, offline_model
from support_agent.shop.errors import SupportError

KEY_VARIABLE = "OPENAI_API_KEY"
ADDRESS_VARIABLE = "OPENAI_BASE_URL"
MODEL_VARIABLE = "SUPPORT_AGENT_MODEL"
TIMEOUT_VARIABLE = "SUPPORT_AGENT_TIMEOUT"

DEFAULT_MODEL = "gpt-4o"
DEFAULT_ADDRESS = "https://api.openai.com/v1"
# For one attempt; while an answer streams, for each wait within it.
TIMEOUT_SECONDS = 30.0
LONGEST_TIMEOUT_SECONDS = 600.0
# One, by OpenAI's client itself: it waits as long as the server asks (Retry-After, up to a minute)
# and repeats what got 408, 409, 429, a 5xx or no answer. What fails twice is the durable activity's
# to repeat, where the history shows it (`trouble.worth_a_retry`).
RETRIES_OF_THE_CLIENT = 1
# No connection is kept for later: the next step of a durable run may be on another event loop, or
# come after the server has hung up. A new connection costs little beside what a model takes.
LIMITS = Limits(max_connections=100, max_keepalive_connections=0)


class SettingRefused(SupportError):
    """A setting of the model that cannot be meant."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"{variable}: {reason}")
        self.variable = variable
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Chosen:
    """The model, and the words for the badge that says which one it is."""

    model: Model
    label: str
    offline: bool


def choose_model(environment: Mapping[str, str]) -> Chosen:
    """The model that these settings name. Reads nothing else and asks nobody.

    Raises SettingRefused for a setting that cannot be meant, never showing a key.
    """
    key = _word(environment, KEY_VARIABLE, shown=False)
    address = _address(_word(environment, ADDRESS_VARIABLE))
    name = _word(environment, MODEL_VARIABLE)
    if name == OFFLINE or not (key or address or name):
        return Chosen(offline_model(), "offline model", offline=True)
    if not (key or address):
        raise SettingRefused(
            MODEL_VARIABLE,
            f"names the model {name!r}, and nothing says where it is. Set {KEY_VARIABLE}, or "
            f"{ADDRESS_VARIABLE} for a server of your own, or {MODEL_VARIABLE}={OFFLINE}.",
        )
    name = name or DEFAULT_MODEL
    where = f" at {address.netloc}" if address else ""
    settings = ModelSettings(timeout=_timeout(environment), max_retries=RETRIES_OF_THE_CLIENT)
    model = OpenAIChatModel(name, provider=_provider(key, address), settings=settings)
    return Chosen(model, f"{name}{where}", offline=False)


def _provider(key: str, address: SplitResult | None) -> Provider[AsyncOpenAI]:
    # Both addresses are said here, or the client would look for another in the process's settings.
    http = create_async_httpx2_client(limits=LIMITS)
    if address is None:
        return OpenAIProvider(base_url=DEFAULT_ADDRESS, api_key=key, http_client=http)
    return OpenAICompatibleProvider(
        "openai-compatible", base_url=address.geturl(), api_key=key or None, http_client=http
    )


def _word(environment: Mapping[str, str], variable: str, *, shown: bool = True) -> str:
    """The setting without blanks around it; "" when it is not set."""
    value = environment.get(variable, "").strip()
    if any(character.isspace() or not character.isprintable() for character in value):
        what = repr(value) if shown else "the value"
        raise SettingRefused(variable, f"{what} has blanks or control characters inside.")
    return value


def _timeout(environment: Mapping[str, str]) -> float:
    value = _word(environment, TIMEOUT_VARIABLE)
    try:
        seconds = float(value) if value else TIMEOUT_SECONDS
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_TIMEOUT_SECONDS:
        raise SettingRefused(
            TIMEOUT_VARIABLE, f"{value!r} is not between 0 and {LONGEST_TIMEOUT_SECONDS:g} seconds."
        )
    return seconds


def _address(value: str) -> SplitResult | None:
    if not value:
        return None
    try:
        address = urlsplit(value)
        port_is_sound = address.port is None or address.port > 0
    except ValueError:
        raise SettingRefused(ADDRESS_VARIABLE, "this is no web address.") from None
    if address.username or address.password:
        raise SettingRefused(
            ADDRESS_VARIABLE, f"holds a name or password; set {KEY_VARIABLE} instead."
        )
    if address.scheme not in {"http", "https"} or not address.hostname or not port_is_sound:
        raise SettingRefused(
            ADDRESS_VARIABLE, f"{value!r} is no address like http://127.0.0.1:8080/v1."
        )
    return address

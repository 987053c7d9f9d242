"""Where a message to Teams goes: an address that was kept, checked again before anything is sent.

An address comes back from the records days later, and the bot's token goes wherever it says. So the
allow-list of the settings holds here too, whatever was checked when the address came in.
"""

from dataclasses import dataclass
from urllib.parse import quote

from support_agent.channels.port import Address, Unreachable
from support_agent.channels.teams.settings import TeamsSettings

CHANNEL = "teams"
# What conversation ids hold besides letters and digits, such as 19:x@thread.tacv2;messageid=1.
UNQUOTED = ":;=@,!$&'()*+"


@dataclass(frozen=True, slots=True)
class Place:
    """A conversation in Teams, by the names that its connector knows."""

    service_url: str
    """Without a slash at its end."""
    conversation: str
    """Whole, with its `;messageid=`."""
    tenant: str = ""
    bot: str = ""
    personal: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """The same for the same conversation, and for no other."""
        return self.service_url, self.conversation


def place_of(address: Address, settings: TeamsSettings) -> Place:
    """Raises Unreachable for an address that is not one of Teams, or of a service that the
    settings do not allow."""
    data = address.data
    conversation = data.get("conversation", "")
    if address.channel != CHANNEL or not conversation:
        raise Unreachable("This is no address of a conversation in Teams.")
    service_url = data.get("service_url", "")
    if not settings.trusts(service_url):
        raise Unreachable(
            "The service URL of this conversation is not one that SUPPORT_TEAMS_SERVICE_URLS "
            "allows; nothing was sent there."
        )
    return Place(
        service_url=service_url.rstrip("/"),
        conversation=conversation,
        tenant=data.get("tenant", ""),
        bot=data.get("bot", ""),
        personal=data.get("kind") == "personal",
    )


def in_a_path(id: str) -> str:
    """An id as one segment of a path. Raises Unreachable for one that would leave its place."""
    if id in ("", ".", ".."):
        raise Unreachable("Teams knows no conversation and no message by such an id.")
    return quote(id, safe=UNQUOTED, errors="replace")

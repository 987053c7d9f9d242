"""Our own pages as a channel: they read the records, and are told when to look."""

from dataclasses import dataclass

from support_agent.channels.port import Address, Message, MessageRef
from support_agent.live import Changed, Delta, Hub, Typing


@dataclass(frozen=True, slots=True)
class WebChannel:
    """Tells the open pages of a talk that there is something new. What it is, the records say, so
    nothing is lost where no page is open, and nothing is out of reach."""

    hub: Hub

    @property
    def name(self) -> str:
        return "web"

    async def send(self, to: Address, message: Message, *, key: str) -> MessageRef:
        self.hub.publish(_talk_of(to), Changed())
        return MessageRef(to, key)

    async def update(self, ref: MessageRef, message: Message) -> None:
        self.hub.publish(_talk_of(ref.address), Changed())

    async def typing(self, to: Address) -> None:
        self.hub.publish(_talk_of(to), Typing(True))

    async def grow(self, to: Address, answer: str, text: str) -> None:
        # A page begins anew for another name, and so shows all of it.
        self.hub.publish(_talk_of(to), Delta(text, f"{answer}/{len(text)}"))


def _talk_of(address: Address) -> str:
    return address.data.get("talk", "")

"""A channel for the tests of whatever sends through one."""

from collections import deque
from dataclasses import dataclass, field, replace

from support_agent.channels.port import (
    Address,
    ChannelName,
    ChannelTrouble,
    Message,
    MessageRef,
    Unreachable,
)


@dataclass(frozen=True, slots=True)
class Sent:
    """One message as it stands in a FakeChannel now."""

    ref: MessageRef
    message: Message
    key: str
    replaced: int = 0


@dataclass(slots=True)
class FakeChannel:
    """A channel that keeps what it is given, and fails as it is told. It tells attempts apart: a
    key is sent once. Knows every address of its own name."""

    name: ChannelName = "fake"
    sent: list[Sent] = field(default_factory=list[Sent])
    """Oldest first, each as it stands now."""
    grown: list[tuple[Address, str, str]] = field(default_factory=list[tuple[Address, str, str]])
    """What `grow` was given: address, answer, text."""
    typed: list[Address] = field(default_factory=list[Address])
    """Where typing was shown."""
    _faults: deque[ChannelTrouble] = field(default_factory=deque[ChannelTrouble])

    def fail_next(self, *troubles: ChannelTrouble) -> None:
        """The coming calls end so, one each."""
        self._faults.extend(troubles)

    def messages(self, address: Address) -> list[Message]:
        """What is read there now, oldest first."""
        return [sent.message for sent in self.sent if sent.ref.address == address]

    async def send(self, to: Address, message: Message, *, key: str) -> MessageRef:
        self._reach(to)
        for sent in self.sent:
            if (sent.ref.address, sent.key) == (to, key):
                return sent.ref
        ref = MessageRef(to, str(len(self.sent) + 1))
        self.sent.append(Sent(ref, message, key))
        return ref

    async def update(self, ref: MessageRef, message: Message) -> None:
        self._reach(ref.address)
        for place, sent in enumerate(self.sent):
            if sent.ref == ref:
                self.sent[place] = replace(sent, message=message, replaced=sent.replaced + 1)
                return
        raise Unreachable("There is no such message.")

    async def typing(self, to: Address) -> None:
        if self._reaches(to):
            self.typed.append(to)

    async def grow(self, to: Address, answer: str, text: str) -> None:
        if self._reaches(to):
            self.grown.append((to, answer, text))

    def _reach(self, address: Address) -> None:
        if self._faults:
            raise self._faults.popleft()
        if address.channel != self.name:
            raise Unreachable(f"This address is not one of {self.name}.")

    def _reaches(self, address: Address) -> bool:
        try:
            self._reach(address)
        except ChannelTrouble:
            return False
        return True

"""The port of a channel: what the support agent asks of it, and what it tells the support agent.

A channel carries lines to customers and questions to supervisors, and brings back what they wrote
and decided. Nothing of its SDK crosses this port: everything here is plain data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from support_agent.shop.address import Address

__all__ = [
    "Address",
    "ApprovalCard",
    "CardField",
    "Channel",
    "ChannelName",
    "ChannelTrouble",
    "DecisionReply",
    "Inbound",
    "IncomingDecision",
    "IncomingMessage",
    "Message",
    "MessageRef",
    "Sender",
    "Text",
    "TryAgain",
    "Unreachable",
]

ChannelName = str
"""A word such as "web" or "teams"; stored with every address."""


@dataclass(frozen=True, slots=True)
class MessageRef:
    """A message that was sent, so that it can be replaced."""

    address: Address
    id: str


# What goes out.


@dataclass(frozen=True, slots=True)
class Text:
    """A line for a customer, or a word for a supervisor. Plain text, which may hold the simple
    Markdown of the agent (paragraphs, lists, bold, links); never HTML. It is not trusted."""

    text: str
    author: Literal["agent", "person", "system"] = "agent"
    name: str = ""
    """Who writes; empty for the channel's own name of the agent."""


@dataclass(frozen=True, slots=True)
class CardField:
    """One field of a proposal, as text. An editable one holds in `value` exactly what comes back
    when nobody touches it."""

    name: str
    label: str
    shown: str
    value: str = ""
    widget: Literal["text", "long", "number", "choice", "json"] = "text"
    editable: bool = False
    changed: bool = False
    bounds: str = ""
    """"0.01 to 60.00", or empty."""
    choices: tuple[tuple[str, str], ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalCard:
    """A question for supervisors, as one of them may see it now.

    `allowed` are the `do` words that this reader may use ("approve", "reject", ...); it is empty in
    a message that several people read, who ask for their own view by `refresh_by`.
    """

    id: str
    """Of the approval."""
    version: int
    digest: str
    title: str
    status: str
    """In words: "Open", "Claimed by Lena Fischer", "Approved by Lena Fischer: 19.80 EUR"."""
    open: bool
    """Whether anybody may still decide."""
    risk: Literal["low", "medium", "high"]
    fields: tuple[CardField, ...]
    facts: tuple[tuple[str, str], ...] = ()
    """Label and text: for whom, why asked, due, what the records say. Few."""
    said: tuple[tuple[str, str], ...] = ()
    """The last lines of the conversation: author and text."""
    link: str = ""
    """Of the whole question in the dashboard; empty where there is none that others reach."""
    allowed: tuple[str, ...] = ()
    refresh_by: tuple[str, ...] = ()
    """Accounts in this channel of those who may get a view of their own, at most 60."""
    trouble: str = ""
    """What was wrong with the reader's last action, in words for them."""


Message = Text | ApprovalCard


class Channel(Protocol):
    """How things go out. Every method may be called from several tasks of one event loop.

    Raises, of every method that reaches out: TryAgain, Unreachable.
    """

    @property
    def name(self) -> ChannelName: ...

    async def send(self, to: Address, message: Message, *, key: str) -> MessageRef:
        """Send it. `key` is the same for every attempt of one message: a channel that can tell
        attempts apart sends it once; another one sends at least once."""
        ...

    async def update(self, ref: MessageRef, message: Message) -> None:
        """Put `message` in the place of the one that was sent. Doing it twice changes nothing."""
        ...

    async def typing(self, to: Address) -> None:
        """Show that an answer is on its way. It may be lost, and raises nothing."""
        ...

    async def grow(self, to: Address, answer: str, text: str) -> None:
        """The answer that is on its way reads `text` so far; `answer` names the attempt, and
        another one begins anew. Only for show, where the channel can: it may be lost, and raises
        nothing. The whole answer is always sent by `send` afterwards."""
        ...


class ChannelTrouble(Exception):
    """A message did not go out. Its text is for operators, without secrets or personal data."""


class TryAgain(ChannelTrouble):
    """It may go out later; after so many seconds, where the channel has said it."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Unreachable(ChannelTrouble):
    """It never will: the bot was removed, the conversation is gone, the message is refused."""


# What comes in.


@dataclass(frozen=True, slots=True)
class Sender:
    """Whoever wrote or clicked, as the channel's own authentication says: never as a body claims.

    `account` is unique and lasting within the channel: in Teams tenant and directory object id.
    """

    account: str
    name: str
    """For show only."""


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """Somebody wrote. `id` is unique within the conversation and the same at every redelivery."""

    id: str
    sender: Sender
    address: Address
    """Where the answer goes."""
    conversation: str
    """The conversation's id in the channel, the same for everybody in it."""
    text: str
    """What they wrote, without the mention of ourselves. Empty where they joined, or installed."""
    personal: bool
    """Whether nobody else reads this conversation."""


@dataclass(frozen=True, slots=True)
class IncomingDecision:
    """Somebody used a button of an ApprovalCard. All of it but `sender` is what a client sent."""

    id: str
    sender: Sender
    action: Literal["approve", "reject", "refresh"]
    approval: str
    version: int
    digest: str = ""
    typed: Mapping[str, str] = field(default_factory=dict[str, str])
    """Text of the editable fields, by name; those that did not come are as they were."""
    comment: str = ""
    """The reason of a rejection, or a comment."""


@dataclass(frozen=True, slots=True)
class DecisionReply:
    """What whoever clicked sees in the card's place, or beside it.

    `code` follows HTTP: 200 done; 403 not allowed; 404 no such question for them; 409 decided
    already, or another version; 422 invalid. `card` is their view now, wherever they may have one.
    """

    code: Literal[200, 403, 404, 409, 422]
    words: str
    card: ApprovalCard | None = None


class Inbound(Protocol):
    """What a channel tells the support agent, which implements it once for all channels."""

    async def on_message(self, channel: ChannelName, message: IncomingMessage) -> None:
        """Returns when it is on disk: then the channel may acknowledge. A redelivery does nothing.
        The answer comes later, by `send`. Raises: TryAgain, when it could not be taken."""
        ...

    async def on_decision(self, channel: ChannelName, decision: IncomingDecision) -> DecisionReply:
        """Returns when the decision is on disk, or refused. Raises: TryAgain."""
        ...

    async def on_removed(self, channel: ChannelName, address: Address) -> None:
        """This place is gone: no question is shown there until somebody writes from it. What is
        said to a customer there is still tried, so that what is lost is seen."""
        ...

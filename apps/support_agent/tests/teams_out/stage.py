"""A channel to Teams in local mode, its connector on loopback, and what a reader sees."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from markdown_it import MarkdownIt

from apps.support_agent.tests.teams_out.fake_connector import (
    BROKEN,
    GONE,
    LIMITED,
    PRECONDITION,
    REMOVED,
    FakeConnector,
    Fault,
    Shown,
)
from support_agent.channels.port import Address
from support_agent.channels.teams.channel import TeamsChannel
from support_agent.channels.teams.sdk import Connector
from support_agent.channels.teams.settings import TeamsSettings
from support_agent.channels.testing import Seen, Trouble, as_html

LOCAL = TeamsSettings(client_id="00000000-0000-0000-0000-00000000c0de", local=True)
TENANT = "11111111-2222-3333-4444-555555555555"
CONVERSATION = "a:1pL6i0oY3C0K8oAj8"
IMPATIENT_SECONDS = 0.6
"""For a request to which the connector says nothing."""

FAULTS: dict[Trouble, Fault] = {
    "limited": LIMITED,
    "busy": PRECONDITION,
    "broken": BROKEN,
    "cut off": Fault(how="drop"),
    "removed": REMOVED,
    "gone": GONE,
    "refused": Fault(400, code="BadSyntax"),
}

# Everything that Teams might know, HTML among it, so that what we forgot to escape shows itself.
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


@dataclass
class Clock:
    """Seconds that pass only when a test says so, or at each look."""

    now: float = 1_000.0
    step: float = 0.0

    def read(self) -> float:
        return self.now

    def look(self) -> float:
        self.now += self.step
        return self.now


@dataclass
class TeamsStage:
    """Implements `channels.testing.Stage`."""

    connector: FakeConnector
    service_url: str
    clock: Clock = field(default_factory=Clock)
    conversation: str = CONVERSATION

    def __post_init__(self) -> None:
        self.outbound = Connector(LOCAL)
        self.channel = TeamsChannel(LOCAL, connector=self.outbound, clock=self.clock.look)

    @property
    def address(self) -> Address:
        return address_in(self.service_url, self.conversation)

    def seen(self) -> list[Seen]:
        shown = self.connector.seen(self.conversation)
        return [Seen(drawn(one)) for one in shown if not one.growing]

    def fail(self, trouble: Trouble) -> None:
        if trouble == "silent":
            self.connector.plan(self.silence())
        else:
            self.connector.plan(FAULTS[trouble])

    def silence(self) -> Fault:
        """The next request waits a short time for nothing, and those after it as long as ever."""
        before, self.outbound.answer_seconds = self.outbound.answer_seconds, IMPATIENT_SECONDS

        def patient_again() -> None:
            self.outbound.answer_seconds = before

        return Fault(how="silence", taken=patient_again)


def address_in(service_url: str, conversation: str, kind: str = "personal") -> Address:
    return Address(
        "teams",
        {
            "conversation": conversation,
            "service_url": service_url,
            "tenant": TENANT,
            "bot": "28:00000000-0000-0000-0000-00000000c0de",
            "kind": kind,
            "user": "29:1nl3p6Aq",
        },
    )


@contextmanager
def stage_on(clock: Clock | None = None, **options: Any) -> Iterator[TeamsStage]:
    """A stage whose connector keeps to Teams' rules for streams by the same clock."""
    clock = clock or Clock()
    connector = FakeConnector(clock=clock.read, **options)
    with connector.serving() as service_url:
        yield TeamsStage(connector, service_url, clock)


def drawn(shown: Shown) -> str:
    """The message as HTML: its Markdown, and the words of its cards."""
    assert shown.text_format in ("markdown", "")
    return MARKDOWN.render(shown.text) + "".join(_card(card) for card in shown.cards)


def _card(node: Any) -> str:
    """A card's words, as Teams draws them: a text block knows Markdown, the rest is plain."""
    if isinstance(node, list):
        return "".join(_card(one) for one in node)
    if not isinstance(node, dict):
        return ""
    words = node.get("text", "") if isinstance(node.get("text"), str) else ""
    own = MARKDOWN.render(words) if node.get("type") == "TextBlock" else f"<p>{as_html(words)}</p>"
    plain = [node.get(name) for name in ("title", "label", "value", "placeholder")]
    own += "".join(f"<p>{as_html(one)}</p>" for one in plain if isinstance(one, str))
    return own + "".join(_card(value) for value in node.values())

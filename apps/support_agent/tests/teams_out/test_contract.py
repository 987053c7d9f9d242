"""The channel's contract, on Teams over HTTP and on the channel for tests."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from apps.support_agent.tests.teams_out.stage import Clock, stage_on
from support_agent.channels.port import (
    Address,
    ApprovalCard,
    ChannelTrouble,
    Message,
    Text,
    TryAgain,
    Unreachable,
)
from support_agent.channels.testing import (
    ChannelContract,
    FakeChannel,
    Seen,
    Stage,
    Trouble,
    as_html,
)
from support_agent.web.text import plain

pytestmark = pytest.mark.slow


class TestTeams(ChannelContract):
    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Stage]:
        with stage_on(Clock(step=1.0)) as stage:
            try:
                yield stage
            finally:
                await stage.channel.close()


TROUBLES: dict[Trouble, ChannelTrouble] = {
    "limited": TryAgain("Too many requests.", after=7.0),
    "busy": TryAgain("Busy."),
    "broken": TryAgain("Broken."),
    "cut off": TryAgain("The connection broke."),
    "silent": TryAgain("No answer."),
    "removed": Unreachable("Removed."),
    "gone": Unreachable("Gone."),
    "refused": Unreachable("Refused."),
}


@dataclass
class FakeStage:
    channel: FakeChannel = field(default_factory=FakeChannel)
    address: Address = field(default_factory=lambda: Address("fake", {"conversation": "c1"}))

    def seen(self) -> list[Seen]:
        return [Seen(as_html(_read(one))) for one in self.channel.messages(self.address)]

    def fail(self, trouble: Trouble) -> None:
        self.channel.fail_next(TROUBLES[trouble])


class TestFakeChannel(ChannelContract):
    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Stage]:
        yield FakeStage()


def _read(message: Message) -> str:
    match message:
        case Text():
            return plain("\n".join([message.name, message.text]).replace("\r", "\n"))
        case ApprovalCard():
            lines = [message.title, message.status, *(one.shown for one in message.fields)]
            return plain("\n".join(lines))

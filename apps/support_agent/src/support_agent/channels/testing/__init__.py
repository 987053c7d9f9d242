"""For tests with channels: `FakeChannel`, which keeps what it is given, and `ChannelContract`, the
tests that every channel passes.
"""

from support_agent.channels.testing.contract import ChannelContract, Seen, Stage, Trouble
from support_agent.channels.testing.drawing import as_html
from support_agent.channels.testing.fake import FakeChannel, Sent
from support_agent.channels.testing.samples import approval_card

__all__ = [
    "ChannelContract",
    "FakeChannel",
    "Seen",
    "Sent",
    "Stage",
    "Trouble",
    "approval_card",
    "as_html",
]

"""The channels that this process has opened, beside our own pages."""

from collections.abc import Mapping

from support_agent.channels.port import Channel, ChannelName

CHANNELS: dict[str, Channel] = {}
"""By name. Filled before the engine starts, by `support_agent.site`; activities look here."""

CALLED: Mapping[ChannelName, str] = {"teams": "Microsoft Teams"}
"""What people call them."""

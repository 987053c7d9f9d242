"""The channels that this process has opened, beside our own pages."""

from support_agent.channels.port import Channel

CHANNELS: dict[str, Channel] = {}
"""By name. Filled before the engine starts, by `support_agent.site`; activities look here."""

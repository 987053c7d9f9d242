"""Where somebody is reached."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Address:
    """A place where somebody is reached, as long as it exists: a conversation of a channel.

    `data` is the channel's own, opaque to everybody else. It is kept as JSON in the records.
    """

    channel: str
    data: Mapping[str, str] = field(default_factory=dict[str, str])


def same_place(one: Address, other: Address) -> bool:
    """Whether both are one conversation, however it is reached and whoever wrote from it: a channel
    that has conversations names them in `data` as "conversation"."""
    ids = (one.data.get("conversation"), other.data.get("conversation"))
    same = ids[0] == ids[1] if any(ids) else one.data == other.data
    return one.channel == other.channel and same


WEB = Address("web")
"""Our own pages, which read the records."""


def text_of(address: Address) -> str:
    """Its data as the records keep it."""
    return json.dumps(dict(address.data), sort_keys=True, ensure_ascii=False)


def address_of(channel: str, text: str) -> Address:
    """The address that the records keep as `text`."""
    return Address(channel, json.loads(text))

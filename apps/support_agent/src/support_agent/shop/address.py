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


WEB = Address("web")
"""Our own pages, which read the records."""


def text_of(address: Address) -> str:
    """Its data as the records keep it."""
    return json.dumps(dict(address.data), sort_keys=True, ensure_ascii=False)


def address_of(channel: str, text: str) -> Address:
    """The address that the records keep as `text`."""
    return Address(channel, json.loads(text))

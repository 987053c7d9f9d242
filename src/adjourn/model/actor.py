"""Who acts: an identity that the server verified, and never one that a payload claims."""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["viewer", "approver", "lead", "auditor", "admin"]


class Actor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person or an agent, with the groups and roles they had at that moment.

    It is recorded with what they did, so that authority is checked the same on every replay.
    """

    id: str
    name: str = ""
    groups: list[str] = []
    roles: list[Role] = []
    agent: bool = False
    """An agent is never an approver, whatever its groups and roles."""
    channel: str = ""
    """How they came: "web", "teams", "api"."""

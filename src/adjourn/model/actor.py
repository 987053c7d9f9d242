"""Who acts: an identity that the server verified, and never one that a payload claims."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

Role = Literal["viewer", "approver", "lead", "auditor", "admin"]

DECIDERS: frozenset[Role] = frozenset({"approver", "lead"})
"""Whoever decides has one of these."""

EVERY_TENANT = "*"
"""The tenant of those who look after all of them."""


class Absent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who is away, and in whose place another decides."""

    id: str
    groups: list[str] = []


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
    """How they came: "web", "teams", "api", "link"."""
    tenant: str = ""
    """What they see of all that is kept here; EVERY_TENANT sees all of it."""
    queues: list[str] | None = None
    """Recipients (`group:...`, `role:...`, ids): a role shows them what is addressed to one of
    these, and no more. None: everything of their tenant."""
    scopes: list[str] | None = None
    """What a key allows, of `adjourn.access.scopes`. None: what their roles allow."""
    signed_in_at: datetime | None = None
    """When they last proved who they are; None where the channel does not say."""
    stands_in_for: list[Absent] = []
    """Those who are away and have named them."""

"""Who acts: an identity that the server verified, and never one that a payload claims."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import structs

Role = Literal["viewer", "approver", "lead", "auditor", "admin"]

DECIDERS: frozenset[Role] = frozenset({"approver", "lead"})
"""Whoever decides has one of these."""

EVERY_TENANT = "*"
"""The tenant of those who look after all of them."""

TENANT = "tenant"
"""The tag that says whose an instance is. Without it, it is nobody's in particular: ""."""


class Absent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who is away, and in whose place another decides."""

    id: str
    groups: list[str] = []
    roles: list[Role] = []
    """For what these keep them from, they do not decide. They are handed on to nobody."""


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

    @property
    def shown_queues(self) -> list[str] | None:
        """The recipients whose questions they are shown, besides what concerns themselves. None:
        all of their tenant. People without a role have none; a key goes by its scopes."""
        return self.queues if self.roles or self.scopes is not None else []


def addresses_of(actor: Actor | Absent) -> list[str]:
    """Everything in a list of recipients that means this actor: their id, `group:...`, `role:...`.
    A person called "group:finance" is not that group. The roles of somebody who is away are not
    handed on: whoever stands in for them decides by roles of their own."""
    if isinstance(actor, Absent):
        return names_of(structs.replace(actor, roles=[]))
    return names_of(actor)


def names_of(actor: Actor | Absent) -> list[str]:
    """Everything in a list of those who may not that means them: as `addresses_of`, and what
    somebody who is away is kept from by a role."""
    own = [] if actor.id.startswith(("group:", "role:")) else [actor.id]
    groups = [f"group:{name}" for name in actor.groups]
    return [*own, *groups, *(f"role:{name}" for name in actor.roles)]


def concerns(
    actor: Actor, *, to: Iterable[str], asked: Iterable[str], acted: Iterable[str]
) -> bool:
    """Whether a question of their tenant is shown to them: to a role that no queues narrow, always;
    else where it is addressed to one of their queues, or concerns themselves.

    That is: it is addressed to them, or to somebody in whose place they may decide; somebody asks
    them something about it; or they have to do with it: requested it, hold it, decided it.
    """
    queues = actor.shown_queues
    if queues is None:
        return True
    mine = addresses_of(actor)
    theirs = [each for absent in absent_ones(actor) for each in addresses_of(absent)]
    return (
        (actor.id != "" and actor.id in acted)
        or not {*queues, *mine, *theirs}.isdisjoint(to)
        or not set(mine).isdisjoint(asked)
    )


def absent_ones(actor: Actor) -> list[Absent]:
    """Those in whose place they may decide: who decide, when they are here. Nobody stands in for
    themself, for an agent, or for a key; and nobody hands on what was handed to them."""
    if actor.agent:
        return []
    return [
        each
        for each in actor.stands_in_for
        if each.id != actor.id and is_person(each.id) and not DECIDERS.isdisjoint(each.roles)
    ]


def is_person(id: str) -> bool:
    """Whether it can be a person's: those of keys, groups and roles have a colon."""
    return bool(id) and ":" not in id

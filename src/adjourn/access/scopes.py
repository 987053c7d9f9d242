"""What a request may reach, by the roles of a person or the scopes of a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from adjourn.model.actor import Actor, Role

Scope = Literal[
    "approvals:read",
    "approvals:act",
    "instances:read",
    "instances:start",
    "instances:signal",
    "instances:control",
    "links:make",
]
"""Stored with keys and written in settings: never renamed.

`instances:signal` raises events and sends updates; `instances:control` suspends, resumes,
terminates and settles; `links:make` asks for signed links in a person's name.
"""

ALL: tuple[Scope, ...] = get_args(Scope)

_READS: frozenset[Scope] = frozenset({"approvals:read"})
_DECIDES: frozenset[Scope] = frozenset({"approvals:read", "approvals:act", "instances:read"})
_LOOKS: frozenset[Scope] = frozenset({"instances:read"})
_CONTROLS: frozenset[Scope] = frozenset({"instances:control"})
_STARTS: frozenset[Scope] = frozenset({"instances:start", "instances:signal"})

BY_ROLE: Mapping[Role, frozenset[Scope]] = {
    "viewer": frozenset({"approvals:read", "approvals:act"}),
    "approver": _DECIDES,
    "lead": _DECIDES | _CONTROLS,
    "auditor": _READS | _LOOKS,
    "admin": _DECIDES | _CONTROLS | _STARTS,
}
"""What each role reaches. `approvals:act` lets a request through to an approval's own rules, which
say whether this person may do this: a viewer comments, and decides nothing."""

ANYBODY: frozenset[Scope] = frozenset({"approvals:read", "approvals:act", "links:make"})
"""Of people without a role too: what is addressed to them, what they asked for themselves, and
links of their own."""


def scopes_of(actor: Actor) -> frozenset[Scope]:
    """What they reach: a key's scopes where it has any, else what the roles add up to."""
    if actor.scopes is not None:
        return frozenset(scope for scope in ALL if scope in actor.scopes)
    if actor.agent:
        return frozenset()
    return ANYBODY.union(*(BY_ROLE[role] for role in actor.roles))

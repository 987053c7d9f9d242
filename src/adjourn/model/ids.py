"""What may be an instance id, a name, an event id."""

from __future__ import annotations

import hashlib
import re

from adjourn.errors import InvalidIdError

_INSTANCE_ID = re.compile(r"[A-Za-z0-9._:-]{1,200}\Z")
INSTANCE_ID_RULE = "1 to 200 of A-Z a-z 0-9 . _ : -"

_TENANT = re.compile(r"[a-z0-9_-]{1,60}\Z")
TENANT_RULE = "1 to 60 of a-z 0-9 _ -"

NAME_LIMIT = 200
NAME_RULE = f"1 to {NAME_LIMIT} printable characters"


def check_instance_id(value: str) -> str:
    """The id itself. Narrow on purpose: ids reach URLs, logs and other engines.

    Raises: InvalidIdError.
    """
    if _INSTANCE_ID.match(value) is None:
        raise InvalidIdError("an instance id", value, INSTANCE_ID_RULE)
    return value


def check_name(noun: str, value: str) -> str:
    """The name itself, for events, updates, activities, orchestrators, event ids and attributes.

    Raises: InvalidIdError.
    """
    if not 0 < len(value) <= NAME_LIMIT or not value.isprintable():
        raise InvalidIdError(noun, value, NAME_RULE)
    return value


def check_tenant(value: str) -> str:
    """The tenant itself. Nobody starts anything in "*", which means all of them.

    Raises: InvalidIdError.
    """
    if _TENANT.match(value) is None:
        raise InvalidIdError("a tenant", value, TENANT_RULE)
    return value


def child_id(parent_id: str, execution: int, sequence: int) -> str:
    """The id of a sub-orchestration that was not given one: the same on every replay."""
    return _at_most(f"{parent_id}:{execution}:{sequence}", "sub:")


WATCH = "watch"
"""The name under which an application watches approvals, unless it says otherwise."""


def watcher_id(approval_id: str, name: str = WATCH) -> str:
    """The id of the instance that watches this approval under this name."""
    return _at_most(f"{approval_id}:{name}", f"{name}:")


def sent_event_id(sender_id: str, execution: int, sequence: int) -> str:
    """The id of an event that an instance sent: the same on every replay, and no other's."""
    return _at_most(f"{sender_id}/{execution}/{sequence}", "sent:")


def _at_most(plain: str, prefix: str) -> str:
    if len(plain) <= NAME_LIMIT:
        return plain
    return prefix + hashlib.sha256(plain.encode()).hexdigest()[:40]

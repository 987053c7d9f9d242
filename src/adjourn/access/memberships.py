"""What a provider's groups mean here."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from adjourn.access.settings import Member
from adjourn.approvals.people import Person


def granted(person: Person, members: Sequence[Member], claims: Sequence[str]) -> Person:
    """The person with what their groups at the provider add.

    A tenant that the person has, or else the first that a group names, is theirs; groups of other
    tenants add nothing. Queues that the person has stay; else, as soon as one of the groups names
    queues, those that the groups name are all: nothing is widened by a further group.
    """
    theirs = [each for each in members if each.claim in claims]
    tenant = person.tenant or next((each.tenant for each in theirs if each.tenant), "")
    counted = [each for each in theirs if each.tenant in ("", tenant)]
    queues = person.queues
    named = [each.queues for each in counted if each.queues is not None]
    if queues is None and named:
        queues = list(dict.fromkeys(queue for each in named for queue in each))
    groups = [*person.groups, *(each.group for each in counted if each.group)]
    roles = [*person.roles, *(role for each in counted for role in each.roles)]
    return msgspec.structs.replace(
        person,
        tenant=tenant,
        queues=queues,
        groups=list(dict.fromkeys(groups)),
        roles=list(dict.fromkeys(roles)),
    )

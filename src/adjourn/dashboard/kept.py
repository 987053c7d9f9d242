"""What somebody typed, kept while they sign in again.

It is theirs alone, of one approval, and forgotten after half an hour. Nothing of it is ever sent by
itself: it stands in the form again, and they decide.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import msgspec

from adjourn.access.gate import Gate
from adjourn.dashboard.body import Form

STALE = "stale_sign_in"
"""The rule of an approval that asks for a sign-in made now."""

SPACE = "sign-ins"
KEEP = timedelta(minutes=30)
LIMIT = 64 * 1024  # characters; more is shown again, and not kept
OURS = frozenset({"version", "digest", "key", "as", "confirm", "back", "surface", "next"})
"""What a form carries and nobody types; what was confirmed is confirmed anew."""


class Typed(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of one form."""

    fields: list[tuple[str, str]]


async def keep_typed(gate: Gate, person: str, id: str, form: Form, now: datetime) -> bool:
    """Keep it in place of what was kept of this approval before; whether it is."""
    fields = [(name, form[name]) for name in form if name not in OURS]
    if sum(len(name) + len(value) for name, value in fields) > LIMIT:
        return False
    typed = Typed(fields=fields)
    await gate.records.put(SPACE, _key(person, id), typed, ends_at=now + KEEP)
    return True


async def typed_before(gate: Gate, person: str, id: str) -> Form | None:
    """What this person typed for this approval; None where nothing is kept."""
    found = await gate.records.get(SPACE, _key(person, id), Typed)
    return None if found is None else Form(found.fields)


def _key(person: str, id: str) -> str:
    # Neither holds a space, so no two pairs have one key.
    return "typed-" + hashlib.sha256(f"{person} {id}".encode()).hexdigest()

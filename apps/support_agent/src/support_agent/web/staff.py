"""Who of the staff asks for a page."""

from dataclasses import dataclass
from typing import cast

from fastapi import Request
from starlette.exceptions import HTTPException

from adjourn import Actor, Authenticator
from support_agent.web.identity import may_read
from support_agent.web.site import root_of
from support_agent.web.story import Viewer
from support_agent.web.text import Face, initials, one_line

MAY_NOT_READ = "Reading what customers write takes the role of approver, lead, auditor or admin."


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of one person, who may read."""

    request: Request
    actor: Actor
    people: Authenticator

    @property
    def root(self) -> str:
        return root_of(self.request)

    def name_of(self, person: str) -> str:
        found = self.people.find(person)
        return one_line(found.name if found is not None else person) or "somebody"

    @property
    def viewer(self) -> Viewer:
        return Viewer("staff", self.name_of, self.actor.id)

    @property
    def me(self) -> Face:
        name = one_line(self.actor.name) or self.name_of(self.actor.id)
        return Face(self.actor.id, name, initials(name))


async def visit_of(request: Request) -> Visit:
    """Raises: HTTPException: 401 when nobody is signed in, 403 for who may not look."""
    people = cast("Authenticator", request.app.state.people)
    actor = await people.identify(request.headers, request.cookies)
    if actor is None:
        raise HTTPException(401)
    if not may_read(actor):
        raise HTTPException(403, MAY_NOT_READ)
    return Visit(request, actor, people)

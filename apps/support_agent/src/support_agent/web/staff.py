"""Who of the staff asks for a page."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from msgspec import structs
from starlette.exceptions import HTTPException

from adjourn import Actor, Authenticator
from support_agent.web.identity import is_in_reach, may_read
from support_agent.web.site import root_of
from support_agent.web.story import Viewer
from support_agent.web.streams import Reader
from support_agent.web.text import Face, initials, one_line

OF_OUR_TEAM = "A person of our team"
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
    def speaker(self) -> Actor:
        """They, as customers hear of them: by a name, and never by what they sign in with."""
        found = self.people.find(self.actor.id)
        name = self.actor.name or (found.name if found is not None else "")
        return structs.replace(self.actor, name=name or OF_OUR_TEAM)

    @property
    def reader(self) -> Reader:
        """They, as long as they might still ask for what they listen to."""

        async def still() -> bool:
            return (await visit_of(self.request)).actor.id == self.actor.id

        return Reader(f"person {self.actor.id}", "", still)

    @property
    def me(self) -> Face:
        name = one_line(self.actor.name) or self.name_of(self.actor.id)
        return Face(self.actor.id, name, initials(name))


async def visit_of(request: Request) -> Visit:
    """For the staff. Asked anew for each request, so that who is disabled is out at once.

    Raises: HTTPException: 401 when nobody is signed in, 403 for who may not look, 404 for who
    belongs to another tenant, or to queues that no conversation is in.
    """
    people = cast("Authenticator", request.app.state.people)
    peer = request.client.host if request.client is not None else ""
    actor = await people.identify(request.headers, request.cookies, peer)
    if actor is None:
        raise HTTPException(401)
    if not is_in_reach(actor, cast("str", request.app.state.tenant)):
        raise HTTPException(404)
    if not may_read(actor):
        raise HTTPException(403, MAY_NOT_READ)
    return Visit(request, actor, people)


Staff = Annotated[Visit, Depends(visit_of)]

"""Signed links for approve and reject: asked for by the person, or by a program that sends them."""

from __future__ import annotations

from typing import Annotated, cast

import msgspec
from fastapi import APIRouter, Request
from msgspec import structs
from starlette.exceptions import HTTPException
from starlette.responses import Response

from adjourn.access.links import LONGEST_SECONDS, LinkAction, Links
from adjourn.approvals import machine
from adjourn.approvals.people import Authenticator
from adjourn.client.approvals import ApprovalView
from adjourn.engine.clock import SystemClock
from adjourn.errors import (
    InstanceFinishedError,
    InstanceNotFoundError,
    Refusal,
    UpdateForbiddenError,
)
from adjourn.model.actor import Actor
from adjourn.model.approval import Approve, Reject
from adjourn.server.limits import LINKS, Rates
from adjourn.server.requests import client_of, form_of, needs, origin_of, person_of
from adjourn.server.routes.api import answer

router = APIRouter(prefix="/api/v1")


class LinkForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    action: LinkAction
    person: str = ""
    """For whom; a person asks for themselves only."""
    seconds: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_SECONDS)] = LONGEST_SECONDS


@router.post("/approvals/{id}/links", dependencies=[needs("links:make")])
async def make(request: Request, id: str) -> Response:
    """A link by which one person may do one thing to this approval as it stands: 201 with its
    address and its end. It is of use to nobody else, and to them only once they sign in."""
    links, caller = _links_of(request), await person_of(request)
    rates = cast("Rates | None", request.app.state.rates)
    if rates is not None:
        rates.count(LINKS, "identity", caller.id)
    form = await form_of(request, LinkForm)
    view = await _seen(request, id, caller, form)
    token, link = await links.make(
        form.person or caller.id, id, view.state.version, form.action, form.seconds
    )
    told = {
        "url": f"{origin_of(request)}/links/{token}",
        "ends_at": link.ends_at,
        "version": link.version,
    }
    return answer(told, 201)


def _links_of(request: Request) -> Links:
    links = cast("Links | None", request.app.state.links)
    if links is None:
        raise HTTPException(501, "Nobody signs in here, so a link would be anybody's.")
    return links


async def _seen(request: Request, id: str, caller: Actor, form: LinkForm) -> ApprovalView:
    """The approval as the person sees it whom the link is for, and who may do this to it now.

    Raises: HTTPException (403); InstanceNotFoundError, for a program also where that person is
    unknown or may not decide; UpdateForbiddenError, UpdateConflictError, InstanceFinishedError.
    """
    person = _person_of(request, id, caller, form.person)
    view = await client_of(request).approvals.get(id, by=person)
    version = view.state.version
    wanted = Approve(version=version) if form.action == "approve" else None
    action = wanted or Reject(version=version, reason="The person's own words come with the act.")
    at = max(SystemClock().now(), view.state.opened_at)
    coming = structs.replace(person, signed_in_at=at)  # whoever uses the link proves it then
    try:
        machine.check(view.request, view.state, action, coming, at)
    except Refusal as refusal:
        error = refusal.error(id, "")
        if caller.agent and isinstance(error, UpdateForbiddenError):
            raise InstanceNotFoundError(id) from None
        raise error from None
    if form.action not in view.allowed:
        raise InstanceFinishedError(id, view.state.status)
    return view


def _person_of(request: Request, id: str, caller: Actor, named: str) -> Actor:
    if not caller.agent:
        if named not in ("", caller.id):
            raise HTTPException(403, "A person asks for links of their own only.")
        return caller
    people = cast("Authenticator", request.app.state.authenticator)
    found = people.find(named)
    if found is None or found.disabled:
        raise InstanceNotFoundError(id)
    return people.acting(found, "link")

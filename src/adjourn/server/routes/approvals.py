"""Approvals for programs that act for a signed-in person: the inbox, one approval, one action.

Who acts is what the authenticator says of the request, never what its body says.
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from adjourn.approvals.people import addresses_of
from adjourn.engine.clock import SystemClock, new_id
from adjourn.errors import InvalidPayloadError, one_of
from adjourn.model.actor import Actor
from adjourn.model.approval import Action
from adjourn.model.inbox import InboxQuery, Order, View
from adjourn.server.requests import (
    Words,
    client_of,
    form_of,
    needs,
    person_of,
    waits_of,
)
from adjourn.server.routes.api import answer
from adjourn.server.waits import LONGEST_WAIT

router = APIRouter(prefix="/api/v1")

PAGE_LIMIT = 200


@router.get("/inbox", dependencies=[needs("approvals:read")])
async def inbox(request: Request) -> Response:
    """One page of the caller's inbox: `view`, `order`, `kind`, `group`, `text`, `limit`, `page`."""
    words, person = Words(request), await person_of(request)
    page = await client_of(request).approvals.inbox(
        InboxQuery(
            person=person.id,
            recipients=addresses_of(person),
            now=SystemClock().now(),
            view=_view(words, person),
            order=_choice(words, "order", get_args(Order), "due"),
            kind=words.text("kind") or "",
            group=words.text("group") or "",
            risk=words.text("risk") or "",
            policy=words.text("policy") or "",
            requester=words.text("requester") or "",
            case=words.text("case") or "",
            text=words.text("text") or "",
            limit=max(1, min(words.number("limit") or 50, PAGE_LIMIT)),
            page_token=words.text("page"),
        )
    )
    return answer(page)


@router.get("/approvals/{id}", dependencies=[needs("approvals:read")])
async def get(request: Request, id: str) -> Response:
    """All that the caller may see of one approval."""
    person = await person_of(request)
    return answer(await client_of(request).approvals.get(id, by=person))


@router.post("/approvals/{id}/actions", dependencies=[needs("approvals:act")])
async def act(request: Request, id: str) -> Response:
    """Do what the body says, as the caller: `{"do": "approve", "version": 3}`. Exactly once by
    query `actionId`. 202 when it is not answered within half a minute: ask again."""
    person = await person_of(request)
    kind: Any = Action  # a union, which is no type of its own
    action: Action = await form_of(request, kind)
    chosen = Words(request).text("actionId") or new_id()
    client = client_of(request)
    approvals = client.approvals
    said = await waits_of(request).for_answer(
        ("act", client.for_people, id, person.id, chosen, msgspec.json.encode(action)),
        lambda: approvals.act(id, action, by=person, action_id=chosen),
        LONGEST_WAIT,
    )
    return answer({"answered": False}, 202) if said is None else answer(said)


OWN_VIEWS: tuple[View, ...] = ("needs_me", "waiting", "decided")
"""Of people without a role: what concerns them, and no more."""


def _view(words: Words, person: Actor) -> View:
    return _choice(words, "view", get_args(View) if person.roles else OWN_VIEWS, "needs_me")


def _choice(words: Words, name: str, known: tuple[str, ...], default: str) -> Any:
    given = words.text(name) or default
    if given not in known:
        raise InvalidPayloadError(f"Query {name!r}", f"it is {one_of(known)}")
    return given

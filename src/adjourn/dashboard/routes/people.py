"""Who acts: on a machine without sign-in a visible choice; and the help page."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from adjourn.access.addresses import own_path
from adjourn.approvals.people import COOKIE, LocalPeople
from adjourn.dashboard.body import form_of
from adjourn.dashboard.desk import desk_of, nobody_words, rendered, visit_of
from adjourn.dashboard.views.words import Face
from adjourn.errors import NotSignedInError

router = APIRouter()


@router.get("/people")
async def choose(request: Request) -> Response:
    """Who are you? Nothing is chosen by looking."""
    desk = desk_of(request)
    me: Face | None = None
    try:
        visit = await visit_of(request)
        me = visit.names.face(visit.actor.id)
    except NotSignedInError:
        if not desk.switchable:
            raise HTTPException(401, "Sign in first.") from None
    words = nobody_words(request, "Who are you?")
    back = own_path(request.query_params.get("back", "/"))
    words |= {"people": desk.switchable, "me": me, "here": back}
    return rendered(desk, "people.html", words, 200)


@router.post("/people/switch")
async def switch(request: Request) -> Response:
    """Act as somebody else from now on, in this browser."""
    desk = desk_of(request)
    form = await form_of(request)
    person = form.words("person")
    if not isinstance(desk.people, LocalPeople) or person not in desk.people.people:
        raise HTTPException(404)
    answer = RedirectResponse(own_path(form.words("back")), 303)
    answer.set_cookie(COOKIE, person, path="/", httponly=True, samesite="strict")
    return answer


@router.get("/help")
async def help_page(request: Request) -> Response:
    visit = await visit_of(request)
    return visit.page("help.html", title="Keys and help")

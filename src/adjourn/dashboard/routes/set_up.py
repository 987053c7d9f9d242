"""The first administrator: whoever is signed in and holds the token that the server printed."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from adjourn.access.setup import SetUpRefusedError
from adjourn.dashboard.body import form_of
from adjourn.dashboard.desk import Visit, visit_of
from adjourn.dashboard.drawn import check_drawn_for
from adjourn.dashboard.routes.sign_in import gate_of

router = APIRouter()


@router.get("/set-up")
async def look(request: Request) -> Response:
    """Asks for the token. It never stands in an address."""
    gate_of(request)
    return _page(await visit_of(request))


@router.post("/set-up")
async def spend(request: Request) -> Response:
    """Make whoever sends it administrator; a token that does not count says so, and no more."""
    gate = gate_of(request)
    visit = await visit_of(request)
    form = await form_of(request)
    check_drawn_for(visit, form, "/set-up")
    try:
        await gate.set_up.spend(form.words("token"), visit.actor)
    except SetUpRefusedError as error:
        return _page(visit, str(error))
    return RedirectResponse("/account?said=set-up", 303)


def _page(visit: Visit, error: str = "") -> Response:
    return visit.page(
        "set_up.html", title="Set-up", status=403 if error else 200, way=visit.way(), error=error
    )

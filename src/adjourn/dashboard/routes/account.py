"""Who I am here, where I am signed in, and who decides while I am away."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from adjourn.access import sessions
from adjourn.access.directory import InvalidAbsenceError, UnknownPersonError
from adjourn.access.gate import Gate
from adjourn.dashboard.body import Form, form_of
from adjourn.dashboard.desk import Visit, visit_of
from adjourn.dashboard.drawn import check_drawn_for
from adjourn.dashboard.routes.sign_in import gate_of
from adjourn.dashboard.views.account import account_view, delegates

router = APIRouter(prefix="/account")

SAID = {
    "ended": "Signed out there.",
    "away": "Kept: they decide for you until you are back.",
    "back": "Welcome back: you decide for yourself again.",
    "set-up": "You are administrator now.",
}


@router.get("")
async def account(request: Request) -> Response:
    gate = gate_of(request)
    visit = await visit_of(request)
    return await _page(visit, gate, said=SAID.get(request.query_params.get("said", ""), ""))


@router.post("/sessions/end")
async def end_all(request: Request) -> Response:
    """Sign out everywhere, here too."""
    gate, visit, _ = await _sent(request)
    await gate.sessions.end_all(visit.actor.id)
    return _out()


@router.post("/sessions/{handle}/end")
async def end(request: Request, handle: str) -> Response:
    """Sign out of one browser. One that is somebody else's is as good as none."""
    gate, visit, _ = await _sent(request)
    here = await gate.sessions.find(request.cookies.get(sessions.COOKIE, ""))
    if not await gate.sessions.end_handle(visit.actor.id, handle):
        raise HTTPException(404)
    if here is not None and here.handle == handle:
        return _out()
    return RedirectResponse("/account?said=ended", 303)


@router.post("/away")
async def away(request: Request) -> Response:
    """Name who decides until when. What does not fit is said beside the form, with what was
    typed."""
    gate, visit, form = await _sent(request)
    if not visit.actor.roles:
        raise HTTPException(403)
    delegate, until = form.words("delegate"), _day(form.words("until"))
    errors: dict[str, str] = {}
    if delegate not in {face.id for face in delegates(visit, gate)}:
        errors["delegate"] = "Choose somebody who can decide for you."
    if until is None:
        errors["until"] = "Write the day on which you are back."
    if until is not None and not errors:
        try:
            await gate.directory.set_absence(visit.actor.id, delegate, until)
            return RedirectResponse("/account?said=away", 303)
        except UnknownPersonError as error:
            errors["delegate"] = str(error)
        except InvalidAbsenceError as error:
            errors["until"] = str(error)
    return await _page(visit, gate, status=422, typed=form, errors=errors)


@router.post("/back")
async def back(request: Request) -> Response:
    """Decide for oneself again."""
    gate, visit, _ = await _sent(request)
    await gate.directory.clear_absence(visit.actor.id)
    return RedirectResponse("/account?said=back", 303)


async def _sent(request: Request) -> tuple[Gate, Visit, Form]:
    """Raises: HTTPException, NotSignedInError, OtherPersonError."""
    gate = gate_of(request)
    visit = await visit_of(request)
    form = await form_of(request)
    check_drawn_for(visit, form, "/account")
    return gate, visit, form


async def _page(
    visit: Visit,
    gate: Gate,
    *,
    status: int = 200,
    said: str = "",
    typed: Form | None = None,
    errors: dict[str, str] | None = None,
) -> Response:
    here = await gate.sessions.find(visit.request.cookies.get(sessions.COOKIE, ""))
    sent, wrong = typed or Form([]), errors or {}
    words: dict[str, Any] = {
        "account": await account_view(visit, gate, here),
        "said": said,
        "way": visit.way(),
        "typed": {name: sent.words(name) for name in ("delegate", "until")},
        "errors": {name: wrong.get(name, "") for name in ("delegate", "until")},
    }
    return visit.page("account.html", title="Your account", place="account", status=status, **words)


def _out() -> Response:
    answer = RedirectResponse("/sign-in", 303)
    sessions.clear_cookie(answer)
    return answer


def _day(given: str) -> datetime | None:
    """The beginning of that day, in UTC, as all times on these pages."""
    try:
        day = date.fromisoformat(given)
    except ValueError:
        return None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)

"""Errors as pages: what happened, and what to do next. Never a stack trace."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from adjourn import errors
from adjourn.access.refusals import SignInRefusedError
from adjourn.approvals.text import plain
from adjourn.dashboard.body import form_of
from adjourn.dashboard.desk import (
    Visit,
    desk_of,
    here_of,
    nobody_words,
    page_for_anyone,
    rendered,
    visit_of,
)
from adjourn.dashboard.drawn import Again, OtherPersonError, kept_texts
from adjourn.dashboard.streams import BEAT_SECONDS, TooManyStreamsError
from adjourn.engine.clock import new_id
from adjourn.errors import AdjournError, NotSignedInError

_log = logging.getLogger("adjourn.dashboard")

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    # With "no-referrer" browsers say `Origin: null` when a form is sent, as for a stranger's page.
    "referrer-policy": "same-origin",
}
"""What every answer says to a browser: nothing of other origins, nothing inline."""

STATUS: Mapping[type[AdjournError], tuple[int, str]] = {
    errors.InstanceNotFoundError: (404, "There is nothing here"),
    errors.InvalidIdError: (404, "There is nothing here"),
    errors.UpdateForbiddenError: (403, "You may not do this"),
    errors.UpdateConflictError: (409, "It has changed"),
    errors.UpdateInvalidError: (422, "Something is missing"),
    errors.UpdateRefusedError: (409, "It was refused"),
    errors.InstanceFinishedError: (409, "It has ended"),
    errors.WrongStateError: (409, "It cannot be done now"),
    errors.InvalidPayloadError: (422, "Something is missing"),
    errors.SerializationError: (422, "Something is missing"),
    errors.PayloadTooLargeError: (413, "That is too much"),
    errors.TooManyEventsError: (429, "Too many at once"),
    errors.StorageFullError: (507, "The disk is full"),
    errors.HistoryDamagedError: (500, "This history is damaged"),
    errors.StorageError: (503, "The file cannot be read"),
    errors.EngineStoppedError: (503, "The engine has stopped"),
    errors.RemoteError: (502, "The engine cannot be reached"),
    TooManyStreamsError: (429, "Too many at once"),
}
"""By class; a class that is not here is answered as the nearest one that it derives from."""

TOLD = {
    403: (
        "You may not do this",
        "Your roles do not reach so far. Whoever runs this server can give you others.",
    ),
    404: ("There is nothing here", "It does not exist, or you may not see it."),
    405: ("There is nothing here", "This address answers other requests only."),
    408: ("It took too long", "Send it again."),
    413: ("That is too much", "Send less of it."),
}

TOLD_OF_FILES = (
    "What you were told was done is kept. Look whether this was before you send it again."
)


def problem_of(error: AdjournError) -> tuple[int, str]:
    """The HTTP status and the title that say this error."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return 500, "Something went wrong"


async def problem_page(
    request: Request,
    status: int,
    heading: str,
    text: str,
    *,
    kept: Sequence[str] = (),
    again: Again | None = None,
    log_id: str = "",
) -> Response:
    """The page, or the part of one where the script asks for a part."""
    words: dict[str, Any] = {
        "heading": plain(heading),
        "text": plain(text),
        "code": status,
        "log_id": log_id,
        "kept": kept,
        "again": again,
    }
    try:
        visit: Visit = await visit_of(request)
    except NotSignedInError:
        words |= nobody_words(request, heading)
        return rendered(desk_of(request), "problem.html", words, status)
    template = "problem_part.html" if visit.partial else "problem.html"
    return visit.page(template, title=heading, status=status, **words)


def _id_of(request: Request) -> str:
    """The server around us gives each request an id; a dashboard by itself makes one."""
    return str(request.scope.get("state", {}).get("request_id") or new_id())


async def _written(request: Request) -> list[str]:
    """What the form says that was sent by nobody: they wrote it while they were somebody."""
    try:
        return kept_texts(await form_of(request))
    except (HTTPException, AdjournError):
        return []


async def _not_let_in(request: Request, error: Exception) -> Response:
    assert isinstance(error, SignInRefusedError)
    return await page_for_anyone(
        request,
        "sign_in_refused.html",
        title=error.heading,
        status=error.status,
        heading=error.heading,
        text=str(error),
        account=plain(error.account),
        again_href=f"/sign-in?back={quote(error.back)}",
    )


def install_problems(app: FastAPI) -> None:
    """Make `app` answer every error with a page."""

    async def nobody(request: Request, error: Exception) -> Response:
        signs_in = not desk_of(request).people.local
        door = "/sign-in" if signs_in else "/people"
        target = f"{door}?back={quote(here_of(request))}"
        if request.headers.get("hx-request") == "true":
            return Response(status_code=401, headers={"hx-redirect": target})
        if request.method in ("GET", "HEAD"):
            return RedirectResponse(target, 303)
        if not signs_in:
            return await problem_page(request, 401, "Nobody is signed in", str(error))
        return await problem_page(
            request,
            401,
            "You are not signed in any more",
            "Your session has ended. Nothing was done.",
            kept=await _written(request),
            again=Again(target, "Sign in", ""),
        )

    async def other(request: Request, error: Exception) -> Response:
        assert isinstance(error, OtherPersonError)
        return await problem_page(
            request, 409, error.heading, str(error), kept=error.kept, again=error.again
        )

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, AdjournError)
        status, heading = problem_of(error)
        text, log_id = TOLD[404][1] if status == 404 else str(error), ""
        if errors.names_files(error) and not desk_of(request).people.local:
            log_id, text = _id_of(request), TOLD_OF_FILES
            _log.error("request %s: %s", log_id, error)
        page = await problem_page(request, status, heading, text, log_id=log_id)
        if isinstance(error, TooManyStreamsError):
            page.headers["retry-after"] = str(int(BEAT_SECONDS))
        return page

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        heading, text = TOLD.get(error.status_code, ("Something went wrong", str(error.detail)))
        return await problem_page(request, error.status_code, heading, text)

    async def unknown(request: Request, error: Exception) -> Response:
        log_id = _id_of(request)
        _log.error("request %s went wrong", log_id)
        text = "Something went wrong inside. Nothing was told to anybody; the log says more."
        heading = "Something went wrong"
        # Whatever it was may be in our way here as well: nothing is asked of anybody.
        frame = nobody_words(request, heading)
        told = {"heading": heading, "text": text, "code": 500, "log_id": log_id, "again": None}
        words = {**frame, **told, "kept": ()}
        answer = rendered(desk_of(request), "problem.html", words, 500)
        answer.headers.update(HEADERS)  # it is answered outside of all middleware
        return answer

    app.add_exception_handler(NotSignedInError, nobody)
    app.add_exception_handler(SignInRefusedError, _not_let_in)
    app.add_exception_handler(OtherPersonError, other)
    app.add_exception_handler(AdjournError, known)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unknown)

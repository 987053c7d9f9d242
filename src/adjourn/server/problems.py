"""Errors as HTTP answers: one table, and one form.

The form is RFC 9457's (`application/problem+json`): `type`, `title`, `status`, `detail`, and
`instance`, which names this one answer; its `id` stands in the log. Durable Functions' clients read
`Message` and `ExceptionMessage`, which say what `detail` says. `code` (the error's class) and
`facts` (its attributes) are what the http backend makes the same error of. Never a stack trace.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

import msgspec
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from adjourn import errors
from adjourn.engine.clock import new_id
from adjourn.errors import AdjournError
from adjourn.server.durable import BASE

_log = logging.getLogger("adjourn.server")

PROBLEM = "application/problem+json"

STATUS: Mapping[type[AdjournError], int] = {
    errors.UnknownNameError: 404,
    errors.SerializationError: 400,
    errors.PayloadTooLargeError: 413,
    errors.InvalidPayloadError: 422,
    errors.InvalidIdError: 400,
    errors.InstanceNotFoundError: 404,
    errors.InstanceExistsError: 409,
    errors.InstanceFinishedError: 410,
    errors.WrongStateError: 409,
    errors.TooManyEventsError: 429,
    errors.TooManyRequestsError: 429,
    errors.UpdateRefusedError: 409,
    errors.UpdateForbiddenError: 403,
    errors.UpdateConflictError: 409,
    errors.UpdateInvalidError: 422,
    errors.NotSignedInError: 401,
    errors.UnknownPersonError: 404,
    errors.ScopeMissingError: 403,
    errors.DeterminismError: 400,
    errors.StorageFullError: 507,
    errors.HistoryDamagedError: 500,
    errors.SealedError: 503,
    errors.StorageError: 503,
    errors.EngineStoppedError: 503,
}
"""By class; a class that is not here is answered as the nearest one that it derives from."""

DURABLE_STATUS: Mapping[type[AdjournError], int] = {
    errors.UnknownNameError: 400,
    errors.InvalidPayloadError: 400,
}
"""Where Durable Functions' own routes answer otherwise: its clients know no other words."""

OURS = ("/api", "/runtime")
"""What is below them is for programs, and answered by the API: as a mistake, where it has no such
route."""

CLOSING = frozenset({408, 413, 414, 431})
"""What is left of such a request is not worth reading."""


def status_of(error: AdjournError, path: str) -> int:
    """The HTTP status that says this error on this route."""
    durable = path.startswith(BASE + "/")
    for kind in type(error).__mro__:
        if durable and kind in DURABLE_STATUS:
            return DURABLE_STATUS[kind]
        if kind in STATUS:
            return STATUS[kind]
    return 500


def for_programs(path: str) -> bool:
    """Whether the API answers it."""
    return path.startswith(tuple(f"{each}/" for each in OURS))


def problem_response(error: AdjournError, status: int, id: str) -> Response:
    """The answer that says this error, under the id of the request."""
    facts = {
        name: value
        for name, value in vars(error).items()
        if not name.startswith("_")
        and (value is None or isinstance(value, str | int) or name == "details")
    }
    kind = type(error)
    answer = problem(status, str(error), kind.__name__, id, _title_of(kind, status), facts)
    if isinstance(error, errors.TooManyRequestsError):
        answer.headers["retry-after"] = str(error.retry_after_seconds)
    return answer


def problem(
    status: int,
    detail: str,
    code: str,
    id: str,
    title: str = "",
    facts: Mapping[str, Any] | None = None,
) -> Response:
    """One problem in the one form."""
    body = {
        "type": f"urn:adjourn:problem:{code}",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": f"urn:adjourn:request:{id}",
        "id": id,
        "code": code,
        "facts": facts or {},
        "Message": detail,
        "ExceptionMessage": detail,
    }
    headers = {"connection": "close"} if status in CLOSING else None
    return Response(msgspec.json.encode(body), status, headers, PROBLEM)


def _title_of(kind: type[AdjournError], status: int) -> str:
    """What the class says of itself, the same for each of its errors."""
    said = kind.__dict__.get("__doc__") or ""
    return (
        inspect.cleandoc(said).partition("\n\n")[0].replace("\n", " ") or HTTPStatus(status).phrase
    )


def request_id(scope: Scope) -> str:
    """The id of this request: whoever asks for it first gives it one."""
    return str(scope.setdefault("state", {}).setdefault("request_id", new_id()))


def install_problems(app: FastAPI, headers: Mapping[str, str], *, signs_in: bool = False) -> None:
    """Make `app` answer every error in the one form. What breaks inside is answered outside of all
    middleware, so the `headers` of every answer are put on here. Where people sign in, nobody who
    asks is told the names of files."""

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, AdjournError)
        id, status = request_id(request.scope), status_of(error, request.url.path)
        if not signs_in or not errors.names_files(error):
            return problem_response(error, status, id)
        _log.error("request %s: %s", id, error)
        kind, said = type(error), f"The server's log says more under {id}."
        return problem(status, said, kind.__name__, id, _title_of(kind, status))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = error.status_code
        if status == 405 and request.url.path.startswith(BASE + "/"):
            status = 404  # as Durable Functions: a wrong method is a wrong route
        message = "There is no such route." if status == 404 else str(error.detail)
        code = HTTPStatus(status).phrase.replace(" ", "")
        answer = problem(status, message, code, request_id(request.scope))
        answer.headers.update(cast("Mapping[str, str]", error.headers or {}))
        return answer

    async def unknown(request: Request, error: Exception) -> Response:
        id = request_id(request.scope)
        _log.error("request %s went wrong", id)
        message = f"Something went wrong inside; the server's log says more under {id}."
        answer = problem(500, message, "InternalError", id, "Something went wrong inside.")
        answer.headers.update({**headers, "x-request-id": id})
        return answer

    app.add_exception_handler(AdjournError, known)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unknown)

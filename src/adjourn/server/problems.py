"""Errors as HTTP answers: one table.

A body carries Durable Functions' `Message` and `ExceptionMessage`, `code` (the error's class) and
`facts` (its attributes, by which the http backend makes the same error again). Never a stack trace.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import uuid4  # noqa: TID251  an id of one line in the log

import msgspec
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from adjourn import errors
from adjourn.errors import AdjournError
from adjourn.server.durable import BASE

_log = logging.getLogger("adjourn.server")

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


def status_of(error: AdjournError, path: str) -> int:
    """The HTTP status that says this error on this route."""
    durable = path.startswith(BASE + "/")
    for kind in type(error).__mro__:
        if durable and kind in DURABLE_STATUS:
            return DURABLE_STATUS[kind]
        if kind in STATUS:
            return STATUS[kind]
    return 500


def problem_response(error: AdjournError, status: int) -> Response:
    """The answer that says this error."""
    facts = {
        name: value
        for name, value in vars(error).items()
        if not name.startswith("_")
        and (value is None or isinstance(value, str | int) or name == "details")
    }
    return _response(status, str(error), type(error).__name__, {"facts": facts})


def _response(
    status: int, message: str, code: str, more: Mapping[str, Any] | None = None
) -> Response:
    body = {"Message": message, "ExceptionMessage": message, "code": code, **(more or {})}
    # What is left of a body that was too large is not worth reading.
    headers = {"connection": "close"} if status in (408, 413) else None
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def install_problems(app: FastAPI) -> None:
    """Make `app` answer every error in the one form."""

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, AdjournError)
        return problem_response(error, status_of(error, request.url.path))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = error.status_code
        if status == 405 and request.url.path.startswith(BASE + "/"):
            status = 404  # as Durable Functions: a wrong method is a wrong route
        message = "There is no such route." if status == 404 else str(error.detail)
        return _response(status, message, HTTPStatus(status).phrase.replace(" ", ""))

    async def unknown(request: Request, error: Exception) -> Response:
        id = uuid4().hex
        _log.error("request %s went wrong", id)
        message = f"Something went wrong inside; the server's log says more under {id}."
        return _response(500, message, "InternalError", {"id": id})

    app.add_exception_handler(AdjournError, known)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unknown)

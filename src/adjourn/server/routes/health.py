"""Whether the engine answers."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Request
from starlette.responses import Response

from adjourn.errors import AdjournError
from adjourn.server.requests import engine_of, public

router = APIRouter()
_log = logging.getLogger("adjourn.server")


@router.get("/healthz", dependencies=[public])
async def healthz(request: Request) -> Response:
    """200 when the engine has just read its file, else 503; why stands in the log. Everybody may
    ask, so it says nothing more."""
    try:
        await engine_of(request).list(limit=1)
    except AdjournError as error:
        _log.error("not healthy: %s", error)
        return Response(b'{"status":"not ok"}', 503, None, "application/json")
    return Response(b'{"status":"ok"}', 200, None, "application/json")

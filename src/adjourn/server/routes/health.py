"""Whether the engine answers."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from adjourn.server.requests import client_of

router = APIRouter()


@router.get("/healthz")
async def healthz(request: Request) -> Response:
    """200 when the engine has just read its file; 503 with the reason when it has stopped."""
    await client_of(request).list(limit=1)
    return Response(b'{"status":"ok"}', 200, None, "application/json")

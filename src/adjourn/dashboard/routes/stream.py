"""The stream that tells a page to look again."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from adjourn.dashboard.desk import visit_of
from adjourn.dashboard.streams import Streams, TooManyStreamsError

router = APIRouter()


@router.get("/stream")
async def stream(request: Request) -> Response:
    """Server-sent events `changed` and `beat`. They say that something changed and not what: each
    page asks for what its person may see. An id lets a browser say where it stopped, and whoever
    comes back is told at once to look again."""
    visit = await visit_of(request)
    streams = visit.desk.streams
    if streams.full_for(visit.actor.id):
        raise TooManyStreamsError
    return StreamingResponse(_told(streams, visit.actor.id), media_type="text/event-stream")


async def _told(streams: Streams, person: str) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    async for word, number in streams.listen(person):
        yield f"id: {number}\nevent: {word}\ndata: {number}\n\n"

"""The stream that tells a page to look again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from adjourn.dashboard.desk import Visit, identified, visit_of
from adjourn.dashboard.streams import TooManyStreamsError

router = APIRouter()

LOOK_AGAIN = timedelta(seconds=5)  # how long an open stream takes who listens for granted


@router.get("/stream")
async def stream(request: Request) -> Response:
    """Server-sent events `changed` and `beat`. They say that something changed and not what: each
    page asks for what its person may see. An id lets a browser say where it stopped, and whoever
    comes back is told at once to look again."""
    visit = await visit_of(request)
    if visit.desk.streams.full_for(visit.actor.id):
        raise TooManyStreamsError
    return StreamingResponse(_told(visit), media_type="text/event-stream")


async def _told(visit: Visit) -> AsyncIterator[str]:
    """Ends for somebody who is signed out or disabled meanwhile: with the next word, which comes
    within a beat."""
    desk, looked = visit.desk, visit.now
    yield "retry: 2000\n\n"
    async for word, number in desk.streams.listen(visit.actor.id):
        now = desk.clock()
        if now - looked >= LOOK_AGAIN:
            looked, actor = now, await identified(visit.request, desk.people)
            if actor is None or actor.id != visit.actor.id:
                return
        yield f"id: {number}\nevent: {word}\ndata: {number}\n\n"

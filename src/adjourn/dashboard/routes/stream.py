"""The stream that tells a page to look again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response, StreamingResponse

from adjourn.access.sessions import by_itself
from adjourn.dashboard.desk import Visit, identified, visit_of
from adjourn.dashboard.streams import TooManyStreamsError
from adjourn.model.actor import EVERY_TENANT

router = APIRouter()

LOOK_AGAIN = timedelta(seconds=5)  # how long an open stream takes who listens for granted


@router.get("/stream", dependencies=[Depends(by_itself)])
async def stream(request: Request) -> Response:
    """Server-sent events `changed` and `beat`. They say that something changed and not what: each
    page asks for what its person may see. An id lets a browser say where it stopped, and whoever
    comes back is told at once to look again."""
    visit = await visit_of(request)
    if visit.desk.streams.full_for(visit.actor.id):
        raise TooManyStreamsError
    return StreamingResponse(_told(visit), media_type="text/event-stream")


async def _told(visit: Visit) -> AsyncIterator[str]:
    """Ends for somebody who is signed out, disabled or moved meanwhile: with the next word, which
    comes within a beat."""
    desk, looked, me = visit.desk, visit.now, visit.actor
    tenant = None if me.tenant == EVERY_TENANT else me.tenant
    yield "retry: 2000\n\n"
    async for word, number in desk.streams.listen(me.id, tenant=tenant):
        now = desk.clock()
        if now - looked >= LOOK_AGAIN:
            looked, actor = now, await identified(visit.request, desk.people)
            if actor is None or (actor.id, actor.tenant) != (me.id, me.tenant):
                return
        yield f"id: {number}\nevent: {word}\ndata: {number}\n\n"

"""Durable Functions' routes about instances."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from adjourn.client.client import PAGE_LIMIT
from adjourn.errors import AdjournError, InstanceFinishedError
from adjourn.model.state import InstanceState
from adjourn.model.status import Status
from adjourn.server.durable import BASE, as_json, status_body, statuses_of
from adjourn.server.history import history_events
from adjourn.server.requests import (
    Words,
    client_of,
    needs,
    origin_of,
    send_event,
    value_of,
)

router = APIRouter(prefix=BASE)

STATUS_RETRY_SECONDS = 5
TOKEN_HEADER = "x-ms-continuation-token"


@router.get("/instances/{id}", dependencies=[needs("instances:read")])
async def get(request: Request, id: str) -> Response:
    words = Words(request)
    state = await client_of(request).get(id)
    body = status_body(state, show_input=words.flag("showInput", True))
    if words.flag("showHistory", False):
        body["historyEvents"] = await _history(request, words, state)
    if not state.status.finished:
        location = f"{origin_of(request)}{BASE}/instances/{id}"
        headers = {"location": location, "retry-after": str(STATUS_RETRY_SECONDS)}
        return Response(as_json(body), 202, headers, "application/json")
    asked = words.flag("returnInternalServerErrorOnFailure", False)
    code = 500 if asked and state.status is Status.FAILED else 200
    return Response(as_json(body), code, None, "application/json")


async def _history(request: Request, words: Words, state: InstanceState) -> list[dict[str, Any]]:
    if state.status is Status.PENDING:
        return []
    return history_events(
        await client_of(request).history(state.id, execution=state.execution),
        show_input=words.flag("showInput", True),
        show_output=words.flag("showHistoryOutput", False),
    )


@router.get("/instances", dependencies=[needs("instances:read")])
async def list_instances(request: Request) -> Response:
    words = Words(request)
    shown = statuses_of(words.texts("runtimeStatus"))
    if shown is None:
        return Response(b"[]", 200, None, "application/json")
    top = words.number("top")
    page = await client_of(request).list(
        statuses=shown,
        id_prefix=words.text("instanceIdPrefix") or "",
        created_from=words.moment("createdTimeFrom"),
        created_to=words.moment("createdTimeTo"),
        limit=min(top or 100, PAGE_LIMIT),
        page_token=words.page_token(request.headers.get(TOKEN_HEADER)),
    )
    show_input = words.flag("showInput", True)
    body = [status_body(state, show_input=show_input) for state in page.instances]
    headers = {TOKEN_HEADER: page.next_token} if page.next_token else None
    return Response(as_json(body), 200, headers, "application/json")


@router.post("/instances/{id}/raiseEvent/{name}", dependencies=[needs("instances:signal")])
async def raise_event(request: Request, id: str, name: str) -> Response:
    """202 for accepted and for duplicate: a sender that repeats itself with the same `eventId`
    is told the same, also after the instance has finished."""
    client = client_of(request)
    state = await client.get(id)
    try:
        data = await value_of(request, typed=True)
    except AdjournError:
        if state.status.finished:  # as in Durable Functions, this is said first
            raise InstanceFinishedError(id, state.status) from None
        raise
    await send_event(request, id, name, data)
    return Response(status_code=202)


@router.post("/instances/{id}/terminate", dependencies=[needs("instances:control")])
async def terminate(request: Request, id: str) -> Response:
    return await _control(request, id, "terminate")


@router.post("/instances/{id}/suspend", dependencies=[needs("instances:control")])
async def suspend(request: Request, id: str) -> Response:
    return await _control(request, id, "suspend")


@router.post("/instances/{id}/resume", dependencies=[needs("instances:control")])
async def resume(request: Request, id: str) -> Response:
    return await _control(request, id, "resume")


async def _control(
    request: Request, id: str, action: Literal["terminate", "suspend", "resume"]
) -> Response:
    client = client_of(request)
    act = {"terminate": client.terminate, "suspend": client.suspend, "resume": client.resume}
    await act[action](id, Words(request).text("reason") or "")
    return Response(status_code=202)


@router.post("/instances/{id}/rewind", dependencies=[needs("instances:control")])
@router.post("/instances/{id}/restart", dependencies=[needs("instances:control")])
@router.delete("/instances/{id}", dependencies=[needs("instances:control")])
async def not_yet(id: str) -> Response:
    """The start body names these, as Durable Functions does. 404 would mean: no such instance."""
    raise HTTPException(501, "Adjourn cannot do this yet; nothing was changed.")

"""Durable Functions' route that starts instances."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from adjourn.errors import InvalidPayloadError
from adjourn.model.codec import NULL
from adjourn.model.status import Status
from adjourn.server.durable import BASE, as_json, start_body, status_body
from adjourn.server.requests import (
    Words,
    asker_of,
    client_of,
    needs,
    origin_of,
    value_of,
    waits_of,
)
from adjourn.server.waits import LONGEST_WAIT

router = APIRouter(prefix=BASE)

START_RETRY_SECONDS = 10


@router.post("/orchestrators/{name}", dependencies=[needs("instances:start")])
async def start(request: Request, name: str) -> Response:
    return await _start(request, name, None)


@router.post("/orchestrators/{name}/{id}", dependencies=[needs("instances:start")])
async def start_with_id(request: Request, name: str, id: str) -> Response:
    return await _start(request, name, id)


async def _start(request: Request, name: str, id: str | None) -> Response:
    """As Durable Functions, a finished instance of this id gets a new execution; its earlier
    history stays. With `timeout` it waits for the end, at most half a minute."""
    words = Words(request)
    patience = words.seconds("timeout", 0, LONGEST_WAIT)
    if words.seconds("pollingInterval", 0, float("inf")) > words.seconds("timeout", 1, 1e9):
        raise InvalidPayloadError("Query 'pollingInterval'", "it is longer than the timeout")
    value = await value_of(request)
    handle = await client_of(request).start(name, value, id=id, on_conflict="replace_finished")
    if patience:
        ended = await _wait(request, handle.id, patience)
        if ended is not None:
            return ended
    body = start_body(origin_of(request), handle.id)
    headers = {"location": body["statusQueryGetUri"], "retry-after": str(START_RETRY_SECONDS)}
    return Response(as_json(body), 202, headers, "application/json")


async def _wait(request: Request, id: str, seconds: float) -> Response | None:
    client = client_of(request)
    key = ("result", id, await asker_of(request), client.for_people)
    ending = await waits_of(request).for_answer(key, lambda: client.ending(id), seconds)
    if ending is None:
        return None
    if ending.status is Status.COMPLETED:
        return Response(bytes(ending.output or NULL), 200, None, "application/json")
    body = status_body(await client.get(id), show_input=True)
    return Response(as_json(body), 200, None, "application/json")

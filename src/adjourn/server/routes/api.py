"""Our own routes: everything that a backend must be able to do, without loss.

Instances, pages and history travel as `adjourn.model` writes them.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from adjourn.access.scopes import scopes_of
from adjourn.engine.messages import OnConflict
from adjourn.errors import InvalidIdError, InvalidPayloadError, ScopeMissingError, one_of
from adjourn.model.approval import ACT, APPROVAL
from adjourn.model.ids import check_instance_id, check_name
from adjourn.model.state import Attribute
from adjourn.server.requests import (
    INTEGER_LIMIT,
    Words,
    actor_of,
    asker_of,
    check_scope,
    client_of,
    form_of,
    json_body,
    needs,
    person_of,
    send_event,
    signs_in,
    value_of,
    waits_of,
)
from adjourn.server.waits import LONGEST_WAIT

router = APIRouter(prefix="/api/v1")

ON_CONFLICT: tuple[OnConflict, ...] = get_args(OnConflict)


class ControlForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: str = ""
    recursive: bool = True


class SettleForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    step: int
    outcome: Literal["completed", "failed", "again"]
    by: str
    result: Any = None
    reason: str = ""


def answer(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, None, "application/json")


@router.post("/instances/{id}", dependencies=[needs("instances:start")])
async def start(request: Request, id: str) -> Response:
    """Start `orchestrator` with the body as input; says whether this call created it."""
    words = Words(request)
    name = words.text("orchestrator") or ""
    on_conflict = words.text("onConflict") or "error"
    if on_conflict not in ON_CONFLICT:
        raise InvalidPayloadError("Query 'onConflict'", f"it is {one_of(ON_CONFLICT)}")
    if on_conflict == "terminate_and_replace":
        await check_scope(request, "instances:control")
    handle = await client_of(request).start(
        check_name("an orchestrator name", name),
        await value_of(request, typed=True),
        id=id,
        on_conflict=on_conflict,
        start_at=words.moment("startAt"),
        tags=words.document("tags", dict[str, str]),
    )
    return answer({"id": handle.id, "created": handle.created}, 201 if handle.created else 200)


@router.get("/instances/{id}", dependencies=[needs("instances:read")])
async def get(request: Request, id: str) -> Response:
    return answer(await client_of(request).get(id))


@router.get("/instances", dependencies=[needs("instances:read")])
async def list_instances(request: Request) -> Response:
    words = Words(request)
    limit = words.number("limit")
    page = await client_of(request).list(
        statuses=words.texts("status"),
        names=words.texts("name"),
        id_prefix=words.text("prefix") or "",
        waiting_for=words.text("waitingFor") or "",
        created_from=words.moment("createdFrom"),
        created_to=words.moment("createdTo"),
        where=_where(words),
        tenant=words.text("tenant"),
        newest_first=words.flag("newestFirst", False),
        limit=100 if limit is None else limit,
        page_token=words.page_token(words.text("page")),
    )
    return answer(page)


def _where(words: Words) -> dict[str, Attribute]:
    where: dict[str, Attribute] = words.document("where", dict[str, Attribute]) or {}
    for value in where.values():
        if isinstance(value, int) and abs(value) > INTEGER_LIMIT:
            raise InvalidPayloadError("Query 'where'", "a number is larger than an attribute holds")
    return where


@router.get("/instances/{id}/history", dependencies=[needs("instances:read")])
async def history(request: Request, id: str) -> Response:
    execution = Words(request).number("execution")
    return answer(await client_of(request).history(id, execution=execution))


@router.get("/instances/{id}/result", dependencies=[needs("instances:read")])
async def result(request: Request, id: str) -> Response:
    """How it ended, with 200; 202 when it has not finished within `wait` seconds."""
    seconds = Words(request).seconds("wait", LONGEST_WAIT, LONGEST_WAIT)
    client = client_of(request)
    check_instance_id(id)
    key = ("result", id, await asker_of(request), client.for_people)
    ended = await waits_of(request).for_answer(key, lambda: client.ending(id), seconds)
    return answer({"finished": False}, 202) if ended is None else answer(ended)


@router.post("/instances/{id}/events/{name:path}", dependencies=[needs("instances:signal")])
async def raise_event(request: Request, id: str, name: str) -> Response:
    data = await value_of(request, typed=True)
    return answer({"answer": await send_event(request, id, name, data)})


@router.post("/instances/{id}/updates/{name:path}", dependencies=[needs("instances:signal")])
async def update(request: Request, id: str, name: str) -> Response:
    """The orchestrator's answer with 200; 202 when it has not answered within `wait` seconds:
    ask again with the same `updateId`."""
    words = Words(request)
    seconds = words.seconds("wait", LONGEST_WAIT, LONGEST_WAIT)
    update_id = words.text("updateId")
    if update_id is None:
        raise InvalidIdError("an update id", "", "query updateId, chosen by you")
    check_instance_id(id)
    check_name("an update name", name)
    check_name("an update id", update_id)
    data = await json_body(request, typed=True)
    client, by = client_of(request), await actor_of(request)
    if name.casefold() == ACT and by is not None and "approvals:act" not in scopes_of(by):
        await _refuse_to_act(request, id)
    if by is not None:  # somebody else's update of this id is another one
        update_id = check_name("an update id", f"{update_id}/{by.id}")
    said = await waits_of(request).for_answer(
        ("update", client.for_people, id, update_id),
        lambda: client.answer(id, name, data, update_id, by=by),
        seconds,
    )
    return answer({"answered": False}, 202) if said is None else answer({"result": said})


async def _refuse_to_act(request: Request, id: str) -> None:
    """Sending updates is one thing; that one kind of them acts on an approval is another."""
    if (await client_of(request).get(id)).name == APPROVAL:
        raise ScopeMissingError("approvals:act")


@router.post("/instances/{id}/suspend", dependencies=[needs("instances:control")])
async def suspend(request: Request, id: str) -> Response:
    form = await form_of(request, ControlForm)
    await client_of(request).suspend(id, form.reason)
    return Response(status_code=204)


@router.post("/instances/{id}/resume", dependencies=[needs("instances:control")])
async def resume(request: Request, id: str) -> Response:
    form = await form_of(request, ControlForm)
    await client_of(request).resume(id, form.reason)
    return Response(status_code=204)


@router.post("/instances/{id}/terminate", dependencies=[needs("instances:control")])
async def terminate(request: Request, id: str) -> Response:
    form = await form_of(request, ControlForm)
    await client_of(request).terminate(id, form.reason, recursive=form.recursive)
    return Response(status_code=204)


@router.post("/instances/{id}/settle", dependencies=[needs("instances:control")])
async def settle(request: Request, id: str) -> Response:
    """Where people sign in, it is whoever sends it who says so, and not who the body names."""
    form = await form_of(request, SettleForm)
    by = (await person_of(request)).id if signs_in(request) else form.by
    await client_of(request).settle(
        id, form.step, form.outcome, by=by, result=form.result, reason=form.reason
    )
    return Response(status_code=204)

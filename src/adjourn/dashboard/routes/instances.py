"""Instances, for who looks after them."""

from __future__ import annotations

from typing import Any, cast, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from adjourn.approvals.text import plain
from adjourn.backends.protocol import SettledAs
from adjourn.dashboard.body import form_of
from adjourn.dashboard.desk import Visit, visit_of
from adjourn.dashboard.drawn import check_drawn_for
from adjourn.dashboard.views.instances import (
    attributes_of,
    instance_facts,
    instance_rows,
    status_chip,
    values_of,
    waits,
)
from adjourn.dashboard.views.story import story, threads_of
from adjourn.errors import HistoryDamagedError, InvalidIdError
from adjourn.model.state import Page
from adjourn.model.status import Status

router = APIRouter(prefix="/instances")

PAGE_ROWS = 50
STORY_LIMIT = 500  # events shown of a long history, the latest ones
SETTLERS = frozenset({"lead", "admin"})


async def _operator(request: Request) -> Visit:
    """Raises: NotSignedInError; HTTPException for roles that do not look behind approvals."""
    visit = await visit_of(request)
    if not visit.operator:
        raise HTTPException(403)
    return visit


@router.get("")
async def instances(request: Request) -> Response:
    """The newest first, by status and by the beginning of their id."""
    visit = await _operator(request)
    params = request.query_params
    status, prefix = params.get("status", ""), params.get("prefix", "").strip()[:200]
    if status not in list(Status):
        status = ""
    page = await _page(visit, status, prefix, params.get("page", ""))
    words = {name: word for name, word in (("status", status), ("prefix", prefix)) if word}
    token = page.next_token
    return visit.page(
        "instances.html",
        title="Instances",
        place="instances",
        rows=instance_rows(page.instances, visit.now),
        statuses=[(each.value, each.value == status) for each in Status],
        prefix=prefix,
        more_href=f"/instances?{urlencode({**words, 'page': token})}" if token else "",
        filtered=bool(words),
    )


async def _page(visit: Visit, status: str, prefix: str, token: str) -> Page:
    conditions: dict[str, Any] = {
        "statuses": [status] if status else [],
        "id_prefix": prefix,
        "newest_first": True,
        "limit": PAGE_ROWS,
    }
    try:
        return await visit.client.list(**conditions, page_token=token or None)
    except InvalidIdError:  # a token that is none
        return await visit.client.list(**conditions)


@router.get("/{id}")
async def instance(request: Request, id: str) -> Response:
    """One instance: what it waits for, what is wrong, and all that happened."""
    visit = await _operator(request)
    state = await visit.client.get(id)
    damage = ""
    entries = []
    try:
        entries = await visit.client.history(id, execution=state.execution)
    except HistoryDamagedError as error:
        damage = str(error)
    threads = threads_of(entries)
    lines = story(entries, visit.now)
    return visit.page(
        "instance.html",
        title=state.id,
        place="instances",
        id=state.id,
        name=plain(state.name),
        state=status_chip(state.status),
        problem=plain(state.problem or ""),
        damage=plain(damage),
        facts=instance_facts(state, visit.now),
        waits=waits(state, threads, visit.now),
        attributes=attributes_of(state),
        values=values_of(state),
        doubts=list(threads.doubts.values()),
        settles=not SETTLERS.isdisjoint(visit.actor.roles),
        lines=lines[-STORY_LIMIT:],
        left_out=max(0, len(lines) - STORY_LIMIT),
        said="Settled." if request.query_params.get("said") == "settled" else "",
    )


@router.post("/{id}/settle")
async def settle(request: Request, id: str) -> Response:
    """Say what became of an activity in doubt."""
    visit = await _operator(request)
    form = await form_of(request)
    check_drawn_for(visit, form, f"/instances/{id}")
    if SETTLERS.isdisjoint(visit.actor.roles):
        raise HTTPException(403)
    outcome, reason = form.words("outcome"), form.words("reason")
    if outcome not in get_args(SettledAs) or not reason:
        raise HTTPException(422, "Say what happened and how you know it.")
    await visit.client.settle(
        id,
        form.number("sequence"),
        cast("SettledAs", outcome),
        by=visit.actor.id,
        reason=reason,
    )
    return RedirectResponse(f"/instances/{id}?said=settled", 303)

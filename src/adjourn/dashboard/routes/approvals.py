"""One approval: its page, its parts, its audit."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from adjourn.access.sessions import by_itself
from adjourn.approvals.audit import Audit, to_csv, to_json
from adjourn.client.approvals import ApprovalView
from adjourn.dashboard.body import Form
from adjourn.dashboard.desk import Visit, Way, visit_of
from adjourn.dashboard.kept import typed_before
from adjourn.dashboard.routes.inbox import rows_of
from adjourn.dashboard.routes.panels import (
    Notice,
    Trouble,
    kept_of,
    notice_of,
    panel_words,
    plain_answer,
    plain_row,
    said_of,
)
from adjourn.dashboard.search import Search
from adjourn.dashboard.views.panel import Draft, execution_of, happened
from adjourn.dashboard.views.rows import RowView, row_view
from adjourn.dashboard.views.words import ENDED, Told
from adjourn.errors import InstanceNotFoundError

router = APIRouter(prefix="/approvals/{id}")

BACK_AGAIN = "Nothing has been sent yet"
LOOK = "What you had typed is below. Look once more, then decide."


@router.get("")
async def approval(request: Request, id: str) -> Response:
    """The page of one approval."""
    visit = await visit_of(request)
    search = Search.of(request.query_params)
    way = visit.way(search.address(), "page")
    tab = request.query_params.get("tab", "")
    if request.query_params.get("kept") == "yes":
        words = await _back_again(visit, id, way, tab)
    else:
        words = await panel_words(visit, id, way, tab)
    notice = await notice_of(visit, request.query_params.get("done", ""), way.back, id)
    said = said_of(request.query_params.get("said", ""))
    return await approval_page(visit, id, search, words, notice=notice, said=said)


async def _back_again(visit: Visit, id: str, way: Way, tab: str) -> dict[str, Any]:
    """The panel for somebody who has signed in again: with what they had typed, not sent."""
    gate = visit.desk.gate
    form = None if gate is None else await typed_before(gate, visit.actor.id, id)
    if form is None:
        return await panel_words(visit, id, way, tab)
    draft = Draft(form)
    words = await panel_words(visit, id, way, tab, draft, Trouble("warn", "edit", BACK_AGAIN, LOOK))
    panel = words["panel"] or words["plain_panel"]
    if not panel.decidable:
        kept = kept_of(draft, getattr(panel, "fields", ()))
        words["trouble"] = Trouble("warn", "edit", BACK_AGAIN, kept=kept)
    return words


async def approval_page(
    visit: Visit,
    id: str,
    search: Search,
    words: dict[str, Any],
    *,
    status: int = 200,
    notice: Notice | None = None,
    said: str = "",
) -> Response:
    """The whole page with these words of its panel."""
    panel = words["panel"] or words["plain_panel"]
    next_row = await next_of(visit, search, id)
    return visit.page(
        "approval.html",
        title=getattr(panel, "title", "Approval"),
        place="inbox",
        status=status,
        notice=notice,
        said=said,
        next_row=next_row,
        **words,
    )


@router.get("/panel")
async def panel(request: Request, id: str) -> Response:
    """The part beside the list."""
    visit = await visit_of(request)
    way = visit.way(Search.of(request.query_params).address(), "inbox")
    words = await panel_words(visit, id, way, request.query_params.get("tab", ""))
    return visit.page("panel.html", title="", **words)


@router.get("/tab")
async def tab(request: Request, id: str) -> Response:
    """The part behind one tab."""
    visit = await visit_of(request)
    params = request.query_params
    surface = "inbox" if params.get("surface") == "inbox" else "page"
    way = visit.way(Search.of(params).address(), surface)
    words = await panel_words(visit, id, way, params.get("tab", ""))
    if words["panel"] is None:
        raise HTTPException(404)
    return visit.page("tabs.html", title="", **words)


@router.get("/news", dependencies=[Depends(by_itself)])
async def news(request: Request, id: str) -> Response:
    """What has changed since the version that a page shows, and how the execution stands, as parts
    in JSON. The page's own form stays as it was: nobody approves what they have not seen."""
    visit = await visit_of(request)
    version = Form(request.query_params.multi_items()).number("version")
    try:
        view = await visit.client.approvals.get(id, by=visit.actor)
    except InstanceNotFoundError:
        return await _plain_news(visit, id, version)
    lines = _since(view, version, visit)
    if view.state.version != version and not lines:
        lines = [Told("Something about it has changed.")]
    over = view.state.status in ENDED
    parts: dict[str, Any] = {"changed": "", "execution": "", "over": bool(lines) and over}
    if lines:
        parts["changed"] = text_of(visit.page("news.html", title="", lines=lines, ended=over))
    execution = execution_of(view)
    if execution is not None:
        part = visit.page("execution.html", title="", execution=execution)
        parts["execution"] = text_of(part)
    return JSONResponse(parts)


async def _plain_news(visit: Visit, id: str, version: int) -> Response:
    row = await plain_row(visit, id)
    if row is not None and row.version == version:
        return JSONResponse({"changed": "", "execution": "", "over": False})
    lines = await plain_answer(visit, id)
    if row is not None:
        lines.append(Told("It waits for another answer now."))
    changed = text_of(visit.page("news.html", title="", lines=lines, ended=True))
    return JSONResponse({"changed": changed, "execution": "", "over": True})


def text_of(part: Response) -> str:
    return bytes(part.body).decode()


def _since(view: ApprovalView, version: int, visit: Visit) -> list[Told]:
    changes = [
        {
            "what": each.what,
            "by": each.by,
            "at": each.at,
            "detail": each.detail,
            "through": each.through,
        }
        for each in view.state.changes
        if each.version > version
    ]
    return happened(changes, visit.names, visit.now)


@router.get("/notice", dependencies=[Depends(by_itself)])
async def notice(request: Request, id: str) -> Response:
    """What became of it, for the bar at the end of the page; 204 when there is nothing to tell."""
    visit = await visit_of(request)
    search = Search.of(request.query_params)
    surface = "inbox" if request.query_params.get("surface") == "inbox" else "page"
    found = await notice_of(visit, id, search.address())
    if found is None:
        return Response(status_code=204)
    way = visit.way(search.address(), surface)
    return visit.page("notice.html", title="", notice=found, way=way)


@router.get("/audit.json")
async def audit_json(request: Request, id: str) -> Response:
    """Everything, the request with its evidence included."""
    audit = await _audit_of(request, id)
    return _download(to_json(audit), "application/json", f"audit-{id}.json")


@router.get("/audit.csv")
async def audit_csv(request: Request, id: str) -> Response:
    """The entries as a table."""
    audit = await _audit_of(request, id)
    return _download(to_csv(audit).encode(), "text/csv; charset=utf-8", f"audit-{id}.csv")


async def _audit_of(request: Request, id: str) -> Audit:
    visit = await visit_of(request)
    view = await visit.client.approvals.get(id, by=visit.actor)
    if not visit.operator:
        raise HTTPException(403)
    return Audit(request=view.request, state=view.state, entries=view.entries)


def _download(body: bytes, kind: str, name: str) -> Response:
    # An id has no character that would need quoting (model.ids).
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(body, headers=headers, media_type=kind)


async def next_of(visit: Visit, search: Search, id: str) -> RowView | None:
    """The row to go on with after this one: the next in its list, else the one before it; what
    somebody else has claimed only where there is nothing else."""
    rows = (await rows_of(visit, search)).rows
    at = next((index for index, row in enumerate(rows) if row.id == id), 0)
    others = [row for row in [*rows[at:], *reversed(rows[:at])] if row.id != id]
    free = [row for row in others if row.holder in ("", visit.actor.id)]
    if not others:
        return None
    return row_view((free or others)[0], search, visit.names, visit.now)


def page_link(id: str, way: Way, **other: str) -> str:
    """The page of an approval, beside the inbox that it belongs to."""
    query = Search.of_text(way.back).address(**other)
    return f"/approvals/{id}" + (f"?{query}" if query else "")

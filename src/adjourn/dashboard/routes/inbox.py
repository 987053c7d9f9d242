"""The inbox: views, rows, and what has changed since."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, Response

from adjourn.access.sessions import by_itself
from adjourn.approvals.authority import no_decider
from adjourn.dashboard.desk import Visit, visit_of
from adjourn.dashboard.routes.panels import notice_of, panel_words, said_of
from adjourn.dashboard.search import AGES, ORDERS, PAGE_ROWS, RISKS, VIEWS, Search
from adjourn.dashboard.views.inbox import (
    conditions,
    count_text,
    empty_of,
    group_choices,
    kinds_of,
    rest,
    view_links,
)
from adjourn.dashboard.views.rows import RowView, row_view, row_views
from adjourn.errors import InstanceNotFoundError, InvalidIdError
from adjourn.model.inbox import InboxPage

router = APIRouter()

SEEN_LIMIT = 200  # rows that one request asks to be brought up to date


@router.get("/")
async def inbox(request: Request) -> Response:
    """The list, with one approval open beside it where the address says so."""
    visit = await visit_of(request)
    params = request.query_params
    search = Search.of(params)
    page = await rows_of(visit, search)
    counts = await visit.client.approvals.counts(search.but().query(visit.actor, visit.now))
    open_id = params.get("open", "")
    rows = row_views(page.rows, search, visit.names, visit.now, open_id)
    words = await _beside(visit, search, open_id, params.get("tab", ""))
    found = words["panel"] is not None or words["plain_panel"] is not None
    notice = await notice_of(visit, params.get("done", ""), search.address())
    count = count_text(counts.get(search.view, 0))
    return visit.page(
        "inbox.html",
        title=VIEWS[search.view] + (f" ({count})" if count else ""),
        place="inbox",
        page_class="has-open" if found else "",
        missing=bool(open_id) and not found,
        notice=notice,
        finished=bool(params.get("done")),
        said=said_of(params.get("said", "")),
        **words,
        **_list_words(visit, search, page, rows),
        views=view_links(search, counts),
    )


async def rows_of(visit: Visit, search: Search) -> InboxPage:
    """One page of rows; a token that is none asks for the first."""
    query = search.query(visit.actor, visit.now)
    try:
        return await visit.client.approvals.inbox(query)
    except InvalidIdError:
        return await visit.client.approvals.inbox(search.but().query(visit.actor, visit.now))


async def _beside(visit: Visit, search: Search, open_id: str, tab: str) -> dict[str, Any]:
    way = visit.way(search.address(), "inbox")
    closed = {"panel": None, "plain_panel": None, "trouble": None, "way": way}
    if not open_id:
        return closed
    try:
        return await panel_words(visit, open_id, way, tab)
    except (InstanceNotFoundError, InvalidIdError):
        return closed


def _list_words(
    visit: Visit, search: Search, page: InboxPage, rows: list[RowView]
) -> dict[str, Any]:
    more = page.next_token
    return {
        "search": search,
        "back": search.address(),
        "view_label": VIEWS[search.view],
        "decides": no_decider(visit.actor) is None,
        "rows": rows,
        "more_href": search.link(page=more) if more else "",
        "more_rows": f"/rows?{search.address(page=more)}" if more else "",
        "live_href": f"/live?{search.address()}",
        "filters": conditions(search, visit.names),
        "clear_href": Search(view=search.view).link(),
        "search_rest": rest(search, "text", "order"),
        "filter_rest": rest(search, "kind", "group", "risk", "amount_from", "amount_to", "age"),
        "orders": list(ORDERS.items()),
        "kinds": kinds_of(rows),
        "groups": group_choices(visit.actor, visit.names),
        "risks": list(RISKS.items()),
        "ages": [(word, label) for word, (label, _, _) in AGES.items()],
        "empty": empty_of(search),
    }


@router.get("/rows")
async def more_rows(request: Request) -> Response:
    """The next rows alone, for the end of a list that is shown already."""
    visit = await visit_of(request)
    search = Search.of(request.query_params)
    page = await rows_of(visit, search)
    first = search.but()
    rows = row_views(page.rows, first, visit.names, visit.now)
    words = _list_words(visit, first, page, rows)
    return visit.page("rows.html", title="", **words)


@router.get("/rows/{id}", dependencies=[Depends(by_itself)])
async def one_row(request: Request, id: str) -> Response:
    """One row as it is now, whether or not the view still has it."""
    visit = await visit_of(request)
    search = Search.of(request.query_params).but()
    found = await visit.client.approvals.get(id, by=visit.actor)
    row = row_view(found.row, search, visit.names, visit.now)
    return HTMLResponse(visit.desk.drawn("list.html", "row", row), headers={"x-mark": row.mark})


@router.get("/live", dependencies=[Depends(by_itself)])
async def live(request: Request) -> Response:
    """The first page of this view as JSON: each row's HTML by key, in order, and the counts. 304
    when nothing of it differs from what `If-None-Match` names."""
    visit = await visit_of(request)
    search = Search.of(request.query_params).but()
    page = await rows_of(visit, search)
    counts = await visit.client.approvals.counts(search.query(visit.actor, visit.now))
    rows = row_views(page.rows, search, visit.names, visit.now)
    body = msgspec.json.encode(
        {
            "rows": [_live_row(visit, row) for row in rows],
            "more": page.next_token is not None,
            "count": count_text(counts.get(search.view, 0)),
            "counts": {view: count_text(counts.get(view, 0)) for view in VIEWS},
            "limit": PAGE_ROWS,
        }
    )
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"etag": tag})
    return Response(body, headers={"etag": tag}, media_type="application/json")


def _live_row(visit: Visit, row: RowView) -> dict[str, str]:
    html = visit.desk.drawn("list.html", "row", row)
    return {"key": row.key, "mark": row.mark, "html": html}

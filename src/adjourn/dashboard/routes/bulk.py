"""Several approvals of one kind and policy, decided one by one from one form."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from adjourn.client.approvals import ApprovalView
from adjourn.dashboard.body import Form, form_of
from adjourn.dashboard.desk import Visit, visit_of
from adjourn.dashboard.drawn import check_drawn_for
from adjourn.dashboard.kept import STALE
from adjourn.dashboard.search import Search
from adjourn.dashboard.views.bulk import (
    BulkView,
    Do,
    Dropped,
    Picked,
    Why,
    bulk_view,
    decided_by,
    done_view,
    left_out,
    picked,
)
from adjourn.errors import (
    AdjournError,
    InstanceNotFoundError,
    InvalidIdError,
    UpdateConflictError,
    UpdateForbiddenError,
)
from adjourn.model.approval import Approve, Reject

router = APIRouter()

ADDRESS_LIMIT = 8_000  # characters: a server reads no address of more than 16,384 bytes

Chosen = list[tuple[Picked, ApprovalView | None]]


@router.get("/bulk")
async def ask(request: Request) -> Response:
    """What would be decided, with total and outliers. Nothing is."""
    visit = await visit_of(request)
    form = Form(request.query_params.multi_items())
    return await _asked(visit, form)


@router.post("/bulk")
async def decide(request: Request) -> Response:
    """When the form says that it is meant, one decision each. What changed meanwhile is left out.
    303 to what became of them; 422 when a reason is missing."""
    visit = await visit_of(request)
    form = await form_of(request)
    do = _do(form)
    items = [("item", item) for item in form.all("item")]
    address = urlencode([("do", do), ("back", form.words("back")), *items])
    check_drawn_for(visit, form, f"/bulk?{address}")
    if form.words("confirm") != "yes":  # a selection that is too long for an address
        return await _asked(visit, form)
    if do == "reject" and not form.words("comment"):
        return await _asked(visit, form, "A rejection needs a reason.")
    done, dropped = await _decide(visit, form, do, await _chosen(visit, form))
    told = [("done", id) for id in done] + [("left", f"{each.why}@{each.id}") for each in dropped]
    words = [("do", do), ("back", form.words("back")), *told]
    link = f"/bulk/done?{urlencode(words)}"
    if len(link) > ADDRESS_LIMIT:
        return await _told(visit, Form(words))
    return RedirectResponse(link, 303)


@router.get("/bulk/done")
async def done(request: Request) -> Response:
    """What became of them, as it is now: a reload says the same."""
    visit = await visit_of(request)
    return await _told(visit, Form(request.query_params.multi_items()))


def _do(form: Form) -> Do:
    match form.words("do"):
        case "approve":
            return "approve"
        case "reject":
            return "reject"
        case _:
            raise HTTPException(422, "Several can be approved or rejected.")


async def _chosen(visit: Visit, form: Form) -> Chosen:
    return [(pick, await _found(visit, pick.id)) for pick in picked(form.all("item"))]


async def _found(visit: Visit, id: str) -> ApprovalView | None:
    try:
        return await visit.client.approvals.get(id, by=visit.actor)
    except (InstanceNotFoundError, InvalidIdError):
        return None


async def _asked(visit: Visit, form: Form, error: str = "") -> Response:
    do, search = _do(form), Search.of_text(form.words("back"))
    chosen = await _chosen(visit, form)
    return visit.page(
        "bulk.html",
        title="Decide several",
        place="inbox",
        status=422 if error else 200,
        bulk=bulk_view(chosen, do, visit.names, visit.desk.hold_above),
        do=do,
        comment=form.text("comment"),
        error=error,
        way=visit.way(search.address(), "inbox"),
        back_href=search.link(),
    )


async def _decide(
    visit: Visit, form: Form, do: Do, chosen: Chosen
) -> tuple[list[str], list[Dropped]]:
    """The ids of those that are decided so now, by this form or before, and the others."""
    mine = [pick.id for pick, view in chosen if view and decided_by(visit.actor.id, do, view)]
    others = [(pick, view) for pick, view in chosen if pick.id not in mine]
    view: BulkView = bulk_view(others, do, visit.names, visit.desk.hold_above)
    views = {pick.id: found for pick, found in others}
    done, dropped = list(mine), list(view.dropped)
    for row in view.rows:
        found = views[row.id]
        why = "gone" if found is None else await _decide_one(visit, form, found, do)
        if why:
            dropped.append(left_out(row.id, why, found))
        else:
            done.append(row.id)
    return done, dropped


async def _decide_one(visit: Visit, form: Form, view: ApprovalView, do: Do) -> Why:
    """Why it was not; empty when it was."""
    state, comment = view.state, form.words("comment")
    action = (
        Approve(version=state.version, comment=comment, digest=state.digest)
        if do == "approve"
        else Reject(version=state.version, reason=comment)
    )
    key = form.key
    action_id = None if key is None else f"{key}-{do}"
    try:
        await visit.client.approvals.act(state.id, action, by=visit.actor, action_id=action_id)
    except UpdateConflictError:
        return "changed"
    except UpdateForbiddenError as error:
        return "sign_in" if error.details.get("rule") == STALE else "barred"
    except AdjournError:
        return "refused"
    return ""


async def _told(visit: Visit, words: Form) -> Response:
    do = _do(words)
    found = [await _found(visit, id) for id in dict.fromkeys(words.all("done"))]
    left: list[Dropped] = []
    for each in dict.fromkeys(words.all("left")):
        why, _, id = each.partition("@")
        left.append(left_out(id, _why(why), await _found(visit, id)))
    results = [done_view(view, do, visit.names, visit.now) for view in found if view]
    page: dict[str, Any] = {
        "do": do,
        "done": results,
        "count": sum(each.stands for each in results),
        "dropped": left,
        "back_href": Search.of_text(words.words("back")).link(),
    }
    return visit.page("bulk_done.html", title="Decided", place="inbox", **page)


def _why(word: str) -> Why:
    match word:
        case "gone" | "changed" | "barred" | "risk" | "other" | "sign_in":
            return word
        case _:
            return "refused"

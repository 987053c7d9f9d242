"""Several approvals of one kind and policy, decided one by one from one form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from adjourn.client.approvals import ApprovalView
from adjourn.dashboard.body import Form, form_of
from adjourn.dashboard.desk import Visit, visit_of
from adjourn.dashboard.search import Search
from adjourn.dashboard.text import one_line, plain
from adjourn.dashboard.views.bulk import BulkView, Dropped, Picked, bulk_view, picked
from adjourn.errors import AdjournError, InstanceNotFoundError, InvalidIdError, UpdateRefusedError
from adjourn.model.approval import Approve, Reject

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Done:
    """One that was decided."""

    href: str
    title: str


@router.post("/bulk")
async def bulk(request: Request) -> Response:
    """First what would be decided, with total and outliers; then, when the form says that it is
    meant, one decision each. What changed meanwhile is dropped and told."""
    visit = await visit_of(request)
    form = await form_of(request)
    do = _do(form)
    chosen = [(pick, await _found(visit, pick)) for pick in picked(form.all("item"))]
    view = bulk_view(chosen, do, visit.names, visit.desk.hold_above)
    if form.words("confirm") != "yes":
        return _asked(visit, form, view, do, "")
    if do == "reject" and not form.words("comment"):
        return _asked(visit, form, view, do, "A rejection needs a reason.")
    done, dropped = await _decide(visit, form, view, do, {pick.id: found for pick, found in chosen})
    return visit.page(
        "bulk_done.html",
        title="Decided",
        place="inbox",
        do=do,
        done=done,
        dropped=[*view.dropped, *dropped],
        back_href=Search.of_text(form.words("back")).link(),
    )


def _do(form: Form) -> Literal["approve", "reject"]:
    match form.words("do"):
        case "approve":
            return "approve"
        case "reject":
            return "reject"
        case _:
            raise HTTPException(422, "Several can be approved or rejected.")


async def _found(visit: Visit, pick: Picked) -> ApprovalView | None:
    try:
        return await visit.client.approvals.get(pick.id, by=visit.actor)
    except (InstanceNotFoundError, InvalidIdError):
        return None


def _asked(visit: Visit, form: Form, view: BulkView, do: str, error: str) -> Response:
    search = Search.of_text(form.words("back"))
    return visit.page(
        "bulk.html",
        title="Decide several",
        place="inbox",
        status=422 if error else 200,
        bulk=view,
        do=do,
        comment=form.text("comment"),
        error=error,
        way=visit.way(search.address(), "inbox"),
        back_href=search.link(),
    )


async def _decide(
    visit: Visit,
    form: Form,
    view: BulkView,
    do: str,
    views: dict[str, ApprovalView | None],
) -> tuple[list[Done], list[Dropped]]:
    shown = set(form.all("digest"))
    done: list[Done] = []
    dropped: list[Dropped] = []
    for row in view.rows:
        found = views[row.id]
        if found is None:
            continue
        if row.digest not in shown:
            dropped.append(Dropped(row.id, row.title, "Its values are not those that you saw."))
            continue
        try:
            await _decide_one(visit, form, found, do)
        except (UpdateRefusedError, AdjournError) as error:
            reason = error.reason if isinstance(error, UpdateRefusedError) else str(error)
            dropped.append(Dropped(row.id, row.title, plain(reason)))
        else:
            done.append(Done(f"/approvals/{row.id}", one_line(row.title)))
    return done, dropped


async def _decide_one(visit: Visit, form: Form, view: ApprovalView, do: str) -> None:
    state, comment, key = view.state, form.words("comment"), form.words("key")
    action = (
        Approve(version=state.version, comment=comment, digest=state.digest)
        if do == "approve"
        else Reject(version=state.version, reason=comment)
    )
    valid = 16 <= len(key) <= 64 and key.isalnum()
    await visit.client.approvals.act(
        state.id, action, by=visit.actor, action_id=f"{key}-{do}" if valid else None
    )

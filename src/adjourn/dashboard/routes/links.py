"""Signed links: the page that one opens, and the decision when its person presses the button.

A link proves nothing about who follows it. Whoever does must be signed in as the person it was made
for, and what they press goes through the same door as a form of ours, with the link's version. The
decision makes a new version, so the same link is stale from then on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import msgspec
from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from adjourn.access.links import Link, LinkRefusedError
from adjourn.approvals.text import plain
from adjourn.client.approvals import ApprovalView
from adjourn.dashboard.body import PREFIX, Form, form_of
from adjourn.dashboard.desk import Visit, visit_of
from adjourn.dashboard.drawn import kept_texts
from adjourn.dashboard.kept import STALE
from adjourn.dashboard.problems import problem_of, problem_page
from adjourn.dashboard.routes.actions import asks_again
from adjourn.dashboard.routes.approvals import page_link
from adjourn.dashboard.routes.panels import Trouble
from adjourn.dashboard.views.act import check_first, field_errors, sent_action
from adjourn.dashboard.views.panel import Draft, panel_view
from adjourn.errors import (
    AdjournError,
    InstanceFinishedError,
    UpdateConflictError,
    UpdateForbiddenError,
    UpdateInvalidError,
    UpdateRefusedError,
    WrongStateError,
)

router = APIRouter()

GONE = 410
OVER = "What it was made for has changed since, or was decided: this is how it stands now."
NO_LINK = (
    "A part of it is missing, or something in it was changed on its way. Copy all of it, or decide "
    "in the inbox."
)


@router.api_route("/links/{token}", methods=["GET", "HEAD"])
async def open_link(request: Request, token: str) -> Response:
    """The page that asks once more. Looking changes nothing, whoever or whatever looks."""
    visit = await visit_of(request)
    found = await _found(visit, token)
    if not isinstance(found, Link):
        return found
    view = await visit.client.approvals.get(found.approval, by=visit.actor)
    if not _stands(found, view):
        return _over(visit, view, _changed())
    return _page(visit, view, found, 200)


@router.post("/links/{token}")
async def follow(request: Request, token: str) -> Response:
    """Do what the link says, once: 303 to the approval. 410 shows how it stands, with nothing
    changed; 422 asks for what is missing."""
    visit = await visit_of(request)
    found = await _found(visit, token)
    if not isinstance(found, Link):
        return found
    form = _bound(await form_of(request), found)
    view = await visit.client.approvals.get(found.approval, by=visit.actor)
    if not _stands(found, view):
        return _over(visit, view, _changed(form))
    by = msgspec.structs.replace(visit.actor, channel="link")
    sent = sent_action(form, view, visit.now, visit.desk.hold_above)
    try:
        if sent.errors:
            check_first(view, sent.action, by, visit.now)
            return _page(visit, view, found, 422, Draft(form, sent.errors))
        await visit.client.approvals.act(
            found.approval, sent.action, by=by, action_id=found.action_id
        )
    except UpdateInvalidError as error:
        return _page(visit, view, found, 422, Draft(form, field_errors(error)))
    except (UpdateRefusedError, WrongStateError, InstanceFinishedError) as error:
        return await _refused(visit, found, form, error)
    link = page_link(found.approval, visit.way(), done=found.approval, said=found.action)
    return RedirectResponse(link, 303)


async def _found(visit: Visit, token: str) -> Link | Response:
    """The link of whoever follows it, else the page that says why it does not count. Of somebody
    else's link nothing is told."""
    links = visit.desk.links
    if links is None:
        raise HTTPException(404)
    try:
        link, ended = await links.read(token), False
    except LinkRefusedError as error:
        if error.link is None:
            return await problem_page(visit.request, 404, "This is no link of ours", NO_LINK)
        link, ended = error.link, True
    if link.person != visit.actor.id:
        heading = "This link was made for somebody else"
        text = (
            "It is of use to that person alone, and tells nobody else what it is about. If that is "
            "you, sign out, and come in by the account that it was made for."
        )
        return await problem_page(visit.request, 403, heading, text)
    if not ended:
        return link
    view = await visit.client.approvals.get(link.approval, by=visit.actor)
    text = "A link lives for some minutes. Decide on the approval's own page."
    return _over(visit, view, Trouble("warn", "clock", "This link has ended", text))


def _stands(link: Link, view: ApprovalView) -> bool:
    """Whether nothing has happened since it was made."""
    return link.version == view.state.version and link.action in view.allowed


def _bound(form: Form, link: Link) -> Form:
    """The form with what the link says in place of what it says itself: no other action, no other
    version, and no field of the proposal.

    Raises: HTTPException (400) for a form of the other action.
    """
    if form.words("do") != link.action:
        raise HTTPException(400, "This link is for something else. Nothing was done.")
    kept = [
        (name, value)
        for name, value in form.items()
        if not name.startswith(PREFIX) and name not in ("do", "version")
    ]
    return Form([*kept, ("do", link.action), ("version", str(link.version))])


async def _refused(visit: Visit, link: Link, form: Form, error: AdjournError) -> Response:
    """How it stands, why this was not done, and what they had written."""
    view = await visit.client.approvals.get(link.approval, by=visit.actor)
    status, heading = problem_of(error)
    if isinstance(error, UpdateConflictError | InstanceFinishedError):
        return _over(visit, view, _changed(form))
    if isinstance(error, UpdateForbiddenError) and error.details.get("rule") == STALE:
        trouble = await asks_again(visit, link.approval, visit.way(), form, error)
    else:
        said = error.reason if isinstance(error, UpdateRefusedError) else str(error)
        trouble = Trouble("no", "lock", heading, f"{plain(said)}")
    if not trouble.sign_in:  # else it waits for them
        trouble = replace(trouble, kept=kept_texts(form))
    return _over(visit, view, trouble, status)


def _changed(form: Form | None = None) -> Trouble:
    kept = [] if form is None else kept_texts(form)
    return Trouble("warn", "swap", "This link is no longer good", OVER, kept=kept)


def _over(visit: Visit, view: ApprovalView, trouble: Trouble, status: int = GONE) -> Response:
    return _page(visit, view, None, status, trouble=trouble)


def _page(
    visit: Visit,
    view: ApprovalView,
    link: Link | None,
    status: int,
    draft: Draft | None = None,
    *,
    trouble: Trouble | None = None,
) -> Response:
    panel = panel_view(view, visit.names, visit.actor, visit.now, visit.desk.hold_above, draft)
    # A link decides on the value as it stands: nothing in it is edited here.
    changed = any(each.changed for each in panel.fields)
    shown = replace(panel, allowed=cast("frozenset[str]", frozenset()), valued=changed)
    return visit.page(
        "link.html",
        title=panel.title,
        place="inbox",
        status=status,
        panel=shown,
        action="" if link is None else link.action,
        trouble=trouble,
        page=f"/approvals/{view.state.id}",
    )

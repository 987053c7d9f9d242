"""The one door through which people act on an approval."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from adjourn.approvals.text import plain
from adjourn.dashboard.body import Form, form_of
from adjourn.dashboard.desk import Visit, Way, visit_of
from adjourn.dashboard.drawn import check_drawn_for
from adjourn.dashboard.kept import STALE, keep_typed
from adjourn.dashboard.problems import problem_of
from adjourn.dashboard.routes.approvals import approval_page, next_of, page_link
from adjourn.dashboard.routes.panels import (
    Trouble,
    kept_of,
    notice_of,
    panel_words,
    plain_answer,
    plain_words,
    said_of,
    still_waits,
)
from adjourn.dashboard.search import Search
from adjourn.dashboard.text import listed
from adjourn.dashboard.times import clock, span
from adjourn.dashboard.views.act import check_first, field_errors, moves_on, sent_action
from adjourn.dashboard.views.panel import Draft, happened, moment_of
from adjourn.dashboard.views.words import ENDED, STATUS
from adjourn.errors import (
    AdjournError,
    InstanceFinishedError,
    UpdateConflictError,
    UpdateForbiddenError,
    UpdateInvalidError,
    UpdateRefusedError,
    WrongStateError,
)
from adjourn.model.approval import Action, Approve, Reject

router = APIRouter()

NEXT_LIMIT = 5  # rows that a page offers to go on with


@router.post("/approvals/{id}/act")
async def act(request: Request, id: str) -> Response:
    """Do what the form says, for whoever sends it. 303 to where they go on; 403, 409 and 422 show
    the approval as it is, with what they typed."""
    visit = await visit_of(request)
    form = await form_of(request)
    surface = "inbox" if form.words("surface") == "inbox" else "page"
    search = Search.of_text(form.words("back"))
    way = visit.way(search.address(), surface)
    again = search.link(open=id) if surface == "inbox" else page_link(id, way)
    check_drawn_for(visit, form, again, id)
    if form.words("event"):
        return await _act_on_event(visit, id, form, search, way)
    view = await visit.client.approvals.get(id, by=visit.actor)
    sent = sent_action(form, view, visit.now, visit.desk.hold_above)
    goes_to = id
    if moves_on(sent.action) and surface == "inbox":
        goes_to = await _goes_on(visit, form, search, id)
    try:
        if sent.errors:
            check_first(view, sent.action, visit.actor, visit.now)
            return await _refused(visit, id, way, 422, _missing(), Draft(form, sent.errors))
        await visit.client.approvals.act(
            id, sent.action, by=visit.actor, action_id=_action_id(form, sent.action)
        )
    except (UpdateRefusedError, WrongStateError, InstanceFinishedError) as error:
        return await _explained(visit, id, way, form, error)
    return await _done(visit, id, goes_to, search, way, form.words("do"))


async def _act_on_event(visit: Visit, id: str, form: Form, search: Search, way: Way) -> Response:
    """The plain form: its version is of the wait, and the event's id makes it count once."""
    await plain_words(visit, id)
    approved, comment = form.words("do") == "approve", form.words("comment")
    if not approved and not comment:
        draft = Draft(form, {"reason": "A rejection needs a reason."})
        return await _refused(visit, id, way, 422, _missing(), draft)
    goes_to = await _goes_on(visit, form, search, id) if way.surface == "inbox" else id
    action = Approve(version=0, comment=comment) if approved else Reject(version=0, reason=comment)
    try:
        await visit.client.approvals.decide_event(
            id,
            approved,
            comment,
            by=visit.actor,
            version=form.number("version"),
            event_id=_action_id(form, action),
        )
    except (UpdateConflictError, InstanceFinishedError):
        title = "That question has been answered or is over; nothing changed"
        trouble = Trouble("warn", "swap", title, lines=await plain_answer(visit, id))
        return await _refused(visit, id, way, 409, trouble, Draft(form))
    except (UpdateRefusedError, WrongStateError) as error:
        return await _explained(visit, id, way, form, error)
    return await _done(visit, id, goes_to, search, way, "event")


async def _goes_on(visit: Visit, form: Form, search: Search, id: str) -> str:
    """What opens after it: the first that the page has next and that still waits; empty for
    nothing."""
    for wanted in form.all("next")[:NEXT_LIMIT]:
        if wanted != id and await still_waits(visit, wanted):
            return wanted
    after = await next_of(visit, search, id)
    return after.id if after else ""


def _action_id(form: Form, action: Action) -> str | None:
    """The form's key with what it asks for: a form that is sent twice counts once, and one that was
    changed before it is sent again is another action."""
    if form.key is None:
        return None
    return f"{form.key}-{hashlib.sha256(msgspec.json.encode(action)).hexdigest()[:16]}"


async def _done(visit: Visit, id: str, goes_to: str, search: Search, way: Way, do: str) -> Response:
    """On to the next page: a redirect, or for the script the part that changes."""
    done = id if do in ("approve", "reject") else ""
    said = "" if visit.partial else do  # the script is told in the answer itself
    if way.surface == "page":
        link = page_link(id, way, done=done, said=said)
    else:
        link = search.link(open=goes_to, done=done, said=said)
    if not visit.partial:
        return RedirectResponse(link, 303)
    notice = await notice_of(visit, done, way.back, id if way.surface == "page" else "")
    words: dict[str, Any] = {"notice": notice, "said": said_of(do)}
    if goes_to:
        words |= await panel_words(visit, goes_to, way, "")
        answer = visit.page("panel.html", title="", **words)
    else:
        answer = visit.page("no_panel.html", title="", way=way, finished=True, **words)
    answer.headers["hx-replace-url"] = link
    return answer


# Refusals.


def _missing() -> Trouble:
    return Trouble(
        "warn",
        "edit",
        "Not sent yet",
        "Something is missing or wrong, and marked below; nothing changed.",
    )


async def _explained(visit: Visit, id: str, way: Way, form: Form, error: AdjournError) -> Response:
    """The approval as it is now, and why it was refused."""
    draft = Draft(form)
    match error:
        case UpdateForbiddenError() if error.details.get("rule") == STALE:
            trouble = await asks_again(visit, id, way, form, error)
        case UpdateForbiddenError():
            text = f"{error.reason} Nothing changed."
            trouble = Trouble("no", "lock", "You may not do this", plain(text))
        case UpdateConflictError():
            trouble = _conflict(visit, error)
        case UpdateInvalidError():
            draft, trouble = Draft(form, field_errors(error)), _missing()
        case _:
            heading = problem_of(error)[1]
            trouble = Trouble("no", "slash", heading, plain(str(error)))
    return await _refused(visit, id, way, problem_of(error)[0], trouble, draft)


async def asks_again(
    visit: Visit, id: str, way: Way, form: Form, error: UpdateForbiddenError
) -> Trouble:
    """They signed in too long ago for this. What they typed waits until they are back."""
    gate = visit.desk.gate
    if gate is None or gate.oidc is None:
        text = "Whoever signs you in does not say when you did. Nothing changed."
        return Trouble("no", "lock", "This needs a sign-in made now", text)
    kept = await keep_typed(gate, visit.actor.id, id, form, visit.now)
    return Trouble(
        "warn",
        "lock",
        "Sign in again to do this",
        f"Whoever approves this has signed in within {_span_of(error)} before. "
        "Nothing changed, and what you typed is kept.",
        sign_in=page_link(id, way, kept="yes" if kept else ""),
    )


def _span_of(error: UpdateForbiddenError) -> str:
    """How fresh a sign-in has to be."""
    within = error.details.get("within")
    return span(timedelta(seconds=within)) if isinstance(within, int | float) else "a short time"


def _conflict(visit: Visit, error: UpdateConflictError) -> Trouble:
    """Who was first, and when."""
    details = error.details
    since = details.get("since", [])
    by = listed([visit.names.you(str(each)) for each in details.get("by", [])])
    at = moment_of(details.get("at"))
    when = None if at is None else clock(at, visit.now)
    who = f" by {by}" if by else ""
    lines = happened(since, visit.names, visit.now)
    if details.get("status") in ENDED:
        title = f"Already {STATUS[details['status']].text.lower()}{who}"
        return Trouble("warn", "swap", title, at=when, lines=lines if len(lines) > 1 else [])
    elif since and since[-1].get("what") == "claimed":
        return Trouble("warn", "swap", f"Claimed{who}", at=when)
    elif since:
        title = "It has changed since you looked; what you sent was not done"
    else:
        title = plain(error.reason)
    return Trouble("warn", "swap", title, lines=lines)


async def _refused(
    visit: Visit, id: str, way: Way, status: int, trouble: Trouble, draft: Draft
) -> Response:
    words = await panel_words(visit, id, way, "", draft, trouble)
    panel = words["panel"] or words["plain_panel"]
    if not panel.decidable:
        kept = kept_of(draft, getattr(panel, "fields", ()))
        words["trouble"] = replace(trouble, kept=kept)
    if visit.partial:
        return visit.page("panel.html", title="", status=status, **words)
    search = Search.of_text(way.back)
    words["way"] = visit.way(way.back, "page")
    return await approval_page(visit, id, search, words, status=status)

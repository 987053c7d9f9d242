"""The supervisors' side: conversations that wait for a person, and answering them."""

from collections.abc import Mapping
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.responses import Response

from adjourn import AdjournError, Authenticator, Client
from support_agent import talking
from support_agent.clock import now
from support_agent.live import Hub
from support_agent.shop import lookup, talks
from support_agent.shop.talks import TalkView
from support_agent.web import undelivered
from support_agent.web.cards import A_PERSON, card_of, order_card
from support_agent.web.forms import form_of, id_in, id_of, new_id
from support_agent.web.identity import may_write
from support_agent.web.site import (
    check_drawn_for,
    make_site,
    page,
    problem,
    read,
    refusal_of,
    sent,
    site_of,
    stream_of,
    wants_part,
)
from support_agent.web.staff import Staff, Visit
from support_agent.web.story import SHOWN_LIMIT, Story, head_of, read_story
from support_agent.web.text import one_line

router = APIRouter()

READ_ONLY = "You may read conversations. Answering customers takes the role of approver or lead."


def create_talks(
    client: Client, hub: Hub, authenticator: Authenticator, tenant: str = ""
) -> FastAPI:
    """The staff's pages over `client`; `authenticator` says who asks, for every request anew. For
    people of another tenant than the shop's nothing is there.

    Whoever mounts it opens the client before and closes it after serving, and calls
    `state.streams.end()` when the server stops.
    """

    def door(root: str, path: str) -> str:
        return f"/{'people' if authenticator.local else 'sign-in'}?back={quote(path)}"

    frame = {"local": authenticator.local}
    app = make_site(client, hub, "staff.html", frame, door=door)
    app.state.people = authenticator
    app.state.tenant = tenant
    app.include_router(undelivered.router)  # first: no talk is called so
    app.include_router(router)
    return app


@router.get("/")
async def waiting(request: Request, visit: Staff) -> Response:
    """Conversations that wait for a person, or are with one; the script asks for the rows alone,
    now and then, whether or not somebody sits there."""
    request.state.by_itself = wants_part(request)

    def look(session: Session) -> Response:
        moment = now()
        found = talks.waiting_for_person(session)
        heads = [head_of(talk, visit.name_of, moment) for talk in found]
        template = "_waiting.html" if wants_part(request) else "waiting.html"
        return page(request, template, title="Conversations", me=visit.me, heads=heads)

    return await read(look)


@router.get("/{talk_id}")
async def talk_page(visit: Staff, talk_id: str) -> Response:
    return await read(lambda session: _page(visit, session, talk_id, new_id()))


@router.get("/{talk_id}/news")
async def news(request: Request, visit: Staff, talk_id: str, after: int = 0) -> Response:
    """The lines behind number `after`, all cards, and who answers: for a page that is open."""
    request.state.by_itself = True

    def look(session: Session) -> Response:
        talk = _talk(session, talk_id)
        story = read_story(session, talk, visit.viewer, now(), after=max(after, 0), limit=None)
        words = {**_words(visit, session, talk, story), "message_id": new_id()}
        return page(request, "news.html", story=story, head=story.head, side=(), **words)

    return await read(look)


@router.get("/{talk_id}/stream")
async def stream(request: Request, visit: Staff, talk_id: str) -> Response:
    """Server-sent events: `changed`, `typing`, `delta`, `beat`."""
    await read(lambda session: _talk(session, talk_id))
    return stream_of(request, talk_id, visit.reader)


@router.post("/{talk_id}/messages")
async def answer(request: Request, visit: Staff, talk_id: str) -> Response:
    """Write to the customer, once for a message id; for whoever has taken the conversation over."""
    form = await _acting(visit, talk_id)
    if not may_write(visit.actor):
        return await _not_done(visit, talk_id, form, 403, READ_ONLY)
    text = form.get("text", "").strip()
    if not text:
        return await _not_done(visit, talk_id, form, 422, "Write something first.")
    client = site_of(request).client
    try:
        said = talking.answer_as_person(client, talk_id, text, id_of(text, form), visit.speaker)
        return await sent(request, talk_id, f"/{talk_id}", said, text)
    except AdjournError as error:
        return await _not_done(visit, talk_id, form, *refusal_of(error))


@router.post("/{talk_id}/hand-back")
async def hand_back(request: Request, visit: Staff, talk_id: str) -> Response:
    """Let the agent answer again."""
    form = await _acting(visit, talk_id)
    if not may_write(visit.actor):
        return await _not_done(visit, talk_id, form, 403, READ_ONLY)
    client = site_of(request).client
    try:
        back = talking.hand_back(client, talk_id, visit.speaker, form["message_id"])
        return await sent(request, talk_id, f"/{talk_id}", back)
    except AdjournError as error:
        return await _not_done(visit, talk_id, form, *refusal_of(error))


async def _acting(visit: Visit, talk_id: str) -> Mapping[str, str]:
    """A form that counts once, about a talk that is there."""
    form = await form_of(visit.request)
    id_in(form, "message_id")
    check_drawn_for(visit.request, form, visit.actor.id, visit.me.name)
    await read(lambda session: _talk(session, talk_id))
    return form


async def _not_done(
    visit: Visit, talk_id: str, form: Mapping[str, str], status: int, words: str
) -> Response:
    """Plain words for the script; for anybody else the page again, with what was typed."""
    if wants_part(visit.request):
        return problem(visit.request, status, "Not done", words)

    def look(session: Session) -> Response:
        typed = form.get("text", "")
        return _page(visit, session, talk_id, form["message_id"], words, typed, status)

    return await read(look)


def _page(
    visit: Visit,
    session: Session,
    talk_id: str,
    message_id: str,
    trouble: str = "",
    typed: str = "",
    status: int = 200,
) -> Response:
    talk = _talk(session, talk_id)
    limit = None if "all" in visit.request.query_params else SHOWN_LIMIT
    story = read_story(session, talk, visit.viewer, now(), limit=limit)
    return page(
        visit.request,
        "staff_talk.html",
        status=status,
        title=f"{story.head.customer}: {story.head.title}",
        story=story,
        head=story.head,
        message_id=message_id,
        trouble=trouble,
        typed=typed,
        **_words(visit, session, talk, story),
    )


def _words(visit: Visit, session: Session, talk: TalkView, story: Story) -> dict[str, object]:
    """What stands beside the lines: who looks, what they may do, and the customer's records."""
    customer = lookup.customer_of(session, talk.customer_id)
    taken = talk.mode == "person"
    holds = taken and talk.holder == visit.actor.id
    asked = [card.id for card in story.cards if card.is_open and card.kind == A_PERSON]
    return {
        "me": visit.me,
        "staff": True,
        "may_write": may_write(visit.actor),
        "holds": holds,
        "writes": may_write(visit.actor) and (holds or (taken and "lead" in visit.actor.roles)),
        "asked_in": asked[-1] if asked else "",
        "email": one_line(customer.email) if customer else "",
        "cases": [card_of(case) for case in lookup.cases_of(session, talk.customer_id)],
        "orders": [order_card(order) for order in lookup.orders_of(session, talk.customer_id)],
    }


def _talk(session: Session, talk_id: str) -> TalkView:
    """Raises: HTTPException (404)."""
    talk = talks.talk_of(session, talk_id)
    if talk is None:
        raise HTTPException(404)
    return talk

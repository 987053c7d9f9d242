"""The customer's pages: write, and see what comes of it. How a customer comes in, `entrance.py`
says."""

from collections.abc import Mapping
from typing import cast
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI, Request
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from adjourn import AdjournError, Authenticator, Client
from support_agent import talking
from support_agent.agent.budget import content_refusal
from support_agent.clock import now
from support_agent.live import Hub
from support_agent.shop import knowledge, lookup, talks
from support_agent.shop.customer_sessions import SignedIn
from support_agent.shop.errors import UnknownCustomer, UnknownTalk
from support_agent.shop.lookup import CustomerView
from support_agent.shop.talks import TalkView
from support_agent.web import identity, linking, switch
from support_agent.web.articles import blocks_of
from support_agent.web.cards import order_card
from support_agent.web.door import Door
from support_agent.web.door import router as door_router
from support_agent.web.door import settings_of as door_settings_of
from support_agent.web.entrance import Customer, Listener, Visitor, entrance_of
from support_agent.web.forms import NEW_ID, form_of, id_in, id_of, new_id
from support_agent.web.site import (
    check_drawn_for,
    make_site,
    page,
    problem,
    read,
    refusal_of,
    root_of,
    sent,
    site_of,
    stream_of,
    wants_part,
)
from support_agent.web.story import SHOWN_LIMIT, Head, Viewer, head_of, read_story
from support_agent.web.streams import Reader
from support_agent.web.switch import Switch
from support_agent.web.text import one_line, plain
from support_agent.web.welcome import examples_for

router = APIRouter()

LONGEST_PREFILL = 500


def create_chat(
    client: Client, hub: Hub, badge: str, people: Authenticator, door: Door | None = None
) -> FastAPI:
    """The customers' pages over `client`. `badge` says which model answers; `people` what those are
    called who take over.

    Where `people` prove who they are, so do customers, at the `door`; without one nobody comes in.
    Where they do not (`people.local`) a visitor says who they are, and no more: for loopback.

    Whoever mounts it opens the client before and closes it after serving, and calls
    `state.streams.end()` when the server stops.
    """
    local = people.local
    frame = {"badge": badge, "local": local}
    home_of_nobody = "/" if local else "/enter"
    app = make_site(
        client, hub, "customer.html", frame, door=lambda root, _: f"{root}{home_of_nobody}"
    )
    app.state.people = people
    app.state.entrance = Switch() if local else door or Door(door_settings_of({}, ""))
    app.include_router(router)
    app.include_router(linking.router)
    app.include_router(switch.router if local else door_router)
    return app


def _viewer(request: Request) -> Viewer:
    people = cast("Authenticator", request.app.state.people)

    def name_of(person: str) -> str:
        found = people.find(person)
        return "" if found is None else one_line(found.name)  # an id is nothing for a customer

    return Viewer("customer", name_of)


@router.get("/")
async def home(request: Request, who: Visitor) -> Response:
    """Signed out: to the door. Signed in: the latest talk, or a new one."""

    def look(session: Session) -> Response:
        if who is None and entrance_of(request).local:
            return switch.welcome(request, session)
        me = _me(session, who)
        latest = talks.talks_of(session, me.id)
        path = f"/talks/{latest[0].id}#end" if latest else "/new"
        return RedirectResponse(root_of(request) + path, 303)

    return await read(look)


@router.get("/new")
async def new_talk(request: Request, who: Customer) -> Response:
    """A talk that begins with its first message. Nothing is kept by looking."""
    return await read(lambda session: _empty_page(request, session, who, new_id(), new_id()))


@router.get("/talks")
async def earlier_talks(request: Request, who: Customer) -> Response:
    def look(session: Session) -> Response:
        me = _me(session, who)
        words = {"me": identity.face_of(me), "side": _side(request, session, me, "")}
        return page(request, "talks.html", title="Your conversations", **words)

    return await read(look)


@router.get("/talks/{talk_id}")
async def talk_page(request: Request, who: Customer, talk_id: str) -> Response:
    return await read(lambda session: _talk_page(request, session, who, talk_id, new_id()))


@router.get("/talks/{talk_id}/news")
async def news(request: Request, who: Customer, talk_id: str, after: int = 0) -> Response:
    """The lines behind number `after`, all cards, and who answers: for a page that is open."""

    def look(session: Session) -> Response:
        me = _me(session, who)
        talk = _own_talk(session, me, talk_id)
        story = read_story(session, talk, _viewer(request), now(), after=max(after, 0), limit=None)
        words = {"me": identity.face_of(me), "side": _side(request, session, me, talk_id)}
        return page(request, "news.html", story=story, head=story.head, staff=False, **words)

    return await read(look)


@router.get("/talks/{talk_id}/stream")
async def stream(request: Request, who: Listener, talk_id: str) -> Response:
    """Server-sent events: `changed`, `typing`, `delta`, `beat`. A page listens before it sends the
    first message, so also to a talk that is yet to begin: its id is known to nobody else."""

    async def still() -> bool:
        """They are signed in, and the talk is theirs or nobody's yet."""
        if await entrance_of(request).who(request, used=False) != who:
            return False
        await read(lambda session: _addressed(session, who, talk_id))
        return True

    await read(lambda session: _addressed(session, who, talk_id))
    return stream_of(request, talk_id, Reader(f"customer {who.customer_id}", who.session, still))


@router.post("/talks/{talk_id}/messages")
async def say(request: Request, who: Customer, talk_id: str) -> Response:
    """Say something, once for a message id. The first message begins the talk."""
    form = await form_of(request)
    id_in(form, "message_id")
    text = form.get("text", "").strip()
    me = await read(lambda session: _me(session, who))
    check_drawn_for(request, form, str(me.id), one_line(me.name))
    me, talk = await read(lambda session: _addressed(session, who, talk_id))
    refusal = content_refusal(text)
    if refusal is not None:
        return await _not_sent(request, who, talk_id, form, 422, refusal.words)
    client = site_of(request).client
    try:
        if talk is None or not talk.title:  # one without a line may have died while it began
            await talking.begin(client, me.id, talk_id)
        said = talking.say(client, talk_id, me.id, text, id_of(text, form))
        return await sent(request, talk_id, f"/talks/{talk_id}", said, text)
    except UnknownTalk:  # somebody else's has got this id meanwhile
        raise HTTPException(404) from None
    except UnknownCustomer:  # removed meanwhile
        raise HTTPException(401) from None
    except talking.Refused as refused:
        again = refused.again_in_seconds
        status, headers = (422, {}) if again is None else (429, {"retry-after": str(again)})
        return await _not_sent(request, who, talk_id, form, status, refused.words, headers)
    except AdjournError as error:
        return await _not_sent(request, who, talk_id, form, *refusal_of(error))


@router.get("/articles/{article_id}")
async def article(request: Request, who: Customer, article_id: str) -> Response:
    """An article of the knowledge base, which the agent has named."""

    def look(session: Session) -> Response:
        me = _me(session, who)
        found = knowledge.article(session, article_id)
        if found is None:
            raise HTTPException(404)
        words = {
            "me": identity.face_of(me),
            "blocks": blocks_of(found.body),
            "version": found.version,
        }
        return page(request, "article.html", title=plain(found.title), **words)

    return await read(look)


async def _not_sent(
    request: Request,
    who: SignedIn,
    talk_id: str,
    form: Mapping[str, str],
    status: int,
    words: str,
    headers: Mapping[str, str] = {},
) -> Response:
    """Plain words for the script; for anybody else the page again, with what was typed."""
    if wants_part(request):
        return problem(request, status, "Not sent", words, headers)

    def look(session: Session) -> Response:
        _, talk = _addressed(session, who, talk_id)
        told = {"trouble": words, "typed": form.get("text", ""), "status": status}
        make = _empty_page if talk is None else _talk_page
        return make(request, session, who, talk_id, form["message_id"], **told)

    answer = await read(look)
    answer.headers.update(headers)
    return answer


def _talk_page(
    request: Request,
    session: Session,
    who: SignedIn,
    talk_id: str,
    message_id: str,
    *,
    trouble: str = "",
    typed: str = "",
    status: int = 200,
) -> Response:
    me = _me(session, who)
    talk = _own_talk(session, me, talk_id)
    limit = None if "all" in request.query_params else SHOWN_LIMIT
    story = read_story(session, talk, _viewer(request), now(), limit=limit)
    return page(
        request,
        "talk.html",
        status=status,
        title=story.head.title,
        me=identity.face_of(me),
        side=_side(request, session, me, talk_id),
        story=story,
        head=story.head,
        staff=False,
        examples=(),
        orders=(),
        message_id=message_id,
        trouble=trouble,
        typed=typed,
    )


def _empty_page(
    request: Request,
    session: Session,
    who: SignedIn,
    talk_id: str,
    message_id: str,
    *,
    trouble: str = "",
    typed: str = "",
    status: int = 200,
) -> Response:
    me = _me(session, who)
    orders = lookup.orders_of(session, me.id, 3)
    moment = now()
    talk = TalkView(talk_id, me.id, me.name, moment, moment, "agent", "", "")
    head = head_of(talk, _viewer(request).name_of, moment)
    prefill = request.query_params.get("say", "")[:LONGEST_PREFILL]
    return page(
        request,
        "talk.html",
        status=status,
        title=head.title,
        me=identity.face_of(me),
        side=_side(request, session, me, talk_id),
        story=None,
        head=head,
        staff=False,
        examples=[(each, _prefilled(each.text)) for each in examples_for(orders)],
        orders=[
            (card, _prefilled(f"Where is my order {card.number}?"))
            for card in map(order_card, orders)
        ],
        message_id=message_id,
        trouble=trouble,
        typed=typed or prefill,
    )


def _prefilled(text: str) -> str:
    return f"new?{urlencode({'say': text})}"


def _side(
    request: Request, session: Session, me: CustomerView, talk_id: str
) -> list[tuple[Head, bool]]:
    """The customer's talks, the latest first, and which one is open."""
    moment, name_of = now(), _viewer(request).name_of
    return [
        (head_of(talk, name_of, moment), talk.id == talk_id)
        for talk in talks.talks_of(session, me.id)
        if talk.title or talk.id == talk_id
    ]


def _addressed(
    session: Session, who: SignedIn, talk_id: str
) -> tuple[CustomerView, TalkView | None]:
    """Who writes, and the talk that they write to; None for one that is yet to begin."""
    me = _me(session, who)
    if talks.talk_of(session, talk_id) is None and NEW_ID.fullmatch(talk_id):
        return me, None
    return me, _own_talk(session, me, talk_id)


def _me(session: Session, who: SignedIn | None) -> CustomerView:
    """Raises: HTTPException (401), also for a customer who has been removed meanwhile."""
    me = None if who is None else lookup.customer_of(session, who.customer_id)
    if me is None:
        raise HTTPException(401)
    return me


def _own_talk(session: Session, me: CustomerView, talk_id: str) -> TalkView:
    """Raises: HTTPException (404), in the same words for one that is somebody else's."""
    talk = talks.talk_of(session, talk_id)
    if talk is None or talk.customer_id != me.id:
        raise HTTPException(404)
    return talk

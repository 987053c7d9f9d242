"""The customer's page: sign in as one of the shop's customers, write, and see what comes of it."""

from collections.abc import Iterable, Mapping
from typing import cast
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI, Request
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from adjourn import AdjournError, Client
from support_agent import talking
from support_agent.agent.budget import content_refusal
from support_agent.clock import now
from support_agent.live import Hub
from support_agent.shop import knowledge, lookup, talks
from support_agent.shop.lookup import CustomerView
from support_agent.shop.talks import TalkView
from support_agent.web import identity, linking
from support_agent.web.articles import blocks_of
from support_agent.web.cards import order_card
from support_agent.web.forms import NEW_ID, form_of, id_in, id_of, new_id
from support_agent.web.identity import Directory
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
from support_agent.web.text import Face, one_line, plain
from support_agent.web.welcome import examples_for

router = APIRouter()

LONGEST_PREFILL = 500


def create_chat(client: Client, hub: Hub, badge: str, people: Directory) -> FastAPI:
    """The customers' pages over `client`. `badge` says which model answers; `people` what those are
    called who take over.

    Whoever mounts it opens the client before and closes it after serving, and calls
    `state.streams.end()` when the server stops. Nobody proves who they are here: for loopback.
    """
    app = make_site(client, hub, "customer.html", {"badge": badge}, door=lambda root, _: f"{root}/")
    app.state.people = people
    app.include_router(router)
    app.include_router(linking.router)
    return app


def _viewer(request: Request) -> Viewer:
    people = cast("Directory", request.app.state.people)

    def name_of(person: str) -> str:
        found = people.find(person)
        return "" if found is None else one_line(found.name)  # an id is nothing for a customer

    return Viewer("customer", name_of)


@router.get("/")
async def home(request: Request) -> Response:
    """Signed out: who are you? Signed in: the latest talk, or a new one."""

    def look(session: Session) -> Response:
        me = identity.customer_in(session, request.cookies)
        if me is None:
            featured, others = identity.customers(session)
            return page(
                request,
                "welcome.html",
                title="Who are you?",
                featured=_faces(featured),
                others=_faces(others),
            )
        latest = talks.talks_of(session, me.id)
        path = f"/talks/{latest[0].id}#end" if latest else "/new"
        return RedirectResponse(root_of(request) + path, 303)

    return await read(look)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Be this customer from now on, in this browser; back to the account that is to be linked."""
    form = await form_of(request)
    given = form.get("customer", "")
    customer = await read(lambda session: identity.customer_named(session, given))
    if customer is None:
        raise HTTPException(404)
    root = root_of(request)
    back = form.get("next", "")
    answer = RedirectResponse(root + (back if linking.PATH.fullmatch(back) else "/"), 303)
    path = root or "/"
    answer.set_cookie(identity.COOKIE, str(customer.id), path=path, httponly=True, samesite="lax")
    return answer


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    await form_of(request)
    root = root_of(request)
    answer = RedirectResponse(f"{root}/", 303)
    answer.delete_cookie(identity.COOKIE, path=root or "/", httponly=True, samesite="lax")
    return answer


@router.get("/new")
async def new_talk(request: Request) -> Response:
    """A talk that begins with its first message. Nothing is kept by looking."""
    return await read(lambda session: _empty_page(request, session, new_id(), new_id()))


@router.get("/talks")
async def earlier_talks(request: Request) -> Response:
    def look(session: Session) -> Response:
        me = _me(session, request)
        words = {"me": identity.face_of(me), "side": _side(request, session, me, "")}
        return page(request, "talks.html", title="Your conversations", **words)

    return await read(look)


@router.get("/talks/{talk_id}")
async def talk_page(request: Request, talk_id: str) -> Response:
    return await read(lambda session: _talk_page(request, session, talk_id, new_id()))


@router.get("/talks/{talk_id}/news")
async def news(request: Request, talk_id: str, after: int = 0) -> Response:
    """The lines behind number `after`, all cards, and who answers: for a page that is open."""

    def look(session: Session) -> Response:
        me = _me(session, request)
        talk = _own_talk(session, me, talk_id)
        story = read_story(session, talk, _viewer(request), now(), after=max(after, 0), limit=None)
        words = {"me": identity.face_of(me), "side": _side(request, session, me, talk_id)}
        return page(request, "news.html", story=story, head=story.head, staff=False, **words)

    return await read(look)


@router.get("/talks/{talk_id}/stream")
async def stream(request: Request, talk_id: str) -> Response:
    """Server-sent events: `changed`, `typing`, `delta`, `beat`. A page listens before it sends the
    first message, so also to a talk that is yet to begin: its id is known to nobody else."""
    await read(lambda session: _addressed(session, request, talk_id))
    return stream_of(request, talk_id)


@router.post("/talks/{talk_id}/messages")
async def say(request: Request, talk_id: str) -> Response:
    """Say something, once for a message id. The first message begins the talk."""
    form = await form_of(request)
    id_in(form, "message_id")
    text = form.get("text", "").strip()
    me = await read(lambda session: _me(session, request))
    check_drawn_for(request, form, str(me.id), one_line(me.name))
    me, talk = await read(lambda session: _addressed(session, request, talk_id))
    refusal = content_refusal(text)
    if refusal is not None:
        return await _not_sent(request, talk_id, form, 422, refusal.words)
    client = site_of(request).client
    try:
        if talk is None or not talk.title:  # one without a line may have died while it began
            await talking.begin(client, me.id, talk_id)
        said = talking.say(client, talk_id, me.id, text, id_of(text, form))
        return await sent(request, talk_id, f"/talks/{talk_id}", said, text)
    except talking.Refused as refused:
        again = refused.again_in_seconds
        status, headers = (422, {}) if again is None else (429, {"retry-after": str(again)})
        return await _not_sent(request, talk_id, form, status, refused.words, headers)
    except AdjournError as error:
        return await _not_sent(request, talk_id, form, *refusal_of(error))


@router.get("/articles/{article_id}")
async def article(request: Request, article_id: str) -> Response:
    """An article of the knowledge base, which the agent has named."""

    def look(session: Session) -> Response:
        me = _me(session, request)
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
        _, talk = _addressed(session, request, talk_id)
        told = {"trouble": words, "typed": form.get("text", ""), "status": status}
        make = _empty_page if talk is None else _talk_page
        return make(request, session, talk_id, form["message_id"], **told)

    answer = await read(look)
    answer.headers.update(headers)
    return answer


def _talk_page(
    request: Request,
    session: Session,
    talk_id: str,
    message_id: str,
    *,
    trouble: str = "",
    typed: str = "",
    status: int = 200,
) -> Response:
    me = _me(session, request)
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
    talk_id: str,
    message_id: str,
    *,
    trouble: str = "",
    typed: str = "",
    status: int = 200,
) -> Response:
    me = _me(session, request)
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


def _faces(found: Iterable[CustomerView]) -> list[Face]:
    return [identity.face_of(each) for each in found]


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
    session: Session, request: Request, talk_id: str
) -> tuple[CustomerView, TalkView | None]:
    """Who writes, and the talk that they write to; None for one that is yet to begin."""
    me = _me(session, request)
    if talks.talk_of(session, talk_id) is None and NEW_ID.fullmatch(talk_id):
        return me, None
    return me, _own_talk(session, me, talk_id)


def _me(session: Session, request: Request) -> CustomerView:
    """Raises: HTTPException (401)."""
    me = identity.customer_in(session, request.cookies)
    if me is None:
        raise HTTPException(401)
    return me


def _own_talk(session: Session, me: CustomerView, talk_id: str) -> TalkView:
    """Raises: HTTPException (404), in the same words for one that is somebody else's."""
    talk = talks.talk_of(session, talk_id)
    if talk is None or talk.customer_id != me.id:
        raise HTTPException(404)
    return talk

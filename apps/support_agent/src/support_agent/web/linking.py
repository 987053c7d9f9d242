"""The page on which a customer says that an account of another channel is theirs."""

import re

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from adjourn import AdjournError
from support_agent.channels.delivery import Word, say_once
from support_agent.channels.open import CALLED
from support_agent.clock import now
from support_agent.shop import reaching
from support_agent.shop.database import shop_database, writing
from support_agent.shop.lookup import CustomerView, customer_of
from support_agent.shop.reaching import Offer
from support_agent.web import cookies, identity
from support_agent.web.entrance import Customer, Visitor, entrance_of
from support_agent.web.forms import form_of
from support_agent.web.site import page, read, root_of, site_of
from support_agent.web.text import one_line

router = APIRouter(prefix="/link")

CODE = re.compile(r"[A-Za-z0-9_-]{20,80}")
PATH = re.compile(rf"/link/{CODE.pattern}")
GREETING = "This account is now linked to {name}. Ask me about your orders and refunds."


@router.get("/{code}")
async def confirm(request: Request, who: Visitor, code: str) -> Response:
    """Whose account is it? Looking changes nothing, and spends no code."""
    local = entrance_of(request).local
    if who is None and not local:
        answer = RedirectResponse(f"{root_of(request)}/enter", 303)
        if CODE.fullmatch(code):
            cookies.keep(answer, cookies.NEXT, f"/link/{code}", cookies.NEXT_SECONDS)
        return answer

    def look(session: Session) -> Response:
        me = None if who is None else customer_of(session, who.customer_id)
        offer = reaching.offered(session, code, now()) if CODE.fullmatch(code) else None
        featured, others = identity.customers(session) if local else ([], [])
        return page(
            request,
            "link.html",
            status=200 if offer is not None else 410,
            title="Link an account",
            code=code,
            me=me and identity.face_of(me),
            offer=offer and (_channel_of(offer), one_line(offer.name)),
            people=[(str(each.id), one_line(each.name)) for each in [*featured, *others]],
        )

    return await read(look)


@router.post("/{code}")
async def link(request: Request, who: Customer, code: str) -> Response:
    """From now on the account is that of whoever is signed in here; the code is spent."""
    await form_of(request)
    me = await read(lambda session: customer_of(session, who.customer_id))
    if me is None:
        raise HTTPException(401)
    offer = await run_in_threadpool(_link, code, me) if CODE.fullmatch(code) else None
    if offer is None:
        return RedirectResponse(f"{root_of(request)}/link/{code}", 303)
    word = Word(offer.address, GREETING.format(name=me.name))
    try:
        await site_of(request).client.start(
            say_once,
            word,
            id=f"linked:{reaching.digest_of(code)[:40]}",
            on_conflict="return_existing",
        )
    except AdjournError:
        pass  # the account is linked; only the greeting is lost
    return await read(
        lambda session: page(
            request,
            "linked.html",
            title="Account linked",
            me=identity.face_of(me),
            channel=_channel_of(offer),
            account=one_line(offer.name),
        )
    )


def _link(code: str, me: CustomerView) -> Offer | None:
    with writing(shop_database()) as session:
        return reaching.link(session, code, me.id, now())


def _channel_of(offer: Offer) -> str:
    return CALLED.get(offer.address.channel, "another channel")

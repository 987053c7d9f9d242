"""The visible switch "who are you?": for this machine only, where nobody signs in.

With sign-in none of this is served: not the list of customers, and not the choice.
"""

from collections.abc import Iterable

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from support_agent.shop.customer_sessions import SignedIn
from support_agent.shop.lookup import CustomerView
from support_agent.web import identity, linking
from support_agent.web.entrance import ANYBODY
from support_agent.web.forms import form_of
from support_agent.web.site import page, read, root_of
from support_agent.web.text import Face

router = APIRouter(dependencies=[ANYBODY])


class Switch:
    """Believes the cookie, which names a customer and proves nothing."""

    local = True

    async def who(self, request: Request, *, used: bool) -> SignedIn | None:
        me = await read(lambda session: identity.customer_in(session, request.cookies))
        return None if me is None else SignedIn(me.id)


def welcome(request: Request, session: Session) -> Response:
    """Who are you?"""
    featured, others = identity.customers(session)
    return page(
        request,
        "welcome.html",
        title="Who are you?",
        featured=_faces(featured),
        others=_faces(others),
    )


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


def _faces(found: Iterable[CustomerView]) -> list[Face]:
    return [identity.face_of(each) for each in found]

"""The way in and out, where people sign in.

Looking never signs anybody in or out. What leads to the provider is a page in between, and no
redirect: browsers hold a form that was sent from our pages to `form-action 'self'` on its way, too.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from adjourn.access import oidc, sessions
from adjourn.access.addresses import own_path
from adjourn.access.gate import Gate
from adjourn.access.oidc import OpenId
from adjourn.access.refusals import SignInRefusedError
from adjourn.dashboard.body import form_of
from adjourn.dashboard.desk import desk_of, page_for_anyone

router = APIRouter()

HERE = ("/sign-in", "/sign-out")


def gate_of(request: Request) -> Gate:
    """Raises: HTTPException (404) where nobody signs in."""
    gate = desk_of(request).gate
    if gate is None:
        raise HTTPException(404)
    return gate


@router.get("/sign-in")
async def look(request: Request) -> Response:
    """The ways in. Nobody is led away by looking."""
    gate = gate_of(request)
    return await page_for_anyone(
        request,
        "sign_in.html",
        title="Sign in",
        provider="" if gate.oidc is None else gate.oidc.provider.name,
        by_proxy=gate.proxy is not None,
        back=_after(request.query_params.get("back", "/")),
        again=request.query_params.get("again") == "yes",
    )


@router.post("/sign-in")
async def begin(request: Request) -> Response:
    """Lead to the provider; with `again`, to prove anew who they are."""
    provider = _provider_of(gate_of(request))
    form = await form_of(request)
    address, cookie = await provider.begin(
        _after(form.words("back") or "/"), again=form.words("again") == "yes"
    )
    answer = await _leads(request, address, provider, "sign_in")
    oidc.set_signing_in(answer, cookie)
    return answer


@router.get(oidc.CALLBACK)
async def finish(request: Request) -> Response:
    """The way back from the provider: whoever began it in this browser is signed in, under a new
    session, and any session that this browser had is over."""
    gate = gate_of(request)
    provider = _provider_of(gate)
    words = request.query_params.multi_items()
    if len(dict(words)) != len(words):
        raise SignInRefusedError("not_begun_here", "a word stands twice in the answer")
    signed_in, back = await provider.finish(request.cookies.get(oidc.COOKIE, ""), dict(words))
    id = await gate.sessions.begin(
        signed_in,
        replaces=request.cookies.get(sessions.COOKIE, ""),
        address=request.client.host if request.client is not None else "",
        browser=request.headers.get("user-agent", ""),
    )
    answer = RedirectResponse(back, 303)
    sessions.set_cookie(answer, id, gate.settings.session.absolute_minutes * 60)
    oidc.clear_signing_in(answer)
    return answer


@router.post("/sign-out")
async def leave(request: Request) -> Response:
    """End the session here first, then at the provider, where it has a place for that."""
    gate = gate_of(request)
    ended = await gate.sessions.end(request.cookies.get(sessions.COOKIE, ""))
    address = ""
    if ended is not None and gate.oidc is not None:
        address = await gate.oidc.sign_out_address(ended)
    request.scope.setdefault("state", {})["actor"] = None  # this page is for nobody any more
    answer: Response = RedirectResponse("/sign-in", 303)
    if address and gate.oidc is not None:
        answer = await _leads(request, address, gate.oidc, "sign_out")
    sessions.clear_cookie(answer)
    return answer


async def _leads(request: Request, address: str, provider: OpenId, way: str) -> Response:
    """The page that leads on to the provider: at once, and by a link where a browser does not."""
    return await page_for_anyone(
        request,
        "sign_in_leads.html",
        title="Signing in" if way == "sign_in" else "Signed out",
        address=address,
        provider=provider.provider.name,
        way=way,
    )


def _provider_of(gate: Gate) -> OpenId:
    """Raises: HTTPException (404) where no provider signs anybody in."""
    if gate.oidc is None:
        raise HTTPException(404)
    return gate.oidc


def _after(given: str) -> str:
    """Where they go on: a path of ours, and not one of these pages again."""
    path = own_path(given)
    return "/" if path.startswith(HERE) else path

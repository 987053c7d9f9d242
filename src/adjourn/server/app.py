"""The application: routes over one client, behind the guard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from fastapi import Depends, FastAPI, HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from adjourn.access.links import Links
from adjourn.access.paths import check_path
from adjourn.access.settings import Access
from adjourn.approvals.people import Authenticator
from adjourn.client.client import Client
from adjourn.engine.clock import SystemClock
from adjourn.errors import RegistrationError
from adjourn.server.access_log import AccessLog
from adjourn.server.bodies import Bodies
from adjourn.server.durable import BASE
from adjourn.server.guard import SAFE_METHODS, Doorway, Guard
from adjourn.server.limits import ByAddress, ByIdentity, Rates
from adjourn.server.problems import OURS, install_problems
from adjourn.server.routes import api, approvals, health, instances, links, orchestrators
from adjourn.server.signin import SignIn
from adjourn.server.waits import Waits


def create_app(
    client: Client,
    authenticator: Authenticator | None = None,
    pages: Mapping[str, ASGIApp] | None = None,
    *,
    access: Access | None = None,
    links_made_by: Links | None = None,
    now: Callable[[], datetime] | None = None,
) -> FastAPI:
    """The HTTP API over `client`, which the caller opens before and closes after serving.

    `pages` are an application's own, by path. Raises: RegistrationError for a path of the API.

    `authenticator` says who sends a request; without one nobody is signed in, and what only people
    may do is refused. Unless it is local, each route answers only whoever has the route's scope.
    Mounted pages find the answer in `scope["state"]["actor"]`, and, where people sign in, as what
    address a request counts in `scope["state"]["address"]`.

    Without `access`, or without a `public_url` in it, nobody signs in: requests to loopback names
    only are answered, and none that act and come from a page of another origin. With one, requests
    to its hosts are, at the rates that it allows. `links_made_by` makes signed links; `now` is the
    clock of rates. It shows no API documents. Raises: WrongAddressError.
    """
    app = FastAPI(
        title="Adjourn", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.client = client
    app.state.waits = Waits()
    app.state.authenticator = authenticator
    app.state.doorway = doorway = Doorway.of(access)
    app.state.links = links_made_by
    rates = Rates((access or Access()).limits, now or SystemClock().now)
    app.state.rates = None if doorway.local else rates
    signs_in = authenticator is not None and not authenticator.local
    install_problems(app, doorway.headers, signs_in=signs_in)
    for module in (orchestrators, instances, approvals, links, api, health):
        app.include_router(module.router, dependencies=[Depends(check_path)])
    check_free(pages or {}, app.routes)
    for path, page in (pages or {}).items():
        app.router.routes.append(Route(path, _Entrance(path, page)))
        app.mount(path, page)
    for prefix in OURS:
        app.mount(prefix, _no_such_route)  # before whatever else is mounted here, as the dashboard
    app.add_middleware(_Trimmed)  # the last that is added is the first that is asked
    if not doorway.local:
        app.add_middleware(ByIdentity, rates=rates)
    app.add_middleware(SignIn, authenticator=authenticator)
    if not doorway.local:
        app.add_middleware(ByAddress, rates=rates)
    app.add_middleware(Bodies)
    app.add_middleware(Guard, doorway=doorway)
    app.add_middleware(AccessLog)  # around all others: what they refuse is logged, too
    return app


def check_free(paths: Iterable[str], own: Sequence[BaseRoute]) -> None:
    """Raises: RegistrationError for pages that would stand before these routes, or be out of reach
    behind them."""
    for path in paths:
        scopes: list[Scope] = [
            {"type": "http", "method": "GET", "path": path + below, "headers": []}
            for below in ("", "/a", "/a/b")
        ]
        answered = (route.matches(scope)[0] for route in own for scope in scopes)
        if path in OURS or any(match is not Match.NONE for match in answered):
            raise RegistrationError(f"{path} is Adjourn's own: mount your pages at another path.")


class _Entrance:
    """Whoever leaves the last slash of a mounted path out is led to its pages all the same; what
    acts is no page, and is answered at once."""

    def __init__(self, path: str, page: ASGIApp) -> None:
        self._path = path
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in SAFE_METHODS:
            await RedirectResponse(f"{self._path}/", 307)(scope, receive, send)
            return
        root = scope.get("root_path", "") + self._path
        inside = {**scope, "root_path": root, "path": f"{root}/"}
        await self._page(inside, receive, send)


async def _no_such_route(scope: Scope, receive: Receive, send: Send) -> None:
    raise HTTPException(404)


class _Trimmed:
    """Durable Functions trims slashes around its routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(BASE + "/"):
            scope["path"] = scope["path"].rstrip("/")
        await self._app(scope, receive, send)

"""The application: routes over one client, behind the guard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fastapi import FastAPI, HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from adjourn.approvals.people import Authenticator
from adjourn.client.client import Client
from adjourn.errors import RegistrationError
from adjourn.server.access_log import AccessLog
from adjourn.server.durable import BASE
from adjourn.server.guard import SAFE_METHODS, Guard
from adjourn.server.problems import install_problems
from adjourn.server.routes import api, approvals, health, instances, orchestrators
from adjourn.server.signin import SignIn
from adjourn.server.waits import Waits

OURS = ("/api", "/runtime")
"""What is below them and no route is answered as a mistake, by the API."""


def create_app(
    client: Client,
    authenticator: Authenticator | None = None,
    pages: Mapping[str, ASGIApp] | None = None,
) -> FastAPI:
    """The HTTP API over `client`, which the caller opens before and closes after serving.

    `pages` are an application's own, by path. Raises: RegistrationError for a path of the API.

    `authenticator` says who sends a request; without one nobody is signed in, and what only people
    may do is refused. Unless it is local, each route answers only whoever has the route's scope.
    Mounted pages find the answer in `scope["state"]["actor"]`.

    It answers no request that acts and comes from a page of another origin. It shows no API
    documents.
    """
    app = FastAPI(
        title="Adjourn", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.client = client
    app.state.waits = Waits()
    app.state.authenticator = authenticator
    install_problems(app)
    for module in (orchestrators, instances, approvals, api, health):
        app.include_router(module.router)
    check_free(pages or {}, app.routes)
    for path, page in (pages or {}).items():
        app.router.routes.append(Route(path, _Entrance(path, page)))
        app.mount(path, page)
    for prefix in OURS:
        app.mount(prefix, _no_such_route)  # before whatever else is mounted here, as the dashboard
    app.add_middleware(_Trimmed)
    app.add_middleware(SignIn, authenticator=authenticator)
    app.add_middleware(Guard)
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

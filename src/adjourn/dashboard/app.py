"""The dashboard as an application that a server mounts at its root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache

from fastapi import Depends, FastAPI
from starlette.datastructures import MutableHeaders
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adjourn.access.gate import Gate
from adjourn.access.links import Links
from adjourn.access.paths import check_path
from adjourn.approvals.people import Authenticator
from adjourn.client.client import Client
from adjourn.dashboard.desk import STATIC, Desk, asset_version, make_pages
from adjourn.dashboard.problems import HEADERS, install_problems
from adjourn.dashboard.routes import (
    account,
    actions,
    approvals,
    bulk,
    inbox,
    instances,
    links,
    people,
    set_up,
    sign_in,
    stream,
)
from adjourn.dashboard.streams import Streams
from adjourn.engine.clock import SystemClock
from adjourn.model.approval import Risk

KEEP = "public, max-age=31536000, immutable"


def create_dashboard(
    client: Client,
    authenticator: Authenticator,
    *,
    hold_above: Risk = "high",
    clock: Callable[[], datetime] | None = None,
    places: Mapping[str, str] | None = None,
    links_made_by: Links | None = None,
) -> FastAPI:
    """The pages over `client`, which the caller opens before and closes after serving. `places` are
    further links in their head, a path by its name. `links_made_by` reads signed links.

    Whoever mounts it keeps requests out that come from a page of another origin: it takes forms as
    they come. A GET changes nothing. When the server stops, `state.streams.end()` lets open
    streams go.
    """
    app = FastAPI(
        title="Adjourn", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.desk = Desk(
        client=client,
        people=authenticator,
        hold_above=hold_above,
        clock=clock or SystemClock().now,
        streams=Streams(client),
        pages=make_pages(cache(asset_version)),
        places=dict(places or {}),
        links=links_made_by,
    )
    app.state.streams = app.state.desk.streams
    install_problems(app)
    pages = [inbox, approvals, actions, bulk, instances, links, people, stream]
    if isinstance(authenticator, Gate):
        pages += [sign_in, set_up, account]
    for module in pages:
        app.include_router(module.router, dependencies=[Depends(check_path)])
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_middleware(_Headers)
    return app


class _Headers:
    """What every answer says to a browser: nothing of other origins, nothing inline, no copies."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kept = scope["path"].startswith("/static/") and scope.get("query_string", b"")

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                good = message["status"] in (200, 304)
                headers["cache-control"] = KEEP if kept and good else "no-store"
            await send(message)

        await self._app(scope, receive, send_with)

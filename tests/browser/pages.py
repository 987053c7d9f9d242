"""Pages for the tests of the rig: one as ours shall be, and one for each fault that it must see.

All are served under the content security policy that the dashboard has.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tests.browser.serving import ROOT

VENDOR = ROOT / "src/adjourn/dashboard/static/vendor"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
START_SECONDS = 10

PAGES = {
    "good": """<p>All is well.</p><img src="/icon.svg" alt="A square">
        <script src="/script/document.body.dataset.ran = 'yes'"></script>""",
    "scripted": """<script src="/vendor/htmx.min.js"></script>
        <button hx-get="/conflict" hx-target="#answer">Ask</button><p id="answer"></p>""",
    "inline-script": "<script>document.title = 'taken'</script>",
    "inline-style": '<p style="color: red">Red.</p>',
    "console-error": """<script src="/script/console.error('it broke')"></script>""",
    "uncaught": """<script src="/script/throw new Error('it flew')"></script>""",
    "rejected": """<script src="/script/Promise.reject(new Error('it fell'))"></script>""",
    "dialog": """<script src="/script/alert('hear me')"></script>""",
    "outside-image": '<img src="http://192.0.2.1/a.png" alt="A square">',
    "outside-link": '<a href="http://{elsewhere}/page/good">Elsewhere</a>',
    "missing": '<img src="/missing.png" alt="Nothing">',
    "nameless-button": "<button></button>",
    "pale-text": '<link rel="stylesheet" href="/pale.css"><p>Hard to read.</p>',
    "cookie": "<p>Who: {cookie}</p>",
}


def page(request: Request) -> Response:
    name = request.path_params["name"]
    body = PAGES[name].replace("{cookie}", request.headers.get("cookie", "nobody"))
    # Browsers take every name under localhost for this machine: the one address that is not ours
    # by the rules and would answer even where there is no network.
    body = body.replace("{elsewhere}", f"elsewhere.localhost:{request.url.port}")
    html = (
        '<!doctype html><html lang="en"><head><title>A page</title>'
        f'<link rel="icon" href="/icon.svg"></head><body><main><h1>{name}</h1>{body}</main></body>'
    )
    return HTMLResponse(html, headers={"content-security-policy": POLICY})


def icon(request: Request) -> Response:
    square = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0 0h1v1H0z"/></svg>'
    )
    return Response(square, media_type="image/svg+xml")


def script(request: Request) -> Response:
    return Response(request.path_params["source"], media_type="text/javascript")


def pale(request: Request) -> Response:
    return Response("p { color: #ccc; background: #fff }", media_type="text/css")


def conflict(request: Request) -> Response:
    return PlainTextResponse("taken", status_code=409)


ROUTES = [
    Mount("/vendor", StaticFiles(directory=VENDOR)),
    Route("/page/{name}", page),
    Route("/icon.svg", icon),
    Route("/pale.css", pale),
    Route("/script/{source:path}", script),
    Route("/conflict", conflict),
]


class Server(uvicorn.Server):
    """Says when it serves."""

    def __init__(self) -> None:
        super().__init__(uvicorn.Config(Starlette(routes=ROUTES), ws="none", log_config=None))
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def served() -> Iterator[str]:
    """The address of a server in a thread of this process."""
    server = Server()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            assert server.ready.wait(START_SECONDS)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            thread.join(START_SECONDS)
            assert not thread.is_alive()

"""What both applications are made of: templates, headers, streams, and words for trouble."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import (
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adjourn import (
    AdjournError,
    Client,
    InstanceFinishedError,
    InstanceNotFoundError,
    UpdateConflictError,
    UpdateForbiddenError,
    UpdateInvalidError,
    UpdateRefusedError,
)
from support_agent.live import Changed, Hub, Piece
from support_agent.shop.database import reading, shop_database
from support_agent.web.forms import new_id
from support_agent.web.streams import Reader, Streams
from support_agent.web.text import plain

HERE = Path(__file__).parent
STATIC = HERE / "static"
KEEP = "public, max-age=31536000, immutable"
PART = "x-part"
"""A header that the script sends where a part or plain words answer it better than a page."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SHOWN_SECONDS = 2.0  # how long a browser without scripts waits for its own line
ANSWER_SECONDS = 20.0  # the script waits longer, so that it gets to read our words

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    # An address may hold a ticket or a code: a browser tells it to nobody, nor to our own log. With
    # "no-referrer" it would say `Origin: null` when a form is sent, as for a stranger's page.
    "referrer-policy": "strict-origin",
}
"""What every answer says to a browser: nothing of other origins, nothing inline."""

TOLD = {
    400: ("This form is not whole", "Reload the page and send it again."),
    401: ("Nobody is signed in", "Sign in first."),
    403: ("You may not do this", ""),
    404: ("There is nothing here", "It does not exist, or you may not see it."),
    405: ("There is nothing here", "This address answers other requests only."),
    408: ("It took too long", "Send it again."),
    409: ("You are somebody else now", ""),
    413: ("That is too much", "That message is too long."),
    415: ("This form is not whole", "Reload the page and send it again."),
    503: ("Customers cannot come in yet", ""),
}


class NotAnsweredError(AdjournError):
    """A conversation did not say in time whether it takes what was sent."""

    def __init__(self) -> None:
        super().__init__(
            "The conversation does not answer, so it is not known whether this was taken. "
            "Send it again in a moment: it counts once."
        )


STATUS: Mapping[type[AdjournError], int] = {
    NotAnsweredError: 503,
    UpdateForbiddenError: 403,
    InstanceNotFoundError: 404,
    UpdateConflictError: 409,
    UpdateInvalidError: 422,
    UpdateRefusedError: 409,
    InstanceFinishedError: 409,
}
"""By class; a class that is not here is answered as the nearest one that it derives from, and any
other with 503: the engine could not take it."""
NOT_TAKEN = "It could not be sent: the other side does not answer. Try again in a moment."

T = TypeVar("T")
logger = logging.getLogger(__name__)


Door = Callable[[str, str], str]
"""From where the application is mounted, and the path that was asked for, to an address."""


@dataclass(frozen=True)
class Site:
    """What one application is made of."""

    client: Client
    hub: Hub
    streams: Streams
    pages: Environment
    layout: str
    """The template that all its pages extend."""
    frame: Mapping[str, Any]
    """Words that every page of it shows."""
    door: Door
    """Where somebody goes who is not signed in."""


def make_site(
    client: Client, hub: Hub, layout: str, frame: Mapping[str, Any], *, door: Door
) -> FastAPI:
    """An application without pages of its own yet. `state.streams.end()` lets open streams go."""
    app = FastAPI(
        title="Support", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.streams = Streams(hub)
    app.state.site = Site(client, hub, app.state.streams, _templates(), layout, frame, door)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(AdjournError, _not_taken)
    app.add_exception_handler(Exception, _broken)
    app.add_middleware(_Shield)
    return app


def site_of(request: Request) -> Site:
    return cast("Site", request.app.state.site)


def wants_part(request: Request) -> bool:
    """Whether the script asks, and not a person's browser for a page."""
    return request.headers.get(PART) == "yes"


async def read(look: Callable[[Session], T]) -> T:
    """What `look` finds in the records, without holding up the pages of others."""

    def find() -> T:
        with reading(shop_database()) as session:
            return look(session)

    return await run_in_threadpool(find)


def root_of(request: Request) -> str:
    """Where the application is mounted: "/chat"."""
    return cast("str", request.scope.get("root_path", ""))


def page(request: Request, template: str, *, status: int = 200, **words: Any) -> Response:
    """The template as an answer. Words that it does not get are an error, not nothing."""
    site = site_of(request)
    root = root_of(request)

    def asset(name: str) -> str:
        return f"{root}/static/{name}?v={_version(name)}"

    here = quote(request.url.path)
    frame = {"layout": site.layout, "root": root, "here": here, "asset": asset, "me": None}
    frame["taken"] = "taken" in request.query_params
    frame |= site.frame
    return HTMLResponse(site.pages.get_template(template).render(frame | words), status)


def stream_of(request: Request, talk_id: str, reader: Reader) -> Response:
    """The talk's stream. Who may listen is for the caller to check, and `reader.still` checks it
    again as long as they do."""
    streams = site_of(request).streams
    if not streams.has_room(reader):
        return PlainTextResponse("Too many pages listen. Reload this one to see news.", 429)
    # Asked of nginx, which else keeps events until it has a page of them.
    headers = {"x-accel-buffering": "no"}
    return StreamingResponse(streams.events(talk_id, reader), 200, headers, "text/event-stream")


def check_drawn_for(request: Request, form: Mapping[str, str], id: str, name: str) -> None:
    """All tabs of a browser act as the same person: what a page sends that was drawn for another
    does not count. The form only says for whom that was; who acts is known from elsewhere.

    Raises: HTTPException (409), with what was written where no script keeps it.
    """
    if form.get("as", id) == id:
        return
    words = f"This page was opened as somebody else. You are {name} now, so nothing was done."
    if form.get("text") and not wants_part(request):
        words += f" You had written: {plain(form['text'])}"
    raise HTTPException(409, words)


async def in_time(work: Awaitable[None]) -> None:
    """Wait for `work`, but not for ever: a conversation whose code no longer fits its history keeps
    what comes and answers nobody until it is repaired. Raises: NotAnsweredError."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await work
    except TimeoutError:
        raise NotAnsweredError from None


async def sent(
    request: Request, talk_id: str, page_path: str, work: Awaitable[None], text: str = ""
) -> Response:
    """Do the `work` that sends something, and answer it. Raises: NotAnsweredError, and as `work`.

    It stands in the records a moment after it was taken. The script shows `text` meanwhile, as it
    will stand; without a script the page is shown once it stands there, or says that it was taken.
    """
    if wants_part(request):
        await in_time(work)
        return PlainTextResponse(plain(text), 202)
    async with site_of(request).hub.listening(talk_id) as pieces:
        await in_time(work)
        query = "" if await _shown_soon(pieces) else "?taken=1"
    return RedirectResponse(f"{root_of(request)}{page_path}{query}#end", 303)


async def _shown_soon(pieces: AsyncIterator[Piece]) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(SHOWN_SECONDS):
            async for piece in pieces:
                if isinstance(piece, Changed):
                    return True
    return False


def refusal_of(error: AdjournError) -> tuple[int, str]:
    """The status of an answer, and its words."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind], plain(error)
    logger.error("The engine took nothing: %s", type(error).__name__)
    return 503, NOT_TAKEN


def problem(
    request: Request, status: int, heading: str, words: str, headers: Mapping[str, str] = {}
) -> Response:
    """What went wrong: plain words for the script, a page for anybody else."""
    if wants_part(request):
        answer: Response = PlainTextResponse(words, status)
    else:
        told = {"title": heading, "heading": heading, "words": words, "code": status}
        told["door"] = site_of(request).door(root_of(request), request.url.path)
        answer = page(request, "problem.html", status=status, **told)
    answer.headers.update(headers)
    return answer


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 401 and request.method in SAFE_METHODS and not wants_part(request):
        return RedirectResponse(site_of(request).door(root_of(request), request.url.path), 303)
    heading, words = TOLD.get(error.status_code, ("Something went wrong", ""))
    if not words or error.status_code == 403:
        words = str(error.detail)
    return problem(request, error.status_code, heading, words)


async def _unreadable(request: Request, error: Exception) -> Response:
    """A number in an address that is none: in our words, without what was sent."""
    return problem(request, 400, "This address is not whole", "Go back and follow the link again.")


async def _not_taken(request: Request, error: Exception) -> Response:
    assert isinstance(error, AdjournError)
    status, words = refusal_of(error)
    return problem(request, status, "It was not taken", words)


async def _broken(request: Request, error: Exception) -> Response:
    log_id = new_id()[:12]
    logger.error("Request %s went wrong.", log_id)
    words = f"Something went wrong inside. The log names it {log_id}; reload the page to go on."
    return problem(request, 500, "Something went wrong", words, HEADERS)


@cache
def _version(name: str) -> str:
    """A word that changes with the file, so that browsers may keep it."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def _templates() -> Environment:
    """Everything is escaped, and a name that nobody gave is an error."""
    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


class _Shield:
    """What acts must come from a page of this origin, wherever we are mounted; and every answer
    says to browsers what they may do with it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        kept = path.startswith("/static/") and scope.get("query_string", b"")

        async def send_shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                good = message["status"] in (200, 304)
                headers["cache-control"] = KEEP if kept and good else "no-store"
            await send(message)

        if scope["method"] not in SAFE_METHODS and not _from_here(Headers(scope=scope)):
            answer = PlainTextResponse("A page of another origin may not act here.", 403)
            await answer(scope, receive, send_shielded)
            return
        await self._app(scope, receive, send_shielded)


def _from_here(headers: Headers) -> bool:
    if headers.get("sec-fetch-site") not in (None, "same-origin", "none"):
        return False
    hosts = [f"{scheme}://{headers.get('host', '').lower()}" for scheme in ("http", "https")]
    return all(origin.lower() in hosts for origin in headers.getlist("origin"))

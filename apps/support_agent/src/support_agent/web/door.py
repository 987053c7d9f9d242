"""Customers come in from the shop's own website, where they are signed in already.

The shop sends them to `/chat/enter?ticket=...`. That page says as whom they go on and has one
button: looking spends nothing, so that a mail scanner, a preview or a reload costs nobody their way
in, and whoever was sent somebody else's ticket sees the other's name before anything happens. The
button sends the ticket in a form, which spends it and begins a session.

A form that the shop's page would send by itself comes from another origin, and nothing that does
may act here. So the ticket stands in one address: it is short-lived, counts once, and goes nowhere
from there. docs/support-on-a-network.md says how to keep it out of a proxy's log.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from support_agent import clock
from support_agent.shop import customer_sessions, lookup
from support_agent.shop.customer_sessions import LONGEST, SignedIn
from support_agent.shop.database import shop_database, writing
from support_agent.shop.errors import TicketSpent
from support_agent.shop.lookup import CustomerView
from support_agent.shop.records import Customer as CustomerRecord
from support_agent.web import cookies, linking, tickets
from support_agent.web.entrance import ANYBODY, entrance_of
from support_agent.web.forms import form_of
from support_agent.web.rates import Rate
from support_agent.web.site import page, read, root_of, site_of
from support_agent.web.text import one_line
from support_agent.web.tickets import Ticket, TicketRefused, read_ticket

router = APIRouter(dependencies=[ANYBODY])
logger = logging.getLogger(__name__)

SECRET = "SUPPORT_CUSTOMER_SECRET"
SHOP_URL = "SUPPORT_SHOP_URL"
SHORTEST_SECRET = 32  # characters: 256 bits, as hexadecimal digits are twice that

REFUSED_A_MINUTE = 30
NO_ORDERS = "The shop has sent you, and we have no orders under your address yet."


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """What the door must know. With a `trouble` nobody comes in."""

    secrets: tuple[str, ...] = field(default=(), repr=False)
    public_url: str = ""
    """Of this server, without a slash at its end: a ticket must be for it."""
    shop_url: str = ""
    """Where customers get a ticket, for those who come without one."""
    trouble: str = ""
    """What whoever runs this has to set; holds no secret."""


def settings_of(environ: Mapping[str, str], public_url: str) -> DoorSettings:
    """The settings in `environ`; what is wrong with them is their `trouble`."""
    secrets = tuple(environ.get(SECRET, "").replace(",", " ").split())
    shop_url = environ.get(SHOP_URL, "").strip()
    trouble = ""
    if not secrets:
        trouble = f"{SECRET} is not set: give it the secret by which the shop signs its tickets."
    elif any(len(each) < SHORTEST_SECRET for each in secrets):
        trouble = f"{SECRET} is too short: a secret has {SHORTEST_SECRET} characters at least."
    elif not public_url:
        trouble = "Nothing says where browsers reach this server: a ticket could be for any."
    elif shop_url and not _is_address(shop_url):
        trouble = f"{SHOP_URL} is no https address."
    return DoorSettings(secrets, public_url, shop_url, trouble)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        plain = parts.username is None and parts.port != 0 and "\\" not in url and url.isprintable()
    except ValueError:
        return False
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return bool(plain and parts.hostname) and parts.scheme in (("https", "http")[: 1 + here])


class Door:
    """Knows customers by the session that their ticket began."""

    local = False

    def __init__(self, settings: DoorSettings, now: Callable[[], datetime] = clock.now) -> None:
        self.settings = settings
        self.now = now
        self.refusals = Rate(REFUSED_A_MINUTE)
        if settings.trouble:
            logger.error("No customer can come in. %s", settings.trouble)

    def check_open(self) -> None:
        """Raises: HTTPException (503)."""
        if self.settings.trouble:
            raise HTTPException(503, self.settings.trouble)

    async def who(self, request: Request, *, used: bool) -> SignedIn | None:
        self.check_open()
        id = request.cookies.get(cookies.SESSION, "")
        if not id:
            return None
        found = await read(lambda session: customer_sessions.find(session, id, self.now()))
        if found is None:
            return None
        if used and found.stale:
            await run_in_threadpool(self._mark, found.who)
        return found.who

    def _mark(self, who: SignedIn) -> None:
        with writing(shop_database()) as session:
            customer_sessions.mark_seen(session, who, self.now())

    # Coming in.

    def look(self, session: Session, given: str) -> tuple[Ticket, CustomerView]:
        """Whose ticket it is. Nothing is spent. Raises: TicketRefused."""
        ticket = self._read(given)
        if customer_sessions.is_spent(session, ticket.id):
            raise TicketRefused("it is spent", tickets.SPENT)
        return ticket, _customer_of(session, ticket)

    def enter(self, given: str, replaces: str) -> str:
        """Spend the ticket; the id of the session that begins. Raises: TicketRefused."""
        ticket = self._read(given)
        try:
            with writing(shop_database()) as session:
                customer = _customer_of(session, ticket)
                customer_sessions.spend(session, ticket.id, ticket.ends_at, self.now())
                return customer_sessions.begin(session, customer.id, self.now(), replaces=replaces)
        except TicketSpent:
            raise TicketRefused("it is spent", tickets.SPENT) from None

    def _read(self, given: str) -> Ticket:
        settings = self.settings
        return read_ticket(given, settings.secrets, settings.public_url, self.now())

    def leave(self, id: str) -> None:
        with writing(shop_database()) as session:
            customer_sessions.end(session, id)


def _customer_of(session: Session, ticket: Ticket) -> CustomerView:
    """Raises: TicketRefused."""
    id = session.scalar(select(CustomerRecord.id).where(CustomerRecord.email == ticket.email))
    found = None if id is None else lookup.customer_of(session, id)
    if found is None:
        raise TicketRefused("its sub is nobody on record", NO_ORDERS)
    return found


@router.get("/enter")
async def look(request: Request, ticket: str = "") -> Response:
    """As whom does one go on? Changes nothing, and spends no ticket."""
    door = _door_of(request)
    if not ticket:
        return _page(request, 200, "Sign in at the shop", "")
    try:
        _, customer = await read(lambda session: door.look(session, ticket))
    except TicketRefused as refused:
        return _refused(request, refused)
    return _page(request, 200, "Go on to the support chat", "", ticket, customer)


@router.post("/enter")
async def enter(request: Request) -> Response:
    """Spend the ticket and be signed in; a session that this browser had before has ended."""
    door = _door_of(request)
    form = await form_of(request)
    before = request.cookies.get(cookies.SESSION, "")
    try:
        id = await run_in_threadpool(door.enter, form.get("ticket", ""), before)
    except TicketRefused as refused:
        return _refused(request, refused)
    _end_streams(request, before)
    wanted = request.cookies.get(cookies.NEXT, "")
    path = wanted if linking.PATH.fullmatch(wanted) else "/"
    answer = RedirectResponse(root_of(request) + path, 303)
    cookies.keep(answer, cookies.SESSION, id, int(LONGEST.total_seconds()))
    if wanted:
        cookies.drop(answer, cookies.NEXT)
    return answer


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """The session ends here and on the server; whoever has copied its cookie is nobody, too."""
    door = _door_of(request)
    await form_of(request)
    before = request.cookies.get(cookies.SESSION, "")
    await run_in_threadpool(door.leave, before)
    _end_streams(request, before)
    answer = RedirectResponse(f"{root_of(request)}/enter", 303)
    cookies.drop(answer, cookies.SESSION)
    return answer


def _door_of(request: Request) -> Door:
    """Raises: HTTPException (503)."""
    door = cast("Door", entrance_of(request))
    door.check_open()
    return door


def _refused(request: Request, refused: TicketRefused) -> Response:
    """In words; in fewer, for an address from which too many came. A good ticket is not counted:
    many customers may have one address, and nobody shuts the door for the others."""
    if not _door_of(request).refusals.takes(request):
        words = "Too many ways in were tried from here. Wait a minute."
        return PlainTextResponse(words, 429, {"retry-after": "60"})
    logger.warning("A customer's ticket was refused: %s.", refused.why)
    return _page(request, 403, "This link does not work", refused.words)


def _page(
    request: Request,
    status: int,
    title: str,
    words: str,
    ticket: str = "",
    customer: CustomerView | None = None,
) -> Response:
    return page(
        request,
        "enter.html",
        status=status,
        title=title,
        words=words,
        ticket=ticket,
        name=one_line(customer.name) if customer else "",
        email=one_line(customer.email) if customer else "",
        shop=_door_of(request).settings.shop_url,
    )


def _end_streams(request: Request, id: str) -> None:
    site_of(request).streams.end_those_of(customer_sessions.digest_of(id))

"""What did not go out by a channel: seen by the staff, and sent again when they say so."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from adjourn import AdjournError, Client, Notice, watcher_id
from support_agent.channels.delivery import outbox_of
from support_agent.clock import now
from support_agent.shop import reaching, talks
from support_agent.shop.database import shop_database, writing
from support_agent.shop.reaching import Sent
from support_agent.web.forms import form_of
from support_agent.web.identity import may_write
from support_agent.web.site import page, read, root_of, site_of
from support_agent.web.staff import Visit, visit_of
from support_agent.web.text import When, ago, one_line

router = APIRouter(prefix="/undelivered")

CHANNELS = {"teams": "Microsoft Teams"}
MAY_NOT_SEND = "Sending again takes the role of approver or lead."


@dataclass(frozen=True, slots=True)
class Lost:
    """One message that did not go out."""

    key: str
    what: str
    href: str
    """Where what it is about stands."""
    channel: str
    trouble: str
    failed: bool
    """For good; otherwise it is tried again by itself."""
    at: When


@router.get("")
async def undelivered(request: Request) -> Response:
    """The latest first."""
    visit = await visit_of(request)

    def look(session: Session) -> Response:
        found = [_lost(session, visit, sent) for sent in reaching.in_trouble(session)]
        writes = may_write(visit.actor)
        return page(
            request,
            "undelivered.html",
            title="Not delivered",
            me=visit.me,
            lost=found,
            writes=writes,
        )

    return await read(look)


@router.post("")
async def send_again(request: Request) -> Response:
    """Try one again that has failed for good. Twice is once."""
    visit = await visit_of(request)
    if not may_write(visit.actor):
        raise HTTPException(403, MAY_NOT_SEND)
    form = await form_of(request)
    sent = await run_in_threadpool(_revive, form.get("key", ""))
    if sent is not None:
        await _tell(site_of(request).client, sent)
    return RedirectResponse(f"{root_of(request)}/undelivered", 303)


async def _tell(client: Client, sent: Sent) -> None:
    """Whoever sends it, that it waits again. What has ended sends nothing any more."""
    try:
        outbox, _, number = sent.key.rpartition("/")
        if outbox == outbox_of(sent.about):
            await client.raise_event(outbox, "Line", int(number))
        else:
            notice = Notice(id=sent.about, version=0, what=[])
            await client.raise_event(watcher_id(sent.about), "Notice", notice)
    except AdjournError as error:
        raise HTTPException(409, "What it is about has ended; it is not sent any more.") from error


def _revive(key: str) -> Sent | None:
    with writing(shop_database()) as session:
        return reaching.revive(session, key, now())


def _lost(session: Session, visit: Visit, sent: Sent) -> Lost:
    talk = talks.talk_of(session, sent.about)
    if talk is not None:
        what, href = f"A line to {one_line(talk.customer_name)}", f"{visit.root}/{talk.id}#end"
    else:
        person = visit.people.find_account(sent.address.channel, sent.reader)
        name = one_line(person.name) if person is not None else "a team's channel"
        kind = "A reminder" if sent.key.startswith("reminder/") else "The card"
        what, href = f"{kind} for {name}", f"/approvals/{sent.about}"
    channel = CHANNELS.get(sent.address.channel, sent.address.channel)
    failed = sent.state == "failed"
    trouble = one_line(sent.trouble)
    return Lost(sent.key, what, href, channel, trouble, failed, ago(sent.changed_at, now()))

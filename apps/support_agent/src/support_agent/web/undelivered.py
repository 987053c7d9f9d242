"""What did not go out by a channel: seen by the staff, and sent again when they say so."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from adjourn import (
    Client,
    InstanceFinishedError,
    InstanceNotFoundError,
    Notice,
    watcher_id,
)
from support_agent.channels.delivery import Again, outbox_of, send_line_again
from support_agent.channels.desk import Card, show_again
from support_agent.channels.open import CALLED
from support_agent.clock import now
from support_agent.shop import reaching, talks
from support_agent.shop.database import shop_database, writing
from support_agent.shop.reaching import LONGEST_TROUBLE, Sent
from support_agent.web.forms import form_of
from support_agent.web.identity import may_write
from support_agent.web.site import page, read, root_of, site_of
from support_agent.web.staff import Staff, Visit
from support_agent.web.text import When, ago, one_line

router = APIRouter(prefix="/undelivered")

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
    can_go_again: bool
    """Whether it makes sense to send it now; nobody needs an old reminder."""
    at: When


@router.get("")
async def undelivered(request: Request, visit: Staff) -> Response:
    """The latest first."""

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
async def send_again(request: Request, visit: Staff) -> Response:
    """Try one again that has failed for good. Twice is once."""
    if not may_write(visit.actor):
        raise HTTPException(403, MAY_NOT_SEND)
    form = await form_of(request)
    key = form.get("key", "")
    failed = await read(lambda session: reaching.sent_by(session, key))
    if failed is not None and failed.state == "failed" and not _is_reminder(failed):
        await _tell(site_of(request).client, failed)
        await run_in_threadpool(_revive, failed)
    return RedirectResponse(f"{root_of(request)}/undelivered", 303)


async def _tell(client: Client, failed: Sent) -> None:
    """Have it sent, before the page says that it waits: once for each time that it failed."""
    id = f"again:{reaching.digest_of(f'{failed.key}/{failed.changed_at.isoformat()}')[:40]}"
    outbox, _, number = failed.key.rpartition("/")
    if outbox == outbox_of(failed.about):
        again = Again(failed.about, int(number), failed)
        await client.start(send_line_again, again, id=id, on_conflict="return_existing")
        return
    try:
        notice = Notice(id=failed.about, version=0, what=[])
        await client.raise_event(watcher_id(failed.about), "Notice", notice, event_id=id)
    except (InstanceNotFoundError, InstanceFinishedError):
        card = Card(failed.about, failed.address.channel, failed.reader)
        await client.start(show_again, card, id=id, on_conflict="return_existing")


def _revive(failed: Sent) -> None:
    with writing(shop_database()) as session:
        reaching.revive(session, failed, now())


def _is_reminder(sent: Sent) -> bool:
    return sent.key.startswith("reminder/")


def _lost(session: Session, visit: Visit, sent: Sent) -> Lost:
    talk = talks.talk_of(session, sent.about)
    if talk is not None:
        what, href = f"A line to {one_line(talk.customer_name)}", f"{visit.root}/{talk.id}#end"
    else:
        kind = "A reminder" if _is_reminder(sent) else "The card"
        what, href = f"{kind} for {_name_of(session, visit, sent)}", f"/approvals/{sent.about}"
    channel = CALLED.get(sent.address.channel, sent.address.channel)
    return Lost(
        key=sent.key,
        what=what,
        href=href,
        channel=channel,
        trouble=one_line(sent.trouble, LONGEST_TROUBLE),
        failed=sent.state == "failed",
        can_go_again=sent.state == "failed" and not _is_reminder(sent),
        at=ago(sent.changed_at, now()),
    )


def _name_of(session: Session, visit: Visit, sent: Sent) -> str:
    person = visit.people.find_account(sent.address.channel, sent.reader)
    if person is not None:
        return one_line(person.name)
    place = reaching.reader_of(session, sent.address.channel, sent.reader)
    in_a_team = place is not None and not place.personal
    return "a team's channel" if in_a_team else "somebody who is not on the list of people now"

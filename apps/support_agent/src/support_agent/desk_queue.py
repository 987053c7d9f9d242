"""A desk in the middle of a working day: two days of requests, played on a virtual clock.

The file it leaves is an ordinary one: `adjourn run support_agent.case:app --db FILE` serves it.
"""

import os
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path

import msgspec

from adjourn import Actor
from adjourn.testing import Sandbox
from support_agent.app import app
from support_agent.case import Request, contact_request, refund_case
from support_agent.shop.database import DATABASE_VARIABLE

REQUESTS = files("support_agent") / "data" / "desk.json"
LENA = Actor(id="lena", groups=["support"], roles=["approver"], channel="web")
OMAR = Actor(id="omar", groups=["support"], roles=["approver"], channel="web")
GRACE = Actor(id="grace", groups=["finance", "support"], roles=["approver", "lead"], channel="web")


class Dated(msgspec.Struct):
    """When a request came, beside what it says."""

    case_id: str
    hours_ago: float


class Day(msgspec.Struct):
    """The shipped requests."""

    refunds: list[msgspec.Raw]
    contacts: list[msgspec.Raw]


def fill_desk(file: Path, shop: str, now: datetime) -> int:
    """Play the shipped requests into a new engine file, so that at `now` they stand where a day
    left them; `shop` is the URL of the records, which hold the orders. Returns how many."""
    os.environ[DATABASE_VARIABLE] = shop
    day = msgspec.json.decode(REQUESTS.read_bytes(), type=Day)
    coming = [(_dated(text), refund_case, text) for text in day.refunds]
    coming += [(_dated(text), contact_request, text) for text in day.contacts]
    coming.sort(key=lambda entry: -entry[0].hours_ago)
    first = now - timedelta(hours=coming[0][0].hours_ago)
    with Sandbox(app, str(file), start=first) as box:
        for dated, orchestrator, text in coming:
            came = now - timedelta(hours=dated.hours_ago)
            box.advance(came - box.clock.now())
            box.start(orchestrator, msgspec.json.decode(text, type=Request), id=dated.case_id)
            _act(box, dated.case_id)
        box.advance(now - box.clock.now())
    return len(coming)


def _dated(text: msgspec.Raw) -> Dated:
    return msgspec.json.decode(text, type=Dated)


def _act(box: Sandbox, case_id: str) -> None:
    """What the supervisors did with it when it came."""
    asked = {approval.row.case: approval for approval in box.inbox()}
    if case_id not in asked:
        return
    approval = asked[case_id]
    match case_id:
        case "C-2011":
            approval.approve(by=GRACE, comment="The carrier confirmed it.")
        case "C-2007":
            approval.claim(by=GRACE)
            approval.ask(by=GRACE, question="Which promise of 310 EUR is meant?", to="sam")
        case "C-2002":
            approval.approve(by=GRACE, comment="Packing list checked.", amount="455.00")
        case "C-2010":
            approval.claim(by=OMAR)
            approval.comment(by=OMAR, text="I wait for the parcel's scan.")
        case _:
            pass

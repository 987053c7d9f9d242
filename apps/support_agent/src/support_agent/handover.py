"""A customer wants a person: somebody is asked for, takes the talk over, and hands it back."""

from dataclasses import dataclass, field

from adjourn import (
    Approved,
    Context,
    Conversation,
    Expired,
    Facts,
    Rejected,
    group,
    role,
)
from support_agent.app import app
from support_agent.case import AGENT, News, Said, lines_of, settle
from support_agent.channels.desk import DESKS
from support_agent.shop.records import CaseRecord
from support_agent.workflow import PATIENTLY, records


@dataclass(frozen=True, slots=True)
class Handover:
    """What the talk passes on."""

    case_id: str
    talk_id: str
    customer: str
    reason: str
    conversation: list[Said] = field(default_factory=list[Said])


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Whoever approves takes the conversation over."""

    case_id: str
    customer: str
    reason: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """Somebody has taken the talk over."""

    case_id: str
    person: str
    name: str = ""
    """What people call them; empty where nobody knows."""


NOBODY_CAME = (
    "Nobody of our team could come in time. That is our fault: ask again, and we will try to be "
    "quicker."
)


@app.orchestrator
async def handover(ctx: Context, asked: Handover) -> str:
    """Ask for a person, wait until they hand back, and close the case."""
    urgent = await ctx.call_activity(is_urgent, asked.case_id)
    decision = await ctx.approval(
        TakeOver(asked.case_id, asked.customer, asked.reason),
        title=f"{asked.customer} asks for a person: {asked.reason}"[:300],
        evidence=[
            Conversation(lines=lines_of(asked.conversation)),
            Facts(title="Once you approve", facts={"You answer at": f"/talks/{asked.talk_id}"}),
        ],
        to=group("support"),
        policy="speak-to-a-person",
        risk="medium" if urgent else "low",
        requester=AGENT,
        on_behalf_of=asked.customer,
        due="15m" if urgent else "2h",
        remind=["30m", "4h"],
        escalate={"1h" if urgent else "8h": role("lead")},
        expires="3d",
        undo="0s",
    )
    match decision:
        case Approved(by=[person, *_]):
            await ctx.call_activity(settle, asked.case_id, "with_person", "")
            name = await ctx.call_activity(name_of, person)
            ctx.raise_event(asked.talk_id, "Arrived", Arrived(asked.case_id, person, name))
            await ctx.wait_for_external_event("HandedBack", str)
            await ctx.call_activity(settle, asked.case_id, "closed", "")
            return "handed back"
        case Rejected(reason=reason):
            status, text = "closed", f"Nobody of our team takes this over: {reason}"
        case Expired():
            status, text = "expired", NOBODY_CAME
        case _:
            status, text = "closed", "Your request for a person was withdrawn."
    await ctx.call_activity(settle, asked.case_id, status, text)
    note = f"The customer asked for a person (case {asked.case_id}) and was told: {text}"
    ctx.raise_event(asked.talk_id, "News", News(asked.case_id, status, text, note))
    return status


@app.activity(retry=PATIENTLY)
def name_of(person: str) -> str:
    """What the directory of the process that serves calls them."""
    known = DESKS[-1].people.find(person) if DESKS else None
    return known.name if known is not None else ""


@app.activity(retry=PATIENTLY)
def is_urgent(case_id: str) -> bool:
    """Whether the records call the case high or urgent."""
    with records() as session:
        case = session.get(CaseRecord, case_id)
        return case is not None and case.priority in ("high", "urgent")

"""What a talk does beyond itself: the agent's model and tools, the lines that pages show.

The agent's steps are activities of the talk (`Durable`). What streams out of them goes to the pages
that are open now, and nowhere else.
"""

import os
from collections.abc import AsyncIterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pydantic_ai import RunContext
from pydantic_ai.messages import (
    AgentStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
)

from adjourn import NonRetryableError, current_activity
from adjourn.agents import Durable
from support_agent.agent.build import build_agent
from support_agent.agent.deps import Deps
from support_agent.agent.models import choose_model
from support_agent.agent.trouble import MODEL_REQUEST_RETRY, TOOL_CALL_RETRY
from support_agent.app import app
from support_agent.case import Request
from support_agent.channels.growing import Growing
from support_agent.channels.web import keep
from support_agent.live import HUB, Changed, Delta
from support_agent.shop import talks
from support_agent.shop.records import CaseRecord
from support_agent.shop.talks import Author, TalkMode
from support_agent.workflow import PATIENTLY, records


@dataclass(frozen=True, slots=True)
class Line:
    """One line to keep. `typing` says that an answer to it is on its way."""

    author: Author
    name: str
    text: str
    at: datetime
    case_id: str = ""
    typing: bool = False


async def _stream(ctx: RunContext[Deps], events: AsyncIterable[AgentStreamEvent]) -> None:
    """Show the answer while it grows. A second attempt begins anew, under another name."""
    attempt = current_activity()
    name = f"{attempt.idempotency_key}/{attempt.attempt}"
    talk_id = ctx.deps.conversation_id
    elsewhere = await Growing.of(talk_id, name)
    async for event in events:
        match event:
            case PartStartEvent(part=TextPart(content=text)):
                pass
            case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                pass
            case _:
                continue
        if text:
            HUB.publish(talk_id, Delta(text, name))
            if elsewhere is not None:
                elsewhere.add(text)


MODEL = choose_model(os.environ)
AGENT = build_agent(
    MODEL.model,
    capabilities=[
        Durable(
            app,
            retry=MODEL_REQUEST_RETRY,
            tool_retry=TOOL_CALL_RETRY,
            event_stream_handler=_stream,
            tool_events=False,
        )
    ],
)


@app.activity(retry=PATIENTLY)
def keep_line(talk_id: str, line: Line) -> int:
    """Write the line down and show it; a repeated call is the same line."""
    return keep(
        HUB,
        records(),
        talk_id,
        author=line.author,
        name=line.name,
        text=line.text,
        key=current_activity().idempotency_key,
        at=line.at,
        case_id=line.case_id,
        typing=line.typing,
    )


@app.activity(retry=PATIENTLY)
def change_mode(talk_id: str, mode: TalkMode, holder: str) -> None:
    """Who answers from now on; a repeated call changes nothing."""
    with records() as session:
        talks.set_mode(session, talk_id, mode, holder)
    HUB.publish(talk_id, Changed())


@app.activity(retry=PATIENTLY)
def read_request(case_id: str) -> Request:
    """What the records say was asked for: never what a model says."""
    with records() as session:
        case = session.get(CaseRecord, case_id)
        if case is None or case.order_number is None:
            raise NonRetryableError(f"{case_id} is no case about a refund.")
        amount = case.amount or Decimal(0)
        return Request(case.id, case.order_number, amount, case.reason)

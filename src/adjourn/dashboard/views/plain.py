"""The plain form: an orchestrator that waits for an event called Approval, and says no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import msgspec

from adjourn.approvals.authority import no_decider
from adjourn.approvals.fields import shown
from adjourn.approvals.text import label_of, one_line, plain
from adjourn.dashboard.times import ago, clock
from adjourn.dashboard.views.panel import Draft
from adjourn.dashboard.views.words import Fact, Names, Told, key_of
from adjourn.model import events
from adjourn.model.actor import Actor
from adjourn.model.inbox import InboxRow
from adjourn.model.state import HistoryEntry, InstanceState

EVENT = "approval"
"""The event that the plain form waits for, in any letter case."""


@dataclass(frozen=True, slots=True)
class PlainPanel:
    """What is known of it: its instance, and what that was started with."""

    id: str
    key: str
    version: int
    """Of the wait; 0 where there is none."""
    title: str
    facts: list[Fact]
    input: list[Fact]
    raw: str
    """The input where it is no object."""
    waiting: bool
    decidable: bool
    problem: str
    draft: Draft


def plain_view(
    state: InstanceState, row: InboxRow | None, actor: Actor, now: datetime, draft: Draft
) -> PlainPanel:
    """The panel of an instance, and of the wait that `row` shows."""
    waiting = row is not None
    given = None if state.input is None else msgspec.json.decode(state.input)
    told = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    facts = [
        Fact("Instance", plain(state.id), href=f"/instances/{state.id}"),
        Fact("Orchestrator", plain(state.name)),
        Fact("Started", when=ago(state.created_at, now)),
    ]
    if row is not None:
        facts.append(Fact("Waiting since", when=ago(row.opened_at, now)))
    return PlainPanel(
        id=state.id,
        key=key_of(state.id),
        version=0 if row is None else row.version,
        title=_title(state),
        facts=facts,
        input=[Fact(label_of(name), shown(value)) for name, value in told.items()],
        raw="" if told or given is None else shown(given),
        waiting=waiting,
        decidable=waiting and no_decider(actor) is None,
        problem=plain(state.problem or ""),
        draft=draft,
    )


def last_answer(entries: Sequence[HistoryEntry], names: Names, now: datetime) -> list[Told]:
    """What the latest answer says of itself: anybody who reaches the API can raise the event."""
    for entry in reversed(entries):
        event = entry.event
        if isinstance(event, events.ExternalEventReceived) and event.name.casefold() == EVENT:
            given = msgspec.json.decode(event.data)
            told = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
            approved = told.get("approved")
            said = {"True": "approved", "False": "rejected"}.get(str(approved), "answered")
            by = told.get("by")
            who = f" in the name of {names.you(by)}" if isinstance(by, str) else ""
            return [Told(f"It was {said}{who}", clock(event.at, now))]
    return []


def _title(state: InstanceState) -> str:
    """Its custom status where that is a text: the workflow's own words, as in the list."""
    told = None if state.custom_status is None else msgspec.json.decode(state.custom_status)
    words = told if isinstance(told, str) and told.strip() else f"{state.name} {state.id}"
    return one_line(words, 300)

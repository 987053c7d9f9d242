"""Instances as an operator sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from adjourn.approvals.text import capital, one_line, plain
from adjourn.dashboard.text import counted, listed
from adjourn.dashboard.times import When, ago, lasted, until
from adjourn.dashboard.views.story import Threads, link_of
from adjourn.dashboard.views.words import STATUS, Chip, Fact, Tone, key_of
from adjourn.model.approval import APPROVAL
from adjourn.model.inbox import InboxRow
from adjourn.model.state import InstanceState
from adjourn.model.status import Status

TONES: dict[Status, Tone] = {
    Status.PENDING: "info",
    Status.RUNNING: "info",
    Status.SUSPENDED: "warn",
    Status.QUARANTINED: "no",
    Status.COMPLETED: "ok",
    Status.FAILED: "no",
    Status.TERMINATED: "quiet",
}
ICONS: dict[Status, str] = {
    Status.PENDING: "wait",
    Status.RUNNING: "run",
    Status.SUSPENDED: "snooze",
    Status.QUARANTINED: "risk-high",
    Status.COMPLETED: "check",
    Status.FAILED: "cross",
    Status.TERMINATED: "slash",
}


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """One instance in the list."""

    id: str
    key: str
    href: str
    name: str
    status: Chip
    note: str
    started: When
    changed: When


def status_chip(status: Status) -> Chip:
    return Chip(status.value, TONES[status], ICONS[status])


def instance_rows(states: Sequence[InstanceState], now: datetime) -> list[InstanceRow]:
    """The rows of a page. What waits for an approval that is on the same page says so."""
    asked = {
        state.parent_id: state
        for state in states
        if state.name == APPROVAL and state.parent_id and not state.status.finished
    }
    return [_row(state, asked.get(state.id), now) for state in states]


def _row(state: InstanceState, approval: InstanceState | None, now: datetime) -> InstanceRow:
    return InstanceRow(
        id=plain(state.id),
        key=key_of(state.id),
        href=link_of(state.name, state.id),
        name="Approval" if state.name == APPROVAL else plain(state.name),
        status=status_chip(state.status),
        note=_note(state, approval, now),
        started=ago(state.created_at, now),
        changed=ago(state.updated_at, now),
    )


def _note(state: InstanceState, approval: InstanceState | None, now: datetime) -> str:
    if state.problem:
        return one_line(state.problem, 160)
    if state.failure is not None:
        return one_line(f"{state.failure.type}: {state.failure.message}", 160)
    if state.name == APPROVAL:
        return _approval_note(state)
    if state.status.finished:
        return ""
    parts: list[str] = []
    if approval is not None:
        parts.append(f"waits for people for {lasted(approval.created_at, now)}")
    if state.waiting_for:
        names = listed([plain(name) for name in state.waiting_for], "or")
        parts.append(f"waits for {names} for {lasted(state.updated_at, now)}")
    if state.running:
        parts.append(f"{state.running} running")
    if state.pending_events:
        parts.append(f"{counted(state.pending_events, 'event')} unread")
    return capital(", ".join(parts))


def _approval_note(state: InstanceState) -> str:
    """What the approval says of itself."""
    try:
        row = msgspec.json.decode(state.custom_status or b"", type=InboxRow)
    except msgspec.MsgspecError:
        return ""
    return f"{STATUS[row.status].text}: {one_line(row.title, 120)}"


def instance_facts(state: InstanceState, now: datetime) -> list[Fact]:
    """The strip under the title."""
    facts = [
        Fact("Orchestrator", plain(state.name) + (f" {plain(state.version)}".rstrip())),
        Fact("Started", when=ago(state.created_at, now)),
        Fact("Changed", when=ago(state.updated_at, now)),
        Fact("Execution", f"{state.execution}", note=counted(state.events, "event")),
    ]
    if state.finished_at is not None:
        took = lasted(state.created_at, state.finished_at)
        facts.append(Fact("Finished", when=ago(state.finished_at, now), note=f"after {took}"))
    if state.parent_id:
        facts.append(Fact("Parent", plain(state.parent_id), href=f"/instances/{state.parent_id}"))
    return facts


def waits(state: InstanceState, threads: Threads, now: datetime) -> list[Fact]:
    """What it waits for now, and since when."""
    if state.status.finished:
        return []
    since = threads.latest or state.updated_at
    found = [
        Fact("Waits for", plain(name), note=f"for {lasted(since, now)}")
        for name in state.waiting_for
    ]
    for child in threads.children.values():
        text = "people's approval" if child.name == APPROVAL else plain(child.name)
        note = f"for {lasted(child.since, now)}"
        found.append(Fact("Waits for", text, note=note, href=link_of(child.name, child.id)))
    if threads.timers:
        earliest = min(threads.timers.values())
        found.append(Fact("Timer", when=until(earliest, now)))
    if state.running > len(threads.doubts):
        running = counted(state.running - len(threads.doubts), "activity")
        found.append(Fact("Runs", running.replace("activitys", "activities")))
    if state.pending_events:
        found.append(Fact("Unread", counted(state.pending_events, "event")))
    return found


def attributes_of(state: InstanceState) -> list[Fact]:
    return [
        Fact(plain(name), plain(value))
        for name, value in sorted(state.attributes.items())
        if value is not None
    ]


def values_of(state: InstanceState) -> list[Fact]:
    """Input, result, failure and status of its own, as JSON."""
    found: list[Fact] = []
    told = (
        ("Input", state.input),
        ("Result", state.output),
        ("Custom status", state.custom_status),
    )
    for label, value in told:
        if value is not None and bytes(value) != b"null":
            pretty = msgspec.json.format(bytes(value), indent=2).decode()
            found.append(Fact(label, plain(pretty)))
    if state.failure is not None:
        text = f"{state.failure.type}: {state.failure.message}"
        found.append(Fact("Failure", plain(text), tone="no"))
    return found

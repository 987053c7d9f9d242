"""The audit of an approval: its state and its story, told from its history and nothing else."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from adjourn.approvals import machine
from adjourn.approvals.state import State
from adjourn.approvals.steps import exact
from adjourn.errors import InvalidPayloadError, Refusal
from adjourn.model import codec, events
from adjourn.model.actor import Actor
from adjourn.model.approval import ACT, Action, ApprovalRequest, Superseded
from adjourn.model.state import HistoryEntry


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, and the history row that proves it."""

    number: int
    """Of the row; several things may have happened in one."""
    at: datetime
    by: str
    """A person's id; empty where nobody did it."""
    through: str = ""
    """In whose place, where it was not for themself: somebody who was away."""
    channel: str
    """How they came: "web", "teams", "api"."""
    what: str
    """A word: those of `Change`, and refused, suspended, resumed, rechecked, recheck_failed,
    concluded, failed, unexplained."""
    detail: str
    """What a person reads: the comment, the reason, the changed fields."""
    hash: str
    """The row's link in the chain, in hexadecimal."""


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked, how it stands at the end of this history, and all that happened."""

    request: ApprovalRequest
    state: State
    entries: list[AuditEntry]


def fold(history: Iterable[HistoryEntry], *, id: str = "") -> Audit:
    """The audit of an approval's own history, or of the beginning of one.

    `id` is the approval's, which its rows do not hold. Only the first execution counts: an approval
    never continues as new.

    Raises: InvalidPayloadError when it does not begin as an approval does; ValueError when it does
    not begin at all.
    """
    rows = iter(history)
    first = next(rows, None)
    if first is None or not isinstance(first.event, events.InstanceStarted):
        raise ValueError("A history begins with InstanceStarted; this one does not.")
    story = _Story(first, first.event, id)
    for row in rows:
        if row.execution == first.execution:
            story.read(row)
    # An action stands where it was received, though it counted only when it was answered.
    entries = sorted(story.entries, key=lambda entry: entry.number)
    return Audit(request=story.request, state=story.state, entries=entries)


class _Story:
    """The state after the rows read so far, and what they tell."""

    def __init__(self, first: HistoryEntry, started: events.InstanceStarted, id: str) -> None:
        self.request: ApprovalRequest = codec.decode(
            started.input, ApprovalRequest, "The approval's request"
        )
        self.entries: list[AuditEntry] = []
        self.state = machine.open(id, self.request, started.at)
        self._received: dict[str, tuple[HistoryEntry, events.UpdateReceived]] = {}
        self._rechecks: dict[int, str] = {}
        """The activities that fetch the facts, by sequence."""
        self._tell_changes(first, since=0)

    def read(self, row: HistoryEntry) -> None:
        """One row more."""
        event = row.event
        if isinstance(event, events.Arrived):  # what the code asked for moves no clock
            self._become(row, machine.tick(self.request, self.state, event.at))
        match event:
            case events.UpdateReceived(name=name) if name.casefold() == ACT:
                self._received[event.update_id] = (row, event)
            case events.UpdateAccepted(update_id=update_id) if update_id in self._received:
                self._accepted(*self._received.pop(update_id))
            case events.UpdateRefused(update_id=update_id) if update_id in self._received:
                self._refused(*self._received.pop(update_id), event)
            case events.ActivityScheduled(sequence=sequence, name=name):
                self._rechecks[sequence] = name
            case events.ActivityCompleted(sequence=sequence, settled_by=by):
                self._tell(row, "rechecked", self._rechecks.get(sequence, ""), by=by)
            case events.ActivityFailed(sequence=sequence, failure=failure, settled_by=by):
                detail = f"{self._rechecks.get(sequence, '')}: {failure.message}"
                self._tell(row, "recheck_failed", detail, by=by)
            case events.InstanceSuspended(reason=reason):
                self._tell(row, "suspended", reason)
            case events.InstanceResumed(reason=reason):
                self._tell(row, "resumed", reason)
            case events.InstanceTerminated(reason=reason):
                state = machine.terminate(self.request, self.state, reason, event.at)
                self._become(row, state)
            case events.InstanceCompleted(result=result):
                self._concluded(row, result)
            case events.InstanceFailed(failure=failure):
                self._tell(row, "failed", f"{failure.type}: {failure.message}")
            case _:
                pass  # machinery: timers, retries, what a person never meets

    def _accepted(self, row: HistoryEntry, event: events.UpdateReceived) -> None:
        try:
            action: Action = codec.decode(event.data, Action, "The action")
            state, _ = machine.act(self.request, self.state, action, event.by, event.at)
        except (InvalidPayloadError, Refusal) as error:
            # It counted then, and by today's rules it would not: that must be seen.
            self._tell(row, "unexplained", f"It was accepted, but: {error}", actor=event.by)
        else:
            self._become(row, state, actor=event.by)

    def _refused(
        self, row: HistoryEntry, event: events.UpdateReceived, refused: events.UpdateRefused
    ) -> None:
        word = _word_of(event.data)
        self._tell(row, "refused", f"{word}: {refused.reason}", actor=event.by)

    def _concluded(self, row: HistoryEntry, result: msgspec.Raw) -> None:
        try:
            told = msgspec.json.decode(result, type=Superseded)
        except msgspec.MsgspecError:
            pass  # it is another outcome, which the state says already
        else:
            state = machine.supersede(self.request, self.state, told.was, told.now, told.at)
            self._become(row, state)
        self._tell(row, "concluded", self.state.status)

    def _become(self, row: HistoryEntry, state: State, *, actor: Actor | None = None) -> None:
        since = len(self.state.changes)
        self.state = state
        self._tell_changes(row, since, actor)

    def _tell_changes(self, row: HistoryEntry, since: int, actor: Actor | None = None) -> None:
        for change in self.state.changes[since:]:
            channel = actor.channel if actor is not None and change.by == actor.id else ""
            self.entries.append(
                AuditEntry(
                    number=row.number,
                    at=change.at,
                    by=change.by,
                    through=change.through,
                    channel=channel,
                    what=change.what,
                    detail=change.detail,
                    hash=row.hash,
                )
            )

    def _tell(
        self,
        row: HistoryEntry,
        what: str,
        detail: str,
        *,
        by: str = "",
        actor: Actor | None = None,
    ) -> None:
        self.entries.append(
            AuditEntry(
                number=row.number,
                at=row.event.at,
                by=actor.id if actor is not None else by,
                channel=actor.channel if actor is not None else "",
                what=what,
                detail=detail,
                hash=row.hash,
            )
        )


class _Word(msgspec.Struct):
    do: str = "?"


def _word_of(data: msgspec.Raw) -> str:
    """What the sender of a refused action wanted."""
    try:
        return msgspec.json.decode(data, type=_Word).do
    except msgspec.MsgspecError:
        return "?"


# Export.

COLUMNS = ("number", "at", "by", "channel", "what", "detail", "hash", "through")

_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
"""What a spreadsheet takes for the beginning of a formula, full-width forms included."""

_BREAKS = frozenset("\t\r\n")
_BLANK = " \t\r\n\v\f\u00a0\u200b\u200c\u200d\u2060\u3000\ufeff\x00"
"""What some spreadsheets drop from the beginning of a cell."""


def to_json(audit: Audit) -> bytes:
    """All of it, the request with its evidence included: UTF-8, sorted keys, indented."""
    return msgspec.json.format(msgspec.json.encode(audit, order="sorted"), indent=2)


def to_csv(audit: Audit) -> str:
    """The entries as RFC 4180 has it, with a header; every cell quoted.

    A cell that a spreadsheet would take for a formula begins with an apostrophe instead.
    """
    lines = _Lines()
    writer = csv.writer(lines, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for entry in audit.entries:
        cells: list[Any] = [
            entry.number,
            exact(entry.at),
            entry.by,
            entry.channel,
            entry.what,
            entry.detail,
            entry.hash,
            entry.through,
        ]
        writer.writerow([_harmless(str(cell)) for cell in cells])
    return "".join(lines.written)


class _Lines:
    """What `csv` takes for a file: this room opens none."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, line: str) -> None:
        self.written.append(line)


def _harmless(cell: str) -> str:
    begins = cell.lstrip(_BLANK)[:1]
    return f"'{cell}" if begins in _FORMULA or cell[:1] in _BREAKS else cell

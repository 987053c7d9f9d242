"""Rows of the inbox."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args
from urllib.parse import quote

import msgspec

from adjourn.approvals.authority import no_decider
from adjourn.approvals.text import one_line, plain
from adjourn.dashboard.search import Search
from adjourn.dashboard.text import counted, listed
from adjourn.dashboard.times import When, ago, clock, until
from adjourn.dashboard.views.words import ENDED, EXECUTION, RISK, STATUS, Chip, Names, key_of
from adjourn.model.actor import Absent, Actor, absent_ones, addresses_of, names_of
from adjourn.model.approval import Risk
from adjourn.model.inbox import InboxRow

RISKS: tuple[Risk, ...] = get_args(Risk)


@dataclass(frozen=True, slots=True)
class RowView:
    """One row as the list shows it."""

    id: str
    key: str
    mark: str
    """Changes with anything that the row says, and not with time."""
    href: str
    """The inbox with this row open."""
    panel: str
    """Its panel, for the script."""
    title: str
    kind: str
    risk: Chip | None
    policy: str
    asks: str
    age: When
    due: When | None
    chips: list[Chip]
    pick: str
    """What its check box says; empty where it cannot be decided together with others."""
    ended: bool
    held: bool
    """Somebody else has claimed it."""
    opened: bool


def row_view(
    row: InboxRow, search: Search, names: Names, now: datetime, open_id: str = ""
) -> RowView:
    """One row in the list that `search` describes."""
    return _row_view(row, search.address(), names, now, open_id)


def row_views(
    rows: Sequence[InboxRow], search: Search, names: Names, now: datetime, open_id: str = ""
) -> list[RowView]:
    """All rows of a list. `open_id` is the one whose panel is shown."""
    back = search.address()
    return [_row_view(row, back, names, now, open_id) for row in rows]


def _row_view(row: InboxRow, back: str, names: Names, now: datetime, open_id: str) -> RowView:
    ended = row.status in ENDED
    return RowView(
        id=row.id,
        key=key_of(row.id),
        mark=hashlib.sha256(msgspec.json.encode(row)).hexdigest()[:12],
        href="/?" + "&".join(filter(None, (back, f"open={quote(row.id)}"))),
        panel=panel_address(row.id, back),
        title=one_line(row.title, 300),
        kind=plain(row.kind) or ("Event" if row.pattern == "event" else ""),
        risk=None if row.risk == "low" else RISK[row.risk],
        policy=plain(row.policy),
        asks=asks(row, names),
        age=_age(row, now),
        due=None if ended or row.due_at is None else until(row.due_at, now),
        chips=chips(row, names, now),
        pick=f"{row.version}@{row.id}" if _pickable(row, names.actor) else "",
        ended=ended,
        held=not ended and row.holder not in ("", names.me),
        opened=row.id == open_id,
    )


def _pickable(row: InboxRow, actor: Actor) -> bool:
    """Whether they could decide it as it stands, as far as a row tells; the engine knows."""
    if row.status in ENDED or row.problem or row.pattern == "event" or no_decider(actor):
        return False
    addressed = not row.to or _is_for(row, actor)
    theirs = (_is_for(row, each) and not _kept_from(row, each) for each in absent_ones(actor))
    may = not _kept_from(row, actor) and (addressed or any(theirs))
    return may and row.holder in ("", actor.id)


def _is_for(row: InboxRow, actor: Actor | Absent) -> bool:
    return not set(addresses_of(actor)).isdisjoint(row.to)


def _kept_from(row: InboxRow, actor: Actor | Absent) -> bool:
    voted = actor.id in row.voted or actor.id in row.represented
    return voted or not set(names_of(actor)).isdisjoint(row.not_by)


def panel_address(id: str, back: str) -> str:
    """Where the panel of an approval is, beside the inbox that `back` describes."""
    return f"/approvals/{id}/panel" + (f"?{back}" if back else "")


def asks(row: InboxRow, names: Names) -> str:
    """Who asks, and for whom."""
    requester = names(row.requester) if row.requester else ""
    if requester and row.on_behalf_of:
        return f"{requester} for {one_line(row.on_behalf_of, 60)}"
    return requester or one_line(row.on_behalf_of, 60)


def _age(row: InboxRow, now: datetime) -> When:
    if row.status in ENDED and row.decided_at is not None:
        return ago(row.decided_at, now)
    return ago(row.opened_at, now)


def chips(row: InboxRow, names: Names, now: datetime) -> list[Chip]:
    """What stands at the right of a row: the states that matter for what to do next."""
    found: list[Chip] = []
    if row.problem:
        found.append(Chip("Blocked", "no", "slash", plain(row.problem)))
    if row.status in ENDED:
        return [*found, *_outcome(row, names)]
    snoozed = row.snoozed.get(names.me)
    if snoozed is not None and snoozed > now:
        found.append(Chip(f"Until {clock(snoozed, now).text}", "quiet", "snooze", "Snoozed by you"))
    if row.asked_by or row.status == "info_requested":
        who = listed([names.you(id) for id in row.asked_by])
        found.append(Chip("Question", "warn", "question", f"Asked by {who}" if who else ""))
    if row.holder:
        mine = row.holder == names.me
        text = "You" if mine else names(row.holder)
        found.append(Chip(text, "info" if mine else "", "person", f"Claimed by {text}"))
    if row.need > 1:
        votes = f"{len(row.voted)} of {row.need}"
        found.append(Chip(votes, "", "votes", f"{votes} approvals"))
    if row.escalated:
        found.append(Chip("Escalated", "warn", "up", f"Escalated {counted(row.escalated, 'time')}"))
    return found


def _outcome(row: InboxRow, names: Names) -> list[Chip]:
    status = STATUS[row.status]
    who = listed([names.you(id) for id in row.decided_by])
    text = f"{status.text} by {who}" if who else status.text
    found = [Chip(text, status.tone, status.icon)]
    if row.execution != "none":
        found.append(EXECUTION[row.execution])
    return found


def needs_hold(risk: Risk, hold_above: Risk) -> bool:
    """Whether approving asks for a firmer hand."""
    return RISKS.index(risk) >= RISKS.index(hold_above)

"""One approval as one person sees it: what would happen, and what they may do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from adjourn.approvals import machine
from adjourn.approvals.fields import ProposalField
from adjourn.approvals.state import Vote
from adjourn.approvals.text import capital, one_line, plain
from adjourn.client.approvals import ApprovalView
from adjourn.dashboard.body import field_texts
from adjourn.dashboard.text import listed, money, recipient
from adjourn.dashboard.times import When, ago, clock, until
from adjourn.dashboard.views.audit import sentence
from adjourn.dashboard.views.rows import asks, needs_hold
from adjourn.dashboard.views.words import (
    ENDED,
    EXECUTION,
    RISK,
    STATUS,
    Chip,
    Fact,
    Names,
    Told,
    Tone,
    key_of,
)
from adjourn.errors import Refusal
from adjourn.model.actor import Actor
from adjourn.model.approval import Approve, Risk


@dataclass(frozen=True, slots=True)
class Draft:
    """What a person sent and what was wrong with it: shown again, so that nobody types twice."""

    typed: Mapping[str, str] = field(default_factory=dict[str, str])
    errors: Mapping[str, str] = field(default_factory=dict[str, str])
    """By field of the proposal, or by name of an input."""

    def text(self, name: str) -> str:
        return self.typed.get(name, "")

    def error(self, name: str) -> str:
        return plain(self.errors.get(name, ""))


@dataclass(frozen=True, slots=True)
class Banner:
    """Something that the reviewer must know before anything else."""

    tone: Tone
    icon: str
    title: str
    text: str = ""
    at: When | None = None
    lines: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment, a question or its answer, in the order in which they were made."""

    author: str
    initials: str
    verb: str
    text: str
    at: When
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Execution:
    """What became of the effect, apart from the decision."""

    chip: Chip
    text: str
    instance: str
    """Where more is known of it, and where a doubt is settled."""


@dataclass(frozen=True, slots=True)
class Panel:
    """All that the panel of an approval shows, except its tabs."""

    id: str
    key: str
    title: str
    kind: str
    asks: str
    opened: When
    version: int
    digest: str
    status: Chip
    risk: Chip
    facts: list[Fact]
    banners: list[Banner]
    fields: list[ProposalField]
    remarks: list[Remark]
    execution: Execution | None
    allowed: frozenset[str]
    hold: bool
    ended: bool
    valued: bool
    """Whether the value that was or would be approved says more than the proposal."""
    undo_until: When | None
    question_pending: bool
    snoozed: bool
    draft: Draft
    recipients: list[tuple[str, str]]
    """Whom one might ask or hand it to: values and labels."""

    @property
    def decidable(self) -> bool:
        return bool(self.allowed & {"approve", "reject"})


def panel_view(
    view: ApprovalView,
    names: Names,
    actor: Actor,
    now: datetime,
    hold_above: Risk,
    draft: Draft | None = None,
) -> Panel:
    """The panel for `actor`, who was allowed to look."""
    request, state, row = view.request, view.state, view.row
    given = draft or Draft()
    snoozed = state.snoozed.get(actor.id)
    # What somebody typed who may not decide it any more is told elsewhere: it was not approved.
    fields = proposal_fields(view, given if "approve" in view.allowed else Draft())
    return Panel(
        id=state.id,
        key=key_of(state.id),
        title=plain(request.title),
        kind=plain(request.kind),
        asks=asks(row, names),
        opened=ago(state.opened_at, now),
        version=state.version,
        digest=state.digest,
        status=_status(view, actor),
        risk=RISK[request.risk],
        facts=facts(view, names, now),
        banners=banners(view, names, actor, now),
        fields=fields,
        remarks=remarks(view, names, now),
        execution=execution_of(view),
        allowed=frozenset(view.allowed),
        hold=needs_hold(request.risk, hold_above),
        ended=state.status in ENDED,
        valued=_valued(view, fields),
        undo_until=undo_until(view, now),
        question_pending=any(not each.answered_at for each in state.questions),
        snoozed=snoozed is not None and snoozed > now,
        draft=given,
        recipients=_recipients(view, names, actor),
    )


def _valued(view: ApprovalView, fields: Sequence[ProposalField]) -> bool:
    if view.state.status in ENDED and view.state.status != "approved":
        return False
    editing = "approve" in view.allowed and any(each.editable for each in fields)
    return editing or any(each.changed for each in fields)


def undo_until(view: ApprovalView, now: datetime) -> When | None:
    """How long this person may take the decision back; None when they may not."""
    at = view.state.effective_at if "undo" in view.allowed else None
    return None if at is None else until(at, now)


def _status(view: ApprovalView, actor: Actor) -> Chip:
    mine = view.state.status == "claimed" and view.state.holder == actor.id
    return Chip("Claimed by you", "info", "person") if mine else STATUS[view.state.status]


def proposal_fields(view: ApprovalView, draft: Draft) -> list[ProposalField]:
    """The form of this approval's proposal."""
    return view.fields(field_texts(draft.typed), draft.errors)


def facts(view: ApprovalView, names: Names, now: datetime) -> list[Fact]:
    """The strip under the title: what decides how careful to be."""
    request, state = view.request, view.state
    found: list[Fact] = []
    amount = view.value.get("amount", request.amount)
    if amount is not None and not isinstance(amount, dict | list | bool):
        found.append(Fact("Amount", money(amount, request.currency)))
    reversible = Fact("Effect", "Can be taken back")
    tone: Tone = "no" if request.risk == "high" else ""  # red that is always there is not seen
    found.append(reversible if request.reversible else Fact("Effect", "Irreversible", tone=tone))
    if state.status not in ENDED:
        found.append(_due(view, now))
    if request.need > 1:
        voters = listed([_voter(vote, names) for vote in state.votes])
        found.append(Fact("Approvals", f"{len(state.votes)} of {request.need}", note=voters))
    if request.policy:
        found.append(Fact("Policy", plain(request.policy)))
    to = listed([recipient(word, names) for word in state.to or request.to], "or")
    found.append(Fact("Asked of", capital(to)))
    case = request.case or view.parent_id or ""
    if case:
        href = f"/instances/{view.parent_id}" if view.parent_id else ""
        found.append(Fact("Case", plain(case), href=href))
    return found


def _voter(vote: Vote, names: Names) -> str:
    place = f" for {names.you(vote.through)}" if vote.through else ""
    return names.you(vote.by) + place


def _due(view: ApprovalView, now: datetime) -> Fact:
    state = view.state
    expires = (
        "Never expires"
        if state.expires_at is None
        else f"Expires {until(state.expires_at, now).text}"
    )
    if state.due_at is None:
        return Fact("Due", "No due time", note=expires)
    return Fact("Due", when=until(state.due_at, now), note=expires)


def banners(view: ApprovalView, names: Names, actor: Actor, now: datetime) -> list[Banner]:
    """What must be known first: the outcome, or what stands in the way of deciding."""
    state = view.state
    found: list[Banner] = []
    if view.row.problem:
        found.append(
            Banner("no", "slash", "It cannot be decided now", text=plain(view.row.problem))
        )
    if state.status in ENDED:
        return [*found, _outcome(view, names, now)]
    if state.holder and state.holder != actor.id:
        title = f"Claimed by {names(state.holder)}"
        text = "Nobody else decides meanwhile. Ask them to give it back, or ask a lead."
        found.append(Banner("info", "person", title, text))
    for question in state.questions:
        if question.answered_at is None:
            title = f"{names(question.by)} asked {recipient(question.to, names)}"
            at = ago(question.at, now)
            found.append(Banner("warn", "question", title, plain(question.text), at))
    if "approve" not in view.allowed and not view.row.problem and not state.holder:
        reason = why_not(view, actor, now)
        title = "You can still reject it" if "reject" in view.allowed else "You cannot decide this"
        found.append(Banner("", "lock", title, reason))
    return found


def why_not(view: ApprovalView, actor: Actor, now: datetime) -> str:
    """The rule that keeps this person from approving, in the machine's words."""
    action = Approve(version=view.state.version)
    try:
        machine.check(view.request, view.state, action, actor, max(now, view.state.opened_at))
    except Refusal as refusal:
        return refusal.reason
    return ""


def _outcome(view: ApprovalView, names: Names, now: datetime) -> Banner:
    state = view.state
    chip = STATUS[state.status]
    last = state.changes[-1:]
    who = state.decided_by or [each.by for each in last if each.what == state.status and each.by]
    by = listed([names.you(id) for id in who])
    if state.policy:
        by = f"policy {plain(state.policy)}"
    title = f"{chip.text} by {by}" if by else chip.text
    told = {
        "expired": "Nobody decided in time. Nobody said no, and nothing was executed.",
        "superseded": "The facts changed before the effect; nothing was executed.",
    }
    text = plain(state.reason) or told.get(state.status, "")
    lines = [_changed(each) for each in proposal_fields(view, Draft()) if each.changed]
    at = None if state.decided_at is None else ago(state.decided_at, now)
    return Banner(chip.tone, chip.icon, title, text, at, lines)


def _changed(each: ProposalField) -> str:
    return f"{each.label}: {one_line(each.proposed, 60)} \u2192 {one_line(each.value, 60)}"


def execution_of(view: ApprovalView) -> Execution | None:
    """How the effect stands, of what was approved; None before it is anybody's turn."""
    row = view.row
    if row.execution == "none" or row.status != "approved":
        return None
    told = {
        "queued": "It starts when the undo window has closed and its turn has come.",
        "running": "The effect is being carried out now.",
        "done": "The effect was carried out once.",
        "failed": "The effect failed for good: nothing repeats it by itself.",
        "unknown": "Nobody knows whether the effect happened. Look it up where it would show, "
        "then settle it.",
    }
    return Execution(EXECUTION[row.execution], told[row.execution], view.parent_id or "")


def remarks(view: ApprovalView, names: Names, now: datetime) -> list[Remark]:
    """What reviewers said to each other, oldest first."""
    state = view.state
    found: list[tuple[datetime, Remark]] = []

    def add(at: datetime, by: str, verb: str, text: str, pending: bool = False) -> None:
        face = names.face(by)
        remark = Remark(face.name, face.initials, verb, plain(text), ago(at, now), pending)
        found.append((at, remark))

    for note in state.notes:
        add(note.at, note.by, "", note.text)
    for question in state.questions:
        verb = f"asked {recipient(question.to, names)}"
        add(question.at, question.by, verb, question.text, question.answered_at is None)
        if question.answered_at is not None:
            add(question.answered_at, question.answered_by, "answered", question.answer)
    for vote in state.votes:
        if vote.comment:
            add(vote.at, vote.by, "approved", vote.comment)
    return [remark for _, remark in sorted(found, key=lambda each: each[0])]


def _recipients(view: ApprovalView, names: Names, actor: Actor) -> list[tuple[str, str]]:
    known = [*view.state.to, *view.request.to, view.request.requester]
    known += [each for one in view.request.escalate for each in one.to]
    known += [f"group:{name}" for name in actor.groups]
    return [(word, recipient(word, names)) for word in dict.fromkeys(known) if word]


def happened(changes: Sequence[Mapping[str, Any]], names: Names, now: datetime) -> list[Told]:
    """What a conflict's details tell of the changes since."""
    return [_change(each, names, now) for each in changes]


def _change(change: Mapping[str, Any], names: Names, now: datetime) -> Told:
    what, by, through = (str(change.get(name, "")) for name in ("what", "by", "through"))
    who, what = sentence(what, by, names, through)
    at = moment_of(change.get("at"))
    when = None if at is None else clock(at, now)
    return Told(f"{who} {what}".strip(), when, one_line(change.get("detail", ""), 160))


def moment_of(value: Any) -> datetime | None:
    """A moment of a refusal's details; None where it holds none."""
    if isinstance(value, datetime):
        return value
    try:
        return msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        return None

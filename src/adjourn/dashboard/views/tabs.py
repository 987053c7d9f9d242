"""What stands behind the tabs of an approval: evidence, reasons, comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from adjourn.approvals import machine
from adjourn.approvals.people import addresses_of
from adjourn.approvals.text import capital, one_line, plain
from adjourn.client.approvals import ApprovalView
from adjourn.dashboard.text import counted, initials, listed, recipient
from adjourn.dashboard.times import When, ago, clock, span, until
from adjourn.dashboard.views.rows import chips
from adjourn.dashboard.views.words import ENDED, STATUS, Chip, Fact, Names
from adjourn.model.actor import Actor
from adjourn.model.approval import Conversation, Document, Evidence, Facts, Line
from adjourn.model.inbox import InboxRow

Tab = Literal["conversation", "evidence", "why", "similar", "audit"]
TABS: dict[Tab, str] = {
    "conversation": "Conversation",
    "evidence": "Evidence",
    "why": "Why me",
    "similar": "Similar",
    "audit": "Audit",
}

ROLE_LABELS = {
    "customer": "Customer",
    "agent": "AI agent, written by a model",
    "person": "Colleague",
    "system": "System",
}


@dataclass(frozen=True, slots=True)
class LineView:
    """One message of a conversation."""

    author: str
    initials: str
    role: str
    label: str
    text: str
    at: When | None


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One piece of evidence: lines, facts or a text, whichever it has."""

    title: str
    kind: Literal["conversation", "facts", "document"]
    lines: list[LineView]
    facts: list[Fact]
    text: str
    source: str
    by_model: bool


@dataclass(frozen=True, slots=True)
class Reason:
    """One step of why this person is asked."""

    label: str
    text: str
    mine: bool = False


@dataclass(frozen=True, slots=True)
class SimilarView:
    """Another approval of the same kind."""

    href: str
    title: str
    at: When
    chips: list[Chip]


def tab_word(word: str, evidence: Sequence[Evidence]) -> Tab:
    """The tab of this word, else the first one that has something to show."""
    for tab in get_args(Tab):
        if tab == word:
            return tab
    if any(isinstance(each, Conversation) for each in evidence):
        return "conversation"
    return "evidence" if evidence else "why"


def exhibits(evidence: Sequence[Evidence], now: datetime) -> list[Exhibit]:
    """All evidence in the order given."""
    return [_exhibit(each, now) for each in evidence]


def _exhibit(each: Evidence, now: datetime) -> Exhibit:
    match each:
        case Conversation():
            lines = [_line(line, now) for line in each.lines]
            return Exhibit(plain(each.title), "conversation", lines, [], "", "", False)
        case Facts():
            facts = [Fact(plain(label), plain(text)) for label, text in each.facts.items()]
            return Exhibit(plain(each.title), "facts", [], facts, "", "", False)
        case Document():
            text, source = plain(each.text), plain(each.source)
            return Exhibit(plain(each.title), "document", [], [], text, source, each.by_model)


def _line(line: Line, now: datetime) -> LineView:
    return LineView(
        author=one_line(line.author, 80),
        initials=initials(line.author),
        role=line.role,
        label=ROLE_LABELS[line.role],
        text=plain(line.text),
        at=None if line.at is None else clock(line.at, now),
    )


def reasons(view: ApprovalView, names: Names, actor: Actor, now: datetime) -> list[Reason]:
    """Why a person is asked, why this one, and what happens if nobody answers."""
    request, state = view.request, view.state
    policy = f"Policy {plain(request.policy)} asks for one." if request.policy else ""
    found = [Reason("Why a person", policy or "The workflow always asks a person here.")]
    to = listed([recipient(word, names) for word in state.to], "or")
    reached = [word for word in addresses_of(actor) if word in state.to]
    if reached and machine.may_decide(request, state, actor):
        how = listed([_address(word, actor) for word in reached])
        found.append(Reason("Why you", f"It is addressed to {to}. {how}.", mine=True))
    elif actor.id == request.requester:
        found.append(Reason("Why you", "You requested it. Somebody else decides."))
    else:
        found.append(Reason("Why you", f"It is addressed to {to}. You can look, not decide."))
    excluded = [request.requester, *request.not_by]
    who = listed([recipient(word, names) for word in dict.fromkeys(excluded) if word])
    if who:
        found.append(Reason("Who must not", f"{who}: nobody decides on their own request."))
    if request.need > 1:
        text = f"{counted(request.need, 'different person')} must approve the very same values; "
        text = text.replace("persons", "people") + "an edit starts the count again."
        found.append(Reason("How many", text))
    if request.fresh_sign_in is not None:
        within = span_of(request.fresh_sign_in)
        found.append(
            Reason("Signing in", f"Whoever approves it has signed in within {within} before.")
        )
    found.append(Reason("If nobody answers", _chase(view, names, now)))
    if request.recheck is not None:
        text = "The facts are fetched again before the effect. If they changed, nothing is done."
        found.append(Reason("Before the effect", text))
    undo = span_of(request.undo)
    if request.undo:
        found.append(Reason("Undo", f"A decision can be taken back for {undo}; then it counts."))
    return found


def _address(word: str, actor: Actor) -> str:
    kind, colon, rest = word.partition(":")
    if colon and word != actor.id:
        name = plain(rest)
        return f"You are in the {name} group" if kind == "group" else f"You have the role {name}"
    return "It names you"


def span_of(seconds: float) -> str:
    """`10 s`, `4 h`."""
    return span(timedelta(seconds=seconds))


def _chase(view: ApprovalView, names: Names, now: datetime) -> str:
    request, state = view.request, view.state
    parts: list[str] = []
    if request.remind:
        after = listed([span_of(each) for each in request.remind])
        parts.append(f"reminded after {after} ({state.reminded} so far)")
    for step in request.escalate:
        to = listed([recipient(word, names) for word in step.to], "or")
        parts.append(f"after {span_of(step.after)} {to} may decide as well")
    if state.expires_at is None:
        parts.append("it never expires")
    else:
        parts.append(f"it expires {until(state.expires_at, now).text}, which is not a rejection")
    return capital("; ".join(parts)) + "."


def _standing(row: InboxRow, names: Names, now: datetime) -> list[Chip]:
    told = chips(row, names, now)
    if row.status in ENDED or row.status == "info_requested":
        return told
    return [STATUS[row.status], *told]


def similar_view(row: InboxRow, names: Names, now: datetime, back: str) -> SimilarView:
    """Another approval of the kind, with what became of it."""
    at = row.decided_at or row.opened_at
    return SimilarView(
        href=f"/approvals/{row.id}" + (f"?{back}" if back else ""),
        title=one_line(row.title, 160),
        at=ago(at, now),
        chips=_standing(row, names, now),
    )

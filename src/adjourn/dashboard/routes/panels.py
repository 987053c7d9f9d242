"""The panel of an approval, beside the list or on its own page: what its templates need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from adjourn.approvals.fields import ProposalField
from adjourn.approvals.text import one_line
from adjourn.client.approvals import ApprovalView
from adjourn.dashboard.body import input_name
from adjourn.dashboard.desk import Visit, Way
from adjourn.dashboard.drawn import kept_texts
from adjourn.dashboard.search import Search
from adjourn.dashboard.text import counted, listed
from adjourn.dashboard.times import When
from adjourn.dashboard.views.act import SNOOZES
from adjourn.dashboard.views.audit import entry_views
from adjourn.dashboard.views.panel import Draft, panel_view, undo_until
from adjourn.dashboard.views.plain import last_answer, plain_view
from adjourn.dashboard.views.tabs import (
    TABS,
    SimilarView,
    Tab,
    exhibits,
    reasons,
    similar_view,
    tab_word,
)
from adjourn.dashboard.views.words import ENDED, EXECUTION, STATUS, Chip, Told, Tone
from adjourn.errors import HistoryDamagedError, InstanceNotFoundError, InvalidIdError
from adjourn.model.approval import APPROVAL, Conversation
from adjourn.model.inbox import InboxRow, View

SIMILAR_ROWS = 6


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why what somebody wanted was not done, above everything else."""

    tone: Tone
    icon: str
    title: str
    text: str = ""
    at: When | None = None
    """When it happened, to be read after the title."""
    lines: list[Told] = field(default_factory=list[Told])
    kept: list[str] = field(default_factory=list[str])
    """What they had written, where no form holds it any more."""
    sign_in: str = ""
    """Where they go on after signing in again, where that is what is missing."""


@dataclass(frozen=True, slots=True)
class TabLink:
    """One tab: an address for a page with it open, and one for its part."""

    word: str
    label: str
    href: str
    part: str
    current: bool
    count: int


@dataclass(frozen=True, slots=True)
class Notice:
    """What was decided just now, with the way back while there is one."""

    id: str
    version: int
    tone: Tone
    icon: str
    title: str
    text: str
    href: str
    undo: When | None
    chips: list[Chip]
    watch: bool
    """Whether more is to come of it."""


async def panel_words(
    visit: Visit,
    id: str,
    way: Way,
    tab: str,
    draft: Draft | None = None,
    trouble: Trouble | None = None,
) -> dict[str, Any]:
    """What `_panel.html` or `_plain.html` needs.

    Raises: InstanceNotFoundError, also for what this person may not see; InvalidIdError.
    """
    common = {"way": way, "trouble": trouble, "back_href": Search.of_text(way.back).link()}
    try:
        view = await visit.client.approvals.get(id, by=visit.actor)
    except InstanceNotFoundError:
        found = await plain_words(visit, id, draft)
        return {**common, **found, "panel": None}
    return {**common, **await _words(visit, view, way, tab, draft), "plain_panel": None}


async def _words(
    visit: Visit, view: ApprovalView, way: Way, tab: str, draft: Draft | None
) -> dict[str, Any]:
    panel = panel_view(view, visit.names, visit.actor, visit.now, visit.desk.hold_above, draft)
    word = tab_word(tab, view.request.evidence)
    return {
        "panel": panel,
        "tab": word,
        "tab_label": TABS[word],
        "tabs": tab_links(view, way, word),
        "exhibits": exhibits(view.request.evidence, visit.now),
        "reasons": reasons(view, visit.names, visit.actor, visit.now) if word == "why" else [],
        "similar": await _similar(visit, view, way) if word == "similar" else [],
        "audit": entry_views(view.entries, visit.names, visit.now) if word == "audit" else [],
        "exports": visit.operator,
        "snoozes": [(word, label) for word, (label, _) in SNOOZES.items()],
    }


async def plain_words(visit: Visit, id: str, draft: Draft | None = None) -> dict[str, Any]:
    """The plain form: an orchestrator that waits for an event called Approval.

    Raises: InstanceNotFoundError, InvalidIdError.
    """
    # The wait is read before the words about it: between the two it may become another one, and
    # then the answer to what is shown must come too late.
    row = await plain_row(visit, id)
    state = await visit.client.get(id)
    return {"plain_panel": plain_view(state, row, visit.actor, visit.now, draft or Draft())}


async def plain_row(visit: Visit, id: str) -> InboxRow | None:
    """The wait of the plain form, None where there is none now.

    Raises: InstanceNotFoundError, InvalidIdError.
    """
    if not visit.operator or (await visit.client.get(id)).name == APPROVAL:
        raise InstanceNotFoundError(id)
    return await visit.client.approvals.row(id, by=visit.actor)


async def plain_answer(visit: Visit, id: str) -> list[Told]:
    """Who answered it, as far as the answer says so."""
    try:
        return last_answer(await visit.client.history(id), visit.names, visit.now)
    except HistoryDamagedError:
        return []


async def still_waits(visit: Visit, id: str) -> bool:
    """Whether it is there for this person, not ended, and nobody else's."""
    try:
        view = await visit.client.approvals.get(id, by=visit.actor)
    except InvalidIdError:
        return False
    except InstanceNotFoundError:
        return await _waits_plainly(visit, id)
    return view.state.status not in ENDED and view.state.holder in ("", visit.actor.id)


async def _waits_plainly(visit: Visit, id: str) -> bool:
    try:
        return await plain_row(visit, id) is not None
    except InstanceNotFoundError:
        return False


def tab_links(view: ApprovalView, way: Way, current: Tab) -> list[TabLink]:
    """The tabs with how much stands behind each."""
    id, evidence = view.state.id, view.request.evidence
    talks = [each for each in evidence if isinstance(each, Conversation)]
    counts = {
        "conversation": sum(len(each.lines) for each in talks)
        + len(view.state.notes)
        + len(view.state.questions),
        "evidence": len(evidence) - len(talks),
    }
    search = Search.of_text(way.back)
    return [
        TabLink(
            word=word,
            label=label,
            href=search.link(open=id, tab=word)
            if way.surface == "inbox"
            else f"/approvals/{id}?{search.address(tab=word)}",
            part=f"/approvals/{id}/tab?{search.address(tab=word, surface=way.surface)}",
            current=word == current,
            count=counts.get(word, 0),
        )
        for word, label in TABS.items()
    ]


async def _similar(visit: Visit, view: ApprovalView, way: Way) -> list[SimilarView]:
    """Others of the kind that this person may see: what became of the ended ones comes first."""
    found: dict[str, SimilarView] = {}
    views: tuple[View, ...] = ("recent", "all")
    for word in views:
        search = Search(view=word, kind=view.request.kind, order="newest")
        query = search.query(visit.actor, visit.now, SIMILAR_ROWS + 1)
        page = await visit.client.approvals.inbox(query)
        for row in page.rows:
            if row.id != view.state.id and row.pattern == "approval":
                found.setdefault(row.id, similar_view(row, visit.names, visit.now, way.back))
    return list(found.values())[: 2 * SIMILAR_ROWS]


async def notice_of(visit: Visit, id: str, back: str, shown: str = "") -> Notice | None:
    """What became of an approval that this person has just acted on. `shown` is the one whose own
    page it would be told on: of a decision that says it all, with the same way back."""
    if not id:
        return None
    try:
        view = await visit.client.approvals.get(id, by=visit.actor)
    except (InstanceNotFoundError, InvalidIdError):
        return None
    state, row = view.state, view.row
    href = f"/approvals/{id}" + (f"?{back}" if back else "")
    undo = undo_until(view, visit.now)
    if state.status in ENDED and id == shown:
        return None
    if state.status in ENDED:
        chip = STATUS[state.status]
        by = listed([visit.names.you(each) for each in state.decided_by])
        title = f"{chip.text} by {by}:" if by else f"{chip.text}:"
        moving = state.status == "approved" and row.execution in ("none", "queued", "running")
        told = [EXECUTION[row.execution]] if row.execution != "none" else []
        watch = bool(undo) or (moving and row.execution != "none")
        return Notice(
            id, state.version, chip.tone, chip.icon, title, one_line(view.request.title, 100),
            href, undo, told, watch,
        )  # fmt: skip
    if any(vote.by == visit.actor.id for vote in state.votes):
        left = view.request.need - len(state.votes)
        text = f"{one_line(view.request.title, 80)}. {counted(left, 'approval')} more to go"
        title = f"Your approval counts, {len(state.votes)} of {view.request.need}:"
        return Notice(id, state.version, "ok", "votes", title, text, href, None, [], False)
    return None


SAID = {
    "claim": "Claimed: it is yours.",
    "unclaim": "Given back.",
    "reassign": "Reassigned.",
    "comment": "Comment added.",
    "ask": "Question sent.",
    "answer": "Answer sent.",
    "approve": "Approved.",
    "reject": "Rejected.",
    "undo": "Taken back: it is open again.",
    "cancel": "Cancelled.",
    "snooze": "Snoozed, for you only.",
    "event": "Sent.",
}
"""What is told when it was done."""


def said_of(word: str) -> str:
    return SAID.get(word, "")


def kept_of(draft: Draft, fields: Sequence[ProposalField]) -> list[str]:
    """What somebody wrote and edited, to be shown where it can no longer be sent."""
    edited = [
        f"{each.label}: {one_line(typed, 500)}"
        for each in fields
        if (typed := draft.text(input_name(each.name)).replace("\r\n", "\n"))
        and each.editable
        and typed != each.before.replace("\r\n", "\n")
    ]
    return [*kept_texts(draft.typed), *edited]

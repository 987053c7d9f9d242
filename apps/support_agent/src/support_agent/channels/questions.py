"""An approval as a card: what one reader may see of it and do with it, now. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime

from adjourn import ApprovalView, Conversation, Facts
from support_agent.channels.port import ApprovalCard, CardField

DECISIONS = ("approve", "reject")
"""What a card offers of what a reader may do."""
FACTS_SHOWN = 8
LINES_SHOWN = 6
DECIDABLE = frozenset({"open", "claimed", "info_requested"})

NameOf = Callable[[str], str]
"""What people call the person with this id."""


def card_of(
    view: ApprovalView,
    name_of: NameOf,
    *,
    link: str,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    trouble: str = "",
) -> ApprovalCard:
    """The card for the very person whom `view` was made for. `typed`, `errors` and `trouble` are
    what they sent and what was wrong with it."""
    return ApprovalCard(
        id=view.state.id,
        version=view.state.version,
        digest=view.state.digest,
        title=view.request.title,
        status=status_of(view, name_of),
        open=is_open(view),
        risk=view.request.risk,
        fields=_fields(view, typed, errors),
        facts=tuple(_facts(view))[:FACTS_SHOWN],
        said=_said(view),
        link=link,
        allowed=tuple(each for each in DECISIONS if each in view.allowed and fits(view, each)),
        trouble=trouble,
    )


def fits(view: ApprovalView, decision: str) -> bool:
    """Whether a card is the place for it. At high risk the dashboard asks for a comment and for a
    held button before it approves, and for some it asks to sign in again; a card has none of these:
    there it leads to the dashboard."""
    return decision != "approve" or not why_dashboard(view)


def why_dashboard(view: ApprovalView) -> str:
    """Why it is approved in the dashboard only; empty where a card will do."""
    if view.request.risk == "high":
        return "the risk is high"
    return "" if view.request.fresh_sign_in is None else "it asks you to sign in again"


def is_open(view: ApprovalView) -> bool:
    """Whether anybody may still decide."""
    return not view.state.final and view.state.status in DECIDABLE


def status_of(view: ApprovalView, name_of: NameOf) -> str:
    """Where it stands, in words."""
    state, request = view.state, view.request
    by = " and ".join(map(name_of, state.decided_by))
    match state.status:
        case "open" | "claimed" if why_dashboard(view) and "approve" in view.allowed:
            words = f"Approve it in the dashboard: {why_dashboard(view)}"
        case "open" | "claimed" | "info_requested" if state.votes:
            words = f"{len(state.votes)} of {request.need} have approved"
        case "claimed":
            words = f"Claimed by {name_of(state.holder)}"
        case "info_requested":
            words = "Waits for an answer to a question"
        case "open":
            words = "Open"
        case "approved":
            with_changes = " with changes" if state.edited else ""
            words = f"Approved{with_changes} by {by or state.policy}"
        case "rejected":
            words = f"Rejected by {by}: {state.reason}"
        case "expired":
            words = "Expired: nobody decided in time"
        case "cancelled":
            words = "Withdrawn" + (f": {state.reason}" if state.reason else "")
        case "superseded":
            words = "Void: the facts have changed since it was approved"
    if state.status in ("approved", "rejected") and not state.final:
        words += " (it can be taken back for a moment)"
    return words


def _fields(
    view: ApprovalView, typed: Mapping[str, str] | None, errors: Mapping[str, str] | None
) -> tuple[CardField, ...]:
    return tuple(
        CardField(
            name=each.name,
            label=each.label,
            shown=each.proposed,
            value=each.value,
            widget=each.widget,
            editable=each.editable,
            changed=each.changed,
            bounds=each.bounds,
            choices=tuple(each.choices),
            error=each.error,
        )
        for each in view.fields(typed, errors)
    )


def _facts(view: ApprovalView) -> list[tuple[str, str]]:
    request, state = view.request, view.state
    told = {
        "For": request.on_behalf_of,
        "Policy": request.policy,
        "Due": _moment(state.due_at),
        "Ends": _moment(state.expires_at),
    }
    found = [(label, text) for label, text in told.items() if text]
    for evidence in request.evidence:
        if isinstance(evidence, Facts):
            found += evidence.facts.items()
    return found


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at:%d %B %Y, %H:%M} UTC"


def _said(view: ApprovalView) -> tuple[tuple[str, str], ...]:
    lines = [
        (line.author, line.text)
        for evidence in view.request.evidence
        if isinstance(evidence, Conversation)
        for line in evidence.lines
    ]
    return tuple(lines[-LINES_SHOWN:])

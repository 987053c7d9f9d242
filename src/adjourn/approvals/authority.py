"""Who may do what to an approval: told from the request, the state and a verified actor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal, assert_never

from adjourn.approvals.state import Question, State
from adjourn.errors import Refusal
from adjourn.model.actor import (
    DECIDERS,
    Absent,
    Actor,
    absent_ones,
    addresses_of,
    concerns,
    names_of,
)
from adjourn.model.approval import (
    Action,
    AddComment,
    AnswerQuestion,
    ApprovalRequest,
    Approve,
    Ask,
    Cancel,
    Claim,
    Reassign,
    Reject,
    Snooze,
    Unclaim,
    Undo,
)

Rule = Literal[
    "signed_in",
    "agent",
    "role",
    "not_addressed",
    "own_request",
    "excluded",
    "absent_may_not",
    "already_voted",
    "voted_for_you",
    "absent_has_voted",
    "stale_sign_in",
    "not_holder",
    "not_asked",
    "not_decider",
    "not_requester",
]
"""Which rule forbade it. Stored and sent: never renamed."""

RULES: Mapping[Rule, str] = {
    "signed_in": "Nobody is signed in.",
    "agent": "Agents never approve, and decide nothing about approvals.",
    "role": "Only people with the role approver or lead decide.",
    "not_addressed": "This is not addressed to you.",
    "own_request": "Nobody decides on their own request.",
    "excluded": "You are excluded from deciding this.",
    "absent_may_not": "Whoever you stand in for may not decide this, either.",
    "already_voted": "You have approved this very value already.",
    "voted_for_you": "Whoever stood in for you has approved this very value already.",
    "absent_has_voted": "This very value has been approved already by whoever you stand in for, or "
    "in their place.",
    "stale_sign_in": "Your sign-in is too long ago to approve this. Open it in the dashboard, sign "
    "in again, and approve it there.",
    "not_holder": "Only who claimed it, or a lead, gives it back.",
    "not_asked": "Only who was asked, the requester or a lead answers.",
    "not_decider": "Only who decided, or a lead, takes a decision back.",
    "not_requester": "Only the requester or a lead cancels it.",
}
"""They say nothing about the case, for an outsider reads them too."""

STEWARDS = frozenset({"lead", "admin"})
"""They keep the queue in order, also where nothing is addressed to them."""

UNDECIDED = ("open", "claimed", "info_requested")


def forbidden(rule: Rule, **facts: object) -> Refusal:
    """The refusal of somebody who may not, by this rule."""
    return Refusal(RULES[rule], "forbidden", {"rule": rule, **facts})


def may_view(request: ApprovalRequest, state: State, actor: Actor | None) -> bool:
    """Whether they may see it at all, in their tenant: `adjourn.model.actor.concerns`. Whoever may
    not does nothing to it, either."""
    if actor is None or not actor.id:
        return False
    acted = [request.requester, state.holder, *state.decided_by, *counted(state)]
    acted += [question.by for question in unanswered(state.questions)]
    asked = [question.to for question in state.questions]
    return concerns(actor, to=state.to, asked=asked, acted=acted)


def counted(state: State, digest: str = "") -> list[str]:
    """Whose approval counts: who gave it, and in whose place; with a digest, of that value."""
    votes = [vote for vote in state.votes if digest in ("", vote.digest)]
    found = [*(vote.by for vote in votes), *(vote.through for vote in votes if vote.through)]
    return list(dict.fromkeys(found))


def may_decide(request: ApprovalRequest, state: State, actor: Actor | None) -> bool:
    """Whether they belong to those who decide this; not whether they can at this moment."""
    return actor is not None and bool(actor.id) and _against(request, state, actor) is None


def authorise(request: ApprovalRequest, state: State, action: Action, actor: Actor | None) -> Actor:
    """The actor, who may do this to this approval.

    Raises: Refusal (forbidden), which says nothing about the case.
    """
    if actor is None or not actor.id:
        raise forbidden("signed_in")
    rule = _broken(request, state, action, actor)
    if rule is None and not may_view(request, state, actor):
        rule = "not_addressed"  # a steward of other queues
    if rule is not None:
        raise forbidden(rule)
    return actor


def no_decider(actor: Actor | None) -> Rule | None:
    """What keeps them from deciding anything at all."""
    if actor is None or not actor.id:
        return "signed_in"
    if actor.agent:
        return "agent"
    return "role" if DECIDERS.isdisjoint(actor.roles) else None


def refuse_a_second_vote(
    request: ApprovalRequest, state: State, action: Action, actor: Actor, digest: str
) -> None:
    """One person counts once for one value, however they come and in whose place they act, and so
    does the word of somebody who is away. A claim of theirs would keep the next one out; who learns
    better may still reject it. Once it is decided, "already decided" tells them more, so that is
    left to the check of the moment.

    Raises: Refusal (forbidden).
    """
    if not isinstance(action, Approve | Claim) or state.status not in UNDECIDED:
        return
    votes = [vote for vote in state.votes if vote.digest == digest]
    if any(vote.by == actor.id for vote in votes):
        raise forbidden("already_voted")
    if any(vote.through == actor.id for vote in votes):
        raise forbidden("voted_for_you")
    if acts_for(request, state, action, actor, digest) is None:
        raise forbidden("absent_has_voted")


def acts_for(
    request: ApprovalRequest, state: State, action: Action, actor: Actor, digest: str
) -> str | None:
    """In whose place they do it, who may: empty where it is for themself; None where each of those
    whom they could act for has voted for this value already."""
    match action:
        case Unclaim():
            held_by = [each.id for each in absent_ones(actor) if each.id == state.holder]
            return held_by[0] if held_by else ""
        case Claim() | Ask() | Approve() | Reject() | Reassign():
            absent = _in_place_of(request, state, actor)
            own = not set(addresses_of(actor)).isdisjoint(state.to)
            if own or not absent:  # or a steward's
                return ""
            gone = counted(state, digest) if isinstance(action, Claim | Approve) else []
            return next((each.id for each in absent if each.id not in gone), None)
        case _:
            return ""


def refuse_a_stale_sign_in(
    request: ApprovalRequest, action: Action, actor: Actor, at: datetime
) -> None:
    """Whoever approves what asks for it has signed in lately. Clocks differ a little; a sign-in
    that is further ahead than the span is none.

    Raises: Refusal (forbidden); its details say `within` how many seconds.
    """
    within = request.fresh_sign_in
    if within is None or not isinstance(action, Approve):
        return
    signed_in_at = actor.signed_in_at
    if signed_in_at is None or abs((at - signed_in_at).total_seconds()) > within:
        raise forbidden("stale_sign_in", within=within)


def unanswered(questions: Iterable[Question]) -> list[Question]:
    """Those without an answer, oldest first."""
    return [question for question in questions if question.answered_at is None]


def _against(request: ApprovalRequest, state: State, actor: Actor) -> Rule | None:
    """What keeps them from deciding."""
    rule = no_decider(actor)
    if rule is not None:
        return rule
    own = not set(addresses_of(actor)).isdisjoint(state.to)
    if not own and not _absent_addressed(state, actor):
        return "not_addressed"
    rule = _four_eyes(request, actor)
    if rule is None and not own and not _in_place_of(request, state, actor):
        return "absent_may_not"
    return rule


def _four_eyes(request: ApprovalRequest, actor: Actor | Absent) -> Rule | None:
    """What keeps them away from this one, whatever their role."""
    if actor.id == request.requester:
        return "own_request"
    return None if set(request.not_by).isdisjoint(names_of(actor)) else "excluded"


def _absent_addressed(state: State, actor: Actor) -> list[Absent]:
    """Those in whose place they may decide and whom this is addressed to."""
    return [each for each in absent_ones(actor) if not set(addresses_of(each)).isdisjoint(state.to)]


def _in_place_of(request: ApprovalRequest, state: State, actor: Actor) -> list[Absent]:
    """Of those, who themselves might decide it."""
    return [each for each in _absent_addressed(state, actor) if _four_eyes(request, each) is None]


def _broken(request: ApprovalRequest, state: State, action: Action, actor: Actor) -> Rule | None:
    match action:
        case Claim() | Ask() | Approve() | Reject() | Snooze():
            return _against(request, state, actor)
        case Reassign():
            # Who asks does not choose who decides, either.
            steward = _is_steward(actor)
            return _four_eyes(request, actor) if steward else _against(request, state, actor)
        case Unclaim():
            # Where nobody holds it, who may decide learns that it changed instead.
            may = may_decide(request, state, actor)
            if _holds(state, actor) or (may and _free_for(state, actor)):
                return None
            return _four_eyes(request, actor) if _is_steward(actor) else "not_holder"
        case AddComment():
            if actor.agent:
                return "agent"
            return None if may_view(request, state, actor) else "not_addressed"
        case AnswerQuestion():
            return None if _may_answer(request, state, actor) else "not_asked"
        case Undo():
            undecided = not state.decided_by and may_decide(request, state, actor)
            if undecided or actor.id in state.decided_by:
                return None
            return _four_eyes(request, actor) if _is_lead(actor) else "not_decider"
        case Cancel():
            own = actor.id == request.requester
            return None if own or _is_steward(actor) else "not_requester"
        case _:
            assert_never(action)


def _holds(state: State, actor: Actor) -> bool:
    return actor.id == state.holder


def _free_for(state: State, actor: Actor) -> bool:
    """Whether nobody holds it, or somebody who is away and in whose place they decide."""
    return state.holder in ("", *(absent.id for absent in absent_ones(actor)))


def _is_lead(actor: Actor) -> bool:
    return not actor.agent and "lead" in actor.roles


def _is_steward(actor: Actor) -> bool:
    return not actor.agent and not STEWARDS.isdisjoint(actor.roles)


def _may_answer(request: ApprovalRequest, state: State, actor: Actor) -> bool:
    """Agents answer, too: they ask for approvals, and know why."""
    asked = unanswered(state.questions) or state.questions
    return (
        actor.id == request.requester
        or _is_lead(actor)
        or not {question.to for question in asked}.isdisjoint(addresses_of(actor))
    )

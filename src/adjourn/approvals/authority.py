"""Who may do what to an approval: told from the request, the state and a verified actor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, assert_never

from adjourn.approvals.people import addresses_of
from adjourn.approvals.state import Question, State
from adjourn.errors import Refusal
from adjourn.model.actor import DECIDERS, Actor
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
    "already_voted",
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
    "already_voted": "You have approved this very value already.",
    "not_holder": "Only who claimed it, or a lead, gives it back.",
    "not_asked": "Only who was asked, the requester or a lead answers.",
    "not_decider": "Only who decided, or a lead, takes a decision back.",
    "not_requester": "Only the requester or a lead cancels it.",
}
"""They say nothing about the case, for an outsider reads them too."""

STEWARDS = frozenset({"lead", "admin"})
"""They keep the queue in order, also where nothing is addressed to them."""

UNDECIDED = ("open", "claimed", "info_requested")


def forbidden(rule: Rule) -> Refusal:
    """The refusal of somebody who may not, by this rule."""
    return Refusal(RULES[rule], "forbidden", {"rule": rule})


def may_view(request: ApprovalRequest, state: State, actor: Actor | None) -> bool:
    """Whether they may see it at all: with any role, as requester, addressed, or asked."""
    if actor is None or not actor.id:
        return False
    concerned = [*state.to, *(question.to for question in state.questions)]
    return (
        bool(actor.roles)
        or actor.id == request.requester
        or not set(concerned).isdisjoint(addresses_of(actor))
    )


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


def refuse_a_second_vote(state: State, action: Action, actor: Actor, digest: str) -> None:
    """One person counts once for one value, however they come, and a claim of theirs would keep
    the next one out; who learns better may still reject it. Once it is decided, "already decided"
    tells them more, so that is left to the check of the moment.

    Raises: Refusal (forbidden).
    """
    if not isinstance(action, Approve | Claim) or state.status not in UNDECIDED:
        return
    if any(vote.by == actor.id and vote.digest == digest for vote in state.votes):
        raise forbidden("already_voted")


def unanswered(questions: Iterable[Question]) -> list[Question]:
    """Those without an answer, oldest first."""
    return [question for question in questions if question.answered_at is None]


def _against(request: ApprovalRequest, state: State, actor: Actor) -> Rule | None:
    """What keeps them from deciding."""
    rule = no_decider(actor)
    if rule is not None:
        return rule
    mine = set(addresses_of(actor))
    if mine.isdisjoint(state.to):
        return "not_addressed"
    return _four_eyes(request, actor)


def _four_eyes(request: ApprovalRequest, actor: Actor) -> Rule | None:
    """What keeps them away from this one, whatever their role."""
    if actor.id == request.requester:
        return "own_request"
    return None if set(request.not_by).isdisjoint(addresses_of(actor)) else "excluded"


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
            free = not state.holder and may_decide(request, state, actor)
            if free or _holds(state, actor):
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

"""Who is to be told: people of the directory, as the approval's own rules see them now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from adjourn.approvals.authority import may_decide, unanswered
from adjourn.approvals.people import Person, addresses_of
from adjourn.approvals.state import Question
from adjourn.client.approvals import ApprovalView
from adjourn.model.actor import EVERY_TENANT, Actor

CHANNEL = "mail"


class Directory(Protocol):
    """What is needed of an `Authenticator`."""

    def find(self, person: str) -> Person | None: ...
    def everybody(self) -> Sequence[Person]: ...
    def acting(self, person: Person, channel: str) -> Actor: ...


class People:
    """Those of the directory who can be told something, acting as they would if they came now."""

    def __init__(
        self, directory: Directory, fresh: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """`fresh` reads the directory again, where another process may have changed it."""
        self._directory = directory
        self._fresh = fresh

    async def actors(self) -> dict[str, tuple[Person, Actor]]:
        """By id: all who have an address and are not disabled."""
        if self._fresh is not None:
            await self._fresh()
        return {
            person.id: (person, self._directory.acting(person, CHANNEL))
            for person in self._directory.everybody()
            if person.email and not person.disabled
        }

    async def one(self, id: str) -> tuple[Person, Actor] | None:
        """As in `actors`."""
        return (await self.actors()).get(id)

    def name_of(self, id: str) -> str:
        found = self._directory.find(id)
        return found.name if found is not None else id


def _is_of_theirs(view: ApprovalView, actor: Actor) -> bool:
    """Whether it is of their tenant."""
    return actor.tenant in (EVERY_TENANT, view.row.tenant)


def is_asked_to_decide(view: ApprovalView, actor: Actor) -> bool:
    """Whether it waits for them: they may decide it, and their vote is not in."""
    return (
        _is_of_theirs(view, actor)
        and may_decide(view.request, view.state, actor)
        and all(vote.by != actor.id for vote in view.state.votes)
    )


def is_asked_to_answer(view: ApprovalView, actor: Actor) -> bool:
    """Whether a question without an answer is theirs, and not put by themselves."""
    mine = set(addresses_of(actor))
    return _is_of_theirs(view, actor) and any(
        question.to in mine and question.by != actor.id
        for question in unanswered(view.state.questions)
    )


def last_answered(questions: Sequence[Question]) -> Question | None:
    """The question whose answer came last."""
    answered = [each for each in questions if each.answered_at is not None]
    return max(answered, key=lambda each: each.answered_at or each.at, default=None)

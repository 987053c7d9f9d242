"""People in a sandbox: `box.inbox("finance").one().approve(by="lena", amount="550")`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Protocol

import msgspec

from adjourn.errors import AdjournError
from adjourn.model.actor import Actor
from adjourn.model.approval import (
    ACT,
    Action,
    AddComment,
    Answer,
    AnswerQuestion,
    Approve,
    Ask,
    Cancel,
    Claim,
    Reject,
    Snooze,
    Unclaim,
    Undo,
)
from adjourn.model.inbox import InboxRow


class Box(Protocol):
    """What of a sandbox is needed here."""

    def update(
        self,
        id: str,
        name: str,
        data: Any = None,
        /,
        *,
        update_id: str,
        by: Actor | None = None,
    ) -> Any: ...

    def inbox_row(self, id: str) -> InboxRow | None: ...

    @property
    def now(self) -> datetime: ...

    def next_number(self) -> int: ...


class SandboxApproval:
    """One question in a sandbox. `by` is a person's id, who then is an approver of the group that
    the inbox was opened for and has signed in just now, or a whole Actor. Each method raises what
    `client.approvals.act` does.
    """

    def __init__(self, box: Box, row: InboxRow, group: str) -> None:
        self._box = box
        self._group = group
        self.id = row.id

    @property
    def row(self) -> InboxRow:
        """As the inbox shows it now."""
        found = self._box.inbox_row(self.id)
        if found is None:
            raise AdjournError(f"{self.id!r} is not in the inbox.")
        return found

    def act(self, action: Action, by: str | Actor, action_id: str = "") -> Answer:
        """Any action, with the version that it names."""
        given = self._box.update(
            self.id,
            ACT,
            action,
            update_id=action_id or f"sandbox-{self._box.next_number()}",
            by=by if isinstance(by, Actor) else self._approver(by),
        )
        return msgspec.convert(given, Answer)

    def _approver(self, person: str) -> Actor:
        groups = [self._group] if self._group else []
        return Actor(
            id=person,
            groups=groups,
            roles=["approver"],
            channel="sandbox",
            signed_in_at=self._box.now,
        )

    @property
    def _seen(self) -> int:
        return self.row.version

    def claim(self, by: str | Actor) -> Answer:
        return self.act(Claim(version=self._seen), by)

    def unclaim(self, by: str | Actor) -> Answer:
        return self.act(Unclaim(version=self._seen), by)

    def approve(self, by: str | Actor, comment: str = "", **changes: Any) -> Answer:
        """Approve, with these fields changed."""
        return self.act(Approve(version=self._seen, changes=changes, comment=comment), by)

    def reject(self, by: str | Actor, reason: str) -> Answer:
        return self.act(Reject(version=self._seen, reason=reason), by)

    def ask(self, by: str | Actor, question: str, to: str = "") -> Answer:
        return self.act(Ask(version=self._seen, question=question, to=to), by)

    def answer(self, by: str | Actor, text: str) -> Answer:
        return self.act(AnswerQuestion(version=self._seen, text=text), by)

    def comment(self, by: str | Actor, text: str) -> Answer:
        return self.act(AddComment(version=self._seen, text=text), by)

    def undo(self, by: str | Actor) -> Answer:
        return self.act(Undo(version=self._seen), by)

    def cancel(self, by: str | Actor, reason: str = "") -> Answer:
        return self.act(Cancel(version=self._seen, reason=reason), by)

    def snooze(self, by: str | Actor, until: Any = None) -> Answer:
        return self.act(Snooze(version=self._seen, until=until), by)


class SandboxInbox:
    """The open questions at one moment, for one group or for everybody."""

    def __init__(self, box: Box, rows: list[InboxRow], group: str) -> None:
        self.rows = rows
        self._box = box
        self._group = group

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[SandboxApproval]:
        return iter([SandboxApproval(self._box, row, self._group) for row in self.rows])

    def one(self) -> SandboxApproval:
        """The only one. Raises: AdjournError when there is another number."""
        if len(self.rows) != 1:
            titles = ", ".join(row.title for row in self.rows) or "none"
            raise AdjournError(f"The inbox holds {len(self.rows)} questions, not one: {titles}.")
        return SandboxApproval(self._box, self.rows[0], self._group)

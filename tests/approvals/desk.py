"""People around one question, and a desk at which they act on it, one line for each thing done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import pytest

from adjourn.approvals import machine
from adjourn.approvals.state import State
from adjourn.errors import Refusal
from adjourn.model import codec
from adjourn.model.actor import Actor, Role
from adjourn.model.approval import Action, Answer, ApprovalRequest, Bounds

T0 = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DAY = 86_400.0


def at(seconds: float) -> datetime:
    """The moment `seconds` after the opening."""
    return T0 + timedelta(seconds=seconds)


class Line(msgspec.Struct):
    name: str
    count: Annotated[int, msgspec.Meta(ge=1)]


@dataclass
class Refund:
    order_id: str
    amount: Decimal
    lines: list[Line] = field(default_factory=list[Line])
    copies: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1
    rate: float = 0.5
    method: Literal["card", "bank"] = "card"
    note: str | None = None


REFUND = Refund("A-1042", Decimal("600"), [Line("lamp", 1)])


def asking(proposal: Any = REFUND, **given: Any) -> ApprovalRequest:
    """A request to the group finance, by sam, with eli excluded, unless said otherwise."""
    defaults: dict[str, Any] = {
        "kind": type(proposal).__name__,
        "title": "Refund $600 to Ada, order A-1042",
        "proposal": codec.encode(proposal),
        "form": given.get("form") or codec.encode(msgspec.json.schema(type(proposal))),
        "to": ["group:finance"],
        "editable": {"amount": Bounds(minimum="0.01", maximum="1000")},
        "requester": "sam",
        "not_by": ["eli"],
        "undo": 10.0,
    }
    return ApprovalRequest(**(defaults | given))


def person(
    id: str,
    *roles: Role,
    groups: Sequence[str] = ("finance",),
    channel: str = "web",
    agent: bool = False,
) -> Actor:
    return Actor(id=id, roles=list(roles), groups=list(groups), channel=channel, agent=agent)


LENA = person("lena", "approver")
OMAR = person("omar", "approver")
NOOR = person("noor", "approver")
GRACE = person("grace", "approver", "lead")
MAX = person("max", "lead", groups=())
ADA = person("ada", "admin")
SAM = person("sam", "viewer", groups=())
ELI = person("eli", "approver")
IVO = person("ivo", "auditor", groups=())
EVE = person("eve", groups=())
BOT = person("bot", "approver", "lead", agent=True)


A = TypeVar("A", bound=Action)


class Desk:
    """One approval and its latest state. Whoever acts sees the latest version."""

    def __init__(self, request: ApprovalRequest | None = None, **given: Any) -> None:
        self.request = request or asking(**given)
        self.state: State = machine.open("A-104", self.request, T0)

    def act(self, actor: Actor | None, kind: type[A], after: float = 1, **fields: Any) -> Answer:
        """Do it, `after` seconds from the opening."""
        action = kind(**{"version": self.state.version, **fields})
        self.state, answer = machine.act(self.request, self.state, action, actor, at(after))
        return answer

    def refused(
        self, actor: Actor | None, kind: type[A], after: float = 1, **fields: Any
    ) -> Refusal:
        """How it is refused; both doors must agree, and nothing may change."""
        action = kind(**{"version": self.state.version, **fields})
        with pytest.raises(Refusal) as door:
            machine.check(self.request, self.state, action, actor, at(after))
        with pytest.raises(Refusal) as inside:
            machine.act(self.request, self.state, action, actor, at(after))
        assert (door.value.kind, door.value.reason) == (inside.value.kind, inside.value.reason)
        assert door.value.details == inside.value.details
        codec.encode(door.value.details)  # it goes into a reply
        return door.value

    def wait(self, until: float) -> State:
        """Time passes, to so many seconds after the opening."""
        self.state = machine.tick(self.request, self.state, at(until))
        return self.state

    def happened(self) -> list[str]:
        return [change.what for change in self.state.changes]

    @property
    def outcome(self) -> Any:
        return machine.outcome(self.request, self.state)

"""What the inbox shows: it stands in the address, so that a reload or a link shows the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

from adjourn.approvals.people import addresses_of
from adjourn.model.actor import Actor
from adjourn.model.inbox import InboxQuery, Order, View

PAGE_ROWS = 50
TEXT_LIMIT = 200  # characters of one condition

VIEWS: dict[View, str] = {
    "needs_me": "Needs me",
    "unclaimed": "My groups",
    "overdue": "Overdue",
    "waiting": "Waiting on others",
    "snoozed": "Snoozed",
    "decided": "Decided by me",
    "recent": "Recent",
    "all": "All open",
}
ORDERS: dict[Order, str] = {
    "due": "Due first",
    "risk": "Highest risk",
    "amount": "Largest amount",
    "oldest": "Oldest",
    "newest": "Newest",
}
AGES: dict[str, tuple[str, timedelta, bool]] = {
    "hour": ("Less than 1 hour", timedelta(hours=1), False),
    "day": ("Less than 1 day", timedelta(days=1), False),
    "over-day": ("More than 1 day", timedelta(days=1), True),
    "over-week": ("More than 1 week", timedelta(days=7), True),
}
"""By word: the label, the span, and whether it means longer ago than that."""
RISKS = {"high": "High", "medium": "Medium", "low": "Low"}


@dataclass(frozen=True, slots=True)
class Search:
    """The inbox's conditions as they stand in the address. All are words; empty means any."""

    view: View = "needs_me"
    text: str = ""
    kind: str = ""
    group: str = ""
    risk: str = ""
    policy: str = ""
    requester: str = ""
    case: str = ""
    amount_from: str = ""
    amount_to: str = ""
    age: str = ""
    order: Order = "due"
    page: str = ""

    @classmethod
    def of(cls, words: Mapping[str, str]) -> Search:
        """What the address says. A word that means nothing is left out: a link never fails."""
        given = {
            each.name: words.get(each.name, "").strip()[:TEXT_LIMIT]
            for each in fields(cls)
            if words.get(each.name, "").strip()
        }
        allowed = {"view": VIEWS, "order": ORDERS, "age": AGES, "risk": RISKS}
        for name, known in allowed.items():
            if given.get(name) not in known:
                given.pop(name, None)
        for name in ("amount_from", "amount_to"):
            if _number(given.get(name, "")) is None:
                given.pop(name, None)
        page = given.get("page", "")
        if not (page.isascii() and page.isprintable()):
            given.pop("page", None)
        return cls(**cast("Any", given))

    @classmethod
    def of_text(cls, text: str) -> Search:
        """As `of`, from what `address` gave. Anything else is an inbox without conditions."""
        try:
            return cls.of(dict(parse_qsl(text, max_num_fields=50)))
        except ValueError:
            return cls()

    def address(self, **other: str) -> str:
        """The query of an address; `other` come after, and those that are empty are left out."""
        default = Search()
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        told = {name: word for name, word in own.items() if word != getattr(default, name)}
        return urlencode({**told, **{name: word for name, word in other.items() if word}})

    def link(self, **other: str) -> str:
        """The path and query of the inbox that shows this."""
        query = self.address(**other)
        return f"/?{query}" if query else "/"

    def but(self, **changes: str) -> Search:
        """The same with other words, from its first page on."""
        return replace(self, **cast("Any", {"page": "", **changes}))

    @property
    def filtered(self) -> bool:
        """Whether anything but the view narrows it."""
        return self.but(view="needs_me", order="due") != Search()

    def query(self, actor: Actor, now: datetime, limit: int = PAGE_ROWS) -> InboxQuery:
        """What the client is asked for this person."""
        age = AGES.get(self.age)
        moment = None if age is None else now - age[1]
        return InboxQuery(
            person=actor.id,
            recipients=addresses_of(actor),
            now=now,
            view=self.view,
            kind=self.kind,
            group=self.group,
            risk=self.risk,
            policy=self.policy,
            requester=self.requester,
            case=self.case,
            text=self.text,
            amount_from=_number(self.amount_from),
            amount_to=_number(self.amount_to),
            opened_before=moment if age and age[2] else None,
            opened_after=moment if age and not age[2] else None,
            order=self.order,
            limit=limit,
            page_token=self.page or None,
        )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e15 else None

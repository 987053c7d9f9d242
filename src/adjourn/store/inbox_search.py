"""A question to the inbox as SQL: what must hold of its rows, and in which order they stand."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf, isnan
from typing import Any, assert_never

import msgspec

from adjourn.errors import InvalidIdError
from adjourn.model.actor import Absent, addresses_of, names_of
from adjourn.model.inbox import InboxQuery, View
from adjourn.model.state import to_microseconds
from adjourn.store import inbox_columns as of
from adjourn.store import words

MOST_WORDS = 50
"""Of a searched text, as many different words count."""

ENDED_VIEWS = frozenset({"decided", "recent"})

Position = tuple[int | float, ...]
"""Where a row stands in an order: the values of the order's columns."""


def both(*conditions: str) -> str:
    """All of them hold; empty ones are none, and empty is what is left where all are."""
    return " AND ".join(each for each in conditions if each)


class Given(dict[str, Any]):
    """The bindings of a statement."""

    def bind(self, value: Any) -> str:
        """How SQL calls this value from now on."""
        name = f"given{len(self)}"
        self[name] = value
        return f":{name}"

    def position(self, position: Position) -> str:
        """The same for a position."""
        return f"({', '.join(map(self.bind, position))})"


# Conditions.

Group = Sequence[str]
"""Words, of which a row has one at least."""

Unless = tuple[Group, Sequence[str]]
"""A group, and the words of which such a row has none."""


@dataclass(slots=True, kw_only=True)
class Condition:
    """What holds of rows, told twice: to the index of words, and to the tables."""

    facts: list[Group] = field(default_factory=list[Group])
    """Told to both."""
    either: list[Sequence[Unless]] = field(default_factory=list[Sequence[Unless]])
    """Of each of these, one at least holds of a row. Told to both."""
    unwanted: list[str] = field(default_factory=list[str])
    """Facts that none of the rows has. Told to both."""
    hints: list[Group] = field(default_factory=list[Group])
    """Told to the index only: they follow from the checks."""
    checks: list[str] = field(default_factory=list[str])
    """Asked of the columns of `inbox`; also of rows that the index finds."""
    hinted: list[str] = field(default_factory=list[str])
    """The same, but of rows that the index finds they hold."""
    keyed: str = ""
    """Asked of `found.rowid`, of both."""

    def __and__(self, other: Condition) -> Condition:
        return Condition(
            facts=self.facts + other.facts,
            either=self.either + other.either,
            unwanted=self.unwanted + other.unwanted,
            hints=self.hints + other.hints,
            checks=self.checks + other.checks,
            hinted=self.hinted + other.hinted,
            keyed=both(self.keyed, other.keyed),
        )

    @property
    def expression(self) -> str:
        """For the index. Empty where it holds of all rows."""
        either = [[words.unless(*each) for each in several] for several in self.either]
        wanted = [*self.facts, *either, *self.hints]
        if self.unwanted and not wanted:  # nothing but what is not wanted cannot be looked for
            wanted.append(of.EVERYTHING)
        return words.expression(wanted, self.unwanted)

    def asked(self, given: Given) -> str:
        """All of it, of `inbox` and of `inbox_rows AS found`. Empty where it holds of all rows."""
        groups = [_has_one(group, given) for group in self.facts]
        groups += [_either(several, given) for several in self.either]
        return both(*self.checks, *self.hinted, *groups, _without(self.unwanted, given), self.keyed)


def _has_one(group: Group, given: Given) -> str:
    parts = [f"instr(found.facts, {given.bind(f' {word} ')}) > 0" for word in group]
    while len(parts) > _DEEPEST:
        chunks = (parts[at : at + _DEEPEST] for at in range(0, len(parts), _DEEPEST))
        parts = [f"({' OR '.join(chunk)})" for chunk in chunks]
    return f"({' OR '.join(parts)})"


def _without(unwanted: Sequence[str], given: Given) -> str:
    return f"NOT {_has_one(unwanted, given)}" if unwanted else ""


def _either(several: Sequence[Unless], given: Given) -> str:
    parts = (both(_has_one(one, given), _without(none, given)) for one, none in several)
    return f"({' OR '.join(f'({part})' for part in parts)})"


_DEEPEST = 50  # SQLite takes an expression 1,000 deep, and a person may be in more groups


def filters_of(query: InboxQuery, given: Given) -> Condition:
    """What a query asks of its rows, whatever its view."""
    found = Condition()
    for name, value in (
        (of.KIND, query.kind),
        (of.ADDRESSED, query.group),
        (of.RISK, query.risk),
        (of.POLICY, query.policy),
        (of.REQUESTER, query.requester),
        (of.CASE, query.case),
    ):
        if value:
            found.facts.append([words.fact(name, value)])
    if query.tenant is not None:
        _add_tenant(found, query.tenant)
    if query.within is not None:
        found.facts.append(_concerned(query, query.within))
    if query.risk in of.RANKS:
        found.hinted.append(f"inbox.risk_order = {of.RANKS.index(query.risk)}")
    looked_for = list(dict.fromkeys(words.fold(query.text).split()))
    _add_text(found, looked_for[:MOST_WORDS], given)
    _add_amounts(found, query.amount_from, query.amount_to, given)
    _add_openings(found, query.opened_after, query.opened_before, given)
    return found


def _add_tenant(found: Condition, tenant: str) -> None:
    if tenant:
        found.facts.append([words.fact(of.TENANT, tenant)])
    else:
        found.unwanted.append(of.TENANTED)


def _concerned(query: InboxQuery, queues: Sequence[str]) -> Group:
    """As `adjourn.model.actor.concerns` says. What is addressed to nobody is in no queue."""
    others = [each for absent in query.stands_in_for for each in addresses_of(absent)]
    addressed = dict.fromkeys([*queues, *query.recipients, *others])
    found = [words.fact(of.ADDRESSED, each) for each in addressed]
    found += [words.fact(of.QUESTIONED, each) for each in query.recipients]
    if query.person:
        did = (of.REQUESTER, of.HOLDER, of.VOTED, of.ASKED, of.DECIDED)
        found += [words.fact(part, query.person) for part in did]
    return found


def _add_text(found: Condition, looked_for: Sequence[str], given: Given) -> None:
    hints = words.pieces_of_all(looked_for)
    for word in looked_for:
        checks = found.hinted if words.exact_piece(word) in hints else found.checks
        checks.append(f"instr(inbox.search, {given.bind(word)}) > 0")
    found.hints += [[piece] for piece in hints]


def _add_amounts(found: Condition, low: float | None, high: float | None, given: Given) -> None:
    if low is None and high is None:
        return
    if low is not None:
        found.checks.append(f"inbox.amount_order <= -{given.bind(low)}")
    if high is not None:
        found.checks.append(f"inbox.amount_order >= -{given.bind(high)}")
    found.checks.append("inbox.amount_order < 9e999")
    ends = -inf if low is None else low, inf if high is None else high
    found.hints.append(words.rough_span(of.AMOUNT, *map(words.magnitude, ends)))


def _add_openings(
    found: Condition, after: datetime | None, before: datetime | None, given: Given
) -> None:
    if after is None and before is None:
        return
    first, last = 0, words.LAST
    if after is not None:
        first = words.hour(to_microseconds(after))
        found.checks.append(f"inbox.opened_at >= {given.bind(to_microseconds(after))}")
    if before is not None:
        last = words.hour(to_microseconds(before))
        found.checks.append(f"inbox.opened_at < {given.bind(to_microseconds(before))}")
    found.hints.append(words.rough_span(of.OPENED, first, last))


# Views.

_MANY = ("group:", "role:")


class Me:
    """What a row is to the person who asks."""

    def __init__(self, query: InboxQuery, given: Given) -> None:
        self._person = query.person
        self._recipients = list(dict.fromkeys(query.recipients))
        self._absent = query.stands_in_for
        self._now = to_microseconds(query.now)
        self._given_now = given.bind(self._now)
        self._snoozed = (
            "EXISTS (SELECT 1 FROM inbox_snoozes WHERE instance = found.rowid "
            f"AND person = {given.bind(self._person)} AND until > {self._given_now})"
        )

    def sees(self, view: View) -> list[Condition]:
        """The rows of a view: one of these holds of each, and never two."""
        match view:
            case "needs_me":
                return self._awake(self._decidable)
            case "unclaimed":
                groups = [each for each in self._recipients if each.startswith(_MANY)]
                facts: list[Group] = [[of.UNHELD], _addressed(groups)]
                return self._awake(Condition(facts=facts, unwanted=self._kept_away))
            case "overdue":
                past = words.span(of.DUE, 0, words.hour(self._now))
                checks = [f"inbox.due_order <= {self._given_now}"]
                return [self._decidable & Condition(hints=[past], checks=checks)]
            case "waiting":
                parts = (of.REQUESTER, of.VOTED, of.ASKED)
                return [Condition(facts=[[self._i_am(part) for part in parts]])]
            case "snoozed":
                return [Condition(facts=[[self._i_am(of.SNOOZED)]], keyed=self._snoozed)]
            case "decided":
                return [Condition(facts=[[self._i_am(of.DECIDED)]])]
            case "all" | "recent":
                return [Condition()]
            case _:
                assert_never(view)

    def _i_am(self, part: str) -> str:
        return words.fact(part, self._person) if self._person else words.NOBODYS

    @property
    def _decidable(self) -> Condition:
        """Mine; or of somebody who is away, who themself might decide it."""
        if not self._absent:
            return Condition(facts=[self._mine], unwanted=self._kept_away)
        theirs = [_in_place_of(absent) for absent in self._absent]
        return Condition(either=[[(self._mine, []), *theirs]], unwanted=self._kept_away)

    @property
    def _mine(self) -> Group:
        return [*_addressed(self._recipients), self._i_am(of.HOLDER)]

    @property
    def _kept_away(self) -> list[str]:
        excluded = [words.fact(of.EXCLUDED, each) for each in self._recipients]
        return [self._i_am(of.REQUESTER), self._i_am(of.VOTED), *excluded]

    def _awake(self, condition: Condition) -> list[Condition]:
        """Not snoozed: most rows never were, and that much their facts tell."""
        snoozed = self._i_am(of.SNOOZED)
        over = Condition(facts=[[snoozed]], keyed=f"NOT {self._snoozed}")
        return [condition & Condition(unwanted=[snoozed]), over & condition]


def _in_place_of(absent: Absent) -> Unless:
    theirs = addresses_of(absent)
    kept_away = [words.fact(part, absent.id) for part in (of.REQUESTER, of.VOTED)]
    kept_away += [words.fact(of.EXCLUDED, each) for each in names_of(absent)]
    return [words.fact(of.ADDRESSED, each) for each in theirs], kept_away


def _addressed(recipients: Iterable[str]) -> Group:
    return [*(words.fact(of.ADDRESSED, each) for each in recipients), of.TO_EVERYBODY]


# Statements.

_JOIN = {
    "inbox": "CROSS JOIN inbox ON inbox.instance = found.rowid",
    "inbox_rows": "CROSS JOIN inbox_rows AS found ON found.instance = inbox.instance",
}


def _index_of(view: View) -> str:
    return "inbox_ended_words" if view in ENDED_VIEWS else "inbox_open_words"


class Question:
    """A query, for any of its views."""

    def __init__(self, query: InboxQuery) -> None:
        self.given = Given()
        self._filters = filters_of(query, self.given)
        self._me = Me(query, self.given)
        self.is_filtered = bool(self._filters.expression)

    def holds_of_all(self, view: View) -> bool:
        """Whether the view shows all that is open, or all that has ended."""
        return view in ("all", "recent") and not self.is_filtered

    def matches(self, view: View, columns: str, condition: str = "") -> str:
        """SELECT a view's rows by the index, in no order: columns of `inbox` and `found.rowid`."""
        found: list[str] = []
        for each in self._conditions(view):
            join = _JOIN["inbox"] if each.checks or "inbox." in columns else ""
            asked = both(self._by_index(view, each), *each.checks, condition)
            found.append(f"SELECT {columns} FROM {_index_of(view)} AS found {join} WHERE {asked}")
        return " UNION ALL ".join(found)

    def among(self, view: View) -> str:
        """That the index finds a row of `inbox`, and what the index leaves open."""
        conditions = self._conditions(view)
        keys = " UNION ALL ".join(
            f"SELECT rowid FROM {_index_of(view)} AS found WHERE {self._by_index(view, each)}"
            for each in conditions
        )
        # The conditions of one view ask the columns the same.
        return both(f"inbox.instance IN ({keys})", *conditions[0].checks)

    def _by_index(self, view: View, condition: Condition) -> str:
        matched = f"{_index_of(view)} MATCH {self.given.bind(condition.expression)}"
        return both(matched, condition.keyed)

    def holds(self, view: View) -> str:
        """That a row is the view's, without the index: of `inbox` and `inbox_rows AS found`."""
        return both(self._filters.asked(self.given), self.holds_of_filtered(view))

    def holds_of_filtered(self, view: View) -> str:
        """The same of rows that are known to pass the filters."""
        seen = (each.asked(self.given) or "true" for each in self._me.sees(view))
        return f"({' OR '.join(f'({each})' for each in seen)})"

    def narrows(self, view: View, column: str) -> str:
        """What holds of this column of a view's rows: an index by it can begin and end there."""
        whole = self._conditions(view)[0]
        return both(*(each for each in whole.checks + whole.hinted if column in each))

    def _conditions(self, view: View) -> list[Condition]:
        return [self._filters & each for each in self._me.sees(view)]


# Orders.


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order of rows. Its last column is the instance's key, so that no two rows are equal."""

    name: str
    """In page tokens."""
    columns: tuple[str, ...]
    index: str
    """Which is in this order."""
    descending: bool = False

    @property
    def listed(self) -> str:
        return ", ".join(self.columns)

    @property
    def sorted(self) -> str:
        """For ORDER BY."""
        direction = "DESC" if self.descending else "ASC"
        return ", ".join(f"{column} {direction}" for column in self.columns)

    def source(self, *, whole_rows: bool = False) -> str:
        """FROM and WHERE: all open rows, or all ended ones, in this order."""
        ended = "NOT NULL" if self.name in ENDED_VIEWS else "NULL"
        join = _JOIN["inbox_rows"] if whole_rows else ""
        return f"FROM inbox INDEXED BY {self.index} {join} WHERE inbox.ended_at IS {ended}"

    def after(self, position: str) -> str:
        """Later than a bound position."""
        return f"({self.listed}) {'<' if self.descending else '>'} {position}"

    def until(self, position: str) -> str:
        """At a bound position, or earlier."""
        return f"({self.listed}) {'>=' if self.descending else '<='} {position}"


_KEY = "inbox.instance"
_AGE = ("inbox.opened_at", _KEY)
_DUE = ("inbox.due_order", *_AGE)


def order_of(query: InboxQuery) -> Order:
    """The order of a query's rows."""
    if query.view in ENDED_VIEWS:
        columns = ("inbox.ended_at", _KEY)
        return Order(name=query.view, columns=columns, index="inbox_by_end", descending=True)
    match query.order:
        case "due":
            return Order(name="due", columns=_DUE, index="inbox_by_due")
        case "oldest":
            return Order(name="oldest", columns=_AGE, index="inbox_by_age")
        case "newest":
            return Order(name="newest", columns=_AGE, index="inbox_by_age", descending=True)
        case "amount":
            columns = ("inbox.amount_order", *_AGE)
            return Order(name="amount", columns=columns, index="inbox_by_amount")
        case "risk":
            columns = ("inbox.risk_order", *_DUE)
            return Order(name="risk", columns=columns, index="inbox_by_risk")
        case _:
            assert_never(query.order)


# Page tokens.

_LONGEST_TOKEN = 200  # characters


def token_of(order: Order, position: Position) -> str:
    """Opaque, and safe in a URL."""
    packed = msgspec.msgpack.encode((order.name, position))
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read_token(order: Order, token: str) -> Position:
    """The position in it. Raises: InvalidIdError."""
    try:
        if len(token) > _LONGEST_TOKEN or "=" in token:
            raise ValueError("not made by token_of")
        packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        name, position = msgspec.msgpack.decode(packed, type=tuple[str, tuple[int | float, ...]])
    except (ValueError, msgspec.MsgspecError):
        raise _no_token(token) from None
    wanted = [float if column == "inbox.amount_order" else int for column in order.columns]
    if name != order.name or [type(value) for value in position] != wanted:
        raise _no_token(token)
    for value in position:
        if isnan(value) or (isinstance(value, int) and value.bit_length() > 63):
            raise _no_token(token)
    return position


def _no_token(token: str) -> InvalidIdError:
    return InvalidIdError("a page token", token, "the next_token of the page before")

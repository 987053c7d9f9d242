"""A question to the inbox as SQL: where its rows are found, what must hold of them, in which order.

Every condition is known twice: as a word of the index, and as a check of the columns. Rows that the
index proposes need only be checked for what it leaves open.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, assert_never

import msgspec

from adjourn.errors import InvalidIdError
from adjourn.model.inbox import InboxQuery, View
from adjourn.store import inbox_columns as of
from adjourn.store import words

OPEN_WORDS, ENDED_WORDS = "inbox_open_words", "inbox_ended_words"

ENDED_VIEWS = frozenset({"decided", "recent"})

Position = tuple[int | float, ...]
"""Where a row stands in an order: the values it is ordered by, and the instance's key."""


def _has_part(relation: str) -> str:
    return (
        "EXISTS (SELECT 1 FROM inbox_people WHERE person = :person "
        f"AND relation = '{relation}' AND instance = inbox.instance)"
    )


_VOTED, _ASKED, _DECIDED = _has_part("voted"), _has_part("asked"), _has_part("decided")
_SNOOZED = _has_part("snoozed")[:-1] + " AND at > :now)"
_REQUESTED = "inbox.requester = :person"
_NOT_REQUESTED = "inbox.requester IS NOT :person"


def both(*conditions: str) -> str:
    """All of them hold; empty ones are none, and empty is what is left where all are."""
    return " AND ".join(each for each in conditions if each)


def _one_of(conditions: Iterable[str]) -> str:
    return f"({' OR '.join(conditions) or 'false'})"


# Filters.


class Filters:
    """The conditions of a query, whatever its view."""

    def __init__(self, query: InboxQuery) -> None:
        self.words: list[str] = []
        """Expressions of the index: every row of the query matches them all."""
        self.checks: list[str] = []
        self.rest: list[str] = []
        """Of the checks, those that the words leave open."""
        self.bindings: dict[str, Any] = {}
        self._add_facts(query)
        self._add_text(words.fold(query.text).split())
        self._add_amounts(query.amount_from, query.amount_to)
        opened = query.opened_after, query.opened_before
        self._add_openings(*map(of.microseconds, opened))

    def _add_facts(self, query: InboxQuery) -> None:
        for name, column, value in (
            (of.KIND, "kind", query.kind),
            (of.RISK, "risk", query.risk),
            (of.POLICY, "policy", query.policy),
            (of.REQUESTER, "requester", query.requester),
            (of.CASE, "case_id", query.case),
        ):
            if value:
                self._exact(name, value, f"inbox.{column} = :{column}", {column: value})
        if query.group:
            check = "instr(inbox.addressed, :addressed)"
            self._exact(of.ADDRESSED, query.group, check, {"addressed": of.quoted(query.group)})

    def _exact(self, name: str, value: str, check: str, bindings: dict[str, Any]) -> None:
        self.words.append(words.fact(name, value))
        self.checks.append(check)
        self.bindings |= bindings

    def _check(self, check: str, bindings: dict[str, Any]) -> None:
        self.checks.append(check)
        self.rest.append(check)
        self.bindings |= bindings

    def _add_text(self, looked_for: Sequence[str]) -> None:
        for number, word in enumerate(looked_for):
            self._check(f"instr(inbox.search, :text{number})", {f"text{number}": word})
        self.words += words.pieces_of_all(looked_for)

    def _add_amounts(self, low: float | None, high: float | None) -> None:
        if low is not None:
            self._check("inbox.amount >= :amount_from", {"amount_from": low})
        if high is not None:
            self._check("inbox.amount <= :amount_to", {"amount_to": high})
        if low is not None or high is not None:
            ends = -float("inf") if low is None else low, float("inf") if high is None else high
            self.words.append(words.any_of(words.span(of.AMOUNT, *map(words.magnitude, ends))))

    def _add_openings(self, after: int | None, before: int | None) -> None:
        if after is not None:
            self._check("inbox.opened_at >= :opened_after", {"opened_after": after})
        if before is not None:
            self._check("inbox.opened_at < :opened_before", {"opened_before": before})
        if after is not None or before is not None:
            first = 0 if after is None else words.hour(after)
            last = 2**words.BITS - 1 if before is None else words.hour(before)
            self.words.append(words.any_of(words.span(of.OPENED, first, last)))


# Views.


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where rows are found."""

    table: str
    where: str
    """What is asked of the table."""
    rest: str = ""
    """What must hold besides of the rows that it proposes."""

    @property
    def is_all(self) -> bool:
        """Whether it proposes every row of an openness."""
        return self.table == "inbox"

    @property
    def proposed(self) -> str:
        return f"FROM {self.table} AS found WHERE {self.where}"

    def text(self, condition: str = "") -> str:
        """Exactly the rows that hold to the condition, with all columns of `inbox`."""
        where = both(self.where, self.rest, condition)
        if self.is_all:
            return f"FROM inbox WHERE {where}"
        key = "instance" if self.table == "inbox_people" else "rowid"
        join = f"CROSS JOIN inbox ON inbox.instance = found.{key}"
        return f"FROM {self.table} AS found {join} WHERE {where}"

    @property
    def counted(self) -> str:
        """Exactly the rows, without columns: the cheapest way."""
        return self.text() if self.rest or self.is_all else self.proposed


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """Rows of a view that are found in the same way. The branches of a view share no row."""

    check: str = ""
    """What distinguishes its rows from all others of the same openness."""
    words: str = ""
    """An expression which they all match; then `rest` is what it leaves open."""
    rest: str = ""
    relation: str = ""
    """What this person is to them all."""


class Search:
    """One view of a query."""

    def __init__(self, query: InboxQuery, view: View, filters: Filters) -> None:
        """Raises: InvalidIdError for a page token that is none of this order."""
        self.open = view not in ENDED_VIEWS
        self.order = order_of(query, view)
        self._filters = filters
        recipients = dict.fromkeys(query.recipients)
        groups = [name for name in recipients if name.startswith(("group:", "role:"))]
        self.bindings: dict[str, Any] = {
            **filters.bindings,
            # What is nobody's compares with nothing.
            "person": query.person or None,
            "now": of.microseconds(query.now),
            "everybody": f"\n{of.EVERYBODY}\n",
            **{f"recipient{at}": of.quoted(name) for at, name in enumerate(recipients)},
        }
        me = _Me(query, {name: f":recipient{at}" for at, name in enumerate(recipients)})
        self._branches = _branches(view, me, groups, self.bindings["now"])
        self.branches = [self._sources(at, branch) for at, branch in enumerate(self._branches)]
        self.starts: Position | None = None
        """The position after which the page begins."""
        if query.page_token is not None:
            self.starts = read_token(self.order, query.page_token)
            self.bindings |= bound("after", self.starts)

    def _sources(self, number: int, branch: Branch) -> list[Source]:
        """The ways to find a branch's rows; the words' way first."""
        found: list[Source] = []
        filters = self._filters
        expression = words.all_of([branch.words, *filters.words])
        if expression:
            index = OPEN_WORDS if self.open else ENDED_WORDS
            self.bindings[f"words{number}"] = expression
            rest = both(branch.rest if branch.words else branch.check, *filters.rest)
            found.append(Source(table=index, where=f"{index} MATCH :words{number}", rest=rest))
        if branch.relation:
            where = f"found.person = :person AND found.relation = '{branch.relation}'"
            rest = both(branch.check, *filters.checks)
            found.append(Source(table="inbox_people", where=where, rest=rest))
        if not found:
            ended = "NULL" if self.open else "NOT NULL"
            found.append(Source(table="inbox", where=f"inbox.ended_at IS {ended}"))
        return found

    @property
    def check(self) -> str:
        """What must hold of a row of the right openness."""
        checks = [f"({branch.check or 'true'})" for branch in self._branches]
        return both(_one_of(checks), *self._filters.checks)


class _Me:
    """What a row is to the person who asks: as expressions of the index, and as checks."""

    def __init__(self, query: InboxQuery, names: dict[str, str]) -> None:
        """`names`: how each recipient is called in the bindings."""
        self._names = names
        self.requested = words.fact(of.REQUESTER, query.person) if query.person else ""
        self.decided = words.fact(of.DECIDED, query.person) if query.person else ""
        self.excluded = [words.fact(of.EXCLUDED, name) for name in names]
        not_by = [f"instr(inbox.not_by, {name})" for name in names.values()]
        self.may = both(_NOT_REQUESTED, f"NOT {_one_of(not_by)}")

    def addressed_by(self, names: Iterable[str]) -> str:
        """A check: by one of these, or as everybody is."""
        found = [f"instr(inbox.addressed, {self._names[name]})" for name in names]
        return _one_of([*found, "inbox.addressed = :everybody"])

    @property
    def addressed(self) -> str:
        return self.addressed_by(self._names)

    def words_for(self, names: Iterable[str]) -> str:
        """An expression: addressed by one of these or as everybody is, and not kept from it."""
        found = [words.fact(of.ADDRESSED, name) for name in names]
        refused = [self.requested, *self.excluded] if self.requested else self.excluded
        return words.without(words.any_of([*found, of.TO_EVERYBODY]), refused)

    def to_decide(self, condition: str, expression: str = "") -> list[Branch]:
        """Addressed to me or held by me, not kept from me, and `condition`."""
        return [
            Branch(
                words=words.all_of([self.words_for(self._names), expression]),
                rest=condition,
                check=both(self.addressed, self.may, condition),
            ),
            Branch(
                relation="holds",
                check=both("inbox.holder = :person", f"NOT {self.addressed}", self.may, condition),
            ),
        ]


def _branches(view: View, me: _Me, groups: Sequence[str], now: int) -> list[Branch]:
    awake = both(f"NOT {_VOTED}", f"NOT {_SNOOZED}")
    match view:
        case "needs_me":
            return me.to_decide(awake)
        case "overdue":
            past = words.any_of(words.span(of.DUE, 0, words.hour(now)))
            return me.to_decide(both("inbox.due_at <= :now", f"NOT {_VOTED}"), past)
        case "unclaimed":
            free = both("inbox.holder = ''", awake)
            check = both(me.addressed_by(groups), me.may, free)
            return [Branch(words=me.words_for(groups), rest=free, check=check)]
        case "waiting":
            voted = both(_VOTED, _NOT_REQUESTED)
            asked = both(_ASKED, _NOT_REQUESTED, f"NOT {_VOTED}")
            mine = [Branch(words=me.requested, check=_REQUESTED)] if me.requested else []
            return [
                *mine,
                Branch(relation="voted", check=voted),
                Branch(relation="asked", check=asked),
            ]
        case "snoozed":
            return [Branch(relation="snoozed", check=_SNOOZED)]
        case "decided":
            return [Branch(words=me.decided, relation="decided", check=_DECIDED)]
        case "all" | "recent":
            return [Branch()]
        case _:
            assert_never(view)


# Orders.


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order of rows. Its last column is the instance's key, so that no two rows are equal."""

    name: str
    """In page tokens."""
    columns: tuple[str, ...]
    source: str
    """Every row that has a place in it, by an index that is in this order."""
    within: str = ""
    """What is known of its columns, and narrows where along the index to look."""
    descending: bool = False

    @property
    def listed(self) -> str:
        return ", ".join(self.columns)

    def sorted(self, columns: Iterable[str] | None = None) -> str:
        """For ORDER BY."""
        direction = "DESC" if self.descending else "ASC"
        return ", ".join(f"{column} {direction}" for column in columns or self.columns)

    @property
    def numbered(self) -> str:
        """The same of columns that were selected already."""
        return self.sorted(str(number + 1) for number in range(len(self.columns)))

    def beyond(self, name: str) -> str:
        """It comes later than the position bound to this name."""
        return self._compared("<" if self.descending else ">", name)

    def until(self, name: str) -> str:
        """It is the position bound to this name, or comes earlier."""
        return self._compared(">=" if self.descending else "<=", name)

    def _compared(self, sign: str, name: str) -> str:
        marks = ", ".join(f":{name}{at}" for at in range(len(self.columns)))
        return f"({self.listed}) {sign} ({marks})"


def bound(name: str, position: Position) -> dict[str, int | float]:
    """The bindings of a position."""
    return {f"{name}{at}": value for at, value in enumerate(position)}


_KEY = "inbox.instance"
_AGE = ("inbox.opened_at", _KEY)
_RANKS = ("high", "medium", "low")
_MY_DECISIONS = Order(
    name="decided",
    columns=("found.at", "found.instance"),
    source=(
        "FROM inbox_people AS found INDEXED BY inbox_decided "
        "CROSS JOIN inbox ON inbox.instance = found.instance "
        "WHERE found.person = :person AND found.relation = 'decided'"
    ),
    descending=True,
)


def _along(index: str, ended: str = "NULL") -> str:
    return f"FROM inbox INDEXED BY {index} WHERE inbox.ended_at IS {ended}"


def order_of(query: InboxQuery, view: View) -> Order:
    """The order of a view."""
    if view in ENDED_VIEWS:
        source = _along("inbox_by_end", "NOT NULL")
        columns = ("inbox.ended_at", _KEY)
        return Order(name=view, columns=columns, source=source, descending=True)
    match query.order:
        case "due":
            columns, source = ("inbox.due_order", *_AGE), _along("inbox_by_due")
            past = "inbox.due_order <= :now" if view == "overdue" else ""
            return Order(name="due", columns=columns, source=source, within=past)
        case "oldest" | "newest":
            newest = query.order == "newest"
            source = _along("inbox_by_age")
            return Order(name=query.order, columns=_AGE, source=source, descending=newest)
        case "amount":
            columns, source = ("inbox.amount_order", *_AGE), _along("inbox_by_amount")
            within = both(
                "inbox.amount_order >= -:amount_to" if query.amount_to is not None else "",
                "inbox.amount_order <= -:amount_from" if query.amount_from is not None else "",
            )
            return Order(name="amount", columns=columns, source=source, within=within)
        case "risk":
            columns = ("inbox.risk_order", "inbox.due_order", *_AGE)
            source = _along("inbox_by_risk")
            rank = f"inbox.risk_order = {_RANKS.index(query.risk)}" if query.risk in _RANKS else ""
            return Order(name="risk", columns=columns, source=source, within=rank)
        case _:
            assert_never(query.order)


def order_along(order: Order) -> Order:
    """The same order, where its first rows are to be found without sorting."""
    return _MY_DECISIONS if order.name == "decided" else order


# Page tokens.

_LONGEST_TOKEN = 200  # characters


def token_of(order: Order, position: Position) -> str:
    """Opaque, and safe in a URL."""
    packed = msgspec.msgpack.encode((order.name, position))
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read_token(order: Order, token: str) -> Position:
    """The position in it. Raises: InvalidIdError."""
    try:
        if len(token) > _LONGEST_TOKEN:
            raise ValueError("too long")
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

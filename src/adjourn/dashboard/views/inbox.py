"""What stands around the rows of the inbox: views with counts, conditions, empty states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adjourn.approvals.text import capital, one_line, plain
from adjourn.dashboard.search import AGES, RISKS, VIEWS, Search
from adjourn.dashboard.text import recipient
from adjourn.dashboard.views.rows import RowView
from adjourn.dashboard.views.words import Names
from adjourn.model.actor import Actor
from adjourn.model.inbox import COUNT_LIMIT, Counts, View

ICONS: dict[View, str] = {
    "needs_me": "inbox",
    "unclaimed": "people",
    "overdue": "clock",
    "waiting": "wait",
    "snoozed": "snooze",
    "decided": "check",
    "recent": "history",
    "all": "stack",
}


@dataclass(frozen=True, slots=True)
class ViewLink:
    """One view in the rail."""

    word: str
    label: str
    icon: str
    href: str
    count: str
    current: bool
    late: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition that narrows the list, and the list without it."""

    text: str
    href: str


@dataclass(frozen=True, slots=True)
class Empty:
    """What stands where no rows are."""

    icon: str
    title: str
    text: str
    href: str = ""
    action: str = ""


def count_text(count: int) -> str:
    """`12`, `999+`; nothing for none."""
    if count >= COUNT_LIMIT:
        return f"{COUNT_LIMIT - 1}+"
    return str(count) if count else ""


def view_links(search: Search, counts: Counts) -> list[ViewLink]:
    """The rail: every view, under the conditions that hold now."""
    return [
        ViewLink(
            word=word,
            label=label,
            icon=ICONS[word],
            href=search.but(view=word).link(),
            count=count_text(counts.get(word, 0)),
            current=word == search.view,
            late=word == "overdue" and counts.get(word, 0) > 0,
        )
        for word, label in VIEWS.items()
    ]


def conditions(search: Search, names: Names) -> list[Condition]:
    """Each condition but view and order, as words that can be taken away."""
    told = [
        ("text", f"“{one_line(search.text, 40)}”"),
        ("kind", f"Kind: {plain(search.kind)}"),
        ("group", f"For: {recipient(search.group, names)}"),
        ("risk", f"Risk: {RISKS.get(search.risk, '')}"),
        ("policy", f"Policy: {plain(search.policy)}"),
        ("requester", f"From: {names(search.requester)}"),
        ("case", f"Case: {plain(search.case)}"),
        ("amount_from", f"At least {plain(search.amount_from)}"),
        ("amount_to", f"At most {plain(search.amount_to)}"),
        ("age", AGES[search.age][0] if search.age else ""),
    ]
    return [
        Condition(text, search.but(**{name: ""}).link())
        for name, text in told
        if getattr(search, name)
    ]


def rest(search: Search, *names: str) -> list[tuple[str, str]]:
    """The words that a form of these names must carry along, unseen."""
    default = Search()
    own = ("view", "text", "kind", "group", "risk", "policy", "requester", "case", "amount_from")
    return [
        (name, getattr(search, name))
        for name in (*own, "amount_to", "age", "order")
        if name not in names and getattr(search, name) != getattr(default, name)
    ]


def group_choices(actor: Actor, names: Names) -> list[tuple[str, str]]:
    """What a person may ask to see addressed."""
    words = [f"group:{name}" for name in actor.groups] + [f"role:{name}" for name in actor.roles]
    return [(word, capital(recipient(word, names))) for word in [*words, actor.id]]


def kinds_of(rows: Sequence[RowView]) -> list[str]:
    return sorted({row.kind for row in rows if row.kind})


_EMPTY: dict[View, tuple[str, str, str]] = {
    "needs_me": ("check", "You are done", "Nothing waits for you. What comes shows up here."),
    "unclaimed": ("people", "Nothing unclaimed", "Everything for your groups has somebody."),
    "overdue": ("clock", "Nothing overdue", "Everything that you may decide is in time."),
    "waiting": ("wait", "Nobody owes you anything", "What others must act on for you is here."),
    "snoozed": ("snooze", "Nothing snoozed", "What you put out of sight comes back by itself."),
    "decided": ("check", "No decisions yet", "What you approve or reject is kept here."),
    "recent": ("history", "Nothing ended yet", "Approvals that ended, however they did, are here."),
    "all": ("stack", "Nothing is open", "No workflow waits for people."),
}  # fmt: skip


def empty_of(search: Search) -> Empty:
    """Why there is nothing, and where to go."""
    if search.filtered:
        return Empty(
            "search",
            "Nothing matches",
            "No approval in this view fits all conditions.",
            Search(view=search.view).link(),
            "Clear the conditions",
        )
    icon, title, text = _EMPTY[search.view]
    if search.view == "needs_me":
        return Empty(icon, title, text, Search(view="all").link(), "See all that is open")
    return Empty(icon, title, text)

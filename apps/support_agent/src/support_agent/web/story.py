"""A talk as a page shows it: lines with their days, sources and cases, for whoever looks."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy.orm import Session

from support_agent.shop import knowledge, lookup, reaching, talks
from support_agent.shop.reaching import Sent
from support_agent.shop.talks import LineView, TalkMode, TalkView
from support_agent.web.cards import Card, card_of
from support_agent.web.text import When, ago, day_of, initials, one_line, plain, said

SHOWN_LIMIT = 80
"""Lines that a page shows at first; earlier ones are a link away."""
JOINED_WITHIN = timedelta(minutes=3)
"""What the same author says within it stands under one name."""
NEW_TALK = "New conversation"
AGENT = "Assistant"

_ARTICLE = re.compile(r"(?<![\w-])[a-z0-9]+(?:-[a-z0-9]+)*(?![\w-])")
NameOf = Callable[[str], str]
"""The name that stands for a person's id."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: the customer, or somebody of the staff with this id."""

    side: Literal["customer", "staff"]
    name_of: NameOf
    id: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """An article that a line of the agent names."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One line. `mine`: said from the side of whoever looks."""

    number: int
    author: str
    who: str
    initials: str
    mine: bool
    joined: bool
    text: str
    at: When
    day: str
    sources: tuple[Source, ...]
    card: Card | None
    card_is_whole: bool
    undelivered: tuple[str, str] | None
    """Whether it may yet reach the customer where they read it, and why it has not; for the
    staff."""


@dataclass(frozen=True, slots=True)
class Head:
    """A talk without its lines."""

    id: str
    title: str
    customer: str
    mode: TalkMode
    holder: str
    """The name of whoever answers; empty where nobody does, or nobody knows them."""
    last: When
    mark: str


@dataclass(frozen=True, slots=True)
class Story:
    head: Head
    lines: tuple[Shown, ...]
    cards: tuple[Card, ...]
    earlier: int
    """How many lines there are before those."""
    last: int
    """The number of the last line, 0 without any."""
    owed: bool
    """The assistant works on an answer: the customer had the last word, and no person answers."""


def read_story(
    session: Session,
    talk: TalkView,
    viewer: Viewer,
    now: datetime,
    *,
    after: int = 0,
    limit: int | None = SHOWN_LIMIT,
) -> Story:
    """The talk's lines behind number `after`, at most the last `limit` of them."""
    lines = talks.lines_of(session, talk.id)
    cases = {case.id: case for case in lookup.cases_of(session, talk.customer_id)}
    named = {line.case_id for line in lines if line.case_id in cases}
    cards = {case_id: card_of(case) for case_id, case in cases.items() if case_id in named}
    lost = reaching.lines_in_trouble(session, talk.id) if viewer.side == "staff" else {}
    shown = _shown(session, lines, cards, viewer, now, lost)
    new = [line for line in shown if line.number > after]
    kept = new if limit is None else new[-limit:]
    return Story(
        head=head_of(talk, viewer.name_of, now),
        lines=tuple(kept),
        cards=tuple(cards.values()),
        earlier=len(new) - len(kept),
        last=lines[-1].number if lines else 0,
        owed=bool(lines) and lines[-1].author == "customer" and talk.mode != "person",
    )


def head_of(talk: TalkView, name_of: NameOf, now: datetime) -> Head:
    holder = name_of(talk.holder) if talk.mode == "person" else ""
    title = one_line(talk.title) or NEW_TALK
    # Without the holder's id: the customer gets this, and an id is guessed from its digest.
    values = (talk.id, title, talk.mode, holder)
    return Head(
        id=talk.id,
        title=title,
        customer=one_line(talk.customer_name),
        mode=talk.mode,
        holder=holder,
        last=ago(talk.last_at, now),
        mark=hashlib.sha256(repr(values).encode()).hexdigest()[:12],
    )


def _shown(
    session: Session,
    lines: list[LineView],
    cards: dict[str, Card],
    viewer: Viewer,
    now: datetime,
    lost: Mapping[int, Sent],
) -> list[Shown]:
    articles = {article.id: article.title for article in knowledge.articles(session)}
    shown: list[Shown] = []
    before: LineView | None = None
    cased: set[str] = set()
    for line in lines:
        new_day = before is None or before.said_at.date() != line.said_at.date()
        card = cards.get(line.case_id)
        who = _who(line, viewer)
        shown.append(
            Shown(
                number=line.number,
                author=line.author,
                who=who,
                initials=initials(line.name),
                mine=line.author != "system"
                and (line.author == "customer") == (viewer.side == "customer"),
                joined=not new_day and before is not None and _joins(before, line),
                text=plain(line.text),
                at=said(line.said_at, now),
                day=day_of(line.said_at, now) if new_day else "",
                sources=tuple(_sources(line, articles)),
                card=card,
                card_is_whole=viewer.side == "customer" and line.case_id not in cased,
                undelivered=_undelivered(lost.get(line.number)),
            )
        )
        cased.add(line.case_id)
        before = line
    return shown


def _who(line: LineView, viewer: Viewer) -> str:
    match line.author:
        case "customer":
            return "You" if viewer.side == "customer" else one_line(line.name)
        case "agent":
            return AGENT
        case "person":
            return one_line(line.name) or "A person of our team"
        case "system":
            return "Note"


def _undelivered(sent: Sent | None) -> tuple[str, str] | None:
    if sent is None:
        return None
    words = "Not delivered" if sent.state == "failed" else "Not delivered yet"
    return words, one_line(sent.trouble, reaching.LONGEST_TROUBLE)


def _joins(before: LineView, line: LineView) -> bool:
    same = (before.author, before.name) == (line.author, line.name)
    return same and not before.case_id and line.said_at - before.said_at < JOINED_WITHIN


def _sources(line: LineView, articles: dict[str, str]) -> Iterable[Source]:
    """Articles that the agent cites. Words that are an id by chance ("returns") count only in
    parentheses, as its instructions ask for."""
    if line.author != "agent":
        return
    for article_id in dict.fromkeys(_ARTICLE.findall(line.text)):
        if article_id in articles and ("-" in article_id or f"({article_id})" in line.text):
            yield Source(article_id, plain(articles[article_id]))

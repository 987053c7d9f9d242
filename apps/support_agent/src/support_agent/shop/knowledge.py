"""Searching the knowledge base: a customer's question in, the passages that may answer it out.

The articles are in the shop's database, whichever that is. The index is SQLite's FTS5 in memory,
built from them and kept until one of them changes, so that it is the same beside PostgreSQL.
"""

import difflib
import re
import sqlite3
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from support_agent.shop.records import ArticleRecord, ArticleVersion
from support_agent.shop.words import can_be_id

MOST_WORDS = 24
"""Of a question; a customer's whole story is searched by its beginning."""
TITLE_WEIGHT, BODY_WEIGHT = 3.0, 1.0
SMALLEST_LIBRARY = 600
"""FTS5 gives no weight to a word that half of all articles share, and in a small shop those are the
words that matter: refund, parcel, card. Filled up to this number with short articles that answer
nothing, the library lets them keep theirs."""
FILLER_SHARE = 0.05
"""Of the usual length: short, so that a word which an article repeats counts for more."""
NEVER_ASKED = "\ue000"
"""A word to the index, and no word that a question can have."""
CANDIDATES = 20
LOWEST_SCORE = 1.6
"""Below it an article only happens to share a word."""
LOWEST_SHARE = 0.4
"""Of a question's words, weighed by length, an answer has to know this much."""
SNIPPET_WORDS = 40
SHORTEST_TYPO = 4
LIKENESS = 0.78
"""How alike two words are (difflib's ratio) before one is read as a typo of the other."""
KEPT_INDEXES = 4

STOP_WORDS = frozenset(
    """
    a about after all also am an and any are aren as at be because been before but by can cannot
    could couldn d did didn do does doesn doing don done for from get gets getting give given go
    going got had has hasn have haven having hello help here hey hi how i if im in into is isn it
    its ive just know let like ll m make many may me might more much must my need no not now of on
    one only or other our out please possible re s shall she he they them should so some something
    sorry such t tell thank thanks that the their then there these thing things this those to too
    arent cant couldnt didnt doesnt dont hadnt hasnt havent isnt wasnt werent wont wouldnt youre
    up us ve very want wanted wants was wasn way we well were what when where which while who whom
    why will wish with won would you your yours
    """.split()
)

CALLED_HERE: Mapping[str, str] = {
    "coupon": "gift card",
    "voucher": "gift card",
    "debit": "charged",
    "debited": "charged",
    "deducted": "charged",
    "dent": "damaged",
    "dented": "damaged",
    "soaked": "wet",
    "squashed": "crushed",
    "smashed": "pieces",
    "arrive": "delivery takes",
    "klarna": "pay invoice",
    "mastercard": "card",
    "paypal": "pay card",
    "visa": "card",
    "login": "sign",
    "log": "sign",
    "gdpr": "privacy",
    "guarantee": "warranty",
    "erase": "delete",
    "removed": "delete",
    "okay": "approve",
    "postage": "shipping",
    "turned": "arrived",
}
"""What customers say, and the shop's own word for it."""

_WORD = re.compile(r"\w+")
_NUMBERED = re.compile(r"\b[A-Za-z]{1,4}-\d[\w-]*")
_MARKUP = re.compile(r"^\s{0,3}(#{1,6}|[-*+]|\d+\.|>)\s+", re.MULTILINE)
_TABLE = re.compile(r"^\|[\s:|-]+\|$|\|", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Passage:
    """Where an answer may stand. A higher score is a better match; the snippet is plain text."""

    article: str
    version: str
    title: str
    snippet: str
    score: float


@dataclass(frozen=True, slots=True)
class Article:
    """One article as it reads in one version. The body is Markdown."""

    id: str
    version: str
    title: str
    body: str


def search(session: Session, question: str, limit: int = 3) -> list[Passage]:
    """The passages that fit the question best, best first; none where nothing fits well."""
    stamp = tuple(
        (record_id, version)
        for record_id, version in session.execute(
            select(ArticleRecord.id, ArticleRecord.version).order_by(ArticleRecord.id)
        )
    )
    index = _KEPT.get(stamp)
    if index is None:
        index = _KEPT.put(stamp, _Index(articles(session)))
    return index.search(question, limit)


def article(session: Session, article_id: str, version: str = "") -> Article | None:
    """The article as it reads now, or as it read in an earlier version that somebody cited."""
    if not can_be_id(article_id + version):
        return None
    if version:
        text = session.get(ArticleVersion, (article_id, version))
    else:
        record = session.get(ArticleRecord, article_id)
        text = record and record.text
    return text and _article(text)


def articles(session: Session) -> list[Article]:
    """Every article as it reads now, by id."""
    records = session.scalars(
        select(ArticleRecord).options(joinedload(ArticleRecord.text)).order_by(ArticleRecord.id)
    )
    return [_article(record.text) for record in records]


def plain_text(markdown: str) -> str:
    """What the text says, without its markup, on one line."""
    text = _LINK.sub(r"\1", _TABLE.sub(" ", _MARKUP.sub("", markdown)))
    return " ".join(text.replace("*", "").replace("`", "").split())


def _article(text: ArticleVersion) -> Article:
    return Article(text.article_id, text.version, text.title, text.body)


Stamp = tuple[tuple[str, str], ...]


class _Index:
    """The articles of one moment, in memory. Many threads may search it."""

    def __init__(self, found: Sequence[Article]) -> None:
        # One connection for all threads: the lock lets them in one by one.
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._close = weakref.finalize(self, self._connection.close)
        self._lock = threading.Lock()
        run = self._connection.execute
        run(
            "CREATE VIRTUAL TABLE kb USING fts5(title, body, id UNINDEXED, version UNINDEXED,"
            " tokenize = 'porter unicode61 remove_diacritics 2')"
        )
        texts = [(one.title, plain_text(one.body), one.id, one.version) for one in found]
        words = sum(len(_WORD.findall(f"{title} {body}")) for title, body, *_ in texts)
        length = 1 + int(FILLER_SHARE * words / max(1, len(texts)))
        filler = ("", " ".join([NEVER_ASKED] * length), "", "")
        self._connection.executemany(
            "INSERT INTO kb (title, body, id, version) VALUES (?, ?, ?, ?)",
            texts + [filler] * (SMALLEST_LIBRARY - len(texts)),
        )
        # The words as they are written, to find the one that a typo meant.
        run("CREATE VIRTUAL TABLE words USING fts5(word, tokenize = 'trigram')")
        self._words = {
            word
            for one in found
            for word in _WORD.findall(f"{one.title} {plain_text(one.body)}".casefold())
            if word not in STOP_WORDS and len(word) >= SHORTEST_TYPO
        }
        self._connection.executemany(
            "INSERT INTO words (word) VALUES (?)", [(word,) for word in sorted(self._words)]
        )

    def search(self, question: str, limit: int) -> list[Passage]:
        with self._lock:
            words = [known for word in _words_of(question) for known in self._known(word)]
            return self._passages(words, limit) if words else []

    def _passages(self, words: Sequence[str], limit: int) -> list[Passage]:
        # Never the customer's own text: it may hold FTS5's syntax. Every word stands in quotes.
        rows = self._connection.execute(
            "SELECT rowid, id, version, title, snippet(kb, 1, '', '', '…', ?),"
            " -bm25(kb, ?, ?) AS score FROM kb WHERE kb MATCH ? ORDER BY score DESC, id LIMIT ?",
            (
                SNIPPET_WORDS,
                TITLE_WEIGHT,
                BODY_WEIGHT,
                " OR ".join(_quoted(word) for word in words),
                CANDIDATES,
            ),
        ).fetchall()
        passages: list[Passage] = []
        for row, article_id, version, title, snippet, score in rows:
            share = self._share(row, words)
            score *= (1 + share) / 2  # one rare word is worth less than all that was asked
            if score >= LOWEST_SCORE and share >= LOWEST_SHARE:
                passages.append(Passage(article_id, version, title, snippet, score))
        return sorted(passages, key=lambda passage: -passage.score)[:limit]

    def _share(self, row: int, words: Sequence[str]) -> float:
        """How much of the question the article knows, in letters: long words say more."""
        query = "SELECT 1 FROM kb WHERE kb MATCH ? AND rowid = ?"
        known = [word for word in words if self._has(query, _quoted(word), row)]
        return sum(map(len, known)) / sum(map(len, words))

    def _has(self, query: str, *values: object) -> bool:
        return self._connection.execute(query, values).fetchone() is not None

    def _known(self, word: str) -> list[str]:
        """The word, or the one that it is a typo of, or the two that it is written together of."""
        query = "SELECT 1 FROM kb WHERE kb MATCH ?"
        if self._has(query, _quoted(word)) or len(word) < SHORTEST_TYPO or not word.isalpha():
            return [word]
        trigrams = {word[at : at + 3] for at in range(len(word) - 2)}
        rows = self._connection.execute(
            "SELECT word FROM words WHERE words MATCH ? ORDER BY rank LIMIT 50",
            (" OR ".join(map(_quoted, sorted(trigrams))),),
        )
        alike = [other for (other,) in rows if other[0] == word[0]]
        if near := difflib.get_close_matches(word, alike, n=1, cutoff=LIKENESS):
            return near
        for at in range(3, len(word) - 2):
            if word[:at] in self._words and word[at:] in self._words:
                return [word[:at], word[at:]]
        return [word]


class _Kept:
    """The indexes of the last few states of the knowledge base. What an index holds follows from
    its stamp, so databases that hold the same articles share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._indexes: dict[Stamp, _Index] = {}

    def get(self, stamp: Stamp) -> _Index | None:
        return self._indexes.get(stamp)

    def put(self, stamp: Stamp, index: _Index) -> _Index:
        with self._lock:
            self._indexes[stamp] = index
            while len(self._indexes) > KEPT_INDEXES:
                del self._indexes[next(iter(self._indexes))]
        return index


_KEPT = _Kept()


def _words_of(question: str) -> list[str]:
    """The words worth searching for, each once. A number like KIT-0101 stays whole."""
    numbered = _NUMBERED.findall(question)
    said = _WORD.findall(_NUMBERED.sub(" ", question).casefold())
    kept = [
        ours
        for word in said
        if word not in STOP_WORDS
        for ours in CALLED_HERE.get(word, word).split()
    ]
    return list(dict.fromkeys([*kept, *(one.casefold() for one in numbered)]))[:MOST_WORDS]


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'

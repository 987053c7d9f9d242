"""Reading and keeping articles of the knowledge base: Markdown files, one article each.

A file begins with its title (`# Title`); its name, without `.md`, is the article's id.
"""

import hashlib
import re
from datetime import datetime
from importlib.resources.abc import Traversable
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from support_agent.shop.database import take_turn, writing
from support_agent.shop.errors import FileRefused
from support_agent.shop.knowledge import Article
from support_agent.shop.order_file import read_utf8
from support_agent.shop.records import ArticleRecord, ArticleVersion

ARTICLE_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LONGEST_ID = 100
LONGEST_TITLE = 200
LONGEST_BODY = 100_000
VERSION_DIGITS = 12


def read_article(article_id: str, text: str) -> Article:
    """The article of a file. Raises ValueError with the line and what is wrong there."""
    if not ARTICLE_ID.fullmatch(article_id) or len(article_id) > LONGEST_ID:
        raise ValueError(f"line 1: the file's name: {article_id!r} is not like double-charges.md")
    text = "\n".join(line.rstrip() for line in text.splitlines()).strip()
    first, _, body = text.partition("\n")
    title, body = first.removeprefix("# ").strip(), body.strip()
    if not first.startswith("# ") or not title.isprintable() or len(title) > LONGEST_TITLE:
        raise ValueError(f"line 1: {first[:40]!r} is not a title like '# Charged twice'")
    if not body:
        raise ValueError("line 2: there is a title and no text")
    if "\0" in body or len(body) > LONGEST_BODY:
        raise ValueError(f"line 2: the text holds a NUL or is longer than {LONGEST_BODY} signs")
    version = hashlib.sha256(text.encode()).hexdigest()[:VERSION_DIGITS]
    return Article(article_id, version, title, body)


def import_article(engine: Engine, path: Path | Traversable, now: datetime) -> bool:
    """Import one article's file in one transaction; whether it reads otherwise than before.

    Raises FileRefused with the line that is wrong.
    """
    try:
        article = read_article(path.name.removesuffix(".md"), read_utf8(path))
    except ValueError as wrong:
        raise FileRefused([str(wrong)]) from None
    with writing(engine) as session:
        take_turn(session.connection())  # no row to hold stands for an article that is not there
        return keep_article(session, article, now)


def keep_article(session: Session, article: Article, now: datetime) -> bool:
    """Keep this text as the one to read from now on; whether it is another than before.

    The article's earlier versions stay on record.
    """
    record = session.get(ArticleRecord, article.id)
    if record is not None and record.version == article.version:
        return False
    if session.get(ArticleVersion, (article.id, article.version)) is None:
        session.add(
            ArticleVersion(
                article_id=article.id,
                version=article.version,
                title=article.title,
                body=article.body,
                imported_at=now,
            )
        )
        session.flush()
    if record is None:
        session.add(ArticleRecord(id=article.id, version=article.version))
    else:
        record.version = article.version
    session.flush()
    return True

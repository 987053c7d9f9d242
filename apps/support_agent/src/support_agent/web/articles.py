"""Articles of the knowledge base as a page shows them: headings, paragraphs, lists, as text."""

import re
from dataclasses import dataclass
from typing import Literal

from support_agent.web.text import plain

_ITEM = re.compile(r"^\s*(?:[-*+]|\d+\.)\s+")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_STRESS = re.compile(r"(?<!\w)([*_]{1,3}|`)(?=\S)(.+?)(?<=\S)\1(?!\w)")


@dataclass(frozen=True, slots=True)
class Block:
    kind: Literal["heading", "text", "list"]
    lines: tuple[str, ...]


def blocks_of(body: str) -> list[Block]:
    """The blocks of a Markdown text, without its first heading, which is the title. Of the marks
    inside a line only the words are left: no text becomes a link or an element."""
    blocks = [_block(part) for part in re.split(r"\n\s*\n", body.strip()) if part.strip()]
    if blocks and blocks[0].kind == "heading":
        del blocks[0]
    return blocks


def _block(part: str) -> Block:
    lines = part.strip().splitlines()
    if lines[0].lstrip().startswith("#"):
        return Block("heading", (_words(lines[0].lstrip().lstrip("#")),))
    if not _ITEM.match(lines[0]):
        return Block("text", (_words(" ".join(lines)),))
    items: list[str] = []
    for line in lines:
        if _ITEM.match(line) or not items:
            items.append(_ITEM.sub("", line))
        else:
            items[-1] += f" {line.strip()}"
    return Block("list", tuple(_words(item) for item in items))


def _words(line: str) -> str:
    return plain(" ".join(_STRESS.sub(r"\2", _LINK.sub(r"\1", line)).split()))

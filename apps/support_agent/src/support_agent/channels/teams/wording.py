"""Words that somebody else wrote, as Markdown that Teams draws as what it is: words.

Of Markdown only this passes: paragraphs, lists, **bold** and links to http and https. A heading
becomes a bold line. All else is escaped: HTML, images, mentions, code, tables, quotes.

`settled` is for an answer that still grows: Teams wants each text to begin with the one before.
"""

import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

from support_agent.channels.port import Text
from support_agent.web.text import one_line, plain

# Teams takes 28 KB in some places and 100 KB in others, counted in UTF-16 with all around the text.
LONGEST_TEXT = 12_000
"""UTF-16 units of a text's Markdown."""

_URL = r"https?://[A-Za-z0-9\-._~:/?#@!$&'*+,;=%]+"
_MARKED = re.compile(
    r"\*\*(?P<bold>[^*\s](?:[^*\n]*[^*\s])?)\*\*"
    rf"|(?<!!)\[(?P<label>[^\[\]\n]+)\]\((?P<target>{_URL})\)"
    rf"|(?P<bare>{_URL})",
    re.IGNORECASE,
)
_AFTER_A_LINK = ".,;:!?'*"  # belongs to the sentence, not to the address
_ITEM = re.compile(r"(?P<lead> *)(?:[-*+]|(?P<number>\d{1,9})[.)])\s+(?P<words>\S.*)")
_HEADING = re.compile(r"#{1,6}\s+(?P<words>\S.*?)(?:\s+#+)?")
_SPECIAL = re.compile(r"[\\`*_\[\]~|]")
_ENTITY = re.compile(r"&(?=#?\w{1,32};)")
_LEADING_NUMBER = re.compile(r"\d{1,9}[.)]")

Kind = Literal["text", "item"]


def markdown_of(message: Text) -> str:
    """The whole message, headed with its author's name where a person wrote it. What is too long
    for Teams is cut, and the message says so."""
    head = f"**{_escaped(one_line(message.name))}**\n\n" if _is_headed(message) else ""
    text = _drawn(message.text)
    if _units(head + text) <= LONGEST_TEXT:
        return head + text
    kept = message.text
    while _units(head + text) > LONGEST_TEXT - 200:
        kept = kept[: len(kept) * (LONGEST_TEXT - 200) // _units(head + text) - 1]
        text = _drawn(kept)
    gone = len(message.text) - len(kept)
    return f"{head}{text}\n\n\\[Cut here: {gone} more characters are too many for Teams.\\]"


def settled(text: str) -> str:
    """As much of an unfinished answer as reads the same whatever comes next, as Markdown."""
    *lines, last = _plain_lines(text)
    return _drawn("\n".join([*lines, _settled_line(last)]))[:LONGEST_TEXT]


def _is_headed(message: Text) -> bool:
    return message.author == "person" and bool(message.name.strip())


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", errors="replace")) // 2


def _settled_line(line: str) -> str:
    """The words of a line that are complete, up to a mark that is not closed yet. What might still
    become a heading or an item of a list waits for more."""
    words = _closed(line[: max(line.rfind(" "), 0)])
    start = words.strip()
    undecided = start.startswith("#") or _LEADING_NUMBER.fullmatch(start) or start in "-*+"
    return "" if undecided else words


def _closed(words: str) -> str:
    """The words before the first mark that is not closed."""
    item = _ITEM.fullmatch(words)
    place = item.start("words") if item else 0
    for match in _MARKED.finditer(words, place):
        if (mark := _opening(words[place : match.start()])) >= 0:
            return words[: place + mark]
        place = match.end()
    mark = _opening(words[place:])
    return words if mark < 0 else words[: place + mark]


def _opening(run: str) -> int:
    """Where something begins that a later character could close; -1 where nothing does."""
    return next((place for place, one in enumerate(run) if one in "*["), -1)


def _drawn(text: str) -> str:
    """The text as safe Markdown: each line a paragraph of its own, for Teams joins single lines."""
    drawn, before = "", ""
    for kind, line in _lines(text):
        if drawn:
            drawn += "\n" if kind == before == "item" else "\n\n"
        drawn, before = drawn + line, kind
    return drawn


def _plain_lines(text: str) -> list[str]:
    """Lines in which nothing hides: what turns or hides its neighbours is shown as its number."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    return plain(unified).split("\n")


def _lines(text: str) -> Iterator[tuple[Kind, str]]:
    in_list = False
    for line in _plain_lines(text):
        line = line.rstrip()
        if not line.strip():
            continue
        if item := _ITEM.fullmatch(line):
            lead = item["lead"][:4] if in_list else ""
            mark = f"{item['number']}." if item["number"] else "-"
            yield "item", f"{lead}{mark} {_words(item['words'])}"
            in_list = True
        elif heading := _HEADING.fullmatch(line.strip()):
            yield "text", f"**{_escaped(heading['words'].replace('**', ''))}**"
            in_list = False
        else:
            yield "text", _words(line.strip())
            in_list = False


def _words(line: str) -> str:
    """One line with its bold words and its links, the rest escaped."""
    drawn, place = [], 0
    for match in _MARKED.finditer(line):
        drawn.append(_escaped(line[place : match.start()], at_start=place == 0))
        drawn.append(_mark(match))
        place = match.end()
    drawn.append(_escaped(line[place:], at_start=place == 0))
    return "".join(drawn)


def _mark(match: re.Match[str]) -> str:
    if match["bold"]:
        return f"**{_escaped(match['bold'])}**"
    if match["bare"]:
        address = match["bare"].rstrip(_AFTER_A_LINK)
        return _link(address, address) + _escaped(match["bare"][len(address) :])
    return _link(match["label"], match["target"])


def _link(label: str, address: str) -> str:
    """The link; spelled out where its words are, or could be read as, another address."""
    try:
        parts = urlsplit(address)
        honest = bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        honest = False
    if not honest:
        return _escaped(label if label == address else f"{label} ({address})")
    target = _ENTITY.sub("&amp;", address)
    if label != address and re.search(r"://|www\.|\w\.\w\w", label):
        return f"{_escaped(label)} ([{_escaped(address)}]({target}))"
    return f"[{_escaped(label)}]({target})"


def _escaped(run: str, *, at_start: bool = False) -> str:
    """Characters as they are read, with nothing left that Markdown or HTML would take as a mark."""
    if at_start:
        head, rest = _start(run)
        return head + _escaped(rest)
    run = _SPECIAL.sub(lambda mark: f"\\{mark[0]}", _ENTITY.sub("&amp;", run))
    return run.replace("<", "&lt;").replace(">", "&gt;")


def _start(run: str) -> tuple[str, str]:
    """The first mark of a line that would make it a heading, a list or a rule, escaped."""
    if number := re.match(r"(\d{1,9})([.)])(?=\s|$)", run):
        return f"{number[1]}\\{number[2]}", run[number.end() :]
    if run[:1] in ("#", "+", "-", "="):
        return f"\\{run[0]}", run[1:]
    return "", run

"""Text for a terminal. What customers wrote is data: never markup, never terminal control."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from typing import Any, TextIO

import msgspec
from rich.console import Console

PIPE_WIDTH = 10_000  # columns; what is piped is not folded
SHORT = 72  # characters of a value in a line


def console(file: TextIO | None = None) -> Console:
    """Colours and folding on a terminal; plain, whole lines elsewhere."""
    stream = file or sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def printable(text: str) -> str:
    """`text` with everything that is not a visible character shown as an escape: controls, and
    the invisible characters that turn or hide what stands beside them."""
    if text.isprintable():
        return text
    return "".join(part if part.isprintable() else _escape(part) for part in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def short(value: msgspec.Raw | str | None, limit: int = SHORT) -> str:
    """JSON or text in one short line."""
    text = value if isinstance(value, str) else bytes(value or b"null").decode()
    text = printable(text)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def json_text(value: Any) -> str:
    """`value` as indented JSON in ASCII, so that nothing in it can steer a terminal."""
    plain = json.loads(msgspec.json.encode(value))
    return json.dumps(plain, indent=2).replace("\x7f", "\\u007f")


def clock(moment: datetime) -> str:
    """`2026-11-23 07:13:05.120`, UTC."""
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def span(length: timedelta) -> str:
    """`+0.120s`, `+2m05s`, `+3h00m`, `+6d23h`."""
    seconds = max(0.0, length.total_seconds())
    if seconds < 60:
        return f"+{seconds:.3f}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"+{days}d{hours:02d}h"
    return f"+{hours}h{minutes:02d}m" if hours else f"+{minutes}m{rest:02d}s"

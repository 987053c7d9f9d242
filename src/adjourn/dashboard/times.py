"""Moments as people read them: how long ago or until, with the exact time beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Direction = Literal["ago", "until", "span", "clock"]
Tone = Literal["", "soon", "late"]

SOON = timedelta(hours=1)
"""Closer than this, what is due is marked."""


@dataclass(frozen=True, slots=True)
class When:
    """One moment for the macro `when`; the script keeps its text fresh by `direction`."""

    text: str
    iso: str
    exact: str
    direction: Direction
    tone: Tone = ""


def span(length: timedelta, *, rough: bool = False) -> str:
    """`45 s`, `12 min`, `2 h 10 min`, `2 d 4 h`: two units at most, and one where it is `rough`."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        fine = minutes and hours < 10 and not rough
        return f"{hours} h {minutes} min" if fine else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours and days < 10 and not rough else f"{days} d"


def exact(moment: datetime) -> str:
    """`23 Nov 2026, 10:04:12 UTC`."""
    return f"{moment.day} {moment:%b %Y, %H:%M:%S} UTC"


def ago(moment: datetime, now: datetime) -> When:
    """How long something has been there: "12 min ago"."""
    past = now - moment
    text = "just now" if past < timedelta(minutes=1) else f"{span(past, rough=True)} ago"
    return When(text, moment.isoformat(), exact(moment), "ago")


def until(moment: datetime, now: datetime) -> When:
    """How long is left: "in 2 h", "overdue 3 h"."""
    left = moment - now
    if left <= timedelta():
        text = f"overdue {span(-left, rough=True)}"
        return When(text, moment.isoformat(), exact(moment), "until", "late")
    tone: Tone = "soon" if left < SOON else ""
    return When(f"in {span(left)}", moment.isoformat(), exact(moment), "until", tone)


def clock(moment: datetime, now: datetime) -> When:
    """The time of the day, with the date where it is another day: "10:04 UTC"."""
    day = f"{moment.day} {moment:%b}" + ("" if moment.year == now.year else f" {moment.year}")
    text = f"{moment:%H:%M} UTC" if moment.date() == now.date() else f"{day}, {moment:%H:%M} UTC"
    return When(text, moment.isoformat(), exact(moment), "clock")


def lasted(begin: datetime, end: datetime) -> str:
    """The time between two moments, in words."""
    return span(end - begin)

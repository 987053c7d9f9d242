"""How much one conversation may cost, and how fast a customer may write.

Pure: what was spent and when messages came are handed in, and so is the present moment. Each
refusal carries the words that the customer gets.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

LONGEST_MESSAGE_CHARACTERS = 4_000
NO_TEXT = "\0"  # the one character that PostgreSQL keeps in no text
# A server that does not say what a request cost is charged this, so that its budget ends as well.
TOKENS_OF_AN_UNMEASURED_REQUEST = 4_000


@dataclass(frozen=True, slots=True)
class Spent:
    """What a conversation has cost so far."""

    requests: int = 0
    tokens: int = 0

    def and_also(self, requests: int, tokens: int) -> "Spent":
        """This and what one more answer cost."""
        if requests < 0 or tokens < 0:
            raise ValueError(f"Nothing costs less than nothing: {requests} requests, {tokens}.")
        return Spent(self.requests + requests, self.tokens + tokens)


@dataclass(frozen=True, slots=True)
class Budget:
    """What a conversation may cost; zero or less of either is spent."""

    requests: int
    tokens: int

    def left(self, spent: Spent) -> Spent:
        """What may still be spent, never below zero."""
        return Spent(
            max(0, self.requests - spent.requests),
            max(0, self.tokens - spent.tokens),
        )


NOTHING = Spent()
# Some fifty messages that need two or three requests each: far beyond any real conversation, and
# not more than a few euros with a large hosted model.
BUDGET = Budget(requests=150, tokens=800_000)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many messages within such a time."""

    messages: int
    within: timedelta


CONVERSATION_RATES = (Rate(6, timedelta(seconds=10)), Rate(60, timedelta(hours=1)))
CUSTOMER_RATES = (Rate(20, timedelta(minutes=1)), Rate(200, timedelta(days=1)))


@dataclass(frozen=True, slots=True)
class TooMuch:
    """A message that is not answered by the agent, and why, in words for the customer.

    `again_in_seconds` is when the same message would be taken; None when it never would.
    """

    code: str
    words: str
    again_in_seconds: int | None = None


BUDGET_SPENT = TooMuch(
    "budget_spent",
    "This conversation has become very long, and I cannot go on in it. Please start a new "
    "conversation. Your cases stay open and I will know them there.",
)
MESSAGE_TOO_LONG = TooMuch(
    "message_too_long",
    f"That message is too long for me: {LONGEST_MESSAGE_CHARACTERS:,} characters is the most I can "
    "read. Please tell me the most important part.",
)
MESSAGE_UNREADABLE = TooMuch(
    "message_unreadable",
    "That message holds signs that are no text. Please write it again, in plain words.",
)
MESSAGE_EMPTY = TooMuch("message_empty", "There was nothing in that message. What can I do?")


def content_refusal(message: str) -> TooMuch | None:
    """Why this text is no message at all; None when it is one."""
    if not message.strip():
        return MESSAGE_EMPTY
    if NO_TEXT in message:
        return MESSAGE_UNREADABLE
    return MESSAGE_TOO_LONG if len(message) > LONGEST_MESSAGE_CHARACTERS else None


def budget_refusal(budget: Budget, spent: Spent) -> TooMuch | None:
    """Why the conversation may cost nothing more; None while something is left of both."""
    left = budget.left(spent)
    return None if left.requests and left.tokens else BUDGET_SPENT


def rate_refusal(
    rates: Sequence[Rate], arrivals: Iterable[datetime], now: datetime
) -> TooMuch | None:
    """Why a message that comes `now` is too early after those of `arrivals`; None when it is not.

    `arrivals` are the messages that were taken, in any order; refused ones are not among them, so
    that who waits as told is let in.
    """
    moments = sorted(arrivals, reverse=True)
    waits = [_wait(rate, moments, now) for rate in rates]
    wait = max(waits, default=timedelta())
    if wait <= timedelta():
        return None
    seconds = ceil(wait.total_seconds())
    words = f"You write faster than I can answer. Please try again in {_span(seconds)}."
    return TooMuch("too_fast", words, seconds)


def _wait(rate: Rate, newest_first: Sequence[datetime], now: datetime) -> timedelta:
    """How long until fewer than `rate.messages` lie within the window that ends then."""
    if rate.messages <= 0:
        return rate.within
    if len(newest_first) < rate.messages:
        return timedelta()
    return newest_first[rate.messages - 1] + rate.within - now


def still_counting(
    rates: Sequence[Rate], arrivals: Iterable[datetime], now: datetime
) -> list[datetime]:
    """The arrivals that may still refuse a message, oldest first: all that need be kept."""
    longest = max((rate.within for rate in rates), default=timedelta())
    most = max((rate.messages for rate in rates), default=0)
    recent = sorted(moment for moment in arrivals if moment + longest > now)
    return recent[-most:] if most > 0 else []


def _span(seconds: int) -> str:
    if seconds < 90:
        return f"{seconds} second{'' if seconds == 1 else 's'}"
    minutes = ceil(seconds / 60)
    return f"{minutes} minutes" if minutes < 90 else f"{ceil(minutes / 60)} hours"

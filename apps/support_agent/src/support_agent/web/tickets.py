"""The shop's tickets: what its own website says of a customer who is signed in there.

A ticket is a compact JWT (RFC 7519), so that a shop in any language can make one. It is signed with
HS256 and nothing else, by a secret that only the shop and this server have. It says who (`sub`, the
customer's e-mail address), for whom it is (`aud`, where this server is reached), until when (`exp`,
within five minutes), and which ticket it is (`jti`, never the same again).

An address and no number: a shop's own customer numbers are not ours, and 42 would be somebody else.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from support_agent.shop.fields import EMAIL, LONGEST_EMAIL

LIFE = timedelta(minutes=5)
LONGEST_TICKET = 2_048
AHEAD = timedelta(minutes=1)
"""How far the shop's clock may be ahead of ours in `nbf`."""
ALGORITHM = "HS256"
LATEST = 253_402_300_799
"""The last second that a datetime can hold."""

_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_ID = re.compile(r"[!-~]{16,100}")
_OWN_CHECKS: Any = {
    f"verify_{each}": False for each in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
}

NOT_OURS = "It is not one that the shop has made for this chat."
TOO_LATE = "It took too long: it counts for a few minutes."
SPENT = "It was used already: each link counts once."


class TicketRefused(Exception):
    """A ticket that lets nobody in. `words` are for the customer; `why`, for the log, holds nothing
    of the ticket."""

    def __init__(self, why: str, words: str = NOT_OURS) -> None:
        super().__init__(why)
        self.why = why
        self.words = words


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket says that the shop has signed and that counts now."""

    id: str
    email: str
    """In lower case, as the records keep it."""
    ends_at: datetime


def read_ticket(given: str, secrets: Sequence[str], audience: str, now: datetime) -> Ticket:
    """What the ticket says. Whether it was used already is not known here.

    Raises: TicketRefused.
    """
    if len(given) > LONGEST_TICKET or not _FORM.fullmatch(given):
        raise TicketRefused("it has not the form of a ticket")
    claims = _signed(given, secrets)
    if claims.get("aud") != audience:
        raise TicketRefused("its aud is not our public_url")
    ends_at = _moment(claims, "exp")
    if ends_at <= now:
        raise TicketRefused("its exp is over", TOO_LATE)
    if ends_at > now + LIFE:
        raise TicketRefused("its exp is more than five minutes ahead")
    if "nbf" in claims and _moment(claims, "nbf") > now + AHEAD:
        raise TicketRefused("its nbf is ahead")
    id, email = claims.get("jti"), claims.get("sub")
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise TicketRefused("its jti is not 16 to 100 visible ASCII characters")
    if not isinstance(email, str) or len(email) > LONGEST_EMAIL or not EMAIL.fullmatch(email):
        raise TicketRefused("its sub is no e-mail address")
    return Ticket(id, email.lower(), ends_at)


def _signed(given: str, secrets: Sequence[str]) -> dict[str, Any]:
    """The claims, which one of the secrets has signed; each is tried, so that one can follow
    another. Raises: TicketRefused."""
    for secret in secrets:
        try:
            return jwt.decode(given, secret, algorithms=[ALGORITHM], options=_OWN_CHECKS)
        except jwt.InvalidSignatureError:
            continue
        except jwt.InvalidTokenError as error:
            # Its kind alone: the text may repeat what somebody sent.
            raise TicketRefused(f"it cannot be read ({type(error).__name__})") from None
    raise TicketRefused("no secret of ours has signed it")


def _moment(claims: dict[str, Any], name: str) -> datetime:
    """Raises: TicketRefused for anything but whole seconds since 1970."""
    seconds = claims.get(name)
    if type(seconds) is not int or not 0 <= seconds <= LATEST:
        raise TicketRefused(f"its {name} is not in whole seconds since 1970")
    return datetime.fromtimestamp(seconds, UTC)

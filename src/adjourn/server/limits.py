"""How often one caller may ask, where people sign in.

Counted are what acts, by who acts and by the address that it comes from; sign-ins that begin and
that fail, wrong keys and links that are none, by address; and links, by whom they are for. The
counters are in memory and as many as they may be at most, whoever asks: a restart forgets them, and
that is all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from limits import RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adjourn.access.addresses import network_of, plain
from adjourn.access.settings import Limits
from adjourn.errors import TooManyRequestsError
from adjourn.server.guard import SAFE_METHODS, WrongAddressError
from adjourn.server.refusals import refusal

COUNTERS_LIMIT = 50_000  # then those that end first are forgotten
BEGINNING = "/sign-in"
"""Where a sign-in begins, which is written down for somebody who is nobody yet."""
PROVING = ("/sign-in", "/set-up", "/links/")
"""Paths below which somebody proves who they are, or shows what only they were given."""

ACTS = "acts"
FAILURES = "failures"
SIGN_INS = "sign-ins"
LINKS = "links"


class Counters(Storage):
    """Counts that end, for `limits`: its own memory storage reads the machine's clock, starts a
    thread, and keeps as many as strangers like."""

    STORAGE_SCHEME = None

    def __init__(self, now: Callable[[], datetime], most: int = COUNTERS_LIMIT) -> None:
        super().__init__()
        self._now = now
        self._most = most
        self._counts: dict[str, tuple[int, float]] = {}
        """By key: how many, and when they end. In the order in which they began."""

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        count, ends = self._of(key)
        if not count:
            self._make_room()
            ends = self.now() + expiry
        self._counts[key] = (count + amount, ends)
        return count + amount

    def get(self, key: str) -> int:
        return self._of(key)[0]

    def get_expiry(self, key: str) -> float:
        return self._of(key)[1]

    def check(self) -> bool:
        return True

    def reset(self) -> int | None:
        self._counts.clear()
        return None

    def clear(self, key: str) -> None:
        self._counts.pop(key, None)

    def now(self) -> float:
        """Seconds since 1970, UTC."""
        return self._now().timestamp()

    def __len__(self) -> int:
        return len(self._counts)

    def _of(self, key: str) -> tuple[int, float]:
        now = self.now()
        count, ends = self._counts.get(key, (0, now))
        if ends > now:
            return count, ends
        self._counts.pop(key, None)
        return 0, now

    def _make_room(self) -> None:
        """All windows are of one length, so those that began first end first."""
        now = self.now()
        while self._counts:
            oldest = next(iter(self._counts))
            if self._counts[oldest][1] > now and len(self._counts) < self._most:
                return
            del self._counts[oldest]


class Rates:
    """The rates of one server."""

    def __init__(self, limits: Limits, now: Callable[[], datetime]) -> None:
        """`now` is aware UTC. Raises: WrongAddressError for a proxy that is no network."""
        self._counters = Counters(now)
        self._windows = FixedWindowRateLimiter(self._counters)
        self._proxies = [_network(each) for each in limits.proxies]
        self._most = {
            (ACTS, "identity"): RateLimitItemPerMinute(limits.acts),
            (ACTS, "address"): RateLimitItemPerMinute(limits.acts_of_address),
            (FAILURES, "address"): RateLimitItemPerMinute(limits.failures),
            (SIGN_INS, "address"): RateLimitItemPerMinute(limits.sign_ins),
            (LINKS, "identity"): RateLimitItemPerMinute(limits.links),
        }
        self.open_of_address = limits.open_of_address

    def count(self, what: str, whose: str, who: str) -> None:
        """One more of these. Raises: TooManyRequestsError."""
        if not self._windows.hit(self._most[what, whose], what, whose, who):
            raise self._refusal(what, whose, who)

    def check(self, what: str, whose: str, who: str) -> None:
        """Whether one more would be counted. Raises: TooManyRequestsError."""
        if not self._windows.test(self._most[what, whose], what, whose, who):
            raise self._refusal(what, whose, who)

    def _refusal(self, what: str, whose: str, who: str) -> TooManyRequestsError:
        ends, _ = self._windows.get_window_stats(self._most[what, whose], what, whose, who)
        seconds = max(1, math.ceil(ends - self._counters.now()))
        return TooManyRequestsError(f"{what} from this {whose}", seconds)

    def address_of(self, scope: Scope) -> str:
        """Whom a request counts for, where nobody is known: the address at the other end, or, by a
        proxy that the settings name, the last one in front of all such proxies."""
        peer = str((scope.get("client") or ("",))[0])
        if self._is_proxy(peer):
            said = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
            for each in reversed([word.strip() for word in said]):
                if not self._is_proxy(each):
                    return _counted(each) or peer
        return _counted(peer) or peer

    def _is_proxy(self, address: str) -> bool:
        try:
            found = plain(ip_address(address))
        except ValueError:
            return False
        return any(found in network for network in self._proxies)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return network_of(text)
    except ValueError:
        rule = "write an address, or a network such as 10.0.0.0/24"
        raise WrongAddressError("limits.proxies", text, rule) from None


def _counted(address: str) -> str:
    """What counts as one address: of IPv6 a network of 64 bits, since one home has as many; empty
    for what is no address."""
    try:
        found = plain(ip_address(address))
    except ValueError:
        return ""
    if found.version == 6:
        return str(ip_network((int(found) >> 64 << 64, 64)))
    return str(found)


class ByAddress:
    """ASGI middleware in front of sign-in: a caller whom nobody knows yet counts by address, which
    whatever stands behind it finds in `scope["state"]["address"]`.

    Too many failures keep an address from trying again, and nothing else: who is signed in goes on.
    """

    def __init__(self, app: ASGIApp, rates: Rates) -> None:
        self._app = app
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        address = self._rates.address_of(scope)
        scope.setdefault("state", {})["address"] = address
        failing = _failing(scope)
        try:
            if failing:
                self._rates.check(FAILURES, "address", address)
            if scope["method"] not in SAFE_METHODS:
                self._rates.count(ACTS, "address", address)
                if scope["path"] == BEGINNING:
                    self._rates.count(SIGN_INS, "address", address)
        except TooManyRequestsError as error:
            await _refuse(error, scope, receive, send)
            return

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in failing:
                self._count_failure(address)
            await send(message)

        await self._app(scope, receive, send_counted)

    def _count_failure(self, address: str) -> None:
        with suppress(TooManyRequestsError):  # whoever comes next is told
            self._rates.count(FAILURES, "address", address)


def _failing(scope: Scope) -> frozenset[int]:
    """The answers that mean that nothing was proved; none, where a request tries to prove nothing
    but a session. What a good key asks for in vain is no failure of the key."""
    path: str = scope["path"]
    if path.startswith(PROVING):
        return frozenset({400, 401, 403, 404})
    return frozenset({401}) if "authorization" in Headers(scope=scope) else frozenset()


class ByIdentity:
    """ASGI middleware behind sign-in, which has put who asks into the request's state: what they do
    counts by their id; of whoever is nobody, what is open at the same time counts by address."""

    def __init__(self, app: ASGIApp, rates: Rates) -> None:
        self._app = app
        self._rates = rates
        self._open: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        actor = scope.get("state", {}).get("actor")
        if actor is None:
            await self._as_nobody(scope, receive, send)
            return
        try:
            if scope["method"] not in SAFE_METHODS:
                self._rates.count(ACTS, "identity", actor.id)
        except TooManyRequestsError as error:
            await _refuse(error, scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _as_nobody(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = self._rates.address_of(scope)
        at_once = self._open.get(address, 0)
        if at_once >= self._rates.open_of_address:
            error = TooManyRequestsError("requests at the same time from this address", 5)
            await _refuse(error, scope, receive, send)
            return
        self._open[address] = at_once + 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]


async def _refuse(error: TooManyRequestsError, scope: Scope, receive: Receive, send: Send) -> None:
    await refusal(scope, error, 429)(scope, receive, send)

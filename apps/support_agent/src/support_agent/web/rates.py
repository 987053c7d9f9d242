"""How often one address may ask for what nobody has to be signed in for."""

from fastapi import Request
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

ADDRESSES_LIMIT = 20_000
"""That are counted at the same time. Who comes from more is not stopped by counting, and must not
fill the memory: all of them begin anew."""


class Rate:
    """So many a minute from each address, counted in this process."""

    def __init__(self, a_minute: int) -> None:
        self._limit = parse(f"{a_minute}/minute")
        self._counted = MemoryStorage()
        self._limiter = FixedWindowRateLimiter(self._counted)

    def takes(self, request: Request) -> bool:
        """Count this one, and whether it is within what the address may. What counts as one address
        the server has found out: behind a proxy that its settings name, the customer's."""
        if len(self._counted.storage) >= ADDRESSES_LIMIT:
            self._counted.reset()
        return self._limiter.hit(self._limit, getattr(request.state, "address", ""))

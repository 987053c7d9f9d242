"""For whom a route of the customers' pages is. Each says so by what it takes: nothing is for
everybody because somebody forgot it (`tests/door/test_sweep.py` walks the router)."""

from typing import Annotated, Protocol, cast

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from support_agent.shop.customer_sessions import SignedIn
from support_agent.web.site import wants_part


class Entrance(Protocol):
    """How customers come in: by the switch of this machine, or with a ticket of the shop's."""

    @property
    def local(self) -> bool:
        """Whether nobody proves who they are."""
        ...

    async def who(self, request: Request, *, used: bool) -> SignedIn | None:
        """The customer who sends the request; None for nobody. `used`: a person does something,
        and no page that lies open asks by itself.

        Raises: HTTPException (503) where nobody can come in before something is set up.
        """
        ...


def entrance_of(request: Request) -> Entrance:
    return cast("Entrance", request.app.state.entrance)


async def visitor(request: Request) -> SignedIn | None:
    """For anybody; whoever is signed in is told apart."""
    used = request.method == "POST" or not wants_part(request)
    return await entrance_of(request).who(request, used=used)


async def customer(who: Annotated[SignedIn | None, Depends(visitor)]) -> SignedIn:
    """For customers. Raises: HTTPException (401)."""
    if who is None:
        raise HTTPException(401)
    return who


async def listener(request: Request) -> SignedIn:
    """For customers' pages that lie open. Raises: HTTPException (401)."""
    return await customer(await entrance_of(request).who(request, used=False))


async def anybody() -> None:
    """For everybody, signed in or not."""


Visitor = Annotated[SignedIn | None, Depends(visitor)]
Customer = Annotated[SignedIn, Depends(customer)]
Listener = Annotated[SignedIn, Depends(listener)]
ANYBODY = Depends(anybody)

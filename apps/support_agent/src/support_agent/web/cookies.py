"""The cookies of customers who are signed in: for this host alone, never over plain HTTP, and out
of every script's reach."""

from starlette.responses import Response

SESSION = "__Host-support-customer"
NEXT = "__Host-support-next"
"""Where somebody wanted to go who had to sign in first: a path of ours, and none of the shop's."""
NEXT_SECONDS = 1_800


def keep(answer: Response, name: str, value: str, seconds: int) -> None:
    """Have the browser keep it for so long. Lax: whoever comes from the shop's page by a link is
    who they are, and what another origin sends is nobody's."""
    answer.set_cookie(
        name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax"
    )


def drop(answer: Response, name: str) -> None:
    keep(answer, name, "", 0)

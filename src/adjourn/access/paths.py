"""What may stand in the path of a request, checked before anything of it is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from starlette.requests import Request

from adjourn.errors import InvalidIdError
from adjourn.model.ids import check_instance_id, check_name

_TOKEN = re.compile(r"[A-Za-z0-9._=-]{1,1000}\Z")
_HANDLE = re.compile(r"[0-9a-f]{16}\Z")


def _shaped(noun: str, pattern: re.Pattern[str], rule: str, value: str) -> str:
    if pattern.match(value) is None:
        raise InvalidIdError(noun, value, rule)
    return value


PARAMETERS: Mapping[str, Callable[[str], str]] = {
    "id": check_instance_id,
    "case": check_instance_id,
    "name": partial(check_name, "a name"),
    "token": partial(_shaped, "a link", _TOKEN, "the link as it was sent"),
    "handle": partial(_shaped, "a session", _HANDLE, "one from the list of your sessions"),
}
"""By the parameter's name in a route. A route with another one refuses every request."""


async def check_path(request: Request) -> None:
    """A dependency of every route: each parameter of its path has the form that it must have.

    Raises: InvalidIdError.
    """
    for name, value in request.path_params.items():
        PARAMETERS[name](str(value))

"""The form of a request: what is refused before anybody asks what it says."""

import asyncio
import json
from typing import Any, NoReturn

from starlette.requests import Request

BODY_LIMIT_BYTES = 256 * 1024
BODY_SECONDS = 15.0  # a body that takes longer to arrive is given up; the connector waits as long
DEPTH_LIMIT = 64


class Refused(Exception):
    """The request is answered with this status. The text is for the log, and holds nothing of what
    came."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def check_form(request: Request) -> None:
    """What can be told without the body. Raises: Refused."""
    headers = request.headers
    if request.method != "POST":
        raise Refused(405, "a method other than POST")
    kind, _, parameters = headers.get("content-type", "").lower().partition(";")
    charset = parameters.partition("charset=")[2].strip(' "')
    if kind.strip() != "application/json" or charset not in ("", "utf-8"):
        raise Refused(415, "no JSON in UTF-8")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "an encoded body")
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > BODY_LIMIT_BYTES:
        raise Refused(413, "a body that says it is too long")


async def read_body(request: Request) -> bytes:
    """The body, of which no more is read than may be. Raises: Refused."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > BODY_LIMIT_BYTES:
                    raise Refused(413, "a body that is too long")
    except TimeoutError:
        raise Refused(408, "a body that takes too long") from None
    return bytes(body)


def parsed(body: bytes) -> object:
    """The JSON in it: strict, and not nested deeper than may be. Raises: Refused."""
    try:
        value: object = json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Refused(400, "no JSON") from None
    level: list[Any] = [value]
    for _ in range(DEPTH_LIMIT):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return value
    raise Refused(400, "JSON that is nested too deep")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")

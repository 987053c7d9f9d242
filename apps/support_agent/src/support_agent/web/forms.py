"""Forms as browsers send them, read strictly."""

import asyncio
import hashlib
import re
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.exceptions import HTTPException

FORM_LIMIT = 64 * 1024  # bytes: the longest message many times over, as percent signs
FIELDS_LIMIT = 20
BODY_SECONDS = 30.0  # a body that takes longer to arrive is given up
KIND = "application/x-www-form-urlencoded"
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{7,79}")
NEW_ID = re.compile(r"[0-9a-f]{32}")
"""What `new_id` makes; no case has an id of this form."""


def new_id() -> str:
    """An id that nobody can guess and nothing else has."""
    return secrets.token_hex(16)


async def form_of(request: Request) -> Mapping[str, str]:
    """The fields; of several with one name the last counts. Line ends are `\\n`.

    Raises: HTTPException (415 for anything but a plain form, 413 found while reading, 408, 400).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != KIND:
        raise HTTPException(415, "Send a form.")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > FORM_LIMIT:
                    raise HTTPException(413, "That message is too long.")
    except TimeoutError:
        raise HTTPException(408, "The form took too long to arrive.") from None
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=FIELDS_LIMIT,
            errors="strict",
        )
    except (ValueError, UnicodeError):
        raise HTTPException(400, "This is no form that we can read.") from None
    if any("\0" in value for _, value in pairs):  # PostgreSQL keeps no such text
        raise HTTPException(400, "This form holds a character that nobody can keep.")
    return {name: value.replace("\r\n", "\n") for name, value in pairs}


def id_in(form: Mapping[str, str], name: str) -> str:
    """The id under which this form counts once. Raises: HTTPException (400)."""
    given = form.get(name, "")
    if not ID.fullmatch(given):
        raise HTTPException(400, "This form is not whole. Reload the page and send it again.")
    return given


def id_of(text: str, form: Mapping[str, str]) -> str:
    """The id of this text of this form. A page that comes back with "Back" brings its old id along;
    what is written into it then is another message, and no repeat of the first."""
    return f"{form['message_id']}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

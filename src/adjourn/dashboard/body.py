"""Forms as browsers send them, read strictly."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.exceptions import HTTPException

from adjourn.errors import PayloadTooLargeError

FORM_LIMIT = 512 * 1024  # bytes: a value of the largest payload, and what its encoding adds
FIELDS_LIMIT = 1_000
BODY_SECONDS = 30.0  # a body that takes longer to arrive is given up
KIND = "application/x-www-form-urlencoded"

PREFIX = "field."
"""Before the name of a proposal's field in a form, so that no field is taken for one of ours."""


class Form(Mapping[str, str]):
    """The fields of a form; of several with one name the last counts, and `all` has them all."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._last = dict(pairs)

    def __getitem__(self, name: str) -> str:
        return self._last[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._last)

    def __len__(self) -> int:
        return len(self._last)

    def text(self, name: str) -> str:
        """The value as it was typed, with the line ends that everybody else uses."""
        return self._last.get(name, "").replace("\r\n", "\n")

    def words(self, name: str) -> str:
        """The value without space around it."""
        return self.text(name).strip()

    def number(self, name: str) -> int:
        """A whole number, 0 where it is none: no version is 0, so such a form is stale."""
        given = self.words(name)
        return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else 0

    @property
    def key(self) -> str | None:
        """The key under which this form counts once; None where it has none that could be ours."""
        key = self.words("key")
        return key if 16 <= len(key) <= 64 and key.isalnum() else None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == name]


def input_name(field: str) -> str:
    """The name in a form of a proposal's field."""
    return PREFIX + field


def field_texts(form: Mapping[str, str]) -> dict[str, str]:
    """What was typed in the proposal's fields, by their own names."""
    return {name[len(PREFIX) :]: form[name] for name in form if name.startswith(PREFIX)}


async def form_of(request: Request) -> Form:
    """Raises: HTTPException (415 for anything but a plain form, 408, 400), PayloadTooLargeError
    (found while reading)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != KIND:
        raise HTTPException(415, "Send a form.")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > FORM_LIMIT:
                    raise PayloadTooLargeError("The form, so far,", len(body), FORM_LIMIT)
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
    return Form(pairs)

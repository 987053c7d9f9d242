"""Values to canonical JSON and back.

Canonical means sorted keys, so that equal values give equal bytes: replay compares inputs by them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, cast

import msgspec

from adjourn.errors import InvalidPayloadError, PayloadTooLargeError, SerializationError

PAYLOAD_LIMIT = 256 * 1024  # bytes of JSON in one input, result, event or status
STATUS_LIMIT = 16 * 1024  # bytes of JSON in a custom status, as in Durable Functions
DEPTH_LIMIT = 200

NULL = msgspec.Raw(b"null")

Reader = Callable[[bytes | msgspec.Raw], Any]
"""JSON text to a typed value; raises msgspec's errors."""


def _to_builtin(value: Any) -> Any:
    if isinstance(value, msgspec.Raw):
        return msgspec.json.decode(value)
    dump = getattr(value, "model_dump", None)  # pydantic, without importing it
    if dump is not None:
        return dump(mode="json")
    raise NotImplementedError(f"{type(value).__name__} is not JSON")


def _from_builtin(kind: type[Any], value: Any) -> Any:
    validate = getattr(kind, "model_validate", None)
    if validate is not None:
        return validate(value)
    raise NotImplementedError(f"{kind!r} cannot be read from JSON")


_encoder = msgspec.json.Encoder(enc_hook=_to_builtin, order="sorted")
_encoder_as_given = msgspec.json.Encoder(enc_hook=_to_builtin)


def encode(
    value: Any, what: str = "The value", limit: int = PAYLOAD_LIMIT, *, as_given: bool = False
) -> msgspec.Raw:
    """`value` as canonical JSON; with `as_given` its keys keep their order, for people to read.

    Raises: SerializationError (not JSON, NaN, infinite, too deep, lone surrogate),
    PayloadTooLargeError.
    """
    try:
        text = (_encoder_as_given if as_given else _encoder).encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError, NotImplementedError) as error:
        raise SerializationError(
            f"{what} cannot be written as JSON: {error}. "
            "Use dataclasses, msgspec or pydantic models, and plain values."
        ) from error
    if len(text) > limit:
        raise PayloadTooLargeError(what, len(text), limit)
    if len(text) > DEPTH_LIMIT and text.count(b"[") + text.count(b"{") > DEPTH_LIMIT:
        _check_depth(text, what)
    if b"null" in text and _holds_non_finite(msgspec.to_builtins(value, enc_hook=_to_builtin)):
        # msgspec writes NaN as null (test_codec): that would lose a value silently.
        raise SerializationError(f"{what} holds NaN or infinity, which JSON cannot. Use None.")
    return msgspec.Raw(text)


def _check_depth(text: bytes, what: str) -> None:
    """Raises: SerializationError. Deeper values could be written here and not read there."""
    try:
        deep = _depth_over(msgspec.json.decode(text), DEPTH_LIMIT)
    except RecursionError:
        deep = True
    if deep:
        raise SerializationError(f"{what} is nested deeper than {DEPTH_LIMIT} levels.")


def check_scalar(what: str, value: object, limit: int = 1_000) -> None:
    """What SQLite can hold in a column and find again. Raises: SerializationError."""
    match value:
        case None | bool():
            return
        case int() if -(2**63) <= value < 2**63:
            return
        case float() if math.isfinite(value):
            return
        case str():
            check_text(what, value, limit)
        case _:
            raise SerializationError(
                f"{what} cannot be {value!r:.80}: use str, bool, None, a finite float or a "
                "64-bit int."
            )


def check_text(what: str, value: str, limit: int = 4_000) -> str:
    """Text that goes into a row as it is. Raises: SerializationError."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise SerializationError(f"{what} is not valid Unicode text: {error}") from error
    if len(value) > limit:
        raise SerializationError(f"{what} has {len(value):,} characters; {limit:,} at most.")
    return value


def _holds_non_finite(value: Any) -> bool:
    match value:
        case float():
            return not math.isfinite(value)
        case dict():
            return any(map(_holds_non_finite, cast("dict[str, Any]", value).values()))
        case list() | tuple():
            return any(map(_holds_non_finite, cast("list[Any]", value)))
        case _:
            return False


def decoder(kind: Any) -> Reader:
    """A reader for one type. The reader raises msgspec.ValidationError or DecodeError.

    Raises: SerializationError when the type itself cannot be read from JSON.
    """
    if kind is object:
        kind = Any
    try:
        return msgspec.json.Decoder(kind, dec_hook=_from_builtin).decode
    except TypeError as error:
        raise SerializationError(f"{kind!r} cannot be read from JSON: {error}") from error


def decode(text: bytes | msgspec.Raw, kind: Any, what: str = "The value") -> Any:
    """`text` as a value of `kind`. Raises: InvalidPayloadError."""
    return read(decoder(kind), text, what)


def read(
    decode_text: Reader,
    text: bytes | msgspec.Raw,
    what: str = "The value",
) -> Any:
    """`decode_text(text)` with its errors as ours. Raises: InvalidPayloadError."""
    try:
        return decode_text(text)
    except msgspec.MsgspecError as error:
        raise InvalidPayloadError(what, str(error)) from error
    except Exception as error:  # whatever a user's own type raises while it is read
        raise InvalidPayloadError(what, f"{type(error).__name__}: {error}") from error


def canonical(text: bytes, what: str = "The body") -> msgspec.Raw:
    """JSON text from outside, checked strictly and made canonical.

    Raises: SerializationError (malformed, duplicate keys, NaN, too deep), PayloadTooLargeError.
    """
    if len(text) > PAYLOAD_LIMIT:
        raise PayloadTooLargeError(what, len(text), PAYLOAD_LIMIT)
    if not text.strip():
        return NULL
    try:
        value = json.loads(
            text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise SerializationError(f"{what} is not JSON that we accept: {error}") from error
    return encode(value, what)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _depth_over(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        parts = list(cast("dict[str, Any]", value).values())
    elif isinstance(value, list):
        parts = cast("list[Any]", value)
    else:
        return False
    return levels == 0 or any(_depth_over(part, levels - 1) for part in parts)

"""How events and texts stand in the file: as they are, or with what they hold encrypted.

This is the one place between the engine and the store where that is decided. A row of history stays
JSON, and stays readable as far as it says what happened when:

    {"kind":"ActivityCompleted","at":"...","sequence":1,"$encrypted":{"key":"k2","nonce":...}}

Events have no field of that name, so no value that a user stores can be taken for one. The hash
chain is over what stands in the file: it is checked without any key.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

import msgspec

from adjourn.errors import SealedError
from adjourn.model.events import Event, decode_event, encode_event
from adjourn.store.sealing import HIDDEN, MARK, Box, Sealer, box_of

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.encode

_BEGINS = ' {"$encrypted":'
"""What a column begins with that holds a box. The codec writes no blank before a value, so none
that a user stores looks like it, and it is JSON still."""


DIGEST_BYTES = 16


class Rows:
    """Writes and reads what one file holds. Without a sealer everything stands there as it is."""

    def __init__(self, sealer: Sealer | None = None) -> None:
        self._sealer = sealer

    @property
    def encrypted(self) -> bool:
        """Whether what is written from now on is encrypted."""
        return self._sealer is not None

    # Rows of history.

    def write(self, id: str, execution: int, number: int, event: Event) -> bytes:
        """The body of this row."""
        body = encode_event(event)
        return (
            body if self._sealer is None else self._hide(self._sealer, id, execution, number, body)
        )

    def read(self, id: str, execution: int, number: int, body: bytes) -> Event:
        """The event of this row. Raises: SealedError; msgspec.MsgspecError for no event."""
        return decode_event(self._show(id, execution, number, body) if MARK in body else body)

    def _hide(self, sealer: Sealer, id: str, execution: int, number: int, body: bytes) -> bytes:
        clear = _fields.decode(body)
        hidden = {name: clear.pop(name) for name in HIDDEN if name in clear}
        if not hidden:
            return body
        shown = _encode(clear)
        box = sealer.seal(id, _place(execution, number, shown), _encode(hidden))
        return shown[:-1] + b"," + MARK + _encode(box) + b"}"

    def _show(self, id: str, execution: int, number: int, body: bytes) -> bytes:
        clear = _fields.decode(body)
        text = clear.pop("$encrypted", None)
        if text is None:
            return body  # the word stands in somebody's own text
        box = msgspec.json.decode(text, type=Box)
        place = _place(execution, number, _encode(clear))
        return _encode({**clear, **_fields.decode(self._open(id, place, box))})

    # Columns of an instance.

    def hide(self, id: str, column: str, text: str) -> str:
        """JSON as this column shall hold it."""
        if self._sealer is None:
            return text
        box = self._sealer.seal(id, column.encode(), text.encode())
        return f"{_BEGINS}{_encode(box).decode()}}}"

    def show(self, id: str, column: str, text: str) -> str:
        """What was written. Raises: SealedError."""
        if not text.startswith(_BEGINS):
            return text
        box = box_of(text.encode())
        return text if box is None else self._open(id, column.encode(), box).decode()

    # By what a start that is repeated is known again.

    def start_digest(self, id: str, name: str, input: msgspec.Raw) -> bytes:
        """Of a start of this instance. With a sealer nobody confirms a guessed input by it who has
        the file and no key."""
        text = _start(name, input)
        if self._sealer is None:
            return sha256(text).digest()[:DIGEST_BYTES]
        return next(self._sealer.digests(id, text))[:DIGEST_BYTES]

    def same_start(self, digest: bytes, id: str, name: str, input: msgspec.Raw) -> bool:
        """Whether this digest was made of such a start: before the file was encrypted, or with any
        of the keys that are here."""
        text = _start(name, input)
        known = [sha256(text).digest()]
        if self._sealer is not None:
            known += self._sealer.digests(id, text)
        return any(hmac.compare_digest(digest, each[:DIGEST_BYTES]) for each in known)

    def _open(self, id: str, place: bytes, box: Box) -> bytes:
        if self._sealer is None:
            raise SealedError(id, box.key, "no encryption keys were given")
        return self._sealer.unseal(id, place, box)


def _start(name: str, input: msgspec.Raw) -> bytes:
    return name.encode() + b"\0" + bytes(input)


def _place(execution: int, number: int, shown: bytes) -> bytes:
    """Where a row stands and what it says in clear: neither can be changed without the key."""
    return b"%d/%d/%b" % (execution, number, shown)

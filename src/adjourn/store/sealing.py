"""Encryption at rest: what a workflow was given and what it answered, with keys that rotate.

AES-256-GCM of the `cryptography` package. Each instance has a key of its own, derived from the
operator's by HKDF: so a random nonce never comes twice under one key, however long a file lives.
What is authenticated beside the text says where it stands, so that nothing of it can be moved.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import importlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from adjourn.errors import EncryptionKeysError, SealedError

HIDDEN = ("input", "result", "data", "details", "failure", "reason")
"""The fields of events that are encrypted; all others are what rows are told apart by."""

MARK = b'"$encrypted":'
KEY_BYTES = 32
NONCE_BYTES = 12  # as GCM has it
DERIVED_KEYS = 2_000  # of recently used instances, kept in memory
_KEY_ID = re.compile(r"[\w.-]{1,40}", re.ASCII)
_FORM = "write id:key, the newest first, separated by commas; a key is 32 random bytes in base64"


class Box(msgspec.Struct, frozen=True):
    """An encrypted text: by which key, and what of it stands in the file."""

    key: str
    nonce: str
    text: str


class _Boxed(msgspec.Struct, frozen=True, rename={"box": "$encrypted"}):
    box: Box


class Sealer:
    """Encrypts with the first of `keys`, decrypts with whichever a text names."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Raises: EncryptionKeysError for no keys, or one that has not 32 bytes."""
        if not keys:
            raise EncryptionKeysError(f"There is no key to encrypt with: {_FORM}.")
        for id, key in keys.items():
            if len(key) != KEY_BYTES:
                raise EncryptionKeysError(f"Encryption key {id!r} has {len(key)} bytes: {_FORM}.")
        self.newest = next(iter(keys))
        self._keys = dict(keys)
        self._cipher = lru_cache(DERIVED_KEYS)(self._derive)

    def _derive(self, key_id: str, instance_id: str) -> Any:
        """The cipher of one instance."""
        # Only who encrypts needs this package, which takes longer to import than we do.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

        purpose = f"adjourn/{instance_id}".encode()
        return AESGCM(HKDFExpand(SHA256(), KEY_BYTES, purpose).derive(self._keys[key_id]))

    def seal(self, instance_id: str, place: bytes, text: bytes) -> Box:
        """`text` as it may stand in the file, at this place of this instance and nowhere else."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._cipher(self.newest, instance_id).encrypt(nonce, text, place)
        return Box(self.newest, base64.b64encode(nonce).decode(), base64.b64encode(sealed).decode())

    def digests(self, instance_id: str, text: bytes) -> Iterator[bytes]:
        """By which `text` of this instance is known again, and by nobody without a key: with the
        newest first, and with each that it may have been made with."""
        for id in self._keys:
            yield hmac.digest(self._digest_key(id, instance_id), text, "sha256")

    def _digest_key(self, key_id: str, instance_id: str) -> bytes:
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

        purpose = f"adjourn digest/{instance_id}".encode()
        return HKDFExpand(SHA256(), KEY_BYTES, purpose).derive(self._keys[key_id])

    def unseal(self, instance_id: str, place: bytes, box: Box) -> bytes:
        """What was sealed. Raises: SealedError."""
        from cryptography.exceptions import InvalidTag

        if box.key not in self._keys:
            known = ", ".join(self._keys)
            raise SealedError(instance_id, box.key, f"that is none of those given ({known})")
        try:
            nonce, sealed = base64.b64decode(box.nonce), base64.b64decode(box.text)
            return self._cipher(box.key, instance_id).decrypt(nonce, sealed, place)
        except (InvalidTag, ValueError) as error:
            reason = "the key of that name is another one, or the text was changed or moved"
            raise SealedError(instance_id, box.key, reason) from error


def sealer_from(variable: str) -> Sealer | None:
    """With the keys of this environment variable; None where it has no name. The package that
    encrypts is imported here, so that a start without it fails before anything is written.

    Raises: EncryptionKeysError.
    """
    if not variable:
        return None
    text = os.environ.get(variable, "")
    if not text.strip():
        raise EncryptionKeysError(
            f"{variable} is empty, and the settings say that it holds the encryption keys: {_FORM}."
        )
    try:
        importlib.import_module("cryptography.hazmat.primitives.ciphers.aead")
    except ModuleNotFoundError as error:
        raise EncryptionKeysError(
            "Encrypting needs a part that is not installed: pip install 'adjourn[encryption]'"
        ) from error
    return Sealer(parse_keys(text))


def parse_keys(text: str) -> dict[str, bytes]:
    """The keys of a variable, the newest first. Raises: EncryptionKeysError, which shows no key."""
    keys: dict[str, bytes] = {}
    for number, entry in enumerate(filter(None, re.split(r"[,\s]+", text)), start=1):
        id, colon, key = entry.partition(":")
        if not colon or not _KEY_ID.fullmatch(id):
            raise EncryptionKeysError(f"Encryption key number {number} has no name: {_FORM}.")
        if id in keys:
            raise EncryptionKeysError(f"There are two encryption keys called {id!r}: {_FORM}.")
        try:
            keys[id] = base64.b64decode(key.translate(_URL_SAFE), validate=True)
        except (binascii.Error, ValueError):
            raise EncryptionKeysError(f"Encryption key {id!r} is not base64: {_FORM}.") from None
    return keys


_URL_SAFE = str.maketrans("-_", "+/")


def box_of(body: bytes) -> Box | None:
    """The box of a history row or of a column; None where it is none, or damaged."""
    if MARK not in body:
        return None
    try:
        return msgspec.json.decode(body, type=_Boxed).box
    except msgspec.MsgspecError:  # the word stands in somebody's own text
        return None

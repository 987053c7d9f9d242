"""The Bot Connector as the tests play it: its keys, its tokens and what it sends."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from support_agent.clock import now

CLIENT_ID = "11111111-2222-3333-4444-555555555555"
TENANT = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
PERSON = "99999999-8888-7777-6666-555555555555"
SERVICE = "https://smba.trafficmanager.net/emea/"
ISSUER = "https://api.botframework.com"
BOT = f"28:{CLIENT_ID}"
KEY_ID, BARE_KEY_ID, WEB_KEY_ID = "key-1", "key-without-endorsements", "key-for-web-chat"
METADATA_PATH, KEYS_PATH = "/v1/.well-known/openidconfiguration", "/v1/.well-known/keys"
PATIENCE_SECONDS = 20.0
DRIP_SECONDS = 0.02

Claims = Mapping[str, Any]


@cache
def private_key(name: str = "connector") -> RSAPrivateKey:
    """The same for the same name, in one process."""
    return generate_private_key(public_exponent=65_537, key_size=2_048)


@cache
def small_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65_537, key_size=1_024)


def public_pem(key: RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def jwk(
    key_id: str, endorsements: object = None, key: RSAPrivateKey | None = None, **more: Any
) -> dict[str, Any]:
    """A public key as the connector publishes it."""
    held = RSAAlgorithm.to_jwk((key or private_key()).public_key(), as_dict=True)
    endorsed = {} if endorsements is None else {"endorsements": endorsements}
    return {**held, "use": "sig", "kid": key_id, **endorsed, **more}


def claims(**changed: Any) -> dict[str, Any]:
    """Of a token that is good now. Dates are given in seconds from now; None leaves a claim out."""
    held: dict[str, Any] = {
        "iss": ISSUER,
        "aud": CLIENT_ID,
        "nbf": 0,
        "exp": 3_600,
        "serviceurl": SERVICE,
    }
    held = {name: value for name, value in {**held, **changed}.items() if value is not None}
    moment = int(now().timestamp())
    return {
        name: moment + value if name in ("nbf", "exp", "iat") else value
        for name, value in held.items()
    }


def token(
    held: Claims | None = None, key_id: str | None = KEY_ID, key: RSAPrivateKey | None = None
) -> str:
    """Signed as the connector signs."""
    return jwt.encode(
        dict(claims() if held is None else held),
        key or private_key(),
        algorithm="RS256",
        headers={} if key_id is None else {"kid": key_id},
    )


def unsigned(held: Claims) -> str:
    """`alg` none, and no signature."""
    return jwt.encode(dict(held), "", algorithm="none", headers={"kid": KEY_ID})


def signed_with_the_public_key(held: Claims) -> str:
    """HS256, with the public key as the shared secret. By hand: libraries refuse to write it."""
    head = {"alg": "HS256", "typ": "JWT", "kid": KEY_ID}
    signing = b".".join(_base64(json.dumps(part).encode()) for part in (head, dict(held)))
    digest = hmac.new(public_pem(private_key()), signing, hashlib.sha256).digest()
    return b".".join((signing, _base64(digest))).decode()


def _base64(text: bytes) -> bytes:
    return base64.urlsafe_b64encode(text).rstrip(b"=")


@dataclass
class KeyServer:
    """The connector's OpenID metadata and its keys, at an address of this machine."""

    keys: list[dict[str, Any]] = field(
        default_factory=lambda: [
            jwk(KEY_ID, ["msteams", "skype"]),
            jwk(BARE_KEY_ID),
            jwk(WEB_KEY_ID, ["webchat"]),
        ]
    )
    answer: bytes | None = None
    """Instead of the keys."""
    status: int = 200
    drips: bool = False
    """Whether it answers for as long as anybody listens, a little at a time."""
    seen: list[str] = field(default_factory=list)
    """The paths that were asked for."""
    asked: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)
    address: str = ""

    @property
    def metadata_url(self) -> str:
        return self.address + METADATA_PATH

    def said(self, path: str) -> bytes:
        if path == METADATA_PATH:
            return json.dumps({"issuer": ISSUER, "jwks_uri": self.address + KEYS_PATH}).encode()
        return json.dumps({"keys": self.keys}).encode() if self.answer is None else self.answer

    @contextmanager
    def serving(self) -> Iterator["KeyServer"]:
        handler = type("Handler", (_Handler,), {"server_of_keys": self})
        self.may_answer.set()
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            self.address = f"http://127.0.0.1:{server.server_address[1]}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield self
            finally:
                self.may_answer.set()
                server.shutdown()
                thread.join(PATIENCE_SECONDS)


class _Handler(BaseHTTPRequestHandler):
    server_of_keys: ClassVar[KeyServer]
    timeout = PATIENCE_SECONDS

    def do_GET(self) -> None:
        keys = self.server_of_keys
        keys.seen.append(self.path)
        keys.asked.set()
        assert keys.may_answer.wait(PATIENCE_SECONDS)
        body = keys.said(self.path)
        self.send_response(keys.status)
        if keys.status in (301, 302, 307):
            self.send_header("Location", keys.address + "/elsewhere")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(10_000 if keys.drips else len(body)))
        self.end_headers()
        if keys.drips:
            self._drip()
        else:
            self.wfile.write(body)

    def _drip(self) -> None:
        for _ in range(int(PATIENCE_SECONDS / DRIP_SECONDS)):
            try:
                self.wfile.write(b" ")
            except OSError:
                return  # nobody listens any more
            threading.Event().wait(DRIP_SECONDS)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: what was asked is in `KeyServer.seen`."""


# What it sends.


def activity(type: str, /, **changed: Any) -> dict[str, Any]:
    """An activity of a personal chat, as Teams sends it. None leaves a field out."""
    held: dict[str, Any] = {
        "type": type,
        "id": "1485983408511",
        "timestamp": "2026-11-02T09:00:00.000Z",
        "channelId": "msteams",
        "serviceUrl": SERVICE,
        "from": {"id": "29:1user", "name": "Amina Diallo", "aadObjectId": PERSON},
        "recipient": {"id": BOT, "name": "Support"},
        "conversation": {"id": "a:1chat", "conversationType": "personal", "tenantId": TENANT},
        "channelData": {"tenant": {"id": TENANT}},
    }
    return {name: value for name, value in {**held, **changed}.items() if value is not None}


def message(text: str | None = "I was charged twice.", /, **changed: Any) -> dict[str, Any]:
    return activity("message", text=text, textFormat="plain", **changed)


def in_group(kind: str = "groupChat", id: str = "19:group@thread.v2") -> dict[str, Any]:
    return {"id": id, "conversationType": kind, "isGroup": True, "tenantId": TENANT}


def mention(name: str = "Support", id: str = BOT, text: str | None = None) -> dict[str, Any]:
    written = f"<at>{name}</at>" if text is None else text
    return {"type": "mention", "mentioned": {"id": id, "name": name}, "text": written}


def execute(data: Any = None, /, **changed: Any) -> dict[str, Any]:
    """A button of a card."""
    data = decision() if data is None else data
    value = {"action": {"type": "Action.Execute", "verb": "approve", "data": data}}
    return activity("invoke", name="adaptiveCard/action", value=value, **changed)


def decision(**changed: Any) -> dict[str, Any]:
    held = {
        "action": "approve",
        "approval": "R-1001~refund",
        "version": 3,
        "digest": "9f2c",
        "field.amount": "19.80",
        "comment": "Checked.",
    }
    return {name: value for name, value in {**held, **changed}.items() if value is not None}

"""A real OpenID provider on a loopback socket, with real keys, as hostile as a test wants it."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256"]
JOIN_SECONDS = 10

Claims = dict[str, Any]
Answer = Callable[["Handler"], None]


@cache
def rsa_key(kid: str, bits: int = 2048) -> RSAKey:
    with warnings.catch_warnings():  # some are short on purpose
        warnings.simplefilter("ignore")
        return RSAKey.generate_key(bits, {"kid": kid})


@cache
def ec_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid})


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Asked:
    """An authorization request, and who granted it."""

    words: dict[str, str]
    subject: str
    auth_time: int


@dataclass
class Provider:
    """One provider. Whatever a test puts into its fields counts from the next request on."""

    now: Callable[[], datetime]
    client_id: str = "adjourn"
    client_secret: str = ""
    who: str = "ada"
    """Who is signed in there; empty: it asks."""
    people: dict[str, Claims] = field(default_factory=dict[str, Claims])
    auth_time: int | None = None
    """When they signed in there; None: now."""
    obeys_prompt: bool = True
    claims: Claims = field(default_factory=dict[str, Any])
    """Over what the ID token would say; None takes a claim out."""
    header: Claims = field(default_factory=lambda: {"alg": "RS256", "kid": "one"})
    key: Any = None
    make: Callable[[Claims], str] | None = None
    """Makes the ID token of its claims."""
    document: Claims = field(default_factory=dict[str, Any])
    published: list[Any] | None = None
    query: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    """Over the words of its answer to the browser."""
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])
    """What answers a path instead of it."""
    heard: list[str] = field(default_factory=list[str])
    """Method and path of each request."""
    forms: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    """What was sent to its token endpoint."""
    authorizations: list[str] = field(default_factory=list[str])
    codes: dict[str, Asked] = field(default_factory=dict[str, Asked])
    address: str = ""
    ended: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    @property
    def issuer(self) -> str:
        return self.address

    def metadata(self) -> Claims:
        found: Claims = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
            "end_session_endpoint": f"{self.address}/end",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
        }
        return {name: each for name, each in {**found, **self.document}.items() if each is not None}

    def keys(self) -> list[Any]:
        if self.published is not None:
            return self.published
        return [rsa_key("one").as_dict(private=False), ec_key("two").as_dict(private=False)]

    def grant(self, words: dict[str, str], subject: str) -> str:
        """Where the browser goes back to."""
        now = int(self.now().timestamp())
        again = self.obeys_prompt and "login" in words.get("prompt", "")
        at = now if again or self.auth_time is None else self.auth_time
        code = secrets.token_urlsafe(16)
        self.codes[code] = Asked(words, subject, at)
        said = {"code": code, "state": words["state"], **self.query}
        query = urlencode({name: each for name, each in said.items() if each is not None})
        return f"{words['redirect_uri']}?{query}"

    def token(self, asked: Asked) -> str:
        now = int(self.now().timestamp())
        claims: Claims = {
            "iss": self.issuer,
            "aud": self.client_id,
            "sub": asked.subject,
            "nonce": asked.words.get("nonce"),
            "iat": now,
            "exp": now + 300,
            "auth_time": asked.auth_time,
            **self.people.get(asked.subject, {}),
        }
        claims = {name: each for name, each in (claims | self.claims).items() if each is not None}
        if self.make is not None:
            return self.make(claims)
        return jwt.encode(self.header, claims, self.key or rsa_key("one"), algorithms=ALGORITHMS)

    def redeem(self, form: dict[str, str]) -> tuple[int, Claims]:
        self.forms.append(form)
        if self.client_secret and form.get("client_secret") != self.client_secret:
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None or form.get("redirect_uri") != asked.words["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if asked.words.get("code_challenge", encoded(digest)) != encoded(digest):
            return 400, {"error": "invalid_grant"}
        token = self.token(asked)
        return 200, {"id_token": token, "access_token": "x", "token_type": "Bearer"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _handle(self) -> None:
        provider = self.server.provider
        parts = urlsplit(self.path)
        provider.heard.append(f"{self.command} {parts.path}")
        self.words = dict(parse_qsl(parts.query, keep_blank_values=True))
        length = int(self.headers.get("content-length") or 0)
        self.form = dict(parse_qsl(self.rfile.read(length).decode(), keep_blank_values=True))
        try:
            answer = provider.answers.get(parts.path, ROUTES.get(parts.path, _missing))
            answer(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = _handle

    def say(self, status: int, body: bytes, kind: str = "application/json", **more: str) -> None:
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def say_json(self, value: Any, status: int = 200) -> None:
        self.say(status, json.dumps(value).encode())


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a stalled answer keeps nobody
    provider: Provider
    over: threading.Event

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that hangs up is what some tests are about


def _missing(http: Handler) -> None:
    http.say(404, b"{}")


def _document(http: Handler) -> None:
    http.say_json(http.server.provider.metadata())


def _keys(http: Handler) -> None:
    http.say_json({"keys": http.server.provider.keys()})


def _authorize(http: Handler) -> None:
    provider = http.server.provider
    provider.authorizations.append(http.path)
    subject = http.form.get("who") or provider.who
    if not subject or (not http.form and "login" in http.words.get("prompt", "")):
        buttons = "".join(
            f'<button name="who" value="{each}">{each}</button> ' for each in provider.people
        )
        page = (
            '<!doctype html><html lang="en"><head><title>Provider</title>'
            '<link rel="icon" href="data:,"></head><body><h1>Who are you?</h1>'
            f'<form method="post">{buttons}</form></body></html>'
        )
        http.say(200, page.encode(), "text/html")
        return
    http.say(302, b"", location=provider.grant(http.words, subject))


def _token(http: Handler) -> None:
    status, said = http.server.provider.redeem(http.form)
    http.say_json(said, status)


def _end(http: Handler) -> None:
    provider = http.server.provider
    provider.ended.append(http.words)
    provider.who = ""
    http.say(302, b"", location=http.words.get("post_logout_redirect_uri", "/"))


ROUTES: dict[str, Answer] = {
    "/.well-known/openid-configuration": _document,
    "/keys": _keys,
    "/authorize": _authorize,
    "/token": _token,
    "/end": _end,
}
DISCOVERY = "/.well-known/openid-configuration"


@contextmanager
def serving(provider: Provider, trust: ssl.SSLContext | None = None) -> Iterator[Provider]:
    """Serve it until the block ends; with TLS where there is a context."""
    server = Server(("127.0.0.1", 0), Handler)
    server.provider, server.over = provider, threading.Event()
    if trust is not None:
        server.socket = trust.wrap_socket(server.socket, server_side=True)
    scheme = "http" if trust is None else "https"
    provider.address = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield provider
    finally:
        server.over.set()
        server.shutdown()
        thread.join(JOIN_SECONDS)
        server.server_close()
        assert not thread.is_alive()

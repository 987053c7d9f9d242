"""ID tokens that prove nothing: each is refused, and nobody is signed in."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.access.provider import ALGORITHMS, Claims, Provider, ec_key, encoded, rsa_key
from tests.access.rig import START, Rig, rig, run, tampered

NOW = int(START.timestamp())
SECRET = "the client's own secret, long enough"


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    with rig(tmp_path, client_secret=SECRET) as made:
        made.open(client_secret_env="CLIENT_SECRET")
        yield made


def part(value: Any) -> str:
    return encoded(json.dumps(value).encode())


def signed(header: Claims, claims: Any, key: RSAKey) -> str:
    """As a provider signs, with whatever header and payload."""
    text = f"{part(header)}.{part(claims)}"
    made = key.private_key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())  # type: ignore[union-attr]
    return f"{text}.{encoded(made)}"


def by_one(claims: Any) -> str:
    """With the key that the provider publishes."""
    return signed({"alg": "RS256", "kid": "one"}, claims, rsa_key("one"))


def with_key(header: Claims, claims: Claims, secret: bytes) -> str:
    """Under HMAC, with a secret that everybody knows."""
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{encoded(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def public(form: str) -> bytes:
    key = rsa_key("one")
    if form == "jwk":
        return json.dumps(key.as_dict(private=False)).encode()
    return key.as_bytes(encoding=form.upper(), private=False)  # type: ignore[arg-type]


Change = Callable[[Provider], None]


def claims(**changed: Any) -> Change:
    """The token says this; None leaves the claim out."""

    def change(provider: Provider) -> None:
        provider.claims = changed

    return change


def raw(**changed: Any) -> Change:
    """The same, with null written down and NaN as it is."""

    def change(provider: Provider) -> None:
        provider.make = lambda said: signed(
            {"alg": "RS256", "kid": "one"}, {**said, **changed}, rsa_key("one")
        )

    return change


def made(make: Callable[[Claims], str]) -> Change:
    def change(provider: Provider) -> None:
        provider.make = make

    return change


def header(**words: Any) -> Change:
    return made(lambda said: signed(words, said, rsa_key("one")))


def by(algorithm: str) -> Change:
    words = {"alg": algorithm, "kid": "one"}
    return made(lambda said: jwt.encode(words, said, rsa_key("one"), algorithms=ALGORITHMS))


def flipped(said: Claims) -> str:
    head, payload, signature = by_one(said).split(".")
    other = "A" if signature[40] != "A" else "B"
    return f"{head}.{payload}.{signature[:40]}{other}{signature[41:]}"


def other_key(said: Claims) -> str:
    stranger = rsa_key("stranger")
    words = {"alg": "RS256", "kid": "stranger", "jwk": stranger.as_dict(private=False)}
    return signed(words, said, stranger)


def published(bits: int = 2048, **words: Any) -> Change:
    """It publishes the one key that it signs with, so described."""

    def change(provider: Provider) -> None:
        key = rsa_key(f"of {bits}", bits)
        provider.published = [{**key.as_dict(private=False), **words}]
        provider.key, provider.header = key, {"alg": "RS256", "kid": key.kid}

    return change


def deep(said: Claims) -> str:
    nested = '{"a":' * 30_000 + "1" + "}" * 30_000
    text = f"{part({'alg': 'RS256', 'kid': 'one'})}.{encoded(nested.encode())}"
    key: Any = rsa_key("one").private_key
    return f"{text}.{encoded(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


FORGED: dict[str, Change] = {
    "alg none": made(lambda said: f"{part({'alg': 'none'})}.{part(said)}."),
    "alg none with our kid": made(
        lambda said: f"{part({'alg': 'none', 'kid': 'one'})}.{part(said)}."
    ),
    "alg nOnE": made(lambda said: f"{part({'alg': 'nOnE', 'kid': 'one'})}.{part(said)}."),
    "alg missing": made(lambda said: f"{part({'kid': 'one'})}.{part(said)}."),
    "alg a list": header(alg=["RS256"], kid="one"),
    "signature left out": made(
        lambda said: f"{part({'alg': 'RS256', 'kid': 'one'})}.{part(said)}."
    ),
    "HS256 with the public key as PEM": made(
        lambda said: with_key({"alg": "HS256", "kid": "one"}, said, public("pem"))
    ),
    "HS256 with the public key as DER": made(
        lambda said: with_key({"alg": "HS256", "kid": "one"}, said, public("der"))
    ),
    "HS256 with the public key as JWK": made(
        lambda said: with_key({"alg": "HS256", "kid": "one"}, said, public("jwk"))
    ),
    "HS256 with the client's secret": made(
        lambda said: with_key({"alg": "HS256"}, said, SECRET.encode())
    ),
    "HS256 with an empty key": made(
        lambda said: with_key({"alg": "HS256", "kid": "one"}, said, b"")
    ),
    "RS384, which is not on our list": by("RS384"),
    "RS512, which is not on our list": by("RS512"),
    "ES256 named, RSA signed": header(alg="ES256", kid="two"),
    "RS256 named, with the key for ES256": header(alg="RS256", kid="two"),
    "another key under our kid": made(
        lambda said: signed({"alg": "RS256", "kid": "one"}, said, rsa_key("stranger"))
    ),
    "unknown kid": header(alg="RS256", kid="nobody"),
    "kid a number": header(alg="RS256", kid=1),
    "kid a path": header(alg="RS256", kid="../../dev/null"),
    "no kid, and several keys": header(alg="RS256"),
    "its own key in the header": made(other_key),
    "its own certificates in the header": made(
        lambda said: signed(
            {"alg": "RS256", "kid": "stranger", "x5c": ["AAAA"]}, said, rsa_key("stranger")
        )
    ),
    "a critical header that nobody knows": header(alg="RS256", kid="one", crit=["x"], x=1),
    "a payload that is not encoded": header(alg="RS256", kid="one", crit=["b64"], b64=False),
    "changed after it was signed": made(lambda said: tampered(by_one(said), sub="root")),
    "one digit of the signature flipped": made(flipped),
    "iss of another provider": claims(iss="https://idp.example.com"),
    "iss with a slash more": raw(iss="http://127.0.0.1/"),
    "iss missing": claims(iss=None),
    "iss a list": claims(iss=["http://127.0.0.1", "x"]),
    "aud of another client": claims(aud="other"),
    "aud that begins as ours": claims(aud="adjourn2"),
    "aud missing": claims(aud=None),
    "aud empty": claims(aud=[]),
    "aud null": raw(aud=None),
    "aud several, and no azp": claims(aud=["adjourn", "other"]),
    "aud several, azp of another": claims(aud=["adjourn", "other"], azp="other"),
    "aud ours, azp of another": claims(azp="other"),
    "exp over": claims(exp=NOW - 301),
    "exp missing": claims(exp=None),
    "exp null": raw(exp=None),
    "exp a word": claims(exp="never"),
    "exp true": raw(exp=True),
    "exp not a number": raw(exp=float("nan")),
    "exp without end": raw(exp=float("inf")),
    "iat in the future": claims(iat=NOW + 301, exp=NOW + 900),
    "iat before this sign-in": claims(iat=NOW - 301),
    "iat missing": claims(iat=None),
    "iat a word": claims(iat="now"),
    "nbf in the future": claims(nbf=NOW + 301),
    "nonce missing": claims(nonce=None),
    "nonce of another sign-in": claims(nonce="another"),
    "nonce empty": claims(nonce=""),
    "nonce a list": claims(nonce=["x"]),
    "sub missing": claims(sub=None),
    "sub empty": claims(sub=""),
    "sub a number": claims(sub=7),
    "sub too long": claims(sub="a" * 256),
    "no token at all": made(lambda said: "garbage"),
    "empty": made(lambda said: ""),
    "encrypted": made(lambda said: part({"alg": "RSA-OAEP", "enc": "A256GCM"}) + 4 * ".AA"),
    "a list for a payload": made(lambda said: by_one([said])),
    "a payload deeper than we read": made(deep),
    "a payload without end": raw(name="x" * 200_000),
    "a key that is too short": published(1024),
    "a key for encryption": published(use="enc"),
    "a key for another algorithm": published(alg="PS256"),
    "a key of a type that we do not know": published(kty="oct", k="AAAA"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", FORGED)
def test_a_token_that_proves_nothing_signs_nobody_in(one: Rig, name: str) -> None:
    FORGED[name](one.provider)

    error = run(one.refused(one.sign_in()))

    assert error.why in ("token", "unfit")
    assert one.directory.everybody() == []


@pytest.mark.slow
def test_an_address_of_keys_in_the_token_is_never_asked(one: Rig) -> None:
    asked = len(one.provider.heard)
    words = {"alg": "RS256", "kid": "x", "jku": f"{one.provider.address}/evil"}
    one.provider.make = lambda said: signed(words, said, rsa_key("stranger"))

    assert run(one.refused(one.sign_in())).why == "token"
    assert asked < len(one.provider.heard) and "GET /evil" not in one.provider.heard


def test_an_unknown_key_is_asked_for_once_and_no_more(one: Rig) -> None:
    one.provider.make = lambda said: signed({"alg": "RS256", "kid": "x"}, said, rsa_key("one"))

    run(one.refused(one.sign_in()))

    assert one.provider.heard.count("GET /keys") == 2


AGAIN: dict[str, tuple[dict[str, Any], str]] = {
    "no auth_time": ({"auth_time": None}, "no_auth_time"),
    "auth_time before they were asked": ({"auth_time": NOW - 60}, "not_fresh"),
    "auth_time just before they were asked": ({"auth_time": NOW - 3}, "not_fresh"),
    "auth_time hidden by an old iat": ({"auth_time": NOW - 290, "iat": NOW - 287}, "not_fresh"),
    "auth_time after the token was issued": ({"auth_time": NOW + 3}, "no_auth_time"),
    "auth_time far in the future": ({"auth_time": NOW + 10**9}, "no_auth_time"),
    "auth_time a word": ({"auth_time": "now"}, "no_auth_time"),
    "auth_time true": ({"auth_time": True}, "no_auth_time"),
    "auth_time zero": ({"auth_time": 0}, "no_auth_time"),
    "auth_time before time": ({"auth_time": -1}, "no_auth_time"),
}


@pytest.mark.parametrize("name", AGAIN)
def test_an_old_proof_does_not_count_where_a_new_one_was_asked_for(one: Rig, name: str) -> None:
    said, why = AGAIN[name]
    one.provider.obeys_prompt = False
    one.provider.claims = said

    assert run(one.refused(one.sign_in(again=True))).why == why


def test_a_key_that_has_the_type_of_another_is_left_out(one: Rig) -> None:
    one.provider.published = [{**ec_key("two").as_dict(private=False), "kty": "RSA"}]

    assert run(one.refused(one.sign_in())).why == "unfit"

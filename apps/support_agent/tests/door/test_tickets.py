"""What is no ticket of the shop's for here and now."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from support_agent.web.tickets import LONGEST_TICKET, TicketRefused, read_ticket

SECRET = "0123456789abcdef0123456789abcdef"
OLD = "an older one that still counts 0123456789"
FOREIGN = "fedcba9876543210fedcba9876543210"
AUDIENCE = "https://support.example.com"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
CLAIMS: dict[str, Any] = {
    "sub": "amina@example.org",
    "aud": AUDIENCE,
    "exp": SECONDS + 120,
    "jti": "a-ticket-of-its-own",
}
RSA_KEY = rsa.generate_private_key(65537, 2048)
PUBLIC_PEM = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read(given: str) -> Any:
    return read_ticket(given, (SECRET, OLD), AUDIENCE, NOW)


def part(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def by_hand(
    header: object, claims: object = CLAIMS, secret: str = SECRET, hash: Any = "sha256"
) -> str:
    """A ticket as no library would make it, rightly signed."""
    signed = f"{part(header)}.{part(claims)}"
    return f"{signed}.{part(hmac.digest(secret.encode(), signed.encode(), hash))}"


def changed(**changes: Any) -> str:
    made = {name: value for name, value in (CLAIMS | changes).items() if value is not ...}
    return by_hand({"alg": "HS256", "typ": "JWT"}, made)


GOOD = {
    "as pyjwt makes it": jwt.encode(CLAIMS, SECRET, "HS256"),
    "by hand": changed(),
    "signed by the secret before": jwt.encode(CLAIMS, OLD, "HS256"),
    "five minutes": changed(exp=SECONDS + 300),
    "the last second": changed(exp=SECONDS + 1),
    "capital letters": changed(sub="Amina@Example.ORG"),
    "with more claims": changed(iat=SECONDS + 5, nbf=SECONDS + 5, iss="shop", name="Amina"),
}


@pytest.mark.parametrize("given", GOOD.values(), ids=GOOD.keys())
def test_the_shops_ticket_says_who(given: str) -> None:
    assert read(given).email == "amina@example.org"


HEAD, _, SIGNATURE = GOOD["as pyjwt makes it"].split(".")
HASH = part(hashlib.sha256(part(CLAIMS).encode()).digest())
JWK = {"kty": "oct", "k": part(FOREIGN.encode())}
FORGED = {
    "another secret": jwt.encode(CLAIMS, FOREIGN, "HS256"),
    "no secret": by_hand({"alg": "HS256"}, secret=""),
    "alg none": f"{part({'alg': 'none'})}.{part(CLAIMS)}.",
    "alg none, signed": by_hand({"alg": "none"}),
    "alg None": by_hand({"alg": "None"}),
    "alg HS512": jwt.encode(CLAIMS, SECRET * 2, "HS512"),
    "alg HS512, with our secret": by_hand({"alg": "HS512"}, hash="sha512"),
    "alg HS384, with our secret": by_hand({"alg": "HS384"}, hash="sha384"),
    "alg RS256": jwt.encode(CLAIMS, RSA_KEY, "RS256"),
    "HS256 with a public key": by_hand({"alg": "HS256"}, secret=PUBLIC_PEM.decode()),
    "its key in its header": by_hand({"alg": "HS256", "jwk": JWK}, secret=FOREIGN),
    "its key at an address": by_hand({"alg": "HS256", "jku": "https://x.example"}, secret=FOREIGN),
    "a kid that is a file": by_hand({"alg": "HS256", "kid": "/dev/null"}, secret=""),
    "no alg": by_hand({"typ": "JWT"}),
    "an alg that is a list": by_hand({"alg": ["HS256"]}),
    "an extension that must be understood": by_hand({"alg": "HS256", "crit": ["exp"], "exp": 1}),
    "its payload elsewhere": by_hand({"alg": "HS256", "b64": False, "crit": ["b64"]}),
    "a flipped claim": f"{HEAD}.{part(CLAIMS | {'sub': 'jonas@example.org'})}.{SIGNATURE}",
    "a cut signature": GOOD["as pyjwt makes it"][:-4],
    "no signature": f"{HEAD}.{part(CLAIMS)}.",
    "a hash and no signature": f"{part({'alg': 'HS256'})}.{part(CLAIMS)}.{HASH}",
}  # fmt: skip

WRONG = {
    "no exp": changed(exp=...),
    "an exp that is over": changed(exp=SECONDS),
    "an exp long over": changed(exp=SECONDS - 3_600),
    "an exp too far ahead": changed(exp=SECONDS + 301),
    "an exp in years": changed(exp=SECONDS + 10**8),
    "an exp in milliseconds": changed(exp=SECONDS * 1_000),
    "an exp as text": changed(exp=str(SECONDS + 120)),
    "an exp with a fraction": changed(exp=SECONDS + 120.5),
    "an exp that is no number": changed(exp=float("nan")),
    "an exp without end": changed(exp=float("inf")),
    "an exp that is true": changed(exp=True),
    "an exp below zero": changed(exp=-1),
    "an exp of many digits": changed(exp=10**40),
    "an exp of nothing": changed(exp=None),
    "an nbf ahead": changed(nbf=SECONDS + 61),
    "an nbf as text": changed(nbf="soon"),
    "no aud": changed(aud=...),
    "another aud": changed(aud="https://staging.example.com"),
    "an aud with a slash more": changed(aud=AUDIENCE + "/"),
    "an aud in a list": changed(aud=[AUDIENCE, "https://evil.example"]),
    "an aud of nothing": changed(aud=""),
    "no jti": changed(jti=...),
    "an empty jti": changed(jti=""),
    "a short jti": changed(jti="1"),
    "a long jti": changed(jti="x" * 101),
    "a jti that is a number": changed(jti=1234567890123456),
    "a jti with a line's end": changed(jti="a-ticket-of-its-own\n"),
    "no sub": changed(sub=...),
    "a sub that is a number": changed(sub=1),
    "a sub that is a number as text": changed(sub="1"),
    "a sub that is a list": changed(sub=["amina@example.org"]),
    "a sub with a line's end": changed(sub="amina@example.org\n"),
    "a sub with a space": changed(sub=" amina@example.org"),
    "a sub with a wildcard": changed(sub="%@example.org\u202e"),
    "two addresses": changed(sub="amina@example.org,jonas@example.org"),
    "a long sub": changed(sub="a" * 64 + "@" + ".".join(["b" * 63] * 4)),
    "claims that are a list": by_hand({"alg": "HS256"}, [CLAIMS]),
    "claims that are no JSON": by_hand({"alg": "HS256"}, b"sub=amina@example.org"),
    "claims that are deep": by_hand({"alg": "HS256"}, b"[" * 1_200),
}

GARBAGE = {
    "nothing": "",
    "a dot": ".",
    "two dots": "..",
    "words": "let me in",
    "another encoding": "\u0430" * 40,
    "a null": GOOD["by hand"] + "\0",
    "a line's end": GOOD["by hand"] + "\n",
    "padding": GOOD["by hand"] + "=",
    "four parts": GOOD["by hand"] + ".x",
    "five parts": ".".join(["x"] * 5),
    "half a character": "\ud800.x.x",
    "a deep header": f"{part(b'[' * 1_400)}.{part(CLAIMS)}.x",
    "a huge one": changed(note="x" * LONGEST_TICKET),
    "a huge one of nothing": "x" * 1_000_000,
}


@pytest.mark.parametrize(
    "given", [*FORGED.values(), *WRONG.values(), *GARBAGE.values()], ids=[*FORGED, *WRONG, *GARBAGE]
)
def test_anything_else_lets_nobody_in(given: str) -> None:
    with pytest.raises(TicketRefused) as refused:
        read(given)

    assert refused.value.words
    told = str(refused.value) + refused.value.words
    assert "example.org" not in told and SECRET not in told and "evil" not in told


def test_without_a_secret_nobody_comes_in() -> None:
    with pytest.raises(TicketRefused):
        read_ticket(GOOD["by hand"], (), AUDIENCE, NOW)

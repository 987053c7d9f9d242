"""A provider that is down, slow, endless, or not the one that it says: a clear refusal in bounded
time, and nobody is signed in."""

from __future__ import annotations

import gzip
import json
import ssl
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from adjourn.access.oidc import OpenId
from adjourn.access.refusals import ProviderSettingsError, SignInRefusedError
from adjourn.access.settings import Provider as Settings
from tests.access.provider import DISCOVERY, Answer, Handler, Provider, rsa_key, serving
from tests.access.rig import PUBLIC, START, Clock, Rig, rig, run

STALL_SECONDS = 60  # at most: the test's end lets it go
MEGABYTE = 1024 * 1024


pytestmark = pytest.mark.slow  # tens of milliseconds each, and there are many


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as made:
        yield made


def says(status: int, body: bytes = b"{}", **headers: str) -> Answer:
    return lambda http: http.say(status, body, **headers)


def genuine(http: Handler) -> bytes:
    """What it would answer: each of the answers below but for one fault would be taken."""
    provider = http.server.provider
    said: Any = provider.metadata()
    if "/keys" in http.path:
        said = {"keys": provider.keys()}
    elif "/token" in http.path:
        said = provider.redeem(http.form)[1]
    return json.dumps(said).encode()


def with_status(status: int) -> Answer:
    return lambda http: http.say(status, genuine(http))


def endless(http: Handler) -> None:
    """50 MB more, under an honest length."""
    body = genuine(http)
    http.send_response(200)
    http.send_header("content-length", str(len(body) + 50 * MEGABYTE))
    http.end_headers()
    http.wfile.write(body)
    for _ in range(50):
        http.wfile.write(b" " * MEGABYTE)


def chunked(http: Handler) -> None:
    """50 MB more, without saying so."""
    body = genuine(http)
    http.send_response(200)
    http.send_header("transfer-encoding", "chunked")
    http.end_headers()
    http.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")
    for _ in range(50):
        http.wfile.write(b"100000\r\n" + b" " * MEGABYTE + b"\r\n")
    http.wfile.write(b"0\r\n\r\n")


def packed(http: Handler) -> None:
    """50 MB more, in 50 kB."""
    body = gzip.compress(genuine(http) + b" " * 50 * MEGABYTE)
    http.say(200, body, content_encoding="gzip")


def stalls(http: Handler) -> None:
    http.server.over.wait(STALL_SECONDS)


def stalls_halfway(http: Handler) -> None:
    http.send_response(200)
    http.send_header("content-length", "100")
    http.end_headers()
    http.wfile.write(b"{")
    http.server.over.wait(STALL_SECONDS)


def drips(http: Handler) -> None:
    """A byte at a time, each soon enough for a patience that counts bytes."""
    http.send_response(200)
    http.send_header("content-length", "1000000")
    http.end_headers()
    while not http.server.over.wait(0.05):
        http.wfile.write(b" ")


def hangs_up(http: Handler) -> None:
    http.close_connection = True


def no_http(http: Handler) -> None:
    http.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
    http.close_connection = True


def leads_on(http: Handler) -> None:
    """To where all would be well."""
    http.server.provider.answers["/elsewhere"] = lambda there: there.say(200, body)
    body = genuine(http)
    http.say(302, b"", location=f"{http.server.provider.address}/elsewhere")


DEEP = b"[" * 500_000

ANSWERS: dict[str, tuple[Answer, str]] = {
    "leads elsewhere": (leads_on, "unfit"),
    "leads elsewhere for ever": (
        lambda http: http.say(301, b"", location=http.server.provider.address + http.path),
        "unfit",
    ),
    "50 MB": (endless, "unfit"),
    "50 MB in chunks": (chunked, "unfit"),
    "50 MB packed": (packed, "unfit"),
    "deeper than we read": (says(200, DEEP), "unfit"),
    "stalls": (stalls, "unreachable"),
    "stalls halfway": (stalls_halfway, "unreachable"),
    "drips": (drips, "unreachable"),
    "hangs up": (hangs_up, "unreachable"),
    "speaks no HTTP": (no_http, "unreachable"),
    "is broken": (with_status(500), "unreachable"),
    "is busy": (with_status(429), "unreachable"),
    "is a page": (says(200, b"<html>Sign in to the hotel</html>"), "unfit"),
    "is a list": (says(200, b"[]"), "unfit"),
    "is empty": (says(200, b""), "unfit"),
    "is not UTF-8": (says(200, b'{"issuer": "\xff"}'), "unfit"),
    "has nothing in it": (says(200, b"{}"), "unfit"),
    "is not there": (with_status(404), "unfit"),
}


@pytest.mark.parametrize("where", [DISCOVERY, "/keys", "/token"])
@pytest.mark.parametrize("how", ANSWERS)
def test_an_answer_that_is_none_is_refused_in_time(one: Rig, where: str, how: str) -> None:
    answer, why = ANSWERS[how]
    if where == "/token" and how == "is not there":
        why = "provider_error"
    if where == "/token" and how.startswith("leads elsewhere"):
        why = "provider_error"
    one.patience = 0.3 if why == "unreachable" else 20.0
    one.open()
    one.provider.answers[where] = answer

    assert run(one.refused(one.sign_in())).why == why
    assert one.directory.everybody() == []
    assert not any("elsewhere" in asked for asked in one.provider.heard)


def test_when_it_is_back_sign_in_goes_on_where_it_was(one: Rig) -> None:
    one.provider.answers[DISCOVERY] = says(503)
    error = run(one.refused(one.oidc.begin("/approvals/a")))
    assert (error.why, error.status, error.back) == ("unreachable", 503, "/approvals/a")

    one.provider.answers.clear()

    assert run(one.sign_in(error.back))[1] == "/approvals/a"


def test_a_provider_that_is_not_there_is_unreachable(one: Rig, tmp_path: Path) -> None:
    gone = Provider(one.clock)
    with serving(gone):
        pass
    one.open(issuer=gone.issuer)

    assert run(one.refused(one.oidc.begin("/"))).why == "unreachable"


DOCUMENTS: dict[str, dict[str, Any]] = {
    "of another issuer": {"issuer": "https://idp.example.com"},
    "of an issuer with a slash more": {"issuer": "{}/"},
    "of every tenant": {"issuer": "https://login.example.com/{tenantid}/v2.0"},
    "of no issuer": {"issuer": None},
    "issuer in other letters": {"issuer": "HTTP://127.0.0.1"},
    "token endpoint without https": {"token_endpoint": "http://idp.example.com/token"},
    "token endpoint in the cloud's own network": {"token_endpoint": "http://169.254.169.254/"},
    "token endpoint with somebody's name": {"token_endpoint": "https://a:b@idp.example.com/"},
    "token endpoint missing": {"token_endpoint": None},
    "token endpoint empty": {"token_endpoint": ""},
    "token endpoint a file": {"token_endpoint": "file:///etc/passwd"},
    "keys in a file": {"jwks_uri": "file:///etc/passwd"},
    "keys without https": {"jwks_uri": "http://idp.example.com/keys"},
    "keys in the address": {"jwks_uri": "data:application/json,{}"},
    "keys at a number": {"jwks_uri": "http://2130706433.example/keys"},
    "keys with a line break": {"jwks_uri": "https://idp.example.com/\r\nX: y"},
    "sign-in is a script": {"authorization_endpoint": "javascript:alert(1)"},
    "sign-in without https": {"authorization_endpoint": "http://idp.example.com/"},
    "sign-in with a fragment": {"authorization_endpoint": "https://idp.example.com/#x"},
    "sign-in without a host": {"authorization_endpoint": "https:///authorize"},
    "sign-in with a broken port": {"authorization_endpoint": "https://idp.example.com:x/"},
    "sign-out is a script": {"end_session_endpoint": "javascript:alert(1)"},
    "sign-out without https": {"end_session_endpoint": "http://idp.example.com/end"},
    "a challenge in plain words only": {"code_challenge_methods_supported": ["plain"]},
    "no challenge at all": {"code_challenge_methods_supported": []},
    "endpoints that are numbers": {"token_endpoint": 7},
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_must_not_be_followed_is_not(one: Rig, name: str) -> None:
    words = {
        word: value.replace("{}", one.provider.issuer) if isinstance(value, str) else value
        for word, value in DOCUMENTS[name].items()
    }
    one.provider.document = words

    assert run(one.refused(one.oidc.begin("/"))).why == "unfit"
    assert one.provider.heard == [f"GET {DISCOVERY}"]


@pytest.mark.parametrize("published", [[], [{"kty": "oct", "k": "AAAA"}], ["x"], "x"])
def test_a_provider_without_a_key_of_its_own_signs_nobody_in(one: Rig, published: Any) -> None:
    one.provider.published = published

    assert run(one.refused(one.sign_in())).why == "unfit"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"error": "invalid_grant"}', "not_begun_here"),
        (b'{"error": "invalid_client"}', "provider_error"),
        (b'{"error": "<script>"}', "provider_error"),
        (b'{"error": 7}', "provider_error"),
        (b"<html>", "provider_error"),
    ],
)
def test_a_token_endpoint_that_refuses_is_told_apart(one: Rig, body: bytes, why: str) -> None:
    one.provider.answers["/token"] = says(400, body)

    error = run(one.refused(one.sign_in()))

    assert error.why == why and "<" not in error.detail


NO_TOKEN = [b"", b', "id_token": null', b', "id_token": 7', b', "id_token": []']


@pytest.mark.parametrize("token", NO_TOKEN)
def test_a_token_answer_without_an_id_token_signs_nobody_in(one: Rig, token: bytes) -> None:
    one.provider.answers["/token"] = says(200, b'{"access_token": "x"' + token + b"}")

    assert run(one.refused(one.sign_in())).why == "unfit"


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    clock = Clock()
    provider = Provider(clock)
    with serving(provider, own_certificate(tmp_path)):
        made = Rig(clock, provider, tmp_path)
        try:
            assert provider.issuer.startswith("https://")
            assert run(made.refused(made.oidc.begin("/"))).why == "unreachable"
        finally:
            made.records.close()
    assert provider.heard == []


def own_certificate(folder: Path) -> ssl.SSLContext:
    key: Any = rsa_key("certificate").private_key
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(START - timedelta(days=9_000))
        .not_valid_after(START + timedelta(days=9_000))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "own.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


# Settings.

GOOGLE = "https://accounts.google.com"
CONSUMERS = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"
SETTINGS: dict[str, dict[str, Any]] = {
    "without https": {"issuer": "http://idp.example.com"},
    "without https, in our own network": {"issuer": "http://10.0.0.1"},
    "loopback in a longer name": {"issuer": "http://127.0.0.1.example.com"},
    "localhost in a longer name": {"issuer": "http://localhost.example.com"},
    "a file": {"issuer": "file:///etc"},
    "nothing": {"issuer": ""},
    "a word": {"issuer": "google"},
    "somebody's name in it": {"issuer": "https://localhost@idp.example.com"},
    "a query": {"issuer": "https://idp.example.com/?tenant=x"},
    "a fragment": {"issuer": "https://idp.example.com/#x"},
    "a space": {"issuer": "https://idp.example.com/ x"},
    "every company": {"issuer": "https://login.microsoftonline.com/common/v2.0"},
    "every organization": {"issuer": "https://login.microsoftonline.com/organizations/v2.0"},
    "every consumer": {"issuer": "https://login.microsoftonline.com/consumers/v2.0"},
    "every company of a government": {"issuer": "https://login.microsoftonline.us/common/v2.0"},
    "no client": {"client_id": ""},
    "a secret that is not set": {"client_secret_env": "NOWHERE"},
    "anybody with a Google account": {"issuer": GOOGLE, "strangers": True},
    "anybody with a Microsoft account": {"issuer": CONSUMERS, "strangers": True},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_provider_that_nobody_can_safely_sign_in_with_does_not_start(one: Rig, name: str) -> None:
    given = {"issuer": "https://idp.example.com", "client_id": "adjourn", **SETTINGS[name]}

    with pytest.raises(ProviderSettingsError, match=r"^\[oidc\]: .+\. .+\.$"):
        OpenId(Settings(**given), one.records, one.directory, one.clock, PUBLIC)


@pytest.mark.parametrize(
    "given",
    [
        {"issuer": GOOGLE, "strangers": True, "allowed_domains": ["example.com"]},
        {"issuer": GOOGLE},
        {"issuer": "https://login.microsoftonline.com/0f1e2d3c-aaaa-bbbb-cccc-000000000000/v2.0"},
        {"issuer": "https://keycloak.example.com/realms/shop"},
        {"issuer": "http://localhost:8080/realms/shop"},
        {"issuer": "http://[::1]:8080"},
    ],
)
def test_providers_that_people_have_are_taken(one: Rig, given: dict[str, Any]) -> None:
    OpenId(Settings(client_id="x", **given), one.records, one.directory, one.clock, PUBLIC)


def test_each_refusal_has_words_of_its_own() -> None:
    from typing import get_args

    from adjourn.access.refusals import Why

    made = [SignInRefusedError(why) for why in get_args(Why)]

    assert len({str(each) for each in made}) == len(made)
    assert all(400 <= each.status <= 503 and str(each).endswith(".") for each in made)

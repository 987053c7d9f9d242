"""Which requests are the connector's: over HTTP, with keys and a key server of our own."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from apps.support_agent.tests.teams_in import connector
from apps.support_agent.tests.teams_in.connector import (
    BARE_KEY_ID,
    CLIENT_ID,
    KEY_ID,
    KEYS_PATH,
    PATIENCE_SECONDS,
    TENANT,
    WEB_KEY_ID,
    KeyServer,
    activity,
    claims,
    jwk,
    message,
    private_key,
    signed_with_the_public_key,
    small_key,
    token,
    unsigned,
)
from apps.support_agent.tests.teams_in.place import Place, Recorder, secured, serving
from support_agent.channels.teams import tokens
from support_agent.channels.teams.endpoint import create_endpoint
from support_agent.channels.teams.settings import LOCAL_CLIENT_ID, TeamsSettings
from support_agent.channels.teams.tokens import (
    FRESH_SECONDS,
    KEYS_LIMIT_BYTES,
    LONGEST_TOKEN,
    PAUSE_SECONDS,
    USABLE_SECONDS,
    ServiceTokens,
)

pytestmark = pytest.mark.slow

AGENT_365 = "5a807f24-c9de-44ee-a3a7-329e88a00ffc"  # the SDK accepts Entra's tokens for this one
OTHER_TENANT = "12121212-3434-5656-7878-909090909090"


def entra(issuer: str) -> dict[str, Any]:
    return claims(iss=issuer, tid=OTHER_TENANT, azp=AGENT_365, appid=AGENT_365)


def refused(place: Place, body: Any, headers: dict[str, str]) -> None:
    """Nothing but that is learned, and the application hears nothing."""
    answer = place.post(body, headers=headers)

    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert place.inbound.calls == 0


def test_a_valid_token_is_accepted(place: Place, inbound: Recorder) -> None:
    assert place.post(message()).status_code == 200
    assert [told.text for told in inbound.messages] == ["I was charged twice."]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic dXNlcjpwYXNzd29yZA==",
        "Bearer",
        "Bearer garbage",
        "Bearer a.b.c",
        "Bearer ..",
        "Bearer é.é.é",
        "Bearer " + "x" * 9_000,
        "Bearer " + "e30." * 2,
        "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6W119.e30.e30",
        "Digest username=x",
    ],
)
def test_a_header_that_is_no_token_is_refused(place: Place, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization.encode()}

    refused(place, message(), headers)  # pyright: ignore[reportArgumentType]  # as bytes: not ASCII


def test_a_good_token_is_none_in_another_form(place: Place) -> None:
    for form in ("Basic {}", "{}", "Token {}", "Bearer  {}", "Bearer {},", "Bearer {} {}"):
        refused(place, message(), {"authorization": form.format(token(), token())})


def test_a_token_without_an_end_is_refused(place: Place) -> None:
    longest = token(claims(sub="x" * 6_000))
    assert len(longest) > LONGEST_TOKEN

    refused(place, message(), {"authorization": f"Bearer {longest}"})


BAD = {
    "forged": lambda: token(key=private_key("a forger's")),
    "unknown key": lambda: token(key_id="key-9"),
    "no key id": lambda: token(key_id=None),
    "alg none": lambda: unsigned(claims()),
    "HS256 with the public key": lambda: signed_with_the_public_key(claims()),
    "expired beyond the leeway": lambda: token(claims(exp=-310)),
    "no expiry": lambda: token(claims(exp=None)),
    "not yet valid": lambda: token(claims(nbf=310)),
    "issued in the future": lambda: token(claims(iat=310)),
    "wrong audience": lambda: token(claims(aud=OTHER_TENANT)),
    "no audience": lambda: token(claims(aud=None)),
    "wrong issuer": lambda: token(claims(iss="https://api.botframework.example")),
    "no issuer": lambda: token(claims(iss=None)),
    "Entra's, of another tenant": lambda: token(
        entra(f"https://login.microsoftonline.com/{OTHER_TENANT}/v2.0")
    ),
    "Entra's, of our tenant": lambda: token(
        entra(f"https://login.microsoftonline.com/{TENANT}/v2.0")
    ),
    "Entra's, first version": lambda: token(entra(f"https://sts.windows.net/{OTHER_TENANT}/")),
    "another service address": lambda: token(claims(serviceurl="https://smba.trafficmanager.net/")),
    "no service address": lambda: token(claims(serviceurl=None)),
    "an empty service address": lambda: token(claims(serviceurl="/")),
    "a service address that is no text": lambda: token(claims(serviceurl=[connector.SERVICE])),
    "a key for another channel": lambda: token(key_id=WEB_KEY_ID),
    "a changed body of the token": lambda: _spliced(),
}


def _spliced() -> str:
    """The head and the signature of one good token around the claims of another."""
    head, _, signature = token().split(".")
    return ".".join((head, token(claims(exp=7_200)).split(".")[1], signature))


@pytest.mark.parametrize("name", BAD)
def test_a_token_that_is_not_the_connectors_for_us_is_refused(place: Place, name: str) -> None:
    refused(place, message(), {"authorization": f"Bearer {BAD[name]()}"})


@pytest.mark.parametrize(
    ("held", "key_id"),
    [
        ({"exp": -240}, KEY_ID),
        ({"nbf": 240}, KEY_ID),
        ({"serviceurl": connector.SERVICE.rstrip("/")}, KEY_ID),
        ({}, BARE_KEY_ID),
    ],
    ids=["expired within the leeway", "valid soon", "no last slash", "a key without endorsements"],
)
def test_what_differs_by_what_is_allowed_is_accepted(
    place: Place, held: dict[str, Any], key_id: str
) -> None:
    assert place.post(message(), token(claims(**held), key_id)).status_code == 200


def test_a_body_for_another_service_address_is_refused(place: Place) -> None:
    good = {"authorization": f"Bearer {token()}"}

    for address in ("https://smba.trafficmanager.net/amer/", "https://evil.example/"):
        refused(place, message(serviceUrl=address), good)


def test_a_service_address_that_is_not_on_the_list_is_refused_even_when_it_is_signed(
    place: Place,
) -> None:
    for address in ("https://evil.example/", "http://smba.trafficmanager.net/emea/"):
        signed = token(claims(serviceurl=address))

        refused(place, message(serviceUrl=address), {"authorization": f"Bearer {signed}"})


def test_a_body_without_a_service_address_is_refused(place: Place) -> None:
    for address in (None, "", 7, ["x"]):
        assert place.post(message(serviceUrl=address)).status_code == 400
    assert place.inbound.calls == 0


def test_a_body_of_a_channel_that_the_key_is_not_endorsed_for_is_refused(place: Place) -> None:
    refused(place, message(channelId="webchat"), {"authorization": f"Bearer {token()}"})


def test_other_channels_of_the_bot_are_refused_with_their_own_good_tokens(place: Place) -> None:
    # Whoever has the link to a web chat may claim there to be anybody of the directory.
    web = token(key_id=WEB_KEY_ID)

    assert place.post(message(channelId="webchat"), web).status_code == 400
    assert place.post(message(channelId="directline"), token(key_id=BARE_KEY_ID)).status_code == 400
    assert place.inbound.calls == 0


def test_who_has_no_token_learns_nothing_of_the_body(place: Place) -> None:
    for body in ({}, {"type": "unknown"}, activity("invoke", name="x"), [], None, {"type": 7}):
        refused(place, body, {})


def test_two_tokens_are_none(place: Place) -> None:
    good = ("authorization", f"Bearer {token()}")

    answer = place.http.post("/api/messages", json=message(), headers=[good, good])

    assert answer.status_code == 401


def test_there_is_no_endpoint_without_tokens_except_in_local_mode() -> None:
    with pytest.raises(ValueError, match="checked always"):
        create_endpoint(secured(""), Recorder(), None)
    with pytest.raises(ValueError, match="local mode"):
        ServiceTokens(TeamsSettings(client_id=LOCAL_CLIENT_ID, local=True))


# The keys. Each of these tests has a key server and an endpoint of its own.


@pytest.fixture
def keys() -> Iterator[KeyServer]:
    with KeyServer().serving() as server:
        yield server


@pytest.fixture
def fresh(keys: KeyServer) -> Iterator[Place]:
    """An endpoint that has fetched no keys yet."""
    with serving(secured(keys.metadata_url)) as place:
        yield place


@pytest.fixture
def senders() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def status(answer: Future[httpx.Response]) -> int:
    return answer.result(PATIENCE_SECONDS).status_code


def test_a_slow_key_server_stalls_nobody_else(
    fresh: Place, keys: KeyServer, senders: ThreadPoolExecutor
) -> None:
    keys.may_answer.clear()
    slow = senders.submit(fresh.post, message())
    assert keys.asked.wait(PATIENCE_SECONDS)

    # The key server answers only after these two are answered: on a loop that waits for it, neither
    # would be, and the client would give up.
    assert fresh.http.get("/health").text == "ok"
    assert fresh.post(message(), headers={}).status_code == 401
    assert not slow.done()
    keys.may_answer.set()

    assert status(slow) == 200


def test_a_made_up_key_id_stalls_no_token_whose_key_is_known(
    fresh: Place, keys: KeyServer, senders: ThreadPoolExecutor
) -> None:
    assert fresh.post(message()).status_code == 200
    fresh.watch.seconds += PAUSE_SECONDS
    keys.may_answer.clear()
    keys.asked.clear()
    made_up = senders.submit(fresh.post, message(), token(key_id="key-9"))
    assert keys.asked.wait(PATIENCE_SECONDS)

    assert fresh.post(message()).status_code == 200
    assert not made_up.done()
    keys.may_answer.set()

    assert status(made_up) == 401


def test_keys_are_fetched_once_for_all_who_wait(
    fresh: Place, keys: KeyServer, senders: ThreadPoolExecutor
) -> None:
    keys.may_answer.clear()
    waiting = [senders.submit(fresh.post, message()) for _ in range(12)]
    assert keys.asked.wait(PATIENCE_SECONDS)
    assert fresh.http.get("/health").text == "ok"
    keys.may_answer.set()

    assert [status(each) for each in waiting] == [200] * 12
    assert keys.seen == [KEYS_PATH]


def test_made_up_key_ids_cause_one_fetch_in_a_while(fresh: Place, keys: KeyServer) -> None:
    for number in range(5):
        assert fresh.post(message(), token(key_id=f"key-{number + 100}")).status_code == 401
    assert len(keys.seen) == 1

    fresh.watch.seconds += PAUSE_SECONDS
    assert fresh.post(message(), token(key_id="key-9")).status_code == 401
    assert len(keys.seen) == 2


def test_a_new_key_is_found(fresh: Place, keys: KeyServer) -> None:
    assert fresh.post(message()).status_code == 200
    keys.keys.append(jwk("key-2", ["msteams"]))
    fresh.watch.seconds += PAUSE_SECONDS

    assert fresh.post(message(), token(key_id="key-2")).status_code == 200


def test_a_key_that_was_taken_back_is_not_accepted_for_ever(fresh: Place, keys: KeyServer) -> None:
    assert fresh.post(message()).status_code == 200
    keys.keys = [jwk("key-2", ["msteams"])]
    keys.asked.clear()
    fresh.watch.seconds += FRESH_SECONDS + 1

    # The first one after that time begins the fetch and does not wait for it; one with another key
    # does, so that this test need not guess when it is done.
    assert fresh.post(message()).status_code == 200
    assert keys.asked.wait(PATIENCE_SECONDS)
    assert fresh.post(message(), token(key_id="key-2")).status_code == 200

    assert fresh.post(message()).status_code == 401


def test_without_a_key_server_nobody_is_let_in_and_all_may_come_again(
    fresh: Place, keys: KeyServer
) -> None:
    keys.status = 500

    assert fresh.post(message()).status_code == 503
    assert fresh.post(message()).status_code == 503
    assert len(keys.seen) == 1  # the second one was told so without asking again

    keys.status = 200
    fresh.watch.seconds += PAUSE_SECONDS
    assert fresh.post(message()).status_code == 200
    assert len(fresh.inbound.messages) == 1


def test_known_keys_outlive_a_key_server_that_is_away_for_a_day_and_no_longer(
    fresh: Place, keys: KeyServer
) -> None:
    assert fresh.post(message()).status_code == 200
    keys.status = 503
    fresh.watch.seconds += USABLE_SECONDS - 1
    assert fresh.post(message()).status_code == 200

    fresh.watch.seconds += PAUSE_SECONDS
    assert fresh.post(message()).status_code == 503


def test_a_key_server_that_never_comes_to_an_end_is_given_up(
    fresh: Place, keys: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "FETCH_SECONDS", 0.05)
    keys.drips = True

    assert fresh.post(message()).status_code == 503


def test_more_than_keys_can_be_is_read_no_further(fresh: Place, keys: KeyServer) -> None:
    good = keys.said(KEYS_PATH)
    keys.answer = good.ljust(KEYS_LIMIT_BYTES + 1)
    assert fresh.post(message()).status_code == 503

    keys.answer = good.ljust(KEYS_LIMIT_BYTES)
    fresh.watch.seconds += PAUSE_SECONDS
    assert fresh.post(message()).status_code == 200


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>We will be back soon.</html>",
        b"[]",
        b'{"keys": {}}',
        b'{"keys": []}',
        b'{"keys": [7, {}, {"kid": 7}, {"kid": "key-1", "kty": "RSA", "n": 7, "e": []}]}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_an_answer_that_holds_no_keys_lets_nobody_in(
    fresh: Place, keys: KeyServer, answer: bytes
) -> None:
    keys.answer = answer

    assert fresh.post(message()).status_code == 503
    assert fresh.inbound.calls == 0


def test_the_key_server_sends_us_nowhere_else(fresh: Place, keys: KeyServer) -> None:
    keys.status = 302

    assert fresh.post(message()).status_code == 503
    assert keys.seen == [KEYS_PATH]


# PyJWT warns whoever signs with the short key, which is this test.
@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits long")
def test_keys_that_are_not_for_our_signatures_count_for_nothing(
    fresh: Place, keys: KeyServer
) -> None:
    keys.keys += [
        jwk("for-encryption", ["msteams"], use="enc"),
        jwk("short", ["msteams"], key=small_key()),
        {"kty": "oct", "kid": "shared", "k": "c2VjcmV0", "endorsements": ["msteams"]},
        jwk("endorsed-for-nothing", []),
        jwk("endorsed-for-nonsense", "msteams"),
    ]

    for key_id in ("for-encryption", "endorsed-for-nothing", "endorsed-for-nonsense"):
        assert fresh.post(message(), token(key_id=key_id)).status_code == 401
    assert fresh.post(message(), token(key_id="short", key=small_key())).status_code == 401
    assert fresh.post(message()).status_code == 200


def test_whoever_gives_up_waiting_takes_the_fetch_from_nobody(keys: KeyServer) -> None:
    async def story() -> None:
        checked = ServiceTokens(secured(keys.metadata_url))
        gone = asyncio.create_task(checked.check(f"Bearer {token()}"))
        assert await asyncio.to_thread(keys.asked.wait, PATIENCE_SECONDS)
        stays = asyncio.create_task(checked.check(f"Bearer {token()}"))
        await asyncio.sleep(0)  # until it waits too

        gone.cancel()
        keys.may_answer.set()

        assert (await stays).service_url == connector.SERVICE.rstrip("/")

    keys.may_answer.clear()
    asyncio.run(story())
    assert keys.seen == [KEYS_PATH]


def test_the_audience_is_this_bot(place: Place) -> None:
    assert claims()["aud"] == CLIENT_ID
    assert place.post(message(), token(claims(aud=[CLIENT_ID]))).status_code == 200
